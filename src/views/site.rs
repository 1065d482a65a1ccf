//! The pages of a site, by method and path, and how one is rendered.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, OnceLock};

use liquid::partials::{InMemorySource, LazyCompiler};
use liquid::{Parser, ParserBuilder, Template};
use liquid_core::Object;
use liquid_core::model::Value as LiquidValue;

use super::files::{File, Front, Kind};
use crate::dialect::{DialectExt as _, translate_at};
use crate::error::{Error, ErrorKind};
use crate::session::Session;
use crate::template::ParserBuilderExt as _;

/// The layout of pages that do not name one.
const LAYOUT: &str = "application";

pub(super) struct Site {
    pub(super) parser: Parser,
    pages: Vec<Source>,
    layouts: HashMap<String, Source>,
}

/// A template that is parsed when it is first used.
struct Source {
    file: File,
    /// Why a page can't be used, for a reason outside its template.
    conflict: Option<String>,
    parsed: OnceLock<Result<Template, Error>>,
}

impl Source {
    fn new(file: File) -> Self {
        Self {
            file,
            conflict: None,
            parsed: OnceLock::new(),
        }
    }

    fn template(&self, parser: &Parser) -> Result<&Template, Error> {
        let parsed = self.parsed.get_or_init(|| {
            let source = translate_at(&self.file.body, &self.file.place());
            Ok(parser.parse(&source)?)
        });
        parsed.as_ref().map_err(Clone::clone)
    }
}

impl Site {
    pub(super) fn new(
        files: Vec<File>,
        setup: &dyn Fn(ParserBuilder) -> ParserBuilder,
    ) -> Result<Self, Error> {
        let mut partials = InMemorySource::new();
        let mut pages: Vec<Source> = Vec::new();
        let mut layouts = HashMap::new();
        for file in files {
            match file.kind {
                Kind::Partial => {
                    let source = translate_at(&file.body, &file.place()).into_owned();
                    for name in file.names() {
                        partials.add(name, source.clone());
                    }
                }
                Kind::Layout => {
                    layouts.insert(file.name.clone(), Source::new(file));
                }
                Kind::Page => pages.push(Source::new(file)),
                Kind::Other => {}
            }
        }
        let mut taken = HashMap::new();
        for at in 0..pages.len() {
            let front = pages[at].front();
            let page = (front.method.clone(), front.path.clone());
            if let (Ok(_), Some(other)) = (&pages[at].file.front, taken.insert(page, at)) {
                let conflict = |page: &Source| {
                    let front = page.front();
                    Some(format!(
                        "`{}` is also the page of {} {}: give one of them another `slug` or `method`",
                        page.file.shown,
                        front.method.to_uppercase(),
                        front.path
                    ))
                };
                (pages[at].conflict, pages[other].conflict) =
                    (conflict(&pages[other]), conflict(&pages[at]));
            }
        }
        let builder = ParserBuilder::with_stdlib().dialect().sessions();
        let builder = setup(builder);
        let parser = builder.partials(LazyCompiler::new(partials)).build()?;
        Ok(Self {
            parser,
            pages,
            layouts,
        })
    }

    pub(super) fn page(self: Arc<Self>, method: &str, path: &str) -> Option<Page> {
        let method = method.to_lowercase();
        let method = if method == "head" { "get" } else { &method };
        let (at, params) = self
            .matches(path)
            .filter(|(at, _)| self.pages[*at].front().method == method)
            .min_by_key(|(_, params)| params.len())?;
        Some(Page {
            site: self,
            at,
            params,
        })
    }

    pub(super) fn methods(&self, path: &str) -> Vec<String> {
        let methods: BTreeSet<_> = self
            .matches(path)
            .map(|(at, _)| self.pages[at].front().method.to_uppercase())
            .collect();
        methods.into_iter().collect()
    }

    pub(super) fn pages(self: Arc<Self>) -> Vec<Page> {
        (0..self.pages.len())
            .map(|at| Page {
                site: self.clone(),
                at,
                params: BTreeMap::new(),
            })
            .collect()
    }

    fn matches(&self, path: &str) -> impl Iterator<Item = (usize, BTreeMap<String, String>)> {
        // One `/` at the end does not matter.
        let path = match path.strip_suffix('/') {
            Some(rest) if !rest.is_empty() => rest,
            _ => path,
        };
        let pages = self.pages.iter().enumerate();
        pages.filter_map(move |(at, page)| Some((at, matching(&page.front().path, path)?)))
    }
}

/// Returns the parts that a pattern such as `/orders/:id` takes from a path that it matches.
fn matching(pattern: &str, path: &str) -> Option<BTreeMap<String, String>> {
    let mut params = BTreeMap::new();
    let (mut parts, mut found) = (pattern.split('/'), path.split('/'));
    loop {
        match (parts.next(), found.next()) {
            (None, None) => return Some(params),
            (Some(part), Some(text)) => match part.strip_prefix(':') {
                Some(name) if !text.is_empty() => {
                    params.insert(name.to_owned(), text.to_owned());
                }
                _ if part == text => {}
                _ => return None,
            },
            _ => return None,
        }
    }
}

impl Source {
    /// The front matter; without its mistakes, which `render` reports.
    fn front(&self) -> &Front {
        static NONE: OnceLock<Front> = OnceLock::new();
        match &self.file.front {
            Ok(front) => front,
            Err(_) => NONE.get_or_init(Front::default),
        }
    }
}

/// A page of [`Views`](super::Views). Clones are cheap.
#[derive(Clone)]
pub struct Page {
    site: Arc<Site>,
    at: usize,
    params: BTreeMap<String, String>,
}

impl Page {
    fn source(&self) -> &Source {
        &self.site.pages[self.at]
    }

    fn front(&self) -> &Front {
        self.source().front()
    }

    /// Returns the path of the file below the folder.
    pub fn file(&self) -> &str {
        &self.source().file.shown
    }

    /// Returns the path, or its pattern, such as `/orders/:id`.
    pub fn path(&self) -> &str {
        &self.front().path
    }

    /// Returns the method, in lower case.
    pub fn method(&self) -> &str {
        &self.front().method
    }

    /// Returns where the browser goes after the page.
    pub fn redirect_to(&self) -> Option<&str> {
        self.front().redirect_to.as_deref()
    }

    /// Returns what the path gave for parts such as `:id`. The templates find them in
    /// `context.params`, unless the host's `params` have the name.
    pub fn params(&self) -> &BTreeMap<String, String> {
        &self.params
    }

    /// Returns the media type for the format: `text/html; charset=utf-8` for `html`.
    pub fn content_type(&self) -> &'static str {
        match &*self.front().format {
            "css" => "text/css; charset=utf-8",
            "csv" => "text/csv; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "json" => "application/json",
            "rss" => "application/rss+xml",
            "svg" => "image/svg+xml",
            "txt" => "text/plain; charset=utf-8",
            "xml" => "application/xml",
            _ => "text/html; charset=utf-8",
        }
    }

    /// Renders the page and its layout on one session, with the host's globals: for instance
    /// `{context: {params: …}}`. Adds `context.page`, unless the host has its own.
    ///
    /// As with [`Session::render`], a render that fails takes back what it wrote, the layout's failure
    /// what the page wrote.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Render`]: a template does not parse or fails, or the front matter is wrong; with
    ///   file, line and column.
    /// - Those of the session, such as [`ErrorKind::Limit`].
    pub fn render(&self, session: &Session, globals: &Object) -> Result<String, Error> {
        let source = self.source();
        let wrong = |problem: &str| {
            let file = &source.file.shown;
            Error::new(ErrorKind::Render, format!("{file}: {problem}"))
        };
        let front = source.file.front.as_ref();
        let front = front.map_err(|problem| wrong(&format!("front matter: {problem}")))?;
        if let Some(conflict) = &source.conflict {
            return Err(wrong(conflict));
        }
        let layout = match (&front.redirect_to, front.layout.as_deref()) {
            // Its output is not shown, and it would use up a message for the next page.
            (Some(_), _) | (_, Some("")) => None,
            (None, None) => self.site.layouts.get(LAYOUT),
            (None, Some(name)) => Some(self.site.layouts.get(name).ok_or_else(|| {
                wrong(&format!(
                    "the layout `{name}` is unknown: expected it in `views/layouts`"
                ))
            })?),
        };
        let template = source.template(&self.site.parser)?;
        let layout = match layout {
            Some(layout) => Some(layout.template(&self.site.parser)?),
            None => None,
        };

        let globals = self.globals(front, globals);
        let before = session.savepoint();
        let content = session.render_bound(template, &session.bind(&globals))?;
        let Some(layout) = layout else {
            return Ok(content);
        };
        let bound = session.bind(&globals).with("content_for_layout", content);
        session
            .render_bound(layout, &bound)
            .inspect_err(|_| session.roll_back(&before))
    }

    fn globals(&self, front: &Front, globals: &Object) -> Object {
        let mut globals = globals.clone();
        let context = globals
            .entry("context")
            .or_insert_with(|| LiquidValue::Object(Object::new()));
        let LiquidValue::Object(context) = context else {
            return globals;
        };
        let metadata = liquid_core::model::to_value(&front.metadata).unwrap_or_default();
        context.entry("page").or_insert_with(|| {
            LiquidValue::Object(liquid_core::object!({
                "slug": front.path.trim_start_matches('/'),
                "format": front.format,
                "metadata": metadata,
            }))
        });
        if !self.params.is_empty() {
            let params = context
                .entry("params")
                .or_insert_with(|| LiquidValue::Object(Object::new()));
            if let LiquidValue::Object(params) = params {
                for (name, text) in &self.params {
                    params
                        .entry(name.clone())
                        .or_insert_with(|| LiquidValue::scalar(text.clone()));
                }
            }
        }
        globals
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("method", &self.method())
            .field("path", &self.path())
            .field("file", &self.file())
            .finish_non_exhaustive()
    }
}

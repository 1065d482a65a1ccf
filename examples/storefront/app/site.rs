//! The folder of templates: read, parsed, and read again when a file has changed.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use liquid::model::Object;
use liquid::partials::{EagerCompiler, InMemorySource};
use liquid::{ParserBuilder, Template, object};
use liquid_session::{Error, ParserBuilderExt as _, Session};
use serde::Deserialize;

/// A folder with `views/pages`, `views/layouts` and `views/partials`.
pub(crate) struct Folder {
    views: PathBuf,
    site: Mutex<(Stamp, Arc<Site>)>,
}

/// How many files there are, and when one of them was changed last.
type Stamp = (usize, Option<SystemTime>);

type LoadError = Box<dyn StdError + Send + Sync>;

impl Folder {
    pub(crate) fn open(site: &Path) -> Result<Self, LoadError> {
        let views = site.join("views");
        let files = files_below(&views).map_err(|error| format!("{}: {error}", views.display()))?;
        let site = Arc::new(Site::load(&views, &files)?);
        Ok(Self {
            site: Mutex::new((stamp(&files)?, site)),
            views,
        })
    }

    /// The site as it is on disk by now, so that an edited template shows on reload. It asks the
    /// file system at every request: in production one would rather read the folder once.
    pub(crate) fn site(&self) -> Result<Arc<Site>, LoadError> {
        let files = files_below(&self.views)?;
        let now = stamp(&files)?;
        let mut site = self.site.lock().unwrap_or_else(PoisonError::into_inner);
        if site.0 != now {
            *site = (now, Arc::new(Site::load(&self.views, &files)?));
        }
        Ok(site.1.clone())
    }
}

/// All pages, by path and then by method.
pub(crate) struct Site(HashMap<String, HashMap<String, Arc<Page>>>);

pub(crate) struct Page {
    pub(crate) front: FrontMatter,
    template: Template,
    layout: Option<Arc<Template>>,
}

/// The YAML between two lines of `---` at the top of a page.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FrontMatter {
    /// The path without its first `/`; by default it is where the file lies.
    slug: Option<String>,
    method: String,
    /// What the path ends in, unless it is `html`.
    format: String,
    /// Empty for none.
    layout: String,
    /// Where the browser goes when the page has run; it shows nothing itself.
    pub(crate) redirect_to: Option<String>,
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Metadata {
    title: String,
}

impl Default for FrontMatter {
    fn default() -> Self {
        Self {
            slug: None,
            method: "get".to_owned(),
            format: "html".to_owned(),
            layout: "application".to_owned(),
            redirect_to: None,
            metadata: Metadata::default(),
        }
    }
}

impl Site {
    fn load(views: &Path, files: &[PathBuf]) -> Result<Self, LoadError> {
        let mut partials = InMemorySource::new();
        for (name, file) in named(files, &views.join("partials")) {
            partials.add(name, fs::read_to_string(file)?);
        }
        let parser = ParserBuilder::with_stdlib()
            .sessions()
            .partials(EagerCompiler::new(partials))
            .build()?;

        let mut layouts = HashMap::new();
        for (name, file) in named(files, &views.join("layouts")) {
            let layout = parser
                .parse(&fs::read_to_string(file)?)
                .map_err(|error| format!("layout {name}: {error}"))?;
            layouts.insert(name, Arc::new(layout));
        }

        let mut site = Self(HashMap::new());
        for (name, file) in named(files, &views.join("pages")) {
            let page = Page::parse(&parser, &layouts, &fs::read_to_string(file)?)
                .map_err(|error| format!("page {name}: {error}"))?;
            let methods = site.0.entry(page.front.path(&name)).or_default();
            if methods
                .insert(page.front.method.clone(), Arc::new(page))
                .is_some()
            {
                return Err(format!("page {name}: another page has its slug and method").into());
            }
        }
        Ok(site)
    }

    pub(crate) fn page(&self, method: &str, path: &str) -> Option<Arc<Page>> {
        let page = self.0.get(path)?.get(&method.to_lowercase())?;
        Some(page.clone())
    }
}

impl Page {
    fn parse(
        parser: &liquid::Parser,
        layouts: &HashMap<String, Arc<Template>>,
        text: &str,
    ) -> Result<Self, LoadError> {
        let (front, body) = text
            .strip_prefix("---\n")
            .and_then(|rest| rest.split_once("---\n"))
            .ok_or("expected front matter between two lines of `---`")?;
        let front: FrontMatter = serde_saphyr::from_str(front)?;
        let layout = match &*front.layout {
            "" => None,
            name => Some(layouts.get(name).ok_or(format!("no layout `{name}`"))?),
        };
        Ok(Self {
            template: parser.parse(body)?,
            layout: layout.cloned(),
            front,
        })
    }

    /// Runs the page, and its layout around it, on one session.
    ///
    /// `lenient`, because that is how platformOS's pages are written: `context.params.tab` is nil
    /// when there is none.
    pub(crate) fn render(&self, session: &Session, context: &Object) -> Result<String, Error> {
        let mut context = context.clone();
        let title = &*self.front.metadata.title;
        let page = object!({ "metadata": { "title": title } });
        context.insert("page".into(), page.into());
        let globals = object!({ "context": context });

        let content = session.render_bound(&self.template, &session.bind(&globals).lenient())?;
        match &self.layout {
            // Nobody sees the layout of a page that redirects, and it would use up the message that
            // is meant for the page after.
            Some(layout) if self.front.redirect_to.is_none() => {
                let bound = session.bind(&globals).with("content_for_layout", content);
                session.render_bound(layout, &bound.lenient())
            }
            _ => Ok(content),
        }
    }

    pub(crate) fn content_type(&self) -> &'static str {
        match &*self.front.format {
            "css" => "text/css; charset=utf-8",
            "json" => "application/json",
            _ => "text/html; charset=utf-8",
        }
    }
}

impl FrontMatter {
    fn path(&self, name: &str) -> String {
        match (self.slug.as_deref().unwrap_or(name), &*self.format) {
            ("index", "html") => "/".to_owned(),
            (slug, "html") => format!("/{slug}"),
            (slug, format) => format!("/{slug}.{format}"),
        }
    }
}

/// The templates in a folder and below it, by their paths without `.liquid`.
fn named<'f>(files: &'f [PathBuf], folder: &Path) -> impl Iterator<Item = (String, &'f PathBuf)> {
    files.iter().filter_map(move |file| {
        let path = file.strip_prefix(folder).ok()?;
        let name = path.to_str()?.strip_suffix(".liquid")?;
        Some((name.replace('\\', "/"), file))
    })
}

fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}

fn stamp(files: &[PathBuf]) -> io::Result<Stamp> {
    let mut latest = None;
    for file in files {
        latest = latest.max(Some(fs::metadata(file)?.modified()?));
    }
    Ok((files.len(), latest))
}

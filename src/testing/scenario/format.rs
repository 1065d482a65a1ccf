//! The format of a scenario file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use liquid_core::Object;
use serde::de::{self, Deserialize, Deserializer};
use serde_saphyr::Spanned;

use crate::config::SessionConfig;
use crate::error::Shown;
use crate::template::ParserBuilderExt as _;
use crate::views::{self, Views};

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) about: String,
    #[serde(default)]
    pub(super) sessions: SessionConfig,
    #[serde(default)]
    pub(super) dialect: bool,
    #[serde(default)]
    pub(super) strict: bool,
    #[serde(default, deserialize_with = "given")]
    views: Option<Spanned<PathBuf>>,
    /// The folder of `views`.
    #[serde(skip)]
    pub(super) site: Option<Views>,
    #[serde(default)]
    pub(super) partials: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) layouts: BTreeMap<String, String>,
    #[serde(deserialize_with = "one_or_more")]
    pub(super) requests: Vec<Spanned<Entry>>,
}

/// The keys of a request. Optional ones are read by [`given`]: an expectation without a value would
/// check nothing, without a word to its author.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    #[serde(default, deserialize_with = "given")]
    page: Option<String>,
    #[serde(default, deserialize_with = "given")]
    file: Option<Spanned<PathBuf>>,
    #[serde(default, deserialize_with = "given")]
    pub(super) layout: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "given")]
    visit: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "given")]
    method: Option<Method>,
    #[serde(default, deserialize_with = "given")]
    params: Option<Globals>,
    #[serde(default)]
    pub(super) globals: Globals,
    #[serde(default)]
    pub(super) browser: Browser,
    #[serde(default, deserialize_with = "given")]
    pub(super) cookie: Option<String>,
    #[serde(default)]
    pub(super) https: Https,
    #[serde(default)]
    pub(super) wait: Wait,
    #[serde(default, deserialize_with = "given")]
    pub(super) login: Option<String>,
    #[serde(default)]
    pub(super) logout: bool,
    #[serde(default)]
    pub(super) renew: bool,
    #[serde(default, deserialize_with = "given")]
    pub(super) revoke_user: Option<String>,
    #[serde(default)]
    pub(super) lenient: bool,
    #[serde(default, deserialize_with = "given")]
    parallel: Option<Vec<Request>>,
    #[serde(default)]
    pub(super) transaction: bool,
    #[serde(default, deserialize_with = "given")]
    pub(super) expect: Option<String>,
    #[serde(default, deserialize_with = "given")]
    pub(super) expect_error: Option<String>,
    #[serde(default, deserialize_with = "given")]
    pub(super) expect_not: Option<String>,
    #[serde(default, deserialize_with = "given")]
    pub(super) expect_redirect: Option<String>,
    #[serde(default, deserialize_with = "given")]
    pub(super) expect_session: Option<BTreeMap<String, serde_json::Value>>,
    #[serde(default, deserialize_with = "given")]
    pub(super) expect_loads: Option<u64>,
    #[serde(default, deserialize_with = "given")]
    pub(super) expect_writes: Option<u64>,
    #[serde(default, deserialize_with = "given")]
    pub(super) expect_cookie: Option<SetCookie>,
}

/// The keys beside `parallel`. All others belong to its two requests.
const BESIDE_PARALLEL: &[&str] = &["transaction", "wait", "browser", "expect_session"];

/// The keys that a request of `parallel` can't have: both have them in common, or they depend on the
/// order.
const NOT_IN_PARALLEL: &[&str] = &[
    "parallel",
    "transaction",
    "wait",
    "browser",
    "expect_session",
    "expect_loads",
    "expect_writes",
];

impl Written {
    /// The keys with a value other than the default.
    fn keys(&self) -> impl Iterator<Item = &'static str> {
        [
            ("page", self.page.is_some()),
            ("file", self.file.is_some()),
            ("layout", self.layout.is_some()),
            ("visit", self.visit.is_some()),
            ("method", self.method.is_some()),
            ("params", self.params.is_some()),
            ("globals", !self.globals.0.is_empty()),
            ("browser", self.browser.0 != Browser::default().0),
            ("cookie", self.cookie.is_some()),
            ("https", !self.https.0),
            ("wait", !self.wait.0.is_zero()),
            ("login", self.login.is_some()),
            ("logout", self.logout),
            ("renew", self.renew),
            ("revoke_user", self.revoke_user.is_some()),
            ("lenient", self.lenient),
            ("parallel", self.parallel.is_some()),
            ("transaction", self.transaction),
            ("expect", self.expect.is_some()),
            ("expect_error", self.expect_error.is_some()),
            ("expect_not", self.expect_not.is_some()),
            ("expect_redirect", self.expect_redirect.is_some()),
            ("expect_session", self.expect_session.is_some()),
            ("expect_loads", self.expect_loads.is_some()),
            ("expect_writes", self.expect_writes.is_some()),
            ("expect_cookie", self.expect_cookie.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, given)| given.then_some(key))
    }
}

/// An entry of `requests`.
#[derive(Debug, serde::Deserialize)]
#[serde(try_from = "Written")]
pub(super) enum Entry {
    Single(Box<Request>),
    Parallel(Box<Parallel>),
}

impl Entry {
    fn requests_mut(&mut self) -> &mut [Request] {
        match self {
            Self::Single(request) => std::slice::from_mut(&mut **request),
            Self::Parallel(parallel) => &mut parallel.requests,
        }
    }
}

impl TryFrom<Written> for Entry {
    type Error = String;

    fn try_from(mut written: Written) -> Result<Self, Self::Error> {
        let Some(requests) = written.parallel.take() else {
            if written.transaction {
                return Err(
                    "`transaction` belongs beside `parallel`, found a single request".into(),
                );
            }
            return Request::try_from(written).map(|request| Self::Single(Box::new(request)));
        };
        let requests: [Request; 2] = requests.try_into().map_err(|requests: Vec<_>| {
            format!("`parallel` has two requests, found {}", requests.len())
        })?;
        if let Some(key) = written.keys().find(|key| !BESIDE_PARALLEL.contains(key)) {
            return Err(format!(
                "`{key}` belongs to one of the two requests, found it beside `parallel`"
            ));
        }
        let keys = requests.iter().flat_map(|request| request.written.keys());
        if let Some(key) = keys.into_iter().find(|key| NOT_IN_PARALLEL.contains(key)) {
            return Err(if BESIDE_PARALLEL.contains(&key) {
                format!("`{key}` belongs beside `parallel`, found it in one of the two requests")
            } else {
                format!("a request of `parallel` can't have `{key}`")
            });
        }
        Ok(Self::Parallel(Box::new(Parallel { requests, written })))
    }
}

/// Two requests of one browser at the same time.
#[derive(Debug)]
pub(super) struct Parallel {
    pub(super) requests: [Request; 2],
    /// What they have in common.
    pub(super) written: Written,
}

/// A request with its page. [`File::read`] fills in a page that is in a file.
#[derive(Debug, serde::Deserialize)]
#[serde(try_from = "Written")]
pub(super) struct Request {
    pub(super) page: Page,
    pub(super) written: Written,
}

#[derive(Debug)]
pub(super) enum Page {
    /// A template.
    Source(String),
    /// A page of the views.
    Visit(Box<views::Page>),
}

impl TryFrom<Written> for Request {
    type Error = String;

    fn try_from(mut written: Written) -> Result<Self, Self::Error> {
        let sources: Vec<_> = written
            .keys()
            .filter(|key| ["page", "file", "visit"].contains(key))
            .collect();
        match sources[..] {
            [_] => {}
            [] => {
                return Err(
                    "a request needs its template: `page`, `file` with a path, or `visit` with the path of a page"
                        .to_owned(),
                );
            }
            [one, other, ..] => {
                return Err(format!(
                    "a request has one of `page`, `file` and `visit`, found both `{one}` and `{other}`"
                ));
            }
        }
        if written.visit.is_some() {
            if let Some(key) = written
                .keys()
                .find(|key| ["layout", "lenient"].contains(key))
            {
                return Err(format!(
                    "`{key}` has no effect on a `visit`, whose page is as the views say"
                ));
            }
        } else if let Some(key) = written
            .keys()
            .find(|key| ["method", "expect_redirect"].contains(key))
        {
            return Err(format!(
                "`{key}` belongs to a `visit`, found it beside a template"
            ));
        }
        if let Some(Globals(params)) = written.params.take() {
            let context = written
                .globals
                .0
                .entry("context")
                .or_insert_with(|| liquid_core::Value::Object(Object::new()));
            let liquid_core::Value::Object(context) = context else {
                return Err(
                    "`params` need an object as the `context` of `globals`, found another value"
                        .to_owned(),
                );
            };
            context.insert("params".into(), liquid_core::Value::Object(params));
        }
        let page = Page::Source(written.page.take().unwrap_or_default());
        Ok(Self { page, written })
    }
}

impl Request {
    /// Reads a page that is in a file or in the views.
    fn find_page(&mut self, folder: &Path, site: Option<&Views>) -> Result<(), String> {
        if let Some(path) = &self.written.file {
            let source = std::fs::read_to_string(folder.join(&path.value)).map_err(|why| {
                let name = path.value.display();
                at(path, &format!("the page `{name}` can't be read: {why}"))
            })?;
            self.page = Page::Source(source);
        }
        if let Some(path) = &self.written.visit {
            let method = self.written.method.as_ref().map_or("get", Method::name);
            let Some(site) = site else {
                return Err(at(path, "`visit` needs the scenario's `views`, found none"));
            };
            let page = site
                .page(method, &path.value)
                .ok_or_else(|| at(path, &unknown_page(site, method, &path.value)))?;
            self.page = Page::Visit(Box::new(page));
        }
        Ok(())
    }
}

fn unknown_page(site: &Views, method: &str, path: &str) -> String {
    let (method, shown) = (method.to_uppercase(), Shown(path));
    let mut problem = format!("the views have no page for {method} `{shown}`");
    if path.contains('?') {
        problem += ": write the query as `params`";
        return problem;
    }
    let methods = site.methods(path);
    if !methods.is_empty() {
        problem += &format!(", only for {}", methods.join(", "));
        return problem;
    }
    let pages = site.pages();
    let near = pages
        .iter()
        .map(|page| (strsim::damerau_levenshtein(page.path(), path), page.path()))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    if let Some((_, near)) = near {
        problem += &format!("; did you mean `{}`?", Shown(near));
    }
    problem
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    fn name(&self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

/// The effect of the `Set-Cookie` of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SetCookie {
    /// Sets the cookie.
    Set,
    /// Removes the cookie.
    Removed,
    /// The response has no `Set-Cookie`.
    None,
}

impl std::fmt::Display for SetCookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Set => "set",
            Self::Removed => "removed",
            Self::None => "none",
        })
    }
}

/// The variables of a page.
#[derive(Debug, Default)]
pub(super) struct Globals(pub(super) Object);

impl<'de> Deserialize<'de> for Globals {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = serde_json::Map::deserialize(deserializer)?;
        // Not by liquid's `Deserialize`, which turns texts that look like dates into dates.
        match liquid_core::model::to_value(&json) {
            Ok(liquid_core::Value::Object(globals)) => Ok(Self(globals)),
            Ok(_) => Err(de::Error::custom("expected variables by name")),
            Err(why) => Err(de::Error::custom(why)),
        }
    }
}

/// The name of a cookie jar.
#[derive(Debug, serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Browser(pub(super) String);

impl Default for Browser {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

#[derive(Debug, serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Https(pub(super) bool);

impl Default for Https {
    fn default() -> Self {
        Self(true)
    }
}

/// `90s`, `31m`, `2h`, `30d`.
#[derive(Debug, Default)]
pub(super) struct Wait(pub(super) Duration);

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let seconds = text
            .split_at_checked(text.len().saturating_sub(1))
            .and_then(|(number, unit)| {
                let unit = match unit {
                    "s" => 1,
                    "m" => 60,
                    "h" => 60 * 60,
                    "d" => 24 * 60 * 60,
                    _ => return None,
                };
                number.parse::<u64>().ok()?.checked_mul(unit)
            });
        match seconds {
            Some(seconds) => Ok(Self(Duration::from_secs(seconds))),
            None => Err(de::Error::custom(format!(
                "expected a time such as 90s, 31m, 2h or 30d, found `{text}`"
            ))),
        }
    }
}

fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    match Option::deserialize(deserializer)? {
        Some(value) => Ok(Some(value)),
        None => Err(de::Error::custom(
            "expected a value after the key, found none: write \"\" for an empty text, or leave the key out",
        )),
    }
}

/// Returns the known key that a typo is nearest to.
fn nearest<'k>(typo: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    known
        .map(|known| (strsim::damerau_levenshtein(typo, known), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 2)
        .map(|(_, known)| known)
}

/// Explains the most common mistakes: a typo in a key, and `page: {{ a }}`, which is a mapping to YAML.
fn explain(why: &serde_saphyr::Error) -> String {
    let why = why.to_string();
    if let Some((before, rest)) = why.split_once("unknown field `")
        && let Some((typo, rest)) = rest.split_once("`, expected one of ")
        && let Some((known, place)) = rest.split_once(" at line ")
        && let Some(near) = nearest(typo, known.split(", "))
    {
        return format!("{before}unknown key `{typo}` (did you mean `{near}`?) at line {place}");
    }
    match why.strip_prefix("expected string scalar") {
        Some(place) => format!(
            "expected a text, found something else: YAML reads braces itself, so a template needs quotes around it, or lines of its own after `|`{place}"
        ),
        None => why,
    }
}

fn one_or_more<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Spanned<Entry>>, D::Error> {
    let requests = Vec::deserialize(deserializer)?;
    if requests.is_empty() {
        return Err(de::Error::custom(
            "expected one request or more, found none",
        ));
    }
    Ok(requests)
}

impl File {
    /// Reads a scenario, and the pages in files, whose paths are relative to `folder`.
    pub(super) fn read(yaml: &str, folder: &Path) -> Result<Self, String> {
        let options = serde_saphyr::options! {
            // The core schema of YAML 1.2: `no`, `on` and `1_000` are texts.
            strict_booleans: true,
            underscored_numbers_as_strings: true,
            with_snippet: false,
        };
        let mut file: Self =
            serde_saphyr::from_str_with_options(yaml, options).map_err(|why| explain(&why))?;
        if let Some(path) = &file.views {
            if !file.partials.is_empty() {
                return Err(at(path, "`partials` are those of the `views`, found both"));
            }
            let strict = file.strict;
            let opened = Views::open_with(folder.join(&path.value), move |builder| {
                if strict {
                    builder.strict_sessions()
                } else {
                    builder
                }
            });
            file.site = Some(opened.map_err(|why| at(path, &why.to_string()))?);
            file.dialect = true;
        }
        let entries = file.requests.iter_mut().map(|entry| &mut entry.value);
        for request in entries.flat_map(Entry::requests_mut) {
            request.find_page(folder, file.site.as_ref())?;
            if let Some(layout) = &request.written.layout
                && !file.layouts.contains_key(&layout.value)
            {
                let known: Vec<_> = file.layouts.keys().map(String::as_str).collect();
                let problem = format!(
                    "unknown layout `{}` (`layouts` has: {})",
                    layout.value,
                    known.join(", ")
                );
                return Err(at(layout, &problem));
            }
        }
        Ok(file)
    }
}

fn at<T>(place: &Spanned<T>, problem: &str) -> String {
    let (line, column) = (place.defined.line(), place.defined.column());
    format!("{problem} at line {line}, column {column}")
}

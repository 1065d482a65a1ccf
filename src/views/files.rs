//! The files of a site: their names, their front matter, their sources.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Map, Value as Json};

use crate::error::{Error, ErrorKind};

/// What a template is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Page,
    Layout,
    Partial,
    /// A template that another part of platformOS runs: a form, an e-mail, a policy.
    Other,
}

/// A template of the site.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) kind: Kind,
    /// The name that other templates call it by.
    pub(crate) name: String,
    /// The path below the folder, with `/`.
    pub(crate) shown: String,
    /// The source, without front matter.
    pub(crate) body: String,
    /// How many lines the front matter takes.
    pub(crate) lines_before: usize,
    /// The line of the front matter that names the layout, and its number.
    #[cfg(feature = "cli")]
    pub(crate) layout_line: (usize, String),
    /// The front matter, or what is wrong with it.
    pub(crate) front: Result<Front, String>,
}

/// The front matter of a page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Front {
    /// The path, with its first `/`.
    pub(crate) path: String,
    /// In lower case.
    pub(crate) method: String,
    pub(crate) format: String,
    /// `None` if the page does not say which; empty for none.
    pub(crate) layout: Option<String>,
    pub(crate) redirect_to: Option<String>,
    pub(crate) metadata: Map<String, Json>,
}

/// The files, their sizes, and when each was changed.
pub(super) type Stamp = Vec<(PathBuf, u64, Option<SystemTime>)>;

/// A folder of templates, and what is in front of their names.
struct Room {
    folder: PathBuf,
    kind: Kind,
    prefix: String,
}

/// The folders of an application or a module that hold templates.
const ROOMS: &[(&str, Kind, &str)] = &[
    ("views/pages", Kind::Page, ""),
    ("views/layouts", Kind::Layout, ""),
    ("views/partials", Kind::Partial, ""),
    ("lib", Kind::Partial, "lib/"),
    ("forms", Kind::Other, "forms/"),
    ("form_configurations", Kind::Other, "forms/"),
    ("authorization_policies", Kind::Other, "policies/"),
    ("emails", Kind::Other, "emails/"),
    ("smses", Kind::Other, "smses/"),
    ("api_calls", Kind::Other, "api_calls/"),
    ("notifications", Kind::Other, "notifications/"),
];

/// Reads all templates of a folder, in the order of their paths.
pub(crate) fn read(folder: &Path) -> Result<Vec<File>, Error> {
    let mut files: Vec<File> = Vec::new();
    for (path, name, kind) in list(folder)? {
        let bytes = fs::read(&path).map_err(|why| unreadable(&path, &why))?;
        let text = String::from_utf8_lossy(&bytes);
        let shown = path.strip_prefix(folder).unwrap_or(&path);
        files.push(File::new(kind, name, &slashed(shown), &text));
    }
    // Those of `app` come first, and replace the others.
    let mut seen = std::collections::HashSet::new();
    files.retain(|file| seen.insert((file.kind, file.name.clone())));
    files.sort_by(|a, b| a.shown.cmp(&b.shown));
    if files.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            format!(
                "{}: expected templates in `views/pages`, `views/layouts`, `views/partials` or `lib`, there or in `app`, found none",
                folder.display()
            ),
        ));
    }
    Ok(files)
}

pub(super) fn stamp(folder: &Path) -> Result<Stamp, Error> {
    list(folder)?
        .into_iter()
        .map(|(path, ..)| {
            let meta = fs::metadata(&path).map_err(|why| unreadable(&path, &why))?;
            Ok((path, meta.len(), meta.modified().ok()))
        })
        .collect()
}

fn unreadable(path: &Path, why: &io::Error) -> Error {
    Error::new(ErrorKind::Config, format!("{}: {why}", path.display()))
}

/// Every template: its file, its name and its kind.
fn list(folder: &Path) -> Result<Vec<(PathBuf, String, Kind)>, Error> {
    let mut found = Vec::new();
    for room in rooms(folder)? {
        let mut files = Vec::new();
        below(&room.folder, &mut files).map_err(|why| unreadable(&room.folder, &why))?;
        files.sort();
        for path in files {
            let inner = slashed(path.strip_prefix(&room.folder).unwrap_or(&path));
            if let Some(name) = inner.strip_suffix(".liquid") {
                let name = name.strip_suffix(".html").unwrap_or(name);
                let (name, kind) = room.named(name);
                let name = format!("{}{name}", room.prefix);
                found.push((path, name, kind));
            }
        }
    }
    Ok(found)
}

impl Room {
    /// The name and the kind of a file. `_row.liquid` is the partial `row`; among the layouts it is
    /// the partial `layouts/row`.
    fn named(&self, name: &str) -> (String, Kind) {
        let (folder, base) = match name.rsplit_once('/') {
            Some((folder, base)) => (format!("{folder}/"), base),
            None => (String::new(), name),
        };
        match (self.kind, base.strip_prefix('_')) {
            (Kind::Partial, Some(base)) => (format!("{folder}{base}"), Kind::Partial),
            (Kind::Layout, Some(base)) => (format!("layouts/{folder}{base}"), Kind::Partial),
            _ => (name.to_owned(), self.kind),
        }
    }
}

fn rooms(folder: &Path) -> Result<Vec<Room>, Error> {
    fs::read_dir(folder).map_err(|why| unreadable(folder, &why))?;
    let app = folder.join("app");
    let base = if app.is_dir() { &app } else { folder };
    let mut rooms = Vec::new();
    rooms_of(base, "", &mut rooms);
    let mut places = vec![folder.join("modules")];
    if app.is_dir() {
        places.insert(0, app.join("modules"));
    }
    for modules in places {
        if !modules.is_dir() {
            continue;
        }
        let mut names: Vec<PathBuf> = fs::read_dir(&modules)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
            .map_err(|why| unreadable(&modules, &why))?;
        names.sort();
        for module in names {
            let name = module.file_name().unwrap_or_default().to_string_lossy();
            let prefix = format!("modules/{name}/");
            rooms_of(&module.join("public"), &prefix, &mut rooms);
            rooms_of(&module.join("private"), &prefix, &mut rooms);
        }
    }
    Ok(rooms)
}

fn rooms_of(base: &Path, prefix: &str, rooms: &mut Vec<Room>) {
    for (below, kind, own) in ROOMS {
        let folder = base.join(below);
        if folder.is_dir() {
            let prefix = format!("{prefix}{own}");
            rooms.push(Room {
                folder,
                kind: *kind,
                prefix,
            });
        }
    }
}

fn below(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            below(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn slashed(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

/// The other name of a partial in `lib`, which is called with and without it.
pub(super) fn other_name(name: &str) -> Option<String> {
    if let Some(rest) = name.strip_prefix("lib/") {
        return Some(rest.to_owned());
    }
    let (module, rest) = name.strip_prefix("modules/")?.split_once("/lib/")?;
    (!module.contains('/')).then(|| format!("modules/{module}/{rest}"))
}

impl File {
    fn new(kind: Kind, name: String, shown: &str, text: &str) -> Self {
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        let (yaml, body) = split(text);
        let lines_before = text[..text.len() - body.len()].matches('\n').count();
        #[cfg(feature = "cli")]
        let layout_line = {
            let mut lines = text.lines().take(lines_before).enumerate();
            let found = lines.find(|(_, line)| line.starts_with("layout"));
            let (number, line) = found.unwrap_or((0, "---"));
            (number + 1, line.to_owned())
        };
        let front = match yaml {
            Some(yaml) => read_front(yaml),
            None => Ok(Map::new()),
        };
        let front = front.and_then(|front| Front::new(&front, &name));
        Self {
            kind,
            shown: shown.to_owned(),
            body: body.to_owned(),
            lines_before,
            #[cfg(feature = "cli")]
            layout_line,
            front,
            name,
        }
    }

    pub(crate) fn place(&self) -> crate::dialect::Place {
        crate::dialect::Place {
            file: self.shown.clone(),
            lines_before: self.lines_before,
        }
    }

    /// Every name that other templates may call it by.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        [Some(self.name.clone()), other_name(&self.name)]
            .into_iter()
            .flatten()
    }
}

/// Divides a source into front matter, if it has one, and the rest.
fn split(text: &str) -> (Option<&str>, &str) {
    let mut lines = text.split_inclusive('\n');
    let Some(first) = lines.next().filter(|line| line.trim_end() == "---") else {
        return (None, text);
    };
    let mut at = first.len();
    for line in lines {
        if line.trim_end() == "---" {
            return (Some(&text[first.len()..at]), &text[at + line.len()..]);
        }
        at += line.len();
    }
    (None, text)
}

fn read_front(yaml: &str) -> Result<Map<String, Json>, String> {
    if yaml.trim().is_empty() {
        return Ok(Map::new());
    }
    let options = serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Option<Map<String, Json>>>(yaml, options)
        .map(Option::unwrap_or_default)
        .map_err(|why| why.to_string())
}

impl Front {
    fn new(keys: &Map<String, Json>, name: &str) -> Result<Self, String> {
        let text = |key: &str| match keys.get(key) {
            None => Ok(None),
            Some(Json::Null) => Ok(Some(String::new())),
            Some(Json::String(text)) => Ok(Some(text.trim().to_owned())),
            Some(Json::Number(number)) => Ok(Some(number.to_string())),
            Some(Json::Bool(bool)) => Ok(Some(bool.to_string())),
            Some(_) => Err(format!("`{key}`: expected a text")),
        };
        // The name of a module's page is not part of its path.
        let name = match name
            .strip_prefix("modules/")
            .and_then(|n| n.split_once('/'))
        {
            Some((_, inner)) => inner,
            None => name,
        };
        let (name, ending) = match name.rsplit_once('.') {
            Some((name, ending)) if !ending.contains('/') => (name, Some(ending)),
            _ => (name, None),
        };
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let format = given(text("format")?).unwrap_or_else(|| ending.unwrap_or("html").to_owned());
        let slug = given(text("slug")?).unwrap_or_else(|| name.to_owned());
        let method = given(text("method")?).unwrap_or_else(|| "get".to_owned());
        let layout = match text("layout")? {
            None => text("layout_name")?,
            layout => layout,
        };
        Ok(Self {
            path: path_of(&slug, &format),
            method: method.to_lowercase(),
            format,
            layout,
            redirect_to: given(text("redirect_to")?),
            metadata: match keys.get("metadata") {
                Some(Json::Object(metadata)) => metadata.clone(),
                _ => Map::new(),
            },
        })
    }
}

fn path_of(slug: &str, format: &str) -> String {
    let slug = slug.trim_matches('/');
    if format != "html" {
        return format!("/{slug}.{format}");
    }
    match slug {
        "index" | "home" => "/".to_owned(),
        slug => format!("/{}", slug.strip_suffix("/index").unwrap_or(slug)),
    }
}

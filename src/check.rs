//! What the templates of a site do with the session, and what is wrong with it: `liquid-session check`.
//!
//! ```
//! use liquid_session::check::{Kind, check};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::env::temp_dir().join(format!("check-{}", std::process::id()));
//! # std::fs::create_dir_all(folder.join("views/pages"))?;
//! # std::fs::write(folder.join("views/pages/cart.liquid"),
//! #     "{% session cart = 1 %}{% if context.session.cart %}{{ context.session.crat | json }}{% endif %}")?;
//! let report = check(&folder)?;
//! let finding = report.findings.iter().find(|finding| !finding.kind.is_note()).ok_or("none")?;
//! assert_eq!(finding.kind, Kind::NeverWritten);
//! assert_eq!((finding.line, finding.column), (1, 55));
//! assert!(finding.message.contains("did you mean `cart`?"));
//! # std::fs::remove_dir_all(folder)?;
//! # Ok(()) }
//! ```
//!
//! Each kind of finding is on the guide's page [findings](crate::guide::findings), with a wrong and a
//! right template.

mod facts;
mod findings;
mod platform;
mod settings;
mod site;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use crate::error::Error;

/// The file in the folder that says what the templates can't: see the guide's page
/// [findings](crate::guide::findings).
pub const SETTINGS: &str = "liquid-session.yml";

/// What is wrong, or worth knowing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// The template does not parse, or its front matter can't be read.
    Syntax,
    /// A partial or a layout that is not in the folder.
    MissingPartial,
    /// A key that is read, and that nothing writes.
    NeverWritten,
    /// A key that is written, and that nothing reads.
    NeverRead,
    /// `session.key`, where `context.session.key` is meant.
    SessionRoot,
    /// A session value from a variable that nothing sets.
    UnknownVariable,
    /// A key that can't be written.
    ReservedKey,
    /// A key whose name says that its value does not belong in a session.
    SensitiveKey,
    /// A value of the session, printed into HTML without `escape` or `json`.
    Unescaped,
    /// A value computed from its own old one, which is exact in a transaction only.
    OwnValue,
    /// A page that answers `GET` and writes, or whose layout reads the session: it can't be cached.
    Uncacheable,
    /// A key that is computed.
    DynamicKey,
    /// A partial whose name is computed, or that belongs to a module outside the folder.
    NotFollowed,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Syntax,
        Self::MissingPartial,
        Self::NeverWritten,
        Self::NeverRead,
        Self::SessionRoot,
        Self::UnknownVariable,
        Self::ReservedKey,
        Self::SensitiveKey,
        Self::Unescaped,
        Self::OwnValue,
        Self::Uncacheable,
        Self::DynamicKey,
        Self::NotFollowed,
    ];

    /// Returns the name in output and options, such as `never-written`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::MissingPartial => "missing-partial",
            Self::NeverWritten => "never-written",
            Self::NeverRead => "never-read",
            Self::SessionRoot => "session-root",
            Self::UnknownVariable => "unknown-variable",
            Self::ReservedKey => "reserved-key",
            Self::SensitiveKey => "sensitive-key",
            Self::Unescaped => "unescaped",
            Self::OwnValue => "own-value",
            Self::Uncacheable => "uncacheable",
            Self::DynamicKey => "dynamic-key",
            Self::NotFollowed => "not-followed",
        }
    }

    /// Whether it is worth knowing, rather than wrong.
    pub fn is_note(self) -> bool {
        matches!(
            self,
            Self::Uncacheable | Self::DynamicKey | Self::NotFollowed
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One finding, and its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The path of the file below the folder.
    pub file: String,
    /// The line, from 1; front matter counts.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The kind.
    pub kind: Kind,
    /// What is wrong, and what to do.
    pub message: String,
    /// The line itself.
    pub source: String,
}

/// What a page does, with its layout and all partials.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct PageUse {
    /// The method, in upper case.
    pub method: String,
    /// The path, or its pattern.
    pub path: String,
    /// The path of the file below the folder.
    pub file: String,
    /// The keys that it reads; `*` for all or for a computed key.
    pub reads: BTreeSet<String>,
    /// The keys that it writes or removes.
    pub writes: BTreeSet<String>,
}

/// Where a key is read and written, as `file:line`.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct KeyUse {
    /// The key.
    pub key: String,
    /// Where it is read.
    pub reads: Vec<String>,
    /// Where it is written or removed.
    pub writes: Vec<String>,
}

/// What a site does with the session.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The number of templates.
    pub templates: usize,
    /// The pages, in the order of their files.
    pub pages: Vec<PageUse>,
    /// The keys, in order.
    pub keys: Vec<KeyUse>,
    /// The findings and notes, by file and line.
    pub findings: Vec<Finding>,
}

/// Reads all templates of a site in the layout of [`views`](crate::views), and its [`SETTINGS`].
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config): the folder, a file or the settings can't be read,
/// or there is no template. A template that does not parse is a finding.
pub fn check(folder: impl AsRef<Path>) -> Result<Report, Error> {
    let folder = folder.as_ref();
    let settings = settings::Settings::read(folder)?;
    let files = crate::views::read(folder)?;
    let site = site::Site::new(&files, &settings);
    findings::report(&site, &settings)
}

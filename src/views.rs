//! A folder of views: a site's pages, layouts and partials, as platformOS lays them out.
//!
//! ```
//! use liquid_session::views::Views;
//! use liquid_session::{MemoryStore, SessionConfig, Sessions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::env::temp_dir().join(format!("views-{}", std::process::id()));
//! # std::fs::create_dir_all(folder.join("views/pages"))?;
//! # std::fs::write(folder.join("views/pages/hello.liquid"), "---\nmethod: get\n---\n\
//! #     {% session name = context.params.name %}Hello {{ context.session.name | escape }}")?;
//! let views = Views::open(&folder)?;
//! let page = views.page("get", "/hello").ok_or("no such page")?;
//!
//! let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
//! let globals = liquid::object!({ "context": { "params": { "name": "Ann" } } });
//! assert_eq!(page.render(&sessions.open(None), &globals)?, "Hello Ann");
//! # std::fs::remove_dir_all(folder)?;
//! # Ok(()) }
//! ```
//!
//! # The folder
//!
//! | files | what they are |
//! |---|---|
//! | `views/pages/**.liquid` | pages |
//! | `views/layouts/**.liquid` | layouts; their output of the page is `content_for_layout` |
//! | `views/partials/**.liquid` | partials, by their path below the folder; `_row.liquid` is `row` |
//! | `lib/**.liquid` | partials too, as `x` and as `lib/x` |
//! | `modules/NAME/public/…`, `modules/NAME/private/…` | the same folders of a module, under names that begin with `modules/NAME/` |
//!
//! - They are in the folder itself or in its `app`. Files in `app/modules` replace those in `modules`.
//! - Names are without `.liquid` and `.html.liquid`. `style.css.liquid` has the format `css`.
//! - Sources are in the [dialect](crate::dialect). Bytes that are not UTF-8 become U+FFFD.
//!
//! # Front matter
//!
//! A page may begin with YAML between two lines of `---`. Keys that are not listed are ignored.
//!
//! | key | what it is |
//! |---|---|
//! | `slug` | the path without its first `/`; by default the name of the file. `index` is `/`; a part such as `:id` takes any text, which is then in [`Page::params`] |
//! | `method` | `get` by default |
//! | `format` | what the path ends with, unless it is `html` |
//! | `layout` | `application` by default, if there is one; empty for none |
//! | `redirect_to` | where the browser goes after the page, which is then rendered without a layout |
//! | `metadata` | an object for the templates: `context.page.metadata` |

mod files;
mod site;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::Error;
use files::Stamp;
#[cfg(feature = "cli")]
pub(crate) use files::{File, Kind, read};
pub use site::Page;
use site::Site;

/// What a host adds to the parser.
type Setup = Box<dyn Fn(liquid::ParserBuilder) -> liquid::ParserBuilder + Send + Sync>;

/// A folder of views, read and ready: see the [module](self) for its layout.
///
/// - A template that is wrong fails the pages that use it, when they are rendered, and no others.
/// - An error names the file as it is below the folder, with line and column; the lines of front matter
///   count.
/// - Templates are parsed when they are first used.
pub struct Views {
    folder: PathBuf,
    setup: Setup,
    site: Mutex<(Stamp, Arc<Site>)>,
}

impl Views {
    /// Reads a folder. Its parser has the standard library, the dialect and the session tags.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config): the folder or a file in it can't be read, or
    /// there is no template in it.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(folder, |builder| builder)
    }

    /// Reads a folder, with tags and filters of the host: `setup` gets the parser's builder, with what
    /// [`open`](Self::open) registers.
    ///
    /// ```
    /// use liquid_session::ParserBuilderExt as _;
    /// use liquid_session::views::Views;
    ///
    /// let opened = Views::open_with("no/such/folder", |builder| builder.strict_sessions());
    /// assert!(opened.unwrap_err().to_string().starts_with("no/such/folder: "));
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn open_with(
        folder: impl AsRef<Path>,
        setup: impl Fn(liquid::ParserBuilder) -> liquid::ParserBuilder + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let folder = folder.as_ref().to_owned();
        let stamp = files::stamp(&folder)?;
        let site = Arc::new(Site::new(files::read(&folder)?, &setup)?);
        Ok(Self {
            folder,
            setup: Box::new(setup),
            site: Mutex::new((stamp, site)),
        })
    }

    /// Reads the folder again if a file was added, removed or changed, and returns whether one was.
    /// Pages that the caller holds stay as they were.
    ///
    /// It asks the file system about every file: call it in development, before each request.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open); the views are then what they were.
    pub fn refresh(&self) -> Result<bool, Error> {
        let stamp = files::stamp(&self.folder)?;
        if self.site.lock().0 == stamp {
            return Ok(false);
        }
        let site = Arc::new(Site::new(files::read(&self.folder)?, &self.setup)?);
        *self.site.lock() = (stamp, site);
        Ok(true)
    }

    /// Returns the parser: it knows the partials of the folder.
    #[cfg(feature = "testing")]
    pub(crate) fn parser(&self) -> liquid::Parser {
        self.site.lock().1.parser.clone()
    }

    /// Returns the page of a method and a path, such as `get` and `/cart`. `HEAD` finds the page of `GET`.
    /// A fixed path comes before one with a part such as `:id`.
    pub fn page(&self, method: &str, path: &str) -> Option<Page> {
        let site = self.site.lock().1.clone();
        site.page(method, path)
    }

    /// Returns the methods that a path has pages for, in upper case and in order: for `405 Method Not
    /// Allowed`. Empty if there is no page.
    pub fn methods(&self, path: &str) -> Vec<String> {
        let site = self.site.lock().1.clone();
        site.methods(path)
    }

    /// Returns all pages, in the order of their files.
    pub fn pages(&self) -> Vec<Page> {
        let site = self.site.lock().1.clone();
        site.pages()
    }
}

impl fmt::Debug for Views {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Views")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

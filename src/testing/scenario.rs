//! Scenarios: requests of one or more browsers against one store, and what must come out.
//!
//! For authors of templates, who test their session flows with them and write no Rust; and for this
//! crate, which tests itself with the same files. A scenario is a YAML file:
//!
//! ```yaml
//! about: the cart survives the way to the checkout
//! partials:
//!   row: "<li>{{ item }}</li>"
//! layouts:
//!   main: "<body>{{ content_for_layout }}</body>"
//! requests:
//!   - page: |
//!       {% session cart = params.add | split: ',' %}{{ context.session.cart.size }}
//!     layout: main
//!     globals: {params: {add: "boots,socks"}}
//!     expect: "<body>2</body>"
//!     expect_cookie: set
//!   - page: "{% render 'row' for context.session.cart as item %}"
//!     expect: "<li>boots</li><li>socks</li>"
//!     expect_loads: 1
//!     expect_writes: 0
//! ```
//!
//! ```sh
//! cargo run --example scenario --features testing -- fixtures/scenarios
//! ```
//!
//! plays a file, or all of a folder, and prints `ok` for each request or a diff of what was expected
//! and what came; with `--json`, one object per request. The last line is `N passed, N failed`. The
//! exit status is 1 when a request failed, and 2 when a scenario can't be read or there is none.
//!
//! # The file
//!
//! | key | what it is |
//! |---|---|
//! | `about` | what the scenario shows; it stands in front of a diff |
//! | `sessions` | the [settings](crate::SessionConfig), `{timeout_minutes: 30}`; the defaults without it |
//! | `dialect` | `true`: all templates are in the [Liquid dialect](crate::dialect) |
//! | `partials` | templates by name, for `include` and `render` |
//! | `layouts` | templates by name, for `layout` |
//! | `requests` | the requests, in order |
//!
//! # A request
//!
//! | key | what it does |
//! |---|---|
//! | `page` | the template |
//! | `file` | the template's path instead, from the folder of the scenario |
//! | `layout` | the layout around the page, which gets the output as `content_for_layout`, without one newline at its end |
//! | `globals` | the variables, also a `context` of one's own; texts stay texts |
//! | `browser` | whose cookie jar; without it, the one of a default browser |
//! | `cookie` | a cookie that is sent instead of the jar's |
//! | `https` | `false` for plain HTTP, which has no session unless `environment: development` |
//! | `wait` | time that passes first: `90s`, `31m`, `2h`, `30d` |
//! | `login` | a user who signs in before the render |
//! | `logout` | `true`: the visitor signs out before the render |
//! | `renew` | `true`: the session gets a new cookie |
//! | `revoke_user` | a user whose sessions all end before the render |
//! | `lenient` | `true`: unknown variables are nil |
//!
//! | key | what must be |
//! |---|---|
//! | `expect` | the output; one newline at the end means nothing |
//! | `expect_error` | parsing, the render or the commit fails, with this in its text |
//! | `expect_not` | neither the output nor the error has this in it |
//! | `expect_session` | what the store holds for the browser afterwards, with its types; `{}` for nothing |
//! | `expect_loads` | how often the store was asked for the session |
//! | `expect_writes` | how often the store stored a change; to record a use is none |
//! | `expect_cookie` | what the answer does with the cookie: `set`, `removed` or `none` |
//!
//! - In this order: the time passes, the session is opened, `login`, `logout`, `renew` and `revoke_user`
//!   are done, page and layout are rendered, the session is committed, and all is compared.
//! - A request that fails without `expect_error` has not passed.
//! - A request that fails stores nothing, as an answer of 500; only a session that it ended has ended.
//! - A session that ends between `renew` or `login` and the commit shows what a slow request meets:
//!   `{renew: true, revoke_user: u1, …}`.
//! - An unknown key is an error with line and column, and so is a key without a value.
//! - Texts need no quotes unless YAML 1.2 reads something else: `no` and `on` are texts, `true` and `1`
//!   are not.
//!
//! # In a test suite of one's own
//!
//! ```
//! use liquid_session::MemoryStore;
//! use liquid_session::testing::scenario::Scenario;
//!
//! let scenario = Scenario::from_yaml("
//! about: preferences stay
//! requests:
//!   - page: \"{% session theme = params.theme %}\"
//!     globals: {params: {theme: dark}}
//!   - wait: 29d
//!     page: \"{{ context.session.theme | default: 'light' }}\"
//!     expect: dark
//! ")?;
//! let report = scenario.run(MemoryStore::new())?;
//! assert_eq!(report.failed(), 0, "{report}");
//! # Ok::<(), liquid_session::Error>(())
//! ```

mod command;
mod counting;
mod format;
mod report;
mod run;

use std::path::Path;
use std::sync::Arc;

pub use command::command;
pub use format::SetCookie;
pub use report::{Played, Report};

use crate::error::{Error, ErrorKind};
use crate::store::SessionStore;

/// A scenario that was read and can be played.
///
/// ```
/// use liquid_session::MemoryStore;
/// use liquid_session::testing::scenario::Scenario;
///
/// let scenario = Scenario::from_yaml("
/// about: a message shows once
/// requests:
///   - page: \"{% session flash = 'saved' %}\"
///   - page: \"{{ context.session.flash }}{% session flash = null %}\"
///     expect: saved
///     expect_session: {}
/// ")?;
/// assert_eq!(scenario.run(MemoryStore::new())?.failed(), 0);
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Debug)]
pub struct Scenario {
    /// The path, as it was given; `-` without one.
    name: String,
    file: format::File,
}

impl Scenario {
    /// Reads a scenario. Pages in files are looked for in the current folder.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with line and column:
    ///
    /// - the text is no YAML,
    /// - a key is unknown, missing or given twice, a value has the wrong type,
    /// - a page's file can't be read, a layout is unknown.
    ///
    /// ```
    /// use liquid_session::testing::scenario::Scenario;
    ///
    /// let typo = "about: a typo\nrequests:\n  - page: Hello\n    expct: Hello\n";
    /// let error = Scenario::from_yaml(typo).unwrap_err().to_string();
    /// assert!(error.contains("unknown field `expct`"), "{error}");
    /// assert!(error.ends_with("at line 4, column 5"), "{error}");
    /// ```
    pub fn from_yaml(yaml: &str) -> Result<Self, Error> {
        Self::read("-".to_owned(), yaml, Path::new(""))
            .map_err(|problem| Error::new(ErrorKind::Config, problem))
    }

    /// Reads a scenario from a file. Pages in files are looked for from the folder that it lies in.
    ///
    /// # Errors
    ///
    /// As for [`from_yaml`](Self::from_yaml), after the path; and when the file can't be read.
    ///
    /// ```
    /// use liquid_session::testing::scenario::Scenario;
    ///
    /// let error = Scenario::from_file("none.yml").unwrap_err().to_string();
    /// assert!(error.starts_with("none.yml: "), "{error}");
    /// ```
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let folder = path.parent().unwrap_or(Path::new(""));
        std::fs::read_to_string(path)
            .map_err(|why| why.to_string())
            .and_then(|yaml| Self::read(name.clone(), &yaml, folder))
            .map_err(|problem| Error::new(ErrorKind::Config, format!("{name}: {problem}")))
    }

    fn read(name: String, yaml: &str, folder: &Path) -> Result<Self, String> {
        let file = format::File::read(yaml, folder)?;
        Ok(Self { name, file })
    }

    /// What the scenario is about.
    ///
    /// ```
    /// # use liquid_session::testing::scenario::Scenario;
    /// let scenario = Scenario::from_yaml("{about: greets, requests: [{page: Hello}]}")?;
    /// assert_eq!(scenario.about(), "greets");
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn about(&self) -> &str {
        &self.file.about
    }

    /// Plays the requests against a store that holds no sessions yet, by a clock of its own that
    /// stands at 2026-01-01 00:00 UTC and moves with `wait`.
    ///
    /// # Errors
    ///
    /// When the engine refuses to make a parser. What fails in a request is in the report.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, testing::scenario::Scenario};
    /// let scenario = Scenario::from_yaml("{about: greets, requests: [{page: Hello, expect: Hello}]}")?;
    /// let report = scenario.run(MemoryStore::new())?;
    /// assert_eq!(report.to_string(), "ok - #1\n");
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn run(&self, store: impl SessionStore) -> Result<Report, Error> {
        self.run_on(Arc::new(store))
    }

    fn run_on(&self, store: Arc<dyn SessionStore>) -> Result<Report, Error> {
        run::run(&self.name, &self.file, store)
    }
}

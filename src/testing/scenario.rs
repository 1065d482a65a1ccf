//! Scenarios: requests of one or more browsers against one store, and their expected results.
//!
//! Authors of templates test their session flows with them and write no Rust; the tests of this crate
//! play the same files. A scenario is a YAML file:
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
//! liquid-session test fixtures/scenarios
//! ```
//!
//! plays a file, or every file of a folder, and prints `ok` for each request, or a diff; `--help` lists
//! the options.
//!
//! # The file
//!
//! | key | what it is |
//! |---|---|
//! | `about` | what the scenario shows; printed with a failure |
//! | `sessions` | the [settings](crate::SessionConfig), `{timeout_minutes: 30}`; the defaults without it |
//! | `dialect` | `true`: all templates are in the [Liquid dialect](crate::dialect) |
//! | `strict` | `true`: an unknown variable in a session value is an error, as with [`strict_sessions`](crate::ParserBuilderExt::strict_sessions) |
//! | `views` | a [folder of views](crate::views), from the folder of the scenario, for `visit`. Its partials are those of every template; all templates are in the dialect |
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
//! | `visit` | the path of a page of the views instead, such as `/cart`: it runs with its layout |
//! | `method` | the method of a `visit`, `get` without it |
//! | `params` | `context.params` |
//! | `layout` | the layout, which gets the page's output as `content_for_layout`, without its final newline |
//! | `globals` | the variables, which may include a `context`; texts stay texts |
//! | `browser` | the name of the cookie jar; one default jar without it |
//! | `cookie` | a cookie that is sent instead of the jar's |
//! | `https` | `false` for plain HTTP, which has no session unless `environment: development` |
//! | `wait` | moves the clock first: `90s`, `31m`, `2h`, `30d` |
//! | `login` | the user who signs in before the render |
//! | `logout` | `true`: the visitor signs out before the render |
//! | `renew` | `true`: the session gets a new cookie |
//! | `revoke_user` | the user whose sessions all end before the render |
//! | `lenient` | `true`: unknown variables are nil |
//!
//! | `parallel` | two requests of the browser at the same time, instead of one; see below |
//!
//! | key | what is expected |
//! |---|---|
//! | `expect` | the output; a final newline is ignored |
//! | `expect_error` | parsing, the render or the commit fails, with a message that contains this |
//! | `expect_not` | neither the output nor the error contains this |
//! | `expect_redirect` | where a `visit` redirects to |
//! | `expect_session` | the stored session afterwards, with its types; `{}` for none |
//! | `expect_loads` | how often the store loaded the session |
//! | `expect_writes` | how often the store stored a change; a touch is none |
//! | `expect_cookie` | the `Set-Cookie` of the response: `set`, `removed` or `none` |
//!
//! - The order: move the clock, open the session, `login`, `logout`, `renew`, `revoke_user`, render page
//!   and layout, commit, compare.
//! - A request that fails without `expect_error` has not passed.
//! - A request that fails stores nothing, like a response of 500, except that a session which it ended
//!   stays ended.
//! - `{renew: true, revoke_user: u1, …}` shows a slow request whose session ends before its commit.
//! - An unknown key is an error with line and column, and so is a key without a value.
//! - A text needs no quotes unless YAML 1.2 reads it as another type: `no` and `on` are texts, `true` and
//!   `1` are not.
//!
//! # Two requests at the same time
//!
//! ```yaml
//! about: two tabs lose no answer
//! requests:
//!   - page: "{% session step = 2 %}"
//!   - parallel:
//!       - page: "{% session name = 'Ann' %}"
//!       - page: "{% session city = 'Oslo' %}"
//!     expect_session: {step: 2, name: Ann, city: Oslo}
//! ```
//!
//! `parallel` plays its two requests in every order of their steps, each on a copy of the sessions:
//!
//! 1. open the session and load it,
//! 2. `login`, `logout`, `renew`, `revoke_user`, render page and layout,
//! 3. commit; a request that has failed skips this step.
//!
//! - The browser sends both requests with the cookie that it has before them.
//! - Beside `parallel` stand `wait`, `browser`, `expect_session`, and `transaction: true`, with which
//!   each request runs as in [`render_page`](crate::Session::render_page): after a conflict it begins
//!   again with its first step. All other keys belong to the requests; `expect_loads` and
//!   `expect_writes` depend on the order, and can't be expected.
//! - What is expected must hold in every order. A failure shows the steps of the first order that
//!   failed, with the stored session that the request read or left.
//! - The scenario goes on with the order in which one request follows the other.
//!
//! # In a test suite
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

mod counting;
mod format;
mod parallel;
mod report;
mod run;

use std::path::Path;

pub use format::SetCookie;
pub use report::{Action, Orders, Played, Report, Step};

use crate::error::{Error, ErrorKind};
use crate::store::SessionStore;

/// A scenario, ready to be played: see the [module](self) for an example.
#[derive(Debug)]
pub struct Scenario {
    /// The given path; `-` without one.
    name: String,
    file: format::File,
}

impl Scenario {
    /// Reads a scenario. The path of a `file` is relative to the current folder.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with line and column:
    ///
    /// - The text is not YAML.
    /// - A key is unknown, missing or repeated, or a value has the wrong type.
    /// - The file of a page can't be read, or a layout is unknown.
    ///
    /// ```
    /// use liquid_session::testing::scenario::Scenario;
    ///
    /// let typo = "about: a typo\nrequests:\n  - page: Hello\n    expct: Hello\n";
    /// let error = Scenario::from_yaml(typo).unwrap_err().to_string();
    /// assert!(error.contains("unknown key `expct` (did you mean `expect`?)"), "{error}");
    /// assert!(error.ends_with("at line 4, column 5"), "{error}");
    /// ```
    pub fn from_yaml(yaml: &str) -> Result<Self, Error> {
        Self::read("-".to_owned(), yaml, Path::new(""))
            .map_err(|problem| Error::new(ErrorKind::Config, problem))
    }

    /// Reads a scenario from a file. The path of a `file` is relative to the folder of the scenario.
    ///
    /// # Errors
    ///
    /// - The file can't be read.
    /// - Those of [`from_yaml`](Self::from_yaml), after the path.
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

    /// Returns the `about` of the scenario.
    pub fn about(&self) -> &str {
        &self.file.about
    }

    /// Plays the requests against an empty store. The clock starts at 2026-01-01 00:00 UTC and moves only
    /// with `wait`.
    ///
    /// # Errors
    ///
    /// If the engine can't build a parser. The failure of a request is in the report.
    pub fn run(&self, store: impl SessionStore) -> Result<Report, Error> {
        run::run(&self.name, &self.file, store)
    }
}

//! Scenarios: requests of one or more browsers against one store, and what must come out.

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

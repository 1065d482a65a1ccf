//! What came of the requests, against what was expected.

use std::collections::BTreeMap;
use std::fmt;

use similar::TextDiff;

use super::format::{SetCookie, Written};
use crate::error::Error;
use crate::value::Value;

/// What a request came to, before anybody compares.
pub(super) struct Came {
    pub(super) output: Option<String>,
    pub(super) error: Option<String>,
    pub(super) session: Result<BTreeMap<String, Value>, Error>,
    pub(super) loads: u64,
    pub(super) writes: u64,
    pub(super) cookie: SetCookie,
}

/// What a scenario came to, request by request. Its text is one line per request, or what was
/// expected and what came.
///
/// ```
/// use liquid_session::MemoryStore;
/// use liquid_session::testing::scenario::Scenario;
///
/// let scenario = Scenario::from_yaml("{about: greets, requests: [{page: Hello, expect: Bye}]}")?;
/// let report = scenario.run(MemoryStore::new())?;
/// assert_eq!((report.passed(), report.failed()), (0, 1));
/// assert!(report.to_string().contains("-Bye\n"), "{report}");
/// assert!(report.to_string().contains("+Hello\n"), "{report}");
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Report(Vec<Played>);

impl Report {
    pub(super) fn new(requests: Vec<Played>) -> Self {
        Self(requests)
    }

    /// The requests, in order.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, testing::scenario::Scenario};
    /// let scenario = Scenario::from_yaml("{about: greets, requests: [{page: Hello}]}")?;
    /// let report = scenario.run(MemoryStore::new())?;
    /// assert_eq!(report.requests()[0].output.as_deref(), Some("Hello"));
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn requests(&self) -> &[Played] {
        &self.0
    }

    /// How many requests came as expected.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, testing::scenario::Scenario};
    /// let scenario = Scenario::from_yaml("{about: greets, requests: [{page: Hello}]}")?;
    /// assert_eq!(scenario.run(MemoryStore::new())?.passed(), 1);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn passed(&self) -> usize {
        self.0.iter().filter(|request| request.passed).count()
    }

    /// How many did not.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, testing::scenario::Scenario};
    /// let scenario = Scenario::from_yaml("{about: greets, requests: [{page: Hello}]}")?;
    /// assert_eq!(scenario.run(MemoryStore::new())?.failed(), 0);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn failed(&self) -> usize {
        self.0.len() - self.passed()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|request| writeln!(f, "{request}"))
    }
}

/// What one request came to; serialized, it is one object of `--json`.
///
/// ```
/// use liquid_session::MemoryStore;
/// use liquid_session::testing::scenario::Scenario;
///
/// let scenario = Scenario::from_yaml("{about: one write, requests: [{page: \"{% session a = 1 %}\"}]}")?;
/// let report = scenario.run(MemoryStore::new())?;
/// let played = &report.requests()[0];
/// assert!(played.passed);
/// assert_eq!((played.loads, played.writes), (0, 1));
/// assert_eq!(played.session["a"], 1.into());
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Played {
    /// The scenario's path; `-` for one that was read from a text.
    pub file: String,
    /// The number of the request, from 1.
    pub index: usize,
    /// What was rendered; none when the request failed.
    pub output: Option<String>,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// What the store holds for the browser afterwards.
    pub session: BTreeMap<String, Value>,
    /// How often the store was asked for a record.
    pub loads: u64,
    /// How often the store stored a change.
    pub writes: u64,
    /// What the answer does with the cookie.
    pub cookie: SetCookie,
    /// Whether all of it is as expected.
    pub passed: bool,
    #[serde(skip)]
    about: String,
    #[serde(skip)]
    problems: Vec<String>,
}

impl Played {
    pub(super) fn new(
        file: &str,
        index: usize,
        about: &str,
        expected: &Written,
        came: Came,
    ) -> Self {
        let problems = compare(expected, &came);
        Self {
            file: file.to_owned(),
            index,
            output: came.output,
            error: came.error,
            session: came.session.unwrap_or_default(),
            loads: came.loads,
            writes: came.writes,
            cookie: came.cookie,
            passed: problems.is_empty(),
            about: about.to_owned(),
            problems,
        }
    }
}

/// `ok file #n`, or what was expected and what came.
impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, index, .. } = self;
        if self.passed {
            return write!(f, "ok {file} #{index}");
        }
        write!(f, "FAILED {file} #{index}: {}", self.about)?;
        for line in self.problems.iter().flat_map(|problem| problem.lines()) {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

/// What is not as expected.
fn compare(expected: &Written, came: &Came) -> Vec<String> {
    let mut problems = Vec::new();
    let error = came.error.as_deref();
    match (expected.expect_error.as_deref(), error) {
        (Some(text), Some(error)) if !error.contains(text) => {
            problems.push(diff("expect_error", text, error));
        }
        (Some(text), None) => {
            problems.push(format!(
                "expect_error: expected a failure with `{text}`, found none"
            ));
        }
        (None, Some(error)) => problems.push(format!("unexpected error:\n{error}")),
        _ => {}
    }
    if let Some(text) = &expected.expect {
        match &came.output {
            Some(output) if one_line_less(output) != one_line_less(text) => {
                problems.push(diff("expect", one_line_less(text), one_line_less(output)));
            }
            Some(_) => {}
            None => problems.push("expect: the request failed, there is no output".to_owned()),
        }
    }
    if let Some(text) = expected.expect_not.as_deref() {
        for (what, found) in [("output", came.output.as_deref()), ("error", error)] {
            if found.is_some_and(|found| found.contains(text)) {
                problems.push(format!("expect_not: `{text}` is in the {what}"));
            }
        }
    }
    match (&expected.expect_session, &came.session) {
        (_, Err(error)) => problems.push(format!("the stored session can't be read: {error}")),
        (Some(expected), Ok(session)) => {
            let (expected, session) = (json(expected), json(session));
            if expected != session {
                problems.push(diff("expect_session", &expected, &session));
            }
        }
        (None, Ok(_)) => {}
    }
    for (what, expected, found) in [
        ("expect_loads", expected.expect_loads, came.loads),
        ("expect_writes", expected.expect_writes, came.writes),
    ] {
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            problems.push(format!("{what}: expected {expected}, found {found}"));
        }
    }
    if let Some(expected) = expected
        .expect_cookie
        .filter(|expected| *expected != came.cookie)
    {
        let found = came.cookie;
        problems.push(format!("expect_cookie: expected {expected}, found {found}"));
    }
    problems
}

/// YAML's block texts end with a newline that nobody means.
pub(super) fn one_line_less(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}

/// Both sides have the same types if they have the same text: 1 and 1.0 differ, and so do they here.
fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|why| why.to_string())
}

fn diff(what: &str, expected: &str, found: &str) -> String {
    let diff = TextDiff::from_lines(expected, found);
    let lines: Vec<_> = diff
        .iter_all_changes()
        .map(|change| format!("{}{}", change.tag(), change.value().trim_end_matches('\n')))
        .collect();
    format!("{what} (- expected, + found):\n{}", lines.join("\n"))
}

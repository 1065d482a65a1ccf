//! The results of the requests, compared with what was expected.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use similar::TextDiff;

use super::format::{Page, Parallel, Request, SetCookie, Written};
use crate::error::Error;
use crate::value::Value;

/// The problem of a request that fails and should not.
const UNEXPECTED: &str = "unexpected error:";

/// The result of a request, before it is compared.
pub(super) struct Found {
    pub(super) output: Option<String>,
    pub(super) error: Option<String>,
    pub(super) redirect: Option<String>,
    pub(super) session: Result<BTreeMap<String, Value>, Error>,
    pub(super) loads: u64,
    pub(super) writes: u64,
    pub(super) cookie: SetCookie,
}

impl Found {
    pub(super) fn new(
        request: &Request,
        answer: Result<String, Error>,
        session: Result<BTreeMap<String, Value>, Error>,
        (loads, writes): (u64, u64),
        cookie: SetCookie,
    ) -> Self {
        let (output, error) = match answer {
            Ok(output) => (Some(output), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let redirect = match &request.page {
            Page::Visit(page) if error.is_none() => page.redirect_to().map(str::to_owned),
            _ => None,
        };
        Self {
            output,
            error,
            redirect,
            session,
            loads,
            writes,
            cookie,
        }
    }
}

/// The results of a scenario. As text, it is one line per request, or a diff of what was expected and
/// what was found.
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
    /// Collects the results. An error that several requests meet, such as that of a partial which does
    /// not parse, is told once.
    pub(super) fn new(requests: impl Iterator<Item = Played>) -> Self {
        let mut told: HashMap<String, usize> = HashMap::new();
        Self(
            requests
                .map(|mut request| {
                    for problem in &mut request.problems {
                        if !problem.starts_with(UNEXPECTED) {
                            continue;
                        }
                        match told.get(problem) {
                            Some(first) => *problem = format!("{UNEXPECTED} that of #{first}"),
                            None => drop(told.insert(problem.clone(), request.index)),
                        }
                    }
                    request
                })
                .collect(),
        )
    }

    /// Returns the results of the requests, in order.
    pub fn requests(&self) -> &[Played] {
        &self.0
    }

    /// Returns the number of requests that passed.
    pub fn passed(&self) -> usize {
        self.0.iter().filter(|request| request.passed).count()
    }

    /// Returns the number of requests that failed.
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

/// The result of one request. Serialized, it is a line of `--json`.
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
    /// The path of the scenario; `-` if it was read from a text.
    pub file: String,
    /// The number of the request, from 1.
    pub index: usize,
    /// The line of the request in the file.
    pub line: u64,
    /// The output; `None` if the request failed.
    pub output: Option<String>,
    /// The error, if the request failed.
    pub error: Option<String>,
    /// Where the page redirects to, if it is one of the views and does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
    /// The stored session of the browser, after the request.
    pub session: BTreeMap<String, Value>,
    /// How often the store loaded a record.
    pub loads: u64,
    /// How often the store stored a change.
    pub writes: u64,
    /// The effect of the response on the cookie.
    pub cookie: SetCookie,
    /// Whether the request passed.
    pub passed: bool,
    /// The orders of a `parallel`; `None` for a single request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel: Option<Orders>,
    #[serde(skip)]
    about: String,
    #[serde(skip)]
    problems: Vec<String>,
}

/// The orders in which the two requests of a `parallel` were played.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Orders {
    /// The number of orders.
    pub played: usize,
    /// The number of orders that failed.
    pub failed: usize,
    /// The steps of the first order that failed, or of the first one.
    pub steps: Vec<Step>,
}

/// A step of one of two parallel requests.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Step {
    /// The request: 1 or 2.
    pub request: usize,
    /// What it does.
    pub action: Action,
    /// The output of a render.
    pub output: Option<String>,
    /// The error, if the step failed.
    pub error: Option<String>,
    /// Whether another request had changed what this one had read: nothing is stored, and it begins
    /// again with a read.
    pub conflict: bool,
    /// The stored session after the step: for a read, the session that the cookie of the request opens;
    /// otherwise the session of the browser.
    pub session: BTreeMap<String, Value>,
}

/// The action of a [`Step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Opens the session and loads it.
    Read,
    /// Signs in or out, if it does, and renders the page and the layout.
    Render,
    /// Commits the changes.
    Commit,
}

impl Step {
    pub(super) fn new(
        request: usize,
        action: Action,
        conflict: bool,
        result: Option<&Result<String, Error>>,
        session: BTreeMap<String, Value>,
    ) -> Self {
        let output = match (action, result) {
            (Action::Render, Some(Ok(output))) => Some(output.clone()),
            _ => None,
        };
        let error = result.and_then(|result| result.as_ref().err().map(Error::to_string));
        Self {
            request,
            action,
            output,
            error,
            conflict,
            session,
        }
    }
}

/// `1 reads    {"n":1}`
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match self.action {
            Action::Read => "reads",
            Action::Render => "renders",
            Action::Commit => "commits",
        };
        write!(f, "{} {action:<9}", self.request)?;
        match (&self.error, &self.output) {
            (Some(error), _) => f.write_str(&on_one_line(error)),
            (None, Some(output)) => f.write_str(&on_one_line(output)),
            _ if self.conflict => f.write_str(
                "nothing: the other request has changed what it had read, so it begins again",
            ),
            _ => f.write_str(&compact(&self.session)),
        }
    }
}

/// Two requests, played in one order of their steps.
pub(super) struct Course {
    steps: Vec<Step>,
    found: Found,
    problems: Vec<String>,
}

impl Course {
    pub(super) fn new(
        parallel: &Parallel,
        steps: Vec<Step>,
        answers: [Found; 2],
        found: Found,
    ) -> Self {
        let mut problems = Vec::new();
        for (at, (request, answer)) in parallel.requests.iter().zip(&answers).enumerate() {
            let own = compare(&request.written, answer);
            problems.extend(
                own.into_iter()
                    .map(|problem| format!("request {}: {problem}", at + 1)),
            );
        }
        problems.extend(compare(&parallel.written, &found));
        Self {
            steps,
            found,
            problems,
        }
    }

    pub(super) fn fails(&self) -> bool {
        !self.problems.is_empty()
    }
}

/// Where a request stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    pub(super) file: &'p str,
    pub(super) index: usize,
    pub(super) line: u64,
    pub(super) about: &'p str,
}

impl Played {
    pub(super) fn single(place: Place<'_>, expected: &Written, found: Found) -> Self {
        let problems = compare(expected, &found);
        Self::new(place, found, None, problems)
    }

    /// Shows one of the orders.
    pub(super) fn parallel(place: Place<'_>, shown: Course, played: usize, failed: usize) -> Self {
        let orders = Orders {
            played,
            failed,
            steps: shown.steps,
        };
        Self::new(place, shown.found, Some(orders), shown.problems)
    }

    fn new(
        place: Place<'_>,
        found: Found,
        parallel: Option<Orders>,
        problems: Vec<String>,
    ) -> Self {
        Self {
            file: place.file.to_owned(),
            index: place.index,
            line: place.line,
            output: found.output,
            error: found.error,
            redirect: found.redirect,
            session: found.session.unwrap_or_default(),
            loads: found.loads,
            writes: found.writes,
            cookie: found.cookie,
            passed: problems.is_empty(),
            parallel,
            about: place.about.to_owned(),
            problems,
        }
    }
}

/// `ok file #n`, or a diff of what was expected and what was found.
impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file, line, index, ..
        } = self;
        if self.passed {
            write!(f, "ok {file} #{index}")?;
            return match &self.parallel {
                Some(orders) => write!(f, " in {} orders", orders.played),
                None => Ok(()),
            };
        }
        write!(f, "FAILED {file}:{line} #{index}: {}", self.about)?;
        if let Some(orders) = &self.parallel {
            let Orders { played, failed, .. } = orders;
            write!(f, "\n    {failed} of {played} orders fail, for example:")?;
            for step in &orders.steps {
                write!(f, "\n      {step}")?;
            }
        }
        for line in self.problems.iter().flat_map(|problem| problem.lines()) {
            write!(f, "\n    {line}")?;
        }
        if self.parallel.is_some() {
            // The steps show the rest.
            return Ok(());
        }
        if let Some(output) = &self.output {
            write!(f, "\n    output:{}", shortened(output))?;
        }
        write!(f, "\n    session: {}", compact(&self.session))
    }
}

/// Lists the differences.
fn compare(expected: &Written, found: &Found) -> Vec<String> {
    let mut problems = Vec::new();
    let error = found.error.as_deref();
    match (expected.expect_error.as_deref(), error) {
        (Some(text), Some(error)) if !error.contains(text) => {
            problems.push(diff("expect_error", text, error));
        }
        (Some(text), None) => {
            problems.push(format!(
                "expect_error: expected a failure with `{text}`, found none"
            ));
        }
        (None, Some(error)) => problems.push(format!("{UNEXPECTED}\n{error}")),
        _ => {}
    }
    if let Some(text) = &expected.expect {
        match &found.output {
            Some(output) if one_line_less(output) != one_line_less(text) => {
                problems.push(diff("expect", one_line_less(text), one_line_less(output)));
            }
            Some(_) => {}
            None => problems.push("expect: the request failed, there is no output".to_owned()),
        }
    }
    if let Some(text) = expected.expect_not.as_deref() {
        for (what, found) in [("output", found.output.as_deref()), ("error", error)] {
            if found.is_some_and(|found| found.contains(text)) {
                problems.push(format!("expect_not: `{text}` is in the {what}"));
            }
        }
    }
    if let Some(to) = &expected.expect_redirect
        && Some(to) != found.redirect.as_ref()
    {
        let found = found.redirect.as_deref().unwrap_or("none");
        problems.push(format!("expect_redirect: expected {to}, found {found}"));
    }
    match (&expected.expect_session, &found.session) {
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
        ("expect_loads", expected.expect_loads, found.loads),
        ("expect_writes", expected.expect_writes, found.writes),
    ] {
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            problems.push(format!("{what}: expected {expected}, found {found}"));
        }
    }
    if let Some(expected) = expected
        .expect_cookie
        .filter(|expected| *expected != found.cookie)
    {
        let found = found.cookie;
        problems.push(format!("expect_cookie: expected {expected}, found {found}"));
    }
    problems
}

/// Removes one final newline, which every block text of YAML has.
pub(super) fn one_line_less(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}

/// Shows a text of one line in quotes, and the first lines of a longer one below each other.
fn shortened(text: &str) -> String {
    const MOST: usize = 12;
    let text = one_line_less(text);
    let lines: Vec<_> = text.split('\n').collect();
    if lines.len() == 1 {
        return format!(" {text:?}");
    }
    let mut shown = String::new();
    for line in lines.iter().take(MOST) {
        shown += &format!("\n      |{line}");
    }
    if lines.len() > MOST {
        shown += &format!("\n      … {} more lines", lines.len() - MOST);
    }
    shown
}

/// Shows a text on one line, in quotes, cut after 60 characters.
fn on_one_line(text: &str) -> String {
    let text = one_line_less(text);
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{:?}…", &text[..at]),
        None => format!("{text:?}"),
    }
}

fn compact<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|why| why.to_string())
}

/// Compares types too: the texts of 1 and 1.0 differ.
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

//! The command that plays scenarios, for `examples/scenario.rs` and whoever wants the same.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Scenario;
use crate::error::Error;
use crate::store::{MemoryStore, SessionStore};

/// Makes a new store, without sessions.
type NewStore = fn() -> Result<Arc<dyn SessionStore>, Error>;

/// The stores of this build. `memory` is the default.
const STORES: &[(&str, NewStore)] = &[
    ("memory", || Ok(Arc::new(MemoryStore::new()))),
    #[cfg(feature = "redb")]
    ("redb", in_a_file),
    #[cfg(feature = "redis")]
    ("redis", on_a_server),
];

/// A file that nobody else finds, and that is gone with the store.
#[cfg(feature = "redb")]
fn in_a_file() -> Result<Arc<dyn SessionStore>, Error> {
    let name = format!("scenario-{}.redb", uuid::Uuid::new_v4());
    let path = std::env::temp_dir().join(name);
    let store = crate::store::RedbStore::open(&path);
    // Unlinked, it stays for who has it open; where a system refuses that, it stays behind.
    let _ = std::fs::remove_file(&path);
    Ok(Arc::new(store?))
}

/// Under a prefix of its own; what a scenario leaves behind, the server removes when it expires.
#[cfg(feature = "redis")]
fn on_a_server() -> Result<Arc<dyn SessionStore>, Error> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned());
    let prefix = format!("scenario-{}", uuid::Uuid::new_v4());
    let store = crate::store::RedisStore::builder(&url)
        .prefix(prefix)
        .build()?;
    Ok(Arc::new(store))
}

const HELP: &str = "\
Plays scenarios: the requests of browsers against a session store, and what must come of them.

usage: scenario [--json] [--store NAME] FILE-OR-FOLDER...

  FILE-OR-FOLDER   a scenario, or a folder with scenarios (*.yml, *.yaml) in it and below it
  --json           one JSON object per request on standard output, the summary on standard error
  --store NAME     where sessions are kept, see below; `redis` is the server of $REDIS_URL,
                   or the one on this machine
  --help           this text

exit status: 0 all requests came as expected, 1 some did not,
             2 a scenario can't be read, there is none, or the command is wrong
";

/// The command of `examples/scenario.rs`: plays the scenarios that the arguments name, writes one line
/// per request and `N passed, N failed`, and says the exit status.
///
/// | status | when |
/// |---|---|
/// | 0 | all requests came as expected |
/// | 1 | some did not |
/// | 2 | a scenario can't be read, no file was found, or an argument is wrong; nothing is played |
///
/// # Errors
///
/// When it can't write.
///
/// ```
/// use liquid_session::testing::scenario::command;
///
/// let (mut out, mut err) = (Vec::new(), Vec::new());
/// assert_eq!(command(["--help"], &mut out, &mut err)?, 0);
/// assert!(String::from_utf8_lossy(&out).contains("--store"));
///
/// assert_eq!(command(["no/such/folder"], &mut out, &mut err)?, 2);
/// assert!(String::from_utf8_lossy(&err).contains("no/such/folder"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn command<A: Into<OsString>>(
    arguments: impl IntoIterator<Item = A>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let wanted = match Wanted::read(arguments.into_iter().map(Into::into)) {
        Ok(Some(wanted)) => wanted,
        Ok(None) => {
            writeln!(out, "{HELP}\nstores of this build: {}", names())?;
            return Ok(0);
        }
        Err(problem) => {
            writeln!(err, "{problem}; see --help")?;
            return Ok(2);
        }
    };
    let scenarios = match read(&wanted.paths) {
        Ok(scenarios) => scenarios,
        Err(problems) => {
            for problem in problems {
                writeln!(err, "{problem}")?;
            }
            return Ok(2);
        }
    };

    let (mut passed, mut failed) = (0, 0);
    for scenario in &scenarios {
        let report = match (wanted.store)().and_then(|store| scenario.run_on(store)) {
            Ok(report) => report,
            Err(why) => {
                writeln!(err, "{why}")?;
                return Ok(2);
            }
        };
        passed += report.passed();
        failed += report.failed();
        if wanted.json {
            for request in report.requests() {
                serde_json::to_writer(&mut *out, request)?;
                writeln!(out)?;
            }
        } else {
            write!(out, "{report}")?;
        }
    }
    // JSON lines stay JSON lines.
    let summary = format!("{passed} passed, {failed} failed");
    if wanted.json {
        writeln!(err, "{summary}")?;
    } else {
        writeln!(out, "{summary}")?;
    }
    Ok(u8::from(failed > 0))
}

struct Wanted {
    paths: Vec<PathBuf>,
    json: bool,
    store: NewStore,
}

impl Wanted {
    /// `None` for a look at the help.
    fn read(mut arguments: impl Iterator<Item = OsString>) -> Result<Option<Self>, String> {
        let mut wanted = Self {
            paths: Vec::new(),
            json: false,
            store: store("memory")?,
        };
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--help" | "-h") => return Ok(None),
                Some("--json") => wanted.json = true,
                Some("--store") => {
                    let name = arguments.next().and_then(|name| name.into_string().ok());
                    let name = name.ok_or("expected a name after `--store`, found none")?;
                    wanted.store = store(&name)?;
                }
                Some(option) if option.starts_with('-') => {
                    return Err(format!("unknown option `{option}`"));
                }
                _ => wanted.paths.push(argument.into()),
            }
        }
        if wanted.paths.is_empty() {
            return Err("expected files or folders with scenarios, found none".to_owned());
        }
        Ok(Some(wanted))
    }
}

fn store(name: &str) -> Result<NewStore, String> {
    match STORES.iter().find(|(known, _)| *known == name) {
        Some((_, new)) => Ok(*new),
        None => Err(format!(
            "this build has no store `{name}`, it has: {}",
            names()
        )),
    }
}

fn names() -> String {
    let names: Vec<_> = STORES.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// All scenarios that the paths name, or all that is wrong with them.
fn read(paths: &[PathBuf]) -> Result<Vec<Scenario>, Vec<String>> {
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        let before = files.len();
        match find(path, &mut files) {
            Ok(()) if files.len() == before => problems.push(format!(
                "{}: expected scenarios (*.yml, *.yaml), found none",
                path.display()
            )),
            Ok(()) => {}
            Err(why) => problems.push(format!("{}: {why}", path.display())),
        }
    }
    let mut scenarios = Vec::new();
    for file in files {
        match Scenario::from_file(&file) {
            Ok(scenario) => scenarios.push(scenario),
            Err(why) => problems.push(why.to_string()),
        }
    }
    if problems.is_empty() {
        Ok(scenarios)
    } else {
        Err(problems)
    }
}

/// A file by its path, whatever its name; a folder's scenarios in the order of their names.
fn find(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.metadata()?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries = std::fs::read_dir(path)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    for entry in entries {
        let is_scenario = entry
            .extension()
            .is_some_and(|extension| extension == "yml" || extension == "yaml");
        if entry.is_dir() || is_scenario {
            find(&entry, files)?;
        }
    }
    Ok(())
}

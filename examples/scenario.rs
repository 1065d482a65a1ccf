//! Plays scenario files: `cargo scenarios`, or
//! `cargo run --example scenario --features testing -- FILE-OR-FOLDER...`
//!
//! Prints `ok` for each request, or a diff of what was expected and what was found; with `--json`, one
//! object per request. The last line is `N passed, N failed`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use liquid_session::testing::scenario::{Report, Scenario};
use liquid_session::{Error, MemoryStore};

/// Plays a scenario on a new store, without sessions.
type Play = fn(&Scenario) -> Result<Report, Error>;

/// The stores of this build. `memory` is the default.
const STORES: &[(&str, Play)] = &[
    ("memory", |scenario| scenario.run(MemoryStore::new())),
    #[cfg(feature = "redb")]
    ("redb", in_a_file),
    #[cfg(feature = "redis")]
    ("redis", on_a_server),
];

#[cfg(feature = "redb")]
fn in_a_file(scenario: &Scenario) -> Result<Report, Error> {
    let unwritable = |why| {
        let kind = liquid_session::ErrorKind::Unavailable;
        Error::with_source(kind, "the temporary folder can't be written", why)
    };
    let folder = tempfile::tempdir().map_err(unwritable)?;
    let file = folder.path().join("sessions.redb");
    scenario.run(liquid_session::store::RedbStore::open(file)?)
}

/// Under a new prefix. The server removes what a scenario leaves when it expires.
#[cfg(feature = "redis")]
fn on_a_server(scenario: &Scenario) -> Result<Report, Error> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned());
    let store = liquid_session::store::RedisStore::builder(&url)
        .prefix(format!("scenario-{}", uuid::Uuid::new_v4()))
        .build()?;
    scenario.run(store)
}

const HELP: &str = "\
Plays scenarios: the requests of browsers against a session store, and the expected results.

usage: scenario [--json] [--store NAME] FILE-OR-FOLDER...

  FILE-OR-FOLDER   a scenario, or a folder with scenarios (*.yml, *.yaml) in it and below it
  --json           one JSON object per request on standard output, the summary on standard error
  --store NAME     where sessions are kept, see below; `redis` is the server of $REDIS_URL,
                   or the one on this machine
  --help           this text

exit status: 0 all requests passed, 1 some failed,
             2 a scenario can't be read, none was found, or the command is wrong
";

#[allow(dead_code, reason = "the tests call `command`")]
fn main() -> io::Result<ExitCode> {
    let arguments = std::env::args_os().skip(1);
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    command(arguments, &mut out, &mut err).map(ExitCode::from)
}

/// Plays the scenarios that the arguments name, and returns the exit status. Nothing is played if the
/// status is 2.
pub(crate) fn command(
    arguments: impl IntoIterator<Item = impl Into<OsString>>,
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
        let report = match (wanted.play)(scenario) {
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
    // Standard output is JSON lines only.
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
    play: Play,
}

impl Wanted {
    /// Reads the arguments; `None` for `--help`.
    fn read(mut arguments: impl Iterator<Item = OsString>) -> Result<Option<Self>, String> {
        let mut wanted = Self {
            paths: Vec::new(),
            json: false,
            play: store("memory")?,
        };
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--help" | "-h") => return Ok(None),
                Some("--json") => wanted.json = true,
                Some("--store") => {
                    let name = arguments.next().and_then(|name| name.into_string().ok());
                    let name = name.ok_or("expected a name after `--store`, found none")?;
                    wanted.play = store(&name)?;
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

fn store(name: &str) -> Result<Play, String> {
    let found = STORES.iter().find(|(known, _)| *known == name);
    let unknown = || format!("this build has no store `{name}`, it has: {}", names());
    found.map(|(_, play)| *play).ok_or_else(unknown)
}

fn names() -> String {
    let names: Vec<_> = STORES.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// Reads every scenario that the paths name, or collects every problem.
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

/// Finds a file under any name, and the scenarios of a folder in the order of their names.
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

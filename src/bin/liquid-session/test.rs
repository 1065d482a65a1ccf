//! `liquid-session test`: plays scenarios.

use std::io;
use std::path::{Path, PathBuf};

use lexopt::{Arg, Parser, ValueExt as _};
use liquid_session::testing::scenario::Scenario;

use crate::terminal::{Colour, Terminal, printable_lines};
use crate::{Ended, Failure, stores};

const HELP: &str = "\
Plays scenarios: the requests of browsers, and what must come out.

usage: liquid-session test [--json] [--store NAME] PATH…

  PATH           a scenario, or a folder with scenarios (*.yml, *.yaml) in it and below it
  --json         one JSON object per request on standard output, the summary on standard error
  --store NAME   where sessions are kept: memory (the default), postgres, redb, redis;
                 `redis` is the server of $REDIS_URL, `postgres` the database of
                 $POSTGRES_URL, where the table liquid_session_scenarios is emptied;
                 without these, the server on this machine
  --help         this text

A scenario is a YAML file:

  about: the cart survives the way to the checkout
  requests:
    - page: \"{% session cart = params.add | split: ',' %}{{ context.session.cart.size }}\"
      globals: {params: {add: \"boots,socks\"}}
      expect: \"2\"
    - page: \"{{ context.session.cart | join: ' and ' }}\"
      expect: boots and socks
      expect_writes: 0

exit status: 0  all requests passed
             1  some failed
             2  a scenario can't be read (the others are played), none was found,
                or the command is wrong
";

pub(crate) fn run(mut arguments: Parser, terminal: &mut Terminal) -> Ended {
    let (mut paths, mut json, mut store) = (Vec::new(), false, stores::NAMES[0]);
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => {
                terminal.line(HELP.trim_end())?;
                return Ok(0);
            }
            Arg::Long("json") => json = true,
            Arg::Long("store") => {
                let name = arguments.value()?.string()?;
                let known = stores::NAMES.iter().find(|known| **known == name);
                store = known.ok_or_else(|| {
                    let names = stores::NAMES.join(", ");
                    Failure::Usage(format!(
                        "there is no store `{name}`, expected one of {names}"
                    ))
                })?;
            }
            Arg::Value(path) => paths.push(PathBuf::from(path)),
            unknown => return Err(unknown.unexpected().into()),
        }
    }
    if paths.is_empty() {
        let problem = "expected files or folders with scenarios, found none";
        return Err(Failure::Usage(problem.to_owned()));
    }

    let (files, mut problems) = find_all(&paths);
    let (mut passed, mut failed) = (0, 0);
    for (number, file) in files.iter().enumerate() {
        terminal.progress(&format!(
            "{}/{} {}",
            number + 1,
            files.len(),
            file.display()
        ));
        let scenario = match Scenario::from_file(file) {
            Ok(scenario) => scenario,
            Err(why) => {
                problems.push(why.to_string());
                continue;
            }
        };
        let report = stores::play(store, &scenario)?;
        passed += report.passed();
        failed += report.failed();
        for request in report.requests() {
            if json {
                let line = serde_json::to_string(request).map_err(io::Error::from)?;
                terminal.line(&line)?;
            } else {
                let text = printable_lines(&request.to_string());
                let line = match text.strip_prefix("ok ") {
                    Some(rest) => format!("{} {rest}", terminal.paint(Colour::Green, "ok")),
                    None => coloured_diff(&text, terminal),
                };
                terminal.line(&line)?;
            }
        }
    }
    for problem in &problems {
        terminal.note(&printable_lines(problem));
    }
    if passed + failed > 0 {
        let summary = format!("{passed} passed, {failed} failed");
        // Standard output is JSON lines only.
        if json {
            terminal.note(&summary);
        } else {
            let colour = if failed > 0 {
                Colour::Red
            } else {
                Colour::Green
            };
            terminal.line(&terminal.paint(colour, &summary))?;
        }
    }
    Ok(if problems.is_empty() {
        u8::from(failed > 0)
    } else {
        2
    })
}

fn coloured_diff(text: &str, terminal: &Terminal) -> String {
    let lines = text.lines().map(|line| {
        let colour = match line.trim_start().chars().next() {
            Some('-') => Colour::Red,
            Some('+') => Colour::Green,
            _ if line.starts_with("FAILED") => Colour::Bold,
            _ => return line.to_owned(),
        };
        terminal.paint(colour, line)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Every scenario that the paths name, and every problem with them.
fn find_all(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<String>) {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
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
    (files, problems)
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

//! `liquid-session`: for template authors, who test and check their templates, and for operators, who
//! look after the sessions in a store. `--help` explains it.

mod check;
mod sessions;
mod stores;
mod terminal;
mod test;

use std::io::ErrorKind;
use std::process::ExitCode;

use lexopt::{Arg, Parser};

use terminal::Terminal;

const HELP: &str = "\
Sessions for Liquid templates: test them, check them, look after them.

usage: liquid-session COMMAND …

for authors of templates
  test PATH…                  plays scenarios: requests, and what must come out
  check FOLDER                reads the templates of a site and says what they do with
                              the session, and what is wrong

for operators
  sessions --store URL TASK   lists, shows, ends and sweeps the sessions of a store

`liquid-session COMMAND --help` explains a command, with an example.

exit status: 0  done, nothing to complain about
             1  a request failed, there are findings, or there is no such session
             2  the command can't run: wrong arguments, a file or a store that can't be read
";

/// What ends a command: its exit status, or why it can't run.
type Ended = Result<u8, Failure>;

enum Failure {
    /// The command is wrong.
    Usage(String),
    /// The command can't run.
    Cannot(Box<dyn std::error::Error + Send + Sync>),
    /// The output can't be written.
    Output(std::io::Error),
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<liquid_session::Error> for Failure {
    fn from(error: liquid_session::Error) -> Self {
        Self::Cannot(error.into())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error)
    }
}

fn main() -> ExitCode {
    let mut terminal = Terminal::new();
    let ended = run(&mut terminal);
    terminal.clear_progress();
    ExitCode::from(match ended {
        Ok(status) => status,
        // `… | head` has seen enough.
        Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => 0,
        Err(Failure::Output(error)) => {
            terminal.complain(&error);
            2
        }
        Err(Failure::Usage(problem)) => {
            terminal.complain(&*Box::<dyn std::error::Error>::from(format!(
                "{problem}; see --help"
            )));
            2
        }
        Err(Failure::Cannot(error)) => {
            terminal.complain(&*error);
            2
        }
    })
}

fn run(terminal: &mut Terminal) -> Ended {
    let mut arguments = Parser::from_env();
    match arguments.next()? {
        None => Err(Failure::Usage(
            "expected a command: test, check or sessions".to_owned(),
        )),
        Some(Arg::Long("help") | Arg::Short('h')) => {
            terminal.line(HELP.trim_end())?;
            Ok(0)
        }
        Some(Arg::Long("version") | Arg::Short('V')) => {
            terminal.line(concat!("liquid-session ", env!("CARGO_PKG_VERSION")))?;
            Ok(0)
        }
        Some(Arg::Value(command)) => match command.to_str() {
            Some("test") => test::run(arguments, terminal),
            Some("check") => check::run(arguments, terminal),
            Some("sessions") => sessions::run(arguments, terminal),
            _ => Err(Failure::Usage(format!(
                "unknown command `{}`, expected test, check or sessions",
                terminal::printable(&command.to_string_lossy())
            ))),
        },
        Some(unknown) => Err(unknown.unexpected().into()),
    }
}

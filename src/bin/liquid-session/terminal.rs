//! What is written to the terminal: colours, a progress line, complaints.

use std::error::Error;
use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write as _};

pub(crate) struct Terminal {
    out: BufWriter<Stdout>,
    colours: bool,
    /// Whether the other end of standard error is a person.
    watched: bool,
    progress: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Colour {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            colours: io::stdout().is_terminal() && !set("NO_COLOR") && !dumb,
            watched: io::stderr().is_terminal() && !dumb,
            out: BufWriter::new(io::stdout()),
            progress: false,
        }
    }

    /// The text in a colour, if there are colours.
    pub(crate) fn paint(&self, colour: Colour, text: &str) -> String {
        if !self.colours {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Bold => 1,
            Colour::Dim => 2,
            Colour::Red => 31,
            Colour::Green => 32,
            Colour::Yellow => 33,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Writes a line to standard output.
    pub(crate) fn line(&mut self, line: &str) -> io::Result<()> {
        self.clear_progress();
        writeln!(self.out, "{line}")?;
        // A line is seen before the work after it.
        if self.watched {
            self.out.flush()?;
        }
        Ok(())
    }

    /// Writes a line to standard error.
    pub(crate) fn note(&mut self, line: &str) {
        self.clear_progress();
        let _ = self.out.flush();
        eprintln!("{line}");
    }

    /// Shows what is being done, until the next line.
    pub(crate) fn progress(&mut self, what: &str) {
        if self.watched {
            let what: String = what.chars().take(76).collect();
            eprint!("\r\x1b[2K{}", printable(&what));
            let _ = io::stderr().flush();
            self.progress = true;
        }
    }

    pub(crate) fn clear_progress(&mut self) {
        if std::mem::take(&mut self.progress) {
            eprint!("\r\x1b[2K");
            let _ = io::stderr().flush();
        }
    }

    /// Writes an error and its causes to standard error.
    pub(crate) fn complain(&mut self, error: &(dyn Error + 'static)) {
        let mut said = error.to_string();
        self.note(&printable_lines(&said));
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if text != said {
                self.note(&format!("  because: {}", printable_lines(&text)));
            }
            said = text;
            cause = error.source();
        }
    }
}

/// Text from outside, which must not steer the terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars() {
        if c.is_control() {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Like [`printable`], for a text of several lines.
pub(crate) fn printable_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(printable).collect();
    lines.join("\n")
}

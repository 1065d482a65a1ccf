//! The author's text, and errors that point into it.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use liquid_core::Error;

/// A template's source. Clones share the text.
#[derive(Clone, Debug)]
pub(super) struct Source(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    text: Box<str>,
    place: Place,
}

/// Where a source comes from, for its errors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The name of the file; empty for none.
    pub(crate) file: String,
    /// The lines of the file before the source.
    pub(crate) lines_before: usize,
}

/// A part of a source, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    pub(super) fn range(self) -> Range<usize> {
        self.start..self.end
    }

    pub(super) fn is_empty(self) -> bool {
        self.start >= self.end
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self {
            start: range.start,
            end: range.end,
        }
    }
}

/// Returns line and column of a byte in a text, both counted from 1, the column in characters.
pub(crate) fn line_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(start..).unwrap_or_default().chars().count() + 1;
    (line, column)
}

impl Source {
    pub(super) fn new(text: &str, place: Place) -> Self {
        let text = text.into();
        Self(Arc::new(Inner { text, place }))
    }

    pub(super) fn text(&self) -> &str {
        &self.0.text
    }

    /// Returns the text of a span, or nothing if it is not of this source.
    pub(super) fn get(&self, span: Span) -> &str {
        self.0.text.get(span.range()).unwrap_or_default()
    }

    /// Returns the start of the character that contains this byte.
    pub(super) fn floor(&self, at: usize) -> usize {
        let mut at = at.min(self.0.text.len());
        while !self.0.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    /// Returns line and column of a byte in its file, both counted from 1, the column in characters, as
    /// in the engine's errors.
    pub(super) fn line_column(&self, at: usize) -> (usize, usize) {
        let (line, column) = line_column(self.text(), at);
        (line + self.0.place.lines_before, column)
    }

    /// Makes a syntax error, formatted like the engine's.
    pub(super) fn error(&self, span: Span, problem: &str) -> Error {
        Error::with_msg(self.draw(span, problem))
    }

    /// The name of the file in front of a line's number.
    fn file(&self) -> String {
        match &*self.0.place.file {
            "" => String::new(),
            file => format!("{file}:"),
        }
    }

    fn draw(&self, span: Span, problem: &str) -> String {
        let (line, column) = self.line_column(span.start);
        let nth = line - 1 - self.0.place.lines_before;
        let text = self.text().lines().nth(nth).unwrap_or_default();
        let marked = self.get(span).lines().next().unwrap_or_default();
        let width = marked.chars().count().max(1);
        // A line may be a megabyte long.
        let first = column.saturating_sub(100);
        let excerpt: String = text
            .chars()
            .skip(first)
            .take(200)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let indent = " ".repeat(column - 1 - first);
        let marks = "^".repeat(width.min(100));
        let mut drawn = String::new();
        // Writing to a string does not fail.
        let _ = write!(
            drawn,
            "{margin}--> {}{line}:{column}\n{margin} |\n{number} | {excerpt}\n{margin} | {indent}{marks}\n{margin} |\n{margin} = {problem}",
            self.file()
        );
        drawn
    }

    /// Adds the place of a tag or an output to an error of its rendering.
    pub(super) fn trace(&self, error: Error, span: Span) -> Error {
        let (line, _) = self.line_column(span.start);
        let text = self.get(span);
        let first = text.lines().next().unwrap_or_default();
        let mut shown: String = first.chars().take(80).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        let place = match &*self.0.place.file {
            "" => format!("line {line}"),
            file => format!("{file}:{line}"),
        };
        error.trace(format!("{place}: {shown}"))
    }
}

//! Finds output and tags in a source, once, from front to back.

use liquid_core::Result;

use super::source::{Source, Span};

/// A piece of a template.
#[derive(Clone, Copy, Debug)]
pub(super) enum Piece {
    /// Text, which is printed.
    Text(Span),
    /// `{{ … }}`, and the part between the braces.
    Output { all: Span, markup: Span },
    /// `{% name markup %}`, or a line of a `liquid` block.
    Tag(Tag),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Tag {
    pub(super) all: Span,
    pub(super) name: Span,
    pub(super) markup: Span,
}

/// What is scanned.
#[derive(Clone, Copy, Debug)]
enum Mode {
    Document,
    /// The lines of a `liquid` block.
    Lines,
}

#[derive(Debug)]
pub(super) struct Scanner {
    source: Source,
    mode: Mode,
    at: usize,
    end: usize,
    /// Whether the last piece ended with `-`.
    trim: bool,
}

/// White space inside a tag. Editors leave no-break spaces and byte order marks there.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || c == '\u{FEFF}'
}

/// White space that `-` removes around a tag, and `strip` in strings: Ruby's.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{B}' | '\u{C}' | '\0')
}

impl Scanner {
    pub(super) fn document(source: Source) -> Self {
        let end = source.text().len();
        Self {
            source,
            mode: Mode::Document,
            at: 0,
            end,
            trim: false,
        }
    }

    pub(super) fn lines(source: Source, span: Span) -> Self {
        Self {
            source,
            mode: Mode::Lines,
            at: span.start,
            end: span.end,
            trim: false,
        }
    }

    /// Whether this scans the lines of a `liquid` block.
    pub(super) fn is_liquid(&self) -> bool {
        matches!(self.mode, Mode::Lines)
    }

    pub(super) fn next(&mut self) -> Result<Option<Piece>> {
        match self.mode {
            Mode::Document => self.next_of_document(),
            Mode::Lines => Ok(self.next_line()),
        }
    }

    fn next_of_document(&mut self) -> Result<Option<Piece>> {
        let source = self.source.clone();
        let rest = source.get((self.at..self.end).into());
        if rest.is_empty() {
            return Ok(None);
        }
        let begin = markup_begin(rest).unwrap_or(rest.len());
        if begin > 0 {
            let mut text = &rest[..begin];
            let mut start = self.at;
            if std::mem::take(&mut self.trim) {
                let trimmed = text.trim_start_matches(is_blank);
                start += text.len() - trimmed.len();
                text = trimmed;
            }
            if rest[begin..].chars().nth(2) == Some('-') {
                text = text.trim_end_matches(is_blank);
            }
            self.at += begin;
            return Ok(Some(Piece::Text((start..start + text.len()).into())));
        }
        self.trim = false;
        self.markup(rest, true).map(Some)
    }

    /// Returns the next tag of a comment. Text and output before it are skipped, and quotes do not
    /// protect its end.
    pub(super) fn next_of_comment(&mut self) -> Result<Option<Tag>> {
        if self.is_liquid() {
            return Ok(match self.next_line() {
                Some(Piece::Tag(tag)) => Some(tag),
                _ => None,
            });
        }
        let source = self.source.clone();
        let rest = source.get((self.at..self.end).into());
        let Some(begin) = rest.find("{%") else {
            return Ok(None);
        };
        self.at += begin;
        match self.markup(&rest[begin..], false)? {
            Piece::Tag(tag) => Ok(Some(tag)),
            _ => Ok(None),
        }
    }

    /// Reads an output or a tag.
    fn markup(&mut self, rest: &str, quotes: bool) -> Result<Piece> {
        let start = self.at;
        let output = rest.starts_with("{{");
        let close = if output { "}}" } else { "%}" };
        let open = if rest[2..].starts_with('-') { 3 } else { 2 };
        let Some(end) = markup_end(&rest[open..], close, quotes) else {
            let opened = (start..start + 2).into();
            let problem = if output {
                "`{{` is never closed: expected `}}`"
            } else {
                "`{%` is never closed: expected `%}`"
            };
            return Err(self.source.error(opened, problem));
        };
        let inner = &rest[open..open + end];
        // `{{-}}`: the sign at the front has been taken already.
        self.trim = inner.ends_with('-') || (inner.is_empty() && open == 3);
        let inner = inner.strip_suffix('-').unwrap_or(inner);
        let inner = (start + open..start + open + inner.len()).into();
        let all: Span = (start..start + open + end + close.len()).into();
        self.at = all.end;
        let markup = trim(&self.source, inner);
        Ok(if output {
            Piece::Output { all, markup }
        } else {
            Piece::Tag(tag(&self.source, all, markup))
        })
    }

    fn next_line(&mut self) -> Option<Piece> {
        while self.at < self.end {
            let rest = self.source.get((self.at..self.end).into());
            let length = rest.find('\n').unwrap_or(rest.len());
            let line = trim(&self.source, (self.at..self.at + length).into());
            self.at = self.end.min(self.at + length + 1);
            if !line.is_empty() {
                return Some(Piece::Tag(tag(&self.source, line, line)));
            }
        }
        None
    }

    /// Skips to the tag of this name without arguments, and returns the text before it.
    pub(super) fn verbatim(&mut self, end: &str) -> Option<Span> {
        let start = self.at;
        while self.at < self.end {
            let rest = self.source.get((self.at..self.end).into());
            if matches!(self.mode, Mode::Lines) {
                let Some(Piece::Tag(tag)) = self.next_line() else {
                    break;
                };
                if self.source.get(tag.name) == end {
                    return Some((start..tag.all.start).into());
                }
                continue;
            }
            let begin = rest.find("{%")?;
            let inner = &rest[begin + 2..];
            let inner = inner.strip_prefix('-').unwrap_or(inner);
            if let Some(after) = inner.trim_start_matches(is_space).strip_prefix(end) {
                let after = after.trim_start_matches(is_space);
                let close = after.strip_prefix('-').unwrap_or(after);
                if let Some(after_tag) = close.strip_prefix("%}") {
                    let text = (start..self.at + begin).into();
                    self.trim = close.len() < after.len();
                    self.at = self.end - after_tag.len();
                    return Some(text);
                }
            }
            self.at += begin + 2;
        }
        None
    }
}

/// Finds the first `{{` or `{%`.
fn markup_begin(text: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].find('{') {
        let at = from + at;
        if matches!(text.as_bytes().get(at + 1), Some(b'{' | b'%')) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// Finds the end of the markup: before the first `close`, as in Ruby. If that leaves a string open, and
/// both the string and the markup end on the same line, `close` is part of the string, as in the engine.
fn markup_end(text: &str, close: &str, quotes: bool) -> Option<usize> {
    let first = text.find(close)?;
    let inner = &text[..first];
    // These take any arguments, with any quotes in them. In all other tags an open string is an error,
    // so that a longer string can't change what a valid template means.
    let name = inner.trim_start_matches(is_space);
    let ignores = close == "%}"
        && ["#", "end", "else", "comment"]
            .iter()
            .any(|tag| name.starts_with(tag));
    if !quotes || ignores || inner.contains('\n') {
        return Some(first);
    }
    let Some(quote) = open_quote(inner) else {
        return Some(first);
    };
    let line = text.find('\n').map_or(text, |newline| &text[..newline]);
    let later = line[first..].find(quote).and_then(|string_end| {
        let from = first + string_end + 1;
        let end = from + line[from..].find(close)?;
        open_quote(&line[from..end]).is_none().then_some(end)
    });
    Some(later.unwrap_or(first))
}

/// Returns the quote of a string that is not closed.
pub(super) fn open_quote(text: &str) -> Option<char> {
    let mut open = None;
    for c in text.chars().filter(|c| ['"', '\''].contains(c)) {
        match open {
            None => open = Some(c),
            Some(quote) if quote == c => open = None,
            Some(_) => {}
        }
    }
    open
}

fn trim(source: &Source, span: Span) -> Span {
    let text = source.get(span);
    let front = text.trim_start_matches(is_space);
    let start = span.start + text.len() - front.len();
    let length = front.trim_end_matches(is_space).len();
    (start..start + length).into()
}

fn tag(source: &Source, all: Span, inner: Span) -> Tag {
    let text = source.get(inner);
    let length = if text.starts_with('#') {
        1
    } else {
        text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
            .unwrap_or(text.len())
    };
    let name = (inner.start..inner.start + length).into();
    let markup = trim(source, (inner.start + length..inner.end).into());
    Tag { all, name, markup }
}

//! What a source says, piece by piece, for programs that read templates and do not run them.

use super::markup::is_word;
use super::scan::{Piece as Scanned, Scanner, Tag, is_space};
use super::source::{Place, Source, Span};

/// An output or a tag. Comments, `raw` and `doc` are left out, the lines of `liquid` are tags.
#[derive(Debug)]
pub(crate) struct Piece {
    /// The name of the tag; empty for an output.
    pub(crate) name: String,
    pub(crate) at: usize,
    pub(crate) tokens: Vec<Token>,
}

#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) at: usize,
    pub(crate) word: Word,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Word {
    /// A variable, and what is read below it.
    Path(Vec<Step>),
    Text(String),
    /// A number, or one of `true`, `false`, `nil`, `null`, `blank` and `empty`.
    Literal(String),
    /// The name after `|`.
    Filter(String),
    /// The name before `:`.
    Named(String),
    /// `=`, `,`, a bracket, an operator.
    Symbol(char),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Name(String),
    /// `[…]` with anything but a string.
    Computed(Vec<Word>),
}

/// Reads a source up to its first mistake in the limits of tags.
pub(crate) fn outline(text: &str) -> Vec<Piece> {
    let source = Source::new(text, Place::default());
    let mut pieces = Vec::new();
    fill(&source, &mut Scanner::document(source.clone()), &mut pieces);
    pieces
}

fn fill(source: &Source, scanner: &mut Scanner, pieces: &mut Vec<Piece>) {
    while let Ok(Some(scanned)) = scanner.next() {
        let (name, at, markup) = match scanned {
            Scanned::Text(_) => continue,
            Scanned::Output { all, markup } => ("", all.start, markup),
            Scanned::Tag(tag) => (source.get(tag.name), tag.all.start, tag.markup),
        };
        match name {
            "#" => {}
            "liquid" => fill(source, &mut Scanner::lines(source.clone(), markup), pieces),
            "raw" => drop(scanner.verbatim("endraw")),
            "doc" => drop(scanner.verbatim("enddoc")),
            "comment" => skip_comment(source, scanner),
            name => pieces.push(Piece {
                // These print.
                name: match name {
                    "echo" | "print" => String::new(),
                    name => name.to_owned(),
                },
                at,
                tokens: tokens(source, markup),
            }),
        }
    }
}

fn skip_comment(source: &Source, scanner: &mut Scanner) {
    let mut depth = 1;
    while depth > 0 {
        let Ok(Some(Tag { name, .. })) = scanner.next_of_comment() else {
            return;
        };
        match source.get(name) {
            "comment" => depth += 1,
            "endcomment" => depth -= 1,
            "raw" => drop(scanner.verbatim("endraw")),
            _ => {}
        }
    }
}

fn tokens(source: &Source, markup: Span) -> Vec<Token> {
    let mut cursor = Cursor {
        text: source.get(markup),
        at: 0,
        depth: 0,
    };
    let mut tokens = Vec::new();
    while let Some(mut token) = cursor.token() {
        let last = tokens.last().map(|token: &Token| &token.word);
        if last == Some(&Word::Symbol('|')) {
            match &token.word {
                Word::Path(path) if let [Step::Name(name)] = &path[..] => {
                    token.word = Word::Filter(name.clone());
                }
                Word::Named(name) => token.word = Word::Filter(name.clone()),
                _ => {}
            }
        }
        token.at += markup.start;
        tokens.push(token);
    }
    tokens.retain(|token| token.word != Word::Symbol('|'));
    tokens
}

struct Cursor<'t> {
    text: &'t str,
    at: usize,
    /// The open brackets.
    depth: usize,
}

/// As many as the parser takes.
const DEEPEST: usize = 100;

impl Cursor<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(is_space).len();
    }

    fn token(&mut self) -> Option<Token> {
        self.skip_space();
        let at = self.at;
        let first = self.rest().chars().next()?;
        let word = match first {
            '\'' | '"' => Word::Text(self.string(first)),
            c if is_word(c) => self.word(),
            '[' if self.depth < DEEPEST && self.is_computed_root() => {
                let mut path = Vec::new();
                self.path(&mut path);
                Word::Path(path)
            }
            c => {
                self.at += c.len_utf8();
                Word::Symbol(c)
            }
        };
        Some(Token { at, word })
    }

    /// `[name].member`, and not an array.
    fn is_computed_root(&self) -> bool {
        let behind = self.rest().split_once(']').map(|(_, behind)| behind);
        behind.is_some_and(|behind| behind.starts_with(['.', '[']))
    }

    fn string(&mut self, quote: char) -> String {
        let inner = &self.rest()[1..];
        let length = inner.find(quote).unwrap_or(inner.len());
        let text = inner[..length].to_owned();
        self.at = self.text.len().min(self.at + length + 2);
        text
    }

    fn word(&mut self) -> Word {
        let rest = self.rest();
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let word = rest[..length].to_owned();
        self.at += length;
        let rest = self.rest();
        let number = word.trim_start_matches('-');
        if number.starts_with(|c: char| c.is_ascii_digit()) && word.parse::<f64>().is_ok() {
            // The fraction, unless this is a range.
            if rest.starts_with('.') && rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
                let digits = rest[1..].find(|c: char| !c.is_ascii_digit());
                self.at += 1 + digits.unwrap_or(rest.len() - 1);
            }
            return Word::Literal(word);
        }
        let behind = rest.trim_start_matches(is_space);
        if behind.starts_with(':') {
            self.at += rest.len() - behind.len() + 1;
            return Word::Named(word);
        }
        let literal = ["nil", "null", "true", "false", "blank", "empty"].contains(&word.as_str());
        if literal && !behind.starts_with(['.', '[']) {
            return Word::Literal(word);
        }
        let mut path = vec![Step::Name(word)];
        self.path(&mut path);
        Word::Path(path)
    }

    fn path(&mut self, path: &mut Vec<Step>) {
        loop {
            let rest = self.rest();
            if rest.starts_with('.') && rest[1..].starts_with(is_word) {
                self.at += 1;
                let rest = self.rest();
                let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                path.push(Step::Name(rest[..length].to_owned()));
                self.at += length;
            } else if rest.starts_with('[') && self.depth < DEEPEST {
                self.at += 1;
                self.depth += 1;
                let mut inner = Vec::new();
                while let Some(token) = self.token() {
                    if token.word == Word::Symbol(']') {
                        break;
                    }
                    inner.push(token.word);
                }
                self.depth -= 1;
                path.push(match &inner[..] {
                    [Word::Text(text)] => Step::Name(text.clone()),
                    _ => Step::Computed(inner),
                });
            } else if rest.starts_with('?') {
                self.at += 1;
            } else {
                return;
            }
        }
    }
}

//! Tags and blocks of the host: those that are registered with the engine and are not the dialect's.
//!
//! The engine parses each as a template of its own. Values that its grammar refuses become variables
//! that no template names, and what a block holds becomes a tag that yields the parsed body.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use liquid_core::model::KString;
use liquid_core::parser::TryMatchToken;
use liquid_core::{
    Error, Language, ParseTag, Renderable, Result, TagReflection, TagTokenIter, Value,
};

use super::envelope;
use super::expression::{Expr, Hidden};
use super::markup::{Brackets, Markup, in_one_line, is_word};
use super::node::{Body, Element, Flow, Node, Root, Scope, raised};
use super::parse::{Parsed, Parser};
use super::scan::{Tag, is_space};
use super::source::{Source, Span};

/// Whether the host has a tag or a block of this name.
pub(super) fn knows(options: &Language, name: &str) -> bool {
    name != envelope::TAG
        && (options.tags.get(name).is_some() || options.blocks.get(name).is_some())
}

pub(super) fn names(options: &Language) -> impl Iterator<Item = &str> {
    let names = options
        .tags
        .plugin_names()
        .chain(options.blocks.plugin_names());
    names.filter(|name| *name != envelope::TAG)
}

#[derive(Debug)]
struct Host {
    parts: Vec<Box<dyn Renderable>>,
    hidden: Hidden,
}

impl Node for Host {
    fn render(&self, out: &mut dyn Write, scope: Scope<'_>) -> Result<Flow> {
        self.hidden.scoped(scope.runtime, |runtime| {
            for part in &self.parts {
                part.render_to(out, runtime)?;
            }
            Ok(raised(runtime))
        })
    }
}

/// Parses a tag of the host, with its body if it is a block that has one here.
pub(super) fn parse(parser: &mut Parser<'_>, tag: Tag, name: &str) -> Result<Parsed> {
    let mut hidden = Hidden::default();
    let text = Text::of(parser, tag, &mut hidden)?;
    let alone = liquid_core::parser::parse(&text.text, parser.options);
    let error = match alone {
        Ok(parts) => return Ok(Parsed::new(Host { parts, hidden })),
        Err(error) => error,
    };
    let block = parser.options.blocks.get(name);
    let is_block = parser.options.tags.get(name).is_none();
    let end = block.map(|block| block.reflection().end_tag().to_owned());
    let located = text.locate(&parser.source, tag, &error);
    match end {
        // A block that complains of anything but its end is wrong by itself.
        Some(end) if is_block && asks_for(&error, &end) => {
            let Some(parts) = parser.host_parts(tag, &end)? else {
                return Err(located);
            };
            parse_block(parser, tag, &end, parts)
        }
        _ => Err(located),
    }
}

fn asks_for(error: &Error, end: &str) -> bool {
    let text = error.to_string();
    text.contains("Unclosed block") || text.contains(end)
}

fn parse_block(
    parser: &mut Parser<'_>,
    tag: Tag,
    end: &str,
    parts: Vec<(Tag, Body)>,
) -> Result<Parsed> {
    let mut hidden = Hidden::default();
    let mut text = Text::default();
    for (begin, body) in parts {
        text.append(Text::of(parser, begin, &mut hidden)?);
        parser.bodies.embed(&parser.source, body, &mut text.text);
    }
    text.text.push_str(&format!("{{% {end} %}}"));
    let parsed = liquid_core::parser::parse(&text.text, parser.bodies.language(parser.options));
    match parsed {
        Ok(parts) => Ok(Parsed::new(Host { parts, hidden })),
        Err(error) => Err(text.locate(&parser.source, tag, &error)),
    }
}

/// Parsed bodies of the host's blocks, which the engine's parser gets as tags.
#[derive(Default)]
pub(super) struct Bodies {
    /// The host's language, with the tag [`BODY`].
    language: Option<Language>,
    kept: Kept,
}

type Kept = Arc<Mutex<Vec<Root>>>;

/// The tag that yields a body.
const BODY: &str = "__dialect_body__";

impl Bodies {
    fn language(&mut self, options: &Language) -> &Language {
        let kept = &self.kept;
        self.language.get_or_insert_with(|| {
            let mut language = options.clone();
            let tag = YieldBody(kept.clone());
            language.tags.register(BODY.to_owned(), tag.into());
            language
        })
    }

    /// Writes a body into the text for the engine. A body without markup is written as it is, for
    /// blocks that read it.
    fn embed(&mut self, source: &Source, body: Body, text: &mut String) {
        let plain = body.elements.iter().map(|element| match element {
            Element::Text(span) => Some(source.get(*span)),
            _ => None,
        });
        let plain: Option<String> = plain.collect();
        match plain {
            Some(plain) if !plain.contains("{{") && !plain.contains("{%") => text.push_str(&plain),
            _ => {
                let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&format!("{{% {BODY} {} %}}", kept.len()));
                kept.push(Root::new(source.clone(), body));
            }
        }
    }
}

#[derive(Clone)]
struct YieldBody(Kept);

impl TagReflection for YieldBody {
    fn tag(&self) -> &str {
        BODY
    }

    fn description(&self) -> &str {
        "the body of a block, parsed before"
    }
}

impl ParseTag for YieldBody {
    fn parse(&self, mut tokens: TagTokenIter<'_>, _: &Language) -> Result<Box<dyn Renderable>> {
        let number = tokens
            .expect_next("expected the number of a body")?
            .expect_literal();
        let number = match number {
            TryMatchToken::Matches(Value::Scalar(number)) => number.to_integer(),
            _ => None,
        };
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let root = number
            .and_then(|number| kept.get(usize::try_from(number).ok()?))
            .ok_or_else(|| tokens.raise_error("expected the number of a body"))?;
        Ok(Box::new(root.clone()))
    }

    fn reflection(&self) -> &dyn TagReflection {
        self
    }
}

/// A tag in a form that the engine's grammar accepts.
#[derive(Default)]
struct Text {
    text: String,
    /// Offsets in the text, with the offsets in the source that they stand for.
    places: Vec<(usize, usize)>,
}

impl Text {
    fn of(parser: &Parser<'_>, tag: Tag, hidden: &mut Hidden) -> Result<Self> {
        let source = &parser.source;
        parser.check_quotes(tag.markup)?;
        let mut text = Self::default();
        text.text.push_str("{% ");
        text.copy(source, tag.name);
        let mut cursor = tag.markup.start;
        // Whether a value may stand here, rather than a name.
        let mut value = false;
        while cursor < tag.markup.end {
            let rest: Span = (cursor..tag.markup.end).into();
            let c = source.get(rest).chars().next().unwrap_or_default();
            if cursor == tag.markup.start || is_space(c) {
                text.text.push(' ');
            }
            if is_space(c) {
                cursor += c.len_utf8();
                continue;
            }
            let end = match c {
                '\'' | '"' => {
                    let string = &source.get(rest)[1..];
                    cursor + 2 + string.find(c).unwrap_or(string.len())
                }
                _ if value
                    || c.is_ascii_digit()
                    || ['[', '{'].contains(&c)
                    || is_indexed_value(source, rest) =>
                {
                    match text.value(source, rest, value, hidden)? {
                        Some(end) => {
                            cursor = end;
                            value = false;
                            continue;
                        }
                        None => path_end(source, rest),
                    }
                }
                _ => path_end(source, rest),
            };
            text.copy(source, (cursor..end).into());
            value = ['=', ':', ','].contains(&c);
            cursor = end;
        }
        text.text.push_str(" %}");
        Ok(text)
    }

    /// Writes a value, or a hidden variable if the grammar does not accept it. Returns where the value
    /// ends, or nothing if there is no value here.
    fn value(
        &mut self,
        source: &Source,
        rest: Span,
        expected: bool,
        hidden: &mut Hidden,
    ) -> Result<Option<usize>> {
        let mut markup = Markup::new(source, rest);
        let word = markup.peek_word();
        let first = source.get(rest).chars().next().unwrap_or_default();
        // `name: value`, or an operator.
        let named = !word.is_empty() && {
            let mut after = Markup::new(source, rest);
            after.eat_word(word) && after.peek() == Some(':')
        };
        let begins = is_word(first) || ['[', '{', '(', '+'].contains(&first);
        if named || !begins {
            return Ok(None);
        }
        let expr = markup.value(Brackets::Array)?;
        let end = rest.start + markup.text_from(rest.start).len();
        let text = source.get((rest.start..end).into());
        if !expected && matches!(expr, Expr::Literal(_)) || is_plain(&expr, text) {
            self.copy(source, (rest.start..end).into());
        } else {
            let name = format!("__dialect_{}", hidden.len());
            self.places.push((self.text.len(), rest.start));
            self.text.push_str(&name);
            hidden.push(KString::from_string(name), expr);
        }
        Ok(Some(end))
    }

    fn copy(&mut self, source: &Source, span: Span) {
        self.places.push((self.text.len(), span.start));
        self.text.push_str(source.get(span));
    }

    fn append(&mut self, other: Self) {
        let before = self.text.len();
        let places = other.places.into_iter();
        self.places
            .extend(places.map(|(text, source)| (text + before, source)));
        self.text.push_str(&other.text);
    }

    /// Converts an error about this text into one about the source.
    fn locate(&self, source: &Source, tag: Tag, error: &Error) -> Error {
        let shown = error.to_string();
        let place = shown.split_once("--> ").and_then(|(_, place)| {
            let (line, column) = place.split_once('\n')?.0.split_once(':')?;
            Some((line.parse::<usize>().ok()?, column.parse::<usize>().ok()?))
        });
        // The drawing ends with the message, and what the engine adds stands below.
        let mut lines = shown
            .lines()
            .map(str::trim)
            .skip_while(|line| !line.starts_with("= "));
        let (Some((line, column)), Some(message)) = (place, lines.next()) else {
            return source.error(tag.all, &in_one_line(error));
        };
        // Bodies may have lines.
        let start: usize = self
            .text
            .split_inclusive('\n')
            .take(line - 1)
            .map(str::len)
            .sum();
        let within = self.text[start..].char_indices().nth(column - 1);
        let at = start + within.map_or(0, |(at, _)| at);
        let before = self.places.iter().rev().find(|(text, _)| *text <= at);
        let at = before.map_or(tag.all.start, |(text, source)| source + (at - text));
        let end = source.text().len();
        let at = source.floor(at.min(end.saturating_sub(1)));
        let word = source.get((at..end).into());
        let length = word.find(|c| !is_word(c)).unwrap_or(word.len());
        let mut problem = message.trim_start_matches("= ").to_owned();
        if problem.starts_with("expected ") && problem.contains("Range") {
            // The engine lists its grammar.
            let found = Markup::new(source, (at..tag.markup.end).into()).found();
            problem = format!("expected a value, a name or an operator, found {found}");
        }
        if problem.starts_with("Unknown tag") {
            let block = source.get(tag.name);
            problem = format!("unknown tag `{}` in the block `{block}`", &word[..length]);
            return source.error((at..at + length.max(1)).into(), &problem);
        }
        for line in lines.filter(|line| !line.is_empty() && *line != "with:") {
            problem.push_str("; ");
            problem.push_str(line);
        }
        source.error((at..at + length.max(1)).into(), &problem)
    }
}

/// Whether the engine's grammar reads the value as the dialect does.
fn is_plain(expr: &Expr, text: &str) -> bool {
    match expr {
        Expr::Literal(_) | Expr::Blank | Expr::Empty => true,
        Expr::Path(super::expression::Path::Fixed(_)) => {
            // The grammar sees no end of a word behind these.
            let literals = ["nil", "null", "true", "false", "blank", "empty"];
            !literals.iter().any(|literal| text.starts_with(literal))
                && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && !text.contains(is_space)
                && !text.contains('?')
        }
        _ => false,
    }
}

fn word_end(source: &Source, rest: Span) -> usize {
    let text = source.get(rest);
    let first = text.chars().next().map_or(1, char::len_utf8);
    let length = text
        .find(|c| !(is_word(c) || c == '.'))
        .unwrap_or(text.len());
    rest.start + length.max(first)
}

/// Like [`word_end`], with the brackets right behind the word.
fn path_end(source: &Source, rest: Span) -> usize {
    let word = word_end(source, rest);
    let behind: Span = (word..rest.end).into();
    if !source.get(behind).starts_with('[') {
        return word;
    }
    let mut markup = Markup::new(source, behind);
    match markup.keys(Vec::new()) {
        Ok(_) => markup.position(),
        Err(_) => word,
    }
}

/// Whether this is a variable with brackets that is read, and not one that is assigned to or named.
fn is_indexed_value(source: &Source, rest: Span) -> bool {
    let end = path_end(source, rest);
    if end == word_end(source, rest) {
        return false;
    }
    let mut behind = Markup::new(source, (end..rest.end).into());
    match behind.peek() {
        Some('=') => behind.eat("=="),
        next => next != Some(':'),
    }
}

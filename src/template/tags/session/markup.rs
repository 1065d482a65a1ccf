//! The markup between `{% session` and `%}`.

use kstring::KString;
use liquid_core::parser::TagToken;
use liquid_core::{Error, Language, Result, TagTokenIter};

use super::source::Source;
use crate::session::check_key;
use crate::template::tags::literal::integer_beyond_i64;

/// The end of every message.
const VALID: &str = "{% session key = value | filters %}";

pub(super) enum Markup<'t> {
    /// `= null`: every key is removed.
    Clear,
    /// `key = value | filters`.
    Assign { key: KString, source: Source },
    /// `key`, and a body.
    Block { key: Key<'t> },
}

/// A key and its place.
pub(super) struct Key<'t> {
    pub(super) name: KString,
    token: TagToken<'t>,
}

impl Key<'_> {
    pub(super) fn error(self, problem: &str) -> Error {
        at(self.token, problem)
    }
}

fn at(token: TagToken<'_>, problem: &str) -> Error {
    token.raise_custom_error(&format!("{problem}; write {VALID}"))
}

impl<'t> Markup<'t> {
    pub(super) fn parse(
        mut tokens: TagTokenIter<'t>,
        options: &Language,
        strict: bool,
    ) -> Result<Self> {
        let Some(first) = tokens.next() else {
            return Err(tokens.raise_error(&format!("the session key is missing; write {VALID}")));
        };
        if first.as_str() == "=" {
            return Self::parse_clear(first, tokens);
        }
        let (key, next) = parse_key(first, &mut tokens)?;
        let Some(assign) = next else {
            return Ok(Self::Block { key });
        };
        match assign.as_str() {
            "=" => {}
            "==" => return Err(at(assign, "`=` stores, `==` compares")),
            ":" => return Err(at(assign, "expected `=` after the session key, found `:`")),
            _ => return Err(at(assign, "expected `=` after the session key")),
        }
        let Some(value) = tokens.next() else {
            return Err(tokens.raise_error(&format!(
                "a value is missing after `=`; write {VALID}, or = null to remove the key"
            )));
        };
        let span = span(&value);
        let source = parse_value(value, options, strict)?;
        match tokens.next() {
            None => Ok(Self::Assign {
                key: key.name,
                source,
            }),
            Some(comma) if comma.as_str() == "," => {
                Err(at(comma, "one key per session tag; use a tag for each"))
            }
            Some(other) if other.as_str().as_ptr() as usize == span.1 => Err(at(
                other,
                "a variable whose name begins with `nil`, `null`, `empty`, `blank`, `true` or `false` can't begin a value: the engine reads that word by itself; call the variable something else, or hand it over in an object, as in `page.empty_cart`",
            )),
            Some(other) => Err(at(
                other,
                "expected the end of the tag after the value; a session value is one expression, without comparisons",
            )),
        }
    }

    /// `= null` clears; everything else after a bare `=` lacks its key.
    fn parse_clear(assign: TagToken<'t>, mut tokens: TagTokenIter<'t>) -> Result<Self> {
        let value = tokens.next();
        let clears = value
            .as_ref()
            .is_some_and(|value| ["nil", "null", "blank", "empty"].contains(&value.as_str()));
        match (clears, tokens.next()) {
            (true, None) => Ok(Self::Clear),
            _ => Err(at(
                assign,
                "the session key is missing before `=` (only `= null` stands without one: it removes every key)",
            )),
        }
    }
}

/// Returns where a token begins and ends.
fn span(token: &TagToken<'_>) -> (usize, usize) {
    let text = token.as_str();
    let start = text.as_ptr() as usize;
    (start, start + text.len())
}

/// Parses one name, and returns it with the token after it. The engine reads `empty_cart` as the literal
/// `empty` and a variable `_cart`, so adjacent tokens are one word here.
fn parse_key<'t>(
    first: TagToken<'t>,
    tokens: &mut TagTokenIter<'t>,
) -> Result<(Key<'t>, Option<TagToken<'t>>)> {
    let mut name = first.as_str().to_owned();
    let (_, mut end) = span(&first);
    let mut next = tokens.next();
    while let Some(token) = &next {
        let text = token.as_str();
        if span(token).0 != end || !text.chars().all(is_word) {
            break;
        }
        name.push_str(text);
        end = span(token).1;
        next = tokens.next();
    }

    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !begins || !name.chars().all(is_word) {
        let problem = if name.starts_with(['\'', '"']) {
            "the session key stands without quotes"
        } else if name.contains(['.', '[']) {
            "a session key is one name, without dots and brackets"
        } else if name.contains('|') {
            "a session key is one name, without filters"
        } else {
            "a session key is one name of letters, digits, `_` and `-` that begins with a letter or `_`"
        };
        return Err(at(first, problem));
    }
    if let Err(problem) = check_key(&name) {
        return Err(at(first, &problem.to_string()));
    }
    Ok((
        Key {
            name: KString::from_string(name),
            token: first,
        },
        next,
    ))
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

fn parse_value(token: TagToken<'_>, options: &Language, strict: bool) -> Result<Source> {
    let text = token.as_str().to_owned();
    if ["=", "==", ",", ":", "<", ">", "!=", "<>", "<=", ">="].contains(&text.as_str()) {
        return Err(at(
            token,
            &format!("expected a value after `=`, found `{text}`"),
        ));
    }
    // The engine's parser panics on these.
    if let Some(number) = integer_beyond_i64(&text) {
        let problem = format!(
            "the whole number {number} is beyond what can be stored ({} to {})",
            i64::MIN,
            i64::MAX
        );
        return Err(at(token, &problem));
    }
    if text.starts_with('(') {
        return Err(at(
            token,
            "a range is no value: loop over it, or store its ends",
        ));
    }
    Source::parse(token, options, strict)
        .map_err(|token| at(token, &filter_problem(&text, options)))
}

/// The engine drops the reason why it refused a filter chain; parsing an expression again returns it.
fn filter_problem(text: &str, options: &Language) -> String {
    let told = match liquid_core::parser::parse(&format!("{{{{ {text} }}}}"), options) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    if let Some(name) = told
        .lines()
        .find_map(|line| line.trim().strip_prefix("requested filter="))
    {
        let mut known: Vec<_> = options.filters.plugin_names().collect();
        known.sort_unstable();
        let nearest = known
            .iter()
            .map(|known| (strsim::jaro_winkler(name, known), known))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(likeness, _)| *likeness > 0.7)
            .map_or_else(String::new, |(_, nearest)| {
                format!(", did you mean `{nearest}`?")
            });
        return format!(
            "unknown filter `{name}`{nearest} (the filters are: {})",
            known.join(", ")
        );
    }
    let told: Vec<_> = told
        .lines()
        .map(|line| line.trim().trim_start_matches("liquid: "))
        .filter(|line| !line.is_empty() && !line.starts_with("from:") && *line != "with:")
        .collect();
    if told.is_empty() {
        "expected a value with optional filters".to_owned()
    } else {
        told.join(", ")
    }
}

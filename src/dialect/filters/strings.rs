//! Filters on strings.

use std::borrow::Cow;

use liquid_core::{Error, Result, Value};

use super::super::scan::is_blank;
use super::super::values::{self, Kind, kind};
use super::{Call, text};

fn input<'c>(call: &Call<'c>) -> Cow<'c, str> {
    values::text(call.input)
}

fn argument<'c>(call: &'c Call<'_>, at: usize) -> Cow<'c, str> {
    values::text(call.argument(at))
}

pub(super) fn append(call: &Call<'_>) -> Result<Value> {
    text(input(call) + &*argument(call, 0))
}

pub(super) fn prepend(call: &Call<'_>) -> Result<Value> {
    text(argument(call, 0) + &*input(call))
}

pub(super) fn upcase(call: &Call<'_>) -> Result<Value> {
    text(input(call).to_uppercase())
}

pub(super) fn downcase(call: &Call<'_>) -> Result<Value> {
    text(input(call).to_lowercase())
}

pub(super) fn capitalize(call: &Call<'_>) -> Result<Value> {
    let input = input(call);
    let mut chars = input.chars();
    let first = chars.next().map(char::to_uppercase);
    let mut capitalized: String = first.into_iter().flatten().collect();
    capitalized.push_str(&chars.as_str().to_lowercase());
    text(capitalized)
}

pub(super) fn strip(call: &Call<'_>) -> Result<Value> {
    text(input(call).trim_matches(is_blank))
}

pub(super) fn lstrip(call: &Call<'_>) -> Result<Value> {
    text(input(call).trim_start_matches(is_blank))
}

pub(super) fn rstrip(call: &Call<'_>) -> Result<Value> {
    text(input(call).trim_end_matches(is_blank))
}

pub(super) fn squish(call: &Call<'_>) -> Result<Value> {
    if call.input.is_nil() {
        return Ok(Value::Nil);
    }
    let words: Vec<_> = words(&input(call)).map(str::to_owned).collect();
    text(words.join(" "))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_blank).filter(|word| !word.is_empty())
}

pub(super) fn strip_newlines(call: &Call<'_>) -> Result<Value> {
    text(input(call).replace("\r\n", "").replace('\n', ""))
}

pub(super) fn newline_to_br(call: &Call<'_>) -> Result<Value> {
    text(input(call).replace("\r\n", "\n").replace('\n', "<br />\n"))
}

pub(super) fn replace(call: &Call<'_>) -> Result<Value> {
    text(input(call).replace(&*argument(call, 0), &argument(call, 1)))
}

pub(super) fn replace_first(call: &Call<'_>) -> Result<Value> {
    text(input(call).replacen(&*argument(call, 0), &argument(call, 1), 1))
}

pub(super) fn replace_last(call: &Call<'_>) -> Result<Value> {
    let input = input(call);
    let old = argument(call, 0);
    match input.rfind(&*old) {
        Some(at) => {
            let mut replaced = input[..at].to_owned();
            replaced.push_str(&argument(call, 1));
            replaced.push_str(&input[at + old.len()..]);
            text(replaced)
        }
        None => text(input),
    }
}

// Without a second argument the replacement is nil: an empty text.
pub(super) fn remove(call: &Call<'_>) -> Result<Value> {
    replace(call)
}

pub(super) fn remove_first(call: &Call<'_>) -> Result<Value> {
    replace_first(call)
}

pub(super) fn remove_last(call: &Call<'_>) -> Result<Value> {
    replace_last(call)
}

const ESCAPES: [(char, &str); 5] = [
    ('&', "&amp;"),
    ('<', "&lt;"),
    ('>', "&gt;"),
    ('"', "&quot;"),
    ('\'', "&#39;"),
];

fn escaped(input: &str, keep: fn(&str) -> bool) -> String {
    let mut escaped = String::with_capacity(input.len());
    for (at, c) in input.char_indices() {
        match ESCAPES.iter().find(|(special, _)| *special == c) {
            Some((_, entity)) if !keep(&input[at..]) => escaped.push_str(entity),
            _ => escaped.push(c),
        }
    }
    escaped
}

pub(super) fn escape(call: &Call<'_>) -> Result<Value> {
    if call.input.is_nil() {
        return Ok(Value::Nil);
    }
    text(escaped(&input(call), |_| false))
}

pub(super) fn escape_once(call: &Call<'_>) -> Result<Value> {
    text(escaped(&input(call), is_entity))
}

/// `&name;` or `&#12;`.
fn is_entity(text: &str) -> bool {
    let Some(name) = text.strip_prefix('&') else {
        return false;
    };
    // Looking for the `;` any further would be quadratic.
    let end = name.bytes().take(40).position(|b| b == b';');
    let Some(name) = end.and_then(|end| name.get(..end)) else {
        return false;
    };
    match name.strip_prefix('#') {
        Some(digits) => !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()),
        None => !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic()),
    }
}

pub(super) fn url_encode(call: &Call<'_>) -> Result<Value> {
    if call.input.is_nil() {
        return Ok(Value::Nil);
    }
    let mut encoded = String::new();
    for byte in input(call).bytes() {
        match byte {
            b' ' => encoded.push('+'),
            b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => encoded.push(b.into()),
            b => encoded.push_str(&format!("%{b:02X}")),
        }
    }
    text(encoded)
}

pub(super) fn url_decode(call: &Call<'_>) -> Result<Value> {
    if call.input.is_nil() {
        return Ok(Value::Nil);
    }
    let input = input(call);
    let mut decoded = Vec::with_capacity(input.len());
    let mut bytes = input.as_bytes();
    while let Some((&byte, rest)) = bytes.split_first() {
        bytes = rest;
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let hex = rest.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
                let hex = hex.filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
                match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                    Some(decoded) => {
                        bytes = &rest[2..];
                        decoded
                    }
                    None => b'%',
                }
            }
            byte => byte,
        });
    }
    let decoded = String::from_utf8(decoded);
    text(decoded.map_err(|_| Error::with_msg("the decoded bytes are not UTF-8"))?)
}

/// The tags and blocks that [`strip_html`] takes out. Each search goes on where the one before
/// ended, and none is repeated that found nothing.
pub(super) fn strip_html(call: &Call<'_>) -> Result<Value> {
    let input = input(call);
    let without_blocks = strip(
        &input,
        &[
            ("<script", "</script>"),
            ("<!--", "-->"),
            ("<style", "</style>"),
        ],
    );
    return text(strip(&without_blocks, &[("<", ">")]));

    fn strip(input: &str, blocks: &[(&str, &str)]) -> String {
        let mut blocks = blocks.to_vec();
        let mut kept = String::with_capacity(input.len());
        let mut rest = input;
        while let Some(at) = rest.find('<') {
            kept.push_str(&rest[..at]);
            rest = &rest[at..];
            let block = blocks.iter().position(|(begin, _)| rest.starts_with(begin));
            let end = block.map(|block| {
                let (begin, end) = blocks[block];
                (
                    block,
                    rest[begin.len()..]
                        .find(end)
                        .map(|at| begin.len() + at + end.len()),
                )
            });
            match end {
                Some((_, Some(end))) => rest = &rest[end..],
                Some((block, None)) => {
                    blocks.remove(block);
                }
                None => {
                    kept.push('<');
                    rest = &rest[1..];
                }
            }
        }
        kept.push_str(rest);
        kept
    }
}

pub(super) fn split(call: &Call<'_>) -> Result<Value> {
    let input = input(call);
    let pattern = argument(call, 0);
    let mut parts: Vec<&str> = match &*pattern {
        " " => words(&input).collect(),
        "" => input
            .char_indices()
            .map(|(at, c)| &input[at..at + c.len_utf8()])
            .collect(),
        pattern => input.split(pattern).collect(),
    };
    // Ruby drops what is empty at the end.
    let length = parts.iter().rposition(|part| !part.is_empty());
    parts.truncate(length.map_or(0, |last| last + 1));
    Ok(Value::array(
        parts.into_iter().map(|part| Value::scalar(part.to_owned())),
    ))
}

pub(super) fn slice(call: &Call<'_>) -> Result<Value> {
    let offset = values::integer(call.argument(0))?;
    let length = match call.given(1) {
        Some(length) => values::integer(length)?,
        None => 1,
    };
    if let Kind::Array(items) = kind(call.input) {
        let part = part(
            usize::try_from(items.size()).unwrap_or_default(),
            offset,
            length,
        );
        let items = items.values().skip(part.start).take(part.len());
        return Ok(Value::array(items.map(|item| item.to_value())));
    }
    let input = input(call);
    let part = part(input.chars().count(), offset, length);
    let chars = input.chars().skip(part.start).take(part.len());
    text(chars.collect::<String>())
}

/// Which of so many items: an offset below 0 counts from the end.
fn part(size: usize, offset: i64, length: i64) -> std::ops::Range<usize> {
    let from_end = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
    let start = if offset < 0 {
        size.checked_sub(from_end)
    } else {
        Some(from_end).filter(|start| *start <= size)
    };
    let (Some(start), Ok(length)) = (start, usize::try_from(length)) else {
        return 0..0;
    };
    start..start.saturating_add(length).min(size)
}

pub(super) fn truncate(call: &Call<'_>) -> Result<Value> {
    if call.input.is_nil() {
        return Ok(Value::Nil);
    }
    let length = match call.arguments.first() {
        Some(length) => values::integer(length.as_view())?,
        None => 50,
    };
    let end = match call.arguments.get(1) {
        Some(end) => values::text(end.as_view()),
        None => Cow::Borrowed("..."),
    };
    let input = input(call);
    let length = usize::try_from(length).unwrap_or_default();
    if input.chars().count() <= length {
        return text(input);
    }
    let kept = length.saturating_sub(end.chars().count());
    let mut truncated: String = input.chars().take(kept).collect();
    truncated.push_str(&end);
    text(truncated)
}

pub(super) fn truncatewords(call: &Call<'_>) -> Result<Value> {
    if call.input.is_nil() {
        return Ok(Value::Nil);
    }
    let count = match call.arguments.first() {
        Some(count) => values::integer(count.as_view())?,
        None => 15,
    };
    let end = match call.arguments.get(1) {
        Some(end) => values::text(end.as_view()),
        None => Cow::Borrowed("..."),
    };
    let count = usize::try_from(count.max(1)).unwrap_or(usize::MAX);
    let input = input(call);
    let mut words = words(&input);
    let kept: Vec<_> = words.by_ref().take(count).collect();
    if words.next().is_none() {
        return text(input.clone());
    }
    text(kept.join(" ") + &*end)
}

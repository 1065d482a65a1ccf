//! Ruby's rules for values: truth, equality, emptiness, text.

use std::borrow::Cow;
use std::fmt::Write as _;

use liquid_core::model::{ArrayView, KStringCow, ObjectView, ScalarCow};
use liquid_core::{Error, Result, Value, ValueCow, ValueView};

/// A value by its type. A host's view may answer as several types: nil is tried first, an object last.
pub(super) enum Kind<'v> {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    String(Cow<'v, str>),
    Date(ScalarCow<'v>),
    Array(&'v dyn ArrayView),
    Object(&'v dyn ObjectView),
}

pub(super) fn kind(value: &dyn ValueView) -> Kind<'_> {
    if value.is_nil() {
        return Kind::Nil;
    }
    if let Some(scalar) = value.as_scalar() {
        return scalar_kind(scalar);
    }
    if let Some(items) = value.as_array() {
        return Kind::Array(items);
    }
    if value.is_state() {
        return Kind::String(Cow::Borrowed(""));
    }
    value.as_object().map_or(Kind::Nil, Kind::Object)
}

/// Decides by the name of the type: the scalar's own conversions also parse strings.
fn scalar_kind(scalar: ScalarCow<'_>) -> Kind<'_> {
    let kind = match scalar.type_name() {
        "string" => None,
        "whole number" => scalar.to_integer().map(Kind::Int),
        "fractional number" => scalar.to_float().map(Kind::Float),
        "boolean" => scalar.to_bool().map(Kind::Bool),
        _ => return Kind::Date(scalar),
    };
    kind.unwrap_or_else(|| Kind::String(scalar.into_cow_str()))
}

impl Kind<'_> {
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }
}

/// Converts a host's view that is an array by its type name, but shows only an object, so that every
/// path below it ends in nil.
pub(super) fn settle(value: ValueCow<'_>) -> ValueCow<'_> {
    match value {
        ValueCow::Borrowed(view)
            if view.type_name() == "array" && !view.is_array() && !view.is_nil() =>
        {
            ValueCow::Owned(view.to_value())
        }
        other => other,
    }
}

pub(super) fn truthy(value: &dyn ValueView) -> bool {
    !matches!(kind(value), Kind::Nil | Kind::Bool(false))
}

pub(super) fn is_empty(value: &dyn ValueView) -> bool {
    match kind(value) {
        Kind::String(text) => text.is_empty(),
        Kind::Array(items) => items.size() == 0,
        Kind::Object(object) => object.size() == 0,
        _ => false,
    }
}

pub(super) fn is_blank(value: &dyn ValueView) -> bool {
    match kind(value) {
        Kind::Nil | Kind::Bool(false) => true,
        Kind::String(text) => text.chars().all(char::is_whitespace),
        Kind::Array(_) | Kind::Object(_) => is_empty(value),
        _ => false,
    }
}

pub(super) fn equal(left: &dyn ValueView, right: &dyn ValueView) -> bool {
    match (kind(left), kind(right)) {
        (Kind::Nil, Kind::Nil) => true,
        (Kind::Bool(left), Kind::Bool(right)) => left == right,
        (Kind::Int(left), Kind::Int(right)) => left == right,
        (Kind::String(left), Kind::String(right)) => left == right,
        (Kind::Date(left), Kind::Date(right)) => left == right,
        (Kind::Array(left), Kind::Array(right)) => {
            left.size() == right.size()
                && left
                    .values()
                    .zip(right.values())
                    .all(|(left, right)| equal(left, right))
        }
        (Kind::Object(left), Kind::Object(right)) => {
            left.size() == right.size()
                && left.iter().all(|(key, value)| {
                    right
                        .get(key.as_str())
                        .is_some_and(|other| equal(value, other))
                })
        }
        (left, right) => match (left.number(), right.number()) {
            (Some(left), Some(right)) => left == right,
            _ => false,
        },
    }
}

pub(super) fn contains(whole: &dyn ValueView, part: &dyn ValueView) -> bool {
    if !truthy(part) {
        return false;
    }
    match kind(whole) {
        Kind::String(whole) => whole.contains(&*text(part)),
        Kind::Array(items) => items.values().any(|item| equal(item, part)),
        Kind::Object(object) => match kind(part) {
            Kind::String(key) => object.contains_key(&key),
            _ => false,
        },
        _ => false,
    }
}

/// Converts the bound of a range.
pub(super) fn range_bound(value: &dyn ValueView) -> Result<i64> {
    match kind(value) {
        Kind::Nil => Ok(0),
        Kind::Int(number) => Ok(number),
        Kind::Float(number) => Ok(number as i64),
        Kind::String(text) => Ok(leading_integer(&text)),
        _ => Err(expected("a whole number as the bound of a range", value)),
    }
}

/// Converts a number, or a string that is a whole number.
pub(super) fn integer(value: &dyn ValueView) -> Result<i64> {
    let number = match kind(value) {
        Kind::Int(number) => Some(number),
        Kind::Float(number) => Some(number as i64),
        Kind::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| expected("a whole number", value))
}

/// Ruby's `to_i`: the digits at the start of a string.
pub(super) fn leading_integer(text: &str) -> i64 {
    let text = text.trim_start();
    let sign = usize::from(text.starts_with(['-', '+']));
    let digits = text[sign..]
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len() - sign);
    let number = &text[..sign + digits];
    number.parse().unwrap_or(match (digits, sign) {
        (0, _) => 0,
        _ if number.starts_with('-') => i64::MIN,
        _ => i64::MAX,
    })
}

/// Makes an error such as "expected a whole number, found an array".
pub(super) fn expected(what: &str, found: &dyn ValueView) -> Error {
    Error::with_msg(format!("expected {what}, found {}", article(found)))
}

/// Returns the members of an object as pairs, sorted by name.
pub(super) fn pairs(object: &dyn ObjectView) -> Vec<Value> {
    let mut entries: Vec<_> = object.iter().collect();
    entries.sort_by(|(left, _), (right, _)| left.as_str().cmp(right.as_str()));
    let pair = |(key, value): (KStringCow<'_>, &dyn ValueView)| {
        Value::array([Value::scalar(key.into_owned()), value.to_value()])
    };
    entries.into_iter().map(pair).collect()
}

/// Ruby's `to_s`.
pub(super) fn text(value: &dyn ValueView) -> Cow<'_, str> {
    match kind(value) {
        Kind::Nil => Cow::Borrowed(""),
        Kind::Bool(true) => Cow::Borrowed("true"),
        Kind::Bool(false) => Cow::Borrowed("false"),
        Kind::Int(number) => Cow::Owned(number.to_string()),
        Kind::Float(number) => Cow::Owned(float(number)),
        Kind::String(text) => text,
        Kind::Date(date) => Cow::Owned(date.into_string().into_string()),
        Kind::Array(_) | Kind::Object(_) => {
            let mut shown = String::new();
            inspect(value, &mut shown);
            Cow::Owned(shown)
        }
    }
}

/// Prints a value as `{{ }}` does: the items of an array run together.
pub(super) fn print(value: &dyn ValueView, out: &mut dyn std::io::Write) -> Result<()> {
    let written = match kind(value) {
        Kind::String(text) => out.write_all(text.as_bytes()),
        Kind::Int(number) => write!(out, "{number}"),
        Kind::Array(items) => return items.values().try_for_each(|item| print(item, out)),
        _ => out.write_all(text(value).as_bytes()),
    };
    written.map_err(|_| Error::with_msg("the output can't be written"))
}

/// Ruby's `inspect`, which is how arrays and objects are printed.
fn inspect(value: &dyn ValueView, out: &mut String) {
    match kind(value) {
        Kind::Nil => out.push_str("nil"),
        Kind::String(text) => {
            out.push('"');
            for c in text.chars() {
                match c {
                    '"' => out.push_str("\\\""),
                    '\\' => out.push_str("\\\\"),
                    '\n' => out.push_str("\\n"),
                    '\r' => out.push_str("\\r"),
                    '\t' => out.push_str("\\t"),
                    '#' => out.push('#'),
                    c if c.is_control() => {
                        let _ = write!(out, "\\u{:04X}", u32::from(c));
                    }
                    c => out.push(c),
                }
            }
            out.push('"');
        }
        Kind::Array(items) => {
            out.push('[');
            for (at, item) in items.values().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                inspect(item, out);
            }
            out.push(']');
        }
        Kind::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by(|(left, _), (right, _)| left.as_str().cmp(right.as_str()));
            out.push('{');
            for (at, (key, value)) in entries.into_iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                inspect(&key, out);
                out.push_str("=>");
                inspect(value, out);
            }
            out.push('}');
        }
        _ => out.push_str(&text(value)),
    }
}

/// Ruby's `Float#to_s`.
pub(super) fn float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    let size = number.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let shown = format!("{number:e}");
        let (digits, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
        let point = if digits.contains('.') { "" } else { ".0" };
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        return format!("{digits}{point}e{sign}{exponent:0>2}");
    }
    // The shortest text that reads back, always with a fraction.
    format!("{number:?}")
}

/// The type with its article, for messages.
pub(super) fn article(value: &dyn ValueView) -> &'static str {
    match kind(value) {
        Kind::Nil => "nil",
        Kind::Bool(_) => "a boolean",
        Kind::Int(_) => "a whole number",
        Kind::Float(_) => "a number with a fraction",
        Kind::String(_) => "a string",
        Kind::Date(_) => "a date",
        Kind::Array(_) => "an array",
        Kind::Object(_) => "an object",
    }
}

/// Returns a string that only values have in common that are the same key in Ruby: 1 is not 1.0.
pub(super) fn identity(value: &dyn ValueView) -> String {
    let mut identity = String::new();
    inspect(value, &mut identity);
    identity
}

/// The deepest arrays and objects that a template may make: walking and dropping them takes a part of
/// the stack for each level. serde_json reads JSON to the same depth.
const DEEPEST: usize = 128;

/// Fails for a value that nests too deep.
pub(super) fn check_depth(value: &Value) -> Result<()> {
    fn fits(value: &Value, levels: usize) -> bool {
        match value {
            Value::Array(items) => levels > 0 && items.iter().all(|item| fits(item, levels - 1)),
            Value::Object(object) => {
                levels > 0 && object.values().all(|item| fits(item, levels - 1))
            }
            _ => true,
        }
    }
    if fits(value, DEEPEST) {
        return Ok(());
    }
    Err(Error::with_msg(format!(
        "the value nests deeper than the limit of {DEEPEST} levels: look for an array or an object that is put into itself again and again"
    )))
}

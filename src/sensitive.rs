//! Data that have no place in a session: what a key and a value give away.
//!
//! What counts and what passes is told at [`SensitiveData`](crate::config::SensitiveData), for whoever
//! sets it. Rather too few than too many: a guard that cries over order numbers gets switched off.

mod names;
pub(crate) mod policy;
mod values;

use std::fmt;

use crate::value::Value;

/// What a key or a value was taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Password,
    ApiKey,
    Token,
    PrivateKey,
    SocialSecurityNumber,
    PaymentCard,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password => "a password",
            Self::ApiKey => "an API key",
            Self::Token => "a token",
            Self::PrivateKey => "a private key",
            Self::SocialSecurityNumber => "a US social security number",
            Self::PaymentCard => "a payment card's number or code",
        })
    }
}

/// Where it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The key is itself such a datum, and must not be named.
    Key,
    /// The key is called like one.
    Name,
    /// The value is one, holds one, or has a name that is called like one.
    Value,
}

/// The first sensitive datum in a key and its value.
///
/// The value has passed the check for depth: this descends as deep as it goes.
pub(crate) fn find(key: &str, value: &Value) -> Option<(Kind, Place)> {
    search(key, by_name(key, value), value)
}

/// The same for an element of the array under a key.
pub(crate) fn find_in_item(key: &str, item: &Value) -> Option<(Kind, Place)> {
    search(key, by_name_of_list(key, std::slice::from_ref(item)), item)
}

fn search(key: &str, by_name: Option<Kind>, value: &Value) -> Option<(Kind, Place)> {
    if let Some(kind) = values::in_text(key) {
        return Some((kind, Place::Key));
    }
    if let Some(kind) = by_name {
        return Some((kind, Place::Name));
    }
    in_value(value).map(|kind| (kind, Place::Value))
}

fn in_value(value: &Value) -> Option<Kind> {
    match value {
        Value::String(text) => values::in_text(text),
        Value::Int(number) => values::is_card(*number).then_some(Kind::PaymentCard),
        Value::Array(items) => items.iter().find_map(in_value),
        Value::Object(entries) => entries.iter().find_map(|(name, value)| {
            values::in_text(name)
                .or_else(|| by_name(name, value))
                .or_else(|| in_value(value))
        }),
        _ => None,
    }
}

/// What a name says, if the value can hold such a thing at all.
fn by_name(name: &str, value: &Value) -> Option<Kind> {
    match value {
        Value::Array(items) => by_name_of_list(name, items),
        value if is_plain(value) => names::kind(name, false),
        _ => None,
    }
}

fn by_name_of_list(name: &str, items: &[Value]) -> Option<Kind> {
    if items.iter().any(is_plain) {
        names::kind(name, true)
    } else {
        None
    }
}

fn is_plain(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Int(_) | Value::Float(_))
}

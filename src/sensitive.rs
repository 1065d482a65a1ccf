//! Finds data that do not belong in a session, by names and by values.
//!
//! [`SensitiveData`](crate::config::SensitiveData) documents what is found. When in doubt, a value
//! passes: a guard that refuses order numbers gets switched off.

mod names;
mod policy;
mod values;

use std::{fmt, slice};

use crate::value::Value;
use names::Name;

/// What a key or a value looks like.
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

/// Sensitive data in a key or a value.
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    place: Place,
}

/// Where a datum was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the key itself, which no message may show.
    Key,
    /// In the value, by the key's name.
    Name,
    /// In the value, by its form or by a name in it.
    Value,
}

/// The first sensitive datum in a key and its value.
///
/// Descends as deep as the value nests: check its depth first.
pub(crate) fn find(key: &str, value: &Value) -> Option<Finding> {
    search(key, value, |name| name.kind_of(value))
}

/// The first sensitive datum in a key and an element of the array under it.
pub(crate) fn find_in_item(key: &str, item: &Value) -> Option<Finding> {
    search(key, item, |name| name.kind_of_any(slice::from_ref(item)))
}

fn search(
    key: &str,
    value: &Value,
    kind_of: impl FnOnce(&Name<'_>) -> Option<Kind>,
) -> Option<Finding> {
    let found = |place| move |kind| Finding { kind, place };
    let name = Name::of(key);
    values::in_text(key)
        .map(found(Place::Key))
        .or_else(|| kind_of(&name).map(found(Place::Name)))
        .or_else(|| in_value(name, value).map(found(Place::Value)))
}

/// The first sensitive datum in a value that is kept under a name.
fn in_value(name: Name<'_>, value: &Value) -> Option<Kind> {
    match value {
        Value::String(text) => values::in_text(text),
        Value::Int(number) => values::is_card(*number).then_some(Kind::PaymentCard),
        Value::Float(number) => values::is_fractional_card(*number).then_some(Kind::PaymentCard),
        Value::Array(items) => items.iter().find_map(|item| in_value(name, item)),
        Value::Object(entries) => entries.iter().find_map(|(inner, value)| {
            // `password: {value: …}` is one as `login: {password: …}` is, and `csrf: {token: …}` may be.
            let joined = name.below(inner);
            values::in_text(inner)
                .or_else(|| Name::of(inner).kind_of(value))
                .or_else(|| joined.kind_of(value))
                .or_else(|| in_value(joined, value))
        }),
        _ => None,
    }
}

impl Name<'_> {
    /// What the name says of a value, if the value can hold such a datum at all.
    fn kind_of(&self, value: &Value) -> Option<Kind> {
        match value {
            Value::Array(items) => self.kind_of_any(items),
            value if is_plain(value) => self.kind(false),
            _ => None,
        }
    }

    fn kind_of_any(&self, items: &[Value]) -> Option<Kind> {
        if items.iter().any(is_plain) {
            self.kind(true)
        } else {
            None
        }
    }
}

fn is_plain(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Int(_) | Value::Float(_))
}

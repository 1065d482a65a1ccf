//! [`Value`]: what a session holds under a key.

mod codec;
mod from;
mod serialize;
mod stored;

pub use stored::StoredValue;

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Shown};
use crate::limits::MAX_DEPTH;

/// A value in a session, with the type that Liquid gave it.
///
/// | Liquid | variant | `From` |
/// |---|---|---|
/// | string | `String` | `&str`, `String` |
/// | whole number | `Int` | `i64` and smaller |
/// | fractional number | `Float` | `f64`, `f32` |
/// | boolean | `Bool` | `bool` |
/// | array | `Array` | `Vec<T>` |
/// | object | `Object` | `BTreeMap<String, Value>` |
/// | date, date time | `Date`, `DateTime` | `time::Date`, `time::OffsetDateTime` |
/// | nil | `Nil` | `Option<T>` |
///
/// A `Value` is also a Liquid view. As a view it is lenient: an absent member is nil, not an error, so
/// `context.session.cart.nope` is nil.
///
/// Other types become values through serde: [`from_serialize`](Self::from_serialize).
///
/// # Example
///
/// ```
/// use liquid_session::Value;
///
/// let cart = Value::from(vec!["apple", "pear"]);
/// assert_eq!(cart.get("1").and_then(Value::as_str), Some("pear"));
/// assert_eq!(serde_json::to_string(&cart).unwrap(), r#"["apple","pear"]"#);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// No value. Setting a key to nil removes the key.
    #[default]
    Nil,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A fractional number. NaN and infinity can't be stored.
    Float(f64),
    /// Text.
    String(String),
    /// A day.
    Date(time::Date),
    /// A day and a time, with the offset from UTC.
    DateTime(time::OffsetDateTime),
    /// Values by position.
    Array(Vec<Value>),
    /// Values by name. A name is any text.
    Object(BTreeMap<String, Value>),
}

impl Value {
    /// Makes a value from anything that serde can serialize.
    ///
    /// - Shapes are those of `serde_json`: an enum's variant with data is an object with one entry.
    /// - A `Value` inside `value` keeps its type, dates included.
    /// - NaN and infinity are fractional numbers here; storing them fails.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Value`]: a whole number beyond `i64`, a map whose keys are not strings, whole
    ///   numbers or booleans, or an error of the type's own `Serialize`.
    /// - [`ErrorKind::Limit`]: nested deeper than 128 levels.
    ///
    /// # Example
    ///
    /// ```
    /// use liquid_session::{ErrorKind, Value};
    ///
    /// #[derive(serde::Serialize)]
    /// struct Item { sku: &'static str, quantity: u32 }
    ///
    /// let value = Value::from_serialize(&Item { sku: "A-1", quantity: 2 })?;
    /// assert_eq!(value.get("quantity"), Some(&Value::Int(2)));
    /// assert_eq!(Value::from_serialize(&u64::MAX).unwrap_err().kind(), ErrorKind::Value);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        serialize::to_value(value)
    }

    /// Converts the value into a type that serde can deserialize. Dates arrive as text.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Value`] if the value does not have the shape of `T`.
    ///
    /// # Example
    ///
    /// ```
    /// use liquid_session::Value;
    ///
    /// let numbers: Vec<u8> = Value::from(vec![1, 2]).deserialize()?;
    /// assert_eq!(numbers, [1, 2]);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::to_value(self)
            .and_then(serde_json::from_value)
            .map_err(|cause| {
                Error::with_source(
                    ErrorKind::Value,
                    format!(
                        "the session value does not fit: found {}, expected `{}`",
                        self.kind(),
                        std::any::type_name::<T>()
                    ),
                    cause,
                )
            })
    }

    /// Parses JSON text.
    ///
    /// A whole number beyond `i64` becomes a fractional one, as in the engine. A string that looks like
    /// a date stays a string.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Value`] if the text is not JSON, or nests deeper than 128 levels.
    ///
    /// # Example
    ///
    /// ```
    /// use liquid_session::Value;
    ///
    /// let value = Value::from_json(r#"{"day": "2026-01-02", "n": 1.0}"#).unwrap();
    /// assert_eq!(value.get("day").and_then(Value::as_str), Some("2026-01-02"));
    /// assert_eq!(value.get("n"), Some(&Value::Float(1.0)));
    /// assert!(Value::from_json("not json").is_err());
    /// ```
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let json: serde_json::Value = serde_json::from_str(text)
            .map_err(|cause| Error::with_source(ErrorKind::Value, "the text is not JSON", cause))?;
        Ok(json.into())
    }

    /// Returns the stored form, version 1, for stores that keep each key by itself. Equal values have
    /// equal forms.
    ///
    /// ```
    /// # use liquid_session::Value;
    /// assert_eq!(Value::from(-5).to_bytes(), b"i-5");
    /// assert_eq!(Value::from_bytes(b"i-5")?, Value::from(-5));
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.encoded_len());
        self.encode(&mut bytes);
        bytes
    }

    /// Reads a stored form, as [`to_bytes`](Self::to_bytes) writes it. Any bytes are safe to read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if the bytes are not a stored form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Self::decode(bytes)
    }

    /// Returns the value under a name of an object, or at a position of an array.
    ///
    /// ```
    /// use liquid_session::Value;
    ///
    /// let list = Value::from(vec!["a", "b"]);
    /// assert_eq!(list.get("1").and_then(Value::as_str), Some("b"));
    /// assert_eq!(list.get("7"), None);
    /// ```
    pub fn get(&self, index: &str) -> Option<&Value> {
        match self {
            Self::Object(entries) => entries.get(index),
            Self::Array(items) => items.get(index.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// Returns the text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns a whole number.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns the elements of an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The name of the type, as Liquid prints it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "boolean",
            Self::Int(_) => "whole number",
            Self::Float(_) => "fractional number",
            Self::String(_) => "string",
            Self::Date(_) => "date",
            Self::DateTime(_) => "date time",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// Whether the session tag removes a key that is set to this value. `false` and `0` are data.
    pub(crate) fn is_blank(&self) -> bool {
        match self {
            Self::Nil => true,
            Self::String(text) => text.chars().all(char::is_whitespace),
            Self::Array(items) => items.is_empty(),
            Self::Object(entries) => entries.is_empty(),
            _ => false,
        }
    }

    /// Refuses numbers that are not finite and nesting deeper than [`MAX_DEPTH`].
    #[inline]
    pub(crate) fn check(&self, key: &str) -> Result<(), Error> {
        match self {
            Self::Float(_) | Self::Array(_) | Self::Object(_) => self.check_level(key, 0),
            _ => Ok(()),
        }
    }

    /// Refuses an element of the array under a key, as [`check`](Self::check) refuses a value.
    pub(crate) fn check_item(&self, key: &str) -> Result<(), Error> {
        self.check_level(key, 1)
    }

    fn check_level(&self, key: &str, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(Error::new(
                ErrorKind::Limit,
                format!(
                    "the value for the session key `{}` nests deeper than the limit of {MAX_DEPTH} levels",
                    Shown(key)
                ),
            ));
        }
        match self {
            Self::Float(number) if !number.is_finite() => Err(Error::new(
                ErrorKind::Value,
                format!(
                    "expected a finite number for the session key `{}`, found {}",
                    Shown(key),
                    if number.is_nan() { "NaN" } else { "infinity" }
                ),
            )),
            Self::Array(items) => items
                .iter()
                .try_for_each(|item| item.check_level(key, depth + 1)),
            Self::Object(entries) => entries
                .values()
                .try_for_each(|item| item.check_level(key, depth + 1)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many arrays around a value.
    fn nested(levels: usize, value: Value) -> Value {
        (0..levels).fold(value, |value, _| Value::Array(vec![value]))
    }

    #[test]
    fn what_a_session_can_not_hold_is_refused_with_the_key_escaped() {
        let refused = [
            (nested(MAX_DEPTH + 1, Value::Nil), ErrorKind::Limit),
            (nested(3, f64::NAN.into()), ErrorKind::Value),
            (f64::NEG_INFINITY.into(), ErrorKind::Value),
        ];
        for (value, kind) in refused {
            let error = value.check("a\nb").unwrap_err();
            assert_eq!(error.kind(), kind);
            assert!(error.to_string().contains(r"session key `a\nb`"), "{error}");
        }
        assert!(nested(MAX_DEPTH, f64::MAX.into()).check("a").is_ok());
    }

    #[test]
    fn an_element_counts_as_one_level_deeper() {
        assert!(nested(MAX_DEPTH - 1, Value::Nil).check_item("a").is_ok());
        let error = nested(MAX_DEPTH, Value::Nil).check_item("a").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
    }
}

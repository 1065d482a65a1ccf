//! The values that a session holds.

mod codec;
mod from;
mod serialize;
mod stored;

pub use stored::StoredValue;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use time::macros::format_description;

use crate::error::{Error, ErrorKind};
use crate::limits::MAX_DEPTH;

/// A value in a session: all of what Liquid knows, each with its type.
///
/// | Liquid | here | also made from |
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
/// A `Value` is a Liquid view as well. As such it is lenient: what is absent below it is nil and not
/// an error, which is what `context.session.cart.nope` gives.
///
/// # Example
///
/// ```
/// use liquid_session::Value;
///
/// let cart = Value::from(vec!["apple", "pear"]);
/// assert_eq!(cart.as_array().map(|items| items.len()), Some(2));
/// assert_eq!(serde_json::to_string(&cart).unwrap(), r#"["apple","pear"]"#);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Nothing. A key is never stored with it: setting a key to nil removes it.
    #[default]
    Nil,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A fractional number; never NaN or infinite once it is stored.
    Float(f64),
    /// A text.
    String(String),
    /// A day.
    Date(time::Date),
    /// A moment, with its offset from UTC.
    DateTime(time::OffsetDateTime),
    /// Values in order.
    Array(Vec<Value>),
    /// Values by name; any text is a name.
    Object(BTreeMap<String, Value>),
}

impl Value {
    /// Makes a value from anything that serde can serialize.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Value`] for
    ///
    /// - a whole number beyond `i64`,
    /// - a map whose keys are neither texts, numbers nor booleans,
    /// - what the type's own `Serialize` refuses.
    ///
    /// [`ErrorKind::Limit`] for what nests deeper than 128 levels.
    ///
    /// # Example
    ///
    /// ```
    /// use liquid_session::Value;
    ///
    /// #[derive(serde::Serialize)]
    /// struct Item { sku: &'static str, quantity: u32 }
    ///
    /// let value = Value::from_serialize(&Item { sku: "A-1", quantity: 2 })?;
    /// assert_eq!(value.get("quantity"), Some(&Value::Int(2)));
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        serialize::to_value(value)
    }

    /// Turns the value into any type that serde can deserialize. Dates arrive as their text.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Value`] when the value has another shape than `T`.
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
                        "expected a session value that fits `{}`, found another shape ({})",
                        std::any::type_name::<T>(),
                        self.kind()
                    ),
                    cause,
                )
            })
    }

    /// Reads JSON text into a value with its types.
    ///
    /// A whole number beyond `i64` becomes a fractional one, as in the engine. Texts that look like
    /// dates stay texts.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Value`] if the text is not JSON.
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
        let json: serde_json::Value = serde_json::from_str(text).map_err(|cause| {
            Error::with_source(ErrorKind::Value, "expected JSON, found other text", cause)
        })?;
        Ok(json.into())
    }

    /// The stored form, version 1, for stores that keep each key by itself;
    /// [`from_bytes`](Self::from_bytes) reads it back. Equal values have equal forms.
    ///
    /// ```
    /// # use liquid_session::Value;
    /// assert_eq!(Value::from("dark").to_bytes(), b"sdark");
    /// assert_eq!(Value::from(-5).to_bytes(), b"i-5");
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.encoded_len());
        self.encode(&mut bytes);
        bytes
    }

    /// Reads a stored form. Any bytes are safe to read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] for anything that is not such a form.
    ///
    /// ```
    /// # use liquid_session::{ErrorKind, Value};
    /// assert_eq!(Value::from_bytes(b"i-5")?, Value::Int(-5));
    /// assert_eq!(Value::from_bytes(b"?").unwrap_err().kind(), ErrorKind::Corrupt);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Self::decode(bytes)
    }

    /// The value under a name of an object, or at a position of an array.
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

    /// The text, if it is one.
    ///
    /// ```
    /// # use liquid_session::Value;
    /// assert_eq!(Value::from("a").as_str(), Some("a"));
    /// assert_eq!(Value::from(1).as_str(), None);
    /// ```
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    ///
    /// ```
    /// # use liquid_session::Value;
    /// assert_eq!(Value::from(1).as_i64(), Some(1));
    /// assert_eq!(Value::from("1").as_i64(), None);
    /// ```
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The elements, if it is an array.
    ///
    /// ```
    /// # use liquid_session::Value;
    /// assert_eq!(Value::from(vec![1]).as_array(), Some(&[Value::Int(1)][..]));
    /// ```
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// What it is, in Liquid's words.
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

    /// Whether the session tag removes a key that is given this; booleans are data, also `false`.
    pub(crate) fn is_blank(&self) -> bool {
        match self {
            Self::Nil => true,
            Self::String(text) => text.chars().all(char::is_whitespace),
            Self::Array(items) => items.is_empty(),
            Self::Object(entries) => entries.is_empty(),
            _ => false,
        }
    }

    /// Refuses what has no place in a session: numbers that are not finite, and nesting that is
    /// deeper than [`MAX_DEPTH`].
    #[inline]
    pub(crate) fn check(&self, key: &str) -> Result<(), Error> {
        match self {
            Self::Float(_) | Self::Array(_) | Self::Object(_) => self.check_level(key, 0),
            _ => Ok(()),
        }
    }

    /// The same for an element of the array under the key.
    pub(crate) fn check_item(&self, key: &str) -> Result<(), Error> {
        self.check_level(key, 1)
    }

    fn check_level(&self, key: &str, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(Error::new(
                ErrorKind::Limit,
                format!(
                    "the value for the session key `{key}` nests deeper than the limit of {MAX_DEPTH} levels"
                ),
            ));
        }
        match self {
            Self::Float(number) if !number.is_finite() => Err(Error::new(
                ErrorKind::Value,
                format!(
                    "expected a finite number for the session key `{key}`, found {}",
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

/// The names under which `Serialize` hands dates to this crate's own serializer, so that a `Value`
/// inside a caller's struct keeps its type. Every other serializer sees the text.
const DATE: &str = "$liquid_session::Date";
const DATE_TIME: &str = "$liquid_session::DateTime";

/// The text of a day and of a moment: what Liquid prints.
const DAY: Format = format_description!("[year]-[month]-[day]");
const MOMENT: Format = format_description!(
    "[year]-[month]-[day] [hour]:[minute]:[second] [offset_hour sign:mandatory][offset_minute]"
);
const MOMENT_WITH_FRACTION: Format = format_description!(
    "[year]-[month]-[day] [hour]:[minute]:[second].[subsecond] [offset_hour sign:mandatory][offset_minute]"
);
/// Liquid's text drops the seconds of an offset; this is for the moments that have some.
const EXACT: Format = format_description!(
    "[year]-[month]-[day] [hour]:[minute]:[second].[subsecond] [offset_hour sign:mandatory][offset_minute][offset_second]"
);

type Format = &'static [time::format_description::BorrowedFormatItem<'static>];

/// JSON-like: a date is a text, as Liquid prints it.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nil => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::String(value) => serializer.serialize_str(value),
            Self::Date(date) => {
                let text = date.format(DAY).map_err(serde::ser::Error::custom)?;
                serializer.serialize_newtype_struct(DATE, &text)
            }
            Self::DateTime(moment) => {
                let format = match (moment.offset().seconds_past_minute(), moment.nanosecond()) {
                    (0, 0) => MOMENT,
                    (0, _) => MOMENT_WITH_FRACTION,
                    _ => EXACT,
                };
                let text = moment.format(format).map_err(serde::ser::Error::custom)?;
                serializer.serialize_newtype_struct(DATE_TIME, &text)
            }
            Self::Array(items) => items.serialize(serializer),
            Self::Object(entries) => entries.serialize(serializer),
        }
    }
}

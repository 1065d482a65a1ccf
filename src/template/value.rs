//! Liquid's values to ours and back, and ours as a view; the only file that knows both.

use std::fmt;

use liquid_core::ValueView;
use liquid_core::model::{
    Date, DateTime, DisplayCow, KString, KStringCow, ObjectView, ScalarCow, State,
    Value as LiquidValue,
};

use crate::value::Value;

/// The value of every absent key, member and index.
pub(crate) static NIL: Value = Value::Nil;

impl Value {
    /// Converts a value of the engine. Dates keep their type; `blank` and `empty` become nil.
    pub(crate) fn from_view(view: &dyn ValueView) -> Self {
        match view.as_scalar() {
            Some(scalar) => Self::from_scalar(&scalar),
            None => Self::from_liquid(view.to_value()),
        }
    }

    /// Converts an owned value of the engine.
    pub(crate) fn from_liquid(value: LiquidValue) -> Self {
        match value {
            LiquidValue::Scalar(scalar) => Self::from_scalar(&scalar),
            LiquidValue::Array(items) => {
                Self::Array(items.into_iter().map(Self::from_liquid).collect())
            }
            LiquidValue::Object(entries) => Self::Object(
                entries
                    .into_iter()
                    .map(|(name, value)| (name.into_string(), Self::from_liquid(value)))
                    .collect(),
            ),
            LiquidValue::State(_) | LiquidValue::Nil => Self::Nil,
        }
    }

    /// Decides by the name of the type: the scalar's own conversions also parse strings, and a string
    /// that looks like a number or a date must stay a string.
    fn from_scalar(scalar: &ScalarCow<'_>) -> Self {
        let value = match scalar.type_name() {
            "whole number" => scalar.to_integer().map(Self::Int),
            "fractional number" => scalar.to_float().map(Self::Float),
            "boolean" => scalar.to_bool().map(Self::Bool),
            "date time" => scalar.to_date_time().map(|moment| Self::DateTime(*moment)),
            "date" => scalar.to_date().map(|date| Self::Date(*date)),
            _ => None,
        };
        value.unwrap_or_else(|| Self::String(scalar.to_kstr().as_str().to_owned()))
    }

    fn date(date: time::Date) -> Date {
        let mut liquid = Date::from_ymd(1970, 1, 1);
        *liquid = date;
        liquid
    }

    fn date_time(moment: time::OffsetDateTime) -> DateTime {
        let mut liquid = DateTime::default();
        *liquid = moment;
        liquid
    }

    /// Copies this into a value of the engine, which follows the engine's rules.
    fn to_liquid(&self) -> LiquidValue {
        match self {
            Self::Nil => LiquidValue::Nil,
            Self::Bool(value) => LiquidValue::scalar(*value),
            Self::Int(value) => LiquidValue::scalar(*value),
            Self::Float(value) => LiquidValue::scalar(*value),
            Self::String(value) => LiquidValue::scalar(KString::from_ref(value)),
            Self::Date(date) => LiquidValue::scalar(Self::date(*date)),
            Self::DateTime(moment) => LiquidValue::scalar(Self::date_time(*moment)),
            Self::Array(items) => LiquidValue::array(items.iter().map(Self::to_liquid)),
            Self::Object(entries) => LiquidValue::Object(
                entries
                    .iter()
                    .map(|(name, value)| (KString::from_ref(name), value.to_liquid()))
                    .collect(),
            ),
        }
    }

    /// Returns the element at a position, counted from the end if it is negative, as the engine does.
    fn at(items: &[Self], index: i64) -> Option<&Self> {
        let index = if index < 0 {
            items.len().checked_sub(index.unsigned_abs() as usize)?
        } else {
            index as usize
        };
        items.get(index)
    }
}

impl ValueView for Value {
    fn as_debug(&self) -> &dyn fmt::Debug {
        self
    }

    fn render(&self) -> DisplayCow<'_> {
        match self {
            Self::Bool(value) => DisplayCow::Borrowed(value),
            Self::Int(value) => DisplayCow::Borrowed(value),
            Self::Float(value) => DisplayCow::Borrowed(value),
            Self::String(value) => DisplayCow::Borrowed(value),
            other => DisplayCow::Owned(Box::new(other.to_liquid().render().to_string())),
        }
    }

    fn source(&self) -> DisplayCow<'_> {
        DisplayCow::Owned(Box::new(self.to_liquid().source().to_string()))
    }

    fn type_name(&self) -> &'static str {
        self.kind()
    }

    fn query_state(&self, state: State) -> bool {
        match self {
            Self::Nil => !matches!(state, State::Truthy),
            Self::Bool(value) => value.query_state(state),
            Self::String(value) => value.as_str().query_state(state),
            Self::Array(items) => matches!(state, State::Truthy) || items.is_empty(),
            Self::Object(entries) => matches!(state, State::Truthy) || entries.is_empty(),
            Self::Int(_) | Self::Float(_) | Self::Date(_) | Self::DateTime(_) => {
                matches!(state, State::Truthy)
            }
        }
    }

    fn to_kstr(&self) -> KStringCow<'_> {
        match self {
            Self::String(value) => value.as_str().into(),
            other => KStringCow::from_string(other.render().to_string()),
        }
    }

    fn to_value(&self) -> LiquidValue {
        self.to_liquid()
    }

    fn as_scalar(&self) -> Option<ScalarCow<'_>> {
        match self {
            Self::Bool(value) => Some(ScalarCow::new(*value)),
            Self::Int(value) => Some(ScalarCow::new(*value)),
            Self::Float(value) => Some(ScalarCow::new(*value)),
            Self::String(value) => Some(ScalarCow::new(value.as_str())),
            Self::Date(date) => Some(ScalarCow::new(Self::date(*date))),
            Self::DateTime(moment) => Some(ScalarCow::new(Self::date_time(*moment))),
            Self::Nil | Self::Array(_) | Self::Object(_) => None,
        }
    }

    /// Every value is an object, arrays and scalars too, so that a path below a stored value ends in nil.
    /// Were it an array, the engine would fail on an absent index.
    fn as_object(&self) -> Option<&dyn ObjectView> {
        Some(self)
    }

    fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }
}

impl ObjectView for Value {
    fn as_value(&self) -> &dyn ValueView {
        self
    }

    fn size(&self) -> i64 {
        let size = match self {
            Self::Nil => 0,
            Self::Array(items) => items.len(),
            Self::Object(entries) => entries.len(),
            // In bytes, like the engine's own.
            scalar => scalar.to_kstr().len(),
        };
        size as i64
    }

    /// Returns no key: the engine lists them in errors only, and no error may name stored keys.
    fn keys<'k>(&'k self) -> Box<dyn Iterator<Item = KStringCow<'k>> + 'k> {
        Box::new(std::iter::empty())
    }

    fn values<'k>(&'k self) -> Box<dyn Iterator<Item = &'k dyn ValueView> + 'k> {
        Box::new(ObjectView::iter(self).map(|(_, value)| value))
    }

    fn iter<'k>(&'k self) -> Box<dyn Iterator<Item = (KStringCow<'k>, &'k dyn ValueView)> + 'k> {
        match self {
            Self::Object(entries) => Box::new(
                entries
                    .iter()
                    .map(|(name, value)| (name.as_str().into(), value as &dyn ValueView)),
            ),
            _ => Box::new(std::iter::empty()),
        }
    }

    fn contains_key(&self, index: &str) -> bool {
        Value::get(self, index).is_some()
    }

    fn get<'s>(&'s self, index: &str) -> Option<&'s dyn ValueView> {
        let found = match self {
            Self::Object(entries) => entries.get(index),
            Self::Array(items) => match index {
                "first" => items.first(),
                "last" => items.last(),
                _ => index.parse().ok().and_then(|index| Self::at(items, index)),
            },
            _ => None,
        };
        match found {
            Some(value) => Some(value),
            // The engine then asks for the size, which it knows how to wrap.
            None if index == "size" && !self.is_nil() => None,
            None => Some(&NIL),
        }
    }
}

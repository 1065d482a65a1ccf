//! Values of the model, and what the engine's filters and comparisons make of them.

use std::collections::BTreeMap;

use liquid_session::Value as Stored;

use super::grammar::{Filter, Literal, Text};

pub(super) type Map = BTreeMap<String, Value>;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Nil,
    /// The words `blank` and `empty`.
    Blank,
    Empty,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Array(Vec<Value>),
    Object(Map),
}

/// Why the model does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Rendering fails here.
    Fails,
    /// The engine's own affair: an order that is random, a sum that overflows, too much to do.
    Unknown,
}

pub(super) type Result<T> = std::result::Result<T, Stop>;

impl From<Literal> for Value {
    fn from(literal: Literal) -> Self {
        match literal {
            Literal::Nil => Self::Nil,
            Literal::Blank => Self::Blank,
            Literal::Empty => Self::Empty,
            Literal::Bool(value) => Self::Bool(value),
            Literal::Int(value) => Self::Int(value.into()),
            Literal::Long(value) => Self::Int(value),
            Literal::Float(number) => Self::Float(number.0.parse().expect("it is one")),
            Literal::Text(text) => Self::Text(text.0.to_owned()),
        }
    }
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Self::Int(whole),
                None => Self::Float(number.as_f64().expect("a number is finite")),
            },
            Json::String(text) => Self::Text(text),
            Json::Array(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            Json::Object(entries) => {
                let entries = entries.into_iter();
                Self::Object(entries.map(|(name, value)| (name, value.into())).collect())
            }
        }
    }
}

impl From<&Stored> for Value {
    fn from(stored: &Stored) -> Self {
        match stored {
            Stored::Bool(value) => Self::Bool(*value),
            Stored::Int(value) => Self::Int(*value),
            Stored::Float(value) => Self::Float(*value),
            Stored::String(text) => Self::Text(text.clone()),
            Stored::Array(items) => Self::Array(items.iter().map(Self::from).collect()),
            Stored::Object(entries) => {
                let entries = entries.iter();
                Self::Object(
                    entries
                        .map(|(name, value)| (name.clone(), value.into()))
                        .collect(),
                )
            }
            _ => Self::Nil,
        }
    }
}

impl Value {
    pub(super) fn is_scalar(&self) -> bool {
        matches!(
            self,
            Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Text(_)
        )
    }

    /// Whether it is an object with such a name.
    pub(super) fn has(&self, name: &str) -> bool {
        matches!(self, Self::Object(entries) if entries.contains_key(name))
    }

    /// What `{{ }}` prints.
    pub(super) fn text(&self) -> Result<String> {
        Ok(match self {
            Self::Nil | Self::Blank | Self::Empty => String::new(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Text(text) => text.clone(),
            Self::Array(items) => items.iter().map(Self::text).collect::<Result<_>>()?,
            Self::Object(entries) if entries.len() > 1 => return Err(Stop::Unknown),
            Self::Object(entries) => entries
                .iter()
                .map(|(name, value)| Ok(format!("{name}{}", value.text()?)))
                .collect::<Result<_>>()?,
        })
    }

    pub(super) fn json(&self) -> String {
        match self {
            Self::Nil | Self::Blank | Self::Empty => "null".to_owned(),
            Self::Float(number) => serde_json::json!(number).to_string(),
            Self::Text(text) => serde_json::json!(text).to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Array(items) => {
                let items: Vec<_> = items.iter().map(Self::json).collect();
                format!("[{}]", items.join(","))
            }
            Self::Object(entries) => {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(name, value)| format!("{}:{}", serde_json::json!(name), value.json()))
                    .collect();
                format!("{{{}}}", entries.join(","))
            }
        }
    }

    /// The value as the session keeps it; `None` if it removes the key.
    pub(super) fn to_store(&self) -> Option<Self> {
        match self {
            Self::Text(text) if text.trim().is_empty() => None,
            Self::Array(items) if items.is_empty() => None,
            Self::Object(entries) if entries.is_empty() => None,
            other => match other.without_words() {
                Self::Nil => None,
                value => Some(value),
            },
        }
    }

    fn without_words(&self) -> Self {
        match self {
            Self::Blank | Self::Empty => Self::Nil,
            Self::Array(items) => Self::Array(items.iter().map(Self::without_words).collect()),
            Self::Object(entries) => {
                let entries = entries.iter();
                let kept = entries.map(|(name, value)| (name.clone(), value.without_words()));
                Self::Object(kept.collect())
            }
            other => other.clone(),
        }
    }

    /// How many bytes it takes in the session.
    pub(super) fn len(&self) -> usize {
        let sized = |len: usize| {
            let bits = usize::BITS - len.leading_zeros();
            bits.div_ceil(7).max(1) as usize + len
        };
        1 + match self {
            Self::Nil | Self::Blank | Self::Empty | Self::Bool(_) => 0,
            Self::Int(number) => number.to_string().len(),
            Self::Float(number) => format!("{number:?}").len(),
            Self::Text(text) => text.len(),
            Self::Array(items) => items.iter().map(|item| sized(item.len())).sum(),
            Self::Object(entries) => entries
                .iter()
                .map(|(name, value)| sized(name.len()) + sized(value.len()))
                .sum(),
        }
    }

    pub(super) fn is_truthy(&self) -> bool {
        !matches!(
            self,
            Self::Nil | Self::Bool(false) | Self::Blank | Self::Empty
        )
    }

    fn is_blank(&self) -> bool {
        match self {
            Self::Nil | Self::Bool(false) => true,
            Self::Text(text) => text.trim().is_empty(),
            other => other.is_empty(),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Nil => true,
            Self::Text(text) => text.is_empty(),
            Self::Array(items) => items.is_empty(),
            Self::Object(entries) => entries.is_empty(),
            _ => false,
        }
    }

    pub(super) fn equals(&self, other: &Self) -> Result<bool> {
        Ok(match (self, other) {
            (Self::Array(a), Self::Array(b)) => {
                a.len() == b.len() && all(a.iter().zip(b).map(|(a, b)| a.equals(b)))?
            }
            (Self::Object(a), Self::Object(b)) => {
                let found = |(name, value): (&String, &Self)| match b.get(name) {
                    Some(other) => other.equals(value),
                    None => Ok(false),
                };
                a.len() == b.len() && all(a.iter().map(found))?
            }
            (Self::Nil, Self::Nil) => true,
            (Self::Blank | Self::Empty, Self::Blank | Self::Empty) => return Err(Stop::Unknown),
            (Self::Blank, other) | (other, Self::Blank) => other.is_blank(),
            (Self::Empty, other) | (other, Self::Empty) => other.is_empty(),
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Int(a), Self::Float(b)) | (Self::Float(b), Self::Int(a)) => *a as f64 == *b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            // Everything but false is true; nil is false, too.
            (Self::Bool(value), other) | (other, Self::Bool(value)) => {
                *value == !matches!(other, Self::Nil) && (*value || matches!(other, Self::Nil))
            }
            _ => false,
        })
    }

    pub(super) fn is_less(&self, other: &Self) -> Result<bool> {
        Ok(match (self, other) {
            (Self::Int(a), Self::Int(b)) => a < b,
            (Self::Int(a), Self::Float(b)) => (*a as f64) < *b,
            (Self::Float(a), Self::Int(b)) => *a < *b as f64,
            (Self::Float(a), Self::Float(b)) => a < b,
            (Self::Bool(a), Self::Bool(b)) => a < b,
            (Self::Text(a), Self::Text(b)) => a < b,
            (Self::Array(_), Self::Array(_)) | (Self::Object(_), Self::Object(_)) => {
                return Err(Stop::Unknown);
            }
            _ => false,
        })
    }

    fn whole(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    fn fraction(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// What a filter makes of it. The argument of `default` is evaluated by the caller.
    pub(super) fn filter(&self, filter: &Filter, default: Value) -> Result<Self> {
        let text = |text: String| Ok(Self::Text(text));
        match filter {
            Filter::Upcase => text(self.text()?.to_uppercase()),
            Filter::Append(Text(end)) => text(self.text()? + end),
            Filter::Prepend(Text(begin)) => text((*begin).to_owned() + &self.text()?),
            Filter::Size => Ok(Self::Int(match self {
                Self::Array(items) => items.len(),
                Self::Object(entries) => entries.len(),
                scalar if scalar.is_scalar() => scalar.text()?.len(),
                _ => 0,
            } as i64)),
            Filter::First => self.end(|items| items.first(), |text| text.chars().next()),
            Filter::Last => self.end(|items| items.last(), |text| text.chars().last()),
            Filter::Split(Text(by)) => {
                let whole = self.text()?;
                let parts = whole.split(by).map(|part| Self::Text(part.to_owned()));
                Ok(Self::Array(if whole.is_empty() {
                    Vec::new()
                } else {
                    parts.collect()
                }))
            }
            Filter::Join(Text(with)) => match self {
                Self::Array(items) => {
                    let items: Vec<_> = items.iter().map(Self::text).collect::<Result<_>>()?;
                    text(items.join(with))
                }
                _ => Err(Stop::Fails),
            },
            Filter::Json => text(self.json()),
            Filter::ParseJson => Ok(match self {
                Self::Text(json) => {
                    serde_json::from_str::<serde_json::Value>(json).map_or(Self::Nil, Self::from)
                }
                _ => Self::Nil,
            }),
            Filter::HashKeys => Ok(Self::Array(match self {
                Self::Object(entries) => entries.keys().cloned().map(Self::Text).collect(),
                _ => Vec::new(),
            })),
            Filter::Default(_) => match self {
                Self::Blank | Self::Empty => Err(Stop::Unknown),
                Self::Bool(false) => Ok(default),
                other if other.is_empty() => Ok(default),
                other => Ok(other.clone()),
            },
            Filter::Plus(by) => self.calculate(*by, i64::checked_add, |a, b| a + b),
            Filter::Times(by) => self.calculate(*by, i64::checked_mul, |a, b| a * b),
        }
    }

    fn end<'v>(
        &'v self,
        item: impl Fn(&'v [Self]) -> Option<&'v Self>,
        letter: impl Fn(&str) -> Option<char>,
    ) -> Result<Self> {
        match self {
            Self::Array(items) => Ok(item(items).cloned().unwrap_or(Self::Nil)),
            scalar if scalar.is_scalar() => {
                let text = scalar.text()?;
                Ok(Self::Text(
                    letter(&text).map(String::from).unwrap_or_default(),
                ))
            }
            _ => Err(Stop::Fails),
        }
    }

    fn calculate(
        &self,
        by: Literal,
        whole: impl Fn(i64, i64) -> Option<i64>,
        fraction: impl Fn(f64, f64) -> f64,
    ) -> Result<Self> {
        let by = Self::from(by);
        if let (Some(a), Some(b)) = (self.whole(), by.whole()) {
            return whole(a, b).map(Self::Int).ok_or(Stop::Unknown);
        }
        match (self.fraction(), by.fraction()) {
            (Some(a), Some(b)) => Ok(Self::Float(fraction(a, b))),
            _ => Err(Stop::Fails),
        }
    }
}

/// Whether all are true; stops at the first that is not.
fn all(mut each: impl Iterator<Item = Result<bool>>) -> Result<bool> {
    loop {
        match each.next() {
            None => return Ok(true),
            Some(Ok(true)) => {}
            Some(other) => return other,
        }
    }
}

//! Settings from YAML, with the line and column of each error.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};

use super::SessionConfig;
use super::setting::nearest;
use super::settings::{KEYS, Settings, given_twice};
use crate::error::{Error, ErrorKind, Shown};

/// The key of the block in a whole file.
const BLOCK: &str = "sessions";

impl SessionConfig {
    /// Reads YAML: a file with a `sessions:` block, or the content of that block alone.
    ///
    /// - A file may hold other keys beside `sessions:`.
    /// - Without `sessions:`, the text is the content of the block if one of its keys is a setting or
    ///   looks like one. Otherwise it is a file without the block, and all settings have their defaults;
    ///   so they have with an empty text.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] with line and column:
    ///
    /// - the text is not YAML, or not a mapping,
    /// - a setting is unknown (with the nearest one that exists) or given twice,
    /// - a value has the wrong type,
    /// - [`build`](super::SessionConfigBuilder::build) would refuse the settings.
    ///
    /// # Example
    ///
    /// ```
    /// use liquid_session::SessionConfig;
    ///
    /// let config = SessionConfig::from_yaml("
    /// sessions:
    ///   timeout_minutes: 30
    ///   same_site: 'Lax'
    /// ")?;
    /// assert_eq!(config, SessionConfig::from_yaml("timeout_minutes: 30")?);
    ///
    /// let error = SessionConfig::from_yaml("sessions:\n  timeout_minutes: soon\n").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "line 2, column 20: `timeout_minutes` must be a whole number from 1 to 4294967295, \
    ///      found the text \"soon\"",
    /// );
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn from_yaml(text: &str) -> Result<Self, Error> {
        let options = serde_saphyr::options! {
            with_snippet: false,
            // Reported by `read`, with this crate's message.
            duplicate_keys: DuplicateKeyPolicy::PassThrough,
            budget: serde_saphyr::budget! { max_depth: 64 },
        };
        let top: Spanned<Shape> =
            serde_saphyr::from_str_with_options(text, options).map_err(|cause| {
                let cause = cause.render_with_formatter(&serde_saphyr::UserMessageFormatter);
                Error::new(ErrorKind::Config, format!("expected YAML, found: {cause}"))
            })?;
        read(block(top)?)
    }
}

/// A block of the text, or what was found in its place.
enum Shape {
    Block(Vec<Entry>),
    Other(&'static str),
}

struct Entry {
    key: Spanned<String>,
    value: Spanned<Json>,
    /// The block below `sessions:`.
    below: Option<Shape>,
}

/// Finds the block of settings in a text.
fn block(top: Spanned<Shape>) -> Result<Vec<Entry>, Error> {
    let mut entries = entries(top.value, top.referenced)?;
    let mut blocks = entries.extract_if(.., |entry| entry.below.is_some());
    if let Some(sessions) = blocks.next() {
        if let Some(second) = blocks.next() {
            return Err(at(second.key.referenced, given_twice(BLOCK)));
        }
        let place = sessions.value.referenced;
        return sessions
            .below
            .map_or_else(|| Ok(Vec::new()), |below| self::entries(below, place));
    }
    drop(blocks);
    let keys = || entries.iter().map(|entry| &entry.key);
    if keys().any(|key| nearest(&key.value, KEYS).is_some()) {
        return Ok(entries);
    }
    if let Some(key) = keys().find(|key| nearest(&key.value, &[BLOCK]).is_some()) {
        let problem = format!(
            "unknown block `{}`, did you mean `{BLOCK}`?",
            Shown(&key.value)
        );
        return Err(at(key.referenced, problem));
    }
    Ok(Vec::new())
}

fn entries(shape: Shape, place: Location) -> Result<Vec<Entry>, Error> {
    match shape {
        Shape::Block(entries) => Ok(entries),
        Shape::Other(found) => Err(at(
            place,
            format!("expected a block of session settings, found {found}"),
        )),
    }
}

fn read(entries: Vec<Entry>) -> Result<SessionConfig, Error> {
    let mut settings = Settings::default();
    for (n, Entry { key, value, .. }) in entries.iter().enumerate() {
        let known = KEYS.contains(&&*key.value);
        let place = if known {
            value.referenced
        } else {
            key.referenced
        };
        settings
            .set(&key.value, &value.value)
            .map_err(|problem| at(place, problem))?;
        if entries
            .iter()
            .take(n)
            .any(|before| before.key.value == key.value)
        {
            return Err(at(key.referenced, given_twice(&key.value)));
        }
    }
    SessionConfig::try_from(settings).map_err(|problem| {
        match entries.iter().find(|entry| entry.key.value == problem.key) {
            Some(entry) => at(entry.value.referenced, problem),
            // Unreachable: only a setting that is written can break a rule.
            None => Error::new(ErrorKind::Config, problem.to_string()),
        }
    })
}

fn at(place: Location, problem: impl fmt::Display) -> Error {
    Error::new(
        ErrorKind::Config,
        format!(
            "line {}, column {}: {problem}",
            place.line(),
            place.column()
        ),
    )
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyShape)
    }
}

struct AnyShape;

impl<'de> Visitor<'de> for AnyShape {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a block of session settings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            entries.push(if key.value == BLOCK {
                let Spanned {
                    value,
                    referenced,
                    defined,
                } = map.next_value()?;
                Entry {
                    key,
                    value: Spanned::new(Json::Null, referenced, defined),
                    below: Some(value),
                }
            } else {
                Entry {
                    key,
                    value: map.next_value()?,
                    below: None,
                }
            });
        }
        Ok(Shape::Block(entries))
    }

    /// An empty text, and `sessions:` with nothing below it.
    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Block(Vec::new()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Other("true or false"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Other("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Other("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Other("a number"))
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Other("a text"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Shape::Other("a list"))
    }
}

//! One setting: how its value is read, and the message for a wrong value.

use serde_json::Value as Json;

use super::options::{Environment, SameSite, SensitiveData};
use super::settings::Problem;
use crate::error::Shown;

/// A type of setting. It is read from a JSON value, so that all formats get the same messages, and none
/// turns text into a number by itself.
pub(super) trait Setting: Sized {
    /// What a message says is expected.
    const ALLOWED: &'static str;
    /// The words that a setting may be, if it is one of a few.
    const WORDS: &'static [&'static str] = &[];

    fn read(value: &Json) -> Option<Self>;
}

impl Setting for bool {
    const ALLOWED: &'static str = "`true` or `false`";

    fn read(value: &Json) -> Option<Self> {
        value.as_bool()
    }
}

impl Setting for u32 {
    const ALLOWED: &'static str = "a whole number from 1 to 4294967295";

    fn read(value: &Json) -> Option<Self> {
        value.as_u64()?.try_into().ok()
    }
}

impl Setting for usize {
    const ALLOWED: &'static str = "a whole number of 1 or more";

    fn read(value: &Json) -> Option<Self> {
        value.as_u64()?.try_into().ok()
    }
}

impl Setting for String {
    const ALLOWED: &'static str = "a text";

    fn read(value: &Json) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl Setting for Vec<String> {
    const ALLOWED: &'static str = "a list of addresses and networks such as `10.0.0.0/8`";

    fn read(value: &Json) -> Option<Self> {
        value.as_array()?.iter().map(String::read).collect()
    }
}

impl<T: Setting> Setting for Option<T> {
    const ALLOWED: &'static str = T::ALLOWED;
    const WORDS: &'static [&'static str] = T::WORDS;

    fn read(value: &Json) -> Option<Self> {
        if value.is_null() {
            return Some(None);
        }
        T::read(value).map(Some)
    }
}

macro_rules! words {
    ($type:ident, $allowed:literal, $($word:literal => $variant:ident),+) => {
        impl Setting for $type {
            const ALLOWED: &'static str = $allowed;
            const WORDS: &'static [&'static str] = &[$($word),+];

            fn read(value: &Json) -> Option<Self> {
                match value.as_str()? {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

words!(SameSite, "`Lax`, `Strict` or `None`", "Lax" => Lax, "Strict" => Strict, "None" => None);
words!(Environment, "`production` or `development`", "production" => Production, "development" => Development);
words!(SensitiveData, "`allow`, `warn` or `deny`", "allow" => Allow, "warn" => Warn, "deny" => Deny);

/// Reads the value of a setting.
pub(super) fn read<T: Setting>(key: &str, value: &Json) -> Result<T, Problem> {
    T::read(value).ok_or_else(|| {
        let (found, hint) = match value {
            Json::Null => ("nothing".to_owned(), None),
            Json::String(text) => (
                format!("the text \"{}\"", Shown(text)),
                nearest(text, T::WORDS),
            ),
            Json::Array(_) => ("a list".to_owned(), None),
            Json::Object(_) => ("a block".to_owned(), None),
            other => (other.to_string(), None),
        };
        let hint = hint.map_or_else(String::new, |word| format!(", did you mean `{word}`?"));
        Problem::new(
            key,
            format!("`{key}` must be {}, found {found}{hint}", T::ALLOWED),
        )
    })
}

/// The word that was most likely meant, if one is near enough.
pub(super) fn nearest<'w>(written: &str, words: &[&'w str]) -> Option<&'w str> {
    words
        .iter()
        .map(|word| {
            let likeness = strsim::jaro_winkler(&written.to_lowercase(), &word.to_lowercase());
            (likeness, *word)
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.8)
        .map(|(_, word)| word)
}

//! The settings as they are written: their names, their defaults, and how a block of them is read.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value as Json;

use super::options::{Environment, SameSite, SensitiveData};
use super::setting::{nearest, read};
use crate::error::Shown;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) enabled: bool,
    pub(super) timeout_minutes: u32,
    pub(super) absolute_timeout_minutes: Option<u32>,
    pub(super) secure_cookies: bool,
    pub(super) persistent_cookies: bool,
    pub(super) same_site: SameSite,
    pub(super) domain: Option<String>,
    pub(super) path: String,
    pub(super) cookie_name: Option<String>,
    pub(super) environment: Environment,
    pub(super) trusted_proxies: Vec<String>,
    pub(super) max_bytes: usize,
    pub(super) max_keys: usize,
    pub(super) sensitive_data: SensitiveData,
}

/// What is wrong with which setting.
#[derive(Debug)]
pub(super) struct Problem {
    #[cfg_attr(
        not(feature = "yaml"),
        allow(dead_code, reason = "YAML looks up the line of the key")
    )]
    pub(super) key: String,
    text: String,
}

impl Problem {
    pub(super) fn new(key: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            text: text.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// One line per setting: its name and its default.
macro_rules! settings {
    ($($name:ident = $default:expr,)+) => {
        pub(super) const KEYS: &[&str] = &[$(stringify!($name)),+];

        impl Default for Settings {
            fn default() -> Self {
                Self { $($name: $default),+ }
            }
        }

        impl Settings {
            pub(super) fn set(&mut self, key: &str, value: &Json) -> Result<(), Problem> {
                match key {
                    $(stringify!($name) => self.$name = read(key, value)?,)+
                    _ => return Err(unknown_key(key)),
                }
                Ok(())
            }
        }
    };
}

settings! {
    enabled = true,
    timeout_minutes = 30 * 24 * 60,
    absolute_timeout_minutes = None,
    secure_cookies = true,
    persistent_cookies = false,
    same_site = SameSite::Lax,
    domain = None,
    path = "/".to_owned(),
    cookie_name = None,
    environment = Environment::Production,
    trusted_proxies = Vec::new(),
    max_bytes = 4096,
    max_keys = 256,
    sensitive_data = SensitiveData::Allow,
}

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Block)
    }
}

struct Block;

impl<'de> Visitor<'de> for Block {
    type Value = Settings;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a block of session settings")
    }

    /// `sessions:` with nothing below it.
    fn visit_unit<E: de::Error>(self) -> Result<Settings, E> {
        Ok(Settings::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Settings, A::Error> {
        let mut settings = Settings::default();
        let mut seen = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            settings
                .set(&key, &map.next_value()?)
                .map_err(de::Error::custom)?;
            if seen.contains(&key) {
                return Err(de::Error::custom(given_twice(&key)));
            }
            seen.push(key);
        }
        Ok(settings)
    }
}

pub(super) fn given_twice(key: &str) -> Problem {
    Problem::new(key, format!("`{}` is given twice", Shown(key)))
}

fn unknown_key(key: &str) -> Problem {
    let hint =
        nearest(key, KEYS).map_or_else(String::new, |known| format!(", did you mean `{known}`?"));
    Problem::new(
        key,
        format!(
            "unknown session setting `{}`{hint} (the settings are: {})",
            Shown(key),
            KEYS.join(", ")
        ),
    )
}

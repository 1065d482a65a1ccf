//! The settings as they are written, and what is wrong with them.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

/// Whether the cookie comes along when another site leads to this one (RFC 6265bis, 5.6.7).
///
/// ```
/// use liquid_session::config::SameSite;
///
/// assert_eq!(SameSite::default(), SameSite::Lax);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub enum SameSite {
    /// Along with links to this site. A visitor who comes back from a payment provider is still
    /// signed in.
    #[default]
    Lax,
    /// Never.
    Strict,
    /// Always; only with secure cookies.
    None,
}

/// Whether plain HTTP has sessions.
///
/// ```
/// use liquid_session::config::Environment;
///
/// assert_eq!(Environment::default(), Environment::Production);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// It has none.
    #[default]
    Production,
    /// It has, for work on one's own machine.
    Development,
}

/// What happens to data that have no place in a session, such as passwords and card numbers.
///
/// ```
/// use liquid_session::config::SensitiveData;
///
/// assert_eq!(SensitiveData::default(), SensitiveData::Allow);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SensitiveData {
    /// They are stored.
    #[default]
    Allow,
    /// They are stored and reported.
    Warn,
    /// They are refused.
    Deny,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(super) enabled: bool,
    pub(super) timeout_minutes: u32,
    pub(super) absolute_timeout_minutes: Option<u32>,
    pub(super) secure_cookies: bool,
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

/// One line per setting: the name, how it is read into its field.
macro_rules! settings {
    ($($name:ident = $default:expr,)+) => {
        const KEYS: &[&str] = &[$(stringify!($name)),+];

        impl Default for Settings {
            fn default() -> Self {
                Self { $($name: $default),+ }
            }
        }

        impl<'de> Deserialize<'de> for Settings {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_map(Block)
            }
        }

        struct Block;

        impl<'de> Visitor<'de> for Block {
            type Value = Settings;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a block of session settings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Settings, A::Error> {
                let mut settings = Settings::default();
                let mut seen = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        $(stringify!($name) => {
                            settings.$name = map
                                .next_value()
                                .map_err(|why| de::Error::custom(format!("`{key}`: {why}")))?;
                        })+
                        _ => return Err(de::Error::custom(unknown_key(&key))),
                    }
                    if seen.contains(&key) {
                        return Err(de::Error::custom(format!("`{key}` is given twice")));
                    }
                    seen.push(key);
                }
                Ok(settings)
            }
        }
    };
}

settings! {
    enabled = true,
    timeout_minutes = 30 * 24 * 60,
    absolute_timeout_minutes = None,
    secure_cookies = true,
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

fn unknown_key(key: &str) -> String {
    let nearest = KEYS
        .iter()
        .map(|known| (strsim::jaro_winkler(key, known), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.8)
        .map_or_else(String::new, |(_, known)| {
            format!(", did you mean `{known}`?")
        });
    format!(
        "unknown session setting `{key}`{nearest} (the settings are: {})",
        KEYS.join(", ")
    )
}

impl Settings {
    /// What is wrong with the settings, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        let positive = [
            ("timeout_minutes", self.timeout_minutes as usize),
            (
                "absolute_timeout_minutes",
                self.absolute_timeout_minutes.unwrap_or(1) as usize,
            ),
            ("max_bytes", self.max_bytes),
            ("max_keys", self.max_keys),
        ];
        for (name, number) in positive {
            if number == 0 {
                return Err(format!("`{name}` must be 1 or more, found 0"));
            }
        }
        if self.same_site == SameSite::None && !self.secure_cookies {
            return Err(
                "`same_site: None` needs `secure_cookies: true`: browsers drop such a cookie otherwise; use `Lax` or `Strict`, or secure cookies"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

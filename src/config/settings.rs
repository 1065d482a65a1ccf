//! The settings as they are written, and what is wrong with them.

mod check;

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value as Json;

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

/// What happens to data that have no place in a session, when a template or the host writes them.
///
/// | kind | keys that end in | values |
/// |---|---|---|
/// | password | `password`, `passwd`, `pwd`, `passphrase`, `passcode`; also before `confirmation`, `hash` and the like | |
/// | API key | `api_key`, `access_key`, `secret_key`, `client_secret` and the like | the forms of AWS, GitHub, GitLab, Stripe, Slack, Google, SendGrid, npm, OpenAI, Anthropic |
/// | token | `token`, `jwt` | |
/// | private key | `private_key` | `-----BEGIN … PRIVATE KEY-----` |
/// | US social security number | `ssn`, `social_security_number` | `AAA-GG-SSSS` in the ranges that are given out |
/// | payment card | `card_number`, `credit_card`, `cvv`, `cvc` and the like | prefix and length of a card scheme, and the check digit; in one piece or in a card's groups, also inside a text |
///
/// It holds for the keys of a session, for the names in its objects, and for values at any depth.
/// `userPassword`, `user-password` and `user_password` are one name. What passes:
///
/// - names that go on, such as `password_changed_at`, `token_count`, `card_number_last4`,
/// - names of states, such as `forgot_password`, and any name with a boolean or a date under it,
/// - tokens that open nothing: `csrf_token`, `xsrf_token`, `authenticity_token`, `form_token`,
///   `submit_token`, `page_token`, `next_token`, `cursor_token`, `sync_token`, `idempotency_token`,
///   `cart_token`; and cards that pay nothing: `gift_card_number`, `library_card_number`,
/// - order numbers, phone numbers, timestamps, UUIDs, IBANs, and article numbers (EAN, ISBN).
///
/// What can't be told from the form passes too: a password under another name, digits that no card
/// scheme gives out, a social security number without hyphens.
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
    /// They are stored, and counted and reported: as an event with the feature `tracing`.
    Warn,
    /// They are refused with [`ErrorKind::Sensitive`](crate::ErrorKind::Sensitive), and counted; what
    /// was stored before stays. The error names the key, never the value.
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

/// What is wrong, and with which setting.
#[derive(Debug)]
pub(crate) struct Problem {
    #[cfg_attr(
        not(feature = "yaml"),
        allow(dead_code, reason = "YAML looks up its line")
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

/// How a setting is read. It goes by way of JSON's values, so that every format gets the same
/// messages, and none turns a text into a number by itself.
trait Setting: Sized {
    const ALLOWED: &'static str;
    /// The words it may be, if it is one of a few.
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
    ($type:ty, $allowed:literal, $words:expr) => {
        impl Setting for $type {
            const ALLOWED: &'static str = $allowed;
            const WORDS: &'static [&'static str] = $words;

            fn read(value: &Json) -> Option<Self> {
                Self::deserialize(value).ok()
            }
        }
    };
}

words!(
    SameSite,
    "`Lax`, `Strict` or `None`",
    &["Lax", "Strict", "None"]
);
words!(
    Environment,
    "`production` or `development`",
    &["production", "development"]
);
words!(
    SensitiveData,
    "`allow`, `warn` or `deny`",
    &["allow", "warn", "deny"]
);

fn read<T: Setting>(key: &str, value: &Json) -> Result<T, Problem> {
    T::read(value).ok_or_else(|| {
        let (found, hint) = match value {
            Json::Null => ("nothing".to_owned(), None),
            Json::String(text) => {
                let short: String = text.chars().take(60).collect();
                (format!("the text {short:?}"), nearest(text, T::WORDS))
            }
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
    Problem::new(key, format!("`{key}` is given twice"))
}

/// The word that somebody may have meant.
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

fn unknown_key(key: &str) -> Problem {
    let hint =
        nearest(key, KEYS).map_or_else(String::new, |known| format!(", did you mean `{known}`?"));
    let short: String = key.chars().take(60).collect();
    Problem::new(
        key,
        format!(
            "unknown session setting `{}`{hint} (the settings are: {})",
            short.escape_debug(),
            KEYS.join(", ")
        ),
    )
}

//! Settings.

mod network;
mod settings;
#[cfg(feature = "yaml")]
mod yaml;

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;

use crate::error::{Error, ErrorKind};
use crate::limits::Limits;

/// How sessions behave: platformOS's `sessions:` block, validated.
///
/// | key | default | allowed |
/// |---|---|---|
/// | `enabled` | `true` | `true`, `false` |
/// | `timeout_minutes` | 43200 (30 days) | 1 and more: minutes without use |
/// | `absolute_timeout_minutes` | none | 1 and more: minutes since creation |
/// | `secure_cookies` | `true` | `true`, `false` |
/// | `same_site` | `Lax` | `Lax`, `Strict`, `None` (only with secure cookies) |
/// | `domain` | none | a host name |
/// | `path` | `/` | a path that begins with `/` |
/// | `cookie_name` | by the other settings | characters of a cookie's name |
/// | `environment` | `production` | `production`, `development` |
/// | `trusted_proxies` | none | a list of addresses and networks (`10.0.0.0/8`) |
/// | `max_bytes` | 4096 | 1 and more: keys and values in their stored form |
/// | `max_keys` | 256 | 1 and more |
/// | `sensitive_data` | `allow` | `allow`, `warn`, `deny`: see [`SensitiveData`] |
///
/// It is made by [`builder`](Self::builder), read with serde from any format that describes itself,
/// or with the feature `yaml` by `from_yaml`.
///
/// The name of the cookie is `__Host-sid`; `__Secure-sid` with a domain or another path, which that
/// prefix forbids; plain `sid` without secure cookies.
///
/// With secure cookies over plain HTTP in `development`, browsers keep the cookie on `localhost`
/// only; on another host set `secure_cookies: false` too.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use liquid_session::SessionConfig;
///
/// let config = SessionConfig::builder().timeout_minutes(30).build()?;
/// assert_eq!(config.timeout(), Duration::from_secs(30 * 60));
///
/// let read: SessionConfig = serde_json::from_str(r#"{"timeout_minutes": 30}"#).unwrap();
/// assert_eq!(read, config);
///
/// let typo = serde_json::from_str::<SessionConfig>(r#"{"timeout_minute": 30}"#).unwrap_err();
/// assert!(typo.to_string().contains("did you mean `timeout_minutes`?"), "{typo}");
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "settings::Settings")]
pub struct SessionConfig {
    settings: settings::Settings,
    proxies: Vec<network::Network>,
}

pub use settings::{Environment, SameSite, SensitiveData};

impl SessionConfig {
    /// Begins with the defaults.
    ///
    /// ```
    /// # use liquid_session::SessionConfig;
    /// assert_eq!(SessionConfig::builder().build()?, SessionConfig::default());
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn builder() -> SessionConfigBuilder {
        SessionConfigBuilder(settings::Settings::default())
    }

    /// Whether there are sessions at all.
    ///
    /// ```
    /// # use liquid_session::SessionConfig;
    /// assert!(SessionConfig::default().is_enabled());
    /// ```
    pub fn is_enabled(&self) -> bool {
        self.settings.enabled
    }

    /// How long a session lives without use.
    ///
    /// ```
    /// # use liquid_session::SessionConfig;
    /// assert_eq!(SessionConfig::default().timeout().as_secs(), 30 * 24 * 60 * 60);
    /// ```
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.settings.timeout_minutes) * 60)
    }

    /// How long a session lives at most, if that is limited.
    ///
    /// ```
    /// # use liquid_session::SessionConfig;
    /// assert_eq!(SessionConfig::default().absolute_timeout(), None);
    /// ```
    pub fn absolute_timeout(&self) -> Option<Duration> {
        self.settings
            .absolute_timeout_minutes
            .map(|minutes| Duration::from_secs(u64::from(minutes) * 60))
    }

    /// How many bytes a session may hold.
    ///
    /// ```
    /// # use liquid_session::SessionConfig;
    /// assert_eq!(SessionConfig::default().max_bytes(), 4096);
    /// ```
    pub fn max_bytes(&self) -> usize {
        self.settings.max_bytes
    }

    /// How many keys a session may hold.
    ///
    /// ```
    /// # use liquid_session::SessionConfig;
    /// assert_eq!(SessionConfig::default().max_keys(), 256);
    /// ```
    pub fn max_keys(&self) -> usize {
        self.settings.max_keys
    }

    /// Whether the cookie only travels over TLS.
    ///
    /// ```
    /// # use liquid_session::SessionConfig;
    /// assert!(SessionConfig::default().secure_cookies());
    /// ```
    pub fn secure_cookies(&self) -> bool {
        self.settings.secure_cookies
    }

    /// Whether the cookie comes along when another site leads here.
    ///
    /// ```
    /// use liquid_session::config::{SameSite, SessionConfig};
    ///
    /// assert_eq!(SessionConfig::default().same_site(), SameSite::Lax);
    /// ```
    pub fn same_site(&self) -> SameSite {
        self.settings.same_site
    }

    /// The host that gets the cookie with all below it, if it is not only the one that set it.
    ///
    /// ```
    /// # use liquid_session::SessionConfig;
    /// let config = SessionConfig::builder().domain("example.com").build()?;
    /// assert_eq!(config.domain(), Some("example.com"));
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn domain(&self) -> Option<&str> {
        self.settings.domain.as_deref()
    }

    /// The path below which the cookie comes along.
    ///
    /// ```
    /// # use liquid_session::SessionConfig;
    /// assert_eq!(SessionConfig::default().path(), "/");
    /// ```
    pub fn path(&self) -> &str {
        &self.settings.path
    }

    /// The cookie's name.
    ///
    /// ```
    /// # use liquid_session::SessionConfig;
    /// assert_eq!(SessionConfig::default().cookie_name(), "__Host-sid");
    /// let config = SessionConfig::builder().domain("example.com").build()?;
    /// assert_eq!(config.cookie_name(), "__Secure-sid");
    /// let config = SessionConfig::builder().secure_cookies(false).build()?;
    /// assert_eq!(config.cookie_name(), "sid");
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn cookie_name(&self) -> &str {
        match &self.settings.cookie_name {
            Some(name) => name,
            None if self.settings.may_be_host_only() => "__Host-sid",
            None if self.settings.secure_cookies => "__Secure-sid",
            None => "sid",
        }
    }

    /// Whether plain HTTP has sessions.
    ///
    /// ```
    /// use liquid_session::config::{Environment, SessionConfig};
    ///
    /// assert_eq!(SessionConfig::default().environment(), Environment::Production);
    /// ```
    pub fn environment(&self) -> Environment {
        self.settings.environment
    }

    /// Whether what this address says about the visitor's connection counts: it is one of the
    /// `trusted_proxies`.
    ///
    /// ```
    /// # use liquid_session::SessionConfig;
    /// let proxies = vec!["10.0.0.0/8".to_owned()];
    /// let config = SessionConfig::builder().trusted_proxies(proxies).build()?;
    /// assert!(config.trusts("10.1.2.3".parse().unwrap()));
    /// assert!(!config.trusts("192.0.2.1".parse().unwrap()));
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|proxy| proxy.contains(address))
    }

    /// What happens to data that have no place in a session.
    ///
    /// ```
    /// use liquid_session::config::{SensitiveData, SessionConfig};
    ///
    /// assert_eq!(SessionConfig::default().sensitive_data(), SensitiveData::Allow);
    /// ```
    pub fn sensitive_data(&self) -> SensitiveData {
        self.settings.sensitive_data
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            max_bytes: self.settings.max_bytes,
            max_keys: self.settings.max_keys,
        }
    }
}

/// Makes a [`SessionConfig`]; each method is the setting of that name.
///
/// ```
/// use liquid_session::{ErrorKind, SessionConfig};
///
/// let error = SessionConfig::builder().max_keys(0).build().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Config);
/// assert_eq!(error.to_string(), "`max_keys` must be 1 or more, found 0");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SessionConfigBuilder(settings::Settings);

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty => |$value:ident| $store:expr;)+) => {
        impl SessionConfigBuilder {
            $($(#[$doc])*
            pub fn $name(mut self, $value: $type) -> Self {
                self.0.$name = $store;
                self
            })+
        }
    };
}

setters! {
    /// Whether there are sessions at all.
    enabled: bool => |on| on;
    /// Minutes that a session lives without use.
    timeout_minutes: u32 => |minutes| minutes;
    /// Minutes that a session lives at most, counted from its creation.
    absolute_timeout_minutes: u32 => |minutes| Some(minutes);
    /// Whether the cookie only travels over TLS.
    secure_cookies: bool => |on| on;
    /// Whether the cookie comes along when another site leads here.
    same_site: SameSite => |same_site| same_site;
    /// The host, with all below it, that gets the cookie; without it, only the host that set it.
    domain: &str => |domain| Some(domain.to_owned());
    /// The path below which the cookie comes along.
    path: &str => |path| path.to_owned();
    /// The cookie's name.
    cookie_name: &str => |name| Some(name.to_owned());
    /// Whether plain HTTP has sessions.
    environment: Environment => |environment| environment;
    /// The addresses and networks whose forwarded headers count.
    trusted_proxies: Vec<String> => |proxies| proxies;
    /// Bytes of keys and values that a session may hold.
    max_bytes: usize => |bytes| bytes;
    /// Keys that a session may hold.
    max_keys: usize => |keys| keys;
    /// What happens to data that have no place in a session.
    sensitive_data: SensitiveData => |handling| handling;
}

impl SessionConfigBuilder {
    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the setting, what was found and what is allowed:
    ///
    /// - a timeout or a limit of zero,
    /// - `same_site: None` without secure cookies,
    /// - a path that does not begin with `/`, a domain or a cookie name with characters that have no
    ///   place in a cookie,
    /// - a proxy that is no address and no network.
    ///
    /// ```
    /// use liquid_session::SessionConfig;
    ///
    /// assert!(SessionConfig::builder().timeout_minutes(20).build().is_ok());
    /// ```
    pub fn build(self) -> Result<SessionConfig, Error> {
        SessionConfig::try_from(self.0)
            .map_err(|problem| Error::new(ErrorKind::Config, problem.to_string()))
    }
}

impl TryFrom<settings::Settings> for SessionConfig {
    type Error = settings::Problem;

    fn try_from(settings: settings::Settings) -> Result<Self, settings::Problem> {
        let proxies = settings.check()?;
        Ok(Self { settings, proxies })
    }
}

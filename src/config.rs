//! [`SessionConfig`]: how sessions behave.

mod builder;
mod check;
mod network;
mod options;
mod setting;
mod settings;
#[cfg(feature = "yaml")]
mod yaml;

pub use builder::SessionConfigBuilder;
pub use options::{Environment, SameSite, SensitiveData};

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;

use crate::limits::Limits;
use network::Network;
use settings::{Problem, Settings};

/// How sessions behave: platformOS's `sessions:` block, validated.
///
/// | key | default | allowed |
/// |---|---|---|
/// | `enabled` | `true` | `true`, `false` |
/// | `timeout_minutes` | 43200 (30 days) | 1 and more: idle timeout, minutes since the last use |
/// | `absolute_timeout_minutes` | none | 1 and more: minutes since the creation |
/// | `secure_cookies` | `true` | `true`, `false` (only in `development`) |
/// | `persistent_cookies` | `false` | `true`, `false`: whether the cookie outlives the browser |
/// | `same_site` | `Lax` | `Lax`, `Strict`, `None` (only with secure cookies): see [`SameSite`] |
/// | `domain` | none | a host name, whose subdomains get the cookie, too |
/// | `path` | `/` | a path that begins with `/` |
/// | `cookie_name` | `__Host-sid`, `__Secure-sid` or `sid` | letters, digits and some signs |
/// | `environment` | `production` | `production`, `development`: see [`Environment`] |
/// | `trusted_proxies` | none | a list of addresses and networks (`10.0.0.0/8`) |
/// | `max_bytes` | 4096 | 1 and more: keys and values in their stored form |
/// | `max_keys` | 256 | 1 and more |
/// | `sensitive_data` | `allow` | `allow`, `warn`, `deny`: see [`SensitiveData`] |
///
/// - It is made by [`builder`](Self::builder), read with serde from any self-describing format, or with
///   the feature `yaml` read by `from_yaml`.
/// - The cookie is called `__Host-sid`; `__Secure-sid` with a domain or another path, which the prefix
///   `__Host-` forbids; `sid` without secure cookies.
/// - In `development` with secure cookies, browsers keep the cookie over plain HTTP on `localhost` only;
///   on another host set `secure_cookies: false`, too.
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
#[serde(try_from = "Settings")]
pub struct SessionConfig {
    settings: Settings,
    proxies: Vec<Network>,
}

impl SessionConfig {
    /// Starts with the defaults.
    pub fn builder() -> SessionConfigBuilder {
        SessionConfigBuilder(Settings::default())
    }

    /// Returns whether there are sessions.
    pub fn is_enabled(&self) -> bool {
        self.settings.enabled
    }

    /// Returns the idle timeout, counted from the last use.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.settings.timeout_minutes) * 60)
    }

    /// Returns the absolute timeout, counted from the creation, if there is one.
    pub fn absolute_timeout(&self) -> Option<Duration> {
        self.settings
            .absolute_timeout_minutes
            .map(|minutes| Duration::from_secs(u64::from(minutes) * 60))
    }

    /// Returns how many bytes of keys and values a session may hold.
    pub fn max_bytes(&self) -> usize {
        self.settings.max_bytes
    }

    /// Returns how many keys a session may hold.
    pub fn max_keys(&self) -> usize {
        self.settings.max_keys
    }

    /// Returns whether browsers send the cookie over HTTPS only.
    pub fn secure_cookies(&self) -> bool {
        self.settings.secure_cookies
    }

    /// Returns whether the cookie of every session outlives the browser.
    pub fn persistent_cookies(&self) -> bool {
        self.settings.persistent_cookies
    }

    /// Returns whether browsers send the cookie with requests that another site starts.
    pub fn same_site(&self) -> SameSite {
        self.settings.same_site
    }

    /// Returns the host whose subdomains get the cookie, too.
    pub fn domain(&self) -> Option<&str> {
        self.settings.domain.as_deref()
    }

    /// Returns the path below which browsers send the cookie.
    pub fn path(&self) -> &str {
        &self.settings.path
    }

    /// Returns the cookie's name.
    ///
    /// ```
    /// use liquid_session::SessionConfig;
    ///
    /// assert_eq!(SessionConfig::default().cookie_name(), "__Host-sid");
    /// let config = SessionConfig::builder().domain("example.com").build()?;
    /// assert_eq!(config.cookie_name(), "__Secure-sid");
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

    /// Returns whether requests over plain HTTP have sessions.
    pub fn environment(&self) -> Environment {
        self.settings.environment
    }

    /// Returns whether this address belongs to the `trusted_proxies`, so that its forwarded headers count.
    ///
    /// ```
    /// use liquid_session::SessionConfig;
    ///
    /// let proxies = vec!["10.0.0.0/8".to_owned()];
    /// let config = SessionConfig::builder().trusted_proxies(proxies).build()?;
    /// assert!(config.trusts([10, 1, 2, 3].into()));
    /// assert!(!config.trusts([192, 0, 2, 1].into()));
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|proxy| proxy.contains(address))
    }

    /// Returns whether any proxy is trusted.
    #[cfg(feature = "tower")]
    pub(crate) fn trusts_any(&self) -> bool {
        !self.proxies.is_empty()
    }

    /// Returns what happens to data that do not belong in a session.
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

impl TryFrom<Settings> for SessionConfig {
    type Error = Problem;

    fn try_from(settings: Settings) -> Result<Self, Problem> {
        let proxies = settings.check()?;
        Ok(Self { settings, proxies })
    }
}

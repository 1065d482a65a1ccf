//! [`SessionConfigBuilder`]: settings made in Rust.

use super::SessionConfig;
use super::options::{Environment, SameSite, SensitiveData};
use super::settings::Settings;
use crate::error::{Error, ErrorKind};

/// Builds a [`SessionConfig`]. Each method sets the setting of its name; the table at [`SessionConfig`]
/// explains them.
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
pub struct SessionConfigBuilder(pub(super) Settings);

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
    /// Sets whether there are sessions.
    enabled: bool => |on| on;
    /// Sets the idle timeout: minutes since the last use.
    timeout_minutes: u32 => |minutes| minutes;
    /// Sets the absolute timeout: minutes since the creation.
    absolute_timeout_minutes: u32 => |minutes| Some(minutes);
    /// Sets whether browsers send the cookie over HTTPS only. `false` needs
    /// [`Environment::Development`].
    secure_cookies: bool => |on| on;
    /// Sets whether the cookie outlives the browser, for every session. For a single one, use
    /// [`Login::remember`](crate::Login::remember).
    persistent_cookies: bool => |on| on;
    /// Sets whether browsers send the cookie with requests that another site starts.
    same_site: SameSite => |same_site| same_site;
    /// Sets the host whose subdomains get the cookie, too. By default only the host that set it does.
    domain: &str => |domain| Some(domain.to_owned());
    /// Sets the path below which browsers send the cookie.
    path: &str => |path| path.to_owned();
    /// Sets the cookie's name.
    cookie_name: &str => |name| Some(name.to_owned());
    /// Sets whether requests over plain HTTP have sessions.
    environment: Environment => |environment| environment;
    /// Sets the addresses and networks of proxies whose forwarded headers count.
    trusted_proxies: Vec<String> => |proxies| proxies;
    /// Sets how many bytes of keys and values a session may hold.
    max_bytes: usize => |bytes| bytes;
    /// Sets how many keys a session may hold.
    max_keys: usize => |keys| keys;
    /// Sets what happens to data that do not belong in a session.
    sensitive_data: SensitiveData => |handling| handling;
}

impl SessionConfigBuilder {
    /// Checks the settings and makes the configuration.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with the setting, what was found and what is allowed:
    ///
    /// - a timeout or a limit is zero,
    /// - `secure_cookies: false` in production, or with `same_site: None`,
    /// - the path does not begin with `/`; the path, the domain or the cookie's name has characters that
    ///   a cookie can't have,
    /// - a cookie name with the prefix `__Host-` or `__Secure-` breaks the rules of that prefix,
    /// - a proxy is neither an address nor a network.
    pub fn build(self) -> Result<SessionConfig, Error> {
        SessionConfig::try_from(self.0)
            .map_err(|problem| Error::new(ErrorKind::Config, problem.to_string()))
    }
}

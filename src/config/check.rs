//! The rules that settings must keep, alone and together.

use super::network::Network;
use super::options::{Environment, SameSite};
use super::setting::Setting as _;
use super::settings::{Problem, Settings};
use crate::error::Shown;
use crate::secret;

/// Browsers drop a cookie whose name and value are longer together (RFC 6265bis, 5.6).
const MAX_NAME: usize = 4096 - secret::TEXT_LEN;

/// Browsers ignore a longer attribute (RFC 6265bis, 5.6).
const MAX_PATH: usize = 1024;

impl Settings {
    /// Checks the settings, and returns the networks of `trusted_proxies`.
    pub(super) fn check(&self) -> Result<Vec<Network>, Problem> {
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
                return Err(Problem::new(
                    name,
                    format!("`{name}` must be 1 or more, found 0"),
                ));
            }
        }
        if self.same_site == SameSite::None && !self.secure_cookies {
            return Err(Problem::new(
                "same_site",
                "`same_site: None` needs `secure_cookies: true`: browsers drop such a cookie otherwise; use `Lax` or `Strict`, or secure cookies",
            ));
        }
        if self.environment == Environment::Production && !self.secure_cookies {
            return Err(Problem::new(
                "secure_cookies",
                "`secure_cookies: false` lets the cookie travel over plain HTTP: found `environment: production` (the default), expected `environment: development`; remove `secure_cookies`, or set `environment: development` on your own machine",
            ));
        }
        self.check_domain()?;
        self.check_path()?;
        self.check_cookie_name()?;
        self.trusted_proxies
            .iter()
            .map(|proxy| {
                proxy.parse().map_err(|()| {
                    Problem::new(
                        "trusted_proxies",
                        format!(
                            "`trusted_proxies` must be {}, found \"{}\"",
                            Vec::ALLOWED,
                            Shown(proxy)
                        ),
                    )
                })
            })
            .collect()
    }

    fn check_domain(&self) -> Result<(), Problem> {
        let Some(domain) = &self.domain else {
            return Ok(());
        };
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        // A name whose last label is digits is an address, and a cookie of an address has no domain (RFC
        // 6265, 5.1.3).
        let is_address = domain
            .rsplit('.')
            .next()
            .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        if domain.len() > 253 || is_address || !domain.split('.').all(label) {
            return Err(Problem::new(
                "domain",
                format!(
                    "`domain` must be a host name such as `example.com` (letters beyond ASCII as `xn--`), found \"{}\"",
                    Shown(domain)
                ),
            ));
        }
        Ok(())
    }

    fn check_path(&self) -> Result<(), Problem> {
        let path = &self.path;
        let fits = path.starts_with('/')
            && path.len() <= MAX_PATH
            && path.bytes().all(|b| matches!(b, b'!'..=b'~') && b != b';');
        if !fits {
            return Err(Problem::new(
                "path",
                format!(
                    "`path` must begin with `/` and have no spaces, semicolons or letters beyond ASCII, and at most {MAX_PATH} characters, found \"{}\"",
                    Shown(path)
                ),
            ));
        }
        Ok(())
    }

    fn check_cookie_name(&self) -> Result<(), Problem> {
        let Some(name) = &self.cookie_name else {
            return Ok(());
        };
        let problem = |text: String| Err(Problem::new("cookie_name", text));
        // A token (RFC 9110, 5.6.2).
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(token) {
            return problem(format!(
                "`cookie_name` must be 1 to {MAX_NAME} letters, digits and characters of `!#$%&'*+-.^_|~`, found \"{}\"",
                Shown(name)
            ));
        }
        // Browsers ignore the case of the prefix (RFC 6265bis, 5.4).
        let lower = name.to_ascii_lowercase();
        if lower.starts_with("__host-") && !self.may_be_host_only() {
            return problem(
                "a `cookie_name` that begins with `__Host-` needs `secure_cookies: true`, `path: /` and no `domain`: browsers drop the cookie otherwise"
                    .to_owned(),
            );
        }
        if lower.starts_with("__secure-") && !self.secure_cookies {
            return problem(
                "a `cookie_name` that begins with `__Secure-` needs `secure_cookies: true`: browsers drop the cookie otherwise"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Whether the cookie's name may begin with `__Host-`.
    pub(super) fn may_be_host_only(&self) -> bool {
        self.secure_cookies && self.domain.is_none() && self.path == "/"
    }
}

//! What settings may not be.

use super::{Problem, SameSite, Setting as _, Settings};
use crate::config::network::Network;

/// The value of the cookie is 43 characters, and browsers drop a cookie whose name and value are
/// over 4096 bytes together (RFC 6265bis, 5.6).
const MAX_NAME: usize = 4096 - 43;

/// Browsers ignore an attribute beyond this (RFC 6265bis, 5.6).
const MAX_PATH: usize = 1024;

impl Settings {
    /// What is wrong with the settings, if anything; if nothing, the trusted networks.
    pub(in crate::config) fn check(&self) -> Result<Vec<Network>, Problem> {
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
                            "`trusted_proxies` must be {}, found {proxy:?}",
                            Vec::ALLOWED
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
        // A last label of digits is an address, and cookies of an address have no domain (RFC 6265,
        // 5.1.3).
        let is_address = domain
            .rsplit('.')
            .next()
            .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        if domain.len() > 253 || is_address || !domain.split('.').all(label) {
            return Err(Problem::new(
                "domain",
                format!(
                    "`domain` must be a host name such as `example.com` (letters beyond ASCII as `xn--`), found {domain:?}"
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
                    "`path` must begin with `/` and have no spaces, semicolons or letters beyond ASCII, found {path:?}"
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
            let short: String = name.chars().take(60).collect();
            return problem(format!(
                "`cookie_name` must be 1 to {MAX_NAME} letters, digits and characters of `!#$%&'*+-.^_|~`, found {short:?}"
            ));
        }
        // Browsers look at the prefix without regard to case (RFC 6265bis, 5.4).
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

    /// Whether the cookie may have the name prefix that binds it to one host.
    pub(in crate::config) fn may_be_host_only(&self) -> bool {
        self.secure_cookies && self.domain.is_none() && self.path == "/"
    }
}

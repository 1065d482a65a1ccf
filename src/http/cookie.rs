use std::time::Duration;

use cookie::Cookie;

use crate::config::SameSite;
use crate::secret::Secret;
use crate::session::{Credential, Outcome, Session};
use crate::sessions::Sessions;

impl Sessions {
    /// Opens the session of a request, by all of its `Cookie` headers. See the [module](crate::http).
    ///
    /// - Opening calls no store. The first read or write loads the record.
    /// - Cookies of other names are ignored, also those whose name is the session's behind white space
    ///   that is not ASCII: to a browser these have no `__Host-` prefix.
    /// - A value that can't be a secret of this crate is ignored, and never reaches the store.
    /// - Of at most four different secrets, the one that opens a session counts. If two do, one was
    ///   planted, by a neighbouring host for example, and nothing distinguishes them: both sessions are
    ///   ended, the visitor begins without a session, and the answer removes the cookies.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// # session.set("color", "dark")?;
    /// # let secret = session.commit()?.secret().unwrap().expose();
    /// let header = format!("theme=x; __Host-sid={secret}");
    /// let session = sessions.open_from_headers([&header]);
    /// assert_eq!(session.get("color")?, Some("dark".into()));
    ///
    /// let dead = format!("__Host-sid={}", "A".repeat(43));
    /// let session = sessions.open_from_headers([&dead, &header]);
    /// assert_eq!(session.get("color")?, Some("dark".into()));
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn open_from_headers<H: AsRef<[u8]>>(
        &self,
        headers: impl IntoIterator<Item = H>,
    ) -> Session {
        self.open_with(credential(headers, self.config().cookie_name()))
    }

    /// Returns the values of the `Set-Cookie` headers to send: the secret of a new or renewed session,
    /// or a removal. Most requests need none. See the [module](crate::http).
    ///
    /// - A cookie has `HttpOnly` and `SameSite` always, and `Secure` unless the settings switch it off.
    /// - It has neither `Max-Age` nor `Expires`, and ends with the browser, unless the setting
    ///   `persistent_cookies` or [`Login::remember`](crate::Login::remember) says otherwise. It then has
    ///   the `Max-Age` of [`Outcome::max_age`].
    /// - It is sent with a new secret only, never again with an old one: a late answer would otherwise
    ///   undo a parallel login.
    /// - A removal has the attributes of the cookie that it removes, and `Max-Age=0`.
    /// - If two cookies opened sessions, the cookie is also removed under `/` without a domain.
    ///
    /// ```
    /// use liquid_session::{MemoryStore, SessionConfig, Sessions};
    ///
    /// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let session = sessions.open(None);
    /// assert!(sessions.set_cookies(&session.commit()?).is_empty());
    ///
    /// session.set("color", "dark")?;
    /// let outcome = session.commit()?;
    /// let secret = outcome.secret().unwrap().expose();
    /// assert_eq!(
    ///     sessions.set_cookies(&outcome),
    ///     [format!("__Host-sid={secret}; HttpOnly; SameSite=Lax; Secure; Path=/")],
    /// );
    ///
    /// session.logout()?;
    /// assert_eq!(
    ///     sessions.set_cookies(&session.commit()?),
    ///     ["__Host-sid=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0"],
    /// );
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn set_cookies(&self, outcome: &Outcome) -> Vec<String> {
        let config = self.config();
        let configured = (config.path(), config.domain());
        let mut headers = Vec::new();
        if outcome.is_planted() && configured != ("/", None) {
            headers.push(self.set_cookie(None, REMOVE, "/", None));
        }
        if outcome.secret().is_some() || outcome.removes_cookie() || outcome.is_planted() {
            let secret = outcome.secret();
            let max_age = secret.map_or(REMOVE, |_| outcome.max_age());
            headers.push(self.set_cookie(secret, max_age, configured.0, configured.1));
        }
        headers
    }

    /// Returns a header with a secret, or one that removes the cookie.
    fn set_cookie(
        &self,
        secret: Option<&Secret>,
        max_age: Option<Duration>,
        path: &str,
        domain: Option<&str>,
    ) -> String {
        let config = self.config();
        let value = secret.map(Secret::expose).unwrap_or_default();
        let mut cookie = Cookie::build((config.cookie_name(), value))
            .http_only(true)
            .same_site(match config.same_site() {
                SameSite::Lax => cookie::SameSite::Lax,
                SameSite::Strict => cookie::SameSite::Strict,
                SameSite::None => cookie::SameSite::None,
            })
            .secure(config.secure_cookies())
            .path(path);
        if let Some(domain) = domain {
            cookie = cookie.domain(domain);
        }
        if let Some(max_age) = max_age {
            let seconds = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX);
            cookie = cookie.max_age(cookie::time::Duration::seconds(seconds));
        }
        cookie.to_string()
    }
}

/// The `Max-Age` that removes a cookie.
const REMOVE: Option<Duration> = Some(Duration::ZERO);

/// The number of different secrets of one request that are looked up.
const MAX_SECRETS: usize = 4;

/// Collects the secrets under this name, each once.
fn credential<H: AsRef<[u8]>>(headers: impl IntoIterator<Item = H>, name: &str) -> Credential {
    let mut found: Vec<Secret> = Vec::new();
    for header in headers {
        for secret in values(header.as_ref(), name).filter_map(Secret::parse_bytes) {
            if found.len() < MAX_SECRETS && !found.iter().any(|other| other.is(&secret)) {
                found.push(secret);
            }
        }
    }
    match found.len() {
        0 => Credential::None,
        1 => Credential::Secret(found.remove(0)),
        _ => Credential::Several(found.into()),
    }
}

/// Returns the values of a `Cookie` header under a name.
///
/// Parsed by hand for three reasons. Every request pays for it. It reads bytes, so that a cookie which is
/// not UTF-8 spoils no other. And it trims only ASCII white space: a neighbouring host can set a cookie
/// whose name begins with another kind of space, which has no `__Host-` prefix to the browser, and has
/// one to a parser that trims the space.
fn values<'h>(header: &'h [u8], name: &str) -> impl Iterator<Item = &'h [u8]> {
    header.split(|byte| *byte == b';').filter_map(move |pair| {
        let rest = pair.trim_ascii_start().strip_prefix(name.as_bytes())?;
        let value = rest.trim_ascii_start().strip_prefix(b"=")?;
        Some(value.trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts<'h>(header: &'h str, name: &str) -> Vec<&'h str> {
        values(header.as_bytes(), name)
            .map(|value| std::str::from_utf8(value).unwrap())
            .collect()
    }

    proptest! {
        #[test]
        fn a_header_reads_as_the_cookie_crate_reads_it(header in "([=; \t]|sid|sid=|;sid=|\"|%3D|ż){0,24}") {
            let expected: Vec<_> = Cookie::split_parse(&*header)
                .flatten()
                .filter(|cookie| cookie.name() == "sid")
                .map(|cookie| cookie.value_raw().unwrap())
                .collect();
            prop_assert_eq!(texts(&header, "sid"), expected);
        }
    }

    #[test]
    fn only_the_first_equals_sign_and_the_space_around_divide() {
        for (header, expected) in [
            ("", &[][..]),
            ("sid", &[]),
            ("=sid", &[]),
            ("sid=", &[""]),
            ("sid==a=", &["=a="]),
            (" sid\t= a b ;;sid=\"c\"; sid=%63", &["a b", "\"c\"", "%63"]),
            ("Sid=a; sid2=b; xsid=c; s id=d", &[]),
        ] {
            assert_eq!(texts(header, "sid"), expected, "{header}");
        }
    }

    #[test]
    fn a_name_behind_space_of_another_alphabet_is_another_name() {
        for space in ["\u{85}", "\u{a0}", "\u{2000}", "\u{3000}", "\u{feff}"] {
            let header = format!("{space}__Host-sid=a; __Host-sid{space}=b; __Host-sid=c");
            assert_eq!(texts(&header, "__Host-sid"), ["c"], "{header:?}");
        }
    }
}

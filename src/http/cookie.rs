use cookie::Cookie;

use crate::config::SameSite;
use crate::handle::{Outcome, Session};
use crate::sessions::Sessions;

impl Sessions {
    /// The session of a request, from all of its `Cookie` headers. See the [module](crate::http).
    ///
    /// - A cookie of another name is left alone, also a damaged one.
    /// - Several cookies of the session's name count only if they all say the same. Otherwise one of
    ///   them was planted, by a neighbouring host for example, and nothing tells which: the visitor
    ///   begins without a session.
    /// - A value that is no secret of ours never reaches the store; see [`open`](Self::open).
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
    /// let planted = format!("__Host-sid={}", "A".repeat(43));
    /// let session = sessions.open_from_headers([&header, &planted]);
    /// assert_eq!(session.get("color")?, None);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn open_from_headers<H: AsRef<[u8]>>(
        &self,
        headers: impl IntoIterator<Item = H>,
    ) -> Session {
        let name = self.config().cookie_name();
        let mut found: Option<String> = None;
        for header in headers {
            // What is not UTF-8 spoils the one cookie that it is in, not those beside it.
            let header = String::from_utf8_lossy(header.as_ref());
            for cookie in Cookie::split_parse(&*header).flatten() {
                if cookie.name() != name {
                    continue;
                }
                match &found {
                    None => found = Some(cookie.value().to_owned()),
                    Some(first) if first == cookie.value() => {}
                    Some(_) => return self.open(None),
                }
            }
        }
        self.open(found.as_deref())
    }

    /// The `Set-Cookie` header that a commit calls for, if it calls for one: with the secret of a new
    /// or renewed session, or to remove the cookie. See the [module](crate::http).
    ///
    /// - `HttpOnly` and `SameSite` always, `Secure` unless switched off.
    /// - Without `Max-Age` and `Expires`: it ends with the browser.
    /// - The removal has the same attributes, so that it hits the same cookie, and `Max-Age=0`.
    ///
    /// ```
    /// use liquid_session::{MemoryStore, SessionConfig, Sessions};
    ///
    /// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let session = sessions.open(None);
    /// assert_eq!(sessions.set_cookie(&session.commit()?), None);
    ///
    /// session.set("color", "dark")?;
    /// let outcome = session.commit()?;
    /// let secret = outcome.secret().unwrap().expose();
    /// assert_eq!(
    ///     sessions.set_cookie(&outcome).unwrap(),
    ///     format!("__Host-sid={secret}; HttpOnly; SameSite=Lax; Secure; Path=/"),
    /// );
    ///
    /// session.logout()?;
    /// assert_eq!(
    ///     sessions.set_cookie(&session.commit()?).unwrap(),
    ///     "__Host-sid=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0",
    /// );
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn set_cookie(&self, outcome: &Outcome) -> Option<String> {
        let value = match outcome.secret() {
            Some(secret) => secret.expose(),
            None if outcome.removes_cookie() => String::new(),
            None => return None,
        };
        let config = self.config();
        let mut cookie = Cookie::build((config.cookie_name(), value))
            .http_only(true)
            .same_site(match config.same_site() {
                SameSite::Lax => cookie::SameSite::Lax,
                SameSite::Strict => cookie::SameSite::Strict,
                SameSite::None => cookie::SameSite::None,
            })
            .secure(config.secure_cookies())
            .path(config.path());
        if let Some(domain) = config.domain() {
            cookie = cookie.domain(domain);
        }
        if outcome.secret().is_none() {
            cookie = cookie.max_age(cookie::time::Duration::ZERO);
        }
        Some(cookie.to_string())
    }
}

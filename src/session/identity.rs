//! The identity of a session: its ID, its user, login and logout, the sessions of a user.

use std::time::Duration;

use super::Session;
use crate::error::{Error, ErrorKind};
use crate::record::Owner;
use crate::secret::SessionId;
use crate::store::{Revoke, SessionInfo};

/// Who signs in, for [`Session::login`]. Made from a user name, or with [`new`](Self::new) and
/// options.
///
/// ```
/// use std::time::Duration;
/// use liquid_session::Login;
/// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
/// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
/// let session = sessions.open(None);
/// session.login(Login::new("ann").timeout(Duration::from_secs(15 * 60)).label("Kiosk"))?;
/// session.commit()?;
///
/// let listed = &sessions.user_sessions("ann")?[0];
/// assert_eq!(listed.deadline - listed.last_used, Duration::from_secs(15 * 60));
/// assert_eq!(listed.label, "Kiosk");
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Login(Owner);

impl Login {
    /// Creates the login of a user: a name or number of the host's, of at most 255 bytes.
    pub fn new(user: impl Into<String>) -> Self {
        Self(Owner {
            user: user.into().into(),
            idle_timeout: None,
            label: Box::default(),
            persistent: false,
        })
    }

    /// Sets the label of the session in the list of the user's sessions, such as `Firefox on Linux`:
    /// at most 128 bytes.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.0.label = label.into().into();
        self
    }

    /// Sets an idle timeout for this session, in place of that of the settings.
    #[must_use]
    pub fn timeout(mut self, idle: Duration) -> Self {
        self.0.idle_timeout = Some(idle);
        self
    }

    /// Makes the cookie outlive the browser, for "remember me". The setting `persistent_cookies` does so
    /// for every session.
    ///
    /// - The cookie has a `Max-Age`: what is left of the absolute timeout, at most 400 days.
    /// - The timeouts of the server decide: with an idle timeout of 30 minutes, the visitor has to sign
    ///   in after half an hour without use. Set a [`timeout`](Self::timeout) with it.
    /// - It is kept by a renewal and by a second login of the user.
    ///
    /// ```
    /// use std::time::Duration;
    /// use liquid_session::Login;
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let days = |n: u64| Duration::from_secs(n * 24 * 60 * 60);
    /// let session = sessions.open(None);
    /// session.login(Login::new("ann").remember().timeout(days(90)))?;
    /// let outcome = session.commit()?;
    /// assert_eq!(outcome.max_age(), Some(days(400)), "there is no absolute timeout");
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    #[must_use]
    pub fn remember(mut self) -> Self {
        self.0.persistent = true;
        self
    }
}

impl<U: Into<String>> From<U> for Login {
    fn from(user: U) -> Self {
        Self::new(user)
    }
}

impl Session {
    /// Returns the session ID; `None` if there is no session and nothing to store.
    ///
    /// A session that the commit will begin has its ID already.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Unavailable`]: the store can't be reached.
    /// - [`ErrorKind::Corrupt`]: the record is damaged.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let session = sessions.open(None);
    /// assert_eq!(session.id()?, None);
    /// session.set("color", "dark")?;
    /// let id = session.id()?.expect("a session is about to begin");
    /// session.commit()?;
    /// assert_eq!(session.id()?, Some(id));
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn id(&self) -> Result<Option<SessionId>, Error> {
        let mut state = self.lock();
        state.open(self.shared())?;
        Ok(state.id())
    }

    /// Returns the user who is signed in, also before the login is committed.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Unavailable`]: the store can't be reached.
    /// - [`ErrorKind::Corrupt`]: the record is damaged.
    pub fn user(&self) -> Result<Option<String>, Error> {
        let mut state = self.lock();
        state.open(self.shared())?;
        Ok(state.user().map(str::to_owned))
    }

    /// Gives the session a new secret at the commit, for changes of privilege (ASVS 5.0, 7.2.4).
    ///
    /// - The data, the session ID and the creation time stay.
    /// - The old secret opens nothing from then on. For 60 seconds it lets a logout, a revocation, and
    ///   the commit of a request that had loaded the session before reach the session.
    /// - Without a session there is nothing to renew, and the commit does nothing.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NoSession`]: there is no session here, or the response has been sent.
    /// - [`ErrorKind::Conflict`]: a transaction runs on another thread.
    /// - [`ErrorKind::Unavailable`]: the store can't be reached.
    /// - [`ErrorKind::Corrupt`]: the record is damaged.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// # session.set("a", 1)?;
    /// # let old = session.commit()?.secret().unwrap().expose();
    /// let session = sessions.open(Some(&old));
    /// session.renew()?;
    /// let new = session.commit()?.secret().unwrap().expose();
    /// assert_eq!(sessions.open(Some(&old)).get("a")?, None);
    /// assert_eq!(sessions.open(Some(&new)).get("a")?, Some(1.into()));
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    #[doc(alias = "cycle_id")]
    #[doc(alias = "regenerate")]
    pub fn renew(&self) -> Result<(), Error> {
        self.change(|state, _| {
            state.renew = true;
            Ok(())
        })
    }

    /// Signs in a user at the commit: binds the session to the user and [renews](Self::renew) it.
    ///
    /// - The data of an anonymous visitor stay. The data of another user are removed first, also of one
    ///   whom this request signed in before.
    /// - A second login of the user keeps the session's idle timeout and its label, unless it sets
    ///   others, and its persistent cookie.
    /// - Parallel requests that had loaded the session before the login commit nothing: their status is
    ///   [`Gone`](crate::Status::Gone).
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Limit`]: the user name is longer than 255 bytes, or the label than 128 bytes.
    /// - [`ErrorKind::Config`]: the idle timeout is zero.
    /// - [`ErrorKind::NoSession`]: there is no session here, or the response has been sent.
    /// - [`ErrorKind::Conflict`]: a transaction runs on another thread.
    /// - [`ErrorKind::Unavailable`]: the store can't be reached.
    /// - [`ErrorKind::Corrupt`]: the record is damaged.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let session = sessions.open(None);
    /// session.set("cart", vec!["boots"])?;
    /// session.login("ann")?;
    /// let cookie = session.commit()?.secret().expect("a new secret").expose();
    ///
    /// let session = sessions.open(Some(&cookie));
    /// assert_eq!(session.user()?.as_deref(), Some("ann"));
    /// assert_eq!(session.get("cart")?, Some(vec!["boots"].into()));
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    #[doc(alias = "sign in")]
    pub fn login(&self, login: impl Into<Login>) -> Result<(), Error> {
        let Login(mut owner) = login.into();
        if owner
            .idle_timeout
            .is_some_and(|timeout| timeout.as_millis() == 0)
        {
            return Err(Error::new(
                ErrorKind::Config,
                "an idle timeout must be at least a millisecond, found zero",
            ));
        }
        owner.check()?;
        self.change(|state, _| {
            match state.user() {
                Some(user) if *user != *owner.user => {
                    // Also what another request of the former user writes meanwhile.
                    state.pending.clear();
                }
                // Signing in again keeps what this login does not say.
                Some(_) => owner.complete(state.owner()),
                None => {}
            }
            state.login = Some(Box::new(owner));
            Ok(())
        })
    }

    /// Ends the session at once, without waiting for the commit.
    ///
    /// - When this returns, the record is gone from the store, also if a parallel request has renewed
    ///   the session or signed it in within the last minute. No slower request brings it back.
    /// - The commit removes the cookie.
    /// - It is never undone: not by [`discard`](Self::discard), and not by a
    ///   [`transaction`](Self::transaction) that fails or runs again.
    /// - A write after it begins a new session.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Unavailable`]: the store can't be reached. The session is as it was.
    /// - [`ErrorKind::Conflict`]: another task of this request awaits a commit. The session is as it was.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// # session.set("a", 1)?;
    /// # let cookie = session.commit()?.secret().unwrap().expose();
    /// let session = sessions.open(Some(&cookie));
    /// session.logout()?;
    /// assert!(session.commit()?.removes_cookie());
    /// assert_eq!(sessions.open(Some(&cookie)).get("a")?, None);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    #[doc(alias = "destroy")]
    #[doc(alias = "flush")]
    #[doc(alias = "sign out")]
    pub fn logout(&self) -> Result<(), Error> {
        let Some(shared) = self.shared() else {
            return Ok(());
        };
        self.lock().end(shared)
    }

    /// Returns the live sessions of this session's user, including this session. Empty if no user is
    /// signed in.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Unavailable`]: the store can't be reached.
    /// - [`ErrorKind::Corrupt`]: the record of this session is damaged.
    pub fn user_sessions(&self) -> Result<Vec<SessionInfo>, Error> {
        match (self.shared(), self.user()?) {
            (Some(shared), Some(user)) => shared.user_sessions(&user),
            _ => Ok(Vec::new()),
        }
    }

    /// Ends all other sessions of this session's user at once, and returns how many (ASVS 5.0, 7.4.3).
    ///
    /// A session that was ended meanwhile ends no other: its slow request returns 0.
    ///
    /// # Errors
    ///
    /// Some of the sessions may be ended; the call can be repeated.
    ///
    /// - [`ErrorKind::Unavailable`]: the store can't be reached.
    /// - [`ErrorKind::Corrupt`]: the record of this session is damaged.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let phone = sessions.open(None);
    /// phone.login("alice")?;
    /// phone.commit()?;
    /// let laptop = sessions.open(None);
    /// laptop.login("alice")?;
    /// laptop.commit()?;
    /// assert_eq!(laptop.revoke_others()?, 1);
    /// assert_eq!(sessions.user_sessions("alice")?.len(), 1);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn revoke_others(&self) -> Result<usize, Error> {
        let id = self.id()?;
        let key = self.lock().key();
        match (self.shared(), self.user()?, id) {
            (Some(shared), Some(user), Some(id)) => shared.revoke(&user, Revoke::Others(id), key),
            _ => Ok(0),
        }
    }
}

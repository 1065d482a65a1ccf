//! Whose session it is: the public handle, signing in and out, the sessions of a user.

use std::time::Duration;

use super::Session;
use crate::error::{Error, ErrorKind};
use crate::secret::SessionId;
use crate::store::{Revoke, SessionInfo};

/// Who signs in, for [`Session::login`]; made from a user name, or with [`new`](Self::new).
///
/// ```
/// use std::time::Duration;
/// use liquid_session::Login;
/// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
/// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
/// # let session = sessions.open(None);
/// session.login("ann")?;
/// session.login(Login::new("ann").timeout(Duration::from_secs(15 * 60)))?;
/// session.commit()?;
/// let listed = &sessions.user_sessions("ann")?[0];
/// assert_eq!(listed.deadline - listed.last_used, Duration::from_secs(15 * 60));
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Login {
    user: Box<str>,
    idle_timeout: Option<Duration>,
}

impl Login {
    /// Signs in this user, with the idle timeout of the settings.
    pub fn new(user: impl Into<String>) -> Self {
        Self {
            user: user.into().into(),
            idle_timeout: None,
        }
    }

    /// Gives the session an idle timeout of its own.
    #[must_use]
    pub fn timeout(mut self, idle: Duration) -> Self {
        self.idle_timeout = Some(idle);
        self
    }
}

impl<U: Into<String>> From<U> for Login {
    fn from(user: U) -> Self {
        Self::new(user)
    }
}

impl Session {
    /// The public handle; `None` until something is stored.
    ///
    /// # Errors
    ///
    /// What the store says when it can't be reached.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// assert_eq!(session.id()?, None);
    /// session.set("a", 1)?;
    /// assert!(session.id()?.is_some());
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn id(&self) -> Result<Option<SessionId>, Error> {
        let mut state = self.lock();
        state.open(self.shared())?;
        Ok(state.id())
    }

    /// Who is signed in, if anybody.
    ///
    /// # Errors
    ///
    /// What the store says when it can't be reached.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// session.login("alice")?;
    /// assert_eq!(session.user()?.as_deref(), Some("alice"));
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn user(&self) -> Result<Option<String>, Error> {
        let mut state = self.lock();
        state.open(self.shared())?;
        let staged = state.login.as_ref().map(|login| &*login.0);
        let user = staged.or_else(|| state.record().and_then(|record| record.user()));
        Ok(user.map(str::to_owned))
    }

    /// Gives the session a new secret at the commit: same data, same creation time, and the old
    /// secret is dead. For changes of privilege (ASVS 5.0, 7.2.4).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`] where there is none.
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
    pub fn renew(&self) -> Result<(), Error> {
        self.change(|state, _| {
            state.renew = true;
            Ok(())
        })
    }

    /// Signs a user in at the commit: binds the session to them and [renews](Self::renew) it.
    ///
    /// What the visitor had before stays, unless it belonged to another user, be it one whom this very
    /// request signed in: then the session is emptied first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`] where there is none, and what the store says when it can't be
    /// reached.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let session = sessions.open(None);
    /// session.login("alice")?;
    /// assert!(session.commit()?.secret().is_some());
    /// assert_eq!(sessions.user_sessions("alice")?.len(), 1);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn login(&self, login: impl Into<Login>) -> Result<(), Error> {
        let Login { user, idle_timeout } = login.into();
        if idle_timeout.is_some_and(|timeout| timeout.as_millis() == 0) {
            return Err(Error::new(
                ErrorKind::Config,
                "an idle timeout must be at least a millisecond, found zero",
            ));
        }
        self.sign_in(&user, idle_timeout)
    }

    fn sign_in(&self, user: &str, idle_timeout: Option<Duration>) -> Result<(), Error> {
        self.change(|state, _| {
            let staged = state.login.as_ref().map(|login| &*login.0);
            let bound_to = staged.or_else(|| state.record().and_then(|record| record.user()));
            let mut idle_timeout = idle_timeout;
            if bound_to.is_some_and(|bound| bound != user) {
                // Not only what this request has seen: another one of the former user may write.
                state.overlay.clear_all();
                // Nor is the former user's idle timeout this one's.
                idle_timeout = idle_timeout.or(self.shared().map(|shared| shared.config.timeout()));
            }
            state.login = Some(Box::new((user.into(), idle_timeout)));
            Ok(())
        })
    }

    /// Ends the session at once: the record is gone from the store when this returns, and no slower
    /// request brings it back. The commit then removes the cookie.
    ///
    /// What is written afterwards begins a new session.
    ///
    /// # Errors
    ///
    /// What the store says when it can't be reached; the session is then as it was.
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
    pub fn logout(&self) -> Result<(), Error> {
        let Some(shared) = self.shared() else {
            return Ok(());
        };
        self.lock().end(shared)
    }

    /// The sessions of the user of this session, this one among them.
    ///
    /// # Errors
    ///
    /// What the store says when it can't be reached.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// assert!(session.user_sessions()?.is_empty(), "nobody is signed in");
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn user_sessions(&self) -> Result<Vec<SessionInfo>, Error> {
        match (self.shared(), self.user()?) {
            (Some(shared), Some(user)) => shared.store.user_sessions(&user, shared.now()),
            _ => Ok(Vec::new()),
        }
    }

    /// Ends all other sessions of this session's user, at once, and says how many (ASVS 5.0, 7.4.3).
    ///
    /// # Errors
    ///
    /// What the store says when it can't be reached.
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
        match (self.shared(), self.user()?, id) {
            (Some(shared), Some(user), Some(id)) => {
                let count = shared
                    .store
                    .revoke(&user, Revoke::Others(id), shared.now())?;
                if count > 0 {
                    shared.tally.revoked(count);
                }
                Ok(count)
            }
            _ => Ok(0),
        }
    }
}

//! Whose session it is: the public handle, signing in and out, the sessions of a user.

use std::time::Duration;

use super::Session;
use crate::error::{Error, ErrorKind};
use crate::record::Owner;
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
pub struct Login(Owner);

impl Login {
    /// Signs in this user, with the idle timeout of the settings.
    pub fn new(user: impl Into<String>) -> Self {
        Self(Owner {
            user: user.into().into(),
            idle_timeout: None,
            label: Box::default(),
            persistent: false,
        })
    }

    /// Calls the session something in the list of the user's sessions, such as `Firefox on Linux`: at
    /// most 128 bytes.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.0.label = label.into().into();
        self
    }

    /// Gives the session an idle timeout of its own.
    #[must_use]
    pub fn timeout(mut self, idle: Duration) -> Self {
        self.0.idle_timeout = Some(idle);
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
        Ok(state.user().map(str::to_owned))
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
                // Signing in again keeps the idle timeout of the session.
                Some(_) if owner.idle_timeout.is_none() => {
                    owner.idle_timeout = state.idle_timeout();
                }
                _ => {}
            }
            state.login = Some(Box::new(owner));
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
            (Some(shared), Some(user)) => shared.user_sessions(&user),
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
        let key = self.lock().key();
        match (self.shared(), self.user()?, id) {
            (Some(shared), Some(user), Some(id)) => shared.revoke(&user, Revoke::Others(id), key),
            _ => Ok(0),
        }
    }
}

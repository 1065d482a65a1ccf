//! The session of one request.

mod data;
mod identity;
mod key;
mod outcome;
mod overlay;
pub(crate) mod shared;
mod state;
mod transaction;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

pub use identity::Login;
pub(crate) use key::check_key;
pub use outcome::{Outcome, Status};
use overlay::Overlay;
use state::{Attempt, Base, Credential, State};

use crate::error::{Error, ErrorKind};
use crate::secret::Secret;
use shared::Shared;

/// The session of one request: the record as it was loaded, and what this request did.
///
/// - **Lazy.** Opening asks no store; the first read or write loads the record, once.
/// - **Live.** What was written is read at once, by Rust and by templates.
/// - **One commit.** [`commit`](Self::commit) sends what the request did, and the store merges it
///   into the record as it is by then. Nothing else is stored before, but for [`logout`](Self::logout)
///   and [`take`](Self::take), which happen at once.
///
/// Clones are the same session. A handle is for one request: open a new one for the next.
///
/// # Example
///
/// ```
/// use liquid_session::{MemoryStore, SessionConfig, Sessions};
///
/// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
/// let session = sessions.open(None);
/// session.set("cart", vec!["apple", "pear"])?;
/// session.increment("visits", 1)?;
/// assert_eq!(session.get_as::<Vec<String>>("cart")?.unwrap(), ["apple", "pear"]);
///
/// let outcome = session.commit()?;
/// assert!(outcome.secret().is_some(), "a new session needs a cookie");
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    shared: Option<Arc<Shared>>,
    state: Mutex<State>,
}

impl Session {
    pub(crate) fn open(shared: Arc<Shared>, secret: Option<Secret>) -> Self {
        let credential = secret.map_or(Credential::None, Credential::Secret);
        Self::with(Some(shared), Base::Unopened(credential))
    }

    fn with(shared: Option<Arc<Shared>>, base: Base) -> Self {
        Self(Arc::new(Inner {
            shared,
            state: Mutex::new(State::new(base)),
        }))
    }

    /// A handle where there is no session, such as a background job.
    ///
    /// `context.session` is nil there, reads find nothing, and a write fails with the reason.
    ///
    /// ```
    /// use liquid_session::Session;
    ///
    /// let session = Session::disabled("a background job has none");
    /// assert_eq!(session.get("cart")?, None);
    /// assert_eq!(
    ///     session.set("cart", 1).unwrap_err().to_string(),
    ///     "there is no session here: a background job has none",
    /// );
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn disabled(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::with(None, Base::Off(reason.into()))
    }

    /// Opens the session only for this user: if it belongs to another user, the visitor gets an
    /// empty one. For hosts that learn elsewhere who is signed in. Call it before the first write.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] if the request has changed the session already.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let session = sessions.open(None);
    /// session.set("color", "dark")?;
    /// session.login("alice")?;
    /// let cookie = session.commit()?.secret().unwrap().expose();
    ///
    /// let session = sessions.open(Some(&cookie));
    /// session.only_for("bob")?;
    /// assert_eq!(session.get("color")?, None);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn only_for(&self, user: &str) -> Result<(), Error> {
        let mut state = self.lock();
        if state.has_changes() {
            return Err(Error::new(
                ErrorKind::Conflict,
                "expected no change before the session is limited to a user, found some: call `only_for` first",
            ));
        }
        state.visitor = Some(user.into());
        // What an earlier reader saw may belong to another user.
        state.unload();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }

    fn shared(&self) -> Option<&Shared> {
        self.0.shared.as_deref()
    }

    /// Whether there is a session at hand, also an empty one.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, Session, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// assert!(sessions.open(None).is_enabled());
    /// assert!(!Session::disabled("no cookies here").is_enabled());
    /// ```
    pub fn is_enabled(&self) -> bool {
        self.0.shared.is_some()
    }

    /// Whether anything of the session was read or written: the answer depends on the cookie, and
    /// wants `Vary: Cookie`.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// assert!(!session.is_accessed());
    /// session.get("a")?;
    /// assert!(session.is_accessed());
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn is_accessed(&self) -> bool {
        self.lock().accessed
    }

    /// Whether there is something to commit.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// assert!(!session.has_changes());
    /// session.set("a", 1)?;
    /// assert!(session.has_changes());
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn has_changes(&self) -> bool {
        self.lock().has_changes()
    }

    /// Drops what this request wrote and staged, and a failure of the store with it. For after a
    /// failed `template.render`, which the handle can't see.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions, Status};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// session.set("a", 1)?;
    /// session.discard();
    /// assert_eq!(session.commit()?.status(), Status::Unchanged);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn discard(&self) {
        self.lock().forget_changes();
    }

    /// Stores what this request did, and says what the cookie needs.
    ///
    /// - Nothing done: no store call, but for a use that is due to be recorded.
    /// - The session is there: the changes are merged into it as it is now. On the same key the later
    ///   commit wins.
    /// - It was there and is gone, signed out elsewhere or expired: nothing is stored and nothing
    ///   comes back to life; the status is [`Gone`](Status::Gone).
    /// - It never was: a new session under a new secret.
    ///
    /// The handle then stands at the stored session, and the next read loads it again.
    ///
    /// # Errors
    ///
    /// Nothing is stored, and the handle answers with the same error until [`discard`](Self::discard).
    ///
    /// - [`Limit`](crate::ErrorKind::Limit), [`Value`](crate::ErrorKind::Value): the merged session would
    ///   break a rule.
    /// - What the store says, now or when it was first read.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions, Status};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// session.set("a", 1)?;
    /// let outcome = session.commit()?;
    /// assert_eq!(outcome.status(), Status::Created);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn commit(&self) -> Result<Outcome, Error> {
        match self.lock().commit(self.shared())? {
            Attempt::Done(outcome) => Ok(outcome),
            Attempt::Conflict => Err(transaction::conflict()),
        }
    }

    /// What the cookie needs after all commits of this request, if anything; each answer is handed
    /// out once. For a middleware that sends the cookie, whoever committed: the handler in a
    /// [`transaction`](Self::transaction), or the middleware itself.
    ///
    /// ```
    /// # use liquid_session::{Error, MemoryStore, SessionConfig, Sessions, Status};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// // The handler has its own commit, and does not look at the outcome.
    /// session.transaction(|session| session.increment("visits", 1))?;
    ///
    /// // The middleware has nothing left to commit, and a cookie to send.
    /// assert_eq!(session.commit()?.status(), Status::Unchanged);
    /// assert!(session.unsent().and_then(|outcome| outcome.secret().cloned()).is_some());
    /// assert!(session.unsent().is_none());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn unsent(&self) -> Option<Outcome> {
        self.lock().unsent.take().map(|outcome| *outcome)
    }

    /// Whether reads and the commit may wait for a disk or a network, so that async code moves them
    /// to a blocking thread; see [`SessionStore::may_block`](crate::store::SessionStore::may_block).
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// assert!(!sessions.open(None).may_block(), "memory never waits");
    /// ```
    pub fn may_block(&self) -> bool {
        self.shared().is_some_and(|shared| shared.store.may_block())
    }

    /// The failure of the store that a template ran into, if any.
    pub(crate) fn failure(&self) -> Option<Error> {
        match &self.lock().base {
            Base::Failed(_, error) => Some(error.clone()),
            _ => None,
        }
    }

    /// What the request wrote so far, to come back to.
    pub(crate) fn savepoint(&self) -> Savepoint {
        let state = self.lock();
        let written = state.overlay.has_changes();
        Savepoint(written.then(|| state.overlay.clone()))
    }

    /// Takes back what was written since.
    pub(crate) fn roll_back(&self, savepoint: Savepoint) {
        self.lock().restore(savepoint.0.unwrap_or_default());
    }
}

/// Nothing, if nothing was written: most pages begin so.
pub(crate) struct Savepoint(Option<Overlay>);

/// Without keys, values and the secret: it may end in a log.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("on", &self.is_enabled())
            .finish_non_exhaustive()
    }
}

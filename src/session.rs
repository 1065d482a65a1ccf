//! The session of one request.

mod commit;
mod data;
mod identity;
mod key;
mod outcome;
mod pending;
pub(crate) mod queue;
pub(crate) mod shared;
mod state;
mod transaction;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use commit::Attempt;
pub use identity::Login;
pub(crate) use key::check_key;
pub use outcome::{Outcome, Status};
pub(crate) use state::Savepoint;
pub(crate) use state::Credential;
use state::{Base, State};

use crate::error::{Error, ErrorKind};
use crate::limits::read_budget;
use shared::Shared;

/// The session of one request: the record as it was loaded, and what this request did.
///
/// - **Lazy.** Opening asks no store; the first read or write loads the record, once.
/// - **Live.** What was written is read at once, by Rust and by templates.
/// - **One commit.** [`commit`](Self::commit) sends what the request did, and the store merges it
///   into the record as it is by then. Nothing else is stored before, except by [`logout`](Self::logout)
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
    /// Held while a transaction runs.
    transactions: Mutex<()>,
}

impl Session {
    pub(crate) fn open(shared: Arc<Shared>, credential: Credential) -> Self {
        Self::with(Some(shared), Base::Unopened(credential))
    }

    fn with(shared: Option<Arc<Shared>>, base: Base) -> Self {
        Self(Arc::new(Inner {
            shared,
            state: Mutex::new(State::new(base)),
            transactions: Mutex::new(()),
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
        Self::with(None, Base::Disabled(reason.into()))
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
        let mut state = self.lock();
        if state.transaction.is_some() {
            return Err(transaction::unfinished());
        }
        match state.commit(self.shared())? {
            Attempt::Done(outcome) => Ok(outcome),
            Attempt::Conflict => Err(state.fail(transaction::conflict())),
        }
    }

    /// Ends the request: commits what it did or, if its answer is a failure, drops it. Returns what
    /// the answer has to say about the cookie, whoever committed: this call, or a
    /// [`transaction`](Self::transaction) before it. For the code between sessions and a web
    /// framework; writes that follow fail, because the answer is on its way.
    ///
    /// A session that is damaged in the store is ended, and the cookie goes: the visitor's next
    /// request works.
    ///
    /// ```
    /// # use liquid_session::{Answer, Error, MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let session = sessions.open(None);
    /// session.transaction(|session| session.increment("visits", 1))?;
    ///
    /// let finished = session.finish(Answer::Good);
    /// assert!(finished.error.is_none());
    /// assert!(finished.cookie.is_some(), "the transaction began a session");
    /// assert!(session.set("late", 1).is_err());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn finish(&self, answer: Answer) -> Finished {
        // A transaction that was given up may still run on another thread. It commits nothing, and
        // neither must this.
        let _transaction = self.wait_for_transactions();
        let mut state = self.lock();
        if state.transaction.is_some() {
            // The transaction goes on, with everything that it did.
            return Finished {
                cookie: None,
                error: Some(transaction::unfinished()),
            };
        }
        let mut error = None;
        if answer == Answer::Good {
            error = state
                .commit(self.shared())
                .map_or_else(Some, |attempt| match attempt {
                    Attempt::Done(_) => None,
                    Attempt::Conflict => Some(transaction::conflict()),
                });
        }
        if answer == Answer::Failed || error.is_some() {
            if let Some(shared) = self.shared() {
                state.end_damaged(shared);
            }
            state.forget_changes();
            // Nothing is left to store; a logout's cookie may be left to remove.
            let _ = state.commit(self.shared());
        }
        state.finished = true;
        Finished {
            cookie: state.unsent.take().map(|outcome| *outcome),
            error,
        }
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

    /// Whether [`finish`](Self::finish) will ask the store.
    #[cfg(feature = "tower")]
    pub(crate) fn needs_store(&self) -> bool {
        self.shared()
            .is_some_and(|shared| self.lock().needs_store(shared))
    }

    /// How many bytes of values one render may read.
    pub(crate) fn read_budget(&self) -> usize {
        read_budget(self.shared().map(|shared| shared.config.limits()).unwrap_or_default())
    }

    /// The failure that a read of a template met.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.lock().failure().cloned()
    }

    /// What the request has staged, to return to.
    pub(crate) fn savepoint(&self) -> Savepoint {
        self.lock().savepoint()
    }

    /// Takes back what was staged since. What can't be applied to the current record any more is
    /// dropped: it could not be committed either.
    pub(crate) fn roll_back(&self, savepoint: &Savepoint) {
        let limits = self.shared().map(|shared| shared.config.limits());
        let _ = self.lock().restore(savepoint, limits.unwrap_or_default());
    }
}

/// Whether the answer to a request is worth its changes, for [`Session::finish`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The request succeeded.
    Good,
    /// The request failed: HTTP's 500 and above, or a page that could not be rendered.
    Failed,
}

/// The result of [`Session::finish`].
#[derive(Debug)]
#[must_use = "the cookie that it may hold has to be sent"]
pub struct Finished {
    /// What the answer has to say about the cookie, for [`Sessions::set_cookie`](crate::Sessions::set_cookie).
    pub cookie: Option<Outcome>,
    /// Why nothing was stored. The answer should be an error then.
    pub error: Option<Error>,
}

/// Without keys, values and the secret: it may end in a log.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("on", &self.is_enabled())
            .finish_non_exhaustive()
    }
}

//! The session of one request.

mod activity;
mod commit;
mod data;
mod deadline;
mod identity;
mod key;
mod load;
mod outcome;
mod pending;
pub(crate) mod queue;
pub(crate) mod shared;
mod state;
mod transaction;
mod way;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

pub use activity::Activity;
use commit::Attempt;
pub use identity::Login;
pub(crate) use key::check_key;
pub use outcome::{Outcome, Status};
pub(crate) use state::Credential;
pub(crate) use state::Savepoint;
use state::{Base, State};

use crate::error::{Error, ErrorKind};
use crate::limits::read_budget;
#[cfg(feature = "tower")]
use crate::store::AsyncStore;
use crate::store::ready;
use shared::Shared;
use way::{Access, Way};

/// The session of one request: the record as it was loaded, and the pending changes.
///
/// - **Lazy.** Opening calls no store. The first read or write loads the record, once.
/// - **Live.** A write is visible to the next read, in Rust and in templates.
/// - **One commit.** [`commit`](Self::commit) sends the pending changes, and they are merged into the
///   current record. Before that nothing is stored, except by [`logout`](Self::logout) and
///   [`take`](Self::take), which act at once.
/// - **For one request.** Clones share one state. Each request opens its own session.
///
/// # Integrating a web framework
///
/// [`finish`](Self::finish) ends the request: it commits or discards, and returns the cookie to send.
/// After that, writes are errors.
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
    pub(crate) fn open(shared: Arc<Shared>, credential: Credential) -> Self {
        Self::with(Some(shared), Base::Unopened(credential))
    }

    fn with(shared: Option<Arc<Shared>>, base: Base) -> Self {
        Self(Arc::new(Inner {
            shared,
            state: Mutex::new(State::new(base)),
        }))
    }

    /// Creates a session for a place that has none, such as a background job.
    ///
    /// In templates `context.session` is nil. Reads find nothing, and writes fail with the reason.
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

    /// Limits the session to one user, for hosts that learn elsewhere who is signed in. If the session
    /// belongs to another user, the visitor has an empty one.
    ///
    /// - Call it before the first write.
    /// - A session without a user opens for every visitor who has its secret.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Conflict`]: the request has changed the session already.
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

    /// Returns whether this request can have a session, also an empty one: `false` only for a
    /// [disabled](Self::disabled) session.
    pub fn is_enabled(&self) -> bool {
        self.0.shared.is_some()
    }

    /// Returns whether the request has read or written the session. The answer then depends on the
    /// cookie, and needs `Vary: Cookie`.
    pub fn is_accessed(&self) -> bool {
        self.lock().accessed
    }

    /// Returns whether there are pending changes, a renewal or a login to commit.
    pub fn has_changes(&self) -> bool {
        self.lock().has_changes()
    }

    /// Drops the pending changes, the renewal and the login of this request, and an earlier failure
    /// of the store. Call it after a failed `template.render`, which the session can't see.
    ///
    /// A [`logout`](Self::logout) is not undone.
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
    #[doc(alias = "rollback")]
    pub fn discard(&self) {
        self.lock().forget_changes();
    }

    /// Stores what this request did, and returns what the cookie needs.
    ///
    /// | the session | result |
    /// |---|---|
    /// | without changes | no store call, except a touch that is due; [`Unchanged`](Status::Unchanged) |
    /// | exists | the changes are merged into the current record, and on the same key the later commit wins; [`Changed`](Status::Changed) |
    /// | existed at the load, and has ended since | nothing is stored and no session comes back to life; [`Gone`](Status::Gone) |
    /// | never existed | a new session begins under a new secret; [`Created`](Status::Created) |
    /// | was ended by this request | nothing is stored, and the cookie is to be removed; [`Ended`](Status::Ended) |
    ///
    /// The next read after a commit loads the session again.
    ///
    /// Programs without HTTP call `commit`; integrations call [`finish`](Self::finish).
    ///
    /// # Errors
    ///
    /// Nothing is stored, except that an [`Unconfirmed`](crate::ErrorKind::Unconfirmed) change may be.
    /// The session answers with the same error until [`discard`](Self::discard).
    ///
    /// - [`ErrorKind::Limit`]: the merged session would exceed a limit.
    /// - [`ErrorKind::Value`]: an increment or an append met a value of another type, or the number
    ///   would leave `i64`.
    /// - [`ErrorKind::Conflict`]: called inside a [`transaction`](Self::transaction), which commits by
    ///   itself; or other requests kept changing the session for ten seconds; or another task of this
    ///   request awaits a commit.
    /// - [`ErrorKind::Unavailable`], [`ErrorKind::Full`]: the store can't be reached, or has no room.
    /// - [`ErrorKind::Corrupt`]: a read of this request met a damaged record or value.
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

    /// Ends the request: commits its changes or, if its answer is a failure, drops them. For the code
    /// that integrates a web framework.
    ///
    /// - The returned cookie is the one to send, also if a [`transaction`](Self::transaction) or a
    ///   [`commit`](Self::commit) of the handler made it.
    /// - If the commit fails, nothing is stored, and the error is returned. The answer should then be
    ///   an error, with the cookie if there is one.
    /// - A session that is damaged in the store is ended, and its cookie is removed: the visitor's next
    ///   request works.
    /// - A transaction of this request that still runs on another thread, because it was given up, is
    ///   waited for. Inside the closure of a transaction, and while `render_page` is awaited in another
    ///   task, the error is [`ErrorKind::Conflict`], and nothing is stored.
    /// - Writes that follow fail, because the response has been sent.
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
        ready(self.finish_by(Way::Blocking, answer))
    }

    /// Ends the request as [`finish`](Self::finish) does, without blocking the thread if the store has
    /// an [async face](crate::store::SessionStore::as_async). With another store it is `finish`.
    ///
    /// A `render_page` of this request that another task awaits is waited for.
    ///
    /// If the future is dropped, a commit that has not begun is not done.
    #[cfg(feature = "tower")]
    pub async fn finish_async(&self, answer: Answer) -> Finished {
        let way = self.async_store().map_or(Way::Blocking, Way::Async);
        self.finish_by(way, answer).await
    }

    async fn finish_by(&self, way: Way<'_>, answer: Answer) -> Finished {
        // A transaction that was given up may still run on another thread. It commits nothing, and
        // neither must this. From here on no clone writes.
        let idle = self.idle(way, |state| state.finished = true).await;
        if idle.is_none() {
            // The transaction goes on, with everything that it did.
            return Finished {
                cookie: None,
                error: Some(transaction::unfinished()),
            };
        }
        match way {
            Way::Blocking => {
                let mut state = self.lock();
                ready(commit::finish(
                    &mut Access::Held(&mut state),
                    answer,
                    self.shared(),
                ))
            }
            Way::Async(store) => {
                commit::finish(&mut Access::Free(self, store), answer, self.shared()).await
            }
        }
    }

    /// Returns the async face of the store.
    #[cfg(feature = "tower")]
    pub(crate) fn async_store(&self) -> Option<&dyn AsyncStore> {
        self.shared()?.store.as_async()
    }

    /// Loads the session if it is not loaded yet, without blocking the thread.
    #[cfg(feature = "tower")]
    pub(crate) async fn load_async(&self, store: &dyn AsyncStore) -> Result<(), Error> {
        self.load_by(Way::Async(store)).await
    }

    /// Loads the session if it is not loaded yet, with a blocking call.
    #[cfg(feature = "tower")]
    pub(crate) fn load_blocking(&self) -> Result<(), Error> {
        self.lock().open(self.shared())
    }

    /// Whether a touch will ask the store.
    #[cfg(feature = "tower")]
    pub(crate) fn needs_load(&self) -> bool {
        matches!(self.lock().base, Base::Unopened(_))
    }

    /// Returns whether reads and the commit may wait for a disk or a network, so that async code should
    /// move them to a blocking thread; see
    /// [`SessionStore::may_block`](crate::store::SessionStore::may_block).
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
        read_budget(
            self.shared()
                .map(|shared| shared.config.limits())
                .unwrap_or_default(),
        )
    }

    /// Returns the failure of an earlier read.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.lock().failure().cloned()
    }

    /// Returns the pending changes, for [`roll_back`](Self::roll_back).
    pub(crate) fn savepoint(&self) -> Savepoint {
        self.lock().savepoint()
    }

    /// Restores the pending changes of a savepoint. Those that the current record refuses are dropped:
    /// they could not be committed either.
    pub(crate) fn roll_back(&self, savepoint: &Savepoint) {
        let limits = self.shared().map(|shared| shared.config.limits());
        let _ = self.lock().restore(savepoint, limits.unwrap_or_default());
    }
}

/// Whether a request succeeded, for [`Session::finish`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The request succeeded: its changes are committed.
    Good,
    /// The request failed, with a status of 500 and above or a page that can't be rendered: its changes
    /// are dropped.
    Failed,
}

/// The result of [`Session::finish`].
#[derive(Debug)]
#[must_use = "the cookie that it may hold has to be sent"]
pub struct Finished {
    /// The cookie to send or to remove, for `Sessions::set_cookies` (feature `cookie`).
    pub cookie: Option<Outcome>,
    /// Why the changes were not stored. The answer should then be an error.
    pub error: Option<Error>,
}

/// Shows no key, value or secret: the text may end in a log.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("enabled", &self.is_enabled())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::{MemoryStore, SessionConfig, Sessions};

    #[test]
    fn what_was_committed_is_not_staged_again_by_a_render_that_fails() {
        let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
        let session = sessions.open(None);
        session.increment("n", 1).unwrap();
        let before = session.savepoint();
        let _ = session.commit().unwrap();
        session.set("rendered", 1).unwrap();
        session.roll_back(&before);
        assert!(!session.has_changes());
    }
}

//! Where sessions are kept: the trait, what passes through it, and the stores of this crate.

#[cfg(all(fuzzing, feature = "redb", feature = "redis"))]
#[doc(hidden)]
pub mod fuzzing;
mod memory;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "redis")]
mod redis;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "redb")]
pub use self::redb::RedbStore;
#[cfg(feature = "redis")]
pub use self::redis::{RedisStore, RedisStoreBuilder};
pub use memory::MemoryStore;

use crate::clock::Timestamp;
use crate::error::Error;
pub use crate::record::{Applied, Change, Op, Record, RecordParts};
use crate::secret::SessionId;
pub use crate::secret::StoreKey;
pub use crate::value::StoredValue;
use crate::value::Value;

/// What became of a change that a store was asked to commit.
///
/// ```
/// use liquid_session::store::Committed;
///
/// fn must_run_again(committed: &Committed) -> bool {
///     matches!(committed, Committed::Conflict)
/// }
/// assert!(!must_run_again(&Committed::Gone));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Committed {
    /// It is stored.
    Stored {
        /// What [`Op::Take`] found, by key.
        taken: Vec<(String, Value)>,
        /// The record's [version](Record::version) with the change in it. By it the handle counts
        /// [merges](crate::Counters::merges).
        version: u64,
    },
    /// There is no such session any more: nothing is stored.
    Gone,
    /// What a transaction had read has changed since: nothing is stored.
    Conflict,
}

/// Which sessions of a user to end.
///
/// ```
/// use liquid_session::store::{MemoryStore, Revoke};
/// use liquid_session::{SessionConfig, Sessions};
///
/// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
/// let session = sessions.open(None);
/// session.login("u1")?;
/// session.commit()?;
/// assert_eq!(sessions.revoke("u1", Revoke::All)?, 1);
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoke {
    /// All of them.
    All,
    /// All but this one.
    Others(SessionId),
    /// Only this one.
    One(SessionId),
}

impl Revoke {
    /// Whether this session is meant.
    ///
    /// ```
    /// # use liquid_session::{SessionId, store::Revoke};
    /// let (this, other) = (SessionId::from_bytes([1; 16]), SessionId::from_bytes([2; 16]));
    /// assert!(Revoke::Others(this).means(other));
    /// assert!(!Revoke::Others(this).means(this));
    /// ```
    pub fn means(&self, id: SessionId) -> bool {
        match self {
            Self::All => true,
            Self::Others(kept) => *kept != id,
            Self::One(ended) => *ended == id,
        }
    }
}

/// One line in the list of a user's sessions.
///
/// ```
/// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
/// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
/// # let session = sessions.open(None);
/// session.login("u1")?;
/// session.commit()?;
/// let list = sessions.user_sessions("u1")?;
/// assert_eq!(list.len(), 1);
/// assert!(list[0].created <= list[0].last_used);
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The public handle.
    pub id: SessionId,
    /// When the session came into being.
    pub created: Timestamp,
    /// The last recorded use.
    pub last_used: Timestamp,
    /// When it ends if it is not used again.
    pub deadline: Timestamp,
}

impl From<&Record> for SessionInfo {
    fn from(record: &Record) -> Self {
        Self {
            id: record.id(),
            created: record.created(),
            last_used: record.last_used(),
            deadline: record.deadline(),
        }
    }
}

/// Keeps sessions.
///
/// A store keeps three promises, and the acceptance suite in the module `testing` (behind the
/// feature of that name) checks each:
///
/// - **Merge.** [`commit`](Self::commit) applies a change to the record as it is at that moment, in
///   one atomic step with everything that hangs on it: deadline, user index, key.
/// - **No revival.** Only a change that [`creates`](Change::creates) may bring a record into being;
///   every other one finds the record or answers [`Committed::Gone`].
/// - **Exact end.** A record whose deadline has come is never handed out and never changed.
///
/// Calls are synchronous, because rendering is. Whoever calls from async code moves them to a
/// blocking thread when [`blocks`](Self::may_block) says so.
///
/// # Errors
///
/// Every method answers with an [`Error`] whose text names no address, key or value, and keeps the
/// cause as its source: kind [`Unavailable`](crate::ErrorKind::Unavailable) when the store can't be
/// reached, [`Full`](crate::ErrorKind::Full) when it has no room,
/// [`Corrupt`](crate::ErrorKind::Corrupt) when it can't read what it holds.
///
/// # Example
///
/// A whole store of one's own, with the suite, is in `examples/custom_store.rs`.
///
/// ```
/// use liquid_session::clock::{Clock, SystemClock};
/// use liquid_session::store::{MemoryStore, SessionStore, StoreKey};
///
/// let store = MemoryStore::new();
/// let nobody = StoreKey::from_bytes([0; 32]);
/// assert!(store.load(&nobody, SystemClock.now())?.is_none());
/// # Ok::<(), liquid_session::Error>(())
/// ```
pub trait SessionStore: Send + Sync + 'static {
    /// The record under a key, if there is one that has not expired.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Option<Arc<Record>>, Error>;

    /// Applies a change to the record as it is now, or creates it if the change
    /// [`creates`](Change::creates) one. All or nothing.
    ///
    /// When the change [renews](Change::renew_to), the record moves to the new key in the same step,
    /// and the old key is gone.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn commit(&self, key: &StoreKey, change: &Change, now: Timestamp) -> Result<Committed, Error>;

    /// Records a use: moves the last use to `now`, never back, and writes no data. `false` if there
    /// is no such session.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn touch(&self, key: &StoreKey, now: Timestamp) -> Result<bool, Error>;

    /// Ends a session. `false` if there is no such session.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn destroy(&self, key: &StoreKey) -> Result<bool, Error>;

    /// The sessions of a user that have not expired, in any order.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn user_sessions(&self, user: &str, now: Timestamp) -> Result<Vec<SessionInfo>, Error>;

    /// Ends sessions of a user, and says how many.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn revoke(&self, user: &str, which: Revoke, now: Timestamp) -> Result<usize, Error>;

    /// Removes at most `max` expired records, the longest expired first, and says how many.
    ///
    /// Other calls wait for no more than a small part of the work.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn sweep(&self, now: Timestamp, max: usize) -> Result<usize, Error>;

    /// Shows every record that has not expired, in any order, until `visit` says `false`. For
    /// operators; it reads everything.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn scan(
        &self,
        now: Timestamp,
        visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
    ) -> Result<(), Error>;

    /// Whether calls may wait for a disk or a network. Async code then calls from a blocking thread.
    fn may_block(&self) -> bool {
        true
    }

    /// Asks for the lease of a session, under which transactions of *other processes* queue.
    ///
    /// The handle queues the threads of its own process by itself, so a store that no other process
    /// shares keeps this default, which grants at once. Exactness never rests on a lease: it only
    /// saves attempts. `None` means that somebody else has it for now.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn lease(&self, _key: &StoreKey, _for_at_most: Duration) -> Result<Option<Lease>, Error> {
        Ok(Some(Lease::new(|| {})))
    }
}

/// A session's lease; dropping it gives it back.
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use liquid_session::store::Lease;
///
/// static GIVEN_BACK: AtomicBool = AtomicBool::new(false);
/// drop(Lease::new(|| GIVEN_BACK.store(true, Ordering::SeqCst)));
/// assert!(GIVEN_BACK.load(Ordering::SeqCst));
/// ```
pub struct Lease(Option<Box<dyn FnOnce() + Send>>);

impl Lease {
    /// A lease that is given back by calling this.
    ///
    /// ```
    /// # use liquid_session::store::Lease;
    /// let lease = Lease::new(|| println!("given back"));
    /// ```
    pub fn new(give_back: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(give_back)))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(give_back) = self.0.take() {
            give_back();
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lease(..)")
    }
}

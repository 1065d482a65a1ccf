//! Stores: the trait [`SessionStore`], its types, and the stores of this crate.
//!
//! A store loads records, and replaces a record only if it has not changed since (compare and swap).
//! [`Change::apply`] merges the changes of a request into a record, in one place for all stores.
//!
//! The guide's page [stores](crate::guide::stores) helps to choose one.

mod commit;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod driver;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "redis")]
mod redis;
pub(crate) mod users;

use std::pin::Pin;
use std::sync::Arc;

pub(crate) use commit::ready;
pub use memory::MemoryStore;

#[cfg(feature = "postgres")]
pub use self::postgres::{PostgresStore, PostgresStoreBuilder};
#[cfg(feature = "redb")]
pub use self::redb::RedbStore;
#[cfg(feature = "redis")]
pub use self::redis::{RedisStore, RedisStoreBuilder};
use crate::clock::Timestamp;
use crate::error::Error;
pub use crate::limits::Limits;
pub use crate::record::{Change, Forward, Lifetime, Op, Record, Touch};
use crate::secret::SessionId;
pub use crate::secret::StoreKey;
pub use crate::value::StoredValue;

/// What a store holds under a key: the answer to [`SessionStore::load`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// A session that is not expired.
    Found(Arc<Record>),
    /// A forward: the session has a new key since a renewal or a login. It opens nothing, and serves
    /// only a logout, a revocation, and a commit of a request that had loaded the session before.
    Moved(Forward),
    /// No record and no forward.
    Absent,
}

/// One atomic step on one key, for [`SessionStore::swap`].
///
/// `Replace`, `Move` and `Remove` expect the record with the [version](Record::version) of the one
/// that they name. A record of another version stays, and the answer is [`Swapped::Current`].
#[derive(Clone, Copy, Debug)]
pub enum Swap<'s> {
    /// Stores the first record of a key that holds nothing.
    Create(&'s Record),
    /// Replaces a record.
    Replace {
        /// The record that the other was made from.
        before: &'s Record,
        /// The record to store. If the stored one has a later use, that use is kept, with its
        /// deadline; see [`Record::with_later_use`].
        after: &'s Record,
    },
    /// Stores a record under the forward's key, and the forward under the old key.
    Move {
        /// The record under the old key.
        before: &'s Record,
        /// The record to store under the new key.
        after: &'s Record,
        /// The forward to leave under the old key.
        forward: Forward,
    },
    /// Removes a record, and those forwards to it that the store knows.
    Remove(&'s Record),
    /// Removes a record that can't be read, because it is damaged or of a newer form.
    RemoveUnreadable,
}

/// The answer to a [`Swap`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swapped {
    /// The step is done.
    Done,
    /// Nothing was done: the record has another version. This is the current record.
    Current(Arc<Record>),
    /// Nothing was done: the session has a new key.
    Moved(Forward),
    /// Nothing was done: the key holds no session.
    Gone,
}

/// What became of a [`Change`]: the answer to [`SessionStore::commit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// The change is stored.
    Stored {
        /// The present key of the session.
        key: StoreKey,
        /// Whether the record had another version than the one that the request had loaded.
        merged: bool,
    },
    /// Nothing is stored: the session has ended.
    Gone,
    /// Nothing is stored: a value that the change expects has changed.
    Conflict,
    /// Nothing is stored: other requests kept changing the record. The caller tries again.
    Busy,
}

/// A line of the index from users to sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IndexLine {
    /// The session ID.
    pub id: SessionId,
    /// The key of the session, or one that it had before a renewal.
    pub key: StoreKey,
}

/// Which sessions of a user to end, for [`Sessions::revoke`](crate::Sessions::revoke).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoke {
    /// All sessions.
    All,
    /// All sessions except one.
    Others(SessionId),
    /// One session.
    One(SessionId),
}

impl Revoke {
    pub(crate) fn includes(&self, id: SessionId) -> bool {
        match self {
            Self::All => true,
            Self::Others(kept) => *kept != id,
            Self::One(ended) => *ended == id,
        }
    }
}

/// One session in the list of a user's sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The session ID.
    pub id: SessionId,
    /// When the session began.
    pub created: Timestamp,
    /// The last recorded use.
    pub last_used: Timestamp,
    /// When the session ends if it is not used again.
    pub deadline: Timestamp,
    /// The label that its login gave to it; empty without one.
    pub label: String,
}

impl From<&Record> for SessionInfo {
    fn from(record: &Record) -> Self {
        Self {
            id: record.id(),
            created: record.created(),
            last_used: record.last_used(),
            deadline: record.deadline(),
            label: record.label().to_owned(),
        }
    }
}

/// Stores records, and replaces them by compare-and-swap.
///
/// A store keeps three promises. The acceptance suite in the module `testing` (feature of that name)
/// checks them.
///
/// - **Compare and swap.** [`swap`](Self::swap) replaces only the version that it expects, in one
///   atomic step.
/// - **No revival.** Only [`Swap::Create`] stores a record under a key without one, and only if the
///   key holds no forward either.
/// - **Exact end.** From its [deadline](Record::deadline) on, a record is never returned and never
///   replaced. A store knows no settings: the deadline is the recorded one.
///
/// A store also has an index from users to sessions. Every session with a user has a line in it, which
/// is added before the record is stored, or in one step with it. Lines may name sessions that have
/// ended.
///
/// The trait is synchronous, because rendering is. Async code awaits the store's
/// [async face](Self::as_async). Where there is none, it moves calls to a blocking thread if
/// [`may_block`](Self::may_block) returns `true`.
///
/// `Arc<S>` and `Box<S>` are stores too, also with `S = dyn SessionStore`.
///
/// # Errors
///
/// The text of an error names no address, key or value. The cause is its source.
///
/// - [`Unavailable`](crate::ErrorKind::Unavailable): the store can't be reached, or did not answer.
/// - [`Unconfirmed`](crate::ErrorKind::Unconfirmed): the answer to a change was lost. The change is
///   stored as a whole or not at all.
/// - [`Full`](crate::ErrorKind::Full): the store has no room.
/// - [`Corrupt`](crate::ErrorKind::Corrupt), [`NewerForm`](crate::ErrorKind::NewerForm): a record
///   can't be read; see [`Record::from_bytes`].
///
/// # Example
///
/// `examples/custom_store.rs` is a complete store with its test.
pub trait SessionStore: Send + Sync + 'static {
    /// Returns what is stored under a key.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Loaded, Error>;

    /// Takes one atomic step on one key, and updates the user's index.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn swap(&self, key: &StoreKey, swap: Swap<'_>, now: Timestamp) -> Result<Swapped, Error>;

    /// Records a use as [`Record::touch`] does, without a new version, and restores the session's line
    /// in the user's index if it was lost. Does nothing if the session has ended.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn touch(&self, key: &StoreKey, touch: &Touch<'_>) -> Result<(), Error>;

    /// Returns the index lines of a user. They may name sessions that have ended, have moved, or belong
    /// to another user.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn user_index(&self, user: &str, now: Timestamp) -> Result<Vec<IndexLine>, Error>;

    /// Removes at most `max` expired or damaged records, and returns how many. A record of a newer form
    /// stays.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn sweep(&self, now: Timestamp, max: usize) -> Result<usize, Error>;

    /// Visits every record that is not expired, in any order, until `visit` returns `false`. Skips
    /// records that can't be read. For operators: it reads the whole store.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn scan(
        &self,
        now: Timestamp,
        visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
    ) -> Result<(), Error>;

    /// Checks that the store answers.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn ping(&self) -> Result<(), Error>;

    /// Returns how many sessions the store holds, if it knows that without reading them. Expired ones that
    /// were not swept yet may be among them.
    fn count(&self) -> Option<usize> {
        None
    }

    /// Returns whether calls may wait for a disk or a network.
    fn may_block(&self) -> bool {
        true
    }

    /// Returns the async face of the store, if its client is async.
    fn as_async(&self) -> Option<&dyn AsyncStore> {
        None
    }

    /// Returns whether the store removes expired records by itself. [`sweep`](Self::sweep) may then
    /// find none.
    fn expires_by_itself(&self) -> bool {
        false
    }

    /// Merges a change into the current record, or creates a session if the change
    /// [does](Change::create).
    ///
    /// `loaded` is the record that the request had loaded from this key, if any. Without a parallel
    /// change, the commit is one [`swap`](Self::swap). The method is provided; a store that can apply a
    /// change under its own lock may override it.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn commit(
        &self,
        key: &StoreKey,
        change: &Change,
        loaded: Option<Arc<Record>>,
        now: Timestamp,
    ) -> Result<Committed, Error> {
        commit::ready(commit::by_swapping(
            Face::Blocking(self),
            key,
            change,
            loaded,
            now,
        ))
    }
}

/// What an [`AsyncStore`] returns.
pub type StoreFuture<'s, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 's>>;

/// The async face of a store: the calls that a request waits for, without a blocking thread.
///
/// The promises, the arguments and the errors are those of the methods of [`SessionStore`] with these
/// names. Dropping a future may leave its step done or not done, but never half done.
pub trait AsyncStore: Send + Sync {
    /// Returns what is stored under a key.
    fn load<'s>(&'s self, key: &'s StoreKey, now: Timestamp) -> StoreFuture<'s, Loaded>;

    /// Takes one atomic step on one key, and updates the user's index.
    fn swap<'s>(
        &'s self,
        key: &'s StoreKey,
        swap: Swap<'s>,
        now: Timestamp,
    ) -> StoreFuture<'s, Swapped>;

    /// Records a use.
    fn touch<'s>(&'s self, key: &'s StoreKey, touch: &'s Touch<'s>) -> StoreFuture<'s, ()>;
}

/// One of the two faces of a store. A function over a `Face` is written once, for both: over the
/// blocking one its future is ready at the first poll.
pub(crate) enum Face<'s, S: ?Sized = dyn SessionStore> {
    Blocking(&'s S),
    Async(&'s dyn AsyncStore),
}

impl<S: SessionStore + ?Sized> Face<'_, S> {
    pub(crate) async fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Loaded, Error> {
        match self {
            Self::Blocking(store) => store.load(key, now),
            Self::Async(store) => store.load(key, now).await,
        }
    }

    pub(crate) async fn swap(
        &self,
        key: &StoreKey,
        swap: Swap<'_>,
        now: Timestamp,
    ) -> Result<Swapped, Error> {
        match self {
            Self::Blocking(store) => store.swap(key, swap, now),
            Self::Async(store) => store.swap(key, swap, now).await,
        }
    }

    pub(crate) async fn touch(&self, key: &StoreKey, touch: &Touch<'_>) -> Result<(), Error> {
        match self {
            Self::Blocking(store) => store.touch(key, touch),
            Self::Async(store) => store.touch(key, touch).await,
        }
    }

    /// Merges a change. A blocking store may do so under its own lock.
    pub(crate) async fn commit(
        &self,
        key: &StoreKey,
        change: &Change,
        loaded: Option<Arc<Record>>,
        now: Timestamp,
    ) -> Result<Committed, Error> {
        match *self {
            Self::Blocking(store) => store.commit(key, change, loaded, now),
            Self::Async(store) => {
                let store = Face::<S>::Async(store);
                // Boxed: it holds whole records, and a commit under a store's own lock needs none of it.
                Box::pin(commit::by_swapping(store, key, change, loaded, now)).await
            }
        }
    }
}

macro_rules! forward_to_pointee {
    ($($pointer:ident),+) => {
        $(impl<S: SessionStore + ?Sized> SessionStore for $pointer<S> {
            fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Loaded, Error> {
                (**self).load(key, now)
            }

            fn swap(&self, key: &StoreKey, swap: Swap<'_>, now: Timestamp) -> Result<Swapped, Error> {
                (**self).swap(key, swap, now)
            }

            fn touch(&self, key: &StoreKey, touch: &Touch<'_>) -> Result<(), Error> {
                (**self).touch(key, touch)
            }

            fn user_index(&self, user: &str, now: Timestamp) -> Result<Vec<IndexLine>, Error> {
                (**self).user_index(user, now)
            }

            fn sweep(&self, now: Timestamp, max: usize) -> Result<usize, Error> {
                (**self).sweep(now, max)
            }

            fn scan(
                &self,
                now: Timestamp,
                visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
            ) -> Result<(), Error> {
                (**self).scan(now, visit)
            }

            fn ping(&self) -> Result<(), Error> {
                (**self).ping()
            }

            fn count(&self) -> Option<usize> {
                (**self).count()
            }

            fn may_block(&self) -> bool {
                (**self).may_block()
            }

            fn as_async(&self) -> Option<&dyn AsyncStore> {
                (**self).as_async()
            }

            fn expires_by_itself(&self) -> bool {
                (**self).expires_by_itself()
            }

            fn commit(
                &self,
                key: &StoreKey,
                change: &Change,
                loaded: Option<Arc<Record>>,
                now: Timestamp,
            ) -> Result<Committed, Error> {
                (**self).commit(key, change, loaded, now)
            }
        })+
    };
}

forward_to_pointee!(Arc, Box);

//! Where sessions are kept: the trait, its types, and the stores of this crate.
//!
//! A store loads records and puts one in the place of another if that has not changed since
//! (compare and swap). What a request did is merged into a record by [`Change::apply`], in one place
//! for all stores.

mod commit;
mod memory;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "redis")]
mod redis;
pub(crate) mod users;

use std::sync::Arc;

pub use memory::MemoryStore;

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

/// What a store has under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// A session that is not expired.
    Found(Arc<Record>),
    /// The session that was here has a new key. This opens nothing: it only lets a logout, a
    /// revocation, and a commit that began before reach the session.
    Moved(Forward),
    /// Neither.
    Absent,
}

/// One step on one key, all or nothing.
///
/// Every variant but `Create` and `RemoveUnreadable` expects the record with the
/// [version](Record::version) of `before`; anything else is not touched, and returned.
#[derive(Clone, Copy, Debug)]
pub enum Swap<'s> {
    /// Stores the first record of a key that holds nothing.
    Create(&'s Record),
    /// Puts one record in the place of another.
    Replace {
        /// The record that the other was made from.
        before: &'s Record,
        /// The record to store. Its last use may be older than the stored one: the later counts,
        /// with its deadline.
        after: &'s Record,
    },
    /// Stores a record under the forward's key, and the forward under the old key.
    Move {
        /// The record under the old key.
        before: &'s Record,
        /// The record to store under the new key.
        after: &'s Record,
        /// What is left under the old key.
        forward: Forward,
    },
    /// Removes a record, and the forwards that lead to it where the store knows them.
    Remove(&'s Record),
    /// Removes a record if it can't be read: damaged, or of a newer form.
    RemoveUnreadable,
}

/// The answer to a [`Swap`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swapped {
    /// It is done.
    Done,
    /// The record has another version: this one. Nothing was done.
    Current(Arc<Record>),
    /// The session has a new key. Nothing was done.
    Moved(Forward),
    /// There is no such session. Nothing was done.
    Gone,
}

/// What became of a [`Change`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It is stored.
    Stored {
        /// The key that the session has now.
        key: StoreKey,
        /// Whether the record was another version than the one that the request had loaded.
        merged: bool,
    },
    /// There is no such session any more: nothing is stored.
    Gone,
    /// What the change expects has changed: nothing is stored.
    Conflict,
    /// Other requests kept changing the record: nothing is stored, try again.
    Busy,
}

/// A line of the index that leads from users to sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IndexLine {
    /// The session.
    pub id: SessionId,
    /// A key that it has, or had before it was renewed.
    pub key: StoreKey,
}

/// Which sessions of a user to end.
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
    /// The public session ID.
    pub id: SessionId,
    /// When the session came into being.
    pub created: Timestamp,
    /// The last recorded use.
    pub last_used: Timestamp,
    /// When it ends if it is not used again.
    pub deadline: Timestamp,
    /// What its login called it; empty without a label.
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

/// Keeps sessions.
///
/// A store keeps three promises, and the acceptance suite in the module `testing` (behind the
/// feature of that name) checks each:
///
/// - **Compare and swap.** [`swap`](Self::swap) replaces the version that it expects and no other,
///   in one atomic step.
/// - **No revival.** Only [`Swap::Create`] stores a record where none was, and only under a key
///   that holds nothing.
/// - **Exact end.** A record whose [deadline](Record::deadline) has come is never handed out and
///   never replaced. A store knows no settings.
///
/// Beside the records, a store keeps an index from users to sessions. A session that has a user is
/// always in it: the line is added before the record is stored, or in one step with it. It may name
/// sessions that are gone.
///
/// Calls are synchronous, because rendering is. Async code moves them to a blocking thread when
/// [`may_block`](Self::may_block) says so.
///
/// `Arc<S>` and `Box<S>` are stores too, also with `S = dyn SessionStore`.
///
/// # Errors
///
/// The text of an error names no address, key or value; the cause is its source.
///
/// - [`Unavailable`](crate::ErrorKind::Unavailable): the store can't be reached.
/// - [`Full`](crate::ErrorKind::Full): it has no room.
/// - [`Corrupt`](crate::ErrorKind::Corrupt), [`NewerForm`](crate::ErrorKind::NewerForm): it holds a
///   record that can't be read, as [`Record::from_bytes`] says.
///
/// # Example
///
/// `examples/custom_store.rs` is a complete store with its test.
pub trait SessionStore: Send + Sync + 'static {
    /// What is stored under a key.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Loaded, Error>;

    /// Takes one step on one key, and changes the user's index with it.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn swap(&self, key: &StoreKey, swap: Swap<'_>, now: Timestamp) -> Result<Swapped, Error>;

    /// Records a use as [`Record::touch`] does, without a new version, and puts the session into the
    /// user's index if its line was lost. Does nothing to a session that is gone, and creates none.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn touch(&self, key: &StoreKey, touch: &Touch<'_>) -> Result<(), Error>;

    /// The index lines of a user. They may name sessions that are gone, have moved, or belong to
    /// another user by now.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn user_index(&self, user: &str, now: Timestamp) -> Result<Vec<IndexLine>, Error>;

    /// Removes at most `max` expired or unreadable records, and returns how many. A record of a
    /// newer form stays.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn sweep(&self, now: Timestamp, max: usize) -> Result<usize, Error>;

    /// Visits every record that is not expired, in any order, until `visit` returns `false`, and
    /// skips what can't be read. For operators: it reads everything.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn scan(
        &self,
        now: Timestamp,
        visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
    ) -> Result<(), Error>;

    /// Whether the store answers.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn ping(&self) -> Result<(), Error>;

    /// Whether calls may wait for a disk or a network.
    fn may_block(&self) -> bool {
        true
    }

    /// Whether the store removes expired records by itself. [`sweep`](Self::sweep) then may find
    /// none.
    fn expires_by_itself(&self) -> bool {
        false
    }

    /// Merges a change into the current record, or creates a session if the change says so.
    ///
    /// `loaded` is the record that the request had loaded from this key, if any: without a parallel
    /// change, the commit is one [`swap`](Self::swap). Implemented for every store; one that can
    /// apply a change under a lock of its own may override it.
    #[allow(clippy::missing_errors_doc, reason = "the trait's page lists them")]
    fn commit(
        &self,
        key: &StoreKey,
        change: &Change,
        loaded: Option<Arc<Record>>,
        now: Timestamp,
    ) -> Result<Committed, Error> {
        commit::by_swapping(self, key, change, loaded, now)
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

            fn may_block(&self) -> bool {
                (**self).may_block()
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

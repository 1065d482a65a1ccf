//! What a request did, and how it meets the record as it is by then.

mod merge;

use std::fmt;
use std::time::Duration;

use kstring::KString;
#[cfg(feature = "redis")]
pub(crate) use merge::not_an;
pub(crate) use merge::{add, append};
use smallvec::SmallVec;

use super::{Entries, Record, millis};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::limits::Limits;
use crate::secret::{SessionId, StoreKey};
use crate::value::{StoredValue, Value};

/// What a request did to one key.
///
/// ```
/// use liquid_session::store::Op;
///
/// fn describe(op: &Op) -> String {
///     match op {
///         Op::Set(value) => format!("set to {} bytes", value.len()),
///         Op::Remove => "removed".to_owned(),
///         Op::Take => "read and removed".to_owned(),
///         Op::Increment(by) => format!("{by} more"),
///         Op::Append(items) => format!("{} elements more", items.len()),
///     }
/// }
/// assert_eq!(describe(&Op::Increment(2)), "2 more");
/// ```
#[derive(Clone, Debug)]
pub enum Op {
    /// Stores a value.
    Set(StoredValue),
    /// Removes the key.
    Remove,
    /// Removes the key and hands out what was there.
    Take,
    /// Adds to a whole number; an absent key counts from zero.
    Increment(i64),
    /// Adds elements to the end of an array; an absent key is an empty one.
    Append(Vec<Value>),
}

/// What a request did to a session, for [`SessionStore::commit`](crate::store::SessionStore::commit).
///
/// A change is what was *done*, never a copy of the record: a store applies it to the record as it
/// is by then, so two requests that write different keys both keep their writes. A store that holds
/// whole records does that with [`create`](Self::create) and [`apply`](Self::apply), under its lock
/// or in its transaction; a store that merges by itself reads the parts.
#[derive(Clone)]
pub struct Change {
    pub(crate) clear: bool,
    pub(crate) ops: Ops,
    pub(crate) limits: Limits,
    extra: Option<Box<Extra>>,
}

/// What few changes have: apart, so that the others are quick to make and to move.
#[derive(Clone, Default)]
pub(crate) struct Extra {
    pub(crate) create: Option<NewSession>,
    pub(crate) expect: Vec<(KString, Option<Box<[u8]>>)>,
    pub(crate) expect_version: Option<u64>,
    pub(crate) renew_to: Option<StoreKey>,
    pub(crate) user: Option<Box<str>>,
    pub(crate) idle_timeout: Option<Duration>,
}

/// Most requests write a few keys: no allocation for those.
pub(crate) type Ops = SmallVec<[(KString, Op); 2]>;

#[derive(Clone, Copy, Debug)]
pub(crate) struct NewSession {
    pub(crate) id: SessionId,
    pub(crate) idle_timeout: Duration,
    pub(crate) absolute_timeout: Option<Duration>,
}

/// What became of a [`Change`] that was applied to a record.
///
/// ```
/// use liquid_session::clock::Timestamp;
/// use liquid_session::store::{Applied, Change, Record};
/// use liquid_session::Error;
///
/// fn merge(change: &Change, record: &mut Record, now: Timestamp) -> Result<bool, Error> {
///     match change.apply(record, now)? {
///         Applied::Changed { taken: _ } => Ok(true),
///         Applied::Conflict => Ok(false),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Applied {
    /// The record holds the change; write it back.
    Changed {
        /// What [`Op::Take`] found, by key.
        taken: Vec<(String, Value)>,
    },
    /// Something that the request had read has changed since: the record is as it was.
    Conflict,
}

impl Change {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            clear: false,
            ops: Ops::new(),
            limits,
            extra: None,
        }
    }

    pub(crate) fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    fn get<'c, T>(&'c self, part: impl FnOnce(&'c Extra) -> Option<T>) -> Option<T> {
        part(self.extra.as_deref()?)
    }

    /// Whether this begins a session. Its key is new and random; only such a change may create a
    /// record.
    ///
    /// ```
    /// # use liquid_session::store::Change;
    /// fn may_insert(change: &Change) -> bool {
    ///     change.creates()
    /// }
    /// ```
    pub fn creates(&self) -> bool {
        self.get(|extra| extra.create.as_ref()).is_some()
    }

    /// Whether every key goes, before [`ops`](Self::ops) are applied.
    ///
    /// ```
    /// # use liquid_session::store::Change;
    /// fn keeps_other_keys(change: &Change) -> bool {
    ///     !change.clears()
    /// }
    /// ```
    pub fn clears(&self) -> bool {
        self.clear
    }

    /// What was done to single keys, sorted by key, each key once.
    ///
    /// ```
    /// # use liquid_session::store::Change;
    /// fn touched_keys(change: &Change) -> Vec<&str> {
    ///     change.ops().map(|(key, _)| key).collect()
    /// }
    /// ```
    pub fn ops(&self) -> impl Iterator<Item = (&str, &Op)> {
        self.ops.iter().map(|(key, op)| (key.as_str(), op))
    }

    /// What a transaction read: keys with the stored form of the value that each must still have,
    /// `None` for absent. Anything else is a conflict.
    ///
    /// ```
    /// # use liquid_session::store::{Change, Record};
    /// fn holds(change: &Change, record: &Record) -> bool {
    ///     change.expected().all(|(key, value)| record.raw(key) == value)
    /// }
    /// ```
    pub fn expected(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        let expected = self.extra.as_ref().map(|extra| &extra.expect[..]);
        expected
            .unwrap_or_default()
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_deref()))
    }

    /// The version that the record must still have, when a transaction read the session as a whole.
    ///
    /// ```
    /// # use liquid_session::store::{Change, Record};
    /// fn holds(change: &Change, record: &Record) -> bool {
    ///     change.expected_version().is_none_or(|version| version == record.version())
    /// }
    /// ```
    pub fn expected_version(&self) -> Option<u64> {
        self.get(|extra| extra.expect_version)
    }

    /// The key to file the record under from now on; the old key dies in the same step.
    ///
    /// ```
    /// # use liquid_session::store::Change;
    /// fn moves(change: &Change) -> bool {
    ///     change.renew_to().is_some()
    /// }
    /// ```
    pub fn renew_to(&self) -> Option<StoreKey> {
        self.get(|extra| extra.renew_to)
    }

    /// Who signs in with this change.
    ///
    /// ```
    /// # use liquid_session::store::Change;
    /// fn signs_in(change: &Change) -> bool {
    ///     change.user().is_some()
    /// }
    /// ```
    pub fn user(&self) -> Option<&str> {
        self.get(|extra| extra.user.as_deref())
    }

    /// The idle timeout that the session has from now on, if this change sets one.
    ///
    /// ```
    /// # use liquid_session::store::Change;
    /// fn lengthens(change: &Change) -> bool {
    ///     change.idle_timeout() > Some(std::time::Duration::from_secs(3600))
    /// }
    /// ```
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.get(|extra| extra.idle_timeout)
    }

    /// How many bytes the session may hold after the change, and how many keys. One that holds more
    /// already, because a limit was lowered, may hold as much as it does.
    ///
    /// ```
    /// # use liquid_session::store::Change;
    /// fn max_bytes(change: &Change) -> usize {
    ///     change.limits().0
    /// }
    /// ```
    pub fn limits(&self) -> (usize, usize) {
        (self.limits.max_bytes, self.limits.max_keys)
    }

    /// Whether the version counts it.
    pub(crate) fn changes_data(&self) -> bool {
        self.clear || !self.ops.is_empty()
    }

    /// The record that this change begins, or `None` if it may only meet one that is there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Limit`](crate::ErrorKind::Limit) and [`ErrorKind::Value`](crate::ErrorKind::Value), as for [`apply`](Self::apply).
    ///
    /// ```
    /// # use liquid_session::{Error, clock::Timestamp, store::{Change, Record}};
    /// fn first(change: &Change, now: Timestamp) -> Result<Option<Record>, Error> {
    ///     change.create(now)
    /// }
    /// ```
    pub fn create(&self, now: Timestamp) -> Result<Option<Record>, Error> {
        let Some(new) = self.get(|extra| extra.create.as_ref()) else {
            return Ok(None);
        };
        let mut record = Record {
            id: new.id,
            version: 0,
            created: now,
            last_used: now,
            idle_timeout: millis(new.idle_timeout),
            ends: new
                .absolute_timeout
                .map_or(Timestamp::MAX, |timeout| now + timeout),
            user: None,
            data: Entries::empty(),
        };
        self.apply(&mut record, now)?;
        Ok(Some(record))
    }

    /// Merges the change into the record as it is now. On a conflict or an error the record stays as
    /// it was.
    ///
    /// A commit is a use: the last use moves with it when [`Record::touch_due`] says so.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Limit`](crate::ErrorKind::Limit): the merged session would go over a limit, and be larger than it was.
    /// - [`ErrorKind::Value`](crate::ErrorKind::Value): `increment` or `append` met a value of another type, or the number
    ///   would leave `i64`.
    /// - [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): a value that had to be read is damaged.
    ///
    /// ```
    /// # use liquid_session::{Error, clock::Timestamp, store::{Applied, Change, Record}};
    /// fn merge(change: &Change, record: &mut Record, now: Timestamp) -> Result<Applied, Error> {
    ///     change.apply(record, now)
    /// }
    /// ```
    pub fn apply(&self, record: &mut Record, now: Timestamp) -> Result<Applied, Error> {
        let as_expected = self.expected_version().is_none_or(|v| v == record.version)
            && self.expected().all(|(key, value)| record.raw(key) == value);
        if !as_expected {
            return Ok(Applied::Conflict);
        }
        let taken = if self.changes_data() {
            self.merge(record)?
        } else {
            Vec::new()
        };
        if let Some(user) = self.user() {
            record.user = Some(user.into());
        }
        if let Some(timeout) = self.idle_timeout() {
            record.idle_timeout = millis(timeout);
        }
        if record.touch_due(now) {
            record.touch(now);
        }
        Ok(Applied::Changed { taken })
    }
}

/// Without keys and values: it may end in a log.
impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change")
            .field("creates", &self.creates())
            .field("clears", &self.clear)
            .field("ops", &self.ops.len())
            .field("renews", &self.renew_to().is_some())
            .finish_non_exhaustive()
    }
}

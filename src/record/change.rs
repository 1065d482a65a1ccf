//! The changes of a request, and how they merge into the current record.

mod merge;

use std::fmt;
use std::time::Duration;

use kstring::KString;
pub(crate) use merge::{add, append};
use smallvec::SmallVec;

use super::lifetime::Lifetime;
use super::{Entries, Forward, Owner, Record, new_version};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::limits::Limits;
use crate::secret::{SessionId, StoreKey};
use crate::value::{StoredValue, Value};

/// A change of one key.
#[derive(Clone, Debug)]
pub enum Op {
    /// Stores a value.
    Set(StoredValue),
    /// Removes the key.
    Remove,
    /// Adds to a whole number. An absent key counts from zero.
    Increment(i64),
    /// Adds elements to the end of an array. An absent key counts as an empty array.
    Append(Vec<Value>),
}

/// The changes of a request to a session, for
/// [`SessionStore::commit`](crate::store::SessionStore::commit).
///
/// A change holds operations, never a copy of the record. They are applied to the current record, so
/// two requests that write different keys both keep their writes.
///
/// ```
/// use std::time::Duration;
/// use liquid_session::clock::Timestamp;
/// use liquid_session::store::{Change, Lifetime, Limits};
/// use liquid_session::SessionId;
///
/// let begin = Change::new(Limits::default(), Lifetime::new(Duration::from_secs(60)))
///     .create(SessionId::from_bytes([1; 16]))
///     .set("color", &"dark".into());
/// let mut record = begin.created(Timestamp::from_millis(0))?.expect("it creates a session");
///
/// let count = Change::new(Limits::default(), Lifetime::new(Duration::from_secs(60)))
///     .increment("visits", 1);
/// assert!(count.apply(&mut record, Timestamp::from_millis(5))?);
/// assert_eq!(record.get("color")?, Some("dark".into()));
/// assert_eq!(record.get("visits")?, Some(1.into()));
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone)]
pub struct Change {
    pub(crate) clear: bool,
    pub(crate) ops: Ops,
    limits: Limits,
    lifetime: Lifetime,
    /// The version that the request had loaded; 0 if it had loaded none.
    pub(crate) loaded: u64,
    rare: Option<Box<Rare>>,
}

/// Rare parts, boxed to keep `Change` small.
#[derive(Clone, Default)]
struct Rare {
    create: Option<SessionId>,
    expected: Vec<(KString, Option<Box<[u8]>>)>,
    expected_version: Option<u64>,
    renew_to: Option<StoreKey>,
    dont_prolong: bool,
    login: Option<Owner>,
}

/// Operations sorted by key, each key once. Two take no allocation.
pub(crate) type Ops = SmallVec<[(KString, Op); 2]>;

impl Change {
    /// Creates a change without operations, under these limits and timeouts.
    pub fn new(limits: Limits, lifetime: Lifetime) -> Self {
        Self {
            clear: false,
            ops: Ops::new(),
            limits,
            lifetime,
            loaded: 0,
            rare: None,
        }
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Makes the change begin a session with this session ID. Only such a change creates a record.
    #[must_use]
    pub fn create(mut self, id: SessionId) -> Self {
        self.rare().create = Some(id);
        self
    }

    /// Removes every key before the other operations are applied.
    #[must_use]
    pub fn clear(mut self) -> Self {
        self.clear = true;
        self
    }

    /// Stores a value.
    #[must_use]
    pub fn set(self, key: &str, value: &Value) -> Self {
        self.with(key, Op::Set(StoredValue::from(value)))
    }

    /// Removes a key.
    #[must_use]
    pub fn remove(self, key: &str) -> Self {
        self.with(key, Op::Remove)
    }

    /// Adds to a whole number.
    #[must_use]
    pub fn increment(self, key: &str, by: i64) -> Self {
        self.with(key, Op::Increment(by))
    }

    /// Adds elements to the end of an array.
    #[must_use]
    pub fn append(self, key: &str, items: impl IntoIterator<Item = Value>) -> Self {
        self.with(key, Op::Append(items.into_iter().collect()))
    }

    /// The last operation on a key counts.
    fn with(mut self, key: &str, op: Op) -> Self {
        match self.ops.binary_search_by(|(k, _)| k.as_str().cmp(key)) {
            Ok(at) => self.ops[at].1 = op,
            Err(at) => self.ops.insert(at, (KString::from_ref(key), op)),
        }
        self
    }

    /// Makes the change a conflict unless the key still has this stored form. `None` stands for an
    /// absent key.
    #[must_use]
    pub fn expect(mut self, key: &str, stored: Option<&[u8]>) -> Self {
        let expected = (KString::from_ref(key), stored.map(Into::into));
        self.rare().expected.push(expected);
        self
    }

    /// Makes the change a conflict unless the record still has this version.
    #[must_use]
    pub fn expect_version(mut self, version: u64) -> Self {
        self.rare().expected_version = Some(version);
        self
    }

    /// Moves the session to a new store key in the shard of its present one.
    #[must_use]
    pub fn renew(mut self, to: StoreKey) -> Self {
        self.rare().renew_to = Some(to);
        self
    }

    /// Keeps the last use and the deadline of the record. A login, and a change that begins a session,
    /// count as a use even so.
    #[must_use]
    pub fn dont_prolong(mut self) -> Self {
        self.rare().dont_prolong = true;
        self
    }

    /// Signs in a user. Without [`create`](Self::create) the change also has to
    /// [`renew`](Self::renew).
    #[must_use]
    pub fn login(self, user: &str, idle_timeout: Option<Duration>) -> Self {
        self.with_owner(Owner {
            user: user.into(),
            idle_timeout,
            label: Box::default(),
            persistent: false,
        })
    }

    pub(crate) fn with_owner(mut self, owner: Owner) -> Self {
        self.rare().login = Some(owner);
        self
    }

    /// Returns the record that this change begins; `None` if it does not [`create`](Self::create) one.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Limit`](crate::ErrorKind::Limit): the session, the user name or the label exceeds
    ///   a limit.
    /// - [`ErrorKind::Value`](crate::ErrorKind::Value): a number would leave `i64`.
    pub fn created(&self, now: Timestamp) -> Result<Option<Record>, Error> {
        let Some(id) = self.rare.as_deref().and_then(|rare| rare.create) else {
            return Ok(None);
        };
        let mut record = Record {
            id,
            version: 0,
            created: now,
            last_used: now,
            deadline: now,
            owner: None,
            data: Entries::empty(),
        };
        self.apply(&mut record, now)?;
        Ok(Some(record))
    }

    /// Merges the change into a record, and returns `false` for a conflict: a value that the change
    /// expects has changed. On a conflict or an error the record stays as it was.
    ///
    /// The record has a new version afterwards. The change counts as a use if a use is
    /// [due](Record::touch_due), unless it must not [prolong](Self::dont_prolong) the session.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Limit`](crate::ErrorKind::Limit): the merged session would exceed a limit and be
    ///   larger than before; or the user name or the label is too long.
    /// - [`ErrorKind::Value`](crate::ErrorKind::Value): an increment or an append met a value of another
    ///   type, or the number would leave `i64`.
    /// - [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): a value that an increment or an append needs
    ///   is damaged.
    pub fn apply(&self, record: &mut Record, now: Timestamp) -> Result<bool, Error> {
        if let Some(rare) = self.rare.as_deref() {
            let mut expected = rare.expected.iter();
            let as_expected = rare.expected_version.is_none_or(|v| v == record.version)
                && expected.all(|(key, value)| record.raw(key) == value.as_deref());
            if !as_expected {
                return Ok(false);
            }
        }
        if let Some(owner) = self.rare.as_deref().and_then(|rare| rare.login.as_ref()) {
            owner.check()?;
        }
        if self.clear || !self.ops.is_empty() {
            self.merge(record)?;
        }
        record.version = new_version();
        match self.rare.as_deref() {
            Some(rare) if rare.login.is_some() || rare.create.is_some() => {
                record.owner = rare.login.clone().map(Box::new).or(record.owner.take());
                record.use_now(&self.lifetime, now);
            }
            Some(rare) if rare.dont_prolong => {}
            _ if record.touch_due(&self.lifetime, now).is_some() => {
                record.use_now(&self.lifetime, now);
            }
            _ => {}
        }
        Ok(true)
    }

    /// Returns the version of the record that the request had loaded; 0 if it had loaded none. A commit
    /// onto another version is a [merge](crate::store::Committed::Stored::merged).
    pub fn loaded_version(&self) -> u64 {
        self.loaded
    }

    /// Returns whether the change signs in a user.
    pub fn is_login(&self) -> bool {
        self.rare
            .as_deref()
            .is_some_and(|rare| rare.login.is_some())
    }

    /// Returns the store key that the session moves to, if it moves.
    ///
    /// `followed` is whether a [`Forward`] led to the record. Another request has then renewed the
    /// session already, and only a login moves it again.
    pub fn renew_to(&self, followed: bool) -> Option<StoreKey> {
        let to = self.rare.as_deref()?.renew_to?;
        (!followed || self.is_login()).then_some(to)
    }

    /// Returns whether the change follows a forward: not one that a login left.
    pub fn follows(&self, forward: &Forward) -> bool {
        !forward.by_login
    }
}

/// Shows no key and no value: the text may end in a log.
impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change")
            .field("clear", &self.clear)
            .field("ops", &self.ops.len())
            .field("is_login", &self.is_login())
            .finish_non_exhaustive()
    }
}

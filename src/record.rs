//! A session as a store holds it.

mod change;
mod entries;
mod forward;
mod lifetime;
mod stored;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher as _;
use std::time::Duration;

pub use change::{Change, Op};
pub(crate) use change::{Ops, add, append};
pub(crate) use entries::Entries;
pub use forward::Forward;
pub use lifetime::{Lifetime, Touch};

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::limits::{MAX_LABEL_BYTES, MAX_USER_BYTES, Size};
use crate::secret::SessionId;
use crate::value::Value;

/// A session as a store holds it: its data, its user, and its deadline.
///
/// The data are kept in their stored form, in one packed block, sorted by key: a store writes the
/// bytes as they are, and a request that reads one key decodes one value.
///
/// ```
/// use liquid_session::clock::{Clock, SystemClock};
/// use liquid_session::store::{MemoryStore, SessionStore};
/// use liquid_session::{SessionConfig, Sessions};
///
/// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
/// let session = sessions.open(None);
/// session.set("color", "dark")?;
/// session.commit()?;
///
/// sessions.store().scan(SystemClock.now(), &mut |_, record| {
///     assert_eq!(record.get("color").unwrap(), Some("dark".into()));
///     assert_eq!(record.len(), 1);
///     true
/// })?;
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    id: SessionId,
    version: u64,
    created: Timestamp,
    last_used: Timestamp,
    deadline: Timestamp,
    owner: Option<Box<Owner>>,
    data: Entries,
}

/// The parts of a record that a login sets, boxed to keep `Record` small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) user: Box<str>,
    /// The idle timeout of this session, in place of that of the settings.
    pub(crate) idle_timeout: Option<Duration>,
    /// The label in the list of a user's sessions.
    pub(crate) label: Box<str>,
    /// Whether the cookie outlives the browser.
    pub(crate) persistent: bool,
}

impl Owner {
    /// Takes over what an earlier login of the same user said and this one does not.
    pub(crate) fn complete(&mut self, earlier: Option<&Self>) {
        let Some(earlier) = earlier else { return };
        self.idle_timeout = self.idle_timeout.or(earlier.idle_timeout);
        self.persistent |= earlier.persistent;
        if self.label.is_empty() {
            self.label.clone_from(&earlier.label);
        }
    }

    /// Refuses texts that are too long.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (what, text, limit) in [
            ("user name", &self.user, MAX_USER_BYTES),
            ("session label", &self.label, MAX_LABEL_BYTES),
        ] {
            if text.len() > limit {
                let found = text.len();
                return Err(Error::new(
                    ErrorKind::Limit,
                    format!(
                        "a {what} of {found} bytes is over the limit of {limit} bytes: use a shorter one"
                    ),
                ));
            }
        }
        Ok(())
    }
}

impl Record {
    /// Returns the session ID.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Returns the version tag. It is random, and new with every change: two records of one session
    /// with the same tag hold the same data. It is compared, never counted.
    pub fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn owner(&self) -> Option<&Owner> {
        self.owner.as_deref()
    }

    /// Returns the user who is signed in.
    pub fn user(&self) -> Option<&str> {
        self.owner.as_deref().map(|owner| &*owner.user)
    }

    /// Returns the label that the login gave to the session; empty without one.
    pub fn label(&self) -> &str {
        self.owner.as_deref().map_or("", |owner| &owner.label)
    }

    /// Returns the idle timeout that the login gave to the session, in place of that of the settings.
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.owner.as_deref()?.idle_timeout
    }

    /// Returns whether the login asked for a cookie that outlives the browser.
    pub fn is_persistent(&self) -> bool {
        self.owner.as_deref().is_some_and(|owner| owner.persistent)
    }

    /// Returns when the session began. A renewal keeps it.
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// Returns the last recorded use.
    pub fn last_used(&self) -> Timestamp {
        self.last_used
    }

    /// Returns the moment from which on the session is expired if it is not used again.
    pub fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// Returns whether the session has expired. A store never returns such a record.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.deadline
    }

    /// Returns the number of keys.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Returns whether the record holds no key.
    pub fn is_empty(&self) -> bool {
        self.data.len() == 0
    }

    /// Returns the bytes of all keys and of all values in their stored form, which `max_bytes` limits.
    pub fn size(&self) -> usize {
        self.data.bytes()
    }

    pub(crate) fn sizes(&self) -> Size {
        self.data.size()
    }

    /// Returns the value under a key.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): the stored value is damaged.
    pub fn get(&self, key: &str) -> Result<Option<Value>, Error> {
        self.raw(key).map(Value::decode).transpose()
    }

    /// Returns the stored form of the value under a key.
    #[inline]
    pub fn raw(&self, key: &str) -> Option<&[u8]> {
        self.data.get(key)
    }

    /// Iterates over all keys and the stored forms of their values, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.data.iter()
    }

    /// Returns this record without a key, as a new version.
    pub(crate) fn without(&self, key: &str) -> Self {
        Self {
            version: new_version(),
            data: Entries::build(self.data.iter().filter(|(k, _)| *k != key)),
            owner: self.owner.clone(),
            ..*self
        }
    }
}

/// Returns a random tag. It need not be cryptographic: the standard library seeds its hasher from the
/// system in each thread, and changes the keys with each call.
fn new_version() -> u64 {
    RandomState::new().hash_one(())
}

/// Shows no key, value or user: the text may end in a log.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("id", &self.id)
            .field("created", &self.created)
            .field("last_used", &self.last_used)
            .field("deadline", &self.deadline)
            .field("keys", &self.len())
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

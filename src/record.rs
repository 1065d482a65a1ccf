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

/// A session as a store holds it: its data, its user, and when it ends.
///
/// The data are kept in their stored form, one packed block, sorted by key: a store that writes
/// bytes writes them as they are, and a request that reads one key decodes one value.
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

/// What a login gives to a session, boxed to keep `Record` small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) user: Box<str>,
    /// The idle timeout of this session, if it has one of its own.
    pub(crate) idle_timeout: Option<Duration>,
    /// What the list of a user's sessions calls this one.
    pub(crate) label: Box<str>,
    /// Whether the cookie outlives the browser.
    pub(crate) persistent: bool,
}

impl Owner {
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
    /// The public session ID.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The version tag: random, and new with every change. Two records of one session with the same
    /// tag hold the same data. It is compared, never counted.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The user who is signed in.
    pub fn user(&self) -> Option<&str> {
        self.owner.as_deref().map(|owner| &*owner.user)
    }

    /// What the list of the user's sessions calls this one; empty without a label.
    pub fn label(&self) -> &str {
        self.owner.as_deref().map_or("", |owner| &owner.label)
    }

    /// Whether the login asked for a cookie that outlives the browser.
    pub fn is_persistent(&self) -> bool {
        self.owner.as_deref().is_some_and(|owner| owner.persistent)
    }

    /// The idle timeout that the login gave to this session, in place of that of the settings.
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.owner.as_deref()?.idle_timeout
    }

    /// When the session came into being; a renewed session keeps it.
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// The last recorded use.
    pub fn last_used(&self) -> Timestamp {
        self.last_used
    }

    /// When the session ends if it is not used again. From this millisecond on it is expired.
    pub fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// Whether the session has ended; a store never hands out such a record.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.deadline
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether it holds no key.
    pub fn is_empty(&self) -> bool {
        self.data.len() == 0
    }

    /// The bytes of all keys and of all values in their stored form: what `max_bytes` limits.
    pub fn size(&self) -> usize {
        self.data.bytes()
    }

    pub(crate) fn sizes(&self) -> Size {
        self.data.size()
    }

    /// The value under a key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if the stored bytes are damaged.
    pub fn get(&self, key: &str) -> Result<Option<Value>, Error> {
        self.raw(key).map(Value::decode).transpose()
    }

    /// The stored form of the value under a key.
    #[inline]
    pub fn raw(&self, key: &str) -> Option<&[u8]> {
        self.data.get(key)
    }

    /// All keys and the stored forms of their values, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.data.iter()
    }

    /// This record without a key, as a new version.
    pub(crate) fn without(&self, key: &str) -> Self {
        Self {
            version: new_version(),
            data: Entries::build(self.data.iter().filter(|(k, _)| *k != key)),
            owner: self.owner.clone(),
            ..*self
        }
    }
}

/// A random tag. It need not be cryptographic: the standard library's hasher has keys of its own in
/// each thread, seeded by the system, and other ones at each call.
fn new_version() -> u64 {
    RandomState::new().hash_one(())
}

/// Without keys, values and the user: it may end in a log.
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

//! A session as a store holds it.

mod change;
mod entries;
mod stored;

use std::fmt;
use std::time::Duration;

#[cfg(feature = "redis")]
pub(crate) use change::not_an;
pub use change::{Applied, Change, Op};
pub(crate) use change::{NewSession, Ops, add, append};
pub(crate) use entries::Entries;
pub use stored::RecordParts;
#[cfg(any(feature = "redb", feature = "redis"))]
pub(crate) use stored::damaged;
#[cfg(feature = "redis")]
pub(crate) use stored::of_version;

use crate::clock::Timestamp;
use crate::error::Error;
use crate::limits::Size;
use crate::secret::SessionId;
use crate::value::Value;

/// A session as a store holds it: its data, and what its lifetime is counted from.
///
/// The data are kept in their stored form, one packed block, sorted by key: a store that writes
/// bytes writes them as they are, and a request that reads one key decodes one value.
///
/// ```
/// use liquid_session::store::{MemoryStore, SessionStore};
/// use liquid_session::{SessionConfig, Sessions};
///
/// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
/// let session = sessions.open(None);
/// session.set("color", "dark")?;
/// session.commit()?;
///
/// sessions.store().scan(session_now(), &mut |_, record| {
///     assert_eq!(record.get("color").unwrap(), Some("dark".into()));
///     assert_eq!(record.len(), 1);
///     true
/// })?;
/// # use liquid_session::clock::{Clock, SystemClock, Timestamp};
/// # fn session_now() -> Timestamp { SystemClock.now() }
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    id: SessionId,
    version: u64,
    created: Timestamp,
    last_used: Timestamp,
    /// In milliseconds: half the size of a `Duration`, and no arithmetic in 128 bits.
    idle_timeout: u64,
    ends: Timestamp,
    user: Option<Box<str>>,
    data: Entries,
}

impl Record {
    /// The public handle.
    ///
    /// ```
    /// # use liquid_session::store::Record;
    /// fn name_for_the_log(record: &Record) -> String {
    ///     record.id().to_string()
    /// }
    /// ```
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// How many changes this record has seen: two records of one session with one version hold the
    /// same data.
    ///
    /// ```
    /// # use liquid_session::store::Record;
    /// fn unchanged(before: &Record, after: &Record) -> bool {
    ///     before.version() == after.version()
    /// }
    /// ```
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Who is signed in, if anybody.
    ///
    /// ```
    /// # use liquid_session::store::Record;
    /// fn belongs_to(record: &Record, user: &str) -> bool {
    ///     record.user() == Some(user)
    /// }
    /// ```
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// When the session came into being; a renewed session keeps it.
    ///
    /// ```
    /// # use liquid_session::{clock::Timestamp, store::Record};
    /// fn age(record: &Record, now: Timestamp) -> std::time::Duration {
    ///     now - record.created()
    /// }
    /// ```
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// The last recorded use.
    ///
    /// ```
    /// # use liquid_session::{clock::Timestamp, store::Record};
    /// fn idle(record: &Record, now: Timestamp) -> std::time::Duration {
    ///     now - record.last_used()
    /// }
    /// ```
    pub fn last_used(&self) -> Timestamp {
        self.last_used
    }

    /// How long the session lives without use.
    ///
    /// ```
    /// # use liquid_session::store::Record;
    /// fn is_short(record: &Record) -> bool {
    ///     record.idle_timeout() < std::time::Duration::from_secs(3600)
    /// }
    /// ```
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout)
    }

    /// The end of the absolute lifetime; [`Timestamp::MAX`] without one.
    ///
    /// ```
    /// # use liquid_session::{clock::Timestamp, store::Record};
    /// fn has_absolute_lifetime(record: &Record) -> bool {
    ///     record.ends() != Timestamp::MAX
    /// }
    /// ```
    pub fn ends(&self) -> Timestamp {
        self.ends
    }

    /// When the session ends if it is not used again: the earlier of the idle and the absolute
    /// deadline. From this millisecond on it is expired.
    ///
    /// ```
    /// # use liquid_session::{clock::Timestamp, store::Record};
    /// fn left(record: &Record, now: Timestamp) -> std::time::Duration {
    ///     record.deadline() - now
    /// }
    /// ```
    pub fn deadline(&self) -> Timestamp {
        let idle = self.last_used.as_millis().saturating_add(self.idle_timeout);
        Timestamp::from_millis(idle).min(self.ends)
    }

    /// Whether the session has ended by now; a store never hands such a record out.
    ///
    /// ```
    /// # use liquid_session::{clock::Timestamp, store::Record};
    /// fn alive(record: &Record, now: Timestamp) -> bool {
    ///     !record.is_expired(now)
    /// }
    /// ```
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.deadline()
    }

    /// How long the last recorded use stays as it is before it is worth a write: a twentieth of the
    /// idle timeout, and at most five minutes.
    ///
    /// ```
    /// # use liquid_session::store::Record;
    /// fn at_most_five_minutes(record: &Record) -> bool {
    ///     record.touch_interval().as_secs() <= 300
    /// }
    /// ```
    pub fn touch_interval(&self) -> Duration {
        Duration::from_millis(self.touch_millis())
    }

    fn touch_millis(&self) -> u64 {
        (self.idle_timeout / 20).min(300_000)
    }

    /// Whether a use at `now` is worth recording.
    ///
    /// ```
    /// # use liquid_session::{clock::Timestamp, store::Record};
    /// fn worth_a_write(record: &Record, now: Timestamp) -> bool {
    ///     record.touch_due(now)
    /// }
    /// ```
    pub fn touch_due(&self, now: Timestamp) -> bool {
        let unused = now.as_millis().saturating_sub(self.last_used.as_millis());
        unused > 0 && unused >= self.touch_millis()
    }

    /// Records a use. It never moves back: a clock that jumps ends no session early.
    ///
    /// ```
    /// # use liquid_session::{clock::Timestamp, store::Record};
    /// fn used(record: &mut Record, now: Timestamp) {
    ///     record.touch(now);
    ///     assert!(record.last_used() >= now);
    /// }
    /// ```
    pub fn touch(&mut self, now: Timestamp) {
        self.last_used = self.last_used.max(now);
    }

    /// The number of keys.
    ///
    /// ```
    /// # use liquid_session::store::Record;
    /// fn count(record: &Record) -> usize {
    ///     record.len()
    /// }
    /// ```
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether it holds no key.
    ///
    /// ```
    /// # use liquid_session::store::Record;
    /// fn nothing_in_it(record: &Record) -> bool {
    ///     record.is_empty()
    /// }
    /// ```
    pub fn is_empty(&self) -> bool {
        self.data.len() == 0
    }

    /// The size that `max_bytes` limits: the bytes of all keys and of all values in their stored
    /// form.
    ///
    /// ```
    /// # use liquid_session::store::Record;
    /// fn within_4_kb(record: &Record) -> bool {
    ///     record.bytes() <= 4096
    /// }
    /// ```
    pub fn bytes(&self) -> usize {
        self.data.bytes()
    }

    pub(crate) fn size(&self) -> Size {
        self.data.size()
    }

    /// The value under a key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if the stored bytes are damaged.
    ///
    /// ```
    /// # use liquid_session::{Error, Value, store::Record};
    /// fn color(record: &Record) -> Result<Option<Value>, Error> {
    ///     record.get("color")
    /// }
    /// ```
    pub fn get(&self, key: &str) -> Result<Option<Value>, Error> {
        self.data.get(key).map(Value::decode).transpose()
    }

    /// The stored form of the value under a key.
    ///
    /// ```
    /// # use liquid_session::store::Record;
    /// fn is_stored(record: &Record, key: &str) -> bool {
    ///     record.raw(key).is_some()
    /// }
    /// ```
    pub fn raw(&self, key: &str) -> Option<&[u8]> {
        self.data.get(key)
    }

    /// All keys and the stored forms of their values, sorted by key: for stores that keep each key
    /// by itself.
    ///
    /// ```
    /// # use liquid_session::store::Record;
    /// fn keys(record: &Record) -> Vec<&str> {
    ///     record.iter().map(|(key, _)| key).collect()
    /// }
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.data.iter()
    }

    /// Removes a key, as a change that takes it does.
    pub(crate) fn remove(&mut self, key: &str) {
        self.data = Entries::build(self.data.iter().filter(|(k, _)| *k != key));
        self.version += 1;
    }

    /// Where a key is among all, and its value as in [`raw`](Self::raw).
    #[inline]
    pub(crate) fn locate(&self, key: &str) -> Option<(usize, &[u8])> {
        self.data.locate(key)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Without keys, values and the user: it may end in a log.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("id", &self.id)
            .field("version", &self.version)
            .field("created", &self.created)
            .field("last_used", &self.last_used)
            .field("keys", &self.len())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

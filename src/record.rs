//! A session as a store holds it.

mod change;
mod entries;
mod limits;

use std::fmt;
use std::time::Duration;

#[cfg(feature = "redis")]
pub(crate) use change::not_an;
pub use change::{Applied, Change, Op};
pub(crate) use change::{NewSession, Ops, add, append};
pub(crate) use entries::Entries;
pub(crate) use limits::{Limits, Size};

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::secret::SessionId;
use crate::value::Value;

/// The version of the stored form that this crate writes. To add version 2: bump this, keep
/// reading 1 in [`Record::from_bytes`], add files to `fixtures/records/`, never edit those there.
/// A store that keeps these bytes raises the version of its own form with it, so that an older
/// program refuses the whole store instead of single records (`store/redb/tables.rs`).
const VERSION: u8 = 1;

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
    /// [`ErrorKind::Corrupt`] if the stored bytes are damaged.
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

    /// The stored form, version 1; [`from_bytes`](Self::from_bytes) reads it back.
    ///
    /// ```
    /// # use liquid_session::{Error, store::Record};
    /// fn copy(record: &Record) -> Result<Record, Error> {
    ///     Record::from_bytes(&record.to_bytes())
    /// }
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        let user = self.user.as_deref().unwrap_or_default();
        let mut out = Vec::with_capacity(64 + user.len() + self.data.as_bytes().len());
        out.push(VERSION);
        out.extend_from_slice(self.id.as_bytes());
        for number in [
            self.version,
            self.created.as_millis(),
            self.last_used.as_millis(),
            self.idle_timeout,
            self.ends.as_millis(),
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.push(u8::from(self.user.is_some()));
        out.extend_from_slice(&(user.len() as u32).to_le_bytes());
        out.extend_from_slice(user.as_bytes());
        out.extend_from_slice(self.data.as_bytes());
        out
    }

    /// Reads a stored form, of this version or an older one. Any bytes are safe to read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] for bytes that are damaged or of a newer version.
    ///
    /// ```
    /// use liquid_session::{ErrorKind, store::Record};
    ///
    /// let error = Record::from_bytes(b"\x09from the future").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Corrupt);
    /// assert_eq!(
    ///     error.to_string(),
    ///     "a stored session is of version 9, this program reads version 1: run a newer program",
    /// );
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        match bytes.first() {
            Some(&VERSION) => {}
            Some(newer) => return Err(of_version(newer)),
            None => return Err(damaged()),
        }
        Self::read_v1(&bytes[1..]).ok_or_else(damaged)
    }

    fn read_v1(mut rest: &[u8]) -> Option<Self> {
        let id = SessionId::from_bytes(chunk(&mut rest)?);
        let mut numbers = [0; 5];
        for number in &mut numbers {
            *number = u64::from_le_bytes(chunk(&mut rest)?);
        }
        let [signed_in] = chunk(&mut rest)?;
        let user_len = u32::from_le_bytes(chunk(&mut rest)?) as usize;
        let (user, data) = rest.split_at_checked(user_len)?;
        let user = std::str::from_utf8(user).ok()?;
        let [version, created, last_used, idle_timeout, ends] = numbers;
        Some(Self {
            id,
            version,
            created: Timestamp::from_millis(created),
            last_used: Timestamp::from_millis(last_used),
            idle_timeout,
            ends: Timestamp::from_millis(ends),
            user: match signed_in {
                0 if user.is_empty() => None,
                1 => Some(user.into()),
                _ => return None,
            },
            data: Entries::from_bytes(data)?,
        })
    }

    /// Puts a record together from its parts, for stores that keep each key by itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if a key is longer than 128 bytes.
    ///
    /// ```
    /// use std::time::Duration;
    /// use liquid_session::clock::Timestamp;
    /// use liquid_session::store::{Record, RecordParts};
    /// use liquid_session::SessionId;
    ///
    /// let record = Record::from_parts(RecordParts {
    ///     id: SessionId::from_bytes([1; 16]),
    ///     version: 1,
    ///     created: Timestamp::from_millis(0),
    ///     last_used: Timestamp::from_millis(0),
    ///     idle_timeout: Duration::from_secs(60),
    ///     ends: Timestamp::MAX,
    ///     user: None,
    ///     data: vec![("color".to_owned(), b"sdark".to_vec())],
    /// })?;
    /// assert_eq!(record.get("color")?, Some("dark".into()));
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn from_parts(mut parts: RecordParts) -> Result<Self, Error> {
        parts.data.sort_unstable();
        parts.data.dedup_by(|a, b| a.0 == b.0);
        if parts.data.iter().any(|(key, _)| key.len() > MAX_KEY_BYTES) {
            return Err(damaged());
        }
        Ok(Self {
            id: parts.id,
            version: parts.version,
            created: parts.created,
            last_used: parts.last_used,
            idle_timeout: millis(parts.idle_timeout),
            ends: parts.ends,
            user: parts.user.map(Into::into),
            data: Entries::build(
                parts
                    .data
                    .iter()
                    .map(|(key, value)| (key.as_str(), value.as_slice())),
            ),
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The longest key: 128 bytes.
pub(crate) const MAX_KEY_BYTES: usize = 128;

/// What [`Record::from_parts`] puts together.
///
/// See there for an example.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "each is the method of `Record` of that name")]
pub struct RecordParts {
    pub id: SessionId,
    pub version: u64,
    pub created: Timestamp,
    pub last_used: Timestamp,
    pub idle_timeout: Duration,
    pub ends: Timestamp,
    pub user: Option<String>,
    /// Keys and the stored forms of their values, in any order.
    pub data: Vec<(String, Vec<u8>)>,
}

/// For a stored form that only a newer program reads.
pub(crate) fn of_version(newer: impl fmt::Display) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!(
            "a stored session is of version {newer}, this program reads version {VERSION}: run a newer program"
        ),
    )
}

pub(crate) fn damaged() -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "a stored session can't be read: the record is damaged",
    )
}

fn chunk<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
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

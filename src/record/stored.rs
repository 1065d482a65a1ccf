//! The stored form of a record.

use std::fmt;
use std::time::Duration;

use super::{Entries, Record, millis};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::limits::MAX_KEY_BYTES;
use crate::secret::SessionId;

/// The version of the stored form that this crate writes. To add version 2: bump this, keep
/// reading 1 in [`Record::from_bytes`], add files to `fixtures/records/`, never edit those there.
/// A store that keeps these bytes raises the version of its own form with it, so that an older
/// program refuses the whole store instead of single records (`store/redb/tables.rs`).
const VERSION: u8 = 1;

impl Record {
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

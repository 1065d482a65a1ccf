//! The stored form of a record.
//!
//! ```text
//! form (1) | version tag (8) | last use (6) | creation (6) | deadline (6) | flags (1) | check (2)
//! session ID (16)
//! user: length (1), text | idle timeout (6)? | label: length (1), text ?      only with a user
//! entries
//! check of each value (2 each)
//! ```
//!
//! Numbers are little endian, times are milliseconds since 1970. A store can compare or change three
//! parts at fixed places: the version tag at 1, the last use at 9, the deadline at 21.
//!
//! Checks are CRC-16. The first one covers what decides which session and which keys these are: all
//! but the times, which a store changes in place, and the values. If it fails, the record is damaged;
//! if that of a value fails, only this value is.

use std::time::Duration;

use crc::{CRC_16_IBM_SDLC, Crc};

use super::{Entries, Owner, Record};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::secret::SessionId;

/// The form that this crate writes. To add form 2: raise this, keep reading 1 in
/// [`Record::from_bytes`], and add files to `fixtures/records/`; never edit those that are there.
const FORM: u8 = 1;

/// The ID begins here; the flags and the check of the record stand before it.
const ID: usize = 30;
const FLAGS: usize = 27;

static CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_SDLC);

const USER: u8 = 1;
const OWN_TIMEOUT: u8 = 2;
const LABEL: u8 = 4;
const PERSISTENT: u8 = 8;

impl Record {
    /// Returns the stored form, which [`from_bytes`](Self::from_bytes) reads.
    ///
    /// A store may compare and change these in place, little endian, times in milliseconds since
    /// 1970: the form at byte 0, which is 1; the [version](Self::version) in the eight bytes from 1;
    /// in six bytes each the last use from 9, the creation from 15 and the deadline from 21. Everything
    /// but the times is covered by checksums.
    ///
    /// ```
    /// use std::time::Duration;
    /// use liquid_session::clock::Timestamp;
    /// use liquid_session::store::{Change, Lifetime, Limits, Record};
    /// use liquid_session::SessionId;
    ///
    /// let record = Change::new(Limits::default(), Lifetime::new(Duration::from_secs(60)))
    ///     .create(SessionId::from_bytes([1; 16]))
    ///     .set("color", &"dark".into())
    ///     .created(Timestamp::from_millis(0))?
    ///     .expect("it creates a session");
    /// assert_eq!(Record::from_bytes(&record.to_bytes())?, record);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        let data = self.data.as_bytes();
        let owner = self.user().map_or(0, |user| user.len() + 8) + self.label().len();
        let mut out = Vec::with_capacity(ID + 16 + owner + data.len() + 2 * self.len());
        out.push(FORM);
        out.extend_from_slice(&self.version.to_le_bytes());
        for time in [self.last_used, self.created, self.deadline] {
            put(&mut out, time.as_millis());
        }
        out.extend_from_slice(&[0; 3]);
        out.extend_from_slice(self.id.as_bytes());
        if let Some(owner) = self.owner.as_deref() {
            out[FLAGS] = USER;
            put_text(&mut out, &owner.user);
            if let Some(timeout) = owner.idle_timeout {
                out[FLAGS] |= OWN_TIMEOUT;
                put(
                    &mut out,
                    u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
                );
            }
            if !owner.label.is_empty() {
                out[FLAGS] |= LABEL;
                put_text(&mut out, &owner.label);
            }
            if owner.persistent {
                out[FLAGS] |= PERSISTENT;
            }
        }
        let check = check(&out, &self.data);
        out[FLAGS + 1..ID].copy_from_slice(&check);
        out.extend_from_slice(data);
        for (_, value) in self.data.iter() {
            out.extend_from_slice(&CRC.checksum(value).to_le_bytes());
        }
        out
    }

    /// Reads a stored form. Any bytes are safe to read.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NewerForm`]: a newer program wrote the record.
    /// - [`ErrorKind::Corrupt`]: the bytes are no record, or a damaged one.
    ///
    /// ```
    /// use liquid_session::{ErrorKind, store::Record};
    ///
    /// let error = Record::from_bytes(b"\x09from the future").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NewerForm);
    /// assert_eq!(
    ///     error.to_string(),
    ///     "a stored session has form 9, this program reads form 1: run a newer program",
    /// );
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        match bytes.first() {
            Some(&FORM) => Self::read(bytes).ok_or_else(|| {
                Error::new(
                    ErrorKind::Corrupt,
                    "a stored session can't be read: the record is damaged",
                )
            }),
            Some(&newer @ 2..) => Err(Error::new(
                ErrorKind::NewerForm,
                format!(
                    "a stored session has form {newer}, this program reads form {FORM}: run a newer program"
                ),
            )),
            _ => Err(Error::new(
                ErrorKind::Corrupt,
                "a stored session can't be read: the record is damaged",
            )),
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = &bytes[1..];
        let version = u64::from_le_bytes(take(&mut rest)?);
        let [last_used, created, deadline] = [
            take_time(&mut rest)?,
            take_time(&mut rest)?,
            take_time(&mut rest)?,
        ];
        let [flags] = take(&mut rest)?;
        let expected: [u8; 2] = take(&mut rest)?;
        let id = SessionId::from_bytes(take(&mut rest)?);
        let known = USER | OWN_TIMEOUT | LABEL | PERSISTENT;
        if flags & !known != 0 || (flags & USER == 0 && flags != 0) {
            return None;
        }
        let owner = if flags & USER == 0 {
            None
        } else {
            let user = take_text(&mut rest)?;
            let idle_timeout = if flags & OWN_TIMEOUT == 0 {
                None
            } else {
                Some(Duration::from_millis(take_number(&mut rest)?))
            };
            let label = if flags & LABEL == 0 {
                Box::default()
            } else {
                take_text(&mut rest)?
            };
            Some(Box::new(Owner {
                user,
                idle_timeout,
                label,
                persistent: flags & PERSISTENT != 0,
            }))
        };
        let head = &bytes[..bytes.len() - rest.len()];
        let checks = Entries::count_in(rest)?.checked_mul(2)?;
        let (data, checks) = rest.split_at_checked(rest.len().checked_sub(checks)?)?;
        let mut data = Entries::from_bytes(data)?;
        if check(head, &data) != expected {
            return None;
        }
        data.damage_unless(|index, value| {
            CRC.checksum(value).to_le_bytes() == checks[2 * index..2 * index + 2]
        });
        Some(Self {
            id,
            version,
            created,
            last_used,
            deadline,
            owner,
            data,
        })
    }
}

/// The check of a record: of the bytes in front of the entries, but not of the times in them, and of
/// all entries but not of their values.
fn check(head: &[u8], data: &Entries) -> [u8; 2] {
    let mut digest = CRC.digest();
    digest.update(&head[..9]);
    digest.update(&head[FLAGS..=FLAGS]);
    digest.update(&head[ID..]);
    digest.update(data.index());
    digest.update(&(data.as_bytes().len() as u32).to_le_bytes());
    for (key, _) in data.iter() {
        digest.update(key.as_bytes());
    }
    digest.finalize().to_le_bytes()
}

/// Six bytes hold the milliseconds of nine thousand years.
fn put(out: &mut Vec<u8>, number: u64) {
    let bytes = number.min((1 << 48) - 1).to_le_bytes();
    out.extend_from_slice(&bytes[..6]);
}

/// Users and labels are shorter than 256 bytes.
fn put_text(out: &mut Vec<u8>, text: &str) {
    out.push(text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let [a, b, c, d, e, f] = take(rest)?;
    Some(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
}

fn take_time(rest: &mut &[u8]) -> Option<Timestamp> {
    take_number(rest).map(Timestamp::from_millis)
}

fn take_text(rest: &mut &[u8]) -> Option<Box<str>> {
    let [len] = take(rest)?;
    let (text, tail) = rest.split_at_checked(usize::from(len))?;
    *rest = tail;
    std::str::from_utf8(text).ok().map(Into::into)
}

//! What is in the file, and what each call does to it.
//!
//! Three tables that change together, in one transaction:
//!
//! - `sessions`: key of the session → the deadline under which it is filed (8 bytes, little endian)
//!   and [`Record::to_bytes`],
//! - `deadlines`: (deadline, key), one line for each session. A touch does not refile; the sweep
//!   refiles what it meets too early. So a line is never later than the record's own deadline;
//! - `users`: (user, key), one line for each session of somebody who is signed in.
//!
//! A fourth, `liquid_session`, holds the version of this layout under `format`. To add version 2:
//! bump [`FORMAT`], bring files of version 1 up in the transaction of `file::check`, add a file to
//! `fixtures/records/`, never edit those there. A new version of [`Record::to_bytes`] needs a new
//! version here as well: a program that can't read the records must not open the file.

mod filed;

use filed::Filed;
use redb::{ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::record::{Applied, Change, Record};
use crate::secret::StoreKey;
use crate::store::{Committed, Revoke, SessionInfo};

/// The version of the layout above.
pub(super) const FORMAT: u64 = 1;
pub(super) const FORMAT_KEY: &str = "format";
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("liquid_session");

type Key = &'static [u8; 32];

const SESSIONS: TableDefinition<'_, Key, &[u8]> = TableDefinition::new("sessions");
const DEADLINES: TableDefinition<'_, (u64, Key), ()> = TableDefinition::new("deadlines");
const USERS: TableDefinition<'_, (&str, Key), ()> = TableDefinition::new("users");

/// How many lines of the deadline index one transaction looks at: other calls wait for no more.
const SWEEP_BATCH: usize = 256;

/// Why a call did not do what it should.
pub(super) enum Fault {
    /// Its own fault, or that of one record: others in the same transaction go on.
    Own(Error),
    /// The database failed, and with it the transaction.
    Database(redb::Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

macro_rules! database_fault {
    ($($from:ty),+) => {
        $(impl From<$from> for Fault {
            fn from(error: $from) -> Self {
                Self::Database(error.into())
            }
        })+
    };
}

database_fault!(
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::SetDurabilityError
);

/// What a transaction has to do before its callers may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Written {
    /// Nothing: it can be dropped.
    Nothing,
    /// Touches and sweeps. Those that a crash takes back are made again: they need no fsync.
    Lazily,
    /// Changes that must be on disk.
    Durably,
}

/// How far a sweep came in one transaction.
pub(super) struct Swept {
    pub(super) removed: usize,
    /// Whether there may be more.
    pub(super) more: bool,
}

/// The tables inside a write transaction.
pub(super) struct Tables<'t> {
    sessions: Table<'t, Key, &'static [u8]>,
    deadlines: Table<'t, (u64, Key), ()>,
    users: Table<'t, (&'static str, Key), ()>,
    written: Written,
}

#[cfg(fuzzing)]
pub(crate) mod fuzzing {
    use super::{Error, Filed, Record};

    pub(crate) fn read(value: &[u8]) -> Result<(u64, Record), Error> {
        Filed::read(value).map(|filed| (filed.under, filed.record))
    }

    pub(crate) fn write(under: u64, record: &Record) -> Vec<u8> {
        Filed::bytes(under, record)
    }
}

fn find(
    sessions: &impl ReadableTable<Key, &'static [u8]>,
    key: &[u8; 32],
) -> Result<Option<Filed>, Fault> {
    match sessions.get(key)? {
        Some(bytes) => Ok(Some(Filed::read(bytes.value())?)),
        None => Ok(None),
    }
}

fn find_alive(
    sessions: &impl ReadableTable<Key, &'static [u8]>,
    key: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Filed>, Fault> {
    Ok(find(sessions, key)?.filter(|filed| !filed.record.is_expired(now)))
}

fn keys_of(
    users: &impl ReadableTable<(&'static str, Key), ()>,
    user: &str,
) -> Result<Vec<[u8; 32]>, Fault> {
    users
        .range((user, &[0; 32])..=(user, &[0xff; 32]))?
        .map(|line| Ok(*line?.0.value().1))
        .collect()
}

impl<'t> Tables<'t> {
    /// Opens the tables, and makes those that are not there.
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Fault> {
        Ok(Self {
            sessions: transaction.open_table(SESSIONS)?,
            deadlines: transaction.open_table(DEADLINES)?,
            users: transaction.open_table(USERS)?,
            written: Written::Nothing,
        })
    }

    pub(super) fn written(&self) -> Written {
        self.written
    }

    fn wrote(&mut self, how: Written) {
        self.written = self.written.max(how);
    }

    pub(super) fn commit(
        &mut self,
        key: &StoreKey,
        change: &Change,
        now: Timestamp,
    ) -> Result<Committed, Fault> {
        let key = key.as_bytes();
        if change.creates() {
            let Some(record) = change.create(now)? else {
                return Ok(Committed::Gone);
            };
            self.refuse_taken(key)?;
            self.insert(key, &record)?;
            return Ok(Committed::Stored {
                taken: Vec::new(),
                version: record.version(),
            });
        }
        let Some(before) = find_alive(&self.sessions, key, now)? else {
            return Ok(Committed::Gone);
        };
        let mut after = before.record.clone();
        // Everything that can fail by the fault of this change comes before the first write: the
        // transaction belongs to others too.
        let Applied::Changed { taken } = change.apply(&mut after, now)? else {
            return Ok(Committed::Conflict);
        };
        match change.renew_to() {
            Some(new) if new.as_bytes() != key => {
                self.refuse_taken(new.as_bytes())?;
                self.remove(key, &before)?;
                self.insert(new.as_bytes(), &after)?;
            }
            _ if after == before.record => {}
            _ => self.update(key, &before, &after)?,
        }
        Ok(Committed::Stored {
            taken,
            version: after.version(),
        })
    }

    pub(super) fn touch(&mut self, key: &StoreKey, now: Timestamp) -> Result<bool, Fault> {
        let key = key.as_bytes();
        let Some(mut filed) = find_alive(&self.sessions, key, now)? else {
            return Ok(false);
        };
        let before = filed.record.last_used();
        filed.record.touch(now);
        if filed.record.last_used() != before {
            self.put(key, filed.under, &filed.record)?;
            self.wrote(Written::Lazily);
        }
        Ok(true)
    }

    pub(super) fn destroy(&mut self, key: &StoreKey) -> Result<bool, Fault> {
        let Some(filed) = find(&self.sessions, key.as_bytes())? else {
            return Ok(false);
        };
        self.remove(key.as_bytes(), &filed)?;
        Ok(true)
    }

    pub(super) fn revoke(
        &mut self,
        user: &str,
        which: Revoke,
        now: Timestamp,
    ) -> Result<usize, Fault> {
        let mut revoked = 0;
        // All are read before the first is removed: one that is damaged fails the call as a whole.
        let mut meant = Vec::new();
        for key in keys_of(&self.users, user)? {
            if let Some(filed) = find(&self.sessions, &key)?
                && which.means(filed.record.id())
            {
                meant.push((key, filed));
            }
        }
        for (key, filed) in meant {
            self.remove(&key, &filed)?;
            revoked += usize::from(!filed.record.is_expired(now));
        }
        Ok(revoked)
    }

    /// Walks the index from its earliest line, and looks at no more than a batch.
    pub(super) fn sweep(&mut self, now: Timestamp, max: usize) -> Result<Swept, Fault> {
        let mut removed = 0;
        for _ in 0..SWEEP_BATCH {
            if removed >= max {
                break;
            }
            let due = match self.deadlines.first()? {
                Some((line, _)) => {
                    let (under, key) = line.value();
                    (under <= now.as_millis()).then_some((under, *key))
                }
                None => None,
            };
            let Some((under, key)) = due else {
                return Ok(Swept {
                    removed,
                    more: false,
                });
            };
            self.wrote(Written::Lazily);
            match find(&self.sessions, &key) {
                // Used since it was filed. Also when it has expired meanwhile: the longest expired
                // goes first.
                Ok(Some(filed)) if filed.record.deadline().as_millis() > under => {
                    let deadline = filed.record.deadline().as_millis();
                    self.deadlines.remove((under, &key))?;
                    self.deadlines.insert((deadline, &key), ())?;
                    self.put(&key, deadline, &filed.record)?;
                }
                Ok(Some(filed)) => {
                    self.unfile(&key, &filed)?;
                    removed += 1;
                }
                Ok(None) => {
                    self.deadlines.remove((under, &key))?;
                }
                // Nobody can read it, so nobody has touched it since.
                Err(Fault::Own(_)) => {
                    self.deadlines.remove((under, &key))?;
                    self.sessions.remove(&key)?;
                    removed += 1;
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(Swept {
            removed,
            more: removed < max,
        })
    }

    fn refuse_taken(&self, key: &[u8; 32]) -> Result<(), Fault> {
        match self.sessions.get(key)? {
            // 256 random bits met: somebody feeds us old ones.
            Some(_) => Err(Fault::Own(Error::new(
                ErrorKind::Unavailable,
                "a new session got the key of another one: the system's random generator repeats itself",
            ))),
            None => Ok(()),
        }
    }

    fn insert(&mut self, key: &[u8; 32], record: &Record) -> Result<(), Fault> {
        let deadline = record.deadline().as_millis();
        self.put(key, deadline, record)?;
        self.deadlines.insert((deadline, key), ())?;
        if let Some(user) = record.user() {
            self.users.insert((user, key), ())?;
        }
        self.wrote(Written::Durably);
        Ok(())
    }

    fn update(&mut self, key: &[u8; 32], before: &Filed, after: &Record) -> Result<(), Fault> {
        let deadline = after.deadline().as_millis();
        let under = before.under.min(deadline);
        if under != before.under {
            self.deadlines.remove((before.under, key))?;
            self.deadlines.insert((under, key), ())?;
        }
        if before.record.user() != after.user() {
            if let Some(user) = before.record.user() {
                self.users.remove((user, key))?;
            }
            if let Some(user) = after.user() {
                self.users.insert((user, key), ())?;
            }
        }
        self.put(key, under, after)?;
        self.wrote(Written::Durably);
        Ok(())
    }

    fn put(&mut self, key: &[u8; 32], under: u64, record: &Record) -> Result<(), Fault> {
        let bytes = Filed::bytes(under, record);
        self.sessions.insert(key, bytes.as_slice())?;
        Ok(())
    }

    fn remove(&mut self, key: &[u8; 32], filed: &Filed) -> Result<(), Fault> {
        self.unfile(key, filed)?;
        self.wrote(Written::Durably);
        Ok(())
    }

    fn unfile(&mut self, key: &[u8; 32], filed: &Filed) -> Result<(), Fault> {
        self.sessions.remove(key)?;
        self.deadlines.remove((filed.under, key))?;
        if let Some(user) = filed.record.user() {
            self.users.remove((user, key))?;
        }
        Ok(())
    }
}

pub(super) fn load(
    transaction: &ReadTransaction,
    key: &StoreKey,
    now: Timestamp,
) -> Result<Option<Arc<Record>>, Fault> {
    let sessions = transaction.open_table(SESSIONS)?;
    let filed = find_alive(&sessions, key.as_bytes(), now)?;
    Ok(filed.map(|filed| Arc::new(filed.record)))
}

pub(super) fn user_sessions(
    transaction: &ReadTransaction,
    user: &str,
    now: Timestamp,
) -> Result<Vec<SessionInfo>, Fault> {
    let sessions = transaction.open_table(SESSIONS)?;
    let mut list = Vec::new();
    for key in keys_of(&transaction.open_table(USERS)?, user)? {
        if let Some(filed) = find_alive(&sessions, &key, now)? {
            list.push(SessionInfo::from(&filed.record));
        }
    }
    Ok(list)
}

pub(super) fn scan(
    transaction: &ReadTransaction,
    now: Timestamp,
    visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
) -> Result<(), Fault> {
    for line in transaction.open_table(SESSIONS)?.iter()? {
        let (key, bytes) = line?;
        let record = Filed::read(bytes.value())?.record;
        if !record.is_expired(now) && !visit(&StoreKey::from_bytes(*key.value()), &record) {
            break;
        }
    }
    Ok(())
}

//! What is in the file, and what each call does to it.
//!
//! Four tables that change together, in one transaction:
//!
//! - `records`: store key → the deadline that the session is filed under, the old keys that lead to
//!   it (oldest first), and [`Record::to_bytes`];
//! - `forwards`: old store key → the end of the forward, whether a login made it, and the new key;
//! - `deadlines`: (deadline, key), one line for each record and each forward. A touch does not refile;
//!   the sweep refiles what it finds too early. So a line is never later than the record's deadline;
//! - `users`: (user, session ID, key), one line for each session that has a user. A record that is
//!   removed because it can't be read leaves its line behind.
//!
//! A fifth, `liquid_session`, holds the version of this layout under `format`. To add version 2: raise
//! [`FORMAT`], bring files of version 1 up in [`prepare`], add a file to `fixtures/records/`, never
//! edit those that are there.

use std::sync::Arc;
use std::time::Duration;

use redb::{
    Database, ReadTransaction, ReadableTable, ReadableTableMetadata as _, Table, TableDefinition,
    TableError, WriteTransaction,
};

use crate::clock::Timestamp;
use crate::store::{
    Change, Committed, Forward, IndexLine, Loaded, Record, StoreKey, Swapped, Touch,
};
use crate::{Error, ErrorKind, SessionId};

const FORMAT: u64 = 1;
const FORMAT_KEY: &str = "format";
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("liquid_session");

type Key = &'static [u8; 32];
type RecordRow = (u64, &'static [u8], &'static [u8]);
type ForwardRow = (u64, bool, Key);
type UserLine = (&'static str, &'static [u8; 16], Key);

const RECORDS: TableDefinition<'_, Key, RecordRow> = TableDefinition::new("records");
const FORWARDS: TableDefinition<'_, Key, ForwardRow> = TableDefinition::new("forwards");
const DEADLINES: TableDefinition<'_, (u64, Key), ()> = TableDefinition::new("deadlines");
const USERS: TableDefinition<'_, UserLine, ()> = TableDefinition::new("users");

/// How many forwards lead to one session; the oldest goes first.
const MAX_FORWARDS: usize = 8;

/// How many lines of the deadline index one transaction looks at, so that other calls wait no longer.
const SWEEP_BATCH: usize = 256;

/// When a sweep looks again at a record of a newer form.
const LOOK_AGAIN: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) const FOREIGN: &str =
    "expected a session database, found the file of another program: choose another file";

/// Why a call failed.
pub(super) enum Fault {
    /// By itself, or by one record: other calls in the same transaction go on.
    Own(Error),
    /// The database failed, and with it the transaction.
    Database(redb::Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Database(error.into())
    }
}

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

/// Makes the tables of a new database, or refuses one that this program must not write to.
pub(super) fn prepare(database: &Database, is_new: bool) -> Result<(), Fault> {
    let write = database.begin_write()?;
    {
        let foreign = || Fault::Own(Error::new(ErrorKind::Corrupt, FOREIGN));
        let mut meta = write.open_table(META).map_err(|error| match error {
            TableError::Storage(error) => error.into(),
            _ => foreign(),
        })?;
        if is_new {
            meta.insert(FORMAT_KEY, FORMAT)?;
        }
        let format = meta.get(FORMAT_KEY)?.map(|format| format.value());
        match format {
            Some(FORMAT) => {}
            Some(newer) if newer > FORMAT => {
                return Err(Fault::Own(Error::new(
                    ErrorKind::Corrupt,
                    format!(
                        "the session database is of format version {newer}, this program reads version {FORMAT}: run a newer program"
                    ),
                )));
            }
            _ => return Err(foreign()),
        }
        // Checks the types of those that are there.
        Tables::open(&write)?;
    }
    Ok(write.commit()?)
}

/// Copies all tables.
pub(super) fn copy(read: &ReadTransaction, write: &WriteTransaction) -> Result<(), Fault> {
    fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
        read: &ReadTransaction,
        write: &WriteTransaction,
        table: TableDefinition<'_, K, V>,
    ) -> Result<(), Fault> {
        let mut to = write.open_table(table)?;
        for line in read.open_table(table)?.iter()? {
            let (key, value) = line?;
            to.insert(key.value(), value.value())?;
        }
        Ok(())
    }
    table(read, write, META)?;
    table(read, write, RECORDS)?;
    table(read, write, FORWARDS)?;
    table(read, write, DEADLINES)?;
    table(read, write, USERS)
}

/// A line of `records`.
struct Row {
    filed: u64,
    trail: Vec<u8>,
    record: Result<Record, Error>,
}

impl Row {
    fn record(&self) -> Result<&Record, Fault> {
        self.record.as_ref().map_err(|error| error.clone().into())
    }
}

/// What a key leads to.
enum Found {
    /// A record that is not expired, or can't be read.
    Row(Row),
    Moved(Forward),
    Nothing,
}

fn row(records: &impl ReadableTable<Key, RecordRow>, key: &[u8; 32]) -> Result<Option<Row>, Fault> {
    Ok(records.get(key)?.map(|line| {
        let (filed, trail, record) = line.value();
        Row {
            filed,
            trail: trail.to_vec(),
            record: Record::from_bytes(record),
        }
    }))
}

fn find(
    records: &impl ReadableTable<Key, RecordRow>,
    forwards: &impl ReadableTable<Key, ForwardRow>,
    key: &StoreKey,
    now: Timestamp,
) -> Result<Found, Fault> {
    if let Some(row) = row(records, key.as_bytes())? {
        let expired = row
            .record
            .as_ref()
            .is_ok_and(|record| record.is_expired(now));
        return Ok(if expired {
            Found::Nothing
        } else {
            Found::Row(row)
        });
    }
    let forward = forwards.get(key.as_bytes())?.map(|line| {
        let (until, by_login, to) = line.value();
        Forward {
            to: StoreKey::from_bytes(*to),
            by_login,
            until: Timestamp::from_millis(until),
        }
    });
    Ok(match forward {
        Some(forward) if forward.is_alive(now) => Found::Moved(forward),
        _ => Found::Nothing,
    })
}

/// The tables inside a write transaction.
pub(super) struct Tables<'t> {
    records: Table<'t, Key, RecordRow>,
    forwards: Table<'t, Key, ForwardRow>,
    deadlines: Table<'t, (u64, Key), ()>,
    users: Table<'t, UserLine, ()>,
    written: Written,
}

impl<'t> Tables<'t> {
    /// Opens the tables, and makes those that are not there.
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Fault> {
        Ok(Self {
            records: transaction.open_table(RECORDS)?,
            forwards: transaction.open_table(FORWARDS)?,
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

    fn find(&self, key: &StoreKey, now: Timestamp) -> Result<Found, Fault> {
        find(&self.records, &self.forwards, key, now)
    }

    // In each call, what can fail by the call's own fault comes before its first write: the transaction
    // belongs to other calls too.

    pub(super) fn commit(
        &mut self,
        key: &StoreKey,
        change: &Change,
        now: Timestamp,
    ) -> Result<Committed, Fault> {
        if let Some(record) = change.created(now)? {
            self.create(key, &record)?;
            return Ok(Committed::Stored {
                key: *key,
                merged: false,
            });
        }
        let (mut key, mut followed) = (*key, false);
        let row = loop {
            match self.find(&key, now)? {
                Found::Row(row) => break row,
                Found::Moved(forward) if change.follows(&forward) => {
                    (key, followed) = (forward.to, true);
                }
                Found::Moved(_) | Found::Nothing => return Ok(Committed::Gone),
            }
        };
        let before = row.record()?;
        let merged = before.version() != change.loaded_version();
        let mut after = before.clone();
        if !change.apply(&mut after, now)? {
            return Ok(Committed::Conflict);
        }
        if let Some(to) = change.renew_to(followed) {
            self.relocate(&key, row, &after, Forward::new(to, change, now))?;
            key = to;
        } else {
            self.update(&key, &row, &after, Written::Durably)?;
        }
        Ok(Committed::Stored { key, merged })
    }

    /// Puts `after` in the place of the record of version `before`, and moves it if there is a forward.
    /// Without `before` it creates a record; without `after` it removes one; without both it removes
    /// one that can't be read.
    pub(super) fn swap(
        &mut self,
        key: &StoreKey,
        before: Option<u64>,
        after: Option<&Record>,
        forward: Option<Forward>,
        now: Timestamp,
    ) -> Result<Swapped, Fault> {
        if let (None, Some(record)) = (before, after) {
            self.create(key, record)?;
            return Ok(Swapped::Done);
        }
        let row = match self.find(key, now)? {
            Found::Row(row) => row,
            Found::Moved(forward) => return Ok(Swapped::Moved(forward)),
            Found::Nothing => return Ok(Swapped::Gone),
        };
        match (&row.record, before) {
            (Err(error), Some(_)) => return Err(error.clone().into()),
            (Ok(current), before) if before != Some(current.version()) => {
                return Ok(Swapped::Current(Arc::new(current.clone())));
            }
            _ => {}
        }
        match (after, forward) {
            (None, _) => {
                self.end(key.as_bytes(), &row)?;
                self.wrote(Written::Durably);
            }
            (Some(after), Some(forward)) => {
                let after = after.with_later_use(row.record()?, now);
                self.relocate(key, row, &after, forward)?;
            }
            (Some(after), None) => {
                let after = after.with_later_use(row.record()?, now);
                self.update(key, &row, &after, Written::Durably)?;
            }
        }
        Ok(Swapped::Done)
    }

    pub(super) fn touch(&mut self, key: &StoreKey, touch: &Touch<'_>) -> Result<(), Fault> {
        if let Found::Row(row) = self.find(key, touch.at)? {
            let before = row.record()?;
            let mut after = before.clone();
            after.touch(touch);
            if after != *before {
                self.update(key, &row, &after, Written::Lazily)?;
            }
        }
        Ok(())
    }

    /// Walks the index from its earliest line, and looks at no more than a batch. Returns how many
    /// records it removed, and whether there may be more.
    pub(super) fn sweep(&mut self, now: Timestamp, max: usize) -> Result<(usize, bool), Fault> {
        let mut removed = 0;
        for _ in 0..SWEEP_BATCH {
            if removed >= max {
                break;
            }
            let first = self.deadlines.first()?.map(|(line, _)| {
                let (filed, key) = line.value();
                (filed, *key)
            });
            let Some((filed, key)) = first.filter(|(filed, _)| *filed <= now.as_millis()) else {
                return Ok((removed, false));
            };
            self.wrote(Written::Lazily);
            self.deadlines.remove((filed, &key))?;
            self.forwards.remove(&key)?;
            let Some(row) = row(&self.records, &key)? else {
                continue;
            };
            let later = match &row.record {
                // Used since it was filed. Also refiled if it has expired meanwhile: the longest expired
                // goes first.
                Ok(record) => record.deadline(),
                Err(error) if error.kind() == ErrorKind::NewerForm => now + LOOK_AGAIN,
                Err(_) => Timestamp::default(),
            };
            if later.as_millis() > filed {
                self.refile(&key, later.as_millis())?;
            } else {
                self.end(&key, &row)?;
                removed += 1;
            }
        }
        Ok((removed, removed < max))
    }

    fn refuse_used(&self, key: &StoreKey) -> Result<(), Fault> {
        let key = key.as_bytes();
        if self.records.get(key)?.is_some() || self.forwards.get(key)?.is_some() {
            return Err(Fault::Own(Error::new(
                ErrorKind::Unavailable,
                "a new session got the key of another one: the system's random generator repeats itself",
            )));
        }
        Ok(())
    }

    fn create(&mut self, key: &StoreKey, record: &Record) -> Result<(), Fault> {
        self.refuse_used(key)?;
        self.insert(key, record, &[])
    }

    fn insert(&mut self, key: &StoreKey, record: &Record, trail: &[u8]) -> Result<(), Fault> {
        let deadline = record.deadline().as_millis();
        self.put(key, deadline, trail, record)?;
        self.deadlines.insert((deadline, key.as_bytes()), ())?;
        self.index(key, record)?;
        self.wrote(Written::Durably);
        Ok(())
    }

    fn update(
        &mut self,
        key: &StoreKey,
        row: &Row,
        after: &Record,
        written: Written,
    ) -> Result<(), Fault> {
        let before = row.record()?;
        let filed = row.filed.min(after.deadline().as_millis());
        if filed != row.filed {
            self.deadlines.remove((row.filed, key.as_bytes()))?;
            self.deadlines.insert((filed, key.as_bytes()), ())?;
        }
        if before.user() != after.user() {
            self.unindex(key.as_bytes(), before)?;
            self.index(key, after)?;
        }
        self.put(key, filed, &row.trail, after)?;
        self.wrote(written);
        Ok(())
    }

    /// Moves a session to another key, and leaves a forward.
    fn relocate(
        &mut self,
        from: &StoreKey,
        mut row: Row,
        after: &Record,
        forward: Forward,
    ) -> Result<(), Fault> {
        self.refuse_used(&forward.to)?;
        let mut trail = std::mem::take(&mut row.trail);
        self.end(from.as_bytes(), &row)?;
        if let (Some(oldest), MAX_FORWARDS) = (trail.first_chunk(), trail.len() / 32) {
            self.drop_forward(oldest)?;
            trail.drain(..32);
        }
        trail.extend_from_slice(from.as_bytes());
        let until = forward.until.as_millis();
        self.forwards.insert(
            from.as_bytes(),
            (until, forward.by_login, forward.to.as_bytes()),
        )?;
        self.deadlines.insert((until, from.as_bytes()), ())?;
        self.insert(&forward.to, after, &trail)
    }

    /// Removes a record, its lines and its forwards.
    fn end(&mut self, key: &[u8; 32], row: &Row) -> Result<(), Fault> {
        self.records.remove(key)?;
        self.deadlines.remove((row.filed, key))?;
        if let Ok(record) = &row.record {
            self.unindex(key, record)?;
        }
        for old in row.trail.as_chunks().0 {
            self.drop_forward(old)?;
        }
        Ok(())
    }

    fn drop_forward(&mut self, key: &[u8; 32]) -> Result<(), Fault> {
        let until = self.forwards.remove(key)?.map(|line| line.value().0);
        if let Some(until) = until {
            self.deadlines.remove((until, key))?;
        }
        Ok(())
    }

    fn put(
        &mut self,
        key: &StoreKey,
        filed: u64,
        trail: &[u8],
        record: &Record,
    ) -> Result<(), Fault> {
        let bytes = record.to_bytes();
        self.records
            .insert(key.as_bytes(), (filed, trail, bytes.as_slice()))?;
        Ok(())
    }

    /// Files a record that may be unreadable under another deadline.
    fn refile(&mut self, key: &[u8; 32], filed: u64) -> Result<(), Fault> {
        let copy = self.records.get(key)?.map(|line| {
            let (_, trail, record) = line.value();
            (trail.to_vec(), record.to_vec())
        });
        if let Some((trail, record)) = copy {
            self.records
                .insert(key, (filed, trail.as_slice(), record.as_slice()))?;
            self.deadlines.insert((filed, key), ())?;
        }
        Ok(())
    }

    fn index(&mut self, key: &StoreKey, record: &Record) -> Result<(), Fault> {
        if let Some(user) = record.user() {
            self.users
                .insert((user, record.id().as_bytes(), key.as_bytes()), ())?;
        }
        Ok(())
    }

    fn unindex(&mut self, key: &[u8; 32], record: &Record) -> Result<(), Fault> {
        if let Some(user) = record.user() {
            self.users.remove((user, record.id().as_bytes(), key))?;
        }
        Ok(())
    }
}

pub(super) fn load(
    read: &ReadTransaction,
    key: &StoreKey,
    now: Timestamp,
) -> Result<Loaded, Fault> {
    let (records, forwards) = (read.open_table(RECORDS)?, read.open_table(FORWARDS)?);
    Ok(match find(&records, &forwards, key, now)? {
        Found::Row(row) => Loaded::Found(Arc::new(row.record?)),
        Found::Moved(forward) => Loaded::Moved(forward),
        Found::Nothing => Loaded::Absent,
    })
}

pub(super) fn user_index(read: &ReadTransaction, user: &str) -> Result<Vec<IndexLine>, Fault> {
    let all = (user, &[0; 16], &[0; 32])..=(user, &[0xff; 16], &[0xff; 32]);
    read.open_table(USERS)?
        .range(all)?
        .map(|line| {
            let line = line?.0;
            let (_, id, key) = line.value();
            Ok(IndexLine {
                id: SessionId::from_bytes(*id),
                key: StoreKey::from_bytes(*key),
            })
        })
        .collect()
}

pub(super) fn scan(
    read: &ReadTransaction,
    now: Timestamp,
    visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
) -> Result<(), Fault> {
    for line in read.open_table(RECORDS)?.iter()? {
        let (key, row) = line?;
        if let Ok(record) = Record::from_bytes(row.value().2)
            && !record.is_expired(now)
            && !visit(&StoreKey::from_bytes(*key.value()), &record)
        {
            break;
        }
    }
    Ok(())
}

pub(super) fn count(read: &ReadTransaction) -> Result<usize, Fault> {
    let count = read.open_table(RECORDS)?.len()?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

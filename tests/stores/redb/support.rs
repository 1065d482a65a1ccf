//! What the tests of this folder share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use liquid_session::clock::{Clock as _, ManualClock, Timestamp};
use liquid_session::store::{Loaded, Record, RedbStore, SessionStore as _, StoreKey};
use liquid_session::{Session, SessionConfig, SessionId, Sessions};
use redb::{
    ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, TableDefinition,
};

/// A folder with a database in it, and a clock that stands.
pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) clock: ManualClock,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: ManualClock::new(),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("sessions.redb")
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn open(&self) -> (Sessions, Arc<RedbStore>) {
        let store = Arc::new(RedbStore::open(self.path()).unwrap());
        let sessions =
            Sessions::new(store.clone(), SessionConfig::default()).with_clock(self.clock.clone());
        (sessions, store)
    }
}

/// Commits, and gives the cookie that this led to.
pub(crate) fn cookie(session: &Session) -> String {
    session.commit().unwrap().secret().unwrap().expose()
}

/// Begins a session with one key, for a user or for none.
pub(crate) fn begin(sessions: &Sessions, n: i64, user: Option<&str>) -> String {
    let session = sessions.open(None);
    session.set("n", n).unwrap();
    if let Some(user) = user {
        session.login(user).unwrap();
    }
    cookie(&session)
}

/// All sessions that can be read.
pub(crate) fn records(store: &RedbStore, now: Timestamp) -> Vec<(StoreKey, Record)> {
    let mut records = Vec::new();
    let visit = &mut |key: &StoreKey, record: &Record| {
        records.push((*key, record.clone()));
        true
    };
    store.scan(now, visit).unwrap();
    records
}

pub(crate) fn load(store: &RedbStore, key: &StoreKey, now: Timestamp) -> Record {
    match store.load(key, now).unwrap() {
        Loaded::Found(record) => Record::clone(&record),
        other => panic!("expected a record, found {other:?}"),
    }
}

type Row = (u64, &'static [u8], &'static [u8]);
type Line = (&'static str, &'static [u8; 16], &'static [u8; 32]);

pub(crate) const RECORDS: TableDefinition<'_, &[u8; 32], Row> = TableDefinition::new("records");
const FORWARDS: TableDefinition<'_, &[u8; 32], (u64, bool, &[u8; 32])> =
    TableDefinition::new("forwards");
const DEADLINES: TableDefinition<'_, (u64, &[u8; 32]), ()> = TableDefinition::new("deadlines");
const USERS: TableDefinition<'_, Line, ()> = TableDefinition::new("users");

/// Compares the tables of a file that no store has open: each record and each forward has its lines
/// in the indexes, each forward its session, and there are no other lines. Gives the number of records
/// and of forwards.
pub(crate) fn check_tables(path: &Path) -> (usize, usize) {
    let database = redb::Database::open(path).unwrap();
    let read = database.begin_read().unwrap();
    let records = read.open_table(RECORDS).unwrap();
    let forwards = read.open_table(FORWARDS).unwrap();
    let deadlines = read.open_table(DEADLINES).unwrap();
    let users = read.open_table(USERS).unwrap();
    let (mut signed_in, mut followed) = (0, 0);
    for line in records.iter().unwrap() {
        let (key, row) = line.unwrap();
        let (filed, trail, record) = row.value();
        let record = Record::from_bytes(record).unwrap();
        assert!(
            filed <= record.deadline().as_millis(),
            "filed too late: never swept in time"
        );
        assert!(
            deadlines.get((filed, key.value())).unwrap().is_some(),
            "no line by deadline"
        );
        if let Some(user) = record.user() {
            let id = record.id();
            let line = (user, id.as_bytes(), key.value());
            assert!(users.get(line).unwrap().is_some(), "no line by user");
            signed_in += 1;
        }
        assert!(trail.len() <= 8 * 32);
        for old in trail.as_chunks().0 {
            followed += u64::from(forwards.get(old).unwrap().is_some());
        }
    }
    for line in forwards.iter().unwrap() {
        let (key, forward) = line.unwrap();
        let line = (forward.value().0, key.value());
        assert!(
            deadlines.get(line).unwrap().is_some(),
            "a forward that is never swept"
        );
    }
    let [records, forwards, deadlines, users] =
        [records.len(), forwards.len(), deadlines.len(), users.len()].map(Result::unwrap);
    assert_eq!(forwards, followed, "forwards without a session");
    assert_eq!(deadlines, records + forwards, "lines without a record");
    assert_eq!(users, signed_in, "lines of users without a record");
    (
        usize::try_from(records).unwrap(),
        usize::try_from(forwards).unwrap(),
    )
}

/// Changes the stored form of a session in a file that no store has open.
pub(crate) fn change_record(path: &Path, id: SessionId, change: impl Fn(&mut Vec<u8>)) {
    let database = redb::Database::open(path).unwrap();
    let write = database.begin_write().unwrap();
    {
        let mut records = write.open_table(RECORDS).unwrap();
        let mut changed = None;
        for line in records.iter().unwrap() {
            let (key, row) = line.unwrap();
            let (filed, trail, record) = row.value();
            if Record::from_bytes(record).unwrap().id() == id {
                let mut record = record.to_vec();
                change(&mut record);
                changed = Some((*key.value(), filed, trail.to_vec(), record));
            }
        }
        let (key, filed, trail, record) = changed.unwrap();
        records
            .insert(&key, (filed, trail.as_slice(), record.as_slice()))
            .unwrap();
    }
    write.commit().unwrap();
}

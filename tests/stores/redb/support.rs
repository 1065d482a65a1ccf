//! What the tests of this folder share.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use liquid_session::clock::{ManualClock, Timestamp};
use liquid_session::store::{
    Change, Committed, Record, RedbStore, Revoke, SessionInfo, SessionStore, StoreKey,
};
use liquid_session::{Error, Session, SessionConfig, Sessions};
use redb::{
    ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, TableDefinition,
};

/// A store that several hands hold, and that remembers what was committed to it.
#[derive(Clone)]
pub(crate) struct Probe {
    store: Arc<RedbStore>,
    commits: Arc<Mutex<Vec<(StoreKey, Change)>>>,
}

impl Probe {
    pub(crate) fn open(path: &Path) -> Self {
        Self {
            store: Arc::new(RedbStore::open(path).unwrap()),
            commits: Arc::default(),
        }
    }

    /// The last commit: its key, and what was to be done.
    pub(crate) fn last_commit(&self) -> (StoreKey, Change) {
        self.commits.lock().unwrap().last().cloned().unwrap()
    }

    /// The keys of all sessions.
    pub(crate) fn keys(&self, now: Timestamp) -> Vec<StoreKey> {
        let mut keys = Vec::new();
        self.scan(now, &mut |key, _| {
            keys.push(*key);
            true
        })
        .unwrap();
        keys
    }
}

impl SessionStore for Probe {
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Option<Arc<Record>>, Error> {
        self.store.load(key, now)
    }

    fn commit(&self, key: &StoreKey, change: &Change, now: Timestamp) -> Result<Committed, Error> {
        self.commits.lock().unwrap().push((*key, change.clone()));
        self.store.commit(key, change, now)
    }

    fn touch(&self, key: &StoreKey, now: Timestamp) -> Result<bool, Error> {
        self.store.touch(key, now)
    }

    fn destroy(&self, key: &StoreKey) -> Result<bool, Error> {
        self.store.destroy(key)
    }

    fn user_sessions(&self, user: &str, now: Timestamp) -> Result<Vec<SessionInfo>, Error> {
        self.store.user_sessions(user, now)
    }

    fn revoke(&self, user: &str, which: Revoke, now: Timestamp) -> Result<usize, Error> {
        self.store.revoke(user, which, now)
    }

    fn sweep(&self, now: Timestamp, max: usize) -> Result<usize, Error> {
        self.store.sweep(now, max)
    }

    fn scan(
        &self,
        now: Timestamp,
        visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
    ) -> Result<(), Error> {
        self.store.scan(now, visit)
    }
}

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

    pub(crate) fn open(&self) -> (Sessions, Probe) {
        let probe = Probe::open(&self.path());
        let sessions =
            Sessions::new(probe.clone(), SessionConfig::default()).with_clock(self.clock.clone());
        (sessions, probe)
    }
}

/// Commits, and gives the cookie that this led to.
pub(crate) fn cookie(session: &Session) -> String {
    session.commit().unwrap().secret().unwrap().expose()
}

const SESSIONS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("sessions");
const DEADLINES: TableDefinition<'_, (u64, &[u8; 32]), ()> = TableDefinition::new("deadlines");
const USERS: TableDefinition<'_, (&str, &[u8; 32]), ()> = TableDefinition::new("users");

/// Compares the three tables of a file that nobody has open: each record has its line in both
/// indexes, and there are no other lines. Gives the number of records.
pub(crate) fn check_tables(path: &Path) -> usize {
    let database = redb::Database::open(path).unwrap();
    let read = database.begin_read().unwrap();
    let sessions = read.open_table(SESSIONS).unwrap();
    let deadlines = read.open_table(DEADLINES).unwrap();
    let users = read.open_table(USERS).unwrap();
    let (mut records, mut signed_in) = (0, 0);
    for line in sessions.iter().unwrap() {
        let (key, bytes) = line.unwrap();
        let (under, record) = bytes.value().split_first_chunk().unwrap();
        let under = u64::from_le_bytes(*under);
        let record = Record::from_bytes(record).unwrap();
        assert!(
            under <= record.deadline().as_millis(),
            "filed too late: never swept in time"
        );
        assert!(
            deadlines.get((under, key.value())).unwrap().is_some(),
            "no line by deadline"
        );
        if let Some(user) = record.user() {
            assert!(
                users.get((user, key.value())).unwrap().is_some(),
                "no line by user"
            );
            signed_in += 1;
        }
        records += 1;
    }
    assert_eq!(deadlines.len().unwrap(), records, "lines without a record");
    assert_eq!(
        users.len().unwrap(),
        signed_in,
        "lines of users without a record"
    );
    usize::try_from(records).unwrap()
}

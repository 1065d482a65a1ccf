//! Sessions on disk: what a shared fsync is worth.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use liquid_session::clock::Timestamp;
use liquid_session::store::RedbStore;
use liquid_session::{SessionConfig, Sessions};
use redb::{Database, Durability, ReadableTable as _, TableDefinition};

use crate::pair::{PAIRS, Table, median, nanos, per_second};

const THREADS: usize = 64;

/// How long threads commit before the other side gets its turn.
const TURN: Duration = Duration::from_millis(250);

/// The peer's one table: key of the session and its record.
const RECORDS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("records");

/// A folder on the disk that this is built on: the system's own for temporary files may be memory.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Runs this in so many threads, with numbers that never come twice, until a turn is over. Gives how
/// often it ran in a second.
fn turn(threads: usize, run: impl Fn(u32) + Sync) -> f64 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let done = AtomicU64::new(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while start.elapsed() < TURN {
                    run(NEXT.fetch_add(1, Ordering::Relaxed));
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    done.into_inner() as f64 / start.elapsed().as_secs_f64()
}

/// A store with so many sessions of two small values, and their cookies.
struct Ours {
    sessions: Sessions,
    cookies: Vec<String>,
}

impl Ours {
    fn filled(folder: &Path, count: usize) -> Self {
        let store = RedbStore::open(folder.join("ours.redb")).unwrap();
        let sessions = Sessions::new(store, SessionConfig::default());
        let fill = |part: Range<usize>| -> Vec<String> {
            part.map(|n| {
                let session = sessions.open(None);
                session.set("color", "dark").unwrap();
                session.set("visits", n as i64).unwrap();
                session.commit().unwrap().secret().unwrap().expose()
            })
            .collect()
        };
        let cookies = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|n| n * count / THREADS..(n + 1) * count / THREADS)
                .map(|part| scope.spawn(|| fill(part)))
                .collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect()
        });
        Self { sessions, cookies }
    }

    fn write(&self, n: u32) {
        let cookie = &self.cookies[spread(n, self.cookies.len())];
        let session = self.sessions.open(Some(cookie));
        session.set("visits", n).unwrap();
        let _ = session.commit().unwrap();
    }
}

/// The same records in a database, each write with a transaction of its own.
struct Peer {
    database: Database,
    keys: Vec<[u8; 32]>,
}

impl Peer {
    fn like(ours: &Ours, folder: &Path) -> Self {
        let database = Database::create(folder.join("peer.redb")).unwrap();
        let write = database.begin_write().unwrap();
        let mut keys = Vec::new();
        {
            let mut table = write.open_table(RECORDS).unwrap();
            let now = Timestamp::from_millis(0);
            let store = ours.sessions.store();
            store
                .scan(now, &mut |key, record| {
                    let bytes = record.to_bytes();
                    table.insert(key.as_bytes(), &*bytes).unwrap();
                    keys.push(*key.as_bytes());
                    true
                })
                .unwrap();
        }
        write.commit().unwrap();
        assert_eq!(keys.len(), ours.cookies.len());
        Self { database, keys }
    }

    fn write(&self, n: u32) {
        let key = &self.keys[spread(n, self.keys.len())];
        let mut write = self.database.begin_write().unwrap();
        write.set_durability(Durability::Immediate).unwrap();
        {
            let mut table = write.open_table(RECORDS).unwrap();
            let mut record = table.get(key).unwrap().unwrap().value().to_vec();
            let at = record.len() - 4;
            record[at..].copy_from_slice(&n.to_le_bytes());
            table.insert(key, &*record).unwrap();
        }
        write.commit().unwrap();
    }
}

/// Another place for each number, all over.
fn spread(n: u32, places: usize) -> usize {
    n.wrapping_mul(2_654_435_761) as usize % places
}

/// Nanoseconds that the disk takes to keep a block of 4 KB.
fn fsync(folder: &Path) -> f64 {
    let mut file = File::create(folder.join("block")).unwrap();
    let taken = (0..101u8)
        .map(|n| {
            let start = Instant::now();
            file.seek(SeekFrom::Start(0)).unwrap();
            file.write_all(&[n; 4096]).unwrap();
            file.sync_data().unwrap();
            start.elapsed().as_nanos() as f64
        })
        .collect();
    median(taken)
}

pub(crate) fn run(table: &mut Table) {
    plain(table);
    let name = "redb: the disk's time to keep a block of 4 KB";
    if table.wants(name) {
        let taken = nanos(fsync(folder().path()));
        table.note(name, "-".into(), taken, None, "printed");
    }
}

/// Durable commits of 64 threads against one transaction for each, from one thread or from 64:
/// whichever is faster.
fn plain(table: &mut Table) {
    let name = "redb, 64 clients: durable commits, against a transaction each";
    if !table.wants(name) {
        return;
    }
    let folder = folder();
    let ours = Ours::filled(folder.path(), 1_000);
    let peer = Peer::like(&ours, folder.path());
    let mut measured = Vec::new();
    for _ in 0..PAIRS {
        let many = turn(THREADS, |n| ours.write(n));
        let from_one = turn(1, |n| peer.write(n));
        let from_many = turn(THREADS, |n| peer.write(n));
        measured.push((many, from_one, from_many));
    }
    let middle = |part: fn(&(f64, f64, f64)) -> f64| median(measured.iter().map(part).collect());
    let (from_one, from_many) = (middle(|turn| turn.1), middle(|turn| turn.2));
    let (rate, ratio) = if from_one > from_many {
        (from_one, middle(|turn| turn.0 / turn.1))
    } else {
        (from_many, middle(|turn| turn.0 / turn.2))
    };
    table.note(
        name,
        per_second(middle(|turn| turn.0)),
        per_second(rate),
        Some(ratio),
        ">= 8",
    );
}

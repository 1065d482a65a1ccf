//! Sixteen threads do everything at once to fifty sessions, for ten seconds, and a checker knows every
//! write that was acknowledged: nothing is lost, nothing comes back, nothing is somebody else's.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use liquid_session::store::SessionStore;
use liquid_session::{Error, MemoryStore, Session, SessionConfig, Sessions, Status};

const THREADS: usize = 16;
const SESSIONS: usize = 50;
const TIME: Duration = Duration::from_secs(10);

/// One session from its creation to its logout, and what was acknowledged of it.
struct Life {
    number: usize,
    cookie: RwLock<String>,
    added: AtomicU64,
    counted: AtomicU64,
    appended: AtomicU64,
    /// The last value that each thread wrote under the key that only it writes.
    own: Vec<AtomicU64>,
}

impl Life {
    fn begin(sessions: &Sessions, number: usize) -> Arc<Self> {
        let session = sessions.open(None);
        session.set("number", number).unwrap();
        let cookie = session.commit().unwrap().secret().unwrap().expose();
        Arc::new(Self {
            number,
            cookie: RwLock::new(cookie),
            added: AtomicU64::new(0),
            counted: AtomicU64::new(0),
            appended: AtomicU64::new(0),
            own: (0..THREADS).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    /// The session by its present cookie; `None` if somebody renews or ends it right now.
    fn open(&self, sessions: &Sessions) -> Option<Session> {
        let session = sessions.open(Some(&self.cookie.read().unwrap()));
        let number = session.get_as::<usize>("number").unwrap()?;
        assert_eq!(number, self.number, "somebody else's data");
        Some(session)
    }
}

struct Soak {
    sessions: Sessions,
    lives: Vec<RwLock<Arc<Life>>>,
    /// Cookies that opened a session once and must never again.
    dead: Mutex<Vec<String>>,
    acknowledged: AtomicU64,
}

impl Soak {
    fn acknowledge(&self, outcome: Status, counter: &AtomicU64) {
        // Gone is no acknowledgement: the session was renewed or ended meanwhile.
        if outcome == Status::Changed {
            counter.fetch_add(1, SeqCst);
            self.acknowledged.fetch_add(1, SeqCst);
        } else {
            assert_eq!(outcome, Status::Gone);
        }
    }

    fn step(&self, thread: usize, random: u64) -> Result<(), Error> {
        let slot = &self.lives[random as usize % SESSIONS];
        let life = slot.read().unwrap().clone();
        let Some(session) = life.open(&self.sessions) else {
            return Ok(());
        };
        match random / 64 % 40 {
            0..10 => {
                let key = format!("own{thread}");
                let last = life.own[thread].load(SeqCst);
                let found = session.get_as::<u64>(&key)?.unwrap_or(0);
                assert_eq!(found, last, "a write of this thread was lost");
                session.set(&key, last + 1)?;
                let status = session.commit()?.status();
                self.acknowledge(status, &life.own[thread]);
            }
            10..20 => {
                session.increment("added", 1)?;
                let status = session.commit()?.status();
                self.acknowledge(status, &life.added);
            }
            20..25 => {
                session.append("list", 1)?;
                let status = session.commit()?.status();
                self.acknowledge(status, &life.appended);
            }
            25..35 => {
                let counted = session.transaction(|session| {
                    let n = session.get_as::<u64>("counted")?.unwrap_or(0);
                    session.set("counted", n + 1)
                });
                match counted {
                    Ok((_, outcome)) => self.acknowledge(outcome.status(), &life.counted),
                    Err(error) => {
                        assert_eq!(error.kind(), liquid_session::ErrorKind::Gone, "{error:?}")
                    }
                }
            }
            35 => {
                // One renewal at a time, so that the checker knows the cookie that counts.
                let mut cookie = life.cookie.write().unwrap();
                let session = self.sessions.open(Some(&*cookie));
                if session.contains("number")? {
                    session.renew()?;
                    let outcome = session.commit()?;
                    let renewed = outcome.secret().map(|secret| secret.expose());
                    if let Some(renewed) = renewed {
                        let old = std::mem::replace(&mut *cookie, renewed);
                        self.dead.lock().unwrap().push(old);
                    }
                }
            }
            36 => {
                let mut slot = slot.write().unwrap();
                if Arc::ptr_eq(&slot, &life) {
                    // No renewal meanwhile: it would move the session out of the way.
                    let mut cookie = life.cookie.write().unwrap();
                    self.sessions.open(Some(&*cookie)).logout()?;
                    self.dead.lock().unwrap().push(std::mem::take(&mut *cookie));
                    *slot = Life::begin(&self.sessions, life.number);
                }
            }
            _ => {
                session.entries()?;
            }
        }
        Ok(())
    }

    /// Counts what is there against what was acknowledged.
    fn check(&self) {
        let mut found = 0;
        let mut lost = 0;
        for life in &self.lives {
            let life = life.read().unwrap();
            let session = life
                .open(&self.sessions)
                .expect("a session that nobody ended");
            let number = |key: &str| session.get_as::<u64>(key).unwrap().unwrap_or(0);
            let list = session.get("list").unwrap();
            let listed = list
                .as_ref()
                .and_then(|list| list.as_array())
                .map_or(0, <[_]>::len);
            let mut pairs = vec![
                (life.added.load(SeqCst), number("added")),
                (life.counted.load(SeqCst), number("counted")),
                (life.appended.load(SeqCst), listed as u64),
            ];
            for thread in 0..THREADS {
                pairs.push((
                    life.own[thread].load(SeqCst),
                    number(&format!("own{thread}")),
                ));
            }
            for (acknowledged, there) in pairs {
                found += there;
                lost += acknowledged.abs_diff(there);
            }
        }
        let dead = self.dead.lock().unwrap();
        let revived = dead
            .iter()
            .filter(|cookie| self.sessions.open(Some(cookie)).contains("number").unwrap())
            .count();
        println!(
            "acknowledged {} in all, found {found} in the {SESSIONS} sessions that are left, lost {lost}; {} dead secrets, revived {revived}",
            self.acknowledged.load(SeqCst),
            dead.len(),
        );
        assert_eq!((lost, revived), (0, 0));
        assert!(found > 0 && !dead.is_empty());
    }
}

fn soak(store: impl SessionStore) {
    let config = SessionConfig::builder().max_bytes(1 << 20).build().unwrap();
    let sessions = Sessions::new(store, config);
    let soak = Soak {
        lives: (0..SESSIONS)
            .map(|number| RwLock::new(Life::begin(&sessions, number)))
            .collect(),
        sessions,
        dead: Mutex::default(),
        acknowledged: AtomicU64::new(0),
    };
    let start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let soak = &soak;
            scope.spawn(move || {
                // xorshift: the same steps in every run, as far as threads allow.
                let mut random = 0x9e37_79b9_7f4a_7c15 ^ (thread as u64 + 1);
                while start.elapsed() < TIME {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    soak.step(thread, random >> 8).unwrap();
                }
            });
        }
    });
    soak.check();
}

/// Sixty-four clients change one session at once: each of their changes counts once, and none waits
/// longer than a commit may.
fn contend(store: impl SessionStore) {
    const CLIENTS: u64 = 64;
    const ROUNDS: u64 = 5;
    let sessions = Sessions::new(store, SessionConfig::default());
    let session = sessions.open(None);
    session.set("added", 0).unwrap();
    session.set("counted", 0).unwrap();
    let cookie = session.commit().unwrap().secret().unwrap().expose();
    let start = Instant::now();
    let longest = std::thread::scope(|scope| {
        let client = || {
            let mut longest = Duration::ZERO;
            for _ in 0..ROUNDS {
                let begun = Instant::now();
                let session = sessions.open(Some(&cookie));
                session.increment("added", 1).unwrap();
                assert_eq!(session.commit().unwrap().status(), Status::Changed);
                longest = longest.max(begun.elapsed());
                let begun = Instant::now();
                let session = sessions.open(Some(&cookie));
                let counted = session.transaction(|session| {
                    let number = session.get_as::<u64>("counted")?.unwrap_or_default();
                    session.set("counted", number + 1)
                });
                let _ = counted.unwrap();
                longest = longest.max(begun.elapsed());
            }
            longest
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .max()
    });
    let changes = 2 * CLIENTS * ROUNDS;
    println!(
        "{changes} changes in {:?}, the longest took {longest:?}",
        start.elapsed()
    );
    let session = sessions.open(Some(&cookie));
    for key in ["added", "counted"] {
        assert_eq!(
            session.get_as::<u64>(key).unwrap(),
            Some(CLIENTS * ROUNDS),
            "{key}"
        );
    }
}

#[test]
fn memory() {
    soak(MemoryStore::new());
}

#[test]
fn contention_in_memory() {
    contend(MemoryStore::new());
}

#[cfg(feature = "redb")]
#[test]
fn redb() {
    let folder = tempfile::tempdir().unwrap();
    soak(liquid_session::store::RedbStore::open(folder.path().join("sessions.redb")).unwrap());
}

#[cfg(feature = "redis")]
#[test]
fn redis() {
    soak(crate::redis_store::Served::new());
}

#[cfg(feature = "redb")]
#[test]
fn contention_in_redb() {
    let folder = tempfile::tempdir().unwrap();
    contend(liquid_session::store::RedbStore::open(folder.path().join("sessions.redb")).unwrap());
}

#[cfg(feature = "redis")]
#[test]
fn contention_in_redis() {
    contend(crate::redis_store::Served::new());
}

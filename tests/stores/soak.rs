//! Sixteen threads do everything at once to fifty sessions, for ten seconds, and a checker knows every
//! write that was acknowledged: nothing is lost, nothing comes back, nothing is somebody else's.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use liquid_session::clock::{Clock as _, SystemClock};
use liquid_session::store::{Revoke, SessionStore};
use liquid_session::{Error, MemoryStore, Session, SessionConfig, Sessions, Status};

const THREADS: usize = 16;
const SESSIONS: usize = 50;
const TIME: Duration = Duration::from_secs(10);

/// One session from its creation to its end, and what was acknowledged of it.
struct Life {
    number: usize,
    /// The only session of this user.
    user: String,
    /// All that it ever had, the present one last.
    cookies: RwLock<Vec<String>>,
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
            user: format!("user of {}", session.id().unwrap().unwrap()),
            cookies: RwLock::new(vec![cookie]),
            added: AtomicU64::new(0),
            counted: AtomicU64::new(0),
            appended: AtomicU64::new(0),
            own: (0..THREADS).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    /// The session by its present cookie; `None` if somebody moves or ends it right now.
    fn open(&self, sessions: &Sessions) -> Option<Session> {
        let session = sessions.open(self.cookies.read().unwrap().last().map(|c| &**c));
        let number = session.get_as::<usize>("number").unwrap()?;
        assert_eq!(number, self.number, "somebody else's data");
        Some(session)
    }
}

struct Soak {
    sessions: Sessions,
    lives: Vec<RwLock<Arc<Life>>>,
    /// Sessions whose end was acknowledged: no cookie opens them ever again.
    ended: Mutex<Vec<Arc<Life>>>,
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
            35 | 36 => {
                // One move at a time, so that the checker knows the present cookie.
                let mut cookies = life.cookies.write().unwrap();
                let session = self.sessions.open(cookies.last().map(|cookie| &**cookie));
                if session.contains("number")? {
                    if random.is_multiple_of(2) {
                        session.renew()?;
                    } else {
                        session.login(life.user.as_str())?;
                    }
                    let outcome = session.commit()?;
                    cookies.extend(outcome.secret().map(|secret| secret.expose()));
                }
            }
            // These meet moves on their way.
            37 => {
                let ends = if random.is_multiple_of(2) {
                    session.logout()?;
                    true
                } else {
                    self.sessions.revoke(&life.user, Revoke::All)? > 0
                };
                let mut slot = slot.write().unwrap();
                if ends && Arc::ptr_eq(&slot, &life) {
                    *slot = Life::begin(&self.sessions, life.number);
                    self.ended.lock().unwrap().push(life);
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
        let ended = self.ended.lock().unwrap();
        let (mut dead, mut revived) = (0, 0);
        let mut count = |cookies: &[String]| {
            for cookie in cookies {
                dead += 1;
                let session = self.sessions.open(Some(cookie));
                revived += usize::from(session.contains("number").unwrap());
            }
        };
        for life in &*ended {
            count(&life.cookies.read().unwrap());
        }
        for life in &self.lives {
            let life = life.read().unwrap();
            let cookies = life.cookies.read().unwrap();
            let (_present, former) = cookies.split_last().unwrap();
            count(former);
        }
        let mut alive = 0;
        let visit = &mut |_: &_, _: &_| {
            alive += 1;
            true
        };
        let now = SystemClock.now();
        self.sessions.store().scan(now, visit).unwrap();
        println!(
            "acknowledged {} in all, found {found} in the {SESSIONS} sessions that are left, lost {lost}; {} sessions ended, {dead} dead secrets, revived {revived}, alive {alive}",
            self.acknowledged.load(SeqCst),
            ended.len(),
        );
        assert_eq!((lost, revived, alive), (0, 0, SESSIONS));
        assert!(found > 0 && !ended.is_empty());
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
        ended: Mutex::default(),
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

#[cfg(feature = "postgres")]
#[test]
fn postgres() {
    soak(crate::postgres_store::Served::new());
}

#[cfg(feature = "redis")]
#[test]
fn redis() {
    soak(crate::redis_store::Served::new());
}

#[cfg(feature = "redis")]
#[test]
fn redis_awaited() {
    soak(crate::redis_store::Served::new().awaited());
}

#[cfg(feature = "redb")]
#[test]
fn contention_in_redb() {
    let folder = tempfile::tempdir().unwrap();
    contend(liquid_session::store::RedbStore::open(folder.path().join("sessions.redb")).unwrap());
}

#[cfg(feature = "postgres")]
#[test]
fn contention_in_postgres() {
    contend(crate::postgres_store::Served::new());
}

#[cfg(feature = "redis")]
#[test]
fn contention_in_redis() {
    contend(crate::redis_store::Served::new());
}

//! The session part of a request, without a template: against tower-sessions.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use liquid_session::{MemoryStore, SessionConfig, Sessions};
use tower_sessions::session::Id;

use crate::pair::Table;

/// Runs a future of the peer's memory store, which waits for nothing but its own lock: asking again
/// is enough, and costs the peer no runtime.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::hint::spin_loop();
    }
}

/// Sessions with one of so many keys, and its cookie.
pub(crate) fn ours(keys: usize) -> (Sessions, String) {
    let config = SessionConfig::builder().max_keys(2_000).max_bytes(1 << 20);
    let sessions = Sessions::new(MemoryStore::new(), config.build().unwrap());
    let cookie = fill(&sessions, keys);
    (sessions, cookie)
}

/// Opens a session with so many keys and gives its cookie.
pub(crate) fn fill(sessions: &Sessions, keys: usize) -> String {
    let session = sessions.open(None);
    for key in 0..keys {
        session
            .set(&format!("key{key}"), format!("value {key}"))
            .unwrap();
    }
    session.commit().unwrap().secret().unwrap().expose()
}

pub(crate) type Peer = tower_sessions::Session;
pub(crate) type PeerStore = Arc<tower_sessions::MemoryStore>;

pub(crate) fn peer(keys: usize) -> (PeerStore, String) {
    let store = PeerStore::default();
    let session = Peer::new(None, store.clone(), None);
    for key in 0..keys {
        now(session.insert(&format!("key{key}"), format!("value {key}"))).unwrap();
    }
    now(session.save()).unwrap();
    (store, session.id().unwrap().to_string())
}

pub(crate) fn read(sessions: &Sessions, cookie: &str) {
    let session = sessions.open(Some(cookie));
    black_box(session.get("key0").unwrap());
    let _ = session.commit().unwrap();
}

pub(crate) fn read_and_write(sessions: &Sessions, cookie: &str, n: u32) {
    let session = sessions.open(Some(cookie));
    black_box(session.get("key0").unwrap());
    session.set("key1", n).unwrap();
    let _ = session.commit().unwrap();
}

pub(crate) fn peer_reads(store: &PeerStore, cookie: &str) {
    let session = Peer::new(Some(cookie.parse::<Id>().unwrap()), store.clone(), None);
    black_box(now(session.get::<String>("key0")).unwrap());
}

pub(crate) fn peer_reads_and_writes(store: &PeerStore, cookie: &str, n: u32) {
    let session = Peer::new(Some(cookie.parse::<Id>().unwrap()), store.clone(), None);
    black_box(now(session.get::<String>("key0")).unwrap());
    now(session.insert("key1", n)).unwrap();
    now(session.save()).unwrap();
}

pub(crate) fn run(table: &mut Table) {
    for (keys, write_target, read_target) in [(2, "<= 0.60", "<= 0.66"), (10, "<= 0.36", "<= 0.40")]
    {
        let (sessions, cookie) = ours(keys);
        let (store, peer_cookie) = peer(keys);
        let (mut n, mut m) = (0, 0);
        table.pair(
            &format!("request in memory: read one, write one, of {keys} keys"),
            write_target,
            || {
                n += 1;
                read_and_write(&sessions, &cookie, n);
            },
            || {
                m += 1;
                peer_reads_and_writes(&store, &peer_cookie, m);
            },
        );
        table.pair(
            &format!("request in memory: read one, of {keys} keys"),
            read_target,
            || read(&sessions, &cookie),
            || peer_reads(&store, &peer_cookie),
        );
    }
}

/// A session of a thousand keys against one of ten.
pub(crate) fn growth(table: &mut Table) {
    let (small, small_cookie) = ours(10);
    let (large, large_cookie) = ours(1_000);
    table.pair(
        "growth: read one of 1,000 keys, against one of 10",
        "<= 1.5",
        || read(&large, &large_cookie),
        || read(&small, &small_cookie),
    );
    let (mut n, mut m) = (0, 0);
    table.pair(
        "growth: write one of 1,000 keys, against one of 10",
        "<= 3",
        || {
            n += 1;
            read_and_write(&large, &large_cookie, n);
        },
        || {
            m += 1;
            read_and_write(&small, &small_cookie, m);
        },
    );
}

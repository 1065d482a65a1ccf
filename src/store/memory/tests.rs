//! What only this store promises: its capacity, and memory that the capacity bounds.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::clock::ManualClock;
use crate::config::SessionConfig;
use crate::sessions::Sessions;

fn sessions(capacity: usize) -> (Sessions, Arc<MemoryStore>, ManualClock) {
    let store = Arc::new(MemoryStore::with_capacity(capacity));
    let clock = ManualClock::new();
    let sessions = Sessions::new(store.clone(), SessionConfig::default()).with_clock(clock.clone());
    (sessions, store, clock)
}

fn begin(sessions: &Sessions) -> Result<String, Error> {
    let session = sessions.open(None);
    session.set("a", 1)?;
    Ok(session.commit()?.secret().unwrap().expose())
}

fn places(store: &MemoryStore) -> usize {
    store.shards.iter().map(|shard| shard.lock().len()).sum()
}

#[test]
fn expired_sessions_make_room_and_live_ones_stay() {
    let (sessions, store, clock) = sessions(2);
    let first = begin(&sessions).unwrap();
    clock.advance(Duration::from_secs(60));
    begin(&sessions).unwrap();
    assert_eq!(begin(&sessions).unwrap_err().kind(), ErrorKind::Full);
    clock.advance(Duration::from_secs(30 * 24 * 3600 - 60));
    assert_eq!(store.len(), 2);
    begin(&sessions).unwrap();
    assert_eq!(store.len(), 2);
    assert_eq!(sessions.open(Some(&first)).get("a").unwrap(), None);
    assert_eq!(begin(&sessions).unwrap_err().kind(), ErrorKind::Full);
}

#[test]
fn nothing_is_left_of_sessions_that_were_renewed_and_ended() {
    let (sessions, store, _) = sessions(1000);
    for round in 0..50 {
        let mut cookie = begin(&sessions).unwrap();
        for _ in 0..20 {
            let session = sessions.open(Some(&cookie));
            if round % 2 == 0 {
                session.renew().unwrap();
            } else {
                session.login("ann").unwrap();
            }
            cookie = session.commit().unwrap().secret().unwrap().expose();
            assert!(places(&store) <= 1 + MAX_FORWARDS);
        }
        sessions.open(Some(&cookie)).logout().unwrap();
        assert_eq!((store.len(), places(&store)), (0, 0));
        assert!(store.users.lock().is_empty());
    }
}

#[test]
fn a_sweep_removes_in_every_shard_what_is_expired_and_no_more_than_asked() {
    let (sessions, store, clock) = sessions(10_000);
    for _ in 0..2000 {
        begin(&sessions).unwrap();
    }
    clock.advance(Duration::from_secs(60));
    let kept: Vec<_> = (0..100).map(|_| begin(&sessions).unwrap()).collect();
    assert_eq!(sessions.sweep(10_000).unwrap(), 0);
    clock.advance(Duration::from_secs(30 * 24 * 3600 - 60));
    assert_eq!(sessions.sweep(700).unwrap(), 700);
    assert_eq!(sessions.sweep(700).unwrap(), 700);
    assert_eq!(sessions.sweep(700).unwrap(), 600);
    assert_eq!(sessions.sweep(700).unwrap(), 0);
    assert_eq!((store.len(), places(&store)), (100, 100));
    for cookie in kept {
        assert!(sessions.open(Some(&cookie)).contains("a").unwrap());
    }
}

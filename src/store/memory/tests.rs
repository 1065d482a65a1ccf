use std::time::Duration;

use super::sweep::BATCH;
use super::*;
use crate::clock::{Clock, ManualClock};
use crate::config::SessionConfig;
use crate::sessions::Sessions;

const HOUR: Duration = Duration::from_secs(3600);

fn sessions(capacity: usize) -> (Arc<MemoryStore>, Sessions, ManualClock) {
    let (store, clock) = (MemoryStore::with_capacity(capacity), ManualClock::new());
    let store = Arc::new(store);
    let config = SessionConfig::builder()
        .timeout_minutes(60)
        .build()
        .unwrap();
    let sessions = Sessions::assemble(store.clone(), config, Arc::new(clock.clone()));
    (store, sessions, clock)
}

fn sign_in(sessions: &Sessions, user: &str) -> Result<String, Error> {
    let session = sessions.open(None);
    session.login(user)?;
    Ok(session.commit()?.secret().unwrap().expose())
}

fn lines(store: &MemoryStore) -> usize {
    let minutes = store.shards.iter().map(Mutex::lock);
    minutes
        .map(|shard| shard.deadlines.values().map(Vec::len).sum::<usize>())
        .sum()
}

#[test]
fn a_full_store_refuses_new_sessions_and_keeps_the_old() {
    let (store, sessions, _) = sessions(2);
    let kept = sign_in(&sessions, "u1").unwrap();
    let ended = sign_in(&sessions, "u1").unwrap();
    let full = sign_in(&sessions, "u1").unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Full);
    assert_eq!(store.len(), 2);
    assert_eq!(sessions.user_sessions("u1").unwrap().len(), 2);
    // Changes and renewals of those that are there take no room.
    let session = sessions.open(Some(&kept));
    session.set("a", 1).unwrap();
    session.renew().unwrap();
    let _ = session.commit().unwrap();
    sessions.open(Some(&ended)).logout().unwrap();
    assert_eq!(store.len(), 1);
    sign_in(&sessions, "u1").unwrap();
    assert_eq!(
        sign_in(&sessions, "u1").unwrap_err().kind(),
        ErrorKind::Full
    );
}

#[test]
fn expired_sessions_make_room() {
    let (store, sessions, clock) = sessions(100);
    for round in 0..5 {
        for _ in 0..100 {
            sign_in(&sessions, "u1").unwrap();
        }
        assert_eq!(store.len(), 100, "round {round}");
        assert_eq!(
            sign_in(&sessions, "u1").unwrap_err().kind(),
            ErrorKind::Full
        );
        clock.advance(HOUR);
    }
}

#[test]
fn a_refused_session_takes_no_room() {
    let (store, sessions, _) = sessions(1);
    let mut change = Change::new(crate::limits::Limits {
        max_bytes: 0,
        max_keys: 0,
    });
    change.extra().create = Some(crate::record::NewSession {
        id: crate::secret::SessionId::generate(),
        idle_timeout: HOUR,
        absolute_timeout: None,
    });
    change.ops = [("a".into(), crate::record::Op::Increment(1))]
        .into_iter()
        .collect();
    let key = StoreKey::from_bytes([1; 32]);
    let now = ManualClock::new().now();
    for _ in 0..3 {
        assert!(store.commit(&key, &change, now).is_err());
    }
    assert_eq!(store.len(), 0);
    sign_in(&sessions, "u1").unwrap();
    assert_eq!(store.len(), 1);
}

/// No visitor can choose them; if somebody could, they would be slow and not lost.
#[test]
fn keys_that_collide_are_kept_apart() {
    let store = MemoryStore::new();
    let now = ManualClock::new().now();
    let key = |n: u16| {
        // One shard, and one place in its table.
        let mut bytes = [7; 32];
        bytes[20..22].copy_from_slice(&n.to_le_bytes());
        StoreKey::from_bytes(bytes)
    };
    for n in 0..2_000 {
        let mut change = Change::new(crate::limits::Limits {
            max_bytes: 100,
            max_keys: 1,
        });
        change.extra().create = Some(crate::record::NewSession {
            id: crate::secret::SessionId::generate(),
            idle_timeout: HOUR,
            absolute_timeout: None,
        });
        change.ops = [("n".into(), crate::record::Op::Increment(n.into()))]
            .into_iter()
            .collect();
        store.commit(&key(n), &change, now).unwrap();
    }
    for n in (0..2_000).step_by(2) {
        assert!(store.destroy(&key(n)).unwrap());
    }
    for n in 0..2_000 {
        let record = store.load(&key(n), now).unwrap();
        let value = record.map(|record| record.get("n").unwrap().unwrap());
        assert_eq!(value, (n % 2 == 1).then(|| i64::from(n).into()), "{n}");
    }
    assert_eq!(store.sweep(now + HOUR, usize::MAX).unwrap(), 1_000);
    assert_eq!((store.len(), lines(&store)), (0, 0));
}

#[test]
fn nothing_is_left_behind_when_all_have_expired() {
    let (store, sessions, clock) = sessions(10_000);
    let mut cookies = Vec::new();
    for n in 0..2_000_u64 {
        cookies.push(sign_in(&sessions, &format!("u{}", n % 50)).unwrap());
        clock.advance(Duration::from_millis(700));
    }
    for (n, cookie) in cookies.iter().enumerate() {
        let session = sessions.open(Some(&cookie));
        match n % 5 {
            0 => session.logout().unwrap(),
            1 => session.renew().unwrap(),
            2 => session.login("another").unwrap(),
            3 => session.set("a", 1).unwrap(),
            _ => assert!(session.user().unwrap().is_some()),
        }
        let _ = session.commit().unwrap();
    }
    assert_eq!(store.len(), 1_600);
    clock.advance(HOUR);
    assert_eq!(sessions.sweep(1_000).unwrap(), 1_000);
    assert_eq!(store.len(), 600);
    assert_eq!(sessions.sweep(usize::MAX).unwrap(), 600);
    assert!(store.is_empty());
    assert_eq!(store.users.lock().len(), 0);
    // Those of the minute that is not over yet go with the next sweep.
    clock.advance(Duration::from_secs(60));
    assert_eq!(sessions.sweep(usize::MAX).unwrap(), 0);
    assert_eq!(lines(&store), 0);
}

#[test]
fn a_use_files_no_second_line() {
    let (store, sessions, clock) = sessions(10);
    let cookie = sign_in(&sessions, "u1").unwrap();
    for n in 0..200 {
        clock.advance(Duration::from_secs(600));
        let session = sessions.open(Some(&cookie));
        session.set("n", n).unwrap();
        let _ = session.commit().unwrap();
        assert_eq!(sessions.sweep(10).unwrap(), 0);
        assert_eq!(lines(&store), 1);
    }
}

/// More than a batch in one shard and one minute, the expired ones last.
#[test]
fn a_sweep_passes_by_those_that_end_later_in_the_same_minute() {
    let (store, sessions, clock) = sessions(100_000);
    let begun = clock.now();
    clock.set(begun + Duration::from_millis(2));
    for _ in 0..SHARDS * BATCH {
        sign_in(&sessions, "u1").unwrap();
    }
    clock.set(begun);
    for _ in 0..SHARDS {
        sign_in(&sessions, "u2").unwrap();
    }
    clock.advance(HOUR);
    assert_eq!(sessions.sweep(usize::MAX).unwrap(), SHARDS);
    assert_eq!(store.len(), SHARDS * BATCH);
}

/// Ten and more of them in one shard.
#[test]
fn a_sweep_stops_within_a_shard() {
    let (store, sessions, clock) = sessions(10_000);
    for _ in 0..SHARDS * 10 {
        sign_in(&sessions, "u1").unwrap();
    }
    clock.advance(HOUR);
    assert_eq!(sessions.sweep(3).unwrap(), 3);
    assert_eq!(store.len(), SHARDS * 10 - 3);
}

/// Nobody waits for a shard that is swept to its end.
#[test]
fn shards_take_turns_to_be_swept() {
    let (store, sessions, clock) = sessions(100_000);
    for _ in 0..SHARDS * 4 * BATCH {
        sign_in(&sessions, "u1").unwrap();
    }
    clock.advance(HOUR);
    let held = || -> Vec<_> {
        let shards = store.shards.iter();
        shards.map(|shard| shard.lock().records.len()).collect()
    };
    let before = held();
    let half = SHARDS / 2 * BATCH;
    assert_eq!(sessions.sweep(half).unwrap(), half);
    let most = before
        .iter()
        .zip(held())
        .map(|(before, after)| before - after);
    assert_eq!(most.max(), Some(BATCH));
}

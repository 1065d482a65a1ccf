//! What the store promises while all is well.

use std::sync::Barrier;
use std::time::Duration;

use liquid_session::Login;
use liquid_session::clock::Timestamp;
use liquid_session::store::{
    Forward, Lifetime, Loaded, RedbStore, Revoke, SessionStore as _, StoreKey, Swap, Swapped,
};
use liquid_session::{ErrorKind, SessionConfig, Sessions, Status, Value};

use super::support::{Site, begin, check_tables, cookie, load, records};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MINUTE: Duration = Duration::from_secs(60);

fn touch(store: &RedbStore, key: &StoreKey, at: Timestamp) {
    let record = records(store, at)
        .into_iter()
        .find(|(k, _)| k == key)
        .unwrap()
        .1;
    let due = record.touch_due(&Lifetime::new(30 * DAY), at);
    store.touch(key, &due.unwrap()).unwrap();
}

#[test]
fn what_was_committed_is_there_after_a_restart() {
    let site = Site::new();
    let (sessions, store) = site.open();
    let first = begin(&sessions, 1, None);
    let second = begin(&sessions, 2, Some("u1"));
    let id = sessions.open(Some(&second)).id().unwrap();
    drop((sessions, store));
    assert_eq!(check_tables(&site.path()), (2, 0));

    let (sessions, _store) = site.open();
    assert_eq!(
        sessions.open(Some(&first)).get("n").unwrap(),
        Some(1.into())
    );
    let session = sessions.open(Some(&second));
    assert_eq!(session.get("n").unwrap(), Some(2.into()));
    assert_eq!(session.user().unwrap().as_deref(), Some("u1"));
    assert_eq!(session.id().unwrap(), id);
    assert_eq!(sessions.user_sessions("u1").unwrap().len(), 1);
}

#[test]
fn record_deadline_forwards_and_user_index_change_together() {
    let site = Site::new();
    // Each step opens the store afresh, and its tables are compared when it is closed.
    let step = |expected: (usize, usize), work: &dyn Fn(&Sessions)| {
        let (sessions, store) = site.open();
        work(&sessions);
        drop((sessions, store));
        assert_eq!(check_tables(&site.path()), expected);
    };
    let jar = std::cell::RefCell::new(String::new());
    let login = |sessions: &Sessions, login: Login| {
        let session = sessions.open(Some(&jar.borrow()));
        session.login(login).unwrap();
        let renewed = cookie(&session);
        drop(session);
        *jar.borrow_mut() = renewed;
    };
    step((1, 0), &|sessions| {
        *jar.borrow_mut() = begin(sessions, 1, None)
    });
    step((1, 1), &|sessions| login(sessions, Login::new("u1")));
    // Another user, and a deadline that comes sooner than the one that it was filed under.
    step((1, 2), &|sessions| {
        login(sessions, Login::new("u2").timeout(10 * MINUTE));
        assert!(sessions.user_sessions("u1").unwrap().is_empty());
    });
    step((3, 2), &|sessions| {
        begin(sessions, 2, Some("u2"));
        begin(sessions, 3, Some("u2"));
        assert_eq!(sessions.user_sessions("u2").unwrap().len(), 3);
    });
    step((2, 0), &|sessions| {
        sessions.open(Some(&jar.borrow())).logout().unwrap();
    });
    step((1, 0), &|sessions| {
        let list = sessions.user_sessions("u2").unwrap();
        assert_eq!(sessions.revoke("u2", Revoke::One(list[0].id)).unwrap(), 1);
    });
    site.clock.advance(31 * DAY);
    step((0, 0), &|sessions| {
        assert_eq!(sessions.sweep(10).unwrap(), 1)
    });
}

#[test]
fn a_renewed_session_moves_in_one_step_and_leaves_a_forward() {
    let site = Site::new();
    let (sessions, store) = site.open();
    let old = begin(&sessions, 1, None);
    let old_key = records(&store, site.now())[0].0;
    // A request that has loaded the session before.
    let slow = sessions.open(Some(&old));
    assert_eq!(slow.get("n").unwrap(), Some(1.into()));
    let quick = sessions.open(Some(&old));
    quick.renew().unwrap();
    quick.set("b", 2).unwrap();
    let new = cookie(&quick);
    let new_key = records(&store, site.now())[0].0;
    let expected = Forward {
        to: new_key,
        by_login: false,
        until: site.now() + MINUTE,
    };
    assert_eq!(
        store.load(&old_key, site.now()).unwrap(),
        Loaded::Moved(expected)
    );
    assert_eq!(sessions.open(Some(&old)).get("n").unwrap(), None);
    slow.set("c", 3).unwrap();
    assert_eq!(slow.commit().unwrap().status(), Status::Changed);
    let session = sessions.open(Some(&new));
    for (key, expected) in [("n", 1), ("b", 2), ("c", 3)] {
        assert_eq!(session.get(key).unwrap(), Some(expected.into()));
    }
    // To the millisecond, and then the sweep removes it.
    let end = site.now() + MINUTE;
    let before = Timestamp::from_millis(end.as_millis() - 1);
    assert_eq!(
        store.load(&old_key, before).unwrap(),
        Loaded::Moved(expected)
    );
    assert_eq!(store.load(&old_key, end).unwrap(), Loaded::Absent);
    assert_eq!(store.sweep(end, 10).unwrap(), 0);
    drop((session, quick, slow, sessions, store));
    assert_eq!(check_tables(&site.path()), (1, 0));
}

#[test]
fn at_most_eight_forwards_lead_to_a_session_and_end_with_it() {
    let site = Site::new();
    let (sessions, store) = site.open();
    let first = begin(&sessions, 1, Some("u1"));
    let mut secret = first.clone();
    let mut keys = Vec::new();
    for _ in 0..20 {
        keys.push(records(&store, site.now())[0].0);
        let session = sessions.open(Some(&secret));
        session.renew().unwrap();
        secret = cookie(&session);
    }
    for (n, key) in keys.iter().enumerate() {
        let moved = matches!(store.load(key, site.now()).unwrap(), Loaded::Moved(_));
        assert_eq!(moved, n >= 12, "renewal {n}");
    }
    drop((sessions, store));
    assert_eq!(check_tables(&site.path()), (1, 8));
    let (sessions, store) = site.open();
    assert_eq!(sessions.revoke("u1", Revoke::All).unwrap(), 1);
    for key in &keys {
        assert_eq!(store.load(key, site.now()).unwrap(), Loaded::Absent);
    }
    drop((sessions, store));
    assert_eq!(check_tables(&site.path()), (0, 0));
}

#[test]
fn a_swap_replaces_the_version_that_it_expects_and_no_other() {
    let site = Site::new();
    let (sessions, store) = site.open();
    let now = site.now();
    let secret = begin(&sessions, 1, None);
    let (key, old) = records(&store, now).remove(0);
    let session = sessions.open(Some(&secret));
    session.set("n", 2).unwrap();
    let _ = session.commit().unwrap();
    let current = load(&store, &key, now);

    let stale = Swap::Replace {
        before: &old,
        after: &old,
    };
    let to = StoreKey::from_bytes([9; 32]);
    let forward = Forward {
        to,
        by_login: false,
        until: now + MINUTE,
    };
    let stale_move = Swap::Move {
        before: &old,
        after: &old,
        forward,
    };
    for swap in [
        stale,
        stale_move,
        Swap::Remove(&old),
        Swap::RemoveUnreadable,
    ] {
        let answer = store.swap(&key, swap, now).unwrap();
        assert_eq!(answer, Swapped::Current(current.clone().into()));
    }
    assert_eq!(load(&store, &key, now), current);
    let error = store.swap(&key, Swap::Create(&old), now).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);

    // A touch meanwhile is no other version, and stays.
    let used = now + 5 * MINUTE;
    touch(&store, &key, used);
    let swap = Swap::Move {
        before: &current,
        after: &current,
        forward,
    };
    assert_eq!(store.swap(&key, swap, now).unwrap(), Swapped::Done);
    assert_eq!(load(&store, &to, now).last_used(), used);
    for swap in [stale, Swap::Remove(&old), Swap::RemoveUnreadable] {
        let answer = store.swap(&key, swap, now).unwrap();
        assert_eq!(answer, Swapped::Moved(forward));
    }
    assert_eq!(
        store.swap(&to, Swap::Remove(&current), now).unwrap(),
        Swapped::Done
    );
    for swap in [stale, Swap::Remove(&old), Swap::RemoveUnreadable] {
        assert_eq!(store.swap(&key, swap, now).unwrap(), Swapped::Gone);
    }
    assert_eq!(
        store.swap(&key, Swap::Create(&old), now).unwrap(),
        Swapped::Done
    );
}

#[test]
fn a_touch_moves_the_last_use_forward_only_and_writes_no_data() {
    let site = Site::new();
    let (sessions, store) = site.open();
    begin(&sessions, 1, None);
    let start = site.now();
    let (key, before) = records(&store, start).remove(0);

    let earlier = start + 20 * DAY;
    let later = earlier + MINUTE;
    touch(&store, &key, later);
    let earlier = before.touch_due(&Lifetime::new(30 * DAY), earlier);
    store.touch(&key, &earlier.unwrap()).unwrap();
    let after = load(&store, &key, start);
    assert_eq!(after.last_used(), later);
    assert_eq!(after.version(), before.version());
    assert_eq!(after.get("n").unwrap(), Some(1.into()));

    // The sweep finds it under its first deadline, and files it anew.
    assert_eq!(store.sweep(start + 31 * DAY, 10).unwrap(), 0);
    assert_eq!(load(&store, &key, start + 31 * DAY), after);
    drop((sessions, store));
    assert_eq!(check_tables(&site.path()), (1, 0));
    let (_sessions, store) = site.open();
    assert_eq!(load(&store, &key, start).last_used(), later);
    // A deadline that comes sooner, by tighter settings, is filed at once.
    let tighter = after.touch_due(&Lifetime::new(DAY), later + DAY).unwrap();
    store.touch(&key, &tighter).unwrap();
    assert_eq!(store.sweep(later + 2 * DAY, 10).unwrap(), 1);
}

#[test]
fn a_sweep_takes_the_longest_expired_first_and_no_more_than_it_may() {
    let site = Site::new();
    let (sessions, store) = site.open();
    let start = site.now();
    for n in 0..700 {
        begin(&sessions, n, None);
        site.clock.advance(Duration::from_secs(1));
    }
    let number = |record: &liquid_session::store::Record| record.get("n").unwrap();
    // The first was used again, and ends last.
    let all = records(&store, start);
    let first = all
        .iter()
        .find(|(_, record)| number(record) == Some(0.into()));
    touch(&store, &first.unwrap().0, start + DAY);

    let end = start + 40 * DAY;
    assert_eq!(store.sweep(end, 0).unwrap(), 0);
    assert_eq!(store.sweep(end, 300).unwrap(), 300);
    let mut left: Vec<_> = records(&store, start)
        .iter()
        .map(|(_, record)| number(record).and_then(|n| n.as_i64()).unwrap())
        .collect();
    left.sort_unstable();
    assert_eq!(left, std::iter::once(0).chain(301..700).collect::<Vec<_>>());
    assert_eq!(store.sweep(end, usize::MAX).unwrap(), 400);
    assert_eq!(store.sweep(end, usize::MAX).unwrap(), 0);
    drop((sessions, store));
    assert_eq!(check_tables(&site.path()), (0, 0));
}

#[test]
fn a_visitor_of_a_scan_may_change_the_store() {
    let site = Site::new();
    let (sessions, store) = site.open();
    for n in 0..20 {
        begin(&sessions, n, None);
    }
    let mut seen = 0;
    store
        .scan(site.now(), &mut |key, record| {
            seen += 1;
            let removed = store.swap(key, Swap::Remove(record), site.now()).unwrap();
            assert_eq!(removed, Swapped::Done);
            true
        })
        .unwrap();
    assert_eq!(seen, 20);
    assert!(records(&store, site.now()).is_empty());
}

#[test]
fn a_change_over_a_limit_fails_alone() {
    let site = Site::new();
    let store = RedbStore::open(site.path()).unwrap();
    let config = SessionConfig::builder().max_bytes(200).build().unwrap();
    let sessions = Sessions::new(store, config);
    let session = sessions.open(None);
    session.set("list", vec!["a"]).unwrap();
    let secret = cookie(&session);
    let failed = std::sync::atomic::AtomicUsize::new(0);
    // Each fits by what it has loaded; not all of them fit together.
    let loaded = Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let session = sessions.open(Some(&secret));
                session.get("list").unwrap();
                loaded.wait();
                session.append("list", "x".repeat(40)).unwrap();
                match session.commit() {
                    Ok(_) => {}
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Limit);
                        failed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let list = sessions.open(Some(&secret)).get("list").unwrap().unwrap();
    let stored = list.as_array().map_or(0, <[Value]>::len) - 1;
    assert_eq!(stored + failed.into_inner(), 8);
    assert!(stored > 0);
}

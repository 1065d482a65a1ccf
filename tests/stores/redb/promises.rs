//! What the store promises while all is well.

use std::sync::Barrier;
use std::time::Duration;

use liquid_session::Login;
use liquid_session::clock::Clock as _;
use liquid_session::store::{Revoke, SessionStore as _};
use liquid_session::{ErrorKind, SessionConfig, Sessions, Value};

use super::support::{Probe, Site, check_tables, cookie};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn what_was_committed_is_there_after_a_restart() {
    let site = Site::new();
    let (sessions, probe) = site.open();
    let visitor = sessions.open(None);
    visitor.set("color", "dark").unwrap();
    let first = cookie(&visitor);
    let member = sessions.open(None);
    member.set("cart", vec!["apple", "pear"]).unwrap();
    member.login("u1").unwrap();
    let second = cookie(&member);
    let id = sessions.open(Some(&second)).id().unwrap();
    drop((visitor, member, sessions, probe));
    assert_eq!(check_tables(&site.path()), 2);

    let (sessions, _probe) = site.open();
    let session = sessions.open(Some(&first));
    assert_eq!(session.get("color").unwrap(), Some("dark".into()));
    let session = sessions.open(Some(&second));
    assert_eq!(
        session.get("cart").unwrap(),
        Some(vec!["apple", "pear"].into())
    );
    assert_eq!(session.user().unwrap().as_deref(), Some("u1"));
    assert_eq!(session.id().unwrap(), id);
    assert_eq!(sessions.user_sessions("u1").unwrap().len(), 1);
}

#[test]
fn record_deadline_and_user_index_change_together() {
    let site = Site::new();
    // Each step opens the store afresh, and its tables are compared when it is closed.
    let step = |expected: usize, work: &dyn Fn(&Sessions)| {
        let (sessions, probe) = site.open();
        work(&sessions);
        drop((sessions, probe));
        assert_eq!(check_tables(&site.path()), expected);
    };
    let jar = std::cell::RefCell::new(String::new());
    step(1, &|sessions| {
        let session = sessions.open(None);
        session.set("a", 1).unwrap();
        *jar.borrow_mut() = cookie(&session);
    });
    step(1, &|sessions| {
        let session = sessions.open(Some(&jar.borrow()));
        session.login("u1").unwrap();
        let renewed = cookie(&session);
        drop(session);
        *jar.borrow_mut() = renewed;
    });
    // Another user, and a deadline that comes sooner than the one it was filed under.
    step(1, &|sessions| {
        let session = sessions.open(Some(&jar.borrow()));
        session
            .login(Login::new("u2").timeout(Duration::from_secs(600)))
            .unwrap();
        let renewed = cookie(&session);
        drop(session);
        *jar.borrow_mut() = renewed;
        assert!(sessions.user_sessions("u1").unwrap().is_empty());
    });
    step(3, &|sessions| {
        for _ in 0..2 {
            let session = sessions.open(None);
            session.login("u2").unwrap();
            cookie(&session);
        }
        assert_eq!(sessions.user_sessions("u2").unwrap().len(), 3);
    });
    step(2, &|sessions| {
        let session = sessions.open(Some(&jar.borrow()));
        session.logout().unwrap();
    });
    step(1, &|sessions| {
        let list = sessions.user_sessions("u2").unwrap();
        assert_eq!(sessions.revoke("u2", Revoke::One(list[0].id)).unwrap(), 1);
    });
    site.clock.advance(31 * DAY);
    step(0, &|sessions| assert_eq!(sessions.sweep(10).unwrap(), 1));
}

#[test]
fn a_new_session_never_takes_a_key_that_is_there() {
    let site = Site::new();
    let (sessions, probe) = site.open();
    let now = site.clock.now();
    let session = sessions.open(None);
    session.set("a", 1).unwrap();
    let first = cookie(&session);
    let (key, change) = probe.last_commit();
    assert!(change.creates());
    let error = probe.commit(&key, &change, now).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);

    // Nor does one that moves to a new key.
    let session = sessions.open(Some(&first));
    session.renew().unwrap();
    let renewed = cookie(&session);
    let (_, change) = probe.last_commit();
    let other = sessions.open(None);
    other.set("b", 2).unwrap();
    let other = cookie(&other);
    let (other_key, _) = probe.last_commit();
    let error = probe.commit(&other_key, &change, now).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(
        sessions.open(Some(&renewed)).get("a").unwrap(),
        Some(1.into())
    );
    assert_eq!(
        sessions.open(Some(&other)).get("b").unwrap(),
        Some(2.into())
    );
}

#[test]
fn a_touch_moves_the_last_use_forward_only_and_writes_no_data() {
    let site = Site::new();
    let (sessions, probe) = site.open();
    let session = sessions.open(None);
    session.set("a", 1).unwrap();
    cookie(&session);
    let start = site.clock.now();
    let key = probe.keys(start)[0];
    let before = probe.load(&key, start).unwrap().unwrap();

    let later = start + 20 * DAY;
    assert!(probe.touch(&key, later).unwrap());
    assert!(probe.touch(&key, start).unwrap());
    let after = probe.load(&key, start).unwrap().unwrap();
    assert_eq!(after.last_used(), later);
    assert_eq!(after.version(), before.version());
    assert_eq!(after.get("a").unwrap(), Some(1.into()));

    // The sweep meets it under its first deadline, and files it anew.
    assert_eq!(probe.sweep(start + 31 * DAY, 10).unwrap(), 0);
    assert!(probe.load(&key, start + 31 * DAY).unwrap().is_some());
    drop((session, sessions, probe));
    assert_eq!(check_tables(&site.path()), 1);
    let probe = Probe::open(&site.path());
    assert_eq!(probe.load(&key, start).unwrap().unwrap().last_used(), later);
    assert_eq!(probe.sweep(later + 30 * DAY, 10).unwrap(), 1);
}

#[test]
fn a_sweep_takes_the_longest_expired_first_and_no_more_than_it_may() {
    let site = Site::new();
    let (sessions, probe) = site.open();
    let start = site.clock.now();
    for n in 0..700 {
        let session = sessions.open(None);
        session.set("n", n).unwrap();
        cookie(&session);
        site.clock.advance(Duration::from_secs(1));
    }
    // The first was used again, and ends last.
    let first = |now| {
        let mut found = None;
        probe
            .scan(now, &mut |key, record| {
                if record.get("n").unwrap() == Some(0.into()) {
                    found = Some(*key);
                }
                found.is_none()
            })
            .unwrap();
        found
    };
    let key = first(start).unwrap();
    assert!(probe.touch(&key, start + DAY).unwrap());

    let end = start + 40 * DAY;
    assert_eq!(probe.sweep(end, 0).unwrap(), 0);
    assert_eq!(probe.sweep(end, 300).unwrap(), 300);
    let mut left = Vec::new();
    probe
        .scan(start, &mut |_, record| {
            left.push(record.get("n").unwrap().and_then(|n| n.as_i64()).unwrap());
            true
        })
        .unwrap();
    left.sort_unstable();
    assert_eq!(left, std::iter::once(0).chain(301..700).collect::<Vec<_>>());
    assert_eq!(probe.sweep(end, usize::MAX).unwrap(), 400);
    assert_eq!(probe.sweep(end, usize::MAX).unwrap(), 0);
    drop((sessions, probe));
    assert_eq!(check_tables(&site.path()), 0);
}

#[test]
fn a_visitor_of_a_scan_may_change_the_store() {
    let site = Site::new();
    let (sessions, probe) = site.open();
    for n in 0..20 {
        let session = sessions.open(None);
        session.set("n", n).unwrap();
        cookie(&session);
    }
    let now = site.clock.now();
    let mut seen = 0;
    probe
        .scan(now, &mut |key, _| {
            seen += 1;
            assert!(probe.destroy(key).unwrap());
            true
        })
        .unwrap();
    assert_eq!(seen, 20);
    assert!(probe.keys(now).is_empty());
}

#[test]
fn a_change_over_a_limit_fails_alone() {
    let site = Site::new();
    let probe = Probe::open(&site.path());
    let config = SessionConfig::builder().max_bytes(200).build().unwrap();
    let sessions = Sessions::new(probe, config);
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

//! Merging, transactions, limits and clocks, where outsiders broke other session libraries.

use std::time::{Duration, Instant};

use liquid_session::clock::{Clock as _, ManualClock, Timestamp};
use liquid_session::store::{Lifetime, Limits, Loaded, Revoke, StoreKey};
use liquid_session::{
    Answer, Error, ErrorKind, Login, MemoryStore, SessionConfig, Sessions, Status, Value,
};

use crate::support::*;

#[test]
fn a_logout_is_undone_by_no_rollback() {
    type Failing = fn(&liquid_session::Session) -> bool;
    let ways: [Failing; 3] = [
        |session| {
            let end = |session: &liquid_session::Session| {
                session.logout()?;
                Err::<(), _>(Error::new(ErrorKind::Value, "no"))
            };
            session.transaction(end).is_err()
        },
        |session| {
            let end = |session: &liquid_session::Session| {
                session.logout()?;
                session.set("late", 1)?;
                Err::<(), _>(Error::new(ErrorKind::Value, "no"))
            };
            session.transaction(end).is_err()
        },
        |session| {
            session.logout().unwrap();
            let failed = session.finish(Answer::Failed);
            failed
                .cookie
                .is_some_and(|outcome| outcome.removes_cookie())
        },
    ];
    for way in ways {
        let (sessions, clock) = site();
        let session = loaded(&sessions, &begin(&sessions, None));
        session.set("b", 2).unwrap();
        session.login("alice").unwrap();
        assert!(way(&session));
        let _ = session.commit().unwrap();
        let mut left = 0;
        let visit = &mut |_: &StoreKey, _: &liquid_session::store::Record| {
            left += 1;
            true
        };
        sessions.store().scan(clock.now(), visit).unwrap();
        assert_eq!(left, 0);
        assert!(sessions.user_sessions("alice").unwrap().is_empty());
    }
}

#[test]
fn renewals_and_sign_outs_leave_nothing_behind_in_memory() {
    let clock = ManualClock::new();
    let sessions = Sessions::new(MemoryStore::with_capacity(1), SessionConfig::default())
        .with_clock(clock.clone());
    let mut keys = Vec::new();
    let mut jar = begin(&sessions, Some("ann"));
    for _ in 0..1_000 {
        let visit = &mut |key: &StoreKey, _: &liquid_session::store::Record| {
            keys.push(*key);
            true
        };
        sessions.store().scan(clock.now(), visit).unwrap();
        jar = renewed(&sessions, &jar);
    }
    let moved =
        |key: &&StoreKey| !matches!(sessions.store().load(key, clock.now()), Ok(Loaded::Absent));
    assert!(keys.iter().filter(moved).count() <= 8);
    sessions.open(Some(&jar)).logout().unwrap();
    assert_eq!(keys.iter().filter(moved).count(), 0);
    // The room of one session serves any number, one after the other.
    for n in 0..1_000 {
        let user = format!("u{n}");
        let jar = begin(&sessions, Some(&user));
        sessions.open(Some(&jar)).logout().unwrap();
        assert!(
            sessions
                .store()
                .user_index(&user, clock.now())
                .unwrap()
                .is_empty()
        );
    }
}

#[test]
fn take_loses_nothing_that_another_request_adds_and_hands_nothing_out_twice() {
    // Pending, stored before, and what the other request does.
    let (sessions, _) = site();
    for stored in [false, true] {
        let jar = begin(&sessions, None);
        if stored {
            let session = loaded(&sessions, &jar);
            session.append("flash", "old").unwrap();
            let _ = session.commit().unwrap();
        }
        let x = loaded(&sessions, &jar);
        x.append("flash", "mine").unwrap();
        let y = loaded(&sessions, &jar);
        y.append("flash", "other").unwrap();
        let _ = y.commit().unwrap();
        let taken = x.take("flash").unwrap().unwrap();
        let _ = x.commit().unwrap();
        let left = sessions.open(Some(&jar)).get("flash").unwrap();
        let items = |value: &Value| value.as_array().unwrap().to_vec();
        let mut all = items(&taken);
        all.extend(left.iter().flat_map(items));
        for text in ["mine", "other"] {
            assert_eq!(
                all.iter().filter(|item| **item == text.into()).count(),
                1,
                "{all:?}"
            );
        }
    }
    let jar = begin(&sessions, None);
    let two = [loaded(&sessions, &jar), loaded(&sessions, &jar)];
    let taken: Vec<_> = two
        .iter()
        .filter_map(|session| session.take("a").unwrap())
        .collect();
    assert_eq!(taken, [1.into()]);
    let jar = begin(&sessions, None);
    let two = [loaded(&sessions, &jar), loaded(&sessions, &jar)];
    two[0].increment("a", 5).unwrap();
    assert_eq!(two[1].take("a").unwrap(), Some(1.into()));
    assert_eq!(two[0].take("a").unwrap(), Some(5.into()));
}

#[test]
fn take_follows_a_session_through_renewals_and_no_login() {
    for hops in 1..4 {
        let (sessions, _) = site();
        let mut jar = begin(&sessions, None);
        let slow = loaded(&sessions, &jar);
        for _ in 0..hops {
            jar = renewed(&sessions, &jar);
        }
        assert_eq!(slow.take("a").unwrap(), Some(1.into()), "{hops} hops");
        assert_eq!(sessions.open(Some(&jar)).get("a").unwrap(), None);
    }
    let (sessions, _) = site();
    let jar = begin(&sessions, None);
    let (slow, other) = (loaded(&sessions, &jar), loaded(&sessions, &jar));
    other.login("ann").unwrap();
    let jar = cookie(&other);
    assert_eq!(slow.take("a").unwrap(), None);
    assert_eq!(sessions.open(Some(&jar)).get("a").unwrap(), Some(1.into()));
}

#[test]
fn a_commit_merges_across_renewals_and_not_across_a_login() {
    for hops in 1..4 {
        let (sessions, _) = site();
        let mut jar = begin(&sessions, None);
        let slow = loaded(&sessions, &jar);
        let renewing = loaded(&sessions, &jar);
        for _ in 0..hops {
            jar = renewed(&sessions, &jar);
        }
        slow.set("b", 2).unwrap();
        renewing.set("c", 3).unwrap();
        renewing.renew().unwrap();
        for session in [slow, renewing] {
            let outcome = session.commit().unwrap();
            assert_eq!(outcome.status(), Status::Changed);
            assert!(outcome.secret().is_none());
        }
        let session = sessions.open(Some(&jar));
        assert_eq!(session.keys().unwrap(), ["a", "b", "c"]);
    }
    let (sessions, _) = site();
    let jar = begin(&sessions, None);
    let (slow, other) = (loaded(&sessions, &jar), loaded(&sessions, &jar));
    other.login("ann").unwrap();
    let jar = cookie(&other);
    slow.set("b", 2).unwrap();
    assert_eq!(slow.commit().unwrap().status(), Status::Gone);
    assert_eq!(sessions.open(Some(&jar)).keys().unwrap(), ["a"]);
}

#[test]
fn clear_wins_over_what_was_there_before_it_also_unseen() {
    let (sessions, _) = site();
    let jar = begin(&sessions, None);
    let session = loaded(&sessions, &jar);
    session.clear().unwrap();
    let _ = session.commit().unwrap();
    let (clearing, adding) = (loaded(&sessions, &jar), loaded(&sessions, &jar));
    adding.set("b", 2).unwrap();
    let _ = adding.commit().unwrap();
    clearing.clear().unwrap();
    let _ = clearing.commit().unwrap();
    assert!(sessions.open(Some(&jar)).keys().unwrap().is_empty());
    // In a transaction, clear and the removal of an absent key are reads.
    for clears in [true, false] {
        let mut runs = 0;
        let session = sessions.open(Some(&jar));
        let _ = session.transaction(|session| {
            runs += 1;
            if clears {
                session.clear()?;
            } else {
                session.remove("b")?;
            }
            if runs == 1 {
                let other = sessions.open(Some(&jar));
                other.set("b", 2)?;
                let _ = other.commit()?;
            }
            session.set("done", true)
        });
        assert_eq!(runs, 2);
        assert_eq!(sessions.open(Some(&jar)).keys().unwrap(), ["done"]);
    }
}

#[test]
fn a_commit_inside_a_transaction_is_an_error_and_loses_nothing() {
    let (sessions, _) = site();
    let jar = begin(&sessions, None);
    let session = sessions.open(Some(&jar));
    let (kinds, outcome) = session
        .transaction(|session| {
            let a = session.get_as::<i64>("a")?.unwrap_or(0);
            session.set("a", a + 10)?;
            let commit = session.commit().unwrap_err().kind();
            let finish = session.finish(Answer::Good).error.unwrap().kind();
            let inner = session
                .transaction(|_| Ok::<_, Error>(()))
                .unwrap_err()
                .kind();
            Ok::<_, Error>([commit, finish, inner])
        })
        .unwrap();
    assert_eq!(kinds, [ErrorKind::Conflict; 3]);
    assert_eq!(outcome.status(), Status::Changed);
    assert_eq!(sessions.open(Some(&jar)).get("a").unwrap(), Some(11.into()));
}

#[test]
fn a_revocation_needs_a_living_session_wherever_it_is() {
    let (sessions, _) = site();
    let (stolen, rightful) = (begin(&sessions, Some("ann")), begin(&sessions, Some("ann")));
    let slow = [loaded(&sessions, &stolen), loaded(&sessions, &stolen)];
    let renewed_since = loaded(&sessions, &rightful);
    let rightful = renewed(&sessions, &rightful);
    assert_eq!(
        renewed_since.revoke_others().unwrap(),
        1,
        "its forward is followed"
    );
    for session in slow {
        assert_eq!(session.revoke_others().unwrap(), 0);
    }
    assert!(is_alive(&sessions, &rightful) && !is_alive(&sessions, &stolen));
    let expired = loaded(&sessions, &rightful);
    sessions.revoke("ann", Revoke::All).unwrap();
    let again = begin(&sessions, Some("ann"));
    assert_eq!(expired.revoke_others().unwrap(), 0);
    assert!(is_alive(&sessions, &again));
}

#[test]
fn a_write_of_a_clone_during_a_transaction_is_refused_and_never_dropped() {
    type Write = fn(&liquid_session::Session) -> Result<(), Error>;
    let writes: [Write; 3] = [
        |session| session.set("b", 2),
        |session| session.increment("n", 1).map(drop),
        |session| session.login("ann"),
    ];
    for write in writes {
        let (sessions, _) = site();
        let session = sessions.open(Some(&begin(&sessions, None)));
        let clone = session.clone();
        let _ = session.transaction(|session| {
            session.set("done", true)?;
            let kind = std::thread::scope(|scope| {
                scope
                    .spawn(|| write(&clone).unwrap_err().kind())
                    .join()
                    .unwrap()
            });
            assert_eq!(kind, ErrorKind::Conflict);
            Ok::<_, Error>(())
        });
        write(&clone).unwrap();
    }
}

#[test]
fn additions_that_leave_the_range_fail_at_the_call_and_change_nothing() {
    for (first, second) in [(i64::MAX, 1), (i64::MIN, -1), (i64::MAX - 4, 9)] {
        let (sessions, _) = site();
        let jar = begin(&sessions, None);
        let (session, other) = (loaded(&sessions, &jar), loaded(&sessions, &jar));
        session.increment("n", first).unwrap();
        assert_eq!(
            session.increment("n", second).unwrap_err().kind(),
            ErrorKind::Value
        );
        assert_eq!(session.get("n").unwrap(), Some(first.into()));
        let step = -first.signum();
        other.increment("n", step).unwrap();
        let _ = other.commit().unwrap();
        let _ = session.commit().unwrap();
        let sum = sessions.open(Some(&jar)).get("n").unwrap();
        assert_eq!(sum, Some((first + step).into()));
    }
    // The sum fits, but the additions of this request do not.
    let (sessions, _) = site();
    let jar = begin(&sessions, None);
    let session = loaded(&sessions, &jar);
    session.set("n", -10).unwrap();
    let _ = session.commit().unwrap();
    let (session, other) = (loaded(&sessions, &jar), loaded(&sessions, &jar));
    session.increment("n", i64::MAX).unwrap();
    let error = session.increment("n", 5).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
    other.increment("n", 1).unwrap();
    let _ = other.commit().unwrap();
    let _ = session.commit().unwrap();
    let sum = sessions.open(Some(&jar)).get("n").unwrap();
    assert_eq!(sum, Some((i64::MAX - 9).into()));
}

#[test]
fn a_touch_is_due_after_a_twentieth_to_the_millisecond() {
    for millis in [60_001, 1_199_999, 19, 20] {
        let idle = Duration::from_millis(millis);
        let begin = liquid_session::store::Change::new(Limits::default(), Lifetime::new(idle))
            .create(liquid_session::SessionId::from_bytes([1; 16]));
        let record = begin
            .created(Timestamp::from_millis(1_000))
            .unwrap()
            .unwrap();
        let due = |after: u64| {
            let now = Timestamp::from_millis(1_000 + after);
            record.touch_due(&Lifetime::new(idle), now).is_some()
        };
        let interval = millis.div_ceil(20);
        assert!(due(interval), "{millis}");
        assert!(!due(interval - 1), "{millis}");
    }
}

#[test]
fn a_creation_that_failed_fails_again_until_it_is_discarded() {
    for login in [false, true] {
        let sessions = Sessions::new(MemoryStore::with_capacity(1), SessionConfig::default());
        let first = begin(&sessions, None);
        let session = sessions.open(None);
        session.set("a", 2).unwrap();
        if login {
            session.login("ann").unwrap();
        }
        assert_eq!(session.commit().unwrap_err().kind(), ErrorKind::Full);
        sessions.open(Some(&first)).logout().unwrap();
        for _ in 0..2 {
            assert_eq!(session.commit().unwrap_err().kind(), ErrorKind::Full);
            assert_eq!(session.set("b", 1).unwrap_err().kind(), ErrorKind::Full);
        }
        session.discard();
        assert_eq!(session.commit().unwrap().status(), Status::Unchanged);
        session.set("a", 2).unwrap();
        assert_eq!(session.commit().unwrap().status(), Status::Created);
    }
}

#[test]
fn a_transaction_inside_another_one_of_the_same_session_ends_at_once() {
    for second_handle in [false, true] {
        let (sessions, _) = site();
        let jar = begin(&sessions, None);
        let session = sessions.open(Some(&jar));
        let count = |session: &liquid_session::Session| {
            let a = session.get_as::<i64>("a")?.unwrap_or(0);
            session.set("a", a + 1)
        };
        let began = Instant::now();
        let result = session.transaction(|session| {
            count(session)?;
            if second_handle {
                sessions.open(Some(&jar)).transaction(count).map(drop)
            } else {
                session.transaction(count).map(drop)
            }
        });
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Conflict);
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "it waited for itself"
        );
    }
}

#[test]
fn a_limit_to_a_user_after_a_change_is_refused() {
    type Write = fn(&liquid_session::Session) -> Result<(), Error>;
    let writes: [Write; 4] = [
        |session| session.set("b", 2),
        |session| session.remove("a").map(drop),
        |session| session.login("bob"),
        |session| session.renew(),
    ];
    for write in writes {
        let (sessions, _) = site();
        let session = sessions.open(Some(&begin(&sessions, Some("ann"))));
        write(&session).unwrap();
        assert_eq!(
            session.only_for("bob").unwrap_err().kind(),
            ErrorKind::Conflict
        );
        assert_eq!(session.commit().unwrap().status(), Status::Changed);
    }
    // A read is no change, and what it saw is read again.
    let (sessions, _) = site();
    let session = sessions.open(Some(&begin(&sessions, Some("ann"))));
    assert_eq!(session.get("a").unwrap(), Some(1.into()));
    session.only_for("bob").unwrap();
    assert_eq!(session.get("a").unwrap(), None);
}

#[test]
fn a_session_of_a_clock_that_was_ahead_keeps_to_its_timeouts_from_its_next_use() {
    let config = SessionConfig::builder()
        .timeout_minutes(60)
        .absolute_timeout_minutes(90);
    let config = config.build().unwrap();
    let minute = Duration::from_secs(60);
    for ahead in [200 * 24 * 60, 60, 6] {
        let (sessions, clock) = site_with(config.clone());
        let now = clock.now();
        clock.set(now + minute * ahead);
        let jar = begin(&sessions, None);
        clock.set(now);
        let session = loaded(&sessions, &jar);
        assert_eq!(session.commit().unwrap().status(), Status::Unchanged);
        clock.advance(minute * 59);
        let session = loaded(&sessions, &jar);
        let _ = session.commit().unwrap();
        clock.advance(minute * 31);
        assert!(
            !is_alive(&sessions, &jar),
            "{ahead} minutes ahead: the absolute timeout"
        );
    }
}

#[test]
fn user_names_and_labels_have_a_limit() {
    let (sessions, _) = site();
    let session = sessions.open(None);
    for length in [256, 10_000_000] {
        assert_eq!(
            session.login("x".repeat(length)).unwrap_err().kind(),
            ErrorKind::Limit
        );
    }
    let label = Login::new("ann").label("x".repeat(129));
    assert_eq!(session.login(label).unwrap_err().kind(), ErrorKind::Limit);
    assert!(!session.has_changes());
    session
        .login(Login::new("x".repeat(255)).label("x".repeat(128)))
        .unwrap();
    assert_eq!(session.commit().unwrap().status(), Status::Created);
}

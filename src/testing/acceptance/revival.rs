//! What has ended stays ended, and what is not ours is never taken in.

use super::bench::{Bench, MINUTE, cookie, expect_gone, foreign_secret, key};
use super::{Checked, Fresh};
use crate::error::Error;
use crate::session::{Session, Status};
use crate::store::{Committed, Forward, Loaded, Revoke, Swap, Swapped};

type Request<'r> = &'r dyn Fn(&Session) -> Result<(), Error>;

/// Every way to change a session.
const CHANGES: [(&str, Request<'static>); 8] = [
    ("set", &|session| session.set("a", 2)),
    ("remove", &|session| session.remove("a").map(drop)),
    ("clear", &Session::clear),
    ("increment", &|session| session.increment("a", 1).map(drop)),
    ("append", &|session| session.append("list", 1)),
    ("renew", &Session::renew),
    ("login", &|session| session.login("u1")),
    ("all", &|session| {
        session.clear()?;
        session.set("b", 2)?;
        session.login("u1")
    }),
];

cases! { __acceptance_revival:
/// Django: session_save_does_not_resurrect_session_logged_out_in_other_context. Rack: "doesn't allow
/// session id to be reused", CVE-2025-46336. Spring: save_DeletedSession_ShouldThrow.
fn a_write_after_a_logout_elsewhere_is_gone(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    let slow = bench.open(&cookie);
    assert_eq!(slow.get("a")?, Some(1.into()));
    bench.open(&cookie).logout()?;
    slow.set("a", 2)?;
    expect_gone(&slow.commit()?);
    assert!(bench.find(&cookie)?.is_none());
    assert_eq!(bench.count()?, 0, "a logged-out session came back");
    // Nor does the next write of that handle bring it back.
    slow.set("a", 3)?;
    expect_gone(&slow.commit()?);
    assert_eq!(bench.count()?, 0, "a logged-out session came back");
    Ok(())
}

fn every_kind_of_change_after_a_logout_is_gone(fresh: Fresh<'_>) -> Checked {
    for (name, change) in CHANGES {
        let bench = Bench::new(fresh)?;
        let cookie = bench.begin(&[("a", 1)])?;
        let slow = bench.open(&cookie);
        change(&slow)?;
        bench.open(&cookie).logout()?;
        expect_gone(&slow.commit()?);
        assert_eq!(bench.count()?, 0, "{name} brought a session back");
        assert_eq!(bench.list("u1")?, [], "{name} filed an ended session");
    }
    Ok(())
}

fn a_write_after_the_end_is_gone(fresh: Fresh<'_>) -> Checked {
    for (name, change) in CHANGES {
        let bench = Bench::new(fresh)?;
        let cookie = bench.begin(&[("a", 1)])?;
        let slow = bench.open(&cookie);
        change(&slow)?;
        bench.clock.advance(60 * MINUTE);
        expect_gone(&slow.commit()?);
        assert_eq!(bench.count()?, 0, "{name} brought a session back");
        assert_eq!(bench.list("u1")?, [], "{name} filed an ended session");
    }
    Ok(())
}

fn a_write_after_a_revocation_is_gone(fresh: Fresh<'_>) -> Checked {
    for (name, change) in CHANGES {
        let bench = Bench::new(fresh)?;
        let (cookie, id) = bench.sign_in("u2")?;
        let slow = bench.open(&cookie);
        slow.set("a", 1)?;
        let _ = slow.commit()?;
        change(&slow)?;
        assert_eq!(bench.sessions.revoke("u2", Revoke::One(id))?, 1);
        expect_gone(&slow.commit()?);
        assert_eq!(bench.count()?, 0, "{name} brought a session back");
    }
    Ok(())
}

fn a_take_after_a_logout_is_nothing(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("flash", 1)])?;
    let slow = bench.open(&cookie);
    assert!(slow.contains("flash")?);
    bench.open(&cookie).logout()?;
    assert_eq!(slow.take("flash")?, None);
    let _ = slow.commit()?;
    assert_eq!(bench.count()?, 0);
    Ok(())
}

fn a_touch_after_a_logout_does_nothing(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    let slow = bench.open(&cookie);
    slow.get("a")?;
    bench.open(&cookie).logout()?;
    bench.clock.advance(30 * MINUTE);
    assert!(slow.commit()?.secret().is_none());
    assert!(bench.find(&cookie)?.is_none());
    assert_eq!(bench.count()?, 0);
    Ok(())
}

/// Spring's key misses: a save and a deletion that cross leave no half of a session.
fn only_a_creating_change_creates(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let unknown = foreign_secret()?;
    let new = bench.new_key(&unknown)?;
    let writes = || bench.change().set("a", &1.into());
    for change in [
        bench.change(),
        writes(),
        bench.change().remove("a"),
        bench.change().increment("a", 1),
        bench.change().append("a", [1.into()]),
        writes().clear(),
        writes().renew(new),
        writes().renew(new).login("u1", None),
    ] {
        let committed = bench.commit(&unknown, &change)?;
        assert_eq!(committed, Committed::Gone, "{change:?}");
        assert!(bench.find(&unknown)?.is_none());
        assert_eq!(bench.store.load(&new, bench.now())?, Loaded::Absent);
        assert_eq!(bench.count()?, 0);
    }
    assert_eq!(bench.list("u1")?, []);
    Ok(())
}

/// Django: invalid_key. A cookie that outlived its session.
fn a_dead_secret_is_never_adopted(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let dead = bench.begin(&[("a", 1)])?;
    let id = bench.record(&dead)?.id();
    bench.open(&dead).logout()?;
    let session = bench.open(&dead);
    session.set("b", 2)?;
    let outcome = session.commit()?;
    assert_eq!(outcome.status(), Status::Created);
    let new = cookie(&outcome)?;
    assert_ne!(new, dead);
    assert!(bench.find(&dead)?.is_none());
    assert_ne!(bench.record(&new)?.id(), id);
    bench.expect(&new, &[("b", 2)])
}

/// OWASP: strict session management. tower-sessions 0.15 takes a visitor's id in `clear()`,
/// axum_session 0.22 in anything.
fn a_foreign_secret_is_never_adopted_by_any_first_operation(
    fresh: Fresh<'_>,
) -> Checked {
    let reads: [(&str, Request<'_>); 6] = [
        ("get", &|session| session.get("a").map(drop)),
        ("keys", &|session| session.keys().map(drop)),
        ("take", &|session| session.take("a").map(drop)),
        ("id", &|session| session.id().map(drop)),
        ("nothing", &|_| Ok(())),
        ("logout", &Session::logout),
    ];
    for (name, first) in reads.into_iter().chain(CHANGES) {
        let bench = Bench::new(fresh)?;
        let chosen = foreign_secret()?;
        let session = bench.open(&chosen);
        first(&session)?;
        for commit in 1..=2 {
            if let Some(secret) = session.commit()?.secret() {
                assert_ne!(secret.expose(), chosen, "{name} adopted a secret");
            }
            assert!(bench.find(&chosen)?.is_none(), "{name} adopted a secret");
            session.set("then", commit)?;
        }
        assert_eq!(bench.count()?, 1, "{name}");
    }
    Ok(())
}

/// Spring: deleteById of a valid, a deleted and an unknown session.
fn removing_twice_says_so(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    let record = bench.record(&cookie)?;
    let remove = |cookie: &str| {
        bench
            .store
            .swap(&key(cookie)?, Swap::Remove(&record), bench.now())
    };
    assert_eq!(remove(&cookie)?, Swapped::Done);
    assert!(bench.find(&cookie)?.is_none());
    assert_eq!(remove(&cookie)?, Swapped::Gone);
    assert_eq!(remove(&foreign_secret()?)?, Swapped::Gone);
    Ok(())
}

/// A swap expects what was there, and brings nothing into being but by `Create`.
fn only_a_creating_swap_creates(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (cookie, _) = bench.sign_in("u1")?;
    let before = bench.record(&cookie)?;
    bench.open(&cookie).logout()?;
    let (before, now) = (&*before, bench.now());
    for secret in [cookie, foreign_secret()?] {
        let (key, to) = (key(&secret)?, bench.new_key(&secret)?);
        let forward = Forward::new(to, &bench.change().renew(to), now);
        for swap in [
            Swap::Replace {
                before,
                after: before,
            },
            Swap::Move {
                before,
                after: before,
                forward,
            },
            Swap::Remove(before),
            Swap::RemoveUnreadable,
        ] {
            assert_eq!(bench.store.swap(&key, swap, now)?, Swapped::Gone, "{swap:?}");
            assert_eq!(bench.store.load(&key, now)?, Loaded::Absent);
            assert_eq!(bench.store.load(&to, now)?, Loaded::Absent);
        }
    }
    assert_eq!(bench.count()?, 0);
    assert_eq!(bench.list("u1")?, []);
    Ok(())
}

fn destroying_one_session_leaves_the_others(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let kept = bench.begin(&[("a", 1)])?;
    let ended = bench.begin(&[("b", 2)])?;
    bench.open(&ended).logout()?;
    assert_eq!(bench.count()?, 1);
    bench.expect(&kept, &[("a", 1)])
}

/// Django: flush.
fn writes_after_a_logout_begin_a_new_session(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let old = bench.begin(&[("a", 1)])?;
    let session = bench.open(&old);
    session.set("staged", 1)?;
    session.logout()?;
    assert!(bench.find(&old)?.is_none(), "a logout happens at once");
    assert_eq!(session.get("a")?, None);
    session.set("b", 2)?;
    let outcome = session.commit()?;
    assert_eq!(outcome.status(), Status::Created);
    let new = cookie(&outcome)?;
    assert_ne!(new, old);
    assert!(bench.find(&old)?.is_none());
    bench.expect(&new, &[("b", 2)])
}
}

//! What a transaction read must still be so at its commit.

use std::time::Duration;

use super::bench::{Bench, MINUTE, cookie, expect_error, key, set};
use super::{Checked, Fresh};
use crate::error::{Error, ErrorKind};
use crate::record::Op;
use crate::session::{Session, Status};
use crate::store::Committed;

type Request<'r> = &'r dyn Fn(&Session) -> Result<(), Error>;

/// One attempt of a transaction on `{a: 1, b: 2}` that reads and then sets `mine`, while another
/// request commits in between: whether it conflicts. Nothing of it may be stored if it does.
fn conflicts(fresh: Fresh<'_>, read: Request<'_>, other: Request<'_>) -> Result<bool, Error> {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1), ("b", 2)])?;
    let result = bench.open(&cookie).transaction(|session| {
        read(session)?;
        session.set("mine", 1)?;
        let rival = bench.open(&cookie);
        other(&rival)?;
        rival.commit().map(drop)
    });
    let stored = bench.data(&cookie)?.contains_key("mine");
    match result {
        Ok(_) => {
            assert!(stored, "a transaction that succeeded stored nothing");
            Ok(false)
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
            assert!(!stored, "a transaction that conflicted stored something");
            Ok(true)
        }
    }
}

fn read_a(session: &Session) -> Result<(), Error> {
    session.get("a").map(drop)
}

fn read_absent(session: &Session) -> Result<(), Error> {
    session.get("absent").map(drop)
}

fn read_all(session: &Session) -> Result<(), Error> {
    session.entries().map(drop)
}

cases! { __acceptance_transactions:
fn a_key_that_changed_is_a_conflict(fresh: Fresh<'_>) -> Checked {
    assert!(conflicts(fresh, &read_a, &|s| s.set("a", 10))?);
    assert!(conflicts(fresh, &read_a, &|s| s.set("a", 1.0))?);
    assert!(conflicts(fresh, &read_a, &|s| s
        .increment("a", 1)
        .map(drop))?);
    Ok(())
}

fn a_key_that_went_is_a_conflict(fresh: Fresh<'_>) -> Checked {
    assert!(conflicts(fresh, &read_a, &|s| s.remove("a").map(drop))?);
    assert!(conflicts(fresh, &read_a, &|s| s.take("a").map(drop))?);
    Ok(())
}

fn a_key_that_came_is_a_conflict(fresh: Fresh<'_>) -> Checked {
    assert!(conflicts(fresh, &read_absent, &|s| s.set("absent", 1))?);
    assert!(conflicts(fresh, &read_absent, &|s| s.set("absent", ""))?);
    assert!(conflicts(fresh, &read_absent, &|s| s.append("absent", 1))?);
    Ok(())
}

fn a_key_that_was_cleared_is_a_conflict(fresh: Fresh<'_>) -> Checked {
    assert!(conflicts(fresh, &read_a, &Session::clear)?);
    Ok(())
}

fn a_key_with_the_same_value_again_is_none(fresh: Fresh<'_>) -> Checked {
    assert!(!conflicts(fresh, &read_a, &|s| s.set("a", 1))?);
    Ok(())
}

fn a_key_that_was_not_read_is_none(fresh: Fresh<'_>) -> Checked {
    assert!(!conflicts(fresh, &read_a, &|s| s.set("b", 10))?);
    assert!(!conflicts(fresh, &read_a, &|s| s.remove("b").map(drop))?);
    assert!(!conflicts(fresh, &read_absent, &Session::clear)?);
    Ok(())
}

fn a_session_read_as_a_whole_must_be_unchanged(fresh: Fresh<'_>) -> Checked {
    assert!(conflicts(fresh, &read_all, &|s| s.set("b", 10))?);
    assert!(conflicts(fresh, &read_all, &|s| s.set("new", 1))?);
    assert!(conflicts(fresh, &read_all, &|s| s.remove("b").map(drop))?);
    assert!(conflicts(fresh, &read_all, &|s| s.take("b").map(drop))?);
    assert!(!conflicts(fresh, &read_all, &read_all)?);
    Ok(())
}

fn a_use_alone_is_no_conflict(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    let result = bench.open(&cookie).transaction(|session| {
        read_all(session)?;
        bench.clock.advance(10 * MINUTE);
        assert!(bench.store.touch(&key(&cookie)?, bench.now())?);
        session.set("a", 2)
    });
    assert_eq!(result?.1.status(), Status::Changed);
    bench.expect(&cookie, &[("a", 2)])
}

fn a_conflict_runs_again_on_what_is_there_now(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("n", 1)])?;
    let mut attempts = 0;
    let (last, outcome) = bench.open(&cookie).transaction(|session| {
        attempts += 1;
        let n = session.get_as::<i64>("n")?.unwrap_or(0);
        if attempts <= 2 {
            let rival = bench.open(&cookie);
            rival.set("n", n * 10)?;
            let _ = rival.commit()?;
        }
        session.set("n", n + 1)?;
        Ok::<_, Error>(n)
    })?;
    assert_eq!((attempts, last), (3, 100));
    assert_eq!(outcome.status(), Status::Changed);
    bench.expect(&cookie, &[("n", 101)])
}

fn a_conflict_in_a_renewal_leaves_the_old_secret_alive(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let old = bench.begin(&[("a", 1)])?;
    let session = bench.open(&old);
    let result = session.transaction(|session| {
        read_a(session)?;
        session.login("u1")?;
        let rival = bench.open(&old);
        rival.set("a", 2)?;
        rival.commit().map(drop)
    });
    expect_error(result, ErrorKind::Conflict);
    // Nor does a later commit of that request, such as that of an error page, sign in.
    assert_eq!(session.commit()?.status(), Status::Unchanged);
    assert_eq!(bench.list("u1")?, []);
    assert_eq!(bench.count()?, 1);
    bench.expect(&old, &[("a", 2)])?;
    // The second attempt moves the session as it is by then.
    let mut attempts = 0;
    let (_, outcome) = bench.open(&old).transaction(|session| {
        attempts += 1;
        read_a(session)?;
        session.login("u1")?;
        if attempts == 1 {
            let rival = bench.open(&old);
            rival.set("a", 3)?;
            let _ = rival.commit()?;
        }
        Ok::<_, Error>(())
    })?;
    assert!(bench.find(&old)?.is_none());
    assert_eq!(bench.list("u1")?.len(), 1);
    bench.expect(&cookie(&outcome)?, &[("a", 3)])
}

fn an_ended_session_is_gone(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    let mut attempts = 0;
    let result = bench.open(&cookie).transaction(|session| {
        attempts += 1;
        read_a(session)?;
        bench.open(&cookie).logout()?;
        session.set("a", 2)
    });
    expect_error(result, ErrorKind::Gone);
    assert_eq!(attempts, 1);
    assert_eq!(bench.count()?, 0);
    Ok(())
}

/// What a request took before its transaction is out of the store already; a value that somebody
/// else puts there since is not this request's to remove, also when the transaction runs again.
fn what_was_taken_before_is_not_removed_again(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("flash", 1), ("n", 1)])?;
    let session = bench.open(&cookie);
    assert_eq!(session.take("flash")?, Some(1.into()));
    let mut attempts = 0;
    let _ = session.transaction(|session| {
        attempts += 1;
        let n = session.get_as::<i64>("n")?.unwrap_or(0);
        if attempts == 1 {
            let rival = bench.open(&cookie);
            rival.set("flash", 2)?;
            rival.set("n", 5)?;
            let _ = rival.commit()?;
        }
        session.set("n", n + 1)
    })?;
    bench.expect(&cookie, &[("flash", 2), ("n", 6)])
}

/// A lease saves attempts; that exactness does not rest on it, the other cases show.
fn a_lease_is_granted_and_given_back(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    let key = key(&cookie)?;
    for _ in 0..3 {
        let lease = bench.store.lease(&key, Duration::from_secs(10))?;
        assert!(lease.is_some(), "nobody has the lease, and it is refused");
        // The lease locks nothing: it is a queue for those who ask.
        let change = bench.change(&[("a", Op::Remove), ("b", set(1))]);
        let committed = bench.store.commit(&key, &change, bench.now())?;
        assert!(matches!(committed, Committed::Stored { .. }));
        drop(lease);
    }
    bench.expect(&cookie, &[("b", 1)])
}
}

//! What a transaction read must still be so at its commit.

use super::bench::{Bench, MINUTE, cookie, expect_error, expect_merged, renew};
use super::{Checked, Fresh};
use crate::error::{Error, ErrorKind};
use crate::session::{Session, Status};

type Request<'r> = &'r dyn Fn(&Session) -> Result<(), Error>;

/// A transaction on `{a: 1, b: 2}` that reads and then sets `mine`, while another request commits in
/// between: whether it conflicts and so runs again. Nothing of it may be stored if it does.
fn conflicts(fresh: Fresh<'_>, read: Request<'_>, other: Request<'_>) -> Result<bool, Error> {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1), ("b", 2)])?;
    let mut attempts = 0;
    let _ = bench.open(&cookie).transaction(|session| {
        attempts += 1;
        if attempts == 2 {
            let stored = bench.data(&cookie)?.contains_key("mine");
            assert!(!stored, "a transaction that conflicted stored something");
        }
        read(session)?;
        session.set("mine", 1)?;
        if attempts == 1 {
            let rival = bench.open(&cookie);
            other(&rival)?;
            let _ = rival.commit()?;
        }
        Ok::<_, Error>(())
    })?;
    let stored = bench.data(&cookie)?.contains_key("mine");
    assert!(stored, "a transaction that succeeded stored nothing");
    assert!(attempts <= 2, "it ran {attempts} times");
    Ok(attempts == 2)
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
        bench.touch(&cookie)?;
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
    let mut attempts = 0;
    let result = session.transaction(|session| {
        attempts += 1;
        if attempts == 2 {
            return Err(Error::new(ErrorKind::Value, "it gives up"));
        }
        read_a(session)?;
        session.login("u1")?;
        let rival = bench.open(&old);
        rival.set("a", 2)?;
        rival.commit().map(drop)
    });
    expect_error(result, ErrorKind::Value);
    assert_eq!(attempts, 2);
    // Nor does a later commit of that request, such as that of an error page, sign in.
    assert_eq!(session.commit()?.status(), Status::Unchanged);
    assert_eq!(bench.list("u1")?, []);
    assert_eq!(bench.count()?, 1);
    bench.expect(&old, &[("a", 2)])?;
    // The second attempt moves the session in its current state.
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

/// A value that was taken before a transaction has left the store already. A value that another request
/// stores since is not removed, also when the transaction runs again.
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

/// A transaction that had loaded the session by its old secret goes on with the session.
fn a_renewal_alone_is_no_conflict(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let old = bench.begin(&[("a", 1), ("b", 2)])?;
    let mut new = String::new();
    let (_, outcome) = bench.open(&old).transaction(|session| {
        read_a(session)?;
        new = renew(&bench, &old)?;
        session.set("mine", 1)
    })?;
    expect_merged(&outcome);
    bench.expect(&new, &[("a", 1), ("b", 2), ("mine", 1)])
}

/// Its conflict is found, and its next attempt reads what is there now.
fn a_conflict_after_a_renewal_runs_again(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let old = bench.begin(&[("n", 1)])?;
    let mut new = String::new();
    let mut attempts = 0;
    let (_, outcome) = bench.open(&old).transaction(|session| {
        attempts += 1;
        let n = session.get_as::<i64>("n")?.unwrap_or(0);
        if attempts == 1 {
            new = renew(&bench, &renew(&bench, &old)?)?;
            let rival = bench.open(&new);
            rival.set("n", 10)?;
            let _ = rival.commit()?;
        }
        session.set("n", n + 1)
    })?;
    assert_eq!(attempts, 2);
    expect_merged(&outcome);
    bench.expect(&new, &[("n", 11)])
}

/// What a visitor read before a sign-in does not come back after it.
fn a_login_elsewhere_ends_it(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let old = bench.begin(&[("a", 1)])?;
    let result = bench.open(&old).transaction(|session| {
        read_a(session)?;
        let rival = bench.open(&old);
        rival.login("u1")?;
        let _ = rival.commit()?;
        session.set("a", 2)
    });
    expect_error(result, ErrorKind::Gone);
    assert_eq!(bench.list("u1")?.len(), 1);
    assert_eq!(bench.count()?, 1);
    Ok(())
}

/// A transaction that empties the session decides by all of it, also where it was empty.
fn clear_and_removals_count_as_reads(fresh: Fresh<'_>) -> Checked {
    let set: Request<'_> = &|s| s.set("absent", 1);
    assert!(conflicts(fresh, &Session::clear, set)?);
    assert!(conflicts(fresh, &|s| s.remove("absent").map(drop), set)?);
    assert!(!conflicts(fresh, &|s| s.remove("b").map(drop), set)?);
    Ok(())
}
}

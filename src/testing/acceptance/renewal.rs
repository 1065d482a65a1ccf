//! A new secret for the same session.

use super::bench::{
    Bench, MINUTE, NOTHING, cookie, expect_error, expect_gone, expect_merged, key, renew,
};
use super::{Checked, Fresh};
use crate::error::ErrorKind;
use crate::session::Status;

cases! { __acceptance_renewal:
/// Django: cycle. Spring: ChangeSessionId. scs's RenewToken moves the creation, which must not be.
fn data_handle_and_creation_stay(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (old, id) = bench.sign_in("u1")?;
    let session = bench.open(&old);
    session.set("a", 1)?;
    let _ = session.commit()?;
    let before = bench.record(&old)?;
    bench.clock.advance(MINUTE);
    let new = renew(&bench, &old)?;
    let after = bench.record(&new)?;
    assert_eq!(after.id(), id);
    assert_eq!(after.created(), before.created());
    assert_eq!(after.deadline(), before.deadline());
    assert_eq!(after.idle_timeout(), before.idle_timeout());
    assert_eq!(after.user(), Some("u1"));
    bench.expect(&new, &[("a", 1)])
}

/// Rack: `:renew`. Django: cycle.
fn the_old_secret_is_dead(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let old = bench.begin(&[("a", 1)])?;
    let new = renew(&bench, &old)?;
    assert_ne!(new, old);
    assert_eq!(key(&new)?.shard(), key(&old)?.shard());
    assert!(bench.find(&old)?.is_none());
    assert_eq!(bench.open(&old).get("a")?, None);
    assert_eq!(bench.count()?, 1);
    Ok(())
}

/// A failed answer sends no cookie: the visitor's old one must go on to open the session.
fn nothing_happens_before_the_commit(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    let session = bench.open(&cookie);
    session.renew()?;
    session.login("u1")?;
    session.set("a", 2)?;
    session.discard();
    assert_eq!(session.commit()?.status(), Status::Unchanged);
    drop(session);
    assert_eq!(bench.list("u1")?, []);
    bench.expect(&cookie, &[("a", 1)])
}

/// Spring: change the id and attributes in one save.
fn changes_go_along_in_one_step(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let old = bench.begin(&[("a", 1), ("b", 2), ("n", 3)])?;
    let session = bench.open(&old);
    session.renew()?;
    session.set("a", 10)?;
    session.remove("b")?;
    session.increment("n", 1)?;
    let outcome = session.commit()?;
    assert_eq!(outcome.status(), Status::Changed);
    let new = cookie(&outcome)?;
    bench.expect(&new, &[("a", 10), ("n", 4)])?;
    // The handle goes on with the new secret.
    session.set("c", 5)?;
    assert_eq!(session.commit()?.status(), Status::Changed);
    bench.expect(&new, &[("a", 10), ("c", 5), ("n", 4)])?;
    let session = bench.open(&new);
    session.renew()?;
    session.clear()?;
    bench.expect(&cookie(&session.commit()?)?, NOTHING)
}

fn it_merges_with_other_requests(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let old = bench.begin(&[("a", 1)])?;
    let (one, two) = (bench.open(&old), bench.open(&old));
    one.renew()?;
    one.set("x", 10)?;
    two.set("y", 20)?;
    let _ = two.commit()?;
    let new = cookie(&one.commit()?)?;
    bench.expect(&new, &[("a", 1), ("x", 10), ("y", 20)])
}

/// Spring: ChangeSessionId twice.
fn it_can_be_repeated(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let mut cookies = vec![bench.begin(&[("a", 1)])?];
    for _ in 0..20 {
        cookies.push(renew(&bench, &cookies[cookies.len() - 1])?);
    }
    let last = cookies.pop().unwrap_or_default();
    bench.expect(&last, &[("a", 1)])?;
    for dead in &cookies {
        assert!(bench.find(dead)?.is_none());
    }
    assert_eq!(bench.count()?, 1);
    Ok(())
}

/// Spring: ChangeSessionId on a new session.
fn a_new_session_has_no_older_secret(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let session = bench.sessions.open(None);
    session.set("a", 1)?;
    session.renew()?;
    let outcome = session.commit()?;
    assert_eq!(outcome.status(), Status::Created);
    assert_eq!(bench.count()?, 1);
    bench.expect(&cookie(&outcome)?, &[("a", 1)])
}

/// A request that had loaded the session by its old secret. The new cookie is another request's to
/// send.
fn a_parallel_writer_with_the_old_secret_is_merged(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let old = bench.begin(&[("a", 1)])?;
    let slow = bench.open(&old);
    slow.set("a", 2)?;
    let new = renew(&bench, &old)?;
    expect_merged(&slow.commit()?);
    assert!(bench.find(&old)?.is_none());
    assert_eq!(bench.count()?, 1);
    bench.expect(&new, &[("a", 2)])
}

/// Spring: of two concurrent ChangeSessionId the second throws. Here it has nothing left to renew.
fn of_two_renewals_one_wins(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let old = bench.begin(&[("a", 1)])?;
    let (one, two) = (bench.open(&old), bench.open(&old));
    one.renew()?;
    two.renew()?;
    two.set("b", 2)?;
    let new = cookie(&one.commit()?)?;
    expect_merged(&two.commit()?);
    assert_eq!(bench.count()?, 1);
    bench.expect(&new, &[("a", 1), ("b", 2)])
}

/// Spring: ChangeSessionId on a deleted session throws.
fn a_session_that_ended_is_not_renewed(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let old = bench.begin(&[("a", 1)])?;
    let slow = bench.open(&old);
    slow.get("a")?;
    bench.open(&old).logout()?;
    slow.renew()?;
    expect_gone(&slow.commit()?);
    assert_eq!(bench.count()?, 0);
    Ok(())
}

/// php-src: a regeneration that fails keeps the session.
fn a_refused_change_leaves_the_old_secret_alive(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("n", 1)])?;
    let (one, two) = (bench.open(&cookie), bench.open(&cookie));
    one.increment("n", 1)?;
    one.login("u1")?;
    two.set("n", "a text")?;
    let _ = two.commit()?;
    expect_error(one.commit(), ErrorKind::Value);
    assert_eq!(bench.list("u1")?, []);
    assert_eq!(bench.count()?, 1);
    bench.expect(&cookie, &[("n", "a text")])
}
}

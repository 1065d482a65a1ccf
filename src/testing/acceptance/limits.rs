//! How much a session may hold.

use super::bench::{Bench, expect_error};
use super::{Checked, Fresh};
use crate::error::{Error, ErrorKind};

cases! { __acceptance_limits:
fn the_merged_session_keeps_to_max_bytes(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::with(fresh, |config| config.max_bytes(100))?;
    let cookie = bench.begin(&[("x", "")])?;
    let (one, two) = (bench.open(&cookie), bench.open(&cookie));
    one.set("a", "a".repeat(60))?;
    two.set("b", "b".repeat(60))?;
    let _ = one.commit()?;
    expect_error(two.commit(), ErrorKind::Limit);
    bench.expect(&cookie, &[("a", "a".repeat(60)), ("x", String::new())])?;
    // To the byte: a key of one and a value of one plus its type.
    let session = bench.open(&cookie);
    session.set("c", "c".repeat(100 - (1 + 61) - (1 + 1) - (1 + 1)))?;
    let _ = session.commit()?;
    assert_eq!(bench.record(&cookie)?.size(), 100);
    Ok(())
}

/// What takes the place of stored values takes no room beside them, however many do.
fn a_full_session_is_written_anew(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::with(fresh, |config| config.max_bytes(30).max_keys(4))?;
    let old = "12345";
    let cookie = bench.begin(&[("a", old), ("b", old), ("c", old)])?;
    // Three times 1 + 6.
    assert_eq!(bench.record(&cookie)?.size(), 21);

    let session = bench.open(&cookie);
    for key in ["a", "b", "c", "a"] {
        session.set(key, "54321")?;
        assert_eq!(session.size()?, 3);
    }
    session.set("d", "54321")?;
    expect_error(session.set("e", 1), ErrorKind::Limit);
    expect_error(session.set("c", "7654321"[..].repeat(2)), ErrorKind::Limit);
    session.set("c", "7654321")?;
    assert!(session.remove("d")?);
    let _ = session.commit()?;
    assert_eq!(bench.record(&cookie)?.size(), 23);

    // In one go, without a look at the size between; also twice.
    let session = bench.open(&cookie);
    for key in ["a", "a", "b", "b", "c"] {
        session.set(key, old)?;
    }
    session.set("d", old)?;
    let _ = session.commit()?;
    bench.expect(&cookie, &[("a", old), ("b", old), ("c", old), ("d", old)])
}

/// A full session is written anew also where a transaction that follows has to run again.
fn a_full_session_is_written_anew_beside_a_transaction(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::with(fresh, |config| config.max_bytes(28).max_keys(4))?;
    let old = "12345";
    let cookie = bench.begin(&[("a", old), ("b", old), ("c", old)])?;

    let session = bench.open(&cookie);
    for key in ["a", "b", "c"] {
        session.set(key, "54321")?;
    }
    let mut rival = Some(bench.open(&cookie));
    let (runs, _) = session.transaction(|session| {
        let seen = session.get("d")?;
        if let Some(rival) = rival.take() {
            rival.set("d", old)?;
            let _ = rival.commit()?;
        }
        session.set("d", if seen.is_some() { "again" } else { "first" })?;
        Ok::<_, Error>(if seen.is_some() { 2 } else { 1 })
    })?;
    assert_eq!(runs, 2);
    let new = "54321";
    bench.expect(
        &cookie,
        &[("a", new), ("b", new), ("c", new), ("d", "again")],
    )
}

/// A session from before a limit was lowered.
fn a_session_over_its_limits_may_shrink_and_not_grow(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::with(fresh, |config| config.max_bytes(100).max_keys(3))?;
    let cookie = bench.begin(&[
        ("a", "a".repeat(20)),
        ("b", "b".repeat(20)),
        ("n", String::new()),
    ])?;
    // (1 + 21) + (1 + 21) + (1 + 1)
    assert_eq!(bench.record(&cookie)?.size(), 46);
    let bench = bench.limited(|config| config.max_bytes(20).max_keys(1))?;

    let session = bench.open(&cookie);
    expect_error(session.set("a", "a".repeat(21)), ErrorKind::Limit);
    expect_error(session.set("c", ""), ErrorKind::Limit);
    assert!(!session.has_changes());
    // One key more, though no byte more.
    session.set("b", "")?;
    expect_error(session.set("c", ""), ErrorKind::Limit);
    session.discard();

    // As large as before, and smaller; also what is smaller only in sum.
    let session = bench.open(&cookie);
    session.set("a", "A".repeat(20))?;
    session.remove("b")?;
    session.set("c", "c".repeat(20))?;
    let _ = session.commit()?;
    assert_eq!(bench.record(&cookie)?.size(), 46);
    let session = bench.open(&cookie);
    session.remove("c")?;
    session.increment("m", 5)?;
    let _ = session.commit()?;
    // (1 + 21) + (1 + 1) + (1 + 2)
    assert_eq!(bench.record(&cookie)?.size(), 27);

    // A change that fits the loaded session, and not the current one.
    let (one, two) = (bench.open(&cookie), bench.open(&cookie));
    one.remove("a")?;
    one.remove("n")?;
    two.remove("n")?;
    two.set("d", "")?;
    let _ = one.commit()?;
    expect_error(two.commit(), ErrorKind::Limit);
    bench.expect(&cookie, &[("m", 5)])?;

    // A clear in the same request counts too.
    let session = bench.open(&cookie);
    session.clear()?;
    session.set("e", "")?;
    let _ = session.commit()?;
    bench.expect(&cookie, &[("e", "")])?;
    let session = bench.open(&cookie);
    session.set("e", "e".repeat(18))?;
    let _ = session.commit()?;
    assert_eq!(bench.record(&cookie)?.size(), 20);
    expect_error(
        bench.open(&cookie).set("e", "e".repeat(19)),
        ErrorKind::Limit,
    );
    Ok(())
}

fn the_merged_session_keeps_to_max_keys(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::with(fresh, |config| config.max_keys(2))?;
    let cookie = bench.begin(&[("a", 1)])?;
    let (one, two) = (bench.open(&cookie), bench.open(&cookie));
    one.set("b", 2)?;
    two.set("c", 3)?;
    let _ = one.commit()?;
    expect_error(two.commit(), ErrorKind::Limit);
    bench.expect(&cookie, &[("a", 1), ("b", 2)])?;
    let session = bench.open(&cookie);
    session.remove("a")?;
    session.set("c", 3)?;
    let _ = session.commit()?;
    bench.expect(&cookie, &[("b", 2), ("c", 3)])
}
}

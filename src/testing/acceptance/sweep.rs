//! Removing what has expired.
//!
//! Swept records are told from records that only expired by turning the clock back. How many records
//! a sweep removes counts only for stores that do not expire records by themselves.

use std::time::Duration;

use super::bench::{Bench, MILLI, MINUTE, cookie};
use super::{Checked, Fresh};
use crate::session::Login;

const HOUR: Duration = Duration::from_secs(3600);

cases! { __acceptance_sweep:
/// Django: clearsessions. Spring: cleanupInactiveSessions.
fn only_the_expired_go(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    bench.sweep(10, 0)?;
    let begun = bench.now();
    let old = bench.begin(&[("a", 1)])?;
    bench.clock.advance(MILLI);
    let kept = bench.begin(&[("b", 2)])?;
    bench.clock.advance(HOUR - 2 * MILLI);
    bench.sweep(10, 0)?;
    bench.expect(&old, &[("a", 1)])?;
    bench.clock.advance(MILLI);
    bench.sweep(10, 1)?;
    bench.sweep(10, 0)?;
    assert!(bench.find(&old)?.is_none());
    bench.expect(&kept, &[("b", 2)])?;
    bench.clock.advance(MILLI);
    bench.sweep(10, 1)?;
    assert!(bench.find(&kept)?.is_none());
    bench.expect_left_at(begun, 0)
}

fn it_removes_no_more_than_asked(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    for n in 0..25 {
        bench.begin(&[("n", n)])?;
    }
    let begun = bench.now();
    bench.clock.advance(HOUR);
    let end = bench.now();
    for (swept, left) in [(10, 15), (10, 5), (5, 0), (0, 0)] {
        bench.clock.set(end);
        bench.sweep(10, swept)?;
        assert_eq!(bench.count()?, 0);
        bench.expect_left_at(begun, left)?;
    }
    Ok(())
}

/// Of a store that counts. Forwards are no sessions.
fn a_count_is_what_the_store_holds(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let expect = |count: usize| {
        let counted = bench.store.count();
        assert_eq!(counted.unwrap_or(count), count);
    };
    expect(0);
    let renewed = bench.begin(&[("a", 1)])?;
    bench.sign_in("u1")?;
    let ended = bench.begin(&[("a", 1)])?;
    expect(3);
    let session = bench.open(&renewed);
    session.renew()?;
    session.set("b", 1)?;
    let _ = session.commit()?;
    expect(3);
    bench.open(&ended).logout()?;
    expect(2);
    bench.clock.advance(HOUR);
    while bench.sessions.sweep(10)? > 0 {}
    if !bench.store.expires_by_itself() {
        expect(0);
    }
    Ok(())
}

fn it_asks_for_nothing_and_removes_nothing(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    bench.begin(&[("a", 1)])?;
    bench.clock.advance(HOUR);
    bench.sweep(0, 0)?;
    bench.sweep(1, 1)
}

fn a_used_session_stays(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (touched, changed) = (bench.begin(&[("a", 1)])?, bench.begin(&[("b", 1)])?);
    for _ in 0..3 {
        bench.clock.advance(50 * MINUTE);
        bench.touch(&touched)?;
        let session = bench.open(&changed);
        session.set("b", 2)?;
        let _ = session.commit()?;
        bench.sweep(10, 0)?;
    }
    bench.expect(&touched, &[("a", 1)])?;
    bench.expect(&changed, &[("b", 2)])?;
    bench.clock.advance(HOUR);
    bench.sweep(10, 2)?;
    assert_eq!(bench.count()?, 0);
    Ok(())
}

/// scs: RememberMe.
fn a_session_with_a_longer_timeout_stays(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let short = bench.begin(&[("a", 1)])?;
    let long = bench.open(&bench.begin(&[("b", 2)])?);
    long.login(Login::new("u1").timeout(100 * HOUR))?;
    let long = cookie(&long.commit()?)?;
    bench.clock.advance(HOUR);
    bench.sweep(10, 1)?;
    assert!(bench.find(&short)?.is_none());
    bench.expect(&long, &[("b", 2)])?;
    bench.clock.advance(99 * HOUR - MILLI);
    bench.sweep(10, 0)?;
    bench.expect(&long, &[("b", 2)])?;
    bench.clock.advance(MILLI);
    bench.sweep(10, 1)?;
    assert!(bench.find(&long)?.is_none());
    Ok(())
}

fn a_renewed_session_is_swept_once(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let mut cookie_now = bench.begin(&[("a", 1)])?;
    for _ in 0..5 {
        let session = bench.open(&cookie_now);
        session.renew()?;
        cookie_now = cookie(&session.commit()?)?;
        bench.clock.advance(10 * MINUTE);
    }
    bench.expect(&cookie_now, &[("a", 1)])?;
    bench.clock.advance(HOUR);
    bench.sweep(10, 1)?;
    bench.sweep(10, 0)
}

fn a_destroyed_session_is_not_counted(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let ended = bench.begin(&[("a", 1)])?;
    bench.begin(&[("b", 2)])?;
    bench.open(&ended).logout()?;
    bench.clock.advance(HOUR);
    bench.sweep(10, 1)
}

/// More than any batch, with different ends.
fn many_are_swept_in_the_end(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let begun = bench.now();
    for n in 0..600 {
        bench.begin(&[("n", n)])?;
        bench.clock.advance(Duration::from_secs(1));
    }
    bench.clock.advance(HOUR);
    let mut swept = 0;
    for _ in 0..600 {
        let now = bench.sessions.sweep(100)?;
        assert!(now <= 100);
        if now == 0 {
            break;
        }
        swept += now;
    }
    assert!(swept == 600 || bench.store.expires_by_itself(), "{swept}");
    assert_eq!(bench.count()?, 0);
    bench.expect_left_at(begun, 0)
}
}

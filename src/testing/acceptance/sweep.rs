//! Removing what has expired.
//!
//! Swept records are told from records that only expired by turning the clock back.

use std::time::Duration;

use super::bench::{Bench, MILLI, MINUTE, cookie, key};
use super::{Checked, Fresh};
use crate::session::Login;

const HOUR: Duration = Duration::from_secs(3600);

cases! { __acceptance_sweep:
/// Django: clearsessions. Spring: cleanupInactiveSessions.
fn only_the_expired_go(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    assert_eq!(bench.sessions.sweep(10)?, 0);
    let old = bench.begin(&[("a", 1)])?;
    bench.clock.advance(MILLI);
    let kept = bench.begin(&[("b", 2)])?;
    bench.clock.advance(HOUR - 2 * MILLI);
    assert_eq!(bench.sessions.sweep(10)?, 0);
    bench.clock.advance(MILLI);
    assert_eq!(bench.sessions.sweep(10)?, 1);
    assert_eq!(bench.sessions.sweep(10)?, 0);
    bench.expect(&kept, &[("b", 2)])?;
    bench.clock.advance(MILLI);
    assert_eq!(bench.sessions.sweep(10)?, 1);
    assert!(!bench.store.destroy(&key(&old)?)?);
    assert!(!bench.store.destroy(&key(&kept)?)?);
    Ok(())
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
        assert_eq!(bench.sessions.sweep(10)?, swept);
        bench.clock.set(begun);
        assert_eq!(bench.count()?, left);
    }
    Ok(())
}

fn it_asks_for_nothing_and_removes_nothing(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    bench.begin(&[("a", 1)])?;
    bench.clock.advance(HOUR);
    assert_eq!(bench.sessions.sweep(0)?, 0);
    assert_eq!(bench.sessions.sweep(1)?, 1);
    Ok(())
}

/// An index by deadline may be as coarse as minutes.
fn the_longest_expired_go_first(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let begun = bench.now();
    let mut cookies = Vec::new();
    for n in 0..20 {
        cookies.push(bench.begin(&[("n", n)])?);
        bench.clock.advance(2 * MINUTE);
    }
    bench.clock.advance(10 * HOUR);
    let end = bench.now();
    for (n, oldest) in cookies.iter().enumerate() {
        bench.clock.set(end);
        assert_eq!(bench.sessions.sweep(1)?, 1);
        bench.clock.set(begun);
        assert!(bench.find(oldest)?.is_none(), "number {n} is not the first");
        assert_eq!(bench.count()?, cookies.len() - 1 - n);
    }
    Ok(())
}

fn a_used_session_stays(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (touched, changed) = (bench.begin(&[("a", 1)])?, bench.begin(&[("b", 1)])?);
    for _ in 0..3 {
        bench.clock.advance(50 * MINUTE);
        assert!(bench.store.touch(&key(&touched)?, bench.now())?);
        let session = bench.open(&changed);
        session.set("b", 2)?;
        let _ = session.commit()?;
        assert_eq!(bench.sessions.sweep(10)?, 0);
    }
    bench.expect(&touched, &[("a", 1)])?;
    bench.expect(&changed, &[("b", 2)])?;
    bench.clock.advance(HOUR);
    assert_eq!(bench.sessions.sweep(10)?, 2);
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
    assert_eq!(bench.sessions.sweep(10)?, 1);
    assert!(!bench.store.destroy(&key(&short)?)?);
    bench.expect(&long, &[("b", 2)])?;
    bench.clock.advance(99 * HOUR);
    assert_eq!(bench.sessions.sweep(10)?, 1);
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
    bench.clock.advance(HOUR);
    assert_eq!(bench.sessions.sweep(10)?, 1);
    assert_eq!(bench.sessions.sweep(10)?, 0);
    Ok(())
}

fn a_destroyed_session_is_not_counted(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let ended = bench.begin(&[("a", 1)])?;
    bench.begin(&[("b", 2)])?;
    bench.open(&ended).logout()?;
    bench.clock.advance(HOUR);
    assert_eq!(bench.sessions.sweep(10)?, 1);
    Ok(())
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
    assert_eq!(swept, 600);
    bench.clock.set(begun);
    assert_eq!(bench.count()?, 0);
    Ok(())
}
}

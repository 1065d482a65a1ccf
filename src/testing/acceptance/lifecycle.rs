//! When sessions end.

use std::time::Duration;

use super::bench::{Bench, MILLI, MINUTE, cookie, expect_gone, foreign_secret, key, set};
use super::{Checked, Fresh};
use crate::record::Op;
use crate::session::Login;
use crate::session::Status;
use crate::store::{Committed, Revoke};

const HOUR: Duration = Duration::from_secs(3600);

cases! { __acceptance_lifecycle:
/// scs: IdleTimeout. Django: actual_expiry.
fn the_idle_timeout_ends_a_session_to_the_millisecond(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    assert_eq!(bench.record(&cookie)?.deadline(), bench.now() + HOUR);
    bench.clock.advance(HOUR - MILLI);
    bench.expect(&cookie, &[("a", 1)])?;
    bench.clock.advance(MILLI);
    assert!(bench.find(&cookie)?.is_none());
    assert_eq!(bench.open(&cookie).get("a")?, None);
    Ok(())
}

/// scs: Lifetime.
fn the_absolute_timeout_ends_a_session_to_the_millisecond(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::with(fresh, |config| config.absolute_timeout_minutes(100))?;
    let cookie = bench.begin(&[("a", 1)])?;
    let end = bench.now() + 100 * MINUTE;
    bench.clock.advance(50 * MINUTE);
    assert!(bench.store.touch(&key(&cookie)?, bench.now())?);
    bench.clock.advance(50 * MINUTE - MILLI);
    // A use in its last moment does not lengthen it either.
    assert!(bench.store.touch(&key(&cookie)?, bench.now())?);
    assert_eq!(bench.record(&cookie)?.deadline(), end);
    bench.clock.advance(MILLI);
    assert!(bench.find(&cookie)?.is_none());
    Ok(())
}

fn the_earlier_of_both_timeouts_counts(fresh: Fresh<'_>) -> Checked {
    for (absolute, earlier) in [(30, 30), (90, 60)] {
        let bench = Bench::with(fresh, |config| config.absolute_timeout_minutes(absolute))?;
        let cookie = bench.begin(&[("a", 1)])?;
        bench.clock.advance(earlier * MINUTE - MILLI);
        assert!(bench.find(&cookie)?.is_some());
        bench.clock.advance(MILLI);
        assert!(bench.find(&cookie)?.is_none());
    }
    Ok(())
}

/// ASVS 7.3.1: idle means without use, and reading is a use.
fn a_use_moves_the_idle_end(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    for _ in 0..5 {
        bench.clock.advance(59 * MINUTE);
        let session = bench.open(&cookie);
        assert_eq!(session.get("a")?, Some(1.into()));
        assert_eq!(session.commit()?.status(), Status::Unchanged);
        assert_eq!(bench.record(&cookie)?.last_used(), bench.now());
    }
    bench.clock.advance(HOUR);
    assert!(bench.find(&cookie)?.is_none());
    Ok(())
}

fn a_commit_is_a_use(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    bench.clock.advance(HOUR - MILLI);
    let session = bench.open(&cookie);
    session.set("a", 2)?;
    let _ = session.commit()?;
    assert_eq!(bench.record(&cookie)?.last_used(), bench.now());
    bench.clock.advance(HOUR - MILLI);
    bench.expect(&cookie, &[("a", 2)])?;
    bench.clock.advance(MILLI);
    assert!(bench.find(&cookie)?.is_none());
    Ok(())
}

/// ASVS 7.3.2; scs begins anew here.
fn a_renewal_does_not_move_the_absolute_end(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::with(fresh, |config| config.absolute_timeout_minutes(100))?;
    let old = bench.begin(&[("a", 1)])?;
    bench.clock.advance(50 * MINUTE);
    let session = bench.open(&old);
    session.login(Login::new("u1").timeout(1000 * MINUTE))?;
    let new = cookie(&session.commit()?)?;
    bench.clock.advance(50 * MINUTE - MILLI);
    bench.expect(&new, &[("a", 1)])?;
    bench.clock.advance(MILLI);
    assert!(bench.find(&new)?.is_none());
    Ok(())
}

/// "Remember me", which belongs to the session and not to the settings. Django: custom_expiry.
fn a_longer_idle_timeout_comes_with_a_login(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let session = bench.sessions.open(None);
    session.set("a", 1)?;
    let other = bench.begin(&[("a", 1)])?;
    let _ = session.commit()?;
    session.login(Login::new("u1").timeout(48 * HOUR))?;
    let cookie = cookie(&session.commit()?)?;
    assert_eq!(bench.record(&cookie)?.idle_timeout(), 48 * HOUR);
    bench.clock.advance(48 * HOUR - MILLI);
    assert!(bench.find(&other)?.is_none(), "only for this session");
    let session = bench.open(&cookie);
    session.set("a", 2)?;
    let _ = session.commit()?;
    bench.clock.advance(48 * HOUR - MILLI);
    bench.expect(&cookie, &[("a", 2)])?;
    assert_eq!(bench.list("u1")?.len(), 1);
    bench.clock.advance(MILLI);
    assert!(bench.find(&cookie)?.is_none());
    Ok(())
}

fn a_shorter_idle_timeout_comes_with_a_login(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    // To a session that is there, and to one that begins with it.
    let known = bench.begin(&[("a", 1)])?;
    for session in [bench.open(&known), bench.sessions.open(None)] {
        session.login(Login::new("u1").timeout(Duration::from_millis(1500)))?;
        let cookie = cookie(&session.commit()?)?;
        bench.clock.advance(Duration::from_millis(1499));
        assert!(bench.find(&cookie)?.is_some());
        bench.clock.advance(MILLI);
        assert!(bench.find(&cookie)?.is_none());
        assert_eq!(bench.list("u1")?, []);
    }
    Ok(())
}

/// expressjs/session#891: a use in every request is a write in every request.
fn a_use_within_the_interval_is_not_recorded(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    let begun = bench.now();
    // An hour of timeout: every three minutes.
    assert_eq!(bench.record(&cookie)?.touch_interval(), 3 * MINUTE);
    bench.clock.advance(3 * MINUTE - MILLI);
    for change in [false, true] {
        let session = bench.open(&cookie);
        session.get("a")?;
        if change {
            session.set("a", 2)?;
        }
        let _ = session.commit()?;
        assert_eq!(bench.record(&cookie)?.last_used(), begun);
    }
    bench.clock.advance(MILLI);
    let session = bench.open(&cookie);
    session.get("a")?;
    let _ = session.commit()?;
    assert_eq!(bench.record(&cookie)?.last_used(), bench.now());
    Ok(())
}

/// connect-redis#285: a touch that writes the record back undoes what was written since.
fn a_touch_writes_no_data(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    bench.clock.advance(10 * MINUTE);
    let reader = bench.open(&cookie);
    reader.get("a")?;
    let writer = bench.open(&cookie);
    writer.set("a", 2)?;
    writer.set("b", 3)?;
    let _ = writer.commit()?;
    let version = bench.record(&cookie)?.version();
    let _ = reader.commit()?;
    bench.clock.advance(10 * MINUTE);
    assert!(bench.store.touch(&key(&cookie)?, bench.now())?);
    assert_eq!(bench.record(&cookie)?.version(), version);
    assert_eq!(bench.record(&cookie)?.last_used(), bench.now());
    bench.expect(&cookie, &[("a", 2), ("b", 3)])
}

fn a_touch_never_moves_back(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    let begun = bench.now();
    bench.clock.advance(30 * MINUTE);
    let used = bench.now();
    assert!(bench.store.touch(&key(&cookie)?, used)?);
    for earlier in [used, begun + MINUTE, begun] {
        assert!(bench.store.touch(&key(&cookie)?, earlier)?);
        assert_eq!(bench.record(&cookie)?.last_used(), used);
    }
    Ok(())
}

fn a_clock_that_goes_back_ends_nothing(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let begun = bench.now();
    bench.clock.advance(30 * MINUTE);
    let cookie = bench.begin(&[("a", 1)])?;
    let deadline = bench.record(&cookie)?.deadline();
    bench.clock.set(begun);
    let session = bench.open(&cookie);
    session.set("a", 2)?;
    assert_eq!(session.commit()?.status(), Status::Changed);
    assert_eq!(bench.sessions.sweep(10)?, 0);
    // Nor does it lengthen any.
    assert_eq!(bench.record(&cookie)?.deadline(), deadline);
    bench.clock.set(deadline);
    assert!(bench.find(&cookie)?.is_none());
    Ok(())
}

fn a_touch_of_an_unknown_session_does_nothing(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let secret = foreign_secret()?;
    assert!(!bench.store.touch(&key(&secret)?, bench.now())?);
    assert!(bench.find(&secret)?.is_none());
    assert_eq!(bench.count()?, 0);
    Ok(())
}

fn an_expired_session_is_not_loaded_changed_or_touched(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (cookie, _) = bench.sign_in("u1")?;
    bench.clock.advance(HOUR);
    let (now, key) = (bench.now(), key(&cookie)?);
    assert!(bench.store.load(&key, now)?.is_none());
    let mut renewal = bench.change(&[]);
    renewal.extra().renew_to = Some(super::bench::key(&foreign_secret()?)?);
    for change in [
        bench.change(&[]),
        bench.change(&[("a", set(1))]),
        bench.change(&[("a", Op::Take)]),
        renewal,
    ] {
        assert_eq!(bench.store.commit(&key, &change, now)?, Committed::Gone);
    }
    assert!(!bench.store.touch(&key, now)?);
    assert_eq!(bench.store.user_sessions("u1", now)?, []);
    assert_eq!(bench.store.revoke("u1", Revoke::All, now)?, 0);
    assert_eq!(bench.count()?, 0);
    assert!(bench.store.load(&key, now)?.is_none());
    Ok(())
}

fn an_expired_session_is_not_renewed(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    let slow = bench.open(&cookie);
    slow.login("u1")?;
    bench.clock.advance(HOUR);
    expect_gone(&slow.commit()?);
    assert_eq!(bench.count()?, 0);
    assert_eq!(bench.list("u1")?, []);
    Ok(())
}

/// scs: Iterate.
fn scan_shows_each_session_once(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let mut expected = Vec::new();
    for n in 0..50 {
        let cookie = bench.begin(&[("n", n)])?;
        expected.push((key(&cookie)?, bench.record(&cookie)?.to_bytes()));
    }
    let (moved, _) = bench.sign_in("u1")?;
    let session = bench.open(&moved);
    session.renew()?;
    let moved = cookie(&session.commit()?)?;
    expected.push((key(&moved)?, bench.record(&moved)?.to_bytes()));
    let mut shown = Vec::new();
    bench.store.scan(bench.now(), &mut |key, record| {
        shown.push((*key, record.to_bytes()));
        true
    })?;
    expected.sort();
    shown.sort();
    assert_eq!(shown, expected);
    Ok(())
}

fn scan_stops_when_told(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    for n in 0..20 {
        bench.begin(&[("n", n)])?;
    }
    for most in [1, 7, 20] {
        let mut shown = 0;
        bench.store.scan(bench.now(), &mut |_, _| {
            shown += 1;
            shown < most
        })?;
        assert_eq!(shown, most);
    }
    Ok(())
}

fn scan_leaves_out_what_has_expired(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    bench.begin(&[("old", 1)])?;
    bench.clock.advance(30 * MINUTE);
    let cookie = bench.begin(&[("new", 1)])?;
    assert_eq!(bench.count()?, 2);
    bench.clock.advance(30 * MINUTE);
    let mut shown = Vec::new();
    bench.store.scan(bench.now(), &mut |key, _| {
        shown.push(*key);
        true
    })?;
    assert_eq!(shown, [key(&cookie)?]);
    Ok(())
}
}

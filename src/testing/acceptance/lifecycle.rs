//! When sessions end.

use std::time::Duration;

use super::bench::{Bench, MILLI, MINUTE, cookie, expect_gone, foreign_secret, key};
use super::{Checked, Fresh};
use crate::session::Login;
use crate::session::Status;
use crate::store::{Committed, Forward, Loaded, Record, Revoke, Swap, Swapped};

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
    bench.touch(&cookie)?;
    bench.clock.advance(49 * MINUTE);
    // A use in its last minute does not lengthen it either. Not in its last millisecond: a store may
    // expire it by a clock of its own.
    bench.touch(&cookie)?;
    assert_eq!(bench.record(&cookie)?.deadline(), end);
    bench.clock.advance(MINUTE - MILLI);
    assert!(bench.find(&cookie)?.is_some());
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
    assert_eq!(bench.record(&cookie)?.idle_timeout(), Some(48 * HOUR));
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

/// spring-session#944: a page that polls keeps no session alive.
fn what_must_not_prolong_moves_neither_use_nor_deadline(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (cookie, _) = bench.sign_in("u1")?;
    let begun = bench.record(&cookie)?;
    for minute in 1..60 {
        bench.clock.advance(MINUTE);
        let poll = bench.open(&cookie);
        poll.dont_prolong();
        poll.get("a")?;
        if minute % 2 == 0 {
            poll.set("polls", minute)?;
        }
        let _ = poll.commit()?;
        assert_eq!(poll.take("nothing")?, None);
        let record = bench.record(&cookie)?;
        assert_eq!(record.last_used(), begun.last_used());
        assert_eq!(record.deadline(), begun.deadline());
    }
    bench.expect(&cookie, &[("polls", 58)])?;
    // What is taken and what is renewed is stored, too.
    let poll = bench.open(&cookie);
    poll.dont_prolong();
    assert_eq!(poll.take("polls")?, Some(58.into()));
    poll.renew()?;
    let cookie = self::cookie(&poll.commit()?)?;
    assert_eq!(bench.record(&cookie)?.deadline(), begun.deadline());
    bench.clock.advance(MINUTE - MILLI);
    assert!(bench.find(&cookie)?.is_some());
    assert_eq!(bench.list("u1")?.len(), 1);
    bench.clock.advance(MILLI);
    assert!(bench.find(&cookie)?.is_none());
    assert_eq!(bench.list("u1")?, []);
    Ok(())
}

/// A use that comes between the load and the commit stays.
fn what_must_not_prolong_keeps_the_use_of_another_request(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    bench.clock.advance(30 * MINUTE);
    let poll = bench.open(&cookie);
    poll.dont_prolong();
    poll.set("polls", 1)?;
    bench.touch(&cookie)?;
    let used = bench.record(&cookie)?;
    assert_eq!(used.deadline(), bench.now() + HOUR);
    let _ = poll.commit()?;
    assert_eq!(bench.record(&cookie)?.deadline(), used.deadline());
    bench.expect(&cookie, &[("a", 1), ("polls", 1)])
}

fn a_persistent_cookie_stays_one_through_changes_and_renewals(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::with(fresh, |config| config.absolute_timeout_minutes(100))?;
    let session = bench.sessions.open(None);
    session.login(Login::new("u1").remember())?;
    let outcome = session.commit()?;
    assert_eq!(outcome.max_age(), Some(100 * MINUTE));
    let first = cookie(&outcome)?;
    assert!(bench.record(&first)?.is_persistent());
    bench.clock.advance(50 * MINUTE);
    let session = bench.open(&first);
    session.set("a", 1)?;
    assert_eq!(session.commit()?.max_age(), None, "no new secret");
    bench.clock.advance(20 * MINUTE);
    bench.touch(&first)?;
    assert!(bench.record(&first)?.is_persistent());
    let session = bench.open(&first);
    session.renew()?;
    let outcome = session.commit()?;
    assert_eq!(outcome.max_age(), Some(30 * MINUTE));
    assert!(bench.record(&cookie(&outcome)?)?.is_persistent());
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
    bench.touch(&cookie)?;
    assert_eq!(bench.record(&cookie)?.version(), version);
    assert_eq!(bench.record(&cookie)?.last_used(), bench.now());
    bench.expect(&cookie, &[("a", 2), ("b", 3)])
}

fn a_touch_never_moves_back(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    let begun = bench.record(&cookie)?;
    bench.clock.advance(30 * MINUTE);
    bench.touch(&cookie)?;
    let used = bench.record(&cookie)?;
    assert_eq!(used.last_used(), bench.now());
    // Requests that began earlier and end later.
    for earlier in [30 * MINUTE - MILLI, 27 * MINUTE, 25 * MINUTE] {
        bench.touch_as(&cookie, &begun, begun.created() + earlier)?;
        assert_eq!(bench.record(&cookie)?, used);
    }
    Ok(())
}

fn a_clock_that_goes_back_ends_nothing(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let begun = bench.now();
    bench.clock.advance(5 * MINUTE);
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

/// A session that began while the clock was wrong outlived its timeouts by that much.
fn a_time_far_in_the_future_counts_as_now(fresh: Fresh<'_>) -> Checked {
    const FAR: Duration = Duration::from_secs(200 * 24 * 3600);
    for change in [false, true] {
        let bench = Bench::with(fresh, |config| config.absolute_timeout_minutes(100))?;
        let begun = bench.now();
        bench.clock.advance(FAR);
        let cookie = bench.begin(&[("a", 1)])?;
        bench.clock.set(begun);
        let session = bench.open(&cookie);
        assert_eq!(
            session.get("a")?,
            Some(1.into()),
            "it ends no session early"
        );
        if change {
            session.set("a", 1)?;
        }
        let _ = session.commit()?;
        let record = bench.record(&cookie)?;
        assert_eq!((record.created(), record.last_used()), (begun, begun));
        assert_eq!(record.deadline(), begun + HOUR);
        bench.clock.advance(50 * MINUTE);
        bench.touch(&cookie)?;
        bench.clock.advance(50 * MINUTE - MILLI);
        bench.expect(&cookie, &[("a", 1)])?;
        bench.clock.advance(MILLI);
        assert!(bench.find(&cookie)?.is_none());
    }
    // Up to five minutes it is left alone, beyond them it is corrected.
    for (ahead, corrected) in [(5 * MINUTE, false), (5 * MINUTE + MILLI, true)] {
        let bench = Bench::new(fresh)?;
        let begun = bench.now();
        bench.clock.advance(ahead);
        let cookie = bench.begin(&[("a", 1)])?;
        bench.clock.set(begun);
        let session = bench.open(&cookie);
        session.get("a")?;
        let _ = session.commit()?;
        let used = bench.record(&cookie)?.last_used();
        assert_eq!(used, if corrected { begun } else { begun + ahead });
    }
    Ok(())
}

/// A request with an older use than another one has recorded meanwhile.
fn a_swap_keeps_the_later_use(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    for renews in [false, true] {
        let cookie = bench.begin(&[("a", 1)])?;
        let (key, to) = (key(&cookie)?, bench.new_key(&cookie)?);
        let before = bench.record(&cookie)?;
        let mut after = Record::clone(&before);
        let change = bench.change().set("a", &2.into());
        change.apply(&mut after, bench.now())?;
        assert_eq!(after.last_used(), before.last_used());
        bench.clock.advance(4 * MINUTE);
        bench.touch(&cookie)?;
        let used = bench.record(&cookie)?;
        assert_eq!(used.version(), before.version());
        let (before, after) = (&*before, &after);
        let swap = if renews {
            let forward = Forward::new(to, &bench.change().renew(to), bench.now());
            Swap::Move {
                before,
                after,
                forward,
            }
        } else {
            Swap::Replace { before, after }
        };
        assert_eq!(bench.store.swap(&key, swap, bench.now())?, Swapped::Done);
        let Loaded::Found(stored) = bench
            .store
            .load(if renews { &to } else { &key }, bench.now())?
        else {
            panic!("the session is not where the swap put it");
        };
        assert_eq!(stored.last_used(), bench.now());
        assert_eq!(stored.deadline(), bench.now() + HOUR);
        assert_eq!(stored.get("a")?, Some(2.into()));
        assert_eq!(stored.version(), after.version());
    }
    Ok(())
}

/// A value that is taken by a request that began long before the last use.
fn a_take_moves_no_use_back(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    let slow = bench.open(&cookie);
    slow.get("a")?;
    bench.clock.advance(10 * MINUTE);
    bench.touch(&cookie)?;
    assert_eq!(slow.take("a")?, Some(1.into()));
    let record = bench.record(&cookie)?;
    assert_eq!(record.last_used(), bench.now());
    assert_eq!(record.deadline(), bench.now() + HOUR);
    Ok(())
}

/// A touch by the record as it was before a renewal or a login moved the session.
fn a_touch_of_a_moved_session_does_nothing(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    for by_login in [false, true] {
        let (old, id) = bench.sign_in("u1")?;
        let before = bench.record(&old)?;
        let session = bench.open(&old);
        if by_login {
            session.login("u2")?;
        } else {
            session.renew()?;
        }
        let new = cookie(&session.commit()?)?;
        let moved = bench.record(&new)?;
        bench.clock.advance(10 * MINUTE);
        bench.touch_as(&old, &before, bench.now())?;
        assert!(bench.find(&old)?.is_none());
        assert_eq!(bench.record(&new)?, moved);
        assert_eq!(bench.list(if by_login { "u2" } else { "u1" })?, [id]);
        assert_eq!(bench.list(if by_login { "u1" } else { "u2" })?, []);
        bench.open(&new).logout()?;
    }
    Ok(())
}

/// Settings of today end what a record from before allows, at load and in lists.
fn tighter_settings_bind_the_sessions_that_exist(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (cookie, id) = bench.sign_in("u1")?;
    let begun = bench.now();
    for absolute in [false, true] {
        bench.clock.set(begun);
        let tight = bench.limited(|config| {
            if absolute {
                config.absolute_timeout_minutes(10)
            } else {
                config.timeout_minutes(10)
            }
        })?;
        tight.clock.advance(10 * MINUTE - MILLI);
        assert_eq!(tight.list("u1")?, [id]);
        assert_eq!(tight.open(&cookie).user()?.as_deref(), Some("u1"));
        tight.clock.advance(MILLI);
        assert_eq!(tight.list("u1")?, []);
        assert_eq!(tight.open(&cookie).user()?, None);
    }
    // The store knows no settings.
    assert!(bench.find(&cookie)?.is_some());
    Ok(())
}

fn a_touch_of_an_unknown_session_does_nothing(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    let record = bench.record(&cookie)?;
    let (user_cookie, _) = bench.sign_in("u1")?;
    let signed_in = bench.record(&user_cookie)?;
    bench.open(&cookie).logout()?;
    bench.open(&user_cookie).logout()?;
    bench.clock.advance(10 * MINUTE);
    for (secret, record) in [
        (&cookie, &record),
        (&user_cookie, &signed_in),
        (&foreign_secret()?, &signed_in),
    ] {
        bench.touch_as(secret, record, bench.now())?;
        assert!(bench.find(secret)?.is_none());
    }
    assert_eq!(bench.count()?, 0);
    assert_eq!(bench.list("u1")?, []);
    Ok(())
}

fn an_expired_session_is_not_loaded_changed_or_touched(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (cookie, _) = bench.sign_in("u1")?;
    let before = bench.record(&cookie)?;
    bench.clock.advance(HOUR);
    let (now, key, to) = (bench.now(), key(&cookie)?, bench.new_key(&cookie)?);
    assert_eq!(bench.store.load(&key, now)?, Loaded::Absent);
    for change in [
        bench.change(),
        bench.change().set("a", &1.into()),
        bench.change().renew(to),
        bench.change().renew(to).login("u1", None),
    ] {
        for loaded in [None, Some(before.clone())] {
            let committed = bench.store.commit(&key, &change, loaded, now)?;
            assert_eq!(committed, Committed::Gone);
        }
    }
    let mut after = Record::clone(&before);
    bench.change().apply(&mut after, now)?;
    let (before, after) = (&*before, &after);
    let forward = Forward::new(to, &bench.change().renew(to), now);
    for swap in [
        Swap::Replace { before, after },
        Swap::Move {
            before,
            after,
            forward,
        },
        Swap::Remove(before),
    ] {
        assert_eq!(bench.store.swap(&key, swap, now)?, Swapped::Gone);
    }
    bench.touch_as(&cookie, before, now)?;
    assert_eq!(bench.list("u1")?, []);
    assert_eq!(bench.sessions.revoke("u1", Revoke::All)?, 0);
    assert_eq!(bench.count()?, 0);
    assert_eq!(bench.store.load(&key, now)?, Loaded::Absent);
    assert_eq!(bench.store.load(&to, now)?, Loaded::Absent);
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

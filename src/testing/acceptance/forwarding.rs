//! What an old secret still reaches after a renewal: the table of the guide, row by row.

use std::time::Duration;

use super::bench::{
    Bench, MILLI, MINUTE, NOTHING, cookie, expect_error, expect_gone, expect_merged, key, login,
    renew,
};
use super::{Checked, Fresh};
use crate::error::{Error, ErrorKind};
use crate::session::{Session, Status};
use crate::store::{Committed, Forward, Loaded, Revoke};

const SECOND: Duration = Duration::from_secs(1);

/// How many renewals in a minute every store follows.
const HOPS: usize = 8;

type Move<'m> = &'m dyn Fn(&Bench, &str) -> Result<String, Error>;

/// Every way to move a session to a new secret. `true` after a login.
const MOVES: [(bool, Move<'static>); 2] = [
    (false, &renew),
    (true, &|bench, old| login(bench, old, "u1")),
];

/// A request that has loaded the session.
fn loaded(bench: &Bench, cookie: &str) -> Result<Session, Error> {
    let session = bench.open(cookie);
    assert!(session.id()?.is_some(), "there is no session to load");
    Ok(session)
}

type Request<'r> = &'r dyn Fn(&Session) -> Result<(), Error>;

cases! { __acceptance_forwarding:
fn a_forward_says_where_and_until_when(fresh: Fresh<'_>) -> Checked {
    for (by_login, move_on) in MOVES {
        let bench = Bench::new(fresh)?;
        let old = bench.begin(&[("a", 1)])?;
        let until = bench.now() + MINUTE;
        let to = key(&move_on(&bench, &old)?)?;
        let forward = Forward {
            to,
            by_login,
            until,
        };
        let load = || bench.store.load(&key(&old)?, bench.now());
        assert_eq!(load()?, Loaded::Moved(forward));
        bench.clock.set(until);
        assert_eq!(load()?, Loaded::Absent);
        assert!(matches!(
            bench.store.load(&to, bench.now())?,
            Loaded::Found(_)
        ));
    }
    Ok(())
}

fn it_opens_nothing(fresh: Fresh<'_>) -> Checked {
    for (_, move_on) in MOVES {
        let bench = Bench::new(fresh)?;
        let old = bench.begin(&[("a", 1)])?;
        move_on(&bench, &old)?;
        let session = bench.open(&old);
        assert_eq!(session.get("a")?, None);
        assert_eq!(session.user()?, None);
        assert_eq!(session.id()?, None);
        assert_eq!(session.take("a")?, None);
        assert_eq!(session.commit()?.status(), Status::Unchanged);
        assert_eq!(bench.count()?, 1);
    }
    Ok(())
}

/// Of a request that had met the session, and of one that brings the old cookie.
fn a_logout_ends_the_session_wherever_it_is(fresh: Fresh<'_>) -> Checked {
    for (_, move_on) in MOVES {
        for met in [false, true] {
            let bench = Bench::new(fresh)?;
            let old = bench.begin(&[("a", 1)])?;
            let out = bench.open(&old);
            if met {
                out.get("a")?;
            }
            let new = move_on(&bench, &old)?;
            out.logout()?;
            assert!(bench.find(&new)?.is_none());
            assert_eq!(bench.open(&new).get("a")?, None);
            assert_eq!(bench.count()?, 0);
            assert_eq!(bench.list("u1")?, []);
            assert!(out.commit()?.removes_cookie());
        }
    }
    Ok(())
}

/// Every chain of renewals and logins, from each of its secrets.
fn a_logout_follows_every_hop(fresh: Fresh<'_>) -> Checked {
    for chain in 0..8 {
        for begun in 0..=3 {
            let bench = Bench::new(fresh)?;
            let mut cookies = vec![bench.begin(&[("a", 1)])?];
            for hop in 0..3 {
                let (_, move_on) = MOVES[chain >> hop & 1];
                cookies.push(move_on(&bench, &cookies[hop])?);
            }
            bench.open(&cookies[begun]).logout()?;
            assert_eq!(bench.count()?, 0, "chain {chain:03b} from {begun}");
            assert_eq!(bench.list("u1")?, []);
        }
    }
    let bench = Bench::new(fresh)?;
    let old = bench.begin(&[("a", 1)])?;
    let mut now = old.clone();
    for _ in 0..HOPS {
        now = renew(&bench, &now)?;
    }
    bench.open(&old).logout()?;
    assert_eq!(bench.count()?, 0, "after {HOPS} renewals");
    Ok(())
}

/// A session that was renewed and then ended is not reached by its older secrets.
fn a_logout_elsewhere_leaves_no_way_back(fresh: Fresh<'_>) -> Checked {
    for (_, move_on) in MOVES {
        let bench = Bench::new(fresh)?;
        let old = bench.begin(&[("a", 1)])?;
        let (writer, leaver, taker) = (
            loaded(&bench, &old)?,
            loaded(&bench, &old)?,
            loaded(&bench, &old)?,
        );
        writer.set("a", 2)?;
        let new = move_on(&bench, &old)?;
        bench.open(&new).logout()?;
        expect_gone(&writer.commit()?);
        assert_eq!(taker.take("a")?, None);
        leaver.logout()?;
        assert_eq!(bench.count()?, 0);
        assert_eq!(bench.store.load(&key(&new)?, bench.now())?, Loaded::Absent);
    }
    Ok(())
}

fn a_commit_is_merged_hop_by_hop(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let mut cookies = vec![bench.begin(&[("n", 0)])?];
    let mut slow = Vec::new();
    for hop in 0..HOPS {
        slow.push(loaded(&bench, &cookies[hop])?);
        cookies.push(renew(&bench, &cookies[hop])?);
    }
    let new = cookies.pop().unwrap_or_default();
    for (hop, session) in slow.iter().enumerate() {
        session.increment("n", 1)?;
        session.set(&format!("of_{hop}"), 1)?;
        expect_merged(&session.commit()?);
    }
    let data = bench.data(&new)?;
    assert_eq!(data.get("n"), Some(&8.into()));
    assert_eq!(data.len(), 1 + HOPS);
    for old in &cookies {
        assert!(bench.find(old)?.is_none());
    }
    assert_eq!(bench.count()?, 1);
    Ok(())
}

fn a_commit_that_renews_is_merged_and_renews_nothing(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let old = bench.begin(&[("a", 1)])?;
    let (one, two) = (loaded(&bench, &old)?, loaded(&bench, &old)?);
    let new = renew(&bench, &renew(&bench, &old)?)?;
    for (session, name) in [(&one, "b"), (&two, "c")] {
        session.set(name, 2)?;
        session.renew()?;
        expect_merged(&session.commit()?);
    }
    bench.expect(&new, &[("a", 1), ("b", 2), ("c", 2)])?;
    assert_eq!(bench.count()?, 1);
    Ok(())
}

fn a_commit_that_signs_in_moves_the_session_again(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let old = bench.begin(&[("a", 1)])?;
    let (slow, slower, out) = (
        loaded(&bench, &old)?,
        loaded(&bench, &old)?,
        loaded(&bench, &old)?,
    );
    let id = slow.id()?;
    let middle = renew(&bench, &old)?;
    slow.set("b", 2)?;
    slow.login("u1")?;
    let new = cookie(&slow.commit()?)?;
    assert!(new != middle && new != old);
    assert!(bench.find(&middle)?.is_none());
    assert_eq!(Some(bench.record(&new)?.id()), id);
    assert_eq!(bench.record(&new)?.user(), Some("u1"));
    assert_eq!(bench.list("u1")?.len(), 1);
    bench.expect(&new, &[("a", 1), ("b", 2)])?;
    // The older chain leads on to it: what did not sign in stops there, a logout does not.
    slower.set("c", 3)?;
    expect_gone(&slower.commit()?);
    bench.expect(&new, &[("a", 1), ("b", 2)])?;
    out.logout()?;
    assert_eq!(bench.count()?, 0);
    Ok(())
}

/// What an anonymous visitor did must not cross a sign-in; nor what a user did another one's.
fn after_a_login_every_commit_is_gone(fresh: Fresh<'_>) -> Checked {
    let changes: [Request<'_>; 6] = [
        &|session| session.set("a", 2),
        &Session::clear,
        &Session::renew,
        &|session| session.login("u1"),
        &|session| session.login("u2"),
        &|session| {
            session.increment("a", 1)?;
            session.renew()
        },
    ];
    for user in [None, Some("u0"), Some("u1")] {
        for change in changes {
            let bench = Bench::new(fresh)?;
            let mut old = bench.begin(&[("x", 1)])?;
            if let Some(user) = user {
                old = login(&bench, &old, user)?;
            }
            let slow = loaded(&bench, &old)?;
            change(&slow)?;
            let new = login(&bench, &old, "u1")?;
            let before = bench.record(&new)?;
            expect_gone(&slow.commit()?);
            assert_eq!(bench.record(&new)?, before);
            assert_eq!(bench.list("u1")?, [before.id()]);
            assert_eq!(bench.list("u2")?, []);
            assert_eq!(bench.count()?, 1);
        }
    }
    Ok(())
}

fn a_login_in_the_middle_of_a_chain_stops_a_commit(fresh: Fresh<'_>) -> Checked {
    for chain in 0..8 {
        let bench = Bench::new(fresh)?;
        let mut cookies = vec![bench.begin(&[("a", 1)])?];
        let mut slow = Vec::new();
        for hop in 0..3 {
            slow.push(loaded(&bench, &cookies[hop])?);
            let (_, move_on) = MOVES[chain >> hop & 1];
            cookies.push(move_on(&bench, &cookies[hop])?);
        }
        let mut expected = vec![("a".to_owned(), 1)];
        for (hop, session) in slow.iter().enumerate() {
            let name = format!("of_{hop}");
            session.set(&name, 1)?;
            let crosses_login = chain >> hop != 0;
            let outcome = session.commit()?;
            if crosses_login {
                expect_gone(&outcome);
            } else {
                expect_merged(&outcome);
                expected.push((name, 1));
            }
        }
        let expected: Vec<_> = expected.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        bench.expect(&cookies[3], &expected)?;
    }
    Ok(())
}

fn a_take_follows_renewals_and_no_login(fresh: Fresh<'_>) -> Checked {
    for chain in 0..4 {
        let bench = Bench::new(fresh)?;
        let old = bench.begin(&[("flash", 1)])?;
        let slow = loaded(&bench, &old)?;
        let mut now = old;
        for hop in 0..2 {
            let (_, move_on) = MOVES[chain >> hop & 1];
            now = move_on(&bench, &now)?;
        }
        let taken = slow.take("flash")?;
        assert_eq!(slow.get("flash")?, None, "a value was taken and is there");
        if chain == 0 {
            assert_eq!(taken, Some(1.into()), "two renewals");
            bench.expect(&now, NOTHING)?;
        } else {
            assert_eq!(taken, None, "chain {chain:02b}");
            bench.expect(&now, &[("flash", 1)])?;
        }
    }
    Ok(())
}

/// The old secret is dead, and never adopted.
fn a_request_that_had_loaded_nothing_begins_anew(fresh: Fresh<'_>) -> Checked {
    for (_, move_on) in MOVES {
        let bench = Bench::new(fresh)?;
        let old = bench.begin(&[("a", 1)])?;
        let late = bench.open(&old);
        let new = move_on(&bench, &old)?;
        late.set("b", 2)?;
        let outcome = late.commit()?;
        assert_eq!(outcome.status(), Status::Created);
        let own = cookie(&outcome)?;
        assert!(own != old && own != new);
        bench.expect(&own, &[("b", 2)])?;
        bench.expect(&new, &[("a", 1)])?;
        assert_ne!(bench.record(&own)?.id(), bench.record(&new)?.id());
    }
    Ok(())
}

fn it_ends_with_its_minute(fresh: Fresh<'_>) -> Checked {
    for (later, alive) in [(MINUTE - MILLI, true), (MINUTE, false)] {
        let bench = Bench::new(fresh)?;
        let old = bench.begin(&[("a", 1)])?;
        let (writer, leaver, taker) = (
            loaded(&bench, &old)?,
            loaded(&bench, &old)?,
            loaded(&bench, &old)?,
        );
        let new = renew(&bench, &old)?;
        bench.clock.advance(later);
        writer.set("a", 2)?;
        let outcome = writer.commit()?;
        if alive {
            expect_merged(&outcome);
        } else {
            expect_gone(&outcome);
        }
        bench.expect(&new, &[("a", if alive { 2 } else { 1 })])?;
        assert_eq!(taker.take("a")?, alive.then(|| 2.into()));
        assert_eq!(bench.record(&new)?.is_empty(), alive);
        leaver.logout()?;
        bench.open(&old).logout()?;
        assert_eq!(bench.find(&new)?.is_none(), alive);
    }
    Ok(())
}

fn each_hop_has_its_own_minute(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let old = bench.begin(&[("n", 0)])?;
    let (early, late) = (loaded(&bench, &old)?, loaded(&bench, &old)?);
    let middle = renew(&bench, &old)?;
    let (second, second_late) = (loaded(&bench, &middle)?, loaded(&bench, &middle)?);
    bench.clock.advance(40 * SECOND);
    let new = renew(&bench, &middle)?;
    let write = |session: &Session| {
        session.increment("n", 1)?;
        session.commit()
    };
    bench.clock.advance(20 * SECOND - MILLI);
    expect_merged(&write(&early)?);
    bench.clock.advance(MILLI);
    expect_gone(&write(&late)?);
    bench.clock.advance(40 * SECOND - MILLI);
    expect_merged(&write(&second)?);
    bench.clock.advance(MILLI);
    expect_gone(&write(&second_late)?);
    bench.expect(&new, &[("n", 2)])
}

/// A request that had loaded a signed-in session knows whom to sign out.
fn a_logout_after_its_minute_goes_by_user_and_id(fresh: Fresh<'_>) -> Checked {
    for wrote in [false, true] {
        let bench = Bench::new(fresh)?;
        let (old, _) = bench.sign_in("u1")?;
        let (_, other) = bench.sign_in("u1")?;
        let out = loaded(&bench, &old)?;
        let new = renew(&bench, &old)?;
        bench.clock.advance(2 * MINUTE);
        if wrote {
            out.set("a", 1)?;
            expect_gone(&out.commit()?);
        }
        out.logout()?;
        assert!(bench.find(&new)?.is_none(), "wrote before: {wrote}");
        assert_eq!(bench.list("u1")?, [other], "the user's other session");
    }
    // Not if the session is another user's by now.
    let bench = Bench::new(fresh)?;
    let (old, id) = bench.sign_in("u1")?;
    let out = loaded(&bench, &old)?;
    login(&bench, &old, "u2")?;
    bench.clock.advance(2 * MINUTE);
    out.logout()?;
    assert_eq!(bench.list("u2")?, [id]);
    Ok(())
}

fn a_logout_after_its_minute_leaves_an_anonymous_session(fresh: Fresh<'_>) -> Checked {
    for met in [false, true] {
        let bench = Bench::new(fresh)?;
        let old = bench.begin(&[("a", 1)])?;
        let out = bench.open(&old);
        if met {
            out.get("a")?;
        }
        let new = renew(&bench, &old)?;
        bench.clock.advance(MINUTE);
        out.logout()?;
        bench.expect(&new, &[("a", 1)])?;
    }
    Ok(())
}

/// Once a request has reached the session under its new secret, it stays there.
fn a_request_goes_on_after_it_was_merged(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let old = bench.begin(&[("a", 1)])?;
    let slow = loaded(&bench, &old)?;
    let new = renew(&bench, &old)?;
    slow.set("a", 2)?;
    expect_merged(&slow.commit()?);
    // The forward is not needed any more.
    bench.clock.advance(2 * MINUTE);
    assert_eq!(slow.get("a")?, Some(2.into()));
    slow.set("a", 3)?;
    expect_merged(&slow.commit()?);
    bench.expect(&new, &[("a", 3)])?;
    slow.renew()?;
    let newest = cookie(&slow.commit()?)?;
    bench.expect(&newest, &[("a", 3)])?;
    slow.logout()?;
    assert_eq!(bench.count()?, 0);
    Ok(())
}

fn a_revocation_finds_the_session_at_every_hop(fresh: Fresh<'_>) -> Checked {
    for hops in 0..=HOPS {
        for pause in [Duration::ZERO, MINUTE - MILLI, MINUTE] {
            let bench = Bench::new(fresh)?;
            let (mut now, id) = bench.sign_in("u1")?;
            let (_, other) = bench.sign_in("u1")?;
            for _ in 0..hops {
                now = renew(&bench, &now)?;
            }
            bench.clock.advance(pause);
            assert_eq!(bench.list("u1")?.len(), 2);
            assert_eq!(bench.sessions.revoke("u1", Revoke::One(id))?, 1);
            assert!(bench.find(&now)?.is_none());
            assert_eq!(bench.list("u1")?, [other]);
        }
    }
    // Of a session that is another user's by now, nothing is the first one's.
    let bench = Bench::new(fresh)?;
    let (old, id) = bench.sign_in("u1")?;
    let new = renew(&bench, &login(&bench, &renew(&bench, &old)?, "u2")?)?;
    assert_eq!(bench.list("u1")?, []);
    assert_eq!(bench.sessions.revoke("u1", Revoke::All)?, 0);
    assert_eq!(bench.list("u2")?, [id]);
    assert!(bench.find(&new)?.is_some());
    assert_eq!(bench.sessions.revoke("u2", Revoke::All)?, 1);
    assert_eq!(bench.count()?, 0);
    Ok(())
}

/// A change that does not fit the session as it is by now is refused there, too.
fn a_refused_change_leaves_the_renewed_session(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let old = bench.begin(&[("n", 1)])?;
    let slow = loaded(&bench, &old)?;
    slow.increment("n", 1)?;
    slow.login("u1")?;
    let new = renew(&bench, &old)?;
    let session = bench.open(&new);
    session.set("n", "a text")?;
    let _ = session.commit()?;
    let before = bench.record(&new)?;
    expect_error(slow.commit(), ErrorKind::Value);
    assert_eq!(bench.record(&new)?, before);
    // A change that expects something conflicts in the same way.
    let change = bench.change().expect("n", None).set("a", &1.into());
    assert_eq!(bench.commit(&old, &change)?, Committed::Conflict);
    assert_eq!(bench.record(&new)?, before);
    assert_eq!(bench.list("u1")?, []);
    Ok(())
}
}

//! Many requests at the same moment.

use std::sync::Mutex;

use super::bench::{Bench, cookie, together};
use super::{Checked, Fresh};
use crate::error::{Error, ErrorKind};
use crate::session::Status;
use crate::store::Revoke;

cases! { __acceptance_threads:
fn different_keys_are_all_there(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    together(|thread| {
        for n in 0..10 {
            let session = bench.open(&cookie);
            session.set(&format!("key_{thread}_{n}"), n)?;
            assert_eq!(session.commit()?.status(), Status::Changed);
        }
        Ok(())
    })?;
    let data = bench.data(&cookie)?;
    assert_eq!(data.len(), 1 + 8 * 10, "{:?}", data.keys());
    Ok(())
}

fn increments_are_all_there(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    together(|_| {
        for _ in 0..25 {
            let session = bench.open(&cookie);
            session.increment("n", 1)?;
            let _ = session.commit()?;
        }
        Ok(())
    })?;
    bench.expect(&cookie, &[("a", 1), ("n", 200)])
}

fn appends_are_all_there(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    together(|thread| {
        for n in 0..10 {
            let session = bench.open(&cookie);
            session.append("list", thread * 10 + n)?;
            let _ = session.commit()?;
        }
        Ok(())
    })?;
    let mut list: Vec<usize> = bench.open(&cookie).get_as("list")?.unwrap_or_default();
    // Of one thread in its order, of all of them each once.
    for thread in 0..8 {
        let own: Vec<_> = list.iter().filter(|n| **n / 10 == thread).collect();
        assert!(own.is_sorted(), "{own:?}");
    }
    list.sort_unstable();
    assert_eq!(list, (0..80).collect::<Vec<_>>());
    Ok(())
}

fn transactions_count_exactly(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("n", 0)])?;
    together(|_| {
        for _ in 0..25 {
            let _ = bench.open(&cookie).transaction(|session| {
                let n = session.get_as::<i64>("n")?.unwrap_or(0);
                session.set("n", n + 1)
            })?;
        }
        Ok(())
    })?;
    bench.expect(&cookie, &[("n", 200)])
}

fn a_value_is_taken_by_one(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    for round in 0..10 {
        let cookie = bench.begin(&[("flash", round)])?;
        let taken = together(|_| bench.open(&cookie).take("flash"))?;
        let taken: Vec<_> = taken.into_iter().flatten().collect();
        assert_eq!(taken, [round.into()]);
    }
    Ok(())
}

fn a_session_is_renewed_by_one(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    for round in 1..=10 {
        let old = bench.begin(&[("a", 1)])?;
        let outcomes = together(|thread| {
            let session = bench.open(&old);
            session.get("a")?;
            session.login(format!("u{thread}"))?;
            session.commit()
        })?;
        let of = |status| outcomes.iter().filter(move |o| o.status() == status);
        // Who came late found no session under the old secret, and began one.
        let (changed, gone) = (of(Status::Changed).count(), of(Status::Gone).count());
        let begun = of(Status::Created).count();
        assert_eq!((changed, gone + begun), (1, 7));
        assert!(bench.find(&old)?.is_none());
        let mut listed = 0;
        for user in 0..8 {
            let name = format!("u{user}");
            listed += bench.list(&name)?.len();
            bench.sessions.revoke(&name, Revoke::All)?;
        }
        assert_eq!(listed, 1 + begun, "round {round}");
        assert_eq!(bench.count()?, 0);
    }
    Ok(())
}

fn writers_never_revive_a_session(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    for _ in 0..10 {
        let session = bench.sessions.open(None);
        session.login("u1")?;
        session.set("a", 1)?;
        let cookie = cookie(&session.commit()?)?;
        // All have loaded it before it ends.
        let requests: Vec<_> = (0..8).map(|_| bench.open(&cookie)).collect();
        for request in &requests {
            request.get("a")?;
        }
        together(|thread| match thread {
            0 => requests[0].logout(),
            1 => requests[1].take("a").map(drop),
            2 => {
                // A renewal that comes first does not save the session from the logout.
                for _ in 0..10 {
                    requests[2].renew()?;
                    if requests[2].commit()?.status() == Status::Gone {
                        break;
                    }
                }
                Ok(())
            }
            _ => {
                for n in 0..10 {
                    requests[thread].set(&format!("k{thread}"), n)?;
                    let outcome = requests[thread].commit()?;
                    assert!(outcome.secret().is_none());
                }
                Ok(())
            }
        })?;
        assert!(bench.find(&cookie)?.is_none());
        assert_eq!(bench.list("u1")?, []);
        assert_eq!(bench.count()?, 0);
    }
    Ok(())
}

/// A session on the way from one secret to the next is found all the same.
fn nobody_escapes_a_revocation(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    for _ in 0..20 {
        let cookies = Mutex::new(Vec::new());
        for _ in 0..7 {
            let (cookie, _) = bench.sign_in("u1")?;
            cookies
                .lock()
                .unwrap_or_else(|e| e.into_inner())
                .push(cookie);
        }
        let next = || cookies.lock().unwrap_or_else(|e| e.into_inner()).pop();
        together(|thread| {
            if thread == 0 {
                return bench.sessions.revoke("u1", Revoke::All).map(drop);
            }
            let session = bench.open(&next().unwrap_or_default());
            session.get("a")?;
            for _ in 0..10 {
                if session.user()?.is_none() {
                    return Ok(());
                }
                session.renew()?;
                if session.commit()?.status() == Status::Gone {
                    return Ok(());
                }
            }
            Ok(())
        })?;
        assert_eq!(bench.list("u1")?, []);
        assert_eq!(bench.count()?, 0, "a session escaped its revocation");
    }
    Ok(())
}

/// Spring: saveNewSessionAttributeConcurrently.
fn new_sessions_are_all_there(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let begun = together(|thread| {
        (0..10)
            .map(|n| {
                let session = bench.sessions.open(None);
                session.set("n", thread * 10 + n)?;
                session.login("u1")?;
                cookie(&session.commit()?)
            })
            .collect::<Result<Vec<_>, Error>>()
    })?;
    for (thread, cookies) in begun.iter().enumerate() {
        for (n, cookie) in cookies.iter().enumerate() {
            let number = i64::try_from(thread * 10 + n)
                .map_err(|cause| Error::with_source(ErrorKind::Value, "a small number", cause))?;
            bench.expect(cookie, &[("n", number)])?;
        }
    }
    assert_eq!(bench.list("u1")?.len(), 80);
    assert_eq!(bench.count()?, 80);
    Ok(())
}
}

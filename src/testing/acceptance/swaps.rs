//! What a store promises of one step: it replaces the version that it expects and no other.

use std::sync::Arc;

use super::bench::{Bench, MINUTE, key, renew};
use super::{Checked, Fresh};
use crate::error::Error;
use crate::record::Change;
use crate::store::{Forward, IndexLine, Loaded, Record, Swap, Swapped};

/// The record that this change makes of another.
fn changed(bench: &Bench, record: &Record, change: &Change) -> Result<Record, Error> {
    let mut after = record.clone();
    assert!(change.apply(&mut after, bench.now())?);
    Ok(after)
}

cases! { __acceptance_swaps:
fn a_swap_of_the_expected_version_is_done(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    let (from, to, now) = (key(&cookie)?, bench.new_key(&cookie)?, bench.now());
    let load = |key| bench.store.load(key, now);

    let first = bench.record(&cookie)?;
    let second = changed(&bench, &first, &bench.change().set("a", &2.into()))?;
    assert_ne!(first.version(), second.version());
    let swap = Swap::Replace {
        before: &first,
        after: &second,
    };
    assert_eq!(bench.store.swap(&from, swap, now)?, Swapped::Done);
    let second = Arc::new(second);
    assert_eq!(load(&from)?, Loaded::Found(second.clone()));

    let change = bench.change().renew(to).login("u1", None);
    let third = changed(&bench, &second, &change)?;
    let forward = Forward::new(to, &change, now);
    let swap = Swap::Move {
        before: &second,
        after: &third,
        forward,
    };
    assert_eq!(bench.store.swap(&from, swap, now)?, Swapped::Done);
    let third = Arc::new(third);
    assert_eq!(load(&from)?, Loaded::Moved(forward));
    assert_eq!(load(&to)?, Loaded::Found(third.clone()));
    assert_eq!(bench.list("u1")?, [third.id()]);

    let swap = Swap::Remove(&third);
    assert_eq!(bench.store.swap(&to, swap, now)?, Swapped::Done);
    assert_eq!(load(&to)?, Loaded::Absent);
    assert_eq!(bench.list("u1")?, []);
    assert_eq!(bench.count()?, 0);
    Ok(())
}

/// Nothing is done then, and the caller learns what there is now.
fn a_swap_of_an_older_version_gets_the_current_one(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (cookie, id) = bench.sign_in("u1")?;
    let (from, to, now) = (key(&cookie)?, bench.new_key(&cookie)?, bench.now());
    let old = bench.record(&cookie)?;
    let session = bench.open(&cookie);
    session.set("a", 1)?;
    let _ = session.commit()?;
    let current = bench.record(&cookie)?;
    let change = bench.change().renew(to).login("u2", None);
    let (before, after) = (&*old, &changed(&bench, &old, &change)?);
    let forward = Forward::new(to, &change, now);
    for swap in [
        Swap::Replace { before, after },
        Swap::Move {
            before,
            after,
            forward,
        },
        Swap::Remove(before),
    ] {
        let swapped = bench.store.swap(&from, swap, now)?;
        assert_eq!(swapped, Swapped::Current(current.clone()), "{swap:?}");
        assert_eq!(bench.record(&cookie)?, current);
        assert_eq!(bench.store.load(&to, now)?, Loaded::Absent);
        assert_eq!(bench.list("u1")?, [id]);
        assert_eq!(bench.list("u2")?, []);
    }
    Ok(())
}

fn a_swap_of_a_moved_session_gets_the_forward(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let old = bench.begin(&[("a", 1)])?;
    let (from, elsewhere) = (key(&old)?, bench.new_key(&old)?);
    let record = bench.record(&old)?;
    let forward = Forward {
        to: key(&renew(&bench, &old)?)?,
        by_login: false,
        until: bench.now() + MINUTE,
    };
    let before = &*record;
    let swaps = [
        Swap::Replace {
            before,
            after: before,
        },
        Swap::Move {
            before,
            after: before,
            forward: Forward {
                to: elsewhere,
                ..forward
            },
        },
        Swap::Remove(before),
    ];
    for swap in swaps {
        let swapped = bench.store.swap(&from, swap, bench.now())?;
        assert_eq!(swapped, Swapped::Moved(forward), "{swap:?}");
    }
    bench.clock.set(forward.until);
    for swap in swaps {
        let swapped = bench.store.swap(&from, swap, bench.now())?;
        assert_eq!(swapped, Swapped::Gone, "{swap:?}");
    }
    assert_eq!(bench.count()?, 1);
    assert_eq!(bench.store.load(&elsewhere, bench.now())?, Loaded::Absent);
    Ok(())
}

/// So a page that only reads makes no commit of another request try again.
fn a_touch_alone_leaves_the_version(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (cookie, _) = bench.sign_in("u1")?;
    let before = bench.record(&cookie)?;
    bench.clock.advance(10 * MINUTE);
    bench.touch(&cookie)?;
    let touched = bench.record(&cookie)?;
    assert_eq!(touched.version(), before.version());
    assert_eq!(touched.last_used(), bench.now());
    let after = changed(&bench, &before, &bench.change().set("a", &1.into()))?;
    let swap = Swap::Replace {
        before: &before,
        after: &after,
    };
    let swapped = bench.store.swap(&key(&cookie)?, swap, bench.now())?;
    assert_eq!(swapped, Swapped::Done);
    assert_eq!(*bench.record(&cookie)?, after);
    Ok(())
}

/// Of a session, and of a forward.
fn a_key_in_use_is_refused(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let old = bench.begin(&[("a", 1)])?;
    let other = Record::clone(&*bench.record(&bench.begin(&[("other", 1)])?)?);
    let new = renew(&bench, &old)?;
    let forward = bench.store.load(&key(&old)?, bench.now())?;
    let record = bench.record(&new)?;
    for secret in [&old, &new] {
        let key = key(secret)?;
        let swapped = bench.store.swap(&key, Swap::Create(&other), bench.now());
        assert!(!matches!(swapped, Ok(Swapped::Done)), "{swapped:?}");
        let change = bench
            .change()
            .create(crate::secret::SessionId::generate())
            .set("mine", &1.into());
        assert!(bench.commit(secret, &change).is_err());
    }
    assert_eq!(bench.record(&new)?, record);
    assert_eq!(bench.store.load(&key(&old)?, bench.now())?, forward);
    assert_eq!(bench.count()?, 2);
    Ok(())
}

fn what_can_be_read_is_not_removed_as_unreadable(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (old, id) = bench.sign_in("u1")?;
    let new = renew(&bench, &old)?;
    let record = bench.record(&new)?;
    let forward = bench.store.load(&key(&old)?, bench.now())?;
    for secret in [&old, &new] {
        let swapped = bench
            .store
            .swap(&key(secret)?, Swap::RemoveUnreadable, bench.now())?;
        assert_ne!(swapped, Swapped::Done);
    }
    assert_eq!(bench.record(&new)?, record);
    assert_eq!(bench.store.load(&key(&old)?, bench.now())?, forward);
    assert_eq!(bench.list("u1")?, [id]);
    Ok(())
}

/// The index may name too much, never too little.
fn the_index_has_the_line_before_the_session(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    let mut record = bench.record(&cookie)?;
    let mut at = key(&cookie)?;
    for user in ["u1", "u1", "u2", "u1"] {
        let to = bench.new_key(&cookie)?;
        let change = bench.change().renew(to).login(user, None);
        let after = changed(&bench, &record, &change)?;
        let swap = Swap::Move {
            before: &record,
            after: &after,
            forward: Forward::new(to, &change, bench.now()),
        };
        assert_eq!(bench.store.swap(&at, swap, bench.now())?, Swapped::Done);
        let line = IndexLine {
            id: after.id(),
            key: to,
        };
        assert!(bench.store.user_index(user, bench.now())?.contains(&line));
        assert_eq!(bench.list(user)?, [after.id()]);
        (record, at) = (Arc::new(after), to);
    }
    assert_eq!(bench.list("u2")?, []);
    Ok(())
}

fn the_store_answers(fresh: Fresh<'_>) -> Checked {
    Bench::new(fresh)?.store.ping()
}
}

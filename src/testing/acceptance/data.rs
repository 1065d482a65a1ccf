//! Reading and writing, one request after the other.

use super::bench::{Bench, NOTHING, cookie, expect_error, foreign_secret, key};
use super::{Checked, Fresh};
use crate::error::ErrorKind;
use crate::session::Status;
use crate::store::Committed;
use crate::value::Value;

cases! { __acceptance_data:
/// ASVS 7.6.2.
fn a_visit_stores_nothing(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let session = bench.sessions.open(None);
    assert_eq!(session.get("a")?, None);
    session.remove("a")?;
    session.clear()?;
    let outcome = session.commit()?;
    assert_eq!(outcome.status(), Status::Unchanged);
    assert!(outcome.secret().is_none());
    assert_eq!(bench.count()?, 0);
    Ok(())
}

/// Django: get_empty, has_key.
fn a_missing_key_is_nothing(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    let session = bench.open(&cookie);
    assert_eq!(session.get("b")?, None);
    assert!(!session.contains("b")?);
    assert!(session.contains("a")?);
    Ok(())
}

/// Django: store, save, save_doesnt_clear_data.
fn the_next_request_reads_what_was_set(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let session = bench.sessions.open(None);
    session.set("color", "dark")?;
    let outcome = session.commit()?;
    assert_eq!(outcome.status(), Status::Created);
    let cookie = cookie(&outcome)?;
    assert_eq!(session.get("color")?, Some("dark".into()));
    assert_eq!(bench.open(&cookie).get("color")?, Some("dark".into()));
    bench.expect(&cookie, &[("color", "dark")])
}

/// Spring: modify an attribute.
fn a_value_is_overwritten(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    let session = bench.open(&cookie);
    session.set("a", "now a text")?;
    let outcome = session.commit()?;
    assert_eq!(outcome.status(), Status::Changed);
    assert!(outcome.secret().is_none(), "the cookie stays as it is");
    bench.expect(&cookie, &[("a", "now a text")])
}

/// Django: update. Spring: add, modify and remove together.
fn many_keys_go_in_one_commit(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1), ("b", 1), ("c", 1)])?;
    let session = bench.open(&cookie);
    session.set("a", 2)?;
    session.remove("b")?;
    session.set("d", 2)?;
    session.set("0", 2)?;
    let _ = session.commit()?;
    bench.expect(&cookie, &[("0", 2), ("a", 2), ("c", 1), ("d", 2)])
}

/// Django: pop. Spring: remove an attribute.
fn a_removed_key_is_gone_and_the_others_stay(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1), ("b", 2)])?;
    let session = bench.open(&cookie);
    assert!(session.remove("a")?);
    assert!(!session.remove("a")?);
    let _ = session.commit()?;
    bench.expect(&cookie, &[("b", 2)])
}

/// Django: empty_session_saved.
fn a_session_without_keys_is_still_a_session(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    let id = bench.record(&cookie)?.id();
    let session = bench.open(&cookie);
    session.remove("a")?;
    let _ = session.commit()?;
    bench.expect(&cookie, NOTHING)?;
    let session = bench.open(&cookie);
    session.set("b", 2)?;
    assert_eq!(session.commit()?.status(), Status::Changed);
    assert_eq!(bench.record(&cookie)?.id(), id);
    bench.expect(&cookie, &[("b", 2)])
}

/// Django: clear.
fn clear_empties_the_session_and_keeps_it(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1), ("b", 2)])?;
    let id = bench.record(&cookie)?.id();
    let session = bench.open(&cookie);
    session.clear()?;
    assert_eq!(session.commit()?.status(), Status::Changed);
    assert_eq!(bench.record(&cookie)?.id(), id);
    bench.expect(&cookie, NOTHING)
}

fn clear_keeps_what_the_same_request_writes_after_it(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1), ("b", 2), ("n", 5)])?;
    let session = bench.open(&cookie);
    session.set("before", 1)?;
    session.clear()?;
    session.set("b", 3)?;
    session.increment("n", 1)?;
    let _ = session.commit()?;
    bench.expect(&cookie, &[("b", 3), ("n", 1)])
}

/// Django: keys, values, items.
fn keys_and_entries_come_sorted(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("b", 2), ("ä", 4), ("a", 1), ("Z", 0), ("b_", 3)])?;
    assert_eq!(bench.open(&cookie).keys()?, ["Z", "a", "b", "b_", "ä"]);
    let record = bench.record(&cookie)?;
    let keys: Vec<_> = record.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["Z", "a", "b", "b_", "ä"]);
    Ok(())
}

/// Django: has_key and keys are no modification. actix-session: no write for an unchanged state.
fn reading_changes_nothing(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    let before = bench.record(&cookie)?;
    let session = bench.open(&cookie);
    session.get("a")?;
    session.entries()?;
    session.remove("absent")?;
    let outcome = session.commit()?;
    assert_eq!(outcome.status(), Status::Unchanged);
    assert!(outcome.secret().is_none());
    assert_eq!(*bench.record(&cookie)?, *before);
    Ok(())
}

/// Django: session_load_does_not_create_record.
fn an_unknown_key_loads_nothing_and_creates_nothing(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let secret = foreign_secret()?;
    assert!(bench.find(&secret)?.is_none());
    let session = bench.open(&secret);
    assert_eq!(session.get("a")?, None);
    assert_eq!(session.commit()?.status(), Status::Unchanged);
    assert!(bench.find(&secret)?.is_none());
    assert_eq!(bench.count()?, 0);
    Ok(())
}

fn a_session_keeps_its_public_handle(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let session = bench.sessions.open(None);
    session.set("a", 1)?;
    let id = session.id()?;
    let cookie = cookie(&session.commit()?)?;
    assert_eq!(Some(bench.record(&cookie)?.id()), id);
    let session = bench.open(&cookie);
    session.set("a", 2)?;
    let _ = session.commit()?;
    assert_eq!(bench.open(&cookie).id()?, id);
    Ok(())
}

fn two_sessions_share_nothing(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let one = bench.begin(&[("a", 1)])?;
    let two = bench.begin(&[("b", 2)])?;
    assert_ne!(bench.record(&one)?.id(), bench.record(&two)?.id());
    let session = bench.open(&one);
    session.clear()?;
    let _ = session.commit()?;
    bench.expect(&one, NOTHING)?;
    bench.expect(&two, &[("b", 2)])
}

fn increment_counts_from_zero(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let session = bench.sessions.open(None);
    assert_eq!(session.increment("n", 3)?, 3);
    let cookie = cookie(&session.commit()?)?;
    let session = bench.open(&cookie);
    assert_eq!(session.increment("n", -5)?, -2);
    assert_eq!(session.increment("n", 1)?, -1);
    let _ = session.commit()?;
    bench.expect(&cookie, &[("n", -1)])
}

fn append_begins_an_array(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let session = bench.sessions.open(None);
    session.append("list", "a")?;
    let cookie = cookie(&session.commit()?)?;
    let session = bench.open(&cookie);
    session.append("list", vec![1, 2])?;
    session.append("list", "")?;
    let _ = session.commit()?;
    let list = Value::Array(vec!["a".into(), vec![1, 2].into(), "".into()]);
    bench.expect(&cookie, &[("list", list)])
}

/// Flash messages are read once.
fn take_hands_out_the_value_and_removes_it(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("flash", "saved"), ("a", "stays")])?;
    let session = bench.open(&cookie);
    assert_eq!(session.take("flash")?, Some("saved".into()));
    assert_eq!(session.take("flash")?, None);
    assert_eq!(session.get("flash")?, None);
    // At once: a request that fails afterwards has shown it all the same.
    bench.expect(&cookie, &[("a", "stays")])
}

fn take_of_a_missing_key_is_nothing(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    assert_eq!(bench.open(&cookie).take("flash")?, None);
    bench.expect(&cookie, &[("a", 1)])
}

/// Also a change that leaves the data as they were, and a value that is taken.
fn every_change_gives_a_new_version(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    let key = key(&cookie)?;
    let mut versions = vec![bench.record(&cookie)?.version()];
    for change in [
        bench.change().set("a", &2.into()),
        bench.change().set("a", &2.into()),
        bench.change().remove("a"),
        bench.change().increment("n", 1),
        bench.change().append("list", [1.into()]),
        bench.change().clear(),
        bench.change().clear(),
    ] {
        let committed = bench.commit(&cookie, &change)?;
        // The change had loaded no version, so every one that it meets is another.
        assert_eq!(committed, Committed::Stored { key, merged: true });
        versions.push(bench.record(&cookie)?.version());
    }
    let session = bench.open(&cookie);
    session.set("flash", 1)?;
    let _ = session.commit()?;
    versions.push(bench.record(&cookie)?.version());
    session.take("flash")?;
    versions.push(bench.record(&cookie)?.version());
    let count = versions.len();
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions.len(), count, "a version came twice");
    Ok(())
}

/// The counter of merges, and the pause of a store that swaps, go by this.
fn a_commit_says_whether_it_merged(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", 1)])?;
    let key = key(&cookie)?;
    let loaded = bench.record(&cookie)?;
    for (n, merged) in [(1, false), (2, true)] {
        let mut change = bench.change().set("a", &n.into());
        change.loaded = loaded.version();
        let committed = bench
            .store
            .commit(&key, &change, Some(loaded.clone()), bench.now())?;
        assert_eq!(committed, Committed::Stored { key, merged });
    }
    bench.expect(&cookie, &[("a", 2)])
}

fn the_size_is_that_of_keys_and_values(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("a", "12345"), ("key", "")])?;
    let session = bench.open(&cookie);
    session.set("key", "1")?;
    session.increment("n", 10)?;
    let _ = session.commit()?;
    let record = bench.record(&cookie)?;
    let sum: usize = record
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    assert_eq!(record.size(), sum);
    assert_eq!(record.size(), (1 + 6) + (3 + 2) + (1 + 3));
    assert_eq!(record.len(), 3);
    Ok(())
}

fn a_change_is_stored_whole_or_not_at_all(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("m", "text"), ("z", "stays")])?;
    let before = bench.record(&cookie)?;
    let change = bench
        .change()
        .set("a", &1.into())
        .increment("m", 1)
        .remove("z")
        .renew(bench.new_key(&cookie)?)
        .login("u1", None);
    let later = bench.now() + bench.sessions.config().timeout() / 2;
    let result = bench.store.commit(&key(&cookie)?, &change, None, later);
    expect_error(result, ErrorKind::Value);
    assert_eq!(*bench.record(&cookie)?, *before);
    assert_eq!(bench.list("u1")?, []);
    Ok(())
}

fn an_increment_of_another_type_fails_and_stores_nothing(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    for other in [
        Value::from("12"),
        Value::from(1.0),
        Value::from(true),
        Value::from(vec![1]),
    ] {
        let cookie = bench.begin(&[("a", 1)])?;
        let (one, two) = (bench.open(&cookie), bench.open(&cookie));
        one.increment("n", 1)?;
        two.set("n", other.clone())?;
        let _ = two.commit()?;
        expect_error(one.commit(), ErrorKind::Value);
        bench.expect(&cookie, &[("a", Value::from(1)), ("n", other)])?;
    }
    Ok(())
}

fn an_append_to_another_type_fails_and_stores_nothing(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    for other in [
        Value::from("a"),
        Value::from(1),
        Value::from(false),
        Value::Object([("a".to_owned(), Value::from(1))].into()),
    ] {
        let cookie = bench.begin(&[("a", 1)])?;
        let (one, two) = (bench.open(&cookie), bench.open(&cookie));
        one.append("list", 1)?;
        two.set("list", other.clone())?;
        let _ = two.commit()?;
        expect_error(one.commit(), ErrorKind::Value);
        bench.expect(&cookie, &[("a", Value::from(1)), ("list", other)])?;
    }
    Ok(())
}

fn an_increment_beyond_i64_fails_and_stores_nothing(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    for (most, by) in [(i64::MAX, 1), (i64::MIN, -1)] {
        let cookie = bench.begin(&[("a", 1)])?;
        let (one, two) = (bench.open(&cookie), bench.open(&cookie));
        one.increment("n", by)?;
        two.set("n", most)?;
        let _ = two.commit()?;
        expect_error(one.commit(), ErrorKind::Value);
        bench.expect(&cookie, &[("a", 1), ("n", most)])?;
        // Up to the edge it counts exactly, also where a float could not.
        let session = bench.open(&cookie);
        session.set("n", most - by)?;
        let _ = session.commit()?;
        let session = bench.open(&cookie);
        session.increment("n", by)?;
        let _ = session.commit()?;
        bench.expect(&cookie, &[("a", 1), ("n", most)])?;
    }
    Ok(())
}
}

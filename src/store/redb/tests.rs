//! What can't be seen from outside: which calls share a transaction, and what it costs.

use std::sync::mpsc;
use std::time::Duration;

use super::writer::Place;
use super::*;
use crate::error::ErrorKind;
use crate::limits::Limits;
use crate::record::{NewSession, Op};
use crate::secret::SessionId;
use crate::value::Value;
use tables::Written;
use writer::pending;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const LIMITS: Limits = Limits {
    max_bytes: 100,
    max_keys: 10,
};

fn key(n: u8) -> StoreKey {
    StoreKey::from_bytes([n; 32])
}

fn set(name: &'static str, value: impl Into<Value>) -> Change {
    let mut change = Change::new(LIMITS);
    change.ops = [(
        name.into(),
        Op::Set(crate::store::StoredValue::from(&value.into())),
    )]
    .into_iter()
    .collect();
    change
}

fn begin(n: u8) -> Change {
    let mut change = set("n", i64::from(n));
    change.extra().create = Some(NewSession {
        id: SessionId::from_bytes([n; 16]),
        idle_timeout: Duration::from_secs(60),
        absolute_timeout: None,
    });
    change
}

fn place() -> (tempfile::TempDir, Place) {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(folder.path().join("sessions.redb")).unwrap();
    (folder, place)
}

fn value(place: &Place, n: u8, name: &str) -> Option<Value> {
    let record = place
        .read(|read| tables::load(read, &key(n), NOW))
        .ok()
        .unwrap()?;
    record.get(name).unwrap()
}

#[test]
fn only_what_must_be_on_disk_waits_for_it() {
    let (_folder, place) = place();
    let written = |change: Option<Change>, n: u8, now: Timestamp| {
        let (job, _answer) = pending(move |tables| match &change {
            Some(change) => tables.commit(&key(n), change, now).map(drop),
            None => tables.touch(&key(n), now).map(drop),
        });
        place.transact(&mut [job], false).unwrap()
    };
    let later = NOW + Duration::from_secs(10);
    assert_eq!(written(Some(begin(1)), 1, NOW), Written::Durably);
    assert_eq!(written(Some(set("a", 1)), 1, NOW), Written::Durably);
    assert_eq!(written(None, 1, later), Written::Lazily);
    // The use is on record already.
    assert_eq!(written(None, 1, later), Written::Nothing);
    // No such session, and a change that changes nothing.
    assert_eq!(written(Some(set("a", 1)), 2, NOW), Written::Nothing);
    assert_eq!(written(Some(Change::new(LIMITS)), 1, NOW), Written::Nothing);
}

#[test]
fn a_change_that_fails_leaves_the_others_in_its_transaction_alone() {
    let (_folder, place) = place();
    let (first, _) = pending(|tables| tables.commit(&key(1), &begin(1), NOW));
    place.transact(&mut [first], false).unwrap();

    let mut conflict = set("c", 3);
    conflict.extra().expect_version = Some(77);
    let changes = [
        (1, set("a", 1)),
        (1, set("big", "x".repeat(101))),
        (1, conflict),
        (9, set("gone", 1)),
        (1, begin(1)),
        (2, begin(2)),
        (1, set("b", 2)),
    ];
    let (mut batch, answers): (Vec<_>, Vec<_>) = changes
        .into_iter()
        .map(|(n, change)| pending(move |tables| tables.commit(&key(n), &change, NOW)))
        .unzip();
    assert_eq!(place.transact(&mut batch, false).unwrap(), Written::Durably);
    for job in batch {
        job.answer(None);
    }
    let answers: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.recv().unwrap())
        .collect();
    let stored = |n: usize| matches!(answers[n], Ok(Committed::Stored { .. }));
    assert!(stored(0) && stored(5) && stored(6));
    assert_eq!(answers[1].as_ref().unwrap_err().kind(), ErrorKind::Limit);
    assert_eq!(answers[2].as_ref().unwrap(), &Committed::Conflict);
    assert_eq!(answers[3].as_ref().unwrap(), &Committed::Gone);
    assert_eq!(
        answers[4].as_ref().unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    assert_eq!(value(&place, 1, "a"), Some(1.into()));
    assert_eq!(value(&place, 1, "b"), Some(2.into()));
    assert_eq!(value(&place, 1, "big"), None);
    assert_eq!(value(&place, 1, "c"), None);
    assert_eq!(value(&place, 2, "n"), Some(2.into()));
}

#[test]
fn nobody_is_answered_and_nothing_is_seen_before_the_transaction_is_over() {
    let (_folder, place) = place();
    let place = Arc::new(place);
    let (change, answer) = pending(|tables| tables.commit(&key(1), &begin(1), NOW));
    let reader = place.clone();
    let (look, looked) = pending(move |_| {
        assert!(answer.try_recv().is_err(), "answered too early");
        Ok((answer, value(&reader, 1, "n")))
    });
    let mut batch = vec![change, look];
    place.transact(&mut batch, false).unwrap();
    for job in batch {
        job.answer(None);
    }
    let (answer, seen) = looked.recv().unwrap().unwrap();
    assert_eq!(seen, None);
    assert!(matches!(
        answer.recv().unwrap(),
        Ok(Committed::Stored { .. })
    ));
    assert_eq!(value(&place, 1, "n"), Some(1.into()));
}

/// The handle renews with every login; a store does not count on it.
#[test]
fn user_and_deadline_are_filed_anew_without_a_new_key() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(folder.path().join("sessions.redb")).unwrap();
    let commit = |change: &Change| store.commit(&key(1), change, NOW).unwrap();
    let count = |user: &str| store.user_sessions(user, NOW).unwrap().len();
    let mut login = Change::new(LIMITS);
    commit(&begin(1));
    login.extra().user = Some("u1".into());
    commit(&login);
    assert_eq!((count("u1"), count("u2")), (1, 0));
    login.extra().user = Some("u2".into());
    commit(&login);
    assert_eq!((count("u1"), count("u2")), (0, 1));

    let mut shorter = Change::new(LIMITS);
    shorter.extra().idle_timeout = Some(Duration::from_secs(5));
    commit(&shorter);
    assert_eq!(store.sweep(NOW + Duration::from_secs(5), 10).unwrap(), 1);
    assert_eq!(store.sweep(NOW + Duration::from_secs(100), 10).unwrap(), 0);
    assert_eq!(store.revoke("u2", Revoke::All, NOW).unwrap(), 0);
}

#[test]
fn calls_that_arrive_together_share_a_transaction() {
    let (_folder, place) = place();
    let place = Arc::new(place);
    let writer = Writer::start(place.clone()).unwrap();
    let queue = writer.queue.as_ref().unwrap();
    // One transaction is under way...
    let (under_way, begun) = mpsc::channel();
    let (go_on, waiting) = mpsc::channel::<()>();
    let (blocker, _answer) = pending(move |_| {
        under_way.send(()).unwrap();
        waiting.recv().unwrap();
        Ok(())
    });
    queue.send(blocker).unwrap();
    begun.recv().unwrap();
    // ...while fifty changes arrive. Each sees whether somebody wrote before it in its transaction.
    let answers: Vec<_> = (0..50)
        .map(|n| {
            let (job, answer) = pending(move |tables| {
                let first = tables.written() == Written::Nothing;
                tables.commit(&key(n), &begin(n), NOW)?;
                Ok(first)
            });
            queue.send(job).unwrap();
            answer
        })
        .collect();
    assert_eq!(value(&place, 7, "n"), None);
    go_on.send(()).unwrap();
    let mut transactions = 0;
    for (n, answer) in answers.into_iter().enumerate() {
        transactions += usize::from(answer.recv().unwrap().unwrap());
        let n = u8::try_from(n).unwrap();
        assert_eq!(value(&place, n, "n"), Some(i64::from(n).into()));
    }
    assert_eq!(transactions, 1);
}

#[test]
fn a_transaction_that_fails_fails_for_all_of_it_and_the_store_goes_on() {
    let (_folder, place) = place();
    let place = Arc::new(place);
    let (first, _) = pending(|tables| tables.commit(&key(1), &begin(1), NOW));
    place.transact(&mut [first], false).unwrap();

    let faults: [fn() -> Result<(), Fault>; 2] = [
        || panic!("the database is at its end"),
        || Err(Fault::Database(redb::Error::PreviousIo)),
    ];
    for fault in faults {
        let (good, _) = pending(|tables| tables.commit(&key(2), &begin(2), NOW));
        let (bad, _) = pending(move |_| fault());
        // Who was reading sees that the database was closed and opened again.
        let still_there = place.read(|read| {
            let error = place.transact(&mut [good, bad], false).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            tables::load(read, &key(1), NOW)
        });
        assert!(matches!(still_there, Err(Fault::Database(_))));
        assert_eq!(value(&place, 1, "n"), Some(1.into()));
        assert_eq!(value(&place, 2, "n"), None);
    }
    let writer = Writer::start(place.clone()).unwrap();
    let error = writer
        .call(|_| -> Result<(), Fault> { panic!("again") })
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    writer
        .call(|tables| tables.commit(&key(2), &begin(2), NOW))
        .unwrap();
    assert_eq!(value(&place, 2, "n"), Some(2.into()));
}

#[test]
fn a_reader_is_served_after_a_failure_that_nobody_mended() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(folder.path().join("sessions.redb")).unwrap();
    store.commit(&key(1), &begin(1), NOW).unwrap();
    store.place.close();
    assert!(store.load(&key(1), NOW).unwrap().is_some());
    store.place.close();
    let mut seen = 0;
    store
        .scan(NOW, &mut |_, _| {
            seen += 1;
            true
        })
        .unwrap();
    assert_eq!(seen, 1);
    store.place.close();
    assert!(store.touch(&key(1), NOW).unwrap());
}

#[test]
fn a_writer_that_is_gone_is_an_error_and_no_wait() {
    let (queue, calls) = mpsc::channel();
    let writer = Writer {
        queue: Some(queue),
        thread: parking_lot::Mutex::new(None),
    };
    // It dies with the call in its hands.
    let dying = std::thread::spawn(move || drop(calls.recv().unwrap()));
    let error = writer.call(|_| Ok(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    dying.join().unwrap();
    let error = writer.call(|_| Ok(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn touches_reach_the_disk_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.redb");
    let store = RedbStore::open(&path).unwrap();
    store.commit(&key(1), &begin(1), NOW).unwrap();
    let later = NOW + Duration::from_secs(30);
    assert!(store.touch(&key(1), later).unwrap());
    // What a crash would leave, again and again until the touch is in it.
    let copy = folder.path().join("crashed.redb");
    let on_disk = || {
        std::fs::copy(&path, &copy).unwrap();
        let crashed = RedbStore::open(&copy).unwrap();
        crashed.load(&key(1), NOW).unwrap().unwrap().last_used()
    };
    let start = std::time::Instant::now();
    while on_disk() != later {
        assert!(start.elapsed() < Duration::from_secs(60), "it never came");
        std::thread::sleep(Duration::from_millis(50));
    }
}

//! What can't be seen from outside: which calls share a transaction, what waits for the disk, and what
//! is left in the tables.
#![allow(clippy::unwrap_used)]

use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::store::{Lifetime, Limits};
use crate::{SessionId, Value};
use tables::Written;
use writer::{Answer, Call, call};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const LIFETIME: Lifetime = Lifetime::new(Duration::from_secs(60));

fn key(n: u8) -> StoreKey {
    StoreKey::from_bytes([n; 32])
}

fn change() -> Change {
    let limits = Limits {
        max_bytes: 100,
        max_keys: 10,
    };
    Change::new(limits, LIFETIME)
}

fn set(name: &str, value: impl Into<Value>) -> Change {
    change().set(name, &value.into())
}

fn begin(n: u8) -> Change {
    set("n", i64::from(n)).create(SessionId::from_bytes([n; 16]))
}

fn open() -> (tempfile::TempDir, OpenFile) {
    let folder = tempfile::tempdir().unwrap();
    let file = OpenFile::open(folder.path().join("sessions.redb")).unwrap();
    (folder, file)
}

fn store() -> (tempfile::TempDir, RedbStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(folder.path().join("sessions.redb")).unwrap();
    (folder, store)
}

fn value(file: &OpenFile, n: u8, name: &str) -> Option<Value> {
    match file.read(|read| tables::load(read, &key(n), NOW)) {
        Ok(Loaded::Found(record)) => record.get(name).unwrap(),
        _ => None,
    }
}

fn commit(n: u8, change: Change) -> (Call, Answer<Committed>) {
    call(move |tables| tables.commit(&key(n), &change, NOW))
}

/// Runs calls in one transaction, and answers them if that succeeds.
fn transact(file: &OpenFile, calls: Vec<Call>) -> Result<Written, Error> {
    let (work, over): (Vec<_>, Vec<_>) = calls.into_iter().map(|c| (c.work, c.over)).unzip();
    let written = file.transact(work, false)?;
    for caller in over {
        let _ = caller.send(Ok(()));
    }
    Ok(written)
}

#[test]
fn only_what_must_be_on_disk_waits_for_it() {
    let (_folder, file) = open();
    let written = |n, change| transact(&file, vec![commit(n, change).0]).unwrap();
    assert_eq!(written(1, begin(1)), Written::Durably);
    assert_eq!(written(1, set("a", 1)), Written::Durably);
    // No such session, and a conflict.
    assert_eq!(written(2, set("a", 1)), Written::Nothing);
    assert_eq!(written(1, set("a", 1).expect_version(7)), Written::Nothing);

    let touched = || {
        let record = begin(1).created(NOW).unwrap().unwrap();
        let later = NOW + Duration::from_secs(10);
        let touch = record.touch_due(&LIFETIME, later).unwrap().without_user();
        let (touch, _) = call(move |tables| tables.touch(&key(1), &touch));
        transact(&file, vec![touch]).unwrap()
    };
    assert_eq!(touched(), Written::Lazily);
    // The use is on record already.
    assert_eq!(touched(), Written::Nothing);
    let (sweep, _) = call(|tables| tables.sweep(NOW, 10).map(drop));
    assert_eq!(transact(&file, vec![sweep]).unwrap(), Written::Nothing);
}

#[test]
fn a_change_that_fails_leaves_the_others_in_its_transaction_alone() {
    let (_folder, file) = open();
    transact(&file, vec![commit(1, begin(1)).0]).unwrap();
    let changes = [
        (1, set("a", 1)),
        (1, set("big", "x".repeat(101))),
        (1, set("c", 3).expect_version(77)),
        (9, set("gone", 1)),
        (1, begin(1)),
        (2, begin(2)),
        (2, set("d", 4).renew(key(1))),
        (1, set("b", 2)),
    ];
    let (calls, answers): (Vec<_>, Vec<_>) = changes
        .into_iter()
        .map(|(n, change)| commit(n, change))
        .unzip();
    assert_eq!(transact(&file, calls).unwrap(), Written::Durably);
    let answers: Vec<_> = answers.into_iter().map(Answer::wait).collect();
    for stored in [0, 5, 7] {
        assert!(matches!(answers[stored], Ok(Committed::Stored { .. })));
    }
    let kind = |n: usize| answers[n].as_ref().unwrap_err().kind();
    assert_eq!(kind(1), ErrorKind::Limit);
    assert_eq!(answers[2].as_ref().unwrap(), &Committed::Conflict);
    assert_eq!(answers[3].as_ref().unwrap(), &Committed::Gone);
    // Keys that are in use.
    assert_eq!(kind(4), ErrorKind::Unavailable);
    assert_eq!(kind(6), ErrorKind::Unavailable);
    for (n, name, expected) in [
        (1, "a", Some(1)),
        (1, "b", Some(2)),
        (1, "big", None),
        (1, "c", None),
        (2, "n", Some(2)),
        (2, "d", None),
    ] {
        assert_eq!(value(&file, n, name), expected.map(Value::from), "{name}");
    }
}

#[test]
fn calls_that_arrive_together_share_a_transaction_and_are_answered_after_it() {
    let (_folder, file) = open();
    let file = Arc::new(file);
    let writer = Writer::start(file.clone()).unwrap();
    let queue = writer.queue.as_ref().unwrap();
    // One transaction is under way...
    let (under_way, begun) = mpsc::channel();
    let (go_on, waiting) = mpsc::channel::<()>();
    let (blocker, _answer) = call(move |_| {
        under_way.send(()).unwrap();
        waiting.recv().unwrap();
        Ok(())
    });
    queue.send(blocker).unwrap();
    begun.recv().unwrap();
    // ...while fifty changes arrive. Each reports whether it is the first in its transaction.
    let answers: Vec<_> = (0..50)
        .map(|n| {
            let (call, answer) = call(move |tables| {
                let first = tables.written() == Written::Nothing;
                tables.commit(&key(n), &begin(n), NOW)?;
                Ok(first)
            });
            queue.send(call).unwrap();
            answer
        })
        .collect();
    // The last call of the transaction: no other session can be read, though all are written.
    let reader = file.clone();
    let (look, looked) = call(move |_| Ok(value(&reader, 7, "n")));
    queue.send(look).unwrap();
    go_on.send(()).unwrap();
    assert_eq!(looked.wait().unwrap(), None);
    let mut transactions = 0;
    for (n, answer) in (0..).zip(answers) {
        transactions += usize::from(answer.wait().unwrap());
        assert_eq!(value(&file, n, "n"), Some(i64::from(n).into()));
    }
    assert_eq!(transactions, 1);
}

#[test]
fn a_transaction_that_fails_fails_for_all_of_it_and_the_store_goes_on() {
    let (_folder, file) = open();
    let file = Arc::new(file);
    transact(&file, vec![commit(1, begin(1)).0]).unwrap();
    let faults: [fn() -> Result<(), Fault>; 2] = [
        || panic!("a transaction that panics"),
        || Err(Fault::Database(redb::Error::PreviousIo)),
    ];
    for fault in faults {
        let bad = call(move |_| fault()).0;
        // A reader sees that the database was closed and opened again.
        let still_there = file.read(|read| {
            let error = transact(&file, vec![commit(2, begin(2)).0, bad]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            tables::load(read, &key(1), NOW)
        });
        assert!(matches!(still_there, Err(Fault::Database(_))));
        assert_eq!(value(&file, 1, "n"), Some(1.into()));
        assert_eq!(value(&file, 2, "n"), None);
    }
    let writer = Writer::start(file.clone()).unwrap();
    let error = writer
        .call(|_| -> Result<(), Fault> { panic!("again") })
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    writer
        .call(|tables| tables.commit(&key(2), &begin(2), NOW))
        .unwrap();
    assert_eq!(value(&file, 2, "n"), Some(2.into()));
}

#[test]
fn a_reader_is_served_after_a_failure_that_was_not_mended() {
    let (_folder, store) = store();
    store.commit(&key(1), &begin(1), None, NOW).unwrap();
    store.file.close();
    assert!(matches!(store.load(&key(1), NOW), Ok(Loaded::Found(_))));
    store.file.close();
    let mut seen = 0;
    let visit = &mut |_: &StoreKey, _: &Record| {
        seen += 1;
        true
    };
    store.scan(NOW, visit).unwrap();
    assert_eq!(seen, 1);
    store.file.close();
    store.ping().unwrap();
}

#[test]
fn a_writer_that_is_gone_is_an_error_and_no_wait() {
    let (queue, calls) = mpsc::channel();
    let writer = Writer {
        queue: Some(queue),
        thread: parking_lot::Mutex::new(None),
    };
    // It dies with a call that it has taken.
    let dying = std::thread::spawn(move || drop(calls.recv().unwrap()));
    let error = writer.call(|_| Ok(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    dying.join().unwrap();
    let error = writer.call(|_| Ok(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn touches_reach_the_disk_by_themselves() {
    let (folder, store) = store();
    store.commit(&key(1), &begin(1), None, NOW).unwrap();
    let record = begin(1).created(NOW).unwrap().unwrap();
    let later = NOW + Duration::from_secs(30);
    let touch = record.touch_due(&LIFETIME, later).unwrap();
    store.touch(&key(1), &touch).unwrap();
    // What a crash would leave, again and again until the touch is in it.
    let copy = folder.path().join("crashed.redb");
    let on_disk = || {
        std::fs::copy(folder.path().join("sessions.redb"), &copy).unwrap();
        let crashed = RedbStore::open(&copy).unwrap();
        match crashed.load(&key(1), NOW).unwrap() {
            Loaded::Found(record) => record.last_used(),
            _ => NOW,
        }
    };
    let start = std::time::Instant::now();
    while on_disk() != later {
        assert!(start.elapsed() < Duration::from_secs(60), "it never came");
        std::thread::sleep(Duration::from_millis(50));
    }
}

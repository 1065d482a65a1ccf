//! Files that are not ours to write to, and files that are somebody's already.

use std::error::Error as _;
use std::path::Path;

use liquid_session::store::{RedbStore, SessionStore as _};
use liquid_session::{Error, ErrorKind, SessionConfig, Sessions};
use redb::{MultimapTableDefinition, TableDefinition};

use super::support::{Site, begin, check_tables, cookie, load, records};

/// Expects that the file is refused, that it stays as it is, and that the text tells no path.
fn refused(path: &Path) -> Error {
    let before = std::fs::read(path).unwrap();
    let error = RedbStore::open(path).unwrap_err();
    assert!(
        std::fs::read(path).unwrap() == before,
        "the file has changed: {error:?}"
    );
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(!error.to_string().contains(name), "{error}");
    error
}

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("liquid_session");

/// A session database with some sessions in it, closed.
fn database(site: &Site, sessions: i64) {
    let (all, _store) = site.open();
    for n in 0..sessions {
        let session = all.open(None);
        session.set("n", n).unwrap();
        session.set("text", "x".repeat(500)).unwrap();
        cookie(&session);
    }
}

#[test]
fn a_file_of_another_program_is_refused_and_left_alone() {
    let site = Site::new();
    let path = site.path();
    let zeros = vec![0; 10_000];
    let magic = b"redb\x1A\x0A\xA9\x0D\x0A and no more than its magic number".repeat(200);
    for bytes in [&b"x"[..], b"SQLite format 3\0", &zeros, &magic] {
        std::fs::write(&path, bytes).unwrap();
        let error = refused(&path);
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        let cause = error.source().unwrap().to_string();
        assert!(cause.contains(path.to_str().unwrap()), "{cause}");
    }
}

#[test]
fn a_redb_file_of_another_program_is_refused_and_left_alone() {
    let site = Site::new();
    let path = site.path();
    let theirs: TableDefinition<'_, &str, &str> = TableDefinition::new("liquid_session");
    let fill: [&dyn Fn(&redb::WriteTransaction); 5] = [
        // No table at all: an interrupted backup, too.
        &|_| {},
        // Another table, with a name of ours.
        &|write| {
            let table: TableDefinition<'_, u64, u64> = TableDefinition::new("records");
            write.open_table(table).unwrap().insert(1, 2).unwrap();
        },
        // Tables of the other kind only.
        &|write| {
            let table: MultimapTableDefinition<'_, u64, u64> = MultimapTableDefinition::new("m");
            write
                .open_multimap_table(table)
                .unwrap()
                .insert(1, 2)
                .unwrap();
        },
        // The name of our table, with other types, and without a version.
        &|write| {
            write
                .open_table(theirs)
                .unwrap()
                .insert("format", "1")
                .unwrap();
        },
        &|write| {
            write.open_table(META).unwrap().insert("other", 1).unwrap();
        },
    ];
    for fill in fill {
        let _ = std::fs::remove_file(&path);
        let database = redb::Database::create(&path).unwrap();
        let write = database.begin_write().unwrap();
        fill(&write);
        write.commit().unwrap();
        drop(database);
        let error = refused(&path);
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("another program"), "{error}");
    }
}

#[test]
fn a_file_of_a_newer_format_is_refused_and_left_alone() {
    let site = Site::new();
    database(&site, 3);
    let database = redb::Database::open(site.path()).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(META).unwrap().insert("format", 2).unwrap();
    write.commit().unwrap();
    // As a crash leaves it, with a repair to be done, and closed.
    let crashed = site.folder.path().join("crashed.redb");
    std::fs::copy(site.path(), &crashed).unwrap();
    drop(database);
    for path in [&site.path(), &crashed] {
        let error = refused(path);
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(
            error.to_string(),
            "the session database is of format version 2, this program reads version 1: run a newer program"
        );
    }
}

#[test]
fn a_file_that_is_too_short_is_refused_and_left_alone() {
    let site = Site::new();
    database(&site, 50);
    let whole = std::fs::read(site.path()).unwrap();
    let path = site.folder.path().join("cut.redb");
    for len in [
        1,
        9,
        64,
        320,
        4096,
        10_000,
        whole.len() / 2,
        whole.len() - 1,
    ] {
        std::fs::write(&path, &whole[..len]).unwrap();
        assert_eq!(refused(&path).kind(), ErrorKind::Corrupt, "{len} bytes");
    }
}

/// A damaged byte is found when the file is opened, or it does no harm: then all sessions are as
/// they were.
#[test]
fn a_damaged_file_is_refused_and_left_alone() {
    let site = Site::new();
    database(&site, 200);
    let now = site.now();
    let whole = std::fs::read(site.path()).unwrap();
    let path = site.folder.path().join("damaged.redb");
    let (mut refusals, mut harmless) = (0, 0);
    // The header byte by byte, then two places of each page.
    let places = (0..320).step_by(3).chain((4096..whole.len()).step_by(2039));
    for at in places.take(500) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x41;
        std::fs::write(&path, &bytes).unwrap();
        match RedbStore::open(&path) {
            Err(error) => {
                assert!(std::fs::read(&path).unwrap() == bytes, "changed, byte {at}");
                assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}: {error:?}");
                refusals += 1;
            }
            Ok(store) => {
                let records = records(&store, now);
                assert_eq!(records.len(), 200, "byte {at}");
                for (_, record) in records {
                    let n = record.get("n").unwrap().and_then(|n| n.as_i64()).unwrap();
                    assert!((0..200).contains(&n));
                    assert_eq!(record.get("text").unwrap(), Some("x".repeat(500).into()));
                }
                harmless += 1;
            }
        }
    }
    println!("damaged bytes: {refusals} refused, {harmless} harmless");
    assert!(refusals > 20);
}

#[test]
fn a_file_has_one_store_at_a_time() {
    let site = Site::new();
    let (sessions, store) = site.open();
    let error = refused(&site.path());
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("in use"), "{error}");
    // The first one goes on.
    begin(&sessions, 1, None);
    drop((sessions, store));
    RedbStore::open(site.path()).unwrap();
}

#[test]
fn what_can_not_be_opened_is_said_clearly() {
    let site = Site::new();
    let path = site.folder.path().join("missing").join("sessions.redb");
    let error = RedbStore::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(
        error.to_string(),
        "the session database can't be created: its folder does not exist, create it first"
    );
    assert!(
        error
            .source()
            .unwrap()
            .to_string()
            .contains(path.to_str().unwrap())
    );
    assert!(!path.parent().unwrap().exists());

    let error = RedbStore::open(site.folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("expected a file"), "{error}");
}

#[test]
#[cfg(unix)]
fn a_new_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::new();
    database(&site, 1);
    let mode = std::fs::metadata(site.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}

/// A write fails and reads go on.
fn expect_out_of_place(site: &Site, sessions: &Sessions, store: &RedbStore) {
    let session = sessions.open(None);
    session.set("n", 2).unwrap();
    let error = session.commit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("removed or replaced"), "{error}");
    assert_eq!(store.ping().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(records(store, site.now()).len(), 1);
}

#[test]
#[cfg(unix)]
fn a_file_that_is_removed_or_replaced_while_it_is_open_takes_no_writes() {
    let site = Site::new();
    let (sessions, store) = site.open();
    begin(&sessions, 1, None);
    let aside = site.folder.path().join("aside.redb");
    std::fs::rename(site.path(), &aside).unwrap();
    expect_out_of_place(&site, &sessions, &store);
    database(&site, 0);
    expect_out_of_place(&site, &sessions, &store);
    assert!(refused(&aside).to_string().contains("in use"));
    // Put back, it is written again.
    std::fs::rename(&aside, site.path()).unwrap();
    begin(&sessions, 2, None);
    drop((sessions, store));
    assert_eq!(check_tables(&site.path()), (2, 0));
}

#[test]
fn a_backup_is_consistent_while_sessions_are_written() {
    let site = Site::new();
    let (sessions, store) = site.open();
    let first = begin(&sessions, 0, Some("ann"));
    let session = sessions.open(Some(&first));
    session.renew().unwrap();
    let renewed = cookie(&session);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let copies: Vec<_> = (0..5)
        .map(|n| site.folder.path().join(format!("copy{n}.redb")))
        .collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 1;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                begin(&sessions, n, (n % 2 == 0).then_some("bob"));
                n += 1;
            }
        });
        for copy in &copies {
            store.backup(copy).unwrap();
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    for copy in &copies {
        let (records, forwards) = check_tables(copy);
        assert!(records > 0);
        assert_eq!(forwards, 1);
        let restored = Sessions::new(RedbStore::open(copy).unwrap(), SessionConfig::default())
            .with_clock(site.clock.clone());
        let session = restored.open(Some(&renewed));
        assert_eq!(session.get("n").unwrap(), Some(0.into()));
        session.set("n", 5).unwrap();
        let _ = session.commit().unwrap();
    }
    assert_eq!(
        sessions.open(Some(&renewed)).get("n").unwrap(),
        Some(0.into())
    );

    // Never over a file that exists, the open one too.
    for path in [&copies[0], &site.path()] {
        let before = std::fs::read(path).unwrap();
        let error = store.backup(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("exists already"), "{error}");
        assert!(std::fs::read(path).unwrap() == before);
    }
    let nowhere = site.folder.path().join("missing").join("copy.redb");
    assert_eq!(
        store.backup(nowhere).unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    let (key, before) = &records(&store, site.now())[0];
    assert_eq!(load(&store, key, site.now()), *before);
}

//! Databases of version 1, which every later version must read. `fixtures/records/v1.redb` is never
//! edited; `WRITE_FIXTURES=1` writes it if it is missing, for the version that follows.

use std::path::{Path, PathBuf};
use std::time::Duration;

use liquid_session::Login;
use liquid_session::store::{Loaded, SessionStore as _};

use super::support::{Site, begin, check_tables, cookie, records};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/records/v1.redb")
}

const USER: &str = "u-1 żółć";
const OWN_TIMEOUT: Duration = Duration::from_secs(90 * 60);

/// Three sessions: one that was renewed by a login with a timeout of its own, a second one of the same
/// user, one without a user.
fn write(site: &Site) {
    let (sessions, _store) = site.open();
    let first = begin(&sessions, 1, None);
    let session = sessions.open(Some(&first));
    session
        .login(Login::new(USER).timeout(OWN_TIMEOUT))
        .unwrap();
    cookie(&session);
    begin(&sessions, 2, Some(USER));
    begin(&sessions, 3, None);
}

/// Does nothing unless it is asked to, and never overwrites.
#[test]
fn fixtures_are_written_on_request() {
    if std::env::var_os("WRITE_FIXTURES").is_none() {
        return;
    }
    let site = Site::new();
    write(&site);
    // Smaller, for those who clone this.
    let mut database = redb::Database::open(site.path()).unwrap();
    database.compact().unwrap();
    drop(database);
    assert!(!fixture().exists(), "a fixture is never edited");
    std::fs::copy(site.path(), fixture()).unwrap();
}

#[test]
fn a_database_of_version_1_still_reads() {
    let site = Site::new();
    std::fs::copy(fixture(), site.path()).unwrap();
    assert_eq!(check_tables(&site.path()), (3, 1));
    let (sessions, store) = site.open();
    let found = records(&store, site.now());
    let mut numbers: Vec<_> = found
        .iter()
        .map(|(_, record)| record.get("n").unwrap().and_then(|n| n.as_i64()).unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(sessions.user_sessions(USER).unwrap().len(), 2);
    for line in store.user_index(USER, site.now()).unwrap() {
        let loaded = store.load(&line.key, site.now()).unwrap();
        assert!(matches!(loaded, Loaded::Found(record) if record.id() == line.id));
    }
    // The sweep finds them by their deadlines: the one with 90 minutes first.
    site.clock.advance(OWN_TIMEOUT);
    assert_eq!(sessions.sweep(10).unwrap(), 1);
    assert_eq!(sessions.user_sessions(USER).unwrap().len(), 1);
    drop((sessions, store));
    assert_eq!(check_tables(&site.path()), (2, 0));
}

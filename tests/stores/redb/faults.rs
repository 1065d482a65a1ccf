//! What the store promises when the process or the disk fails. The process that fails is this test
//! binary again; it says on its standard output what it was told is stored.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use liquid_session::clock::{Clock as _, SystemClock};
use liquid_session::store::{Record, RedbStore, StoreKey};
use liquid_session::{ErrorKind, SessionConfig, Sessions};

use super::support::check_tables;

/// Tells the child which file to work on; without it the child's tests do nothing.
const CHILD: &str = "REDB_TEST_CHILD";

/// Runs one test of this binary as a process, behind these words of a shell or by itself.
fn child(test: &str, path: &Path, shell: Option<&str>) -> Child {
    let exe = std::env::current_exe().unwrap();
    let mut command = match shell {
        Some(script) => {
            let mut command = Command::new("sh");
            command.args(["-c", script]).arg(exe);
            command
        }
        None => Command::new(exe),
    };
    command
        .args([
            "--exact",
            test,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn childs_sessions() -> Option<Sessions> {
    let path = std::env::var_os(CHILD)?;
    Some(Sessions::new(
        RedbStore::open(path).unwrap(),
        SessionConfig::default(),
    ))
}

fn open(path: &Path) -> Sessions {
    Sessions::new(RedbStore::open(path).unwrap(), SessionConfig::default())
}

/// What was acknowledged: for each session, by its session ID, the last value; both of its keys
/// must have it.
type Acknowledged = HashMap<String, i64>;

/// Reads a line of a child: `stored ID VALUE`, where the test harness may have begun the line.
fn read_line(line: &str, acknowledged: &mut Acknowledged) {
    if let Some((_, words)) = line.split_once("stored ") {
        let (id, value) = words.trim().split_once(' ').unwrap();
        acknowledged.insert(id.to_owned(), value.parse().unwrap());
    }
}

/// How many changes that is: the first has the value 0, each one more.
fn count(acknowledged: &Acknowledged) -> i64 {
    acknowledged.values().map(|value| value + 1).sum()
}

/// Counts the acknowledged changes that are there. A session may be one change further, if the
/// process ended before it could say so; none may be half there.
fn count_found(sessions: &Sessions, acknowledged: &Acknowledged) -> i64 {
    let mut found = 0;
    let visit = &mut |_: &StoreKey, record: &Record| {
        let (a, b) = (record.get("a").unwrap(), record.get("b").unwrap());
        assert_eq!(a, b, "a change is half there");
        let stored = a.and_then(|a| a.as_i64()).unwrap();
        if let Some(value) = acknowledged.get(&record.id().to_string()) {
            assert!(stored <= *value + 1, "nobody wrote that yet");
            found += stored.min(*value) + 1;
        }
        true
    };
    sessions.store().scan(SystemClock.now(), visit).unwrap();
    found
}

fn report(fault: &str, acknowledged: &Acknowledged, found: i64) {
    let (sessions, changes) = (acknowledged.len(), count(acknowledged));
    println!(
        "{fault}: {sessions} sessions, acknowledged {changes}, found {found}, lost {}",
        changes - found
    );
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.redb");
    let mut acknowledged = Acknowledged::new();
    let mut found = 0;
    for round in 0..20 {
        let mut process = child("redb::faults::child_commits_from_8_threads", &path, None);
        // Any moment: while the file is made, opened and mended, and while commits are under way.
        let random = std::hash::RandomState::new().build_hasher().finish();
        std::thread::sleep(Duration::from_millis(random % 600));
        process.kill().unwrap();
        process.wait().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        while output.read_line(&mut line).unwrap() > 0 {
            if line.ends_with('\n') {
                read_line(&line, &mut acknowledged);
            }
            line.clear();
        }

        let sessions = open(&path);
        found = count_found(&sessions, &acknowledged);
        assert_eq!(found, count(&acknowledged), "lost in round {round}");
        drop(sessions);
        assert!(check_tables(&path).0 >= acknowledged.len());
    }
    report("kill -9 at 20 moments", &acknowledged, found);
    assert!(found > 0, "every kill came before the first commit");
}

#[test]
#[ignore = "a process of `what_was_acknowledged_survives_kill_9`"]
fn child_commits_from_8_threads() {
    let Some(sessions) = childs_sessions() else {
        return;
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let mut secret = None;
                    for value in 0..5 {
                        let session = sessions.open(secret.as_deref());
                        session.set("a", value).unwrap();
                        session.set("b", value).unwrap();
                        if value == 3 {
                            // The record moves.
                            session.login("u1").unwrap();
                        }
                        let outcome = session.commit().unwrap();
                        if let Some(new) = outcome.secret() {
                            secret = Some(new.expose());
                        }
                        println!("stored {} {value}", session.id().unwrap().unwrap());
                    }
                }
            });
        }
    });
}

/// A shell that allows files of so many blocks of 512 bytes, and asks that writing more is an error
/// instead of a signal. The soft limit only: it can be lifted.
#[cfg(target_os = "linux")]
const SMALL_DISK: &str = r#"trap "" XFSZ; ulimit -S -f 8000; exec "$0" "$@""#;

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error_and_what_was_stored_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.redb");
    let mut process = child(
        "redb::faults::child_fills_the_disk",
        &path,
        Some(SMALL_DISK),
    );
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let mut acknowledged = Acknowledged::new();
    let (mut full, mut again) = (0, false);
    let mut line = String::new();
    while output.read_line(&mut line).unwrap() > 0 {
        read_line(&line, &mut acknowledged);
        if let Some((_, found)) = line.split_once("full, found ") {
            full += 1;
            assert_eq!(
                found.trim(),
                acknowledged.len().to_string(),
                "lost while the disk is full"
            );
            if full == 3 {
                make_room(process.id());
            }
        }
        again |= line.starts_with("again");
        line.clear();
    }
    assert!(process.wait().unwrap().success(), "the child failed");
    assert!(full >= 3, "the disk was never full");
    assert!(again, "no change went through when there was room again");
    let sessions = open(&path);
    let found = count_found(&sessions, &acknowledged);
    report("a full disk", &acknowledged, found);
    assert_eq!(found, count(&acknowledged));
    drop(sessions);
    check_tables(&path);
}

#[cfg(target_os = "linux")]
fn make_room(process: u32) {
    let lifted = Command::new("prlimit")
        .args(["--pid", &process.to_string(), "--fsize=unlimited"])
        .status()
        .unwrap();
    assert!(lifted.success());
}

#[test]
#[ignore = "a process of `a_full_disk_is_an_error_and_what_was_stored_stays`"]
fn child_fills_the_disk() {
    let Some(sessions) = childs_sessions() else {
        return;
    };
    let mut secrets = Vec::new();
    let mut full = 0;
    // Far more than the disk holds, were there no limit.
    for _ in 0..4000 {
        let session = sessions.open(None);
        session.set("a", 0).unwrap();
        session.set("b", 0).unwrap();
        session.set("text", "x".repeat(3000)).unwrap();
        match session.commit() {
            Ok(outcome) => {
                let secret = outcome.secret().unwrap().expose();
                println!("stored {} 0", session.id().unwrap().unwrap());
                secrets.push(secret);
                if full > 0 {
                    println!("again");
                    return;
                }
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Full, "{error:?}");
                full += 1;
                let there =
                    |secret: &&String| sessions.open(Some(secret)).get("a").unwrap().is_some();
                println!("full, found {}", secrets.iter().filter(there).count());
            }
        }
    }
}

#[test]
fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.redb");
    let sessions = open(&path);
    let session = sessions.open(None);
    session.set("a", 1).unwrap();
    let secret = session.commit().unwrap().secret().unwrap().expose();
    let output = child("redb::faults::child_opens_what_is_open", &path, None)
        .wait_with_output()
        .unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.contains("refused: the session database is in use"),
        "{output}"
    );
    assert_eq!(
        sessions.open(Some(&secret)).get("a").unwrap(),
        Some(1.into())
    );
}

#[test]
#[ignore = "a process of `a_second_process_is_refused`"]
fn child_opens_what_is_open() {
    let Some(path) = std::env::var_os(CHILD) else {
        return;
    };
    println!("refused: {}", RedbStore::open(path).unwrap_err());
}

//! PostgreSQL paused, killed, full, exhausted and read-only, each while eight threads commit: what was
//! acknowledged is there, nothing is there by half, and the store finds its way back by itself.
#![allow(unused_must_use, reason = "most commits send no cookie")]

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use super::Others;
use crate::load::{Tally, begin, check, only, pause, recovered, seen, under_load};
use crate::postgres_server::{PostgresServer, hand_over, say};
use liquid_session::store::PostgresStore;
use liquid_session::{ErrorKind, SessionConfig, Sessions, Status};

fn sessions(server: &PostgresServer, timeout: Duration) -> Sessions {
    sessions_at(&server.url(), timeout)
}

fn sessions_at(url: &str, timeout: Duration) -> Sessions {
    let store = PostgresStore::builder(url).timeout(timeout).build();
    let store = store.unwrap();
    recovered(|| store.migrate());
    Sessions::new(store, SessionConfig::default())
}

/// The texts of all errors.
fn texts(tallies: &[Tally]) -> BTreeSet<String> {
    tallies
        .iter()
        .flat_map(|tally| tally.texts.clone())
        .collect()
}

/// Ends every connection of the store.
const TERMINATE: &str = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'liquid-session'";

#[test]
fn killed_twenty_times_at_random_moments() {
    let Some(mut server) = PostgresServer::start(&["fsync=on"]) else {
        return;
    };
    let sessions = sessions(&server, Duration::from_secs(5));
    let mut tallies = Tally::all(&sessions);
    for round in 0..20u64 {
        under_load(&sessions, &mut tallies, || {
            // The moment hangs on what the threads are at, not on this number alone.
            pause(20 + round * 37 % 110);
            server.kill();
        });
        server.restart();
    }
    only(&tallies, &["Unavailable"]);
    assert!(check("killed 20 times", &sessions, &tallies) > 100);
}

#[test]
fn killed_and_restarted_under_load() {
    let Some(mut server) = PostgresServer::start(&[]) else {
        return;
    };
    let sessions = sessions(&server, Duration::from_secs(5));
    let mut tallies = Tally::all(&sessions);
    under_load(&sessions, &mut tallies, || {
        for _ in 0..3 {
            pause(100);
            server.kill();
            pause(50);
            server.restart();
        }
        pause(100);
    });
    only(&tallies, &["Unavailable"]);
    assert!(seen(&tallies, ErrorKind::Unavailable));
    check("restarted under load", &sessions, &tallies);
}

/// One process of the server is killed: the server ends all others and recovers.
#[test]
fn a_process_of_the_server_dies() {
    let Some(server) = PostgresServer::start(&["fsync=on"]) else {
        return;
    };
    let sessions = sessions(&server, Duration::from_secs(5));
    let mut tallies = Tally::all(&sessions);
    under_load(&sessions, &mut tallies, || {
        pause(200);
        let find =
            "select max(pid) from pg_stat_activity where application_name = 'liquid-session'";
        let process = server.value(find);
        assert!(
            Command::new("kill")
                .args(["-KILL", &process])
                .status()
                .unwrap()
                .success()
        );
        pause(1_000);
    });
    only(&tallies, &["Unavailable"]);
    assert!(seen(&tallies, ErrorKind::Unavailable));
    check("one process killed", &sessions, &tallies);
}

#[test]
fn connections_dropped_under_load() {
    let Some(server) = PostgresServer::start(&[]) else {
        return;
    };
    let sessions = sessions(&server, Duration::from_secs(60));
    let mut tallies = Tally::all(&sessions);
    let mut dropped = 0;
    under_load(&sessions, &mut tallies, || {
        for _ in 0..50 {
            pause(10);
            dropped += server.sql(TERMINATE).len();
        }
    });
    assert!(dropped > 100, "{dropped}");
    // Sent again, unless the connection of the second attempt was dropped too.
    only(&tallies, &["Unavailable"]);
    check(
        &format!("{dropped} connections dropped"),
        &sessions,
        &tallies,
    );
}

#[test]
fn the_first_call_after_a_restart_meets_no_dead_connection() {
    let Some(mut server) = PostgresServer::start(&[]) else {
        return;
    };
    let sessions = sessions(&server, Duration::from_secs(60));
    let cookie = begin(&sessions).unwrap();
    let mut restart = || {
        server.kill();
        server.restart();
    };
    restart();
    assert!(sessions.open(Some(&cookie)).contains("a").unwrap());
    let session = sessions.open(Some(&cookie));
    session.increment("a", 1).unwrap();
    restart();
    assert_eq!(session.commit().unwrap().status(), Status::Changed);
    restart();
    begin(&sessions).unwrap();
    restart();
    sessions.store().ping().unwrap();
    restart();
    sessions.sweep(10).unwrap();
}

#[test]
fn paused() {
    let Some(server) = PostgresServer::start(&[]) else {
        return;
    };
    let sessions = sessions(&server, Duration::from_millis(400));
    let mut tallies = Tally::all(&sessions);
    under_load(&sessions, &mut tallies, || {
        for _ in 0..3 {
            pause(300);
            server.signal_all("STOP");
            pause(1_000);
            server.signal_all("CONT");
        }
        pause(300);
    });
    only(&tallies, &["Unavailable"]);
    assert!(seen(&tallies, ErrorKind::Unavailable));
    check("paused three times", &sessions, &tallies);
}

#[test]
fn a_server_that_does_not_answer_holds_no_caller() {
    let Some(server) = PostgresServer::start(&[]) else {
        return;
    };
    let sessions = sessions(&server, Duration::from_millis(400));
    let cookie = recovered(|| begin(&sessions));
    server.signal_all("STOP");
    // Without a timeout none of these would come back.
    let kinds = [
        begin(&sessions).unwrap_err(),
        sessions.open(Some(&cookie)).get("a").unwrap_err(),
        sessions.user_sessions("u1").unwrap_err(),
        sessions.store().ping().unwrap_err(),
        sessions.open(Some(&cookie)).logout().unwrap_err(),
    ]
    .map(|error| error.kind());
    server.signal_all("CONT");
    // The first was sent on a connection that was open, so the server may do it yet.
    assert_eq!(kinds[0], ErrorKind::Unconfirmed);
    assert_eq!(kinds[1..], [ErrorKind::Unavailable; 4]);
    recovered(|| begin(&sessions));
}

#[test]
fn read_only() {
    let Some(server) = PostgresServer::start(&[]) else {
        return;
    };
    let sessions = sessions(&server, Duration::from_secs(60));
    let mut tallies = Tally::all(&sessions);
    let set = |value: &str| {
        server.sql("set default_transaction_read_only = off");
        let setting = format!("alter system set default_transaction_read_only = {value}");
        server.sql(&setting);
        server.sql("select pg_reload_conf()");
    };
    under_load(&sessions, &mut tallies, || {
        pause(100);
        set("on");
        pause(300);
        assert!(sessions.open(None).get("a").unwrap().is_none());
        set("off");
        pause(300);
    });
    only(&tallies, &["Unavailable"]);
    assert_eq!(
        texts(&tallies),
        BTreeSet::from(["the session store takes no writes now".to_owned()])
    );
    check("read-only", &sessions, &tallies);
}

/// Other programs hold every connection that the server allows.
#[test]
fn connections_exhausted() {
    let Some(server) = PostgresServer::start(&["max_connections=20"]) else {
        return;
    };
    let sessions = sessions(&server, Duration::from_secs(60));
    let mut tallies = Tally::all(&sessions);
    let mut others = Others::new();
    assert!(others.connect(&server));
    under_load(&sessions, &mut tallies, || {
        pause(100);
        for _ in 0..50 {
            others.run(TERMINATE);
            while others.connect(&server) {}
        }
        pause(100);
        others.clients.clear();
        pause(200);
    });
    // A change whose connection was ended, and for which there was no other, is not confirmed.
    only(&tallies, &["Unavailable"]);
    let texts = texts(&tallies);
    assert!(
        texts.iter().any(|text| text.contains("is busy")),
        "{texts:?}"
    );
    check("connections exhausted", &sessions, &tallies);
}

/// The store's own connections are too few for what takes long.
#[test]
fn a_call_waits_for_a_connection_of_the_pool_and_not_forever() {
    let Some(server) = PostgresServer::start(&[]) else {
        return;
    };
    let store = PostgresStore::builder(&server.url())
        .connections(1)
        .timeout(Duration::from_millis(800))
        .build()
        .unwrap();
    store.migrate().unwrap();
    let sessions = Sessions::new(store, SessionConfig::default());
    let mut others = Others::new();
    assert!(others.connect(&server));
    begin(&sessions).unwrap();
    others.run("begin; lock table liquid_session");
    let texts: BTreeSet<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| begin(&sessions).unwrap_err().to_string()))
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    let busy = texts.iter().filter(|text| text.contains("is busy")).count();
    let late = texts.iter().filter(|text| text.contains("in time")).count();
    assert_eq!((busy, late, texts.len()), (1, 1, 2), "{texts:?}");
    others.run("commit");
    begin(&sessions).unwrap();
}

/// The server gives up first, so every caller learns that nothing was stored.
#[test]
fn statements_take_too_long() {
    let Some(server) = PostgresServer::start(&[]) else {
        return;
    };
    let sessions = sessions(&server, Duration::from_secs(2));
    let mut tallies = Tally::all(&sessions);
    let mut others = Others::new();
    assert!(others.connect(&server));
    under_load(&sessions, &mut tallies, || {
        for _ in 0..2 {
            pause(200);
            others.run("begin; lock table liquid_session in exclusive mode");
            pause(2_500);
            others.run("commit");
        }
        pause(200);
    });
    assert_eq!(
        texts(&tallies),
        BTreeSet::from(["the session store did not answer in time".to_owned()])
    );
    check("statement timeout", &sessions, &tallies);
}

/// Eight threads change one session, with transactions that see no change of another one.
#[test]
fn serialization_failures() {
    const COMMITS: i64 = 50;
    let Some(server) = PostgresServer::start(&["default_transaction_isolation=serializable"])
    else {
        return;
    };
    let sessions = sessions(&server, Duration::from_secs(60));
    let cookie = begin(&sessions).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..COMMITS {
                    let session = sessions.open(Some(&cookie));
                    session.increment("a", 1).unwrap();
                    assert_eq!(session.commit().unwrap().status(), Status::Changed);
                }
            });
        }
    });
    let found = sessions
        .open(Some(&cookie))
        .get_as::<i64>("a")
        .unwrap()
        .unwrap();
    let acknowledged = 8 * COMMITS;
    let lost = acknowledged - found;
    say(&format!(
        "serialization failures: acknowledged {acknowledged}, found {found}, lost {lost}"
    ));
    assert_eq!(lost, 0);
    recovered(|| {
        let failed = server.value("select sum(xact_rollback) from pg_stat_database");
        match failed.parse() {
            Ok(0) | Err(_) => Err(liquid_session::Error::new(
                ErrorKind::Unavailable,
                "no transaction has failed",
            )),
            Ok::<u64, _>(_) => Ok(()),
        }
    });
}

/// A small file system in memory; goes when it is dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    /// `None` where the machine permits none: the test says so and passes.
    fn mount(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(folder.path())
            .output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            say("skipped: this machine permits no small file system");
            return None;
        }
        hand_over(folder.path());
        Some(Self(folder))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn full() {
    let Some(disk) = Disk::mount(4) else {
        return;
    };
    let Some(server) = PostgresServer::start(&["autovacuum=off"]) else {
        return;
    };
    let place = disk.0.path().display();
    server.sql(&format!("create tablespace small location '{place}'"));
    let sessions = sessions(&server, Duration::from_secs(60));
    server.sql("alter table liquid_session set tablespace small");
    let mut tallies = Tally::all(&sessions);
    let removed = begin(&sessions).unwrap();
    let ballast = disk.0.path().join("ballast");
    under_load(&sessions, &mut tallies, || {
        pause(100);
        // Another program takes the rest of the disk.
        let _ = std::fs::write(&ballast, vec![1; 8 << 20]);
        while !sessions_are_refused(&sessions) {
            pause(10);
        }
        // What is there can be read, and ended.
        assert_eq!(
            sessions.open(Some(&removed)).get("a").unwrap(),
            Some(0.into())
        );
        sessions.open(Some(&removed)).logout().unwrap();
        assert_eq!(sessions.open(Some(&removed)).get("a").unwrap(), None);
        std::fs::remove_file(&ballast).unwrap();
        pause(200);
    });
    only(&tallies, &["Full"]);
    recovered(|| begin(&sessions));
    check("full", &sessions, &tallies);
    drop(server);
}

fn sessions_are_refused(sessions: &Sessions) -> bool {
    match begin(sessions) {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Full, "{error:?}");
            true
        }
    }
}

#[test]
fn down() {
    let Some(mut server) = PostgresServer::start(&[]) else {
        return;
    };
    let sessions = sessions(&server, Duration::from_secs(60));
    server.kill();
    let error = begin(&sessions).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.to_string(), "the session store can't be reached");
    assert!(std::error::Error::source(&error).is_some());
    server.restart();
    begin(&sessions).unwrap();
}

/// The primary dies, and the standby takes over. Both addresses stand in the URL.
#[test]
fn a_failover_to_another_address() {
    let Some(mut primary) = PostgresServer::start(&[]) else {
        return;
    };
    let standby = PostgresServer::start_standby(&primary).unwrap();
    // A commit is acknowledged when the standby has it.
    primary.sql("alter system set synchronous_standby_names = 'standby'");
    primary.sql("select pg_reload_conf()");
    let url = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres",
        standby.port(),
        primary.port()
    );
    let sessions = sessions_at(&url, Duration::from_secs(5));
    let mut tallies = Tally::all(&sessions);
    under_load(&sessions, &mut tallies, || {
        pause(300);
        primary.kill();
        pause(100);
        standby.sql("select pg_promote()");
        pause(500);
    });
    only(&tallies, &["Unavailable"]);
    assert!(seen(&tallies, ErrorKind::Unavailable));
    assert!(check("failed over to the standby", &sessions, &tallies) > 10);
}

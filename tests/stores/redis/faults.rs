//! Redis paused, killed, emptied, full and read-only, each while eight threads commit: what was
//! acknowledged is there, nothing is there by half, and the store finds its way back by itself.
#![allow(unused_must_use, reason = "most commits send no cookie")]

use std::collections::BTreeSet;
use std::time::Duration;

use crate::load::{Tally, begin, check, only, pause, recovered, seen, under_load};
use crate::redis_server::{RedisServer, major_version};
use liquid_session::clock::{Clock as _, SystemClock};
use liquid_session::store::RedisStore;
use liquid_session::{ErrorKind, SessionConfig, Sessions, Status};

const DURABLE: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];

fn sessions(server: &RedisServer, timeout: Duration) -> Sessions {
    let store = RedisStore::builder(&server.url()).timeout(timeout).build();
    Sessions::new(store.unwrap(), SessionConfig::default())
}

#[test]
fn killed_twenty_times_at_random_moments() {
    let Some(mut server) = RedisServer::start(DURABLE) else {
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
    let Some(mut server) = RedisServer::start(DURABLE) else {
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

#[test]
fn the_first_call_after_a_restart_meets_no_dead_connection() {
    let Some(mut server) = RedisServer::start(DURABLE) else {
        return;
    };
    let sessions = sessions(&server, Duration::from_secs(60));
    let cookie = begin(&sessions).unwrap();
    server.kill();
    server.restart();
    assert!(sessions.open(Some(&cookie)).contains("a").unwrap());
    let session = sessions.open(Some(&cookie));
    session.increment("a", 1).unwrap();
    server.kill();
    server.restart();
    // Sent again, because nothing shows that the first was received.
    assert_eq!(session.commit().unwrap().status(), Status::Changed);
    server.kill();
    server.restart();
    begin(&sessions).unwrap();
    server.kill();
    server.restart();
    sessions.store().ping().unwrap();
    server.kill();
    server.restart();
    let now = SystemClock.now();
    sessions.store().scan(now, &mut |_, _| true).unwrap();
}

#[test]
fn restarted_empty_nothing_comes_back_to_life() {
    let Some(mut server) = RedisServer::start(&[]) else {
        return;
    };
    let sessions = sessions(&server, Duration::from_secs(5));
    let before = recovered(|| begin(&sessions));
    let loaded = sessions.open(Some(&before));
    loaded.set("a", 1).unwrap();
    let mut tallies = Tally::all(&sessions);
    under_load(&sessions, &mut tallies, || {
        pause(100);
        server.kill();
        server.restart_empty();
        pause(100);
    });
    // A visitor whose session is gone gets a new one, under a new cookie.
    only(&tallies, &["Unavailable", "Gone", "Created"]);
    assert_eq!(recovered(|| loaded.commit()).status(), Status::Gone);
    for tally in &tallies {
        let session = sessions.open(Some(&tally.cookie));
        assert_eq!(session.get("a").unwrap(), None, "nothing came back");
    }
    let mut tallies = Tally::all(&sessions);
    under_load(&sessions, &mut tallies, || pause(100));
    assert!(check("restarted empty", &sessions, &tallies) > 0);
}

#[test]
fn scripts_flushed_under_load() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let sessions = sessions(&server, Duration::from_secs(60));
    let mut tallies = Tally::all(&sessions);
    under_load(&sessions, &mut tallies, || {
        for _ in 0..50 {
            pause(5);
            let _: () = server.ask(&["SCRIPT", "FLUSH"]);
        }
    });
    only(&tallies, &[]);
    assert!(check("scripts flushed 50 times", &sessions, &tallies) > 0);
}

#[test]
fn paused_and_asleep() {
    let major = major_version().unwrap_or(0);
    // Before 7 the command needs no leave.
    let leave: &[&str] = if major >= 7 {
        &["--enable-debug-command", "yes"]
    } else {
        &[]
    };
    let Some(server) = RedisServer::start(leave) else {
        return;
    };
    let sessions = sessions(&server, Duration::from_millis(200));
    let mut tallies = Tally::all(&sessions);
    under_load(&sessions, &mut tallies, || {
        let mut other = server.connect();
        pause(50);
        redis::cmd("CLIENT")
            .arg("PAUSE")
            .arg(800)
            .exec(&mut other)
            .unwrap();
        pause(1_500);
        redis::cmd("DEBUG")
            .arg("SLEEP")
            .arg("0.8")
            .exec(&mut other)
            .unwrap();
        pause(500);
        server.signal("STOP");
        pause(800);
        server.signal("CONT");
        pause(300);
    });
    only(&tallies, &["Unavailable"]);
    assert!(seen(&tallies, ErrorKind::Unavailable));
    check("paused, asleep and stopped", &sessions, &tallies);
}

#[test]
fn a_server_that_does_not_answer_holds_no_caller() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let sessions = sessions(&server, Duration::from_millis(200));
    let cookie = recovered(|| begin(&sessions));
    server.signal("STOP");
    // Without a timeout none of these would come back.
    let kinds = [
        begin(&sessions).unwrap_err(),
        sessions.open(Some(&cookie)).get("a").unwrap_err(),
        sessions.user_sessions("u1").unwrap_err(),
        sessions.store().ping().unwrap_err(),
        sessions.open(Some(&cookie)).logout().unwrap_err(),
    ]
    .map(|error| error.kind());
    server.signal("CONT");
    // The first was sent on a connection that was open, so the server may do it yet.
    assert_eq!(kinds[0], ErrorKind::Unconfirmed);
    assert_eq!(kinds[1..], [ErrorKind::Unavailable; 4]);
    recovered(|| begin(&sessions));
}

#[test]
fn full() {
    let Some(server) = RedisServer::start(&["--maxmemory-policy", "noeviction"]) else {
        return;
    };
    let sessions = sessions(&server, Duration::from_secs(60));
    let mut tallies = Tally::all(&sessions);
    let removed = begin(&sessions).unwrap();
    let ended = begin(&sessions).unwrap();
    under_load(&sessions, &mut tallies, || {
        pause(100);
        let _: () = server.ask(&["CONFIG", "SET", "maxmemory", "1mb"]);
        pause(100);
        // What gives memory back is not refused.
        let session = sessions.open(Some(&removed));
        session.remove("a").unwrap();
        session.remove("b").unwrap();
        assert_eq!(session.commit().unwrap().status(), Status::Changed);
        sessions.open(Some(&ended)).logout().unwrap();
        assert_eq!(sessions.open(Some(&ended)).get("a").unwrap(), None);
        let _: () = server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
        pause(100);
    });
    only(&tallies, &["Full"]);
    assert!(seen(&tallies, ErrorKind::Full));
    check("full", &sessions, &tallies);
}

#[test]
fn read_only() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let sessions = sessions(&server, Duration::from_secs(60));
    let mut tallies = Tally::all(&sessions);
    under_load(&sessions, &mut tallies, || {
        pause(100);
        // Of a server that is not there.
        let _: () = server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
        pause(100);
        let _: () = server.ask(&["REPLICAOF", "NO", "ONE"]);
        pause(100);
        let _: () = server.ask(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
        pause(100);
        let _: () = server.ask(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
        pause(100);
    });
    only(&tallies, &["Unavailable"]);
    let texts: BTreeSet<_> = tallies.iter().flat_map(|tally| &tally.texts).collect();
    let expected = "the session store takes no writes now".to_owned();
    assert_eq!(texts, BTreeSet::from([&expected]));
    check("read-only, and without replicas", &sessions, &tallies);
}

#[test]
fn down() {
    let Some(mut server) = RedisServer::start(&[]) else {
        return;
    };
    server.kill();
    let sessions = sessions(&server, Duration::from_secs(60));
    let error = begin(&sessions).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.to_string(), "the session store can't be reached");
    assert!(std::error::Error::source(&error).is_some());
    server.restart();
    begin(&sessions).unwrap();
}

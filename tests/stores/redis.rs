//! What is particular to the store on Redis. What every store must do is in the acceptance suite.
#![allow(unused_must_use, reason = "most commits send no cookie")]

mod bytes;
mod faults;
mod nodes;
mod runtimes;
#[cfg(feature = "redis-tls")]
mod tls;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::redis_server::{RedisServer, say};
use liquid_session::clock::{Clock, ManualClock, SystemClock, Timestamp};
use liquid_session::store::{
    Change, Forward, IndexLine, Lifetime, Limits, Loaded, Record, RedisStore, Revoke, SessionStore,
    StoreKey, Swap, Swapped,
};
use liquid_session::{
    Error, ErrorKind, MemoryStore, Session, SessionConfig, SessionId, Sessions, Status,
};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn store(server: &RedisServer) -> RedisStore {
    // Long, so that a busy machine fails no test; those of faults choose their own.
    RedisStore::builder(&server.url())
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap()
}

fn sessions(server: &RedisServer) -> Sessions {
    Sessions::new(store(server), SessionConfig::default())
}

/// Stores a session and returns its cookie.
fn begin(sessions: &Sessions) -> String {
    let session = sessions.open(None);
    session.set("a", 1).unwrap();
    commit(&session)
}

fn commit(session: &Session) -> String {
    session.commit().unwrap().secret().unwrap().expose()
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn change() -> Change {
    Change::new(Limits::default(), Lifetime::new(DAY))
}

fn record(user: Option<&str>, now: Timestamp) -> Record {
    let change = change()
        .create(SessionId::from_bytes([7; 16]))
        .set("a", &1.into());
    let change = match user {
        Some(user) => change.login(user, None),
        None => change,
    };
    change.created(now).unwrap().unwrap()
}

fn changed(record: &Record, change: &Change, now: Timestamp) -> Record {
    let mut after = record.clone();
    assert!(change.apply(&mut after, now).unwrap());
    after
}

/// A key of this shard.
fn key(shard: u8, number: u8) -> StoreKey {
    let mut key = [number; 32];
    key[..2].copy_from_slice(&[0, shard]);
    StoreKey::from_bytes(key)
}

/// The name of a session's key in the server.
fn name(key: &StoreKey) -> Vec<u8> {
    let [a, b] = key.shard();
    let mut name = format!("liquid-session{{{a:02x}{b:02x}}}").into_bytes();
    name.extend_from_slice(&key.as_bytes()[2..]);
    name
}

fn ask<T: redis::FromRedisValue>(server: &RedisServer, command: &mut redis::Cmd) -> T {
    command.query(&mut server.connect()).unwrap()
}

/// All keys in the server.
fn names(server: &RedisServer) -> Vec<Vec<u8>> {
    server.ask(&["KEYS", "*"])
}

fn stored_bytes(server: &RedisServer, key: &StoreKey) -> Option<Vec<u8>> {
    ask(server, redis::cmd("GET").arg(name(key)))
}

fn put(server: &RedisServer, key: &StoreKey, bytes: &[u8]) {
    ask(server, redis::cmd("SET").arg(name(key)).arg(bytes))
}

fn left(server: &RedisServer, name: &[u8]) -> i64 {
    ask(server, redis::cmd("PTTL").arg(name))
}

/// The commands that the store sends meanwhile; those inside scripts are not sent by it.
fn seen(server: &RedisServer, work: impl FnOnce()) -> Vec<String> {
    let mut monitor = server.connect();
    let command = redis::cmd("MONITOR").get_packed_command();
    monitor.send_packed_command(&command).unwrap();
    monitor.recv_response().unwrap();
    work();
    let _: () = server.ask(&["ECHO", "the end"]);
    let mut seen = Vec::new();
    loop {
        let redis::Value::SimpleString(line) = monitor.recv_response().unwrap() else {
            panic!("no line");
        };
        if line.contains("the end") {
            return seen;
        }
        // `1700000000.000000 [0 127.0.0.1:50000] "GET" "…"`, or `[0 lua]` inside of a script.
        let (from, command) = line.split_once("] ").unwrap();
        let command = command.split('"').nth(1).unwrap().to_uppercase();
        let own = ["INFO", "ECHO"].contains(&&*command);
        if !from.ends_with("lua") && !own {
            seen.push(command);
        }
    }
}

#[test]
fn a_request_costs_as_many_commands_as_promised() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let clock = ManualClock::new();
    let sessions = sessions(&server).with_clock(clock.clone());
    let read = |cookie: &str| {
        let session = sessions.open(Some(cookie));
        for _ in 0..3 {
            session.get("a").unwrap();
            session.keys().unwrap();
        }
        assert_eq!(session.commit().unwrap().status(), Status::Unchanged);
    };
    let write = |cookie: &str| {
        let session = sessions.open(Some(cookie));
        session.get("a").unwrap();
        session.set("b", 2).unwrap();
        session.increment("n", 1).unwrap();
        session.remove("a").unwrap();
        assert_eq!(session.commit().unwrap().status(), Status::Changed);
    };
    let login = |cookie: Option<&str>| {
        let session = sessions.open(cookie);
        session.login("u1").unwrap();
        commit(&session)
    };
    // Each script is sent as a whole once.
    let mut cookie = begin(&sessions);
    write(&login(None));
    clock.advance(Duration::from_secs(300));
    read(&cookie);

    let nothing = || {
        sessions.open(Some(&cookie)).commit().unwrap();
        sessions.open(None).commit().unwrap();
        sessions.open(Some("forged")).commit().unwrap();
    };
    assert_eq!(seen(&server, nothing), [""; 0]);
    assert_eq!(seen(&server, || drop(begin(&sessions))), ["SET"]);
    assert_eq!(seen(&server, || read(&cookie)), ["GET"]);
    assert_eq!(seen(&server, || write(&cookie)), ["GET", "EVALSHA"]);
    // A use is recorded at most once per interval.
    clock.advance(Duration::from_secs(300));
    assert_eq!(seen(&server, || read(&cookie)), ["GET", "EVALSHA"]);
    assert_eq!(seen(&server, || read(&cookie)), ["GET"]);

    // Index, session.
    let sign_in = seen(&server, || cookie = login(Some(&cookie)));
    assert_eq!(sign_in, ["GET", "EVALSHA", "EVALSHA"]);
    assert_eq!(seen(&server, || read(&cookie)), ["GET"]);
    assert_eq!(seen(&server, || write(&cookie)), ["GET", "EVALSHA"]);
    clock.advance(Duration::from_secs(300));
    assert_eq!(
        seen(&server, || read(&cookie)),
        ["GET", "EVALSHA", "EVALSHA"]
    );
    // Index, session, and the old line of the index.
    let renew = || {
        let session = sessions.open(Some(&cookie));
        session.renew().unwrap();
        cookie = commit(&session);
    };
    assert_eq!(seen(&server, renew), ["GET", "EVALSHA", "EVALSHA", "ZADD"]);
    let logout = || sessions.open(Some(&cookie)).logout().unwrap();
    assert_eq!(seen(&server, logout), ["GET", "EVALSHA", "ZREM"]);
}

#[test]
fn the_server_holds_no_secret() {
    let Some(server) = RedisServer::start(&["--appendonly", "yes"]) else {
        return;
    };
    let sessions = sessions(&server);
    let mut monitor = server.connect();
    monitor
        .send_packed_command(&redis::cmd("MONITOR").get_packed_command())
        .unwrap();
    let session = sessions.open(None);
    session.set("a", 1).unwrap();
    session.login("u1").unwrap();
    let first = commit(&session);
    let session = sessions.open(Some(&first));
    session.renew().unwrap();
    let second = commit(&session);
    sessions.open(Some(&first)).get("a").unwrap();
    let session = sessions.open(Some(&second));
    session.transaction(|session| session.set("b", 2)).unwrap();

    let mut heard = String::new();
    monitor
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    while let Ok(line) = monitor.recv_response() {
        heard += &format!("{line:?}");
    }
    assert!(heard.contains("EVALSHA") || heard.contains("evalsha"));
    let mut dump = heard.into_bytes();
    let mut connection = server.connect();
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    assert!(!keys.is_empty());
    for key in &keys {
        dump.extend_from_slice(key);
        let value: Vec<u8> = redis::cmd("DUMP").arg(key).query(&mut connection).unwrap();
        dump.extend_from_slice(&value);
    }
    for secret in [&first, &second] {
        let has = |what: &[u8]| dump.windows(what.len()).any(|part| part == what);
        assert!(!has(secret.as_bytes()));
        let bytes = base64url(secret);
        assert!(!has(&bytes), "nor its bytes");
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!has(hex.as_bytes()));
    }
}

fn base64url(text: &str) -> Vec<u8> {
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bits = 0u32;
    let mut held = 0;
    let mut out = Vec::new();
    for letter in text.chars() {
        bits = bits << 6 | digits.find(letter).unwrap() as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    out
}

#[test]
fn flushed_scripts_come_back() {
    let Some(mut server) = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"])
    else {
        return;
    };
    let sessions = sessions(&server);
    let cookie = begin(&sessions);
    let _: () = server.ask(&["SCRIPT", "FLUSH"]);
    let session = sessions.open(Some(&cookie));
    session.set("b", 1).unwrap();
    assert_eq!(session.commit().unwrap().status(), Status::Changed);
    // Sent once, and known again.
    let session = sessions.open(Some(&cookie));
    session.set("b", 2).unwrap();
    let commit = || assert_eq!(session.commit().unwrap().status(), Status::Changed);
    assert_eq!(seen(&server, commit), ["EVALSHA"]);

    server.kill();
    server.restart();
    let session = sessions.open(Some(&cookie));
    session.set("b", 3).unwrap();
    assert_eq!(session.commit().unwrap().status(), Status::Changed);
    assert_eq!(
        sessions.open(Some(&cookie)).get("b").unwrap(),
        Some(3.into())
    );
}

#[test]
fn stores_with_different_prefixes_are_different_stores() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let one = sessions(&server);
    let other = RedisStore::builder(&server.url()).prefix("other").build();
    let other = Sessions::new(other.unwrap(), SessionConfig::default());
    let cookie = begin(&one);
    assert_eq!(other.open(Some(&cookie)).get("a").unwrap(), None);
    assert_eq!(one.open(Some(&cookie)).get("a").unwrap(), Some(1.into()));
    assert_eq!(names(&server).len(), 1);
    assert!(names(&server)[0].starts_with(b"liquid-session{"));
    // Characters that mean something in a pattern mean themselves in a prefix.
    let mut found = 0;
    for prefix in ["other*", "o?her", "[o]ther", "ot\\her"] {
        let store = RedisStore::builder(&server.url()).prefix(prefix).build();
        let sessions = Sessions::new(store.unwrap(), SessionConfig::default());
        begin(&sessions);
        let count = &mut |_: &_, _: &_| {
            found += 1;
            true
        };
        sessions.store().scan(SystemClock.now(), count).unwrap();
    }
    assert_eq!(found, 4);
}

/// What both stores must agree on: everything but what is random.
fn contents(sessions: &Sessions, clock: &ManualClock) -> Vec<String> {
    let mut all = Vec::new();
    sessions
        .store()
        .scan(clock.now(), &mut |_, record| {
            all.push(format!(
                "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
                record.created(),
                record.last_used(),
                record.idle_timeout(),
                record.deadline(),
                record.user(),
                record.size(),
                record.iter().collect::<Vec<_>>(),
            ));
            true
        })
        .unwrap();
    all.sort();
    all
}

fn told<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{:?}: {error}", error.kind()),
    }
}

/// A generator of one's own: the sequence must be the same for both stores.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Plays a game of requests that overlap, and notes all that is seen.
fn play(store: impl SessionStore, seed: u64) -> Vec<String> {
    let config = SessionConfig::builder()
        .timeout_minutes(60)
        .absolute_timeout_minutes(600)
        .max_bytes(120)
        .max_keys(5)
        .build()
        .unwrap();
    let clock = ManualClock::new();
    let sessions = Sessions::new(store, config).with_clock(clock.clone());
    let mut dice = Dice(seed);
    let mut cookies: Vec<String> = Vec::new();
    let mut open: Vec<(usize, Session)> = Vec::new();
    let mut notes = Vec::new();
    for _ in 0..400 {
        let key = ["a", "b", "c", "dd", "e", "f", "g"][dice.throw(7) as usize];
        if open.len() < 3 {
            let which = dice.throw(4) as usize;
            let cookie = cookies.get(which).map(String::as_str);
            open.push((which, sessions.open(cookie)));
        }
        let at = dice.throw(open.len() as u64) as usize;
        let session = &open[at].1;
        let arm = dice.throw(16);
        let note = match arm {
            0 => told(session.set(key, dice.throw(1_000))),
            1 => told(session.set(key, "x".repeat(dice.throw(60) as usize))),
            2 => told(session.set(key, vec![1, 2])),
            3 => told(session.remove(key)),
            4 if dice.throw(3) == 0 => told(session.clear()),
            5 => told(session.take(key)),
            6 => told(session.increment(key, dice.throw(9) as i64 - 4)),
            7 => told(session.increment(key, i64::MAX - dice.throw(500) as i64)),
            8 => told(session.append(key, "y".repeat(dice.throw(40) as usize))),
            9 => told(session.renew()),
            10 => told(session.login(["u1", "u2", ""][dice.throw(3) as usize])),
            11 => {
                clock.advance(Duration::from_secs(60 * dice.throw(12)));
                told(session.get(key))
            }
            12 if dice.throw(6) == 0 => told(session.logout()),
            13 if dice.throw(9) == 0 => told(sessions.revoke("u1", Revoke::All)),
            14 if dice.throw(4) == 0 => {
                let mut list = sessions.user_sessions("u2").unwrap();
                list.sort_by_key(|info| (info.created, info.last_used, info.deadline));
                let times: Vec<_> = list
                    .iter()
                    .map(|info| (info.created, info.last_used, info.deadline))
                    .collect();
                format!("{times:?}")
            }
            15 if dice.throw(9) == 0 => {
                clock.advance(Duration::from_secs(60 * 50));
                told(session.get(key))
            }
            _ => {
                let (which, session) = open.swap_remove(at);
                match session.commit() {
                    Ok(outcome) => {
                        if let Some(secret) = outcome.secret() {
                            match cookies.get_mut(which) {
                                Some(cookie) => *cookie = secret.expose(),
                                None => cookies.push(secret.expose()),
                            }
                        }
                        format!("{:?}", outcome.status())
                    }
                    Err(error) => format!("{:?}: {error}", error.kind()),
                }
            }
        };
        notes.push(note);
        // The others only stage, and load.
        let reaches_the_store = arm == 4 || arm > 10;
        notes.push(match reaches_the_store {
            true => format!("{:?}", contents(&sessions, &clock)),
            false => String::new(),
        });
    }
    notes
}

#[test]
fn it_does_to_the_letter_what_the_memory_store_does() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let mut kinds = BTreeMap::<String, usize>::new();
    for seed in 0..30 {
        let _: () = server.ask(&["FLUSHALL"]);
        let expected = play(MemoryStore::new(), seed);
        let found = play(store(&server), seed);
        for (step, (expected, found)) in expected.iter().zip(&found).enumerate() {
            assert_eq!(expected, found, "seed {seed}, step {}", step / 2);
        }
        for note in expected.iter().step_by(2) {
            let kind = note.split([':', '(', ' ']).next().unwrap();
            *kinds.entry(kind.to_owned()).or_default() += 1;
        }
    }
    for kind in ["Limit", "Value", "Gone", "Changed", "Created", "Ended"] {
        assert!(kinds.get(kind).is_some_and(|count| *count > 5), "{kinds:?}");
    }
}

#[test]
fn whole_numbers_are_exact_to_the_edge_of_i64() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let sessions = sessions(&server);
    let session = sessions.open(None);
    session.set("n", i64::MAX - 2).unwrap();
    session.set("m", i64::MIN + 1).unwrap();
    let cookie = commit(&session);
    // Two requests that both saw the old number.
    let (one, other) = (sessions.open(Some(&cookie)), sessions.open(Some(&cookie)));
    one.increment("n", 2).unwrap();
    one.increment("m", -1).unwrap();
    other.increment("n", 1).unwrap();
    other.set("x", 1).unwrap();
    one.commit().unwrap();
    let error = other.commit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
    assert_eq!(
        error.to_string(),
        "the whole number under the session key `n` would leave the range of i64: use a smaller number"
    );
    let session = sessions.open(Some(&cookie));
    assert_eq!(session.get("n").unwrap(), Some(i64::MAX.into()));
    assert_eq!(session.get("m").unwrap(), Some(i64::MIN.into()));
    assert_eq!(session.get("x").unwrap(), None, "all or nothing");
}

#[test]
fn debug_shows_neither_the_address_nor_the_password() {
    let builder = RedisStore::builder("redis://user:hunter2@10.1.2.3:6379/1");
    let mut shown = format!("{builder:?}");
    shown += &format!("{:?}", builder.build().unwrap());
    for secret in ["hunter2", "user", "10.1.2.3"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let error = RedisStore::open("redis://user:hunter2@10.1.2.3:port").unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(
        !shown.contains("hunter2") && !shown.contains("10.1.2.3"),
        "{shown}"
    );
}

#[test]
fn records_and_forwards_are_strings_of_one_slot_that_expire() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let (store, now) = (store(&server), SystemClock.now());
    let [first, second, third] = [1, 2, 3].map(|number| key(9, number));
    let before = record(None, now);
    assert_eq!(
        store.swap(&first, Swap::Create(&before), now).unwrap(),
        Swapped::Done
    );
    assert_eq!(stored_bytes(&server, &first).unwrap(), before.to_bytes());
    let day = DAY.as_millis() as i64;
    assert!((day - 60_000..=day).contains(&left(&server, &name(&first))));

    let renew = change().renew(second);
    let after = changed(&before, &renew, now);
    let forward = Forward::new(second, &renew, now);
    let swap = Swap::Move {
        before: &before,
        after: &after,
        forward,
    };
    assert_eq!(store.swap(&first, swap, now).unwrap(), Swapped::Done);
    // Sent again, it tells that it was done.
    assert_eq!(store.swap(&first, swap, now).unwrap(), Swapped::Done);
    assert_eq!(store.load(&first, now).unwrap(), Loaded::Moved(forward));
    assert_eq!(store.load(&first, forward.until).unwrap(), Loaded::Absent);
    assert_eq!(
        store.load(&second, now).unwrap(),
        Loaded::Found(Arc::new(after.clone()))
    );
    assert!((1..=60_000).contains(&left(&server, &name(&first))));
    assert_eq!(stored_bytes(&server, &first).unwrap()[0], 0);
    // What began before the renewal is told where the session is.
    let late = changed(&before, &change().set("b", &1.into()), now);
    for swap in [
        Swap::Replace {
            before: &before,
            after: &late,
        },
        Swap::Remove(&before),
    ] {
        assert_eq!(
            store.swap(&first, swap, now).unwrap(),
            Swapped::Moved(forward)
        );
    }
    assert_eq!(
        store.swap(&first, Swap::RemoveUnreadable, now).unwrap(),
        Swapped::Moved(forward)
    );
    assert_eq!(
        store.swap(&third, Swap::Remove(&before), now).unwrap(),
        Swapped::Gone
    );
    let swap = Swap::Replace {
        before: &late,
        after: &before,
    };
    assert_eq!(
        store.swap(&second, swap, now).unwrap(),
        Swapped::Current(Arc::new(after.clone()))
    );
    assert!(store.swap(&second, Swap::Create(&late), now).unwrap() != Swapped::Done);
    assert_eq!(
        store.swap(&second, Swap::Remove(&after), now).unwrap(),
        Swapped::Done
    );
    assert_eq!(store.load(&second, now).unwrap(), Loaded::Absent);
}

#[test]
fn what_has_ended_is_neither_read_nor_replaced() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let (store, now) = (store(&server), SystemClock.now());
    let (key, before) = (key(1, 1), record(None, now));
    store.swap(&key, Swap::Create(&before), now).unwrap();
    let end = before.deadline();
    let after = changed(&before, &change().set("b", &1.into()), end);
    for swap in [
        Swap::Replace {
            before: &before,
            after: &after,
        },
        Swap::Remove(&before),
        Swap::RemoveUnreadable,
    ] {
        assert_eq!(store.swap(&key, swap, end).unwrap(), Swapped::Gone);
    }
    assert_eq!(store.load(&key, end).unwrap(), Loaded::Absent);
    assert_eq!(
        store.load(&key, at(end.as_millis() - 1)).unwrap(),
        Loaded::Found(Arc::new(before.clone()))
    );
    // A touch that the caller does not know of has extended it.
    let lifetime = Lifetime::new(DAY);
    let touch = before.touch_due(&lifetime, now + DAY / 2).unwrap();
    store.touch(&key, &touch).unwrap();
    let swap = Swap::Replace {
        before: &before,
        after: &after,
    };
    assert_eq!(store.swap(&key, swap, end).unwrap(), Swapped::Done);
}

#[test]
fn a_touch_does_what_a_record_says() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let store = store(&server);
    let now = 1_800_000_000_000;
    let minutes = [-50_i64, -6, -5, 0, 5, 6, 50].map(|minutes| minutes * 60_000);
    let key = key(1, 1);
    for created in minutes {
        for used in minutes {
            for edge in [-1, 0, 1] {
                let (created, used) = (now + created + edge, now + used + edge);
                // A record with these times, by way of its stored form.
                let mut stored = record(Some("u1"), at(now as u64)).to_bytes();
                stored[9..15].copy_from_slice(&(used as u64).to_le_bytes()[..6]);
                stored[15..21].copy_from_slice(&(created as u64).to_le_bytes()[..6]);
                for deadline in [now - 1, now, now + 1, now + 1_000_000] {
                    stored[21..27].copy_from_slice(&(deadline as u64).to_le_bytes()[..6]);
                    let mut expected = Record::from_bytes(&stored).unwrap();
                    put(&server, &key, &stored);
                    let lifetime = Lifetime::new(DAY).absolute(Some(3 * DAY));
                    let clean = record(Some("u1"), at(0));
                    let touch = clean.touch_due(&lifetime, at(now as u64)).unwrap();
                    store.touch(&key, &touch).unwrap();
                    if deadline > now {
                        expected.touch(&touch);
                    }
                    let found = stored_bytes(&server, &key);
                    let ended = touch.deadline <= touch.at && found.is_none();
                    assert!(
                        ended || found == Some(expected.to_bytes()),
                        "{created} {used} {deadline}"
                    );
                }
            }
        }
    }
    // It creates nothing, and leaves a forward and a newer form alone.
    let before = record(None, at(now as u64));
    let touch = before
        .touch_due(&Lifetime::new(DAY), at(now as u64) + DAY / 2)
        .unwrap();
    for other in [&b""[..], &[0; 42], &[2; 99]] {
        ask::<()>(&server, redis::cmd("DEL").arg(name(&key)));
        if !other.is_empty() {
            put(&server, &key, other);
        }
        store.touch(&key, &touch).unwrap();
        assert_eq!(stored_bytes(&server, &key).unwrap_or_default(), other);
    }
}

#[test]
fn a_touch_between_load_and_commit_is_kept() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let (store, now) = (store(&server), SystemClock.now());
    let (old, new, before) = (key(1, 1), key(1, 2), record(None, now));
    store.swap(&old, Swap::Create(&before), now).unwrap();
    // Prepared at once, stored after another request's touch.
    let after = changed(&before, &change().set("b", &1.into()), now);
    let touch = before
        .touch_due(&Lifetime::new(DAY), now + MINUTE * 5)
        .unwrap();
    store.touch(&old, &touch).unwrap();
    let expected = DAY.as_millis() as i64;
    assert!(left(&server, &name(&old)) > expected - 60_000);
    let swap = Swap::Replace {
        before: &before,
        after: &after,
    };
    assert_eq!(store.swap(&old, swap, now).unwrap(), Swapped::Done);
    let Loaded::Found(stored) = store.load(&old, now).unwrap() else {
        panic!("it is there");
    };
    assert_eq!(stored.version(), after.version());
    assert_eq!(
        (stored.last_used(), stored.deadline()),
        (touch.at, touch.deadline)
    );
    assert!(
        left(&server, &name(&old)) > expected + 240_000,
        "as long as its deadline says"
    );

    let renew = change().renew(new);
    let moved = changed(&after, &renew, now);
    let forward = Forward::new(new, &renew, now);
    let swap = Swap::Move {
        before: &after,
        after: &moved,
        forward,
    };
    assert_eq!(store.swap(&old, swap, now).unwrap(), Swapped::Done);
    let Loaded::Found(stored) = store.load(&new, now).unwrap() else {
        panic!("it is there");
    };
    assert_eq!(
        (stored.last_used(), stored.deadline()),
        (touch.at, touch.deadline)
    );
}

#[test]
fn the_index_of_a_user_names_every_session_before_it_is_stored() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let (store, now) = (store(&server), SystemClock.now());
    let [old, new, other] = [1, 2, 3].map(|number| key(1, number));
    let before = record(Some("u1"), now);
    let line = |key| IndexLine {
        id: before.id(),
        key,
    };
    let lines = |store: &RedisStore| store.user_index("u1", now).unwrap();
    store.swap(&old, Swap::Create(&before), now).unwrap();
    assert_eq!(lines(&store), [line(old)]);
    assert_eq!(store.user_index("u2", now).unwrap(), []);
    let index = names(&server)
        .into_iter()
        .find(|name| name.starts_with(b"liquid-session:u:"))
        .unwrap();
    let score = |key: &StoreKey| -> u64 {
        let member = [&before.id().as_bytes()[..], key.as_bytes()].concat();
        ask::<f64>(&server, redis::cmd("ZSCORE").arg(&index).arg(member)) as u64
    };
    let hour = MINUTE * 60;
    assert_eq!(score(&old), (before.deadline() + hour).as_millis());
    let day = (DAY + hour).as_millis() as i64;
    assert!((day - 60_000..=day).contains(&left(&server, &index)));

    // A lost line comes back with a use, and lives as long as the session.
    ask::<()>(&server, redis::cmd("DEL").arg(&index));
    let later = now + MINUTE * 5;
    let touch = before.touch_due(&Lifetime::new(DAY), later).unwrap();
    store.touch(&old, &touch).unwrap();
    assert_eq!(lines(&store), [line(old)]);
    assert_eq!(score(&old), (touch.deadline + hour).as_millis());
    let Loaded::Found(before) = store.load(&old, later).unwrap() else {
        panic!("it is there");
    };

    // After a renewal the old line stays for an hour, in case that the server forgets the renewal.
    let renew = change().renew(new);
    let after = changed(&before, &renew, later);
    let forward = Forward::new(new, &renew, later);
    let swap = Swap::Move {
        before: &before,
        after: &after,
        forward,
    };
    store.swap(&old, swap, later).unwrap();
    assert_eq!(lines(&store).len(), 2);
    assert_eq!(score(&old), (forward.until + hour).as_millis());
    assert_eq!(score(&new), (after.deadline() + hour).as_millis());

    // A removal takes its own line along, an addition those that are past.
    store.swap(&new, Swap::Remove(&after), later).unwrap();
    assert_eq!(lines(&store), [line(old)]);
    let past = forward.until + hour;
    let last = record(Some("u1"), past);
    store.swap(&other, Swap::Create(&last), past).unwrap();
    assert_eq!(lines(&store).len(), 2);
    let last = record(Some("u1"), past + Duration::from_millis(1));
    store
        .swap(&new, Swap::Create(&last), last.created())
        .unwrap();
    assert!(!lines(&store).contains(&line(old)));
    // A look-up that finds nothing removes nothing.
    ask::<()>(&server, redis::cmd("DEL").arg(name(&other)));
    store.load(&other, past).unwrap();
    assert_eq!(
        store.swap(&other, Swap::Remove(&last), past).unwrap(),
        Swapped::Gone
    );
    assert!(lines(&store).contains(&line(other)));
}

#[test]
fn damage_is_an_error_and_goes_when_told() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let (store, now) = (store(&server), SystemClock.now());
    let key = key(1, 1);
    let whole = record(None, now);
    let good = whole.to_bytes();
    let mut newer = good.clone();
    newer[0] = 2;
    let remove = || store.swap(&key, Swap::RemoveUnreadable, now).unwrap();
    for (damaged, kind) in [
        (&b""[..], ErrorKind::Corrupt),
        (&[0], ErrorKind::Corrupt),
        (&[0; 41], ErrorKind::Corrupt),
        (&[0, 2], ErrorKind::Corrupt),
        (&good[..20], ErrorKind::Corrupt),
        (&newer, ErrorKind::NewerForm),
    ] {
        put(&server, &key, damaged);
        assert_eq!(store.load(&key, now).unwrap_err().kind(), kind);
        let mut met = 0;
        let count = &mut |_: &_, _: &_| {
            met += 1;
            true
        };
        store.scan(now, count).unwrap();
        assert_eq!(met, 0);
        assert_eq!(store.sweep(now, 10).unwrap(), 0);
        assert_eq!(remove(), Swapped::Done, "{damaged:?}");
        assert_eq!(names(&server).len(), 0);
        assert_eq!(remove(), Swapped::Gone);
    }
    put(&server, &key, &good);
    assert_eq!(remove(), Swapped::Current(Arc::new(whole.clone())));
    ask::<()>(&server, redis::cmd("DEL").arg(name(&key)));
    ask::<()>(&server, redis::cmd("HSET").arg(name(&key)).arg("a").arg(1));
    assert_eq!(
        store.load(&key, now).unwrap_err().kind(),
        ErrorKind::Corrupt
    );
    let error = store.swap(&key, Swap::Remove(&whole), now).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(remove(), Swapped::Done);
    assert_eq!(names(&server).len(), 0);
}

#[test]
fn damage_in_one_session_of_a_user_harms_no_other() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let sessions = sessions(&server);
    let cookies: Vec<_> = std::iter::repeat_with(|| {
        let session = sessions.open(None);
        session.login("u1").unwrap();
        commit(&session)
    })
    .take(9)
    .collect();
    let damaged = names(&server)
        .into_iter()
        .find(|name| name.starts_with(b"liquid-session{"))
        .unwrap();
    ask::<()>(
        &server,
        redis::cmd("SETRANGE").arg(&damaged).arg(27).arg("\u{7f}"),
    );
    assert_eq!(sessions.user_sessions("u1").unwrap().len(), 8);
    assert_eq!(sessions.revoke("u1", Revoke::All).unwrap(), 9);
    assert!(
        !names(&server)
            .iter()
            .any(|name| name.starts_with(b"liquid-session{"))
    );
    for cookie in cookies {
        assert_eq!(sessions.open(Some(&cookie)).keys().unwrap(), [""; 0]);
    }
}

/// Stands between a store and its server, and cuts connections when told to.
struct Proxy {
    port: u16,
    /// How many commands to pass on without their answer.
    cut: Arc<AtomicUsize>,
}

impl Proxy {
    fn start(server: &RedisServer, when_cut: impl Fn() + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = Arc::new(AtomicUsize::new(0));
        let (to, counter) = (server.port(), cut.clone());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (when_cut, cut) = (when_cut.clone(), counter.clone());
                std::thread::spawn(move || pass(client.unwrap(), to, &cut, when_cut));
            }
        });
        Self { port, cut }
    }
}

fn pass(mut client: TcpStream, to: u16, cut: &AtomicUsize, when_cut: impl Fn()) {
    let mut server = TcpStream::connect(("127.0.0.1", to)).unwrap();
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        server.write_all(&buffer[..length]).unwrap();
        let length = server.read(&mut buffer).unwrap();
        let less = |left: usize| left.checked_sub(1);
        if cut
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
            .is_ok()
        {
            when_cut();
            return;
        }
        client.write_all(&buffer[..length]).unwrap();
    }
}

#[test]
fn a_change_whose_answer_is_lost_is_made_once() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let proxy = Proxy::start(&server, || {});
    let store = RedisStore::open(&format!("redis://127.0.0.1:{}", proxy.port)).unwrap();
    let now = SystemClock.now();
    let (old, new, before) = (key(1, 1), key(1, 2), record(None, now));
    let cut = |swap: Swap<'_>, key: &StoreKey| {
        store.ping().unwrap();
        proxy.cut.store(1, Ordering::SeqCst);
        assert_eq!(store.swap(key, swap, now).unwrap(), Swapped::Done);
        assert_eq!(proxy.cut.load(Ordering::SeqCst), 0);
    };
    cut(Swap::Create(&before), &old);
    assert_eq!(stored_bytes(&server, &old).unwrap(), before.to_bytes());
    // The script is not known yet: the first answer says so. Then it is.
    for number in 0..2 {
        let Loaded::Found(before) = store.load(&old, now).unwrap() else {
            panic!("it is there");
        };
        let after = changed(&before, &change().increment("n", 1), now);
        cut(
            Swap::Replace {
                before: &before,
                after: &after,
            },
            &old,
        );
        assert_eq!(stored_bytes(&server, &old).unwrap(), after.to_bytes());
        assert_eq!(after.get("n").unwrap(), Some((number + 1).into()));
    }
    let Loaded::Found(before) = store.load(&old, now).unwrap() else {
        panic!("it is there");
    };
    let renew = change().renew(new);
    let after = changed(&before, &renew, now);
    let forward = Forward::new(new, &renew, now);
    cut(
        Swap::Move {
            before: &before,
            after: &after,
            forward,
        },
        &old,
    );
    cut(Swap::Remove(&after), &new);
    assert_eq!(names(&server), [name(&old)], "the forward");
}

#[test]
fn a_change_that_can_not_be_judged_is_not_known_to_be_stored() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let now = SystemClock.now();
    let (key, before) = (key(1, 1), record(None, now));
    let rival = changed(&before, &change().set("rival", &1.into()), now);
    // Another process is quicker than the second attempt.
    let (url, stored, name) = (server.url(), rival.to_bytes(), name(&key));
    let proxy = Proxy::start(&server, move || {
        let mut connection = redis::Client::open(&*url)
            .unwrap()
            .get_connection()
            .unwrap();
        redis::cmd("SET")
            .arg(&name)
            .arg(&stored)
            .exec(&mut connection)
            .unwrap();
    });
    let builder = RedisStore::builder(&format!("redis://127.0.0.1:{}", proxy.port));
    let store = builder.timeout(Duration::from_secs(60)).build().unwrap();
    store.swap(&key, Swap::Create(&before), now).unwrap();
    let after = changed(&before, &change().set("a", &2.into()), now);
    proxy.cut.store(1, Ordering::SeqCst);
    let swap = Swap::Replace {
        before: &before,
        after: &after,
    };
    let error = store.swap(&key, swap, now).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unconfirmed);
    assert!(
        error.to_string().contains("not known to be stored"),
        "{error}"
    );
    assert_eq!(
        stored_bytes(&server, &key).unwrap(),
        rival.to_bytes(),
        "nothing was done twice"
    );

    // Nor is one whose second answer is lost too.
    let after = changed(&rival, &change().set("a", &3.into()), now);
    proxy.cut.store(2, Ordering::SeqCst);
    let swap = Swap::Replace {
        before: &rival,
        after: &after,
    };
    let error = store.swap(&key, swap, now).unwrap_err();
    assert!(
        error.to_string().contains("not known to be stored"),
        "{error}"
    );
    // A read is read again, and says nothing of the kind.
    store.ping().unwrap();
    proxy.cut.store(1, Ordering::SeqCst);
    store.load(&key, now).unwrap();
    proxy.cut.store(2, Ordering::SeqCst);
    let error = store.load(&key, now).unwrap_err();
    assert_eq!(error.to_string(), "the session store can't be reached");
}

/// The rights that the documentation of [`RedisStore`] lists.
const RIGHTS: &str = "on >p@ss/wörd:%20 ~liquid-session* resetchannels \
    +get +getrange +set +setrange +del +pexpire +pttl +scan +ping +eval +evalsha \
    +zadd +zrem +zrange +zremrangebyscore";

#[test]
fn the_listed_rights_are_enough_and_a_wrong_password_is_a_wrong_setting() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let grant = |user: &str, rights: &str| {
        let mut command = redis::cmd("ACL");
        command.arg("SETUSER").arg(user);
        for right in rights.split_whitespace() {
            command.arg(right);
        }
        ask::<()>(&server, &mut command);
    };
    grant("sessions", RIGHTS);
    let sessions = |user: &str, password: &str| {
        let url = format!("redis://{user}:{password}@127.0.0.1:{}", server.port());
        let builder = RedisStore::builder(&url).timeout(Duration::from_secs(60));
        Sessions::new(builder.build().unwrap(), SessionConfig::default())
    };
    let clock = ManualClock::new();
    let password = "p%40ss%2Fw%C3%B6rd%3A%2520";
    let right = sessions("sessions", password).with_clock(clock.clone());
    let cookie = begin(&right);
    let session = right.open(Some(&cookie));
    session.increment("a", 1).unwrap();
    session.login("u1").unwrap();
    let cookie = commit(&session);
    clock.advance(Duration::from_secs(600));
    let session = right.open(Some(&cookie));
    assert_eq!(session.get("a").unwrap(), Some(2.into()));
    session.commit().unwrap();
    let session = right.open(Some(&cookie));
    session.renew().unwrap();
    commit(&session);
    assert_eq!(right.user_sessions("u1").unwrap().len(), 1);
    right.store().scan(clock.now(), &mut |_, _| true).unwrap();
    right.store().ping().unwrap();
    right.sweep(10).unwrap();
    assert_eq!(right.revoke("u1", Revoke::All).unwrap(), 1);

    // Each listed command is needed, so a list that is too long shows.
    let documented = include_str!("../../src/store/redis.rs");
    for word in RIGHTS
        .split_whitespace()
        .filter(|word| word.starts_with('+'))
    {
        assert!(documented.contains(word), "{word} is not documented");
    }
    let wrong = sessions("sessions", "wrong");
    grant("few", "on >p ~liquid-session* +get +ping");
    grant("elsewhere", "on >p ~other* +@all");
    for (sessions, text) in [
        (wrong, "the user or the password"),
        (sessions("few", "p"), "forbids its user a command or a key"),
        (
            sessions("elsewhere", "p"),
            "forbids its user a command or a key",
        ),
    ] {
        let session = sessions.open(None);
        session.set("a", 1).unwrap();
        let error = session.commit().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[cfg(feature = "tracing")]
#[test]
fn a_policy_that_evicts_any_key_is_reported() {
    use std::io::Write;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    for (policy, reported) in [
        ("noeviction", false),
        ("volatile-ttl", false),
        ("allkeys-lru", true),
        ("allkeys-random", true),
    ] {
        let Some(server) = RedisServer::start(&["--maxmemory-policy", policy]) else {
            return;
        };
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone());
        // Whoever connects is on this thread, as its subscriber is.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        tracing::subscriber::with_default(subscriber.with_ansi(false).finish(), || {
            runtime.block_on(async {
                let (store, key, now) = (store(&server), key(1, 1), SystemClock.now());
                for _ in 0..2 {
                    let load = store.as_async().unwrap().load(&key, now);
                    assert_eq!(load.await.unwrap(), Loaded::Absent);
                }
            });
        });
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let lines = text
            .lines()
            .filter(|line| line.contains("evicts keys") && line.contains(policy));
        assert_eq!(lines.count(), usize::from(reported), "{text}");
    }
}

/// `cargo test --release --features redis --test stores -- --ignored --nocapture memory`
#[test]
#[ignore = "a measurement: prints the memory that the server needs per session"]
fn memory_per_session() {
    for keys in [2, 7] {
        let Some(server) = RedisServer::start(&[]) else {
            return;
        };
        let used = || -> i64 {
            let info: String = server.ask(&["INFO", "memory"]);
            let line = info
                .lines()
                .find_map(|line| line.strip_prefix("used_memory:"));
            line.unwrap().parse().unwrap()
        };
        let sessions = sessions(&server);
        begin(&sessions);
        let before = used();
        const COUNT: i64 = 100_000;
        for number in 0..COUNT {
            let session = sessions.open(None);
            for (key, value) in data(number).into_iter().take(keys) {
                session.set(key, value).unwrap();
            }
            session.commit().unwrap();
        }
        say(&format!(
            "{keys} keys: {} bytes per session",
            (used() - before) / COUNT
        ));
    }
}

fn data(number: i64) -> [(&'static str, liquid_session::Value); 7] {
    [
        ("user_id", number.into()),
        ("theme", "dark".into()),
        ("locale", "en-GB".into()),
        ("cart_id", format!("cart-{number:08}").into()),
        ("visits", (number % 100).into()),
        ("last_page", "/products/garden/chairs".into()),
        ("newsletter", true.into()),
    ]
}

//! What is particular to the store on Redis. What every store must do is in the acceptance suite.
#![allow(unused_must_use, reason = "most commits send no cookie")]

mod faults;
mod nodes;
#[cfg(feature = "redis-tls")]
mod tls;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::redis_server::RedisServer;
use liquid_session::Login;
use liquid_session::clock::{Clock, ManualClock, SystemClock};
use liquid_session::store::{RedisStore, Revoke, SessionStore, StoreKey};
use liquid_session::{Error, ErrorKind, MemoryStore, Session, SessionConfig, Sessions, Status};

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

/// A stored session and its cookie.
fn begin(sessions: &Sessions) -> String {
    let session = sessions.open(None);
    session.set("a", 1).unwrap();
    commit(&session)
}

fn commit(session: &Session) -> String {
    session.commit().unwrap().secret().unwrap().expose()
}

/// The commands that the server saw since its counters were reset, but for those about itself.
fn seen(server: &RedisServer) -> BTreeMap<String, u64> {
    let text: String = server.ask(&["INFO", "commandstats"]);
    let mut seen = BTreeMap::new();
    for line in text.lines() {
        let Some((name, numbers)) = line
            .strip_prefix("cmdstat_")
            .and_then(|line| line.split_once(':'))
        else {
            continue;
        };
        let calls = numbers
            .strip_prefix("calls=")
            .and_then(|numbers| numbers.split(',').next())
            .unwrap();
        // `ping` asks whether a connection that rested for a second is alive.
        let own = [
            "info",
            "config|resetstat",
            "ping",
            "hello",
            "client|setinfo",
        ];
        if !own.contains(&name) {
            seen.insert(name.to_owned(), calls.parse().unwrap());
        }
    }
    seen
}

/// How many commands came from the store: what scripts call counts as well, but is no round trip.
fn round_trips(server: &RedisServer, work: impl FnOnce()) -> u64 {
    let _: () = server.ask(&["CONFIG", "RESETSTAT"]);
    work();
    let seen = seen(server);
    [
        "evalsha",
        "eval",
        "hgetall",
        "set",
        "zrangebyscore",
        "zscan",
    ]
    .iter()
    .filter_map(|name| seen.get(*name))
    .sum()
}

#[test]
fn a_request_costs_as_many_commands_as_promised() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let clock = ManualClock::new();
    let sessions = sessions(&server).with_clock(clock.clone());
    let cookie = begin(&sessions);
    // Each script is sent as a whole once.
    let session = sessions.open(Some(&cookie));
    session.set("a", 2).unwrap();
    session.commit().unwrap();
    clock.advance(Duration::from_secs(300));
    let session = sessions.open(Some(&cookie));
    session.get("a").unwrap();
    session.commit().unwrap();

    let nothing = || {
        let _: () = server.ask(&["CONFIG", "RESETSTAT"]);
        sessions.open(Some(&cookie)).commit().unwrap();
        sessions.open(None).commit().unwrap();
        sessions.open(Some("forged")).commit().unwrap();
        assert_eq!(seen(&server), BTreeMap::new());
    };
    nothing();
    let read_only = || {
        let session = sessions.open(Some(&cookie));
        for _ in 0..3 {
            session.get("a").unwrap();
            session.keys().unwrap();
        }
        assert_eq!(session.commit().unwrap().status(), Status::Unchanged);
    };
    assert_eq!(round_trips(&server, read_only), 1);
    assert_eq!(seen(&server), BTreeMap::from([("hgetall".to_owned(), 1)]));

    let changed = || {
        let session = sessions.open(Some(&cookie));
        session.get("a").unwrap();
        session.set("b", 2).unwrap();
        session.increment("n", 1).unwrap();
        session.remove("a").unwrap();
        assert_eq!(session.commit().unwrap().status(), Status::Changed);
    };
    assert_eq!(round_trips(&server, changed), 2);

    // A use is recorded at most once per interval.
    clock.advance(Duration::from_secs(300));
    assert_eq!(round_trips(&server, read_only), 2);
    assert_eq!(round_trips(&server, read_only), 1);

    assert_eq!(round_trips(&server, || drop(begin(&sessions))), 1);

    let mut signed_in = String::new();
    let login = || {
        let session = sessions.open(Some(&cookie));
        session.login("u1").unwrap();
        signed_in = commit(&session);
    };
    assert_eq!(round_trips(&server, login), 2);
    // Once more: it can't know who is signed in.
    let renew = || {
        let session = sessions.open(Some(&signed_in));
        session.renew().unwrap();
        commit(&session);
    };
    assert_eq!(round_trips(&server, renew), 3);
}

/// The fields of the one session in the server.
fn hash(server: &RedisServer) -> BTreeMap<String, Vec<u8>> {
    let keys: Vec<String> = server.ask(&["KEYS", "*:s:*"]);
    assert_eq!(keys.len(), 1);
    server.ask(&["HGETALL", &keys[0]])
}

#[test]
fn keys_of_a_session_do_not_meet_those_of_the_store() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let sessions = sessions(&server);
    let session = sessions.open(None);
    for key in ["m", "t", "m-user", "form", "used"] {
        session.set(key, "mine").unwrap();
    }
    session.increment("n", 5).unwrap();
    let cookie = commit(&session);
    let session = sessions.open(Some(&cookie));
    assert_eq!(session.keys().unwrap().len(), 6);
    session.increment("n", -5).unwrap();
    session.commit().unwrap();
    assert_eq!(
        sessions.open(Some(&cookie)).get("n").unwrap(),
        Some(0.into())
    );
    let fields = hash(&server);
    assert!(!fields.contains_key("t"), "what a sum needs goes again");
    let size: usize = fields
        .iter()
        .filter_map(|(name, value)| Some(name.strip_prefix("d:")?.len() + value.len()))
        .sum();
    assert_eq!(fields["m:bytes"], size.to_string().as_bytes());
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
    assert_eq!(round_trips(&server, commit), 1);

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
fn the_callers_clock_decides_and_the_server_cleans_up() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    // It stands months before the server's clock.
    let clock = ManualClock::new();
    let sessions = sessions(&server).with_clock(clock.clone());
    let cookie = begin(&sessions);
    let keys: Vec<String> = server.ask(&["KEYS", "*:s:*"]);
    let left = || server.ask::<i64>(&["PTTL", &keys[0]]);
    let month = 30 * DAY.as_millis() as i64;
    assert!((month..month + 300_001).contains(&left()), "{}", left());

    clock.advance(30 * DAY - Duration::from_millis(1));
    assert!(sessions.open(Some(&cookie)).get("a").unwrap().is_some());
    clock.advance(Duration::from_millis(1));
    assert!(sessions.open(Some(&cookie)).get("a").unwrap().is_none());
    assert_eq!(server.ask::<i64>(&["EXISTS", &keys[0]]), 1);
    assert_eq!(sessions.sweep(10).unwrap(), 1);
    assert_eq!(server.ask::<i64>(&["DBSIZE"]), 0, "no line is left");

    // A use moves the server's deadline too.
    let cookie = begin(&sessions);
    let keys: Vec<String> = server.ask(&["KEYS", "*:s:*"]);
    let _: () = server.ask(&["PEXPIRE", &keys[0], "60000"]);
    clock.advance(DAY);
    let session = sessions.open(Some(&cookie));
    session.get("a").unwrap();
    session.commit().unwrap();
    assert!(server.ask::<i64>(&["PTTL", &keys[0]]) >= month);
    let _: () = server.ask(&["PEXPIRE", &keys[0], "60000"]);
    clock.advance(DAY);
    let session = sessions.open(Some(&cookie));
    session.set("a", 2).unwrap();
    session.commit().unwrap();
    assert!(server.ask::<i64>(&["PTTL", &keys[0]]) >= month);

    // Renewed, it lives as long.
    let session = sessions.open(Some(&cookie));
    session
        .login(Login::new("u1").timeout(Duration::from_secs(600)))
        .unwrap();
    commit(&session);
    let keys: Vec<String> = server.ask(&["KEYS", "*:s:*"]);
    assert!((600_000..900_001).contains(&server.ask::<i64>(&["PTTL", &keys[0]])));
    // What the server let expire leaves lines; the sweep takes them.
    let _: () = server.ask(&["DEL", &keys[0]]);
    assert_eq!(sessions.user_sessions("u1").unwrap(), []);
    assert_eq!(
        server.ask::<i64>(&["DBSIZE"]),
        0,
        "a look at the list cleans it"
    );
    let session = sessions.open(None);
    session.login("u1").unwrap();
    commit(&session);
    let keys: Vec<String> = server.ask(&["KEYS", "*:s:*"]);
    let _: () = server.ask(&["DEL", &keys[0]]);
    clock.advance(31 * DAY);
    assert_eq!(sessions.sweep(10).unwrap(), 1);
    assert_eq!(server.ask::<i64>(&["DBSIZE"]), 0, "and so does a sweep");
}

#[test]
fn a_sweep_takes_the_longest_expired_first_in_bounded_batches() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let clock = ManualClock::new();
    let sessions = sessions(&server).with_clock(clock.clone());
    let first = begin(&sessions);
    let keys_of_first: Vec<String> = server.ask(&["KEYS", "*:s:*"]);
    for _ in 0..400 {
        clock.advance(Duration::from_secs(600));
        begin(&sessions);
    }
    // Used since, so that its line is out of date; and later than all others were, for the order.
    clock.advance(Duration::from_secs(600));
    let session = sessions.open(Some(&first));
    session.get("a").unwrap();
    session.commit().unwrap();
    clock.advance(29 * DAY);
    let due: i64 = server.ask(&[
        "ZCOUNT",
        "{liquid-session}:d:",
        "-inf",
        &clock.now().as_millis().to_string(),
    ]);
    assert_eq!(sessions.sweep(1_000).unwrap(), due as usize - 1);
    assert!(sessions.open(Some(&first)).get("a").unwrap().is_some());
    let left: i64 = server.ask(&["ZCARD", "{liquid-session}:d:"]);
    clock.advance(10 * DAY);
    let trips = round_trips(&server, || assert_eq!(sessions.sweep(120).unwrap(), 120));
    assert!(trips <= 6, "{trips}");
    let rest = left as usize - 120 - 1;
    assert_eq!(sessions.sweep(rest).unwrap(), rest);
    let last: Vec<String> = server.ask(&["KEYS", "*:s:*"]);
    assert_eq!(last, keys_of_first, "the one that was used last");
    assert_eq!(sessions.sweep(usize::MAX).unwrap(), 1);
    assert_eq!(sessions.sweep(usize::MAX).unwrap(), 0);
    assert_eq!(server.ask::<i64>(&["DBSIZE"]), 0);
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
    let keys: Vec<String> = server.ask(&["KEYS", "*"]);
    assert!(keys.iter().all(|key| key.starts_with("{liquid-session}:")));
}

#[test]
fn a_lease_is_one_processs_and_comes_back() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let (one, other) = (store(&server), store(&server));
    let key = StoreKey::from_bytes([1; 32]);
    let minute = Duration::from_secs(60);
    let lease = one.lease(&key, minute).unwrap();
    assert!(lease.is_some());
    assert!(other.lease(&key, minute).unwrap().is_none());
    assert!(
        other
            .lease(&StoreKey::from_bytes([2; 32]), minute)
            .unwrap()
            .is_some()
    );
    drop(lease);
    let lease = other.lease(&key, minute).unwrap();
    assert!(lease.is_some());
    // It ran out and is somebody else's: giving it back must not take it from them.
    let keys: Vec<String> = server.ask(&["KEYS", "*:l:*"]);
    let _: () = server.ask(&["SET", &keys[0], "theirs"]);
    drop(lease);
    assert!(one.lease(&key, minute).unwrap().is_none());
}

/// What both stores must agree on: everything but the random handle.
fn contents(sessions: &Sessions, clock: &ManualClock) -> Vec<String> {
    let mut all = Vec::new();
    sessions
        .store()
        .scan(clock.now(), &mut |_, record| {
            all.push(format!(
                "{} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
                record.version(),
                record.created(),
                record.last_used(),
                record.idle_timeout(),
                record.ends(),
                record.user(),
                record.bytes(),
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
                told(sessions.sweep(usize::MAX))
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
        "the whole number under the session key `n` would leave the range of i64"
    );
    let session = sessions.open(Some(&cookie));
    assert_eq!(session.get("n").unwrap(), Some(i64::MAX.into()));
    assert_eq!(session.get("m").unwrap(), Some(i64::MIN.into()));
    assert_eq!(session.get("x").unwrap(), None, "all or nothing");
    assert!(!hash(&server).contains_key("t"));
}

#[test]
fn something_else_under_a_key_is_corrupt() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let sessions = sessions(&server);
    let cookie = begin(&sessions);
    let keys: Vec<String> = server.ask(&["KEYS", "*:s:*"]);
    let kind_of = || sessions.open(Some(&cookie)).get("a").unwrap_err().kind();
    let _: () = server.ask(&["HSET", &keys[0], "m:form", "2"]);
    assert_eq!(kind_of(), ErrorKind::Corrupt);
    let store = store(&server);
    let _: () = server.ask(&["HSET", &keys[0], "m:form", "1"]);
    let mut key = None;
    store
        .scan(SystemClock.now(), &mut |found, _| {
            key = Some(*found);
            true
        })
        .unwrap();
    let _: () = server.ask(&["HSET", &keys[0], "m:form", "2"]);
    let error = store.touch(&key.unwrap(), SystemClock.now()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let _: () = server.ask(&["SET", &keys[0], "text"]);
    assert_eq!(kind_of(), ErrorKind::Corrupt);
}

/// The frozen hashes of `fixtures/records/`: key of the session, names and values of the fields.
fn frozen() -> Vec<(String, BTreeMap<String, Vec<u8>>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/records");
    let mut frozen = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "redis")
        {
            let file: serde_json::Value =
                serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            let fields = file["fields"].as_object().unwrap();
            let fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), bytes(value)));
            frozen.push((file["key"].as_str().unwrap().to_owned(), fields.collect()));
        }
    }
    assert!(!frozen.is_empty(), "no fixture was found");
    frozen
}

fn bytes(hex: &serde_json::Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn frozen_hashes_still_read() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    for (hex, fields) in frozen() {
        let mut command = redis::cmd("HSET");
        command.arg(format!("{{liquid-session}}:s:{hex}"));
        for (name, value) in &fields {
            command.arg(name).arg(value);
        }
        command.exec(&mut server.connect()).unwrap();
        let key: [u8; 32] = bytes(&serde_json::Value::from(hex)).try_into().unwrap();
        let key = StoreKey::from_bytes(key);
        let store = store(&server);
        let now = ManualClock::new().now() + Duration::from_secs(2_000);
        let record = store.load(&key, now).unwrap().unwrap();
        assert_eq!(record.user(), Some("user-1"));
        assert_eq!(record.get("string").unwrap(), Some("zażółć".into()));
        assert_eq!(record.get("counter").unwrap(), Some(5.into()));
        assert_eq!(record.len(), 12);
        for (name, value) in &fields {
            if let Some(key) = name.strip_prefix("d:") {
                assert_eq!(record.raw(key), Some(&**value), "{key}");
                assert_eq!(record.get(key).unwrap().unwrap().to_bytes(), *value);
            }
        }
        assert!(store.touch(&key, now).unwrap());
        assert_eq!(store.load(&key, now).unwrap().unwrap().last_used(), now);
        assert!(store.destroy(&key).unwrap());
    }
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

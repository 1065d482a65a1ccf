//! What is particular to the store on PostgreSQL. What every store must do is in the acceptance suite.
#![allow(unused_must_use, reason = "most commits send no cookie")]

mod bloat;
mod bytes;
mod faults;
#[cfg(feature = "postgres-tls")]
mod tls;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls};

use crate::postgres_server::PostgresServer;
use liquid_session::clock::{Clock as _, ManualClock, SystemClock, Timestamp};
use liquid_session::store::{
    Change, Forward, Lifetime, Limits, Loaded, PostgresStore, Record, SessionStore, StoreKey, Swap,
    Swapped,
};
use liquid_session::{Error, ErrorKind, Session, SessionConfig, SessionId, Sessions, Status};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A store in a new table.
fn store(server: &PostgresServer) -> PostgresStore {
    store_at(&server.url())
}

fn store_at(url: &str) -> PostgresStore {
    // Long, so that a busy machine fails no test; those of faults choose their own.
    let store = PostgresStore::builder(url)
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap();
    store.migrate().unwrap();
    store
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

fn key(number: u8) -> StoreKey {
    StoreKey::from_bytes([number; 32])
}

fn found(store: &PostgresStore, key: &StoreKey, now: Timestamp) -> Record {
    match store.load(key, now).unwrap() {
        Loaded::Found(record) => Record::clone(&record),
        other => panic!("{other:?}"),
    }
}

/// Connections of another program, which do nothing until they are dropped.
struct Others {
    runtime: tokio::runtime::Runtime,
    clients: Vec<Client>,
}

impl Others {
    fn new() -> Self {
        Self {
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap(),
            clients: Vec::new(),
        }
    }

    /// Whether there was room for one more.
    fn connect(&mut self, server: &PostgresServer) -> bool {
        let connected = self.runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await?;
            tokio::spawn(connection);
            Ok::<_, tokio_postgres::Error>(client)
        });
        let is_connected = connected.is_ok();
        self.clients.extend(connected);
        is_connected
    }

    fn run(&self, statements: &str) {
        let client = self.clients.last().unwrap();
        self.runtime
            .block_on(client.batch_execute(statements))
            .unwrap();
    }
}

/// Stands between a store and its server: counts, and cuts connections when told to.
struct Proxy {
    port: u16,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    /// What the server is asked to answer before more is sent: `Sync` and `Query` of the protocol.
    round_trips: AtomicUsize,
    /// `Parse` of the protocol.
    prepared: AtomicUsize,
    /// How many answers to keep from the store.
    cut: AtomicUsize,
}

impl Proxy {
    fn start(server: &PostgresServer, when_cut: impl Fn() + Clone + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen::default());
        let (to, counted) = (server.port(), seen.clone());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, seen, when_cut) = (client.unwrap(), counted.clone(), when_cut.clone());
                std::thread::spawn(move || pass(client, to, &seen, when_cut));
            }
        });
        Self { port, seen }
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Round trips, and statements that are prepared.
    fn count(&self, work: impl FnOnce()) -> (usize, usize) {
        let now = || {
            (
                self.seen.round_trips.load(SeqCst),
                self.seen.prepared.load(SeqCst),
            )
        };
        let before = now();
        work();
        let after = now();
        (after.0 - before.0, after.1 - before.1)
    }

    fn cut(&self, answers: usize) {
        self.seen.cut.store(answers, SeqCst);
    }

    fn is_cut(&self) -> bool {
        self.seen.cut.load(SeqCst) == 0
    }
}

fn pass(mut client: TcpStream, to: u16, seen: &Seen, when_cut: impl Fn() + Sync) {
    let mut server = TcpStream::connect(("127.0.0.1", to)).unwrap();
    let mut answers = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let cut = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = vec![0; 65_536];
            while let Ok(length @ 1..) = answers.0.read(&mut buffer) {
                let answer = &buffer[..length];
                if cut.load(SeqCst) {
                    // Not before the server has committed, which it says last.
                    if answer.ends_with(b"Z\0\0\0\x05I") {
                        when_cut();
                        break;
                    }
                } else if answers.1.write_all(answer).is_err() {
                    break;
                }
            }
            let _ = (
                answers.0.shutdown(Shutdown::Both),
                answers.1.shutdown(Shutdown::Both),
            );
        });
        // A message: its kind, but for the first one, and four bytes of length.
        let mut first = true;
        loop {
            let mut head = vec![0; if first { 4 } else { 5 }];
            if client.read_exact(&mut head).is_err() {
                break;
            }
            let length = u32::from_be_bytes(head[head.len() - 4..].try_into().unwrap());
            let mut body = vec![0; length as usize - 4];
            if client.read_exact(&mut body).is_err() {
                break;
            }
            match head[0] {
                b'S' | b'Q' if !first => {
                    seen.round_trips.fetch_add(1, SeqCst);
                    let less = |left: usize| left.checked_sub(1);
                    if seen.cut.fetch_update(SeqCst, SeqCst, less).is_ok() {
                        cut.store(true, SeqCst);
                    }
                }
                b'P' if !first => drop(seen.prepared.fetch_add(1, SeqCst)),
                _ => {}
            }
            first = false;
            head.extend_from_slice(&body);
            if server.write_all(&head).is_err() {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Both);
    });
}

#[test]
fn a_request_costs_as_many_round_trips_as_promised() {
    let Some(server) = PostgresServer::start(&[]) else {
        return;
    };
    let proxy = Proxy::start(&server, || {});
    let clock = ManualClock::new();
    let sessions =
        Sessions::new(store_at(&proxy.url()), SessionConfig::default()).with_clock(clock.clone());
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
    // The first call connects and prepares.
    let mut cookie = String::new();
    let (_, prepared) = proxy.count(|| cookie = begin(&sessions));
    assert!(prepared > 5, "{prepared}");

    let nothing = || {
        sessions.open(Some(&cookie)).commit().unwrap();
        sessions.open(None).commit().unwrap();
        sessions.open(Some("forged")).commit().unwrap();
    };
    assert_eq!(proxy.count(nothing), (0, 0));
    assert_eq!(proxy.count(|| drop(begin(&sessions))), (1, 0));
    assert_eq!(proxy.count(|| read(&cookie)), (1, 0), "load");
    assert_eq!(proxy.count(|| write(&cookie)), (2, 0), "load and commit");
    // A use is recorded at most once per interval.
    clock.advance(5 * MINUTE);
    assert_eq!(proxy.count(|| read(&cookie)), (2, 0), "load and touch");
    assert_eq!(proxy.count(|| read(&cookie)), (1, 0));
    let login = || {
        let session = sessions.open(Some(&cookie));
        session.login("u1").unwrap();
        cookie = commit(&session);
    };
    assert_eq!(
        proxy.count(login),
        (2, 0),
        "load, and move with the user's index"
    );
    clock.advance(5 * MINUTE);
    assert_eq!(proxy.count(|| read(&cookie)), (2, 0));
    // Of two that meet, the second learns what is there, and tries once more.
    let (one, two) = (sessions.open(Some(&cookie)), sessions.open(Some(&cookie)));
    one.set("one", 1).unwrap();
    two.set("two", 2).unwrap();
    one.get("a").unwrap();
    two.get("a").unwrap();
    one.commit().unwrap();
    let merge = || assert_eq!(two.commit().unwrap().status(), Status::Changed);
    assert_eq!(proxy.count(merge), (3, 0));
    assert_eq!(
        proxy.count(|| drop(sessions.user_sessions("u1").unwrap())),
        (3, 0)
    );
    assert_eq!(proxy.count(|| sessions.store().ping().unwrap()), (1, 0));
    assert_eq!(proxy.count(|| _ = sessions.sweep(10).unwrap()), (1, 0));
    let logout = || sessions.open(Some(&cookie)).logout().unwrap();
    assert_eq!(proxy.count(logout), (2, 0));
}

#[test]
fn a_change_whose_answer_is_lost_is_made_once() {
    let Some(server) = PostgresServer::start(&[]) else {
        return;
    };
    let proxy = Proxy::start(&server, || {});
    let store = store_at(&proxy.url());
    let now = SystemClock.now();
    let (old, new, before) = (key(1), key(2), record(None, now));
    let cut = |swap: Swap<'_>, key: &StoreKey| {
        store.ping().unwrap();
        proxy.cut(1);
        assert_eq!(
            store.swap(key, swap, now).unwrap(),
            Swapped::Done,
            "{swap:?}"
        );
        assert!(proxy.is_cut());
    };
    cut(Swap::Create(&before), &old);
    let before = found(&store, &old, now);
    let after = changed(&before, &change().increment("n", 1), now);
    let (swap, second) = (
        Swap::Replace {
            before: &before,
            after: &after,
        },
        after.clone(),
    );
    cut(swap, &old);
    assert_eq!(found(&store, &old, now), second);
    assert_eq!(second.get("n").unwrap(), Some(1.into()));
    let renew = change().renew(new);
    let after = changed(&second, &renew, now);
    let forward = Forward::new(new, &renew, now);
    cut(
        Swap::Move {
            before: &second,
            after: &after,
            forward,
        },
        &old,
    );
    assert_eq!(store.load(&old, now).unwrap(), Loaded::Moved(forward));
    cut(Swap::Remove(&after), &new);
    assert_eq!(store.load(&new, now).unwrap(), Loaded::Absent);
    // A read is read again.
    proxy.cut(1);
    assert_eq!(store.load(&new, now).unwrap(), Loaded::Absent);
}

#[test]
fn a_change_that_can_not_be_judged_is_not_known_to_be_stored() {
    let Some(server) = PostgresServer::start(&[]) else {
        return;
    };
    let now = SystemClock.now();
    let (key, before) = (key(1), record(None, now));
    let rival = changed(&before, &change().set("rival", &1.into()), now);
    // Another process is quicker than the second attempt.
    let (other, stored) = (store(&server), rival.clone());
    let proxy = Proxy::start(&server, move || {
        if let Loaded::Found(current) = other.load(&key, now).unwrap() {
            let swap = Swap::Replace {
                before: &current,
                after: &stored,
            };
            assert_eq!(other.swap(&key, swap, now).unwrap(), Swapped::Done);
        }
    });
    let store = store_at(&proxy.url());
    store.swap(&key, Swap::Create(&before), now).unwrap();
    let after = changed(&before, &change().set("a", &2.into()), now);
    proxy.cut(1);
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
    assert_eq!(found(&store, &key, now), rival, "nothing was done twice");

    // Nor is one whose second answer is lost too: of the statement, and of the settings after connecting.
    let after = changed(&rival, &change().set("a", &3.into()), now);
    proxy.cut(usize::MAX);
    let swap = Swap::Replace {
        before: &rival,
        after: &after,
    };
    let error = store.swap(&key, swap, now).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unconfirmed);
    let error = store.load(&key, now).unwrap_err();
    assert_eq!(error.to_string(), "the session store can't be reached");
}

#[test]
fn what_has_ended_is_neither_read_nor_replaced() {
    let Some(server) = PostgresServer::start(&[]) else {
        return;
    };
    let (store, now) = (store(&server), SystemClock.now());
    let (key, before) = (key(1), record(None, now));
    store.swap(&key, Swap::Create(&before), now).unwrap();
    let end = before.deadline();
    let after = changed(&before, &change().set("b", &1.into()), end);
    let replace = Swap::Replace {
        before: &before,
        after: &after,
    };
    for swap in [replace, Swap::Remove(&before), Swap::RemoveUnreadable] {
        assert_eq!(store.swap(&key, swap, end).unwrap(), Swapped::Gone);
    }
    assert_eq!(store.load(&key, end).unwrap(), Loaded::Absent);
    assert_eq!(found(&store, &key, at(end.as_millis() - 1)), before);
    // A touch that the caller does not know of has extended it.
    let touch = before
        .touch_due(&Lifetime::new(DAY), now + DAY / 2)
        .unwrap();
    store.touch(&key, &touch).unwrap();
    assert_eq!(store.swap(&key, replace, end).unwrap(), Swapped::Done);
}

#[test]
fn a_touch_does_what_a_record_says() {
    let Some(server) = PostgresServer::start(&[]) else {
        return;
    };
    let store = store(&server);
    let now = 1_800_000_000_000;
    let minutes = [-50_i64, -6, -5, 0, 5, 6, 50].map(|minutes| minutes * 60_000);
    let clean = record(Some("u1"), at(0));
    let lifetime = Lifetime::new(DAY).absolute(Some(3 * DAY));
    let touch = clean.touch_due(&lifetime, at(now as u64)).unwrap();
    let mut keys = (0..=u16::MAX).map(|number| {
        let mut key = [0; 32];
        key[..2].copy_from_slice(&number.to_be_bytes());
        StoreKey::from_bytes(key)
    });
    for created in minutes {
        for used in minutes {
            for edge in [-1, 0, 1] {
                let (created, used) = (now + created + edge, now + used + edge);
                // A record with these times, by way of its stored form.
                let mut stored = record(Some("u1"), at(now as u64)).to_bytes();
                stored[9..15].copy_from_slice(&(used as u64).to_le_bytes()[..6]);
                stored[15..21].copy_from_slice(&(created as u64).to_le_bytes()[..6]);
                for deadline in [now, now + 1, now + 1_000_000] {
                    stored[21..27].copy_from_slice(&(deadline as u64).to_le_bytes()[..6]);
                    let mut expected = Record::from_bytes(&stored).unwrap();
                    let key = keys.next().unwrap();
                    store.swap(&key, Swap::Create(&expected), at(0)).unwrap();
                    store.touch(&key, &touch).unwrap();
                    if deadline > now {
                        expected.touch(&touch);
                    }
                    let found = match store.load(&key, at(0)).unwrap() {
                        Loaded::Found(record) => Some(Record::clone(&record)),
                        _ => None,
                    };
                    let ended = touch.deadline == at(0) && found.is_none();
                    assert!(
                        ended || found == Some(expected),
                        "{created} {used} {deadline}"
                    );
                }
            }
        }
    }
    // It creates nothing.
    let absent = keys.next().unwrap();
    store.touch(&absent, &touch).unwrap();
    assert_eq!(store.load(&absent, at(0)).unwrap(), Loaded::Absent);
}

/// By a replacement and by a move.
#[test]
fn a_touch_between_load_and_commit_is_kept() {
    let Some(server) = PostgresServer::start(&[]) else {
        return;
    };
    let (store, now) = (store(&server), SystemClock.now());
    for (number, renewed) in [(1, false), (2, true)] {
        for (later, is_kept) in [(MINUTE * 5, true), (MINUTE * 6, false)] {
            let number = number * 10 + later.as_secs() as u8;
            let (old, new, before) = (key(number), key(number + 100), record(Some("u1"), now));
            store.swap(&old, Swap::Create(&before), now).unwrap();
            // Prepared at once, stored after another request's touch.
            let renew = change().renew(new);
            let after = changed(&before, &renew, now);
            let touch = before.touch_due(&Lifetime::new(DAY), now + later).unwrap();
            store.touch(&old, &touch).unwrap();
            let (swap, to) = match renewed {
                false => (
                    Swap::Replace {
                        before: &before,
                        after: &after,
                    },
                    old,
                ),
                true => {
                    let forward = Forward::new(new, &renew, now);
                    (
                        Swap::Move {
                            before: &before,
                            after: &after,
                            forward,
                        },
                        new,
                    )
                }
            };
            let mut touched = before.clone();
            touched.touch(&touch);
            let expected = after.with_later_use(&touched, now);
            assert_eq!(expected.last_used() == now + later, is_kept);
            assert_eq!(store.swap(&old, swap, now).unwrap(), Swapped::Done);
            assert_eq!(found(&store, &to, now), expected);
        }
    }
}

#[test]
fn the_table_is_made_once_and_known_by_its_version() {
    let Some(server) = PostgresServer::start(&[]) else {
        return;
    };
    let builder = || PostgresStore::builder(&server.url()).timeout(Duration::from_secs(60));
    let store = builder().build().unwrap();
    let error = store.ping().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error.to_string().contains("call `PostgresStore::migrate`"),
        "{error}"
    );
    // By several processes at once.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| builder().build().unwrap().migrate().unwrap());
        }
    });
    store.ping().unwrap();
    // As the documentation says.
    server.sql("drop table liquid_session");
    server.sql(include_str!("../../src/store/postgres/schema.sql"));
    store.migrate().unwrap();
    let sessions = Sessions::new(store, SessionConfig::default());
    let cookie = begin(&sessions);
    // A name in a schema, and one that is a word of SQL.
    server.sql("create schema shop");
    for name in ["shop.sessions", "user"] {
        let other = builder().table(name).build().unwrap();
        other.migrate().unwrap();
        let other = Sessions::new(other, SessionConfig::default());
        assert_eq!(other.open(Some(&cookie)).get("a").unwrap(), None);
        begin(&other);
    }
    server.sql("comment on table liquid_session is 'liquid-session schema 2'");
    let newer = builder().build().unwrap();
    for error in [newer.ping().unwrap_err(), newer.migrate().unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("another schema"), "{error}");
    }
    server.sql("drop table liquid_session; create table liquid_session (a int)");
    let error = newer.ping().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("other columns"), "{error}");
}

/// The statement of the documentation.
const RIGHTS: &str = "grant select, insert, update, delete on liquid_session to shop;";

#[test]
fn the_listed_rights_are_enough_and_needed() {
    let Some(server) = PostgresServer::start(&[]) else {
        return;
    };
    let documented = include_str!("../../src/store/postgres.rs");
    assert!(documented.contains(RIGHTS));
    drop(store(&server));
    // The password is checked for this role only.
    let rules = "host all shop 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n";
    std::fs::write(server.data().join("pg_hba.conf"), rules).unwrap();
    server.sql("create role shop login password 'p@ss/wörd: '; select pg_reload_conf()");
    server.sql(RIGHTS);
    let url = |password: &str| {
        format!(
            "postgres://shop:{password}@127.0.0.1:{}/postgres",
            server.port()
        )
    };
    let password = "p%40ss%2Fw%C3%B6rd%3A%20";
    let use_all = || -> Result<(), Error> {
        let sessions = Sessions::new(store_at(&url(password)), SessionConfig::default());
        let session = sessions.open(None);
        session.login("u1")?;
        let cookie = session.commit()?.secret().unwrap().expose();
        let session = sessions.open(Some(&cookie));
        session.renew()?;
        let cookie = session.commit()?.secret().unwrap().expose();
        sessions.open(Some(&cookie)).get("a")?;
        sessions.user_sessions("u1")?;
        sessions.store().scan(SystemClock.now(), &mut |_, _| true)?;
        sessions.sweep(10)?;
        sessions.open(Some(&cookie)).logout()?;
        sessions.store().ping()
    };
    use_all().unwrap();
    for right in ["select", "insert", "update", "delete"] {
        server.sql(&format!("revoke {right} on liquid_session from shop"));
        let error = use_all().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{right}: {error:?}");
        assert!(error.to_string().contains("forbids its user"), "{error}");
        server.sql(RIGHTS);
    }
    let store = PostgresStore::open(&url("wrong")).unwrap();
    let error = store.ping().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error.to_string().contains("the user, the password"),
        "{error}"
    );
    let nowhere = format!("postgres://postgres@127.0.0.1:{}/nowhere", server.port());
    let store = PostgresStore::open(&nowhere).unwrap();
    let error = store.ping().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("no database"), "{error}");
}

#[test]
fn nothing_shows_the_address_or_the_password() {
    let builder = PostgresStore::builder("postgres://ann:hunter2@10.1.2.3:5433/shop");
    let mut shown = format!("{builder:?}");
    shown += &format!("{:?}", builder.build().unwrap());
    for url in [
        "postgres://ann:hunter2@10.1.2.3:port/shop",
        "postgres://ann:hunter2@10.1.2.3/shop?hunter2=10.1.2.3",
        "postgres://ann:hunter2@10.1.2.3:1,10.1.2.3:2,10.1.2.3/shop?hostaddr=10.1.2.3",
        "host=10.1.2.3 password=hunter2 user=ann sslmode=hunter2",
        "postgres:///shop?password=hunter2",
    ] {
        let error = PostgresStore::open(url).expect_err(url);
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
        shown += &format!("{error} {error:?}");
    }
    for secret in ["hunter2", "ann", "10.1.2.3", "shop"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// The first accepts connections and says nothing; nobody listens on the second.
#[test]
fn an_address_that_does_not_answer_costs_a_timeout_once() {
    let Some(server) = PostgresServer::start(&[]) else {
        return;
    };
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let away = TcpListener::bind("127.0.0.1:0").unwrap();
    let ports = [&silent, &away].map(|listener| listener.local_addr().unwrap().port());
    drop(away);
    let url = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{},127.0.0.1:{}/postgres",
        ports[0],
        ports[1],
        server.port()
    );
    let timeout = Duration::from_secs(3);
    let store = PostgresStore::builder(&url)
        .timeout(timeout)
        .build()
        .unwrap();
    let took = |call: &dyn Fn()| {
        let begun = Instant::now();
        call();
        begun.elapsed()
    };
    assert!(took(&|| store.migrate().unwrap()) >= timeout);
    let sessions = Sessions::new(store, SessionConfig::default());
    begin(&sessions);
    let terminated = server.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'liquid-session'",
    );
    assert!(!terminated.is_empty());
    // The address that was reached last is tried first.
    assert!(took(&|| drop(begin(&sessions))) < timeout);
}

/// On a thread without a runtime, in a runtime with one thread, and in none of tokio.
#[test]
fn calls_work_from_any_thread() {
    let Some(server) = PostgresServer::start(&[]) else {
        return;
    };
    let store = store(&server);
    let (now, before) = (SystemClock.now(), record(None, SystemClock.now()));
    let face = store.as_async().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        face.swap(&key(1), Swap::Create(&before), now)
            .await
            .unwrap();
        // The synchronous face blocks this thread, and needs nothing of the runtime.
        assert_eq!(found(&store, &key(1), now), before);
    });
    // The runtime that made the connection has ended: another one takes it.
    drop(runtime);
    let Loaded::Found(loaded) = block_on(face.load(&key(1), now)).unwrap() else {
        panic!("it is there");
    };
    assert_eq!(*loaded, before);
}

/// Waits for a future without a runtime.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return result;
        }
        std::thread::park();
    }
}

/// A visitor who goes away while the store works harms nobody.
#[test]
fn a_dropped_future_leaves_the_connection_in_order() {
    let Some(server) = PostgresServer::start(&[]) else {
        return;
    };
    let store = PostgresStore::builder(&server.url())
        .connections(1)
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap();
    store.migrate().unwrap();
    let now = SystemClock.now();
    let records: Vec<_> = (0..40).map(|_| record(None, now)).collect();
    let face = store.as_async().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut done = 0;
    for (number, record) in records.iter().enumerate() {
        let key = key(number as u8);
        let time = Duration::from_micros(number as u64 * 50);
        let swap =
            async { tokio::time::timeout(time, face.swap(&key, Swap::Create(record), now)).await };
        let finished = runtime.block_on(swap).is_ok();
        // Each answer is that to its own question.
        match store.load(&key, now).unwrap() {
            Loaded::Found(found) => assert_eq!(&*found, record),
            other => assert!(!finished, "{other:?}"),
        }
        done += usize::from(finished);
    }
    assert!(done < records.len(), "none was dropped");
}

#[test]
fn damage_is_an_error_and_goes_when_told() {
    let Some(server) = PostgresServer::start(&[]) else {
        return;
    };
    let (store, now) = (store(&server), SystemClock.now());
    let (key, record) = (key(1), record(None, now));
    for damage in [
        "record = ''",
        "record = '\\x01'",
        "record = null, forward_to = '\\x01', by_login = true",
        "version = version + 1",
    ] {
        store.swap(&key, Swap::Create(&record), now).unwrap();
        server.sql(&format!("update liquid_session set {damage}"));
        let error = store.load(&key, now).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{damage}");
        let swap = Swap::RemoveUnreadable;
        assert_eq!(
            store.swap(&key, swap, now).unwrap(),
            Swapped::Done,
            "{damage}"
        );
        assert_eq!(store.load(&key, now).unwrap(), Loaded::Absent);
    }
    // An empty record, which has no form, is swept too.
    store.swap(&key, Swap::Create(&record), now).unwrap();
    server.sql("update liquid_session set record = ''");
    assert_eq!(store.sweep(record.deadline(), 10).unwrap(), 1);
}

/// Another process holds some of them, and is not waited for.
#[test]
fn a_sweep_skips_what_is_locked() {
    let Some(server) = PostgresServer::start(&[]) else {
        return;
    };
    let (store, now) = (store(&server), SystemClock.now());
    let record = record(None, now);
    for number in 0..10 {
        store
            .swap(&key(number), Swap::Create(&record), now)
            .unwrap();
    }
    let mut others = Others::new();
    assert!(others.connect(&server));
    others.run("begin; select 1 from liquid_session limit 4 for update");
    assert_eq!(store.sweep(record.deadline(), 100).unwrap(), 6);
    others.run("commit");
    assert_eq!(store.sweep(record.deadline(), 100).unwrap(), 4);
}

/// What was used since it was last looked at is looked at again when it ends.
#[test]
fn a_sweep_gets_past_many_that_are_alive() {
    let Some(server) = PostgresServer::start(&[]) else {
        return;
    };
    let (store, now) = (store(&server), SystemClock.now());
    let record = record(None, now);
    store.swap(&key(1), Swap::Create(&record), now).unwrap();
    // Sessions that were touched, and a newer form, which stays.
    let copies = "insert into liquid_session (store_key, id, version, used, created, deadline, sweep_at, record)
         select sha256(n::text::bytea), id, version, used, created";
    let from = "from liquid_session, generate_series(1, 2500) n";
    server.sql(&format!(
        "{copies}, deadline + 60000, deadline - n, record {from}"
    ));
    server.sql("insert into liquid_session select '\\x00', id, user_name, version, used, created, deadline, 0, '\\x02ff' from liquid_session limit 1");
    let end = record.deadline();
    assert_eq!(store.sweep(end, 10).unwrap(), 1);
    let due = format!(
        "select count(*) from liquid_session where sweep_at <= {}",
        end.as_millis()
    );
    assert_eq!(server.value(&due), "0");
    assert_eq!(store.sweep(end + MINUTE, 100).unwrap(), 100);
    assert_eq!(store.sweep(end + MINUTE, 10_000).unwrap(), 2_400);
    assert_eq!(server.value("select count(*) from liquid_session"), "1");
}

/// More than any page.
#[test]
fn a_scan_visits_each_session_once() {
    let Some(server) = PostgresServer::start(&[]) else {
        return;
    };
    let (store, now) = (store(&server), SystemClock.now());
    store
        .swap(&key(1), Swap::Create(&record(None, now)), now)
        .unwrap();
    server.sql(
        "insert into liquid_session (store_key, id, version, used, created, deadline, sweep_at, record)
         select sha256(n::text::bytea), id, version, used, created, deadline, sweep_at, record
         from liquid_session, generate_series(1, 1000) n",
    );
    let mut keys = std::collections::HashSet::new();
    let visit = &mut |key: &StoreKey, _: &Record| keys.insert(*key);
    store.scan(now, visit).unwrap();
    assert_eq!(keys.len(), 1_001);
    let mut visited = 0;
    let visit = &mut |_: &StoreKey, _: &Record| {
        visited += 1;
        // The store may be used meanwhile.
        store.ping().unwrap();
        visited < 300
    };
    store.scan(now, visit).unwrap();
    assert_eq!(visited, 300);
}

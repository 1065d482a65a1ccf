//! Who drives the connections of the store on Redis: the runtimes of its callers, or its own thread.

use std::future::poll_fn;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{change, changed, key, record, store};
use crate::redis_server::{RedisServer, until};
use liquid_session::ErrorKind;
use liquid_session::clock::{Clock as _, SystemClock};
use liquid_session::store::{
    AsyncStore, Loaded, Record, RedisStore, SessionStore, StoreKey, Swap, Swapped,
};

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn face(store: &RedisStore) -> &dyn AsyncStore {
    store.as_async().unwrap()
}

/// Stores a record under a key, and returns it.
fn begin(store: &RedisStore, key: &StoreKey) -> Arc<Record> {
    let now = SystemClock.now();
    let record = record(None, now);
    let swap = Swap::Create(&record);
    assert_eq!(store.swap(key, swap, now).unwrap(), Swapped::Done);
    Arc::new(record)
}

async fn load(store: &RedisStore, key: &StoreKey) -> Loaded {
    face(store).load(key, SystemClock.now()).await.unwrap()
}

/// Adds to a number, against all that others add.
async fn count(store: &RedisStore, key: &StoreKey) {
    let now = SystemClock.now();
    loop {
        let Loaded::Found(before) = load(store, key).await else {
            panic!("it is there");
        };
        let after = changed(&before, &change().increment("n", 1), now);
        let swap = Swap::Replace {
            before: &before,
            after: &after,
        };
        if face(store).swap(key, swap, now).await.unwrap() == Swapped::Done {
            break;
        }
    }
}

fn counted(store: &RedisStore, key: &StoreKey) -> i64 {
    let Loaded::Found(record) = store.load(key, SystemClock.now()).unwrap() else {
        panic!("it is there");
    };
    record.get("n").unwrap().unwrap().as_i64().unwrap()
}

/// How many connections the server has beside the one that asks.
fn connections(server: &RedisServer) -> usize {
    let list: String = server.ask(&["CLIENT", "LIST", "TYPE", "normal"]);
    list.lines().count() - 1
}

#[test]
fn each_runtime_has_a_connection_for_all_its_callers() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let (store, key) = (store(&server), key(1, 1));
    let threads = Runtime::new().unwrap();
    let many = |store: RedisStore| async move {
        let mut tasks = JoinSet::new();
        for _ in 0..50 {
            let store = store.clone();
            tasks.spawn(async move { count(&store, &key).await });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    };
    begin(&store, &key);
    until("only the thread of the store", || connections(&server) == 1);
    std::thread::scope(|scope| {
        scope.spawn(|| threads.block_on(many(store.clone())));
        let single = current_thread();
        single.block_on(many(store.clone()));
        assert_eq!(connections(&server), 3);
    });
    assert_eq!(counted(&store, &key), 100);
    // That of a runtime goes with it.
    until("the runtime's connection ends", || {
        connections(&server) == 2
    });
    drop(store);
    drop(threads);
    until("all connections end", || connections(&server) == 0);
}

#[test]
fn a_runtime_that_ended_takes_nothing_from_the_next() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let (store, key) = (store(&server), key(1, 1));
    begin(&store, &key);
    for _ in 0..5 {
        current_thread().block_on(count(&store, &key));
        Runtime::new().unwrap().block_on(count(&store, &key));
    }
    assert_eq!(counted(&store, &key), 10);
    assert_eq!(connections(&server), 1);
}

#[test]
fn a_runtime_that_ends_amid_a_command_loses_no_change() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let (store, key, now) = (store(&server), key(1, 1), SystemClock.now());
    let before = begin(&store, &key);
    let after = changed(&before, &change().increment("n", 1), now);
    let swap = Swap::Replace {
        before: &before,
        after: &after,
    };
    let (first, second) = (current_thread(), current_thread());
    first.block_on(load(&store, &key));
    let mut future = {
        let _context = first.enter();
        face(&store).swap(&key, swap, now)
    };
    server.signal("STOP");
    first.block_on(async {
        let sent = timeout(Duration::from_millis(50), &mut future).await;
        assert!(sent.is_err(), "the server is stopped");
    });
    drop(first);
    server.signal("CONT");
    assert_eq!(second.block_on(future).unwrap(), Swapped::Done);
    assert_eq!(counted(&store, &key), 1);
}

#[test]
fn synchronous_calls_work_on_every_thread() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let (store, key) = (store(&server), key(1, 1));
    begin(&store, &key);
    // More than a task may do before it yields.
    let calls = {
        let store = store.clone();
        move || {
            for _ in 0..200 {
                let now = SystemClock.now();
                let Loaded::Found(before) = store.load(&key, now).unwrap() else {
                    panic!("it is there");
                };
                let after = changed(&before, &change().increment("n", 1), now);
                let swap = Swap::Replace {
                    before: &before,
                    after: &after,
                };
                assert_eq!(store.swap(&key, swap, now).unwrap(), Swapped::Done);
            }
        }
    };
    for runtime in [current_thread(), Runtime::new().unwrap()] {
        runtime.block_on(async {
            calls();
            let calls = calls.clone();
            tokio::spawn(async move { calls() }).await.unwrap();
        });
        let blocking = runtime.spawn_blocking(calls.clone());
        runtime.block_on(blocking).unwrap();
    }
    calls();
    assert_eq!(counted(&store, &key), 7 * 200);
    assert_eq!(connections(&server), 1);
}

#[test]
fn the_async_face_works_without_a_runtime() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let (store, key) = (store(&server), key(1, 1));
    let before = begin(&store, &key);
    let (mut load, mut context) = (pin!(load(&store, &key)), Context::from_waker(Waker::noop()));
    let found = loop {
        match load.as_mut().poll(&mut context) {
            Poll::Ready(found) => break found,
            Poll::Pending => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    assert_eq!(found, Loaded::Found(before));
    assert_eq!(connections(&server), 1);
}

#[test]
fn a_dropped_future_leaves_the_connection_whole_and_nothing_half_done() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let (store, now) = (store(&server), SystemClock.now());
    let keys: Vec<_> = (0..100).map(|number| key(1, number)).collect();
    let before: Vec<_> = keys.iter().map(|key| begin(&store, key)).collect();
    let after: Vec<_> = before
        .iter()
        .map(|before| Arc::new(changed(before, &change().increment("n", 1), now)))
        .collect();
    current_thread().block_on(async {
        // The server knows the script from now on.
        let swap = Swap::Replace {
            before: &before[99],
            after: &after[99],
        };
        let swap = face(&store).swap(&keys[99], swap, now);
        assert_eq!(swap.await.unwrap(), Swapped::Done);
        for stop in [true, false] {
            if stop {
                load(&store, &keys[0]).await;
                server.signal("STOP");
            }
            for number in 0..100 {
                let swap = Swap::Replace {
                    before: &before[number],
                    after: &after[number],
                };
                let mut swap = face(&store).swap(&keys[number], swap, now);
                let mut load = face(&store).load(&keys[number], now);
                // Some are sent, some are not.
                for _ in 0..number % 4 {
                    poll_once(&mut swap).await;
                    poll_once(&mut load).await;
                    tokio::task::yield_now().await;
                }
            }
            server.signal("CONT");
        }
        let mut done = 0;
        for ((key, before), after) in keys.iter().zip(&before).zip(&after) {
            let Loaded::Found(found) = load(&store, key).await else {
                panic!("it is there");
            };
            assert!(found == *before || found == *after);
            done += usize::from(found == *after);
        }
        assert!((2..99).contains(&done), "{done}");
        assert_eq!(connections(&server), 2);
    });
}

/// Polls a future once, and drops what it is ready with.
async fn poll_once(future: &mut (impl Future + Unpin)) {
    poll_fn(|context| {
        let _ = pin!(&mut *future).poll(context);
        Poll::Ready(())
    })
    .await;
}

#[test]
fn a_call_that_is_not_polled_holds_no_other() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let (store, key) = (store(&server), key(1, 1));
    current_thread().block_on(async {
        let mut first = pin!(load(&store, &key));
        // It connects, and waits.
        poll_once(&mut first).await;
        let second = timeout(Duration::from_secs(30), load(&store, &key)).await;
        assert_eq!(second, Ok(Loaded::Absent));
        assert_eq!(first.await, Loaded::Absent);
        assert_eq!(connections(&server), 1);
    });
}

/// Passes bytes on, until it is told to be silent: connections that are open then stay so.
fn silent_proxy(server: &RedisServer) -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, to) = (listener.local_addr().unwrap().port(), server.port());
    let silent = Arc::new(AtomicBool::new(false));
    let told = silent.clone();
    let pass = |mut from: TcpStream, mut to: TcpStream, told: Option<Arc<AtomicBool>>| {
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                let is_told = |told: &Arc<AtomicBool>| told.load(Ordering::SeqCst);
                if !told.as_ref().is_some_and(is_told) {
                    to.write_all(&buffer[..length]).unwrap();
                }
            }
        });
    };
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(("127.0.0.1", to)).unwrap();
            pass(
                server.try_clone().unwrap(),
                client.try_clone().unwrap(),
                None,
            );
            // Those after it pass everything.
            let is_late = told.load(Ordering::SeqCst);
            pass(client, server, (!is_late).then(|| told.clone()));
        }
    });
    (port, silent)
}

#[test]
fn a_connection_that_fell_silent_is_replaced_after_one_timeout() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let (port, silent) = silent_proxy(&server);
    let store = RedisStore::builder(&format!("redis://127.0.0.1:{port}"))
        .timeout(Duration::from_millis(500))
        .build()
        .unwrap();
    let (key, now) = (key(1, 1), SystemClock.now());
    current_thread().block_on(async {
        load(&store, &key).await;
        silent.store(true, Ordering::SeqCst);
        let error = face(&store).load(&key, now).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(
            error.to_string(),
            "the session store did not answer in time"
        );
        load(&store, &key).await;
    });
}

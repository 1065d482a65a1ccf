#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::time::Duration;

use ::redis::IntoConnectionInfo as _;
use tokio::runtime::{Builder, Runtime};

use super::server::Server;
use super::*;
use crate::store::StoreKey;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn only_a_synchronous_call_starts_the_thread() {
    // No server listens here.
    let store = RedisStore::open("redis://127.0.0.1:1").unwrap();
    let (key, now) = (StoreKey::from_bytes([1; 32]), Timestamp::from_millis(0));
    runtime().block_on(async {
        let load = store.as_async().unwrap().load(&key, now);
        assert_eq!(load.await.unwrap_err().kind(), ErrorKind::Unavailable);
    });
    assert!(!store.0.driver.is_started());
    let error = store.load(&key, now).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(store.0.driver.is_started());
}

#[test]
fn the_connection_of_a_runtime_that_ended_is_forgotten() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let settings = (&*url).into_connection_info().unwrap();
    let server = Server::new(settings, None, Duration::from_secs(60));
    let connect = |runtime: &Runtime| {
        runtime.block_on(async {
            // The system connects it, and nothing answers.
            let ping = cmd("PING");
            let ping = tokio::time::timeout(Duration::from_millis(10), server.send(&ping, false));
            assert!(ping.await.is_err());
        });
    };
    let lasting = runtime();
    for _ in 0..5 {
        connect(&lasting);
        connect(&runtime());
        assert_eq!(server.lines(), 2);
    }
}

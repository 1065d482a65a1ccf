//! The store on Redis where there is more than one server: sentinels and a cluster.
#![allow(unused_must_use, reason = "most commits send no cookie")]

use std::time::Duration;

use crate::redis_server::RedisServer;
use liquid_session::store::RedisStore;
use liquid_session::{Error, ErrorKind, SessionConfig, Sessions};

fn begin(sessions: &Sessions) -> Result<String, Error> {
    let session = sessions.open(None);
    session.set("a", 1)?;
    Ok(session.commit()?.secret().unwrap().expose())
}

/// Waits for what other servers do in their own time.
fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..600 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{what}: not in a minute");
}

#[test]
fn it_follows_the_sentinels_to_another_master() {
    let Some(mut first) = RedisServer::start(&[]) else {
        return;
    };
    let port = first.port().to_string();
    let second = RedisServer::start(&["--replicaof", "127.0.0.1", &port]).unwrap();
    until("the replica follows", || {
        let info: String = second.ask(&["INFO", "replication"]);
        info.contains("master_link_status:up")
    });
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("sentinel.conf");
    let lines = format!(
        "sentinel monitor sessions 127.0.0.1 {port} 1\n\
         sentinel down-after-milliseconds sessions 500\n\
         sentinel failover-timeout sessions 5000\n"
    );
    std::fs::write(&settings, lines).unwrap();
    let sentinel = RedisServer::start_sentinel(&settings);
    let store = |service: &str| {
        let store = RedisStore::builder("redis://any")
            // The first is not there.
            .sentinels(["redis://127.0.0.1:1".to_owned(), sentinel.url()], service)
            .build()
            .unwrap();
        Sessions::new(store, SessionConfig::default())
    };
    let error = begin(&store("unknown")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);

    let sessions = store("sessions");
    let cookie = begin(&sessions).unwrap();
    until("the sentinel knows the replica", || {
        let found: Vec<redis::Value> = sentinel.ask(&["SENTINEL", "REPLICAS", "sessions"]);
        let here: i64 = second.ask(&["DBSIZE"]);
        found.len() == 1 && here > 0
    });
    first.kill();
    until("the store follows", || begin(&sessions).is_ok());
    assert_eq!(
        sessions.open(Some(&cookie)).get("a").unwrap(),
        Some(1.into())
    );
    let info: String = second.ask(&["INFO", "replication"]);
    assert!(info.contains("role:master"));
}

#[cfg(feature = "redis-cluster")]
mod cluster {
    use liquid_session::clock::Timestamp;
    use liquid_session::store::{Revoke, StoreKey};

    use super::*;

    /// Two nodes with half of the slots each.
    fn nodes() -> Option<[RedisServer; 2]> {
        let settings = ["--cluster-enabled", "yes"];
        let nodes = [
            RedisServer::start(&settings)?,
            RedisServer::start(&settings)?,
        ];
        let _: () = nodes[0].ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]);
        let _: () = nodes[1].ask(&["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"]);
        let port = nodes[1].port().to_string();
        let _: () = nodes[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &port]);
        for node in &nodes {
            until("the nodes meet", || {
                let info: String = node.ask(&["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:2")
            });
        }
        Some(nodes)
    }

    fn store(node: &RedisServer, prefix: &str) -> RedisStore {
        RedisStore::builder(&node.url())
            .cluster(Vec::<String>::new())
            .prefix(prefix)
            .build()
            .unwrap()
    }

    #[test]
    fn a_prefix_lives_on_one_node_and_every_call_works() {
        let Some(nodes) = nodes() else { return };
        let mut full = [0, 0];
        for prefix in ["a", "b", "c", "d"] {
            let sessions = Sessions::new(store(&nodes[0], prefix), SessionConfig::default());
            let cookie = begin(&sessions).unwrap();
            let session = sessions.open(Some(&cookie));
            session.increment("a", 1).unwrap();
            session.login("u1").unwrap();
            let cookie = session.commit().unwrap().secret().unwrap().expose();
            let session = sessions.open(Some(&cookie));
            session.renew().unwrap();
            let cookie = session.commit().unwrap().secret().unwrap().expose();
            assert_eq!(
                sessions.open(Some(&cookie)).get("a").unwrap(),
                Some(2.into())
            );
            assert_eq!(sessions.user_sessions("u1").unwrap().len(), 1);
            let mut met = 0;
            let count = &mut |_: &_, _: &_| {
                met += 1;
                true
            };
            sessions
                .store()
                .scan(Timestamp::from_millis(0), count)
                .unwrap();
            assert_eq!(met, 1);
            let before: [i64; 2] = [nodes[0].ask(&["DBSIZE"]), nodes[1].ask(&["DBSIZE"])];
            full = [full[0].max(before[0]), full[1].max(before[1])];
            assert!(before.contains(&0), "{before:?}");
            let lease = sessions
                .store()
                .lease(&StoreKey::from_bytes([1; 32]), Duration::from_secs(60))
                .unwrap();
            assert!(lease.is_some());
            drop(lease);
            assert_eq!(sessions.revoke("u1", Revoke::All).unwrap(), 1);
            begin(&sessions).unwrap();
            assert_eq!(sessions.store().sweep(Timestamp::MAX, 10).unwrap(), 1);
            let after: [i64; 2] = [nodes[0].ask(&["DBSIZE"]), nodes[1].ask(&["DBSIZE"])];
            assert_eq!(after, [0, 0]);
        }
        assert!(!full.contains(&0), "both nodes had their share");
    }

    #[test]
    fn a_node_that_does_not_answer_holds_no_caller() {
        let Some(nodes) = nodes() else { return };
        let store = RedisStore::builder(&nodes[0].url())
            .cluster([nodes[1].url()])
            .timeout(Duration::from_millis(500))
            .build()
            .unwrap();
        let sessions = Sessions::new(store, SessionConfig::default());
        until("the first call", || begin(&sessions).is_ok());
        for node in &nodes {
            node.signal("STOP");
        }
        let kinds = [begin(&sessions), begin(&sessions)].map(|result| result.unwrap_err().kind());
        for node in &nodes {
            node.signal("CONT");
        }
        assert_eq!(kinds, [ErrorKind::Unavailable; 2]);
        until("the store is back", || begin(&sessions).is_ok());
    }

    #[test]
    fn it_follows_its_slot_to_another_node() {
        let Some(nodes) = nodes() else { return };
        let sessions = Sessions::new(store(&nodes[0], "a"), SessionConfig::default());
        begin(&sessions).unwrap();
        let slot: i64 = nodes[0].ask(&["CLUSTER", "KEYSLOT", "{a}:d:"]);
        let slot = slot.to_string();
        for node in &nodes {
            let _: () = node.ask(&["FLUSHALL"]);
        }
        // To wherever it is not.
        let size = |node: &RedisServer| node.ask::<Vec<String>>(&["KEYS", "*"]).len();
        begin(&sessions).unwrap();
        let to = usize::from(size(&nodes[0]) > 0);
        for node in &nodes {
            let _: () = node.ask(&["FLUSHALL"]);
        }
        let id: String = nodes[to].ask(&["CLUSTER", "MYID"]);
        for node in [&nodes[to], &nodes[1 - to]] {
            let _: () = node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &id]);
        }
        // The command certainly did not run at the old place, so it is sent again.
        begin(&sessions).unwrap();
        assert!(size(&nodes[to]) > 0);
    }
}

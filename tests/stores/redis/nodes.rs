//! The store on Redis where there is more than one server: sentinels and a cluster.
#![allow(unused_must_use, reason = "most commits send no cookie")]

use std::time::Duration;

use crate::redis_server::{RedisServer, until};
use liquid_session::store::RedisStore;
use liquid_session::{Error, ErrorKind, SessionConfig, Sessions};

fn begin(sessions: &Sessions) -> Result<String, Error> {
    let session = sessions.open(None);
    session.set("a", 1)?;
    Ok(session.commit()?.secret().unwrap().expose())
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

mod cluster {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use crate::redis_server::{CLUSTER, say};
    use liquid_session::Status;
    use liquid_session::clock::{Clock as _, SystemClock};
    use liquid_session::store::Revoke;

    use super::*;

    fn nodes() -> Option<Vec<RedisServer>> {
        RedisServer::start_cluster()
    }

    fn store(node: &RedisServer) -> RedisStore {
        RedisStore::builder(&node.url())
            .cluster(Vec::<String>::new())
            .timeout(Duration::from_secs(60))
            .build()
            .unwrap()
    }

    fn sessions(node: &RedisServer) -> Sessions {
        Sessions::new(store(node), SessionConfig::default())
    }

    fn login(sessions: &Sessions, cookie: Option<&str>, user: &str) -> Result<String, Error> {
        let session = sessions.open(cookie);
        session.set("a", 1)?;
        session.login(user)?;
        Ok(session.commit()?.secret().unwrap().expose())
    }

    fn names(node: &RedisServer) -> Vec<Vec<u8>> {
        node.ask(&["KEYS", "liquid-session{*"])
    }

    fn slot(node: &RedisServer, name: &[u8]) -> u16 {
        let mut command = redis::cmd("CLUSTER");
        command.arg("KEYSLOT").arg(name);
        command.query(&mut node.connect()).unwrap()
    }

    /// Begins to move a slot.
    fn open_slot(from: &RedisServer, to: &RedisServer, slot: u16) {
        let (slot, ids) = (slot.to_string(), [from, to].map(id));
        let _: () = to.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &ids[0]]);
        let _: () = from.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &ids[1]]);
    }

    /// Moves the keys of a slot, and ends its move.
    fn close_slot(nodes: &[RedisServer], from: &RedisServer, to: &RedisServer, slot: u16) {
        let slot = slot.to_string();
        loop {
            let keys: Vec<Vec<u8>> = from.ask(&["CLUSTER", "GETKEYSINSLOT", &slot, "10"]);
            if keys.is_empty() {
                break;
            }
            let mut command = redis::cmd("MIGRATE");
            command
                .arg("127.0.0.1")
                .arg(to.port())
                .arg("")
                .arg(0)
                .arg(60_000);
            command
                .arg("KEYS")
                .arg(keys)
                .exec(&mut from.connect())
                .unwrap();
        }
        // The new master first; the others may know already.
        let id = id(to);
        let _: () = to.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &id]);
        for node in nodes {
            let _: () = node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &id]);
        }
    }

    struct Stop<'s>(&'s AtomicBool);

    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    fn id(node: &RedisServer) -> String {
        node.ask(&["CLUSTER", "MYID"])
    }

    #[test]
    fn sessions_spread_over_the_nodes_and_every_call_works() {
        let Some(nodes) = nodes() else { return };
        let sessions = sessions(&nodes[0]);
        for _ in 0..10_000 {
            begin(&sessions).unwrap();
        }
        let counts: Vec<_> = nodes.iter().map(|node| names(node).len()).collect();
        say(&format!("10000 sessions on three nodes: {counts:?}"));
        assert_eq!(counts.iter().sum::<usize>(), 10_000);
        for count in counts {
            assert!((2_667..=4_000).contains(&count), "{count}");
        }
        let mut met = 0;
        let count = &mut |_: &_, _: &_| {
            met += 1;
            true
        };
        sessions.store().scan(SystemClock.now(), count).unwrap();
        assert_eq!(met, 10_000);
        sessions.store().ping().unwrap();

        let mut cookies = Vec::new();
        for _ in 0..50 {
            let cookie = begin(&sessions).unwrap();
            let session = sessions.open(Some(&cookie));
            session.increment("n", 1).unwrap();
            session.login("u1").unwrap();
            let cookie = session.commit().unwrap().secret().unwrap().expose();
            let session = sessions.open(Some(&cookie));
            session.renew().unwrap();
            let cookie = session.commit().unwrap().secret().unwrap().expose();
            let session = sessions.open(Some(&cookie));
            assert_eq!(session.get("n").unwrap(), Some(1.into()));
            cookies.push(cookie);
        }
        assert_eq!(sessions.user_sessions("u1").unwrap().len(), 50);
        sessions.open(Some(&cookies[0])).logout().unwrap();
        assert_eq!(sessions.revoke("u1", Revoke::All).unwrap(), 49);
        assert_eq!(sessions.user_sessions("u1").unwrap(), []);
        for cookie in &cookies {
            assert_eq!(sessions.open(Some(cookie)).get("n").unwrap(), None);
        }
    }

    #[test]
    fn a_revocation_races_renewals_and_logins() {
        let Some(nodes) = nodes() else { return };
        let sessions = &sessions(&nodes[0]);
        let (mut renewed, mut survived) = (0, 0);
        for round in 0..1_000 {
            let user = format!("u{round}");
            let before: Vec<_> = (0..6)
                .map(|_| login(sessions, None, &user).unwrap())
                .collect();
            let visitors: Vec<_> = (0..2).map(|_| begin(sessions).unwrap()).collect();
            let renew = |cookies: &[String]| -> Vec<String> {
                let mut new: Vec<String> = Vec::new();
                for cookie in cookies {
                    let mut cookie = cookie.clone();
                    for _ in 0..2 {
                        let session = sessions.open(Some(&cookie));
                        session.renew().unwrap();
                        if let Some(secret) = session.commit().unwrap().secret() {
                            cookie = secret.expose();
                            new.push(cookie.clone());
                        }
                    }
                }
                new
            };
            let sign_in = |cookies: &[String]| -> Vec<String> {
                let sign_in = |cookie: &String| login(sessions, Some(cookie), &user).unwrap();
                cookies.iter().map(sign_in).collect()
            };
            let (old, new) = std::thread::scope(|scope| {
                let renewals: Vec<_> = before
                    .chunks(2)
                    .map(|cookies| scope.spawn(|| renew(cookies)))
                    .collect();
                let logins = scope.spawn(|| sign_in(&visitors));
                if round % 2 == 0 {
                    std::thread::sleep(Duration::from_micros(round * 3));
                }
                sessions.revoke(&user, Revoke::All).unwrap();
                let old: Vec<_> = renewals
                    .into_iter()
                    .flat_map(|r| r.join().unwrap())
                    .collect();
                (old, logins.join().unwrap())
            });
            renewed += old.len();
            for cookie in before.iter().chain(&old) {
                let session = sessions.open(Some(cookie));
                assert_eq!(
                    session.get("a").unwrap(),
                    None,
                    "round {round}: it survived"
                );
            }
            let list = sessions.user_sessions(&user).unwrap();
            let listed: BTreeSet<_> = list.into_iter().map(|info| info.id).collect();
            let alive = new
                .iter()
                .filter_map(|cookie| sessions.open(Some(cookie)).id().unwrap());
            let alive: BTreeSet<_> = alive.collect();
            assert_eq!(alive, listed, "round {round}");
            survived += alive.len();
            sessions.revoke(&user, Revoke::All).unwrap();
            assert_eq!(sessions.user_sessions(&user).unwrap(), []);
        }
        say(&format!(
            "1000 revocations: {renewed} renewals came between, {survived} later logins survived"
        ));
        assert!(renewed > 100);
    }

    #[test]
    fn slots_move_under_load_and_nothing_acknowledged_is_lost() {
        let Some(nodes) = nodes() else { return };
        let sessions = &sessions(&nodes[1]);
        let stop = AtomicBool::new(false);
        let moved = AtomicUsize::new(0);
        let failures = Mutex::new(BTreeMap::<String, usize>::new());
        let work = |number: usize| {
            let mut cookie = login(sessions, None, "u1").unwrap();
            let (mut acknowledged, mut unsure, mut begun) = (0, 0, Vec::new());
            for round in 0.. {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let session = sessions.open(Some(&cookie));
                let result = match round % 64 {
                    0 => session.renew().and_then(|()| session.commit()),
                    1 => begin(sessions).and_then(|cookie| {
                        begun.push(cookie);
                        session.commit()
                    }),
                    _ => session.increment("n", 1).and_then(|_| session.commit()),
                };
                match result {
                    Ok(outcome) => {
                        acknowledged +=
                            i64::from(round % 64 > 1 && outcome.status() == Status::Changed);
                        if let Some(secret) = outcome.secret() {
                            cookie = secret.expose();
                        }
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
                        unsure += i64::from(error.to_string().contains("not known"));
                        *failures
                            .lock()
                            .unwrap()
                            .entry(error.to_string())
                            .or_default() += 1;
                    }
                }
            }
            let found = sessions
                .open(Some(&cookie))
                .get_as::<i64>("n")
                .unwrap()
                .unwrap_or(0);
            assert!(
                (acknowledged..=acknowledged + unsure).contains(&found),
                "{number}: {acknowledged} acknowledged, {found} found, {unsure} unsure"
            );
            for cookie in &begun {
                assert_eq!(
                    sessions.open(Some(cookie)).get("a").unwrap(),
                    Some(1.into())
                );
            }
            (acknowledged, begun.len())
        };
        let work = &work;
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|number| scope.spawn(move || work(number)))
                .collect();
            // Also when a move panics: the threads must end.
            let guard = Stop(&stop);
            for round in 0..60 {
                // A slot in use, the user's index among them.
                let from = &nodes[round % 3];
                let to = &nodes[(round + 1) % 3];
                let mut found: Vec<Vec<u8>> = from.ask(&["KEYS", "*"]);
                found.sort_by_key(|name| !name.starts_with(b"liquid-session:u:"));
                let found = found.iter().take(1 + round % 3);
                // A session and its forward share one.
                for slot in found.map(|name| slot(from, name)).collect::<BTreeSet<_>>() {
                    open_slot(from, to, slot);
                    std::thread::sleep(Duration::from_millis(10));
                    close_slot(&nodes, from, to, slot);
                    moved.fetch_add(1, Ordering::SeqCst);
                }
            }
            drop(guard);
            let (mut acknowledged, mut begun) = (0, 0);
            for worker in workers {
                let (more, new) = worker.join().unwrap();
                acknowledged += more;
                begun += new;
            }
            say(&format!(
                "{} slots moved: {acknowledged} increments and {begun} new sessions acknowledged, none lost; {:?}",
                moved.load(Ordering::SeqCst),
                failures.lock().unwrap()
            ));
        });
        assert_eq!(sessions.user_sessions("u1").unwrap().len(), 4);
    }

    #[test]
    fn a_slot_that_moves_is_asked_for_on_both_nodes() {
        let Some(nodes) = nodes() else { return };
        let sessions = sessions(&nodes[0]);
        let cookie = begin(&sessions).unwrap();
        let from = nodes
            .iter()
            .position(|node| !names(node).is_empty())
            .unwrap();
        let (from, to) = (&nodes[from], &nodes[(from + 1) % 3]);
        let name = names(from).remove(0);
        let slot = slot(from, &name);
        let write = |cookie: &str| {
            let session = sessions.open(Some(cookie));
            session.increment("a", 1)?;
            session.commit().map(|outcome| outcome.status())
        };
        open_slot(from, to, slot);
        assert_eq!(
            write(&cookie).unwrap(),
            Status::Changed,
            "the key is still there"
        );
        // Its record and its forward would be on two nodes.
        let session = sessions.open(Some(&cookie));
        session.renew().unwrap();
        assert_eq!(session.commit().unwrap_err().kind(), ErrorKind::Unavailable);

        let mut command = redis::cmd("MIGRATE");
        command
            .arg("127.0.0.1")
            .arg(to.port())
            .arg(&name)
            .arg(0)
            .arg(60_000);
        command.exec(&mut from.connect()).unwrap();
        // That node does not know the script yet.
        assert_eq!(
            write(&cookie).unwrap(),
            Status::Changed,
            "the key has moved"
        );
        assert_eq!(write(&cookie).unwrap(), Status::Changed);
        close_slot(&nodes, from, to, slot);
        assert_eq!(
            write(&cookie).unwrap(),
            Status::Changed,
            "the slot has moved"
        );
        assert_eq!(
            sessions.open(Some(&cookie)).get("a").unwrap(),
            Some(5.into())
        );
        let session = sessions.open(Some(&cookie));
        session.renew().unwrap();
        session.commit().unwrap().secret().unwrap();
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
        // What was sent on a connection that was open, the node may do yet.
        let expected = [ErrorKind::Unconfirmed, ErrorKind::Unavailable];
        assert!(
            kinds.iter().all(|kind| expected.contains(kind)),
            "{kinds:?}"
        );
        until("the store is back", || begin(&sessions).is_ok());
    }

    #[test]
    fn a_replica_takes_over_from_its_master() {
        let Some(mut nodes) = nodes() else { return };
        nodes.push(RedisServer::start(&CLUSTER).unwrap());
        RedisServer::meet(&nodes);
        let master = id(&nodes[0]);
        until("the replica knows its master", || {
            let mut command = redis::cmd("CLUSTER");
            command.arg("REPLICATE").arg(&master);
            command.exec(&mut nodes[3].connect()).is_ok()
        });
        let sessions = sessions(&nodes[0]);
        let cookies: Vec<_> = (0..20).map(|_| begin(&sessions).unwrap()).collect();
        until("the replica follows", || {
            let info: String = nodes[3].ask(&["INFO", "replication"]);
            let [master, replica]: [i64; 2] = [&nodes[0], &nodes[3]].map(|n| n.ask(&["DBSIZE"]));
            info.contains("master_link_status:up") && master == replica
        });
        nodes[0].kill();
        until("the store follows", || {
            cookies.iter().all(|cookie| {
                let session = sessions.open(Some(cookie));
                session
                    .increment("a", 1)
                    .and_then(|_| session.commit())
                    .is_ok()
            })
        });
        for cookie in &cookies {
            assert!(sessions.open(Some(cookie)).get("a").unwrap().is_some());
        }
    }
}

//! The program on the servers of sessions: the right prefix and the right table, and scenarios.

use liquid_session::store::{PostgresStore, RedisStore, SessionStore};
use liquid_session::{SessionConfig, Sessions};
use serde_json::Value as Json;

use crate::postgres_server::PostgresServer;
use crate::redis_server::RedisServer;
use crate::{run, run_with};

/// Begins a session of nobody and one of a user, and reaches both through the program.
fn reaches(store: impl SessionStore + 'static, address: &str, place: [&str; 2]) {
    let sessions = Sessions::new(store, SessionConfig::default());
    for user in [None, Some("u1")] {
        let session = sessions.open(None);
        session.set("color", "dark").unwrap();
        if let Some(user) = user {
            session.login(user).unwrap();
        }
        let _cookie = session.commit().unwrap();
    }
    let on = |place: &[&str], task: &[&str]| {
        let store = ["sessions", "--json", "--store", address];
        let words = store.iter().chain(place).chain(task).copied();
        let said = run(words);
        assert!(said.status < 2, "{}", said.err);
        serde_json::from_str::<Json>(&said.out).unwrap()
    };
    let list = on(&place, &["list", "--anonymous"]);
    assert_eq!(list["all"], 1);
    let id = list["sessions"][0]["id"].as_str().unwrap();
    assert_eq!(on(&place, &["show", id])["data"]["color"], "dark");
    assert_eq!(on(&place, &["revoke", id])["revoked"], 1);
    assert_eq!(on(&place, &["revoke-user", "u1"])["revoked"], 1);
    assert_eq!(on(&place, &["stats"])["sessions"], 0);
}

const SCENARIO: &str = "fixtures/scenarios/flows/shopping_cart.yml";

#[test]
fn redis_with_a_prefix() {
    let Some(server) = RedisServer::start(&[]) else {
        return;
    };
    let store = RedisStore::builder(&server.url()).prefix("shop").build();
    reaches(store.unwrap(), &server.url(), ["--prefix", "shop"]);
    for _ in 0..2 {
        let url = ("REDIS_URL", server.url());
        let said = run_with(url, ["test", "--store", "redis", SCENARIO]);
        assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    }
}

#[test]
fn postgres_with_a_table() {
    let Some(server) = PostgresServer::start(&[]) else {
        return;
    };
    let store = PostgresStore::builder(&server.url()).table("shop").build();
    let store = store.unwrap();
    store.migrate().unwrap();
    reaches(store, &server.url(), ["--table", "shop"]);
    for _ in 0..2 {
        let url = ("POSTGRES_URL", server.url());
        let said = run_with(url, ["test", "--store", "postgres", SCENARIO]);
        assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    }
}

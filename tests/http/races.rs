//! A logout wins over everything that runs beside it, on every store.

use std::sync::Arc;

use axum::http::StatusCode;
use liquid_session::clock::{Clock as _, SystemClock};
use liquid_session::store::{MemoryStore, SessionStore};
use liquid_session::{SessionConfig, Sessions};
use tokio::sync::Barrier;

use crate::support::Browser;

const ROUNDS: usize = 1_000;

/// One test for each store.
macro_rules! on_each_store {
    ($($(#[$when:meta])* $name:ident: $store:expr,)+) => {
        $($(#[$when])* #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $name() {
            no_session_is_alive_after_a_logout(Arc::new($store)).await;
        })+
    };
}

on_each_store! {
    memory: MemoryStore::new(),
    awaited: crate::awaited_store::Awaited::new(),
    #[cfg(feature = "redb")]
    redb: {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap().keep();
        liquid_session::store::RedbStore::open(folder.join("sessions.redb")).unwrap()
    },
    #[cfg(feature = "postgres")]
    postgres: crate::postgres_store::Served::new(),
    #[cfg(feature = "redis")]
    redis: crate::redis_store::Served::new(),
}

/// How many sessions are alive.
fn alive(sessions: &Sessions) -> usize {
    let mut count = 0;
    let counted = sessions.store().scan(SystemClock.now(), &mut |_, _| {
        count += 1;
        true
    });
    counted.unwrap();
    count
}

async fn no_session_is_alive_after_a_logout(store: Arc<dyn SessionStore>) {
    let sessions = Sessions::new(store, SessionConfig::default());
    let mut overtaken = 0;
    for round in 0..ROUNDS {
        let mut browser = Browser::of(&sessions);
        browser.get("/set/cart/full").await;
        browser.get("/login/alice").await;
        // The requests meet at every distance, and one logout in three has not looked before.
        let (first, second) = (round % 5, round / 5 % 5);
        let leave = match round % 3 {
            0 => "/logout".to_owned(),
            _ => format!("/later/{first}/logout"),
        };
        let change = ["renew", "login", "renew_twice", "set"][round % 4];
        let paths = [leave, format!("/later/{second}/{change}")];
        let start = Arc::new(Barrier::new(paths.len()));
        let tasks = paths.map(|path| {
            let (mut browser, start) = (browser.clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                let answer = browser.get(&path).await;
                (answer.status, answer.set_cookie().is_some(), browser)
            })
        });
        let [left, changed] = tasks;
        let (status, removes_cookie, mut leaver) = left.await.unwrap();
        assert_eq!(status, StatusCode::SEE_OTHER, "the logout is acknowledged");
        assert!(removes_cookie);
        let (_, got_cookie, mut other) = changed.await.unwrap();
        overtaken += usize::from(got_cookie);
        let listed = sessions.user_sessions("alice").unwrap();
        let context = format!("round {round}: {:?}, {got_cookie}", [first, second]);
        // What did not arrive before the end may have begun a session of its own, without the data.
        for session in [&mut browser, &mut leaver, &mut other] {
            assert_eq!(session.get("/get/cart").await.body, "None", "{context}");
        }
        let anew = usize::from(got_cookie && other.secret.is_some());
        assert!(listed.len() <= anew, "{context}: {listed:?}");
        assert!(alive(&sessions) <= anew, "{context}");
        other.get("/logout").await;
        assert_eq!(alive(&sessions), 0, "{context}");
    }
    println!("{overtaken} of {ROUNDS} logouts met a new secret");
}

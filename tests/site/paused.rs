//! While the store does not answer, no page of the shop blocks a thread.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, COOKIE};
use axum::http::{Method, Request};
use axum::routing::get;
use liquid_session::Sessions;
use liquid_session::http::SessionLayer;
use liquid_session::store::SessionStore;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

use crate::app::Shop;
use crate::awaited_store::{Awaited, Moment};
use crate::shop::{sessions, site};

const PAGES: &[(&str, &str)] = &[
    ("/", ""),
    ("/cart", ""),
    ("/account", ""),
    ("/counter", ""),
    ("/preferences", "color=dark"),
    ("/products", ""),
    ("/wizard", ""),
    ("/search", ""),
    ("/no-such-page", ""),
    ("/cart/add", "product=boots"),
    ("/sign-in", "name=Ann"),
    ("/sign-out-elsewhere", "all=1"),
    ("/sign-out", "all=1"),
];

fn begin(sessions: &Sessions) -> String {
    let session = sessions.open(None);
    session.set("flash", "Welcome.").unwrap();
    session.login("Ann").unwrap();
    let secret = session.commit().unwrap().secret().unwrap().expose();
    format!("{}={secret}", sessions.config().cookie_name())
}

async fn visit(store: impl SessionStore, pause: impl FnOnce(), resume: impl FnOnce()) {
    let sessions = sessions(store);
    let shop = Shop::open(&site(), sessions.clone()).unwrap();
    let app = shop
        .routes()
        .layer(SessionLayer::new(sessions.clone()))
        .route("/static.css", get(async || "body {}"));
    let cookies: Vec<_> = PAGES.iter().map(|_| begin(&sessions)).collect();
    pause();
    let answers = PAGES.iter().zip(cookies).map(|((path, form), cookie)| {
        let method = match form {
            &"" => Method::GET,
            _ => Method::POST,
        };
        let request = Request::builder()
            .method(method)
            .uri(*path)
            .header(COOKIE, cookie)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = request.body(Body::from(*form)).unwrap();
        (path, tokio::spawn(app.clone().oneshot(request)))
    });
    let answers: Vec<_> = answers.collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let file = Request::get("/static.css").body(Body::empty()).unwrap();
    // Answered by the worker thread.
    let file = tokio::spawn(app.oneshot(file)).await.unwrap();
    assert_eq!(file.unwrap().status(), 200);
    let waiting = answers.iter().filter(|(_, answer)| !answer.is_finished());
    assert!(waiting.count() > PAGES.len() / 2);
    assert_eq!(sessions.counters().blocking_calls, 0);
    resume();
    for (path, answer) in answers {
        let status = answer.await.unwrap().unwrap().status();
        assert!(!status.is_server_error(), "{path}: {status}");
    }
    assert_eq!(sessions.counters().blocking_calls, 0);
}

fn one_worker() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn no_page_of_the_shop_blocks_the_only_worker_thread() {
    let runtime = one_worker();
    for moment in [Moment::Before, Moment::After] {
        let store = Awaited::new();
        let visited = async move {
            let (pausing, resuming) = (store.clone(), store.clone());
            visit(store, || pausing.pause_all(moment), || resuming.resume()).await;
        };
        runtime.block_on(runtime.spawn(visited)).unwrap();
    }
}

#[cfg(feature = "redis")]
#[test]
fn nor_does_one_while_redis_stands_still() {
    let Some(server) = crate::redis_server::RedisServer::start(&[]) else {
        return;
    };
    let store = liquid_session::store::RedisStore::builder(&server.url())
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap();
    let visited = async move {
        visit(store, || server.signal("STOP"), || server.signal("CONT")).await;
    };
    let runtime = one_worker();
    runtime.block_on(runtime.spawn(visited)).unwrap();
}

//! What the layer does besides keeping visitors safe.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use liquid_session::http::SessionLayer;
use liquid_session::store::{MemoryStore, Revoke};
use liquid_session::{Error, ErrorKind, Session, SessionConfig, Sessions, Status};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::support::{Browser, Site, Watched};

/// Sends all of these at once, with one cookie.
async fn in_parallel(browser: &Browser, paths: impl Iterator<Item = String>) {
    let mut requests = JoinSet::new();
    for path in paths {
        let mut browser = browser.clone();
        requests.spawn(async move { browser.get(&path).await.status });
    }
    while let Some(status) = requests.join_next().await {
        assert_eq!(status.unwrap(), StatusCode::OK);
    }
}

async fn ask(app: Router) -> Response {
    app.oneshot(Request::new(Body::empty())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_parallel_requests_count_to_two_hundred() {
    for store in [
        Watched::new(),
        Watched::new().blocking(),
        Watched::new().awaited(),
    ] {
        let site = Site::with(store, SessionConfig::default());
        let mut browser = site.browser();
        browser.get("/set/a/1").await;
        in_parallel(&browser, (0..200).map(|_| "/counter".to_owned())).await;
        assert_eq!(browser.get("/get/n").await.body, "Some(Int(200))");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_parallel_requests_that_write_a_key_each_leave_fifty_keys() {
    for site in Site::each() {
        let mut browser = site.browser();
        browser.get("/set/key0/x").await;
        in_parallel(&browser, (0..50).map(|n| format!("/set/key{n}/x"))).await;
        assert_eq!(browser.get("/size").await.body, "50");
    }
}

#[tokio::test]
async fn a_store_that_blocks_is_waited_for_also_with_one_thread() {
    let site = Site::with(Watched::new().blocking(), SessionConfig::default());
    let mut browser = site.browser();
    for expected in ["1", "2", "3"] {
        assert_eq!(browser.get("/counter").await.body, expected);
    }
    browser.get("/set/a/b").await;
    assert_eq!(browser.get("/size").await.body, "2");
}

#[tokio::test]
async fn a_store_that_blocks_is_called_from_another_thread() {
    let site = Site::with(Watched::new().blocking(), SessionConfig::default());
    let here = std::thread::current().id();
    let session = site.sessions.open(None);
    let there = session
        .render_page(|_| Ok::<_, Error>(std::thread::current().id()))
        .await
        .unwrap();
    assert_ne!(here, there);

    let session = Site::new().sessions.open(None);
    let there = session
        .render_page(|_| Ok::<_, Error>(std::thread::current().id()))
        .await
        .unwrap();
    assert_eq!(here, there, "memory never waits");
}

#[test]
fn a_store_that_blocks_works_without_a_runtime_of_tokio() {
    let site = Site::with(Watched::new().blocking(), SessionConfig::default());
    let session = site.sessions.open(None);
    let page = session.render_page(|session| session.increment("n", 1));
    // Nothing in it waits, so it is ready at once.
    let mut page = std::pin::pin!(page);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(matches!(
        page.as_mut().poll(&mut cx),
        std::task::Poll::Ready(Ok(1))
    ));
}

#[tokio::test]
async fn a_panic_in_a_page_is_the_handler_s_wherever_it_ran() {
    for store in [
        Watched::new(),
        Watched::new().blocking(),
        Watched::new().awaited(),
    ] {
        let session = Site::with(store, SessionConfig::default())
            .sessions
            .open(None);
        let page = tokio::spawn(async move {
            let _ = session
                .render_page(|_| -> Result<(), Error> { panic!("a filter went wrong") })
                .await;
        });
        let payload = page.await.unwrap_err().into_panic();
        assert_eq!(payload.downcast_ref(), Some(&"a filter went wrong"));
    }
}

#[tokio::test]
async fn the_cookie_of_a_commit_in_the_handler_goes_out() {
    for site in Site::each() {
        for path in ["/counter", "/transaction"] {
            let mut browser = site.browser();
            assert!(browser.get(path).await.set_cookie().is_some(), "{path}");
            assert!(browser.get(path).await.set_cookie().is_none(), "{path}");
            assert_eq!(browser.get(path).await.body, "3");
        }
        assert_eq!(site.store.records(), 2);
    }
}

#[tokio::test]
async fn the_cookie_of_a_page_that_was_committed_goes_out_whatever_comes_after() {
    for site in Site::each() {
        let mut browser = site.browser();
        let answer = browser.get("/broken/counter").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.set_cookie().is_some(), "the session exists");
        assert_eq!(browser.get("/get/n").await.body, "Some(Int(1))");
    }
}

#[tokio::test]
async fn no_cookie_goes_out_for_a_session_that_ended_before_the_response() {
    let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    let elsewhere = sessions.clone();
    let app = Router::new()
        .route(
            "/",
            get(async move |session: Session| {
                session.login("alice").unwrap();
                assert_eq!(session.commit().unwrap().status(), Status::Created);
                session.set("a", 1).unwrap();
                elsewhere.revoke("alice", Revoke::All).unwrap();
            }),
        )
        .layer(SessionLayer::new(sessions).assume_https());
    let response = ask(app).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(!response.headers().contains_key("set-cookie"));
}

#[tokio::test]
async fn a_page_is_shown_when_the_session_ended_while_it_rendered() {
    for site in Site::each() {
        let mut browser = site.browser();
        browser.get("/login/alice").await;
        let session = site.sessions.open(Some(browser.secret.as_ref().unwrap()));
        let sessions = site.sessions.clone();
        let page = session
            .render_page(move |session| {
                session.set("a", 1)?;
                sessions.revoke("alice", Revoke::All)?;
                Ok::<_, Error>("page")
            })
            .await;
        assert_eq!(page.unwrap(), "page");
        assert_eq!(site.store.records(), 0);
    }
}

#[tokio::test]
async fn an_answer_of_500_commits_nothing() {
    for site in Site::each() {
        let mut browser = site.browser();
        let answer = browser.get("/broken/set").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.set_cookie().is_none());
        assert_eq!(site.store.records(), 0);

        browser.get("/set/a/1").await;
        let before = browser.secret.clone();
        for what in ["set", "renew", "login", "render"] {
            let answer = browser.get(&format!("/broken/{what}")).await;
            assert!(answer.status.is_server_error());
            assert!(answer.set_cookie().is_none(), "{what}");
        }
        assert_eq!(browser.secret, before);
        assert_eq!(
            browser.get("/size").await.body,
            "1",
            "the old secret still works"
        );
        assert_eq!(browser.get("/user").await.body, "None");
        assert_eq!(browser.get("/get/broken").await.body, "None");
    }
}

#[tokio::test]
async fn an_answer_of_400_commits() {
    let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    let app = Router::new()
        .route(
            "/",
            get(async |session: Session| {
                session.set("attempts", 1).unwrap();
                StatusCode::UNPROCESSABLE_ENTITY
            }),
        )
        .layer(SessionLayer::new(sessions).assume_https());
    assert!(ask(app).await.headers().contains_key("set-cookie"));
}

#[tokio::test]
async fn a_change_over_the_limit_is_an_opaque_500() {
    for site in Site::each() {
        let mut one = site.browser();
        one.get("/set/a/1").await;
        let value = "x".repeat(3000);
        // Each fits by itself; together they do not, which shows at the commit of the second.
        let mut slow = one.clone();
        let path = format!("/slow/b/{value}");
        let slow = tokio::spawn(async move { slow.get(&path).await });
        site.loaded.notified().await;
        assert_eq!(
            one.get(&format!("/set/c/{value}")).await.status,
            StatusCode::OK
        );
        site.go_on.notify_one();
        let answer = slow.await.unwrap();
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.body, "");
        let error = answer.extensions.get::<Error>().unwrap();
        assert_eq!(error.kind(), ErrorKind::Limit);
        assert_eq!(one.get("/size").await.body, "2", "nothing of it was stored");
    }
}

#[tokio::test]
async fn a_handler_without_the_layer_says_what_is_missing() {
    let app: Router = Router::new().route("/", get(async |_: Session| "page"));
    let response = ask(app).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = axum::body::to_bytes(response.into_body(), 1000)
        .await
        .unwrap();
    assert!(String::from_utf8_lossy(&body).contains("add `SessionLayer` to the router"));
}

#[tokio::test]
async fn what_a_handler_s_clone_wrote_by_the_response_is_committed() {
    let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    let kept = Arc::new(parking_lot::Mutex::new(None));
    let keep = kept.clone();
    let app = Router::new()
        .route(
            "/",
            get(async move |session: Session| {
                session.set("a", 1).unwrap();
                *keep.lock() = Some(session);
            }),
        )
        .layer(SessionLayer::new(sessions.clone()).assume_https());
    let response = ask(app).await;
    let cookies = response.headers()["set-cookie"].clone();
    let pair = cookies
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(
        sessions.open_from_headers([&pair]).get("a").unwrap(),
        Some(1.into())
    );
    let session = kept.lock().take().unwrap();
    assert!(!session.has_changes());
}

#[tokio::test]
async fn sessions_that_are_switched_off_are_neither_opened_nor_committed() {
    let config = SessionConfig::builder().enabled(false).build().unwrap();
    let site = Site::with(Watched::new(), config);
    let mut browser = site.browser();
    let answer = browser.get("/set/a/1").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.body.contains("enabled: false"), "{}", answer.body);
    assert!(answer.headers.get("vary").is_none());
    assert_eq!(site.store.calls(), 0);
}

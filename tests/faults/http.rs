//! The layer where answers are dropped, cookies are several, and layers are nested.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{Request, Response};
use liquid_session::clock::ManualClock;
use liquid_session::http::SessionLayer;
use liquid_session::{Error, MemoryStore, Session, SessionConfig, Sessions};
use tower::{ServiceBuilder, ServiceExt as _, service_fn};

use crate::support::*;

#[tokio::test]
async fn a_cookie_that_the_settings_have_ended_counts_for_nothing_beside_a_live_one() {
    let clock = ManualClock::new();
    let store = Arc::new(MemoryStore::new());
    let loose = Sessions::new(store.clone(), SessionConfig::default()).with_clock(clock.clone());
    let config = SessionConfig::builder().timeout_minutes(15).path("/shop");
    let tight = Sessions::new(store, config.build().unwrap()).with_clock(clock.clone());
    let old = begin(&loose, None);
    clock.advance(Duration::from_secs(60 * 60));
    let live = begin(&tight, None);
    for cookies in [[&*old, &live], [&live, &old]] {
        let response = request(&tight, &cookies, |session, _| {
            assert_eq!(session.get("a").unwrap(), Some(1.into()));
        });
        assert!(set_cookies(&response.await).is_empty());
    }
}

#[tokio::test]
async fn two_cookies_that_open_sessions_are_removed_wherever_they_may_be() {
    let config = SessionConfig::builder()
        .path("/shop")
        .domain("example.com")
        .build();
    let (sessions, _) = site_with(config.unwrap());
    let (one, two) = (begin(&sessions, None), begin(&sessions, None));
    let renewed_since = renewed(&sessions, &two);
    // A secret that was renewed opens nothing, and counts for nothing.
    let response = request(&sessions, &[&two, &renewed_since], |session, _| {
        assert_eq!(session.get("a").unwrap(), Some(1.into()));
    });
    assert!(set_cookies(&response.await).is_empty());
    let response = request(&sessions, &[&one, &renewed_since], |session, _| {
        session.set("b", 2).unwrap();
    });
    let cookies = set_cookies(&response.await);
    assert_eq!(cookies.len(), 2);
    assert!(cookies[0].ends_with("Path=/; Max-Age=0"), "{}", cookies[0]);
    assert!(cookies[1].contains("Path=/shop") && !cookies[1].contains("Max-Age"));
    assert!(!is_alive(&sessions, &one) && !is_alive(&sessions, &renewed_since));
}

/// Writes into the session that a layer outside has opened.
fn mark(key: &'static str) -> impl Fn(Request<String>) -> Request<String> + Clone {
    move |request| {
        let session: &Session = request.extensions().get().unwrap();
        session.set(key, 1).unwrap();
        request
    }
}

#[tokio::test]
async fn nested_layers_of_one_application_share_the_session() {
    let (sessions, _) = site();
    let layer = SessionLayer::new(sessions.clone()).assume_https();
    let other = SessionConfig::builder().cookie_name("other").build();
    let (other, _) = site_with(other.unwrap());
    for (inner, cookies, keys) in [
        (layer.clone(), 1, vec!["a", "b", "c"]),
        (SessionLayer::new(other).assume_https(), 2, vec!["a"]),
    ] {
        let app = ServiceBuilder::new()
            .layer(layer.clone())
            .map_request(mark("a"))
            .layer(inner.clone())
            .map_request(mark("b"))
            .layer(inner)
            .map_request(mark("c"))
            .service(service_fn(async |_: Request<String>| {
                Ok::<_, Infallible>(Response::new(String::new()))
            }));
        let response = app.oneshot(Request::new(String::new())).await.unwrap();
        let found = set_cookies(&response);
        assert_eq!(found.len(), cookies, "{found:?}");
        let own = found
            .iter()
            .find_map(|cookie| cookie.strip_prefix("__Host-sid="));
        let secret = own.unwrap().split(';').next();
        assert_eq!(sessions.open(secret).keys().unwrap(), keys);
    }
}

/// A body without a default, as other layers wrap theirs.
struct Wrapped(#[allow(dead_code, reason = "it only has to have no default")] &'static str);

impl axum::body::HttpBody for Wrapped {
    type Data = axum::body::Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Self::Data>, Infallible>>> {
        Poll::Ready(None)
    }
}

#[tokio::test]
async fn the_layer_stands_outside_of_any_body() {
    use axum::body::HttpBody as _;
    let (sessions, _) = site();
    let app = ServiceBuilder::new()
        .layer(SessionLayer::new(sessions).assume_https())
        .service(service_fn(async |_: Request<String>| {
            Ok::<_, Infallible>(Response::new(Wrapped("body")))
        }));
    let response = app.oneshot(Request::new(String::new())).await.unwrap();
    assert!(!response.body().is_end_stream());
    assert!(set_cookies(&response).is_empty());
}

#[cfg(feature = "redb")]
fn on_disk() -> (Sessions, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = liquid_session::store::RedbStore::open(folder.path().join("s.redb")).unwrap();
    (Sessions::new(store, SessionConfig::default()), folder)
}

#[cfg(feature = "redb")]
#[tokio::test]
async fn a_page_whose_visitor_has_gone_commits_nothing() {
    let (sessions, _folder) = on_disk();
    let jar = begin(&sessions, None);
    let session = sessions.open(Some(&jar));
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (go_on, wait) = std::sync::mpsc::channel();
    let (mut begun, wait) = (Some(begun), std::sync::Mutex::new(wait));
    let page = tokio::spawn(async move {
        session
            .render_page(move |session| {
                session.login("ann")?;
                let _ = begun.take().map(|begun| begun.send(()));
                wait.lock().unwrap().recv().unwrap();
                Ok::<_, Error>(())
            })
            .await
    });
    has_begun.await.unwrap();
    page.abort();
    assert!(page.await.unwrap_err().is_cancelled());
    go_on.send(()).unwrap();
    // A transaction of the same session has to wait for the page that was given up.
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(4)).await;
        assert!(
            is_alive(&sessions, &jar),
            "the old secret is dead, and the new one never sent"
        );
    }
    assert!(sessions.user_sessions("ann").unwrap().is_empty());
}

#[cfg(feature = "redb")]
#[tokio::test]
async fn two_pages_of_one_request_wait_for_each_other() {
    let (disk, _folder) = on_disk();
    for sessions in [disk, site().0] {
        let jar = begin(&sessions, None);
        let session = sessions.open(Some(&jar));
        let runs = Arc::new(AtomicUsize::new(0));
        let page = |runs: Arc<AtomicUsize>| {
            session.render_page(move |session| {
                runs.fetch_add(1, Ordering::SeqCst);
                let a = session.get_as::<i64>("a")?.unwrap_or(0);
                std::thread::sleep(Duration::from_millis(5));
                session.set("a", a + 1)
            })
        };
        let (one, two, three) =
            tokio::join!(page(runs.clone()), page(runs.clone()), page(runs.clone()));
        one.and(two).and(three).unwrap();
        assert_eq!(runs.load(Ordering::SeqCst), 3);
        assert_eq!(sessions.open(Some(&jar)).get("a").unwrap(), Some(4.into()));
    }
}

//! Requests that are given up commit nothing that has not begun to commit, on every store.

use std::collections::HashSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::COOKIE;
use axum::response::Response;
use axum::routing::get;
use http_body_util::BodyExt as _;
use liquid_session::http::SessionLayer;
use liquid_session::store::{MemoryStore, SessionStore};
use liquid_session::{Error, Session, SessionConfig, Sessions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, mpsc};
use tower::ServiceExt as _;
use tower_http::timeout::TimeoutLayer;

use crate::awaited_store::Awaited;

const REQUESTS: usize = 400;

fn runtimes() -> [Runtime; 2] {
    [Builder::new_current_thread(), Builder::new_multi_thread()]
        .map(|mut builder| builder.worker_threads(4).enable_all().build().unwrap())
}

/// Tests on each store, with a store of its own for each runtime.
macro_rules! on_each_store {
    ($($(#[$when:meta])* $name:ident: $store:expr,)+) => {
        $($(#[$when])* mod $name {
            use super::*;

            fn stores() -> impl Iterator<Item = (Runtime, Sessions)> {
                runtimes().into_iter().map(|runtime| {
                    let store: Arc<dyn SessionStore> = Arc::new($store);
                    (runtime, Sessions::new(store, SessionConfig::default()))
                })
            }

            #[test]
            fn parallel_counts_are_exact_when_a_quarter_of_the_clients_leaves() {
                for (runtime, sessions) in stores() {
                    runtime.block_on(count(&sessions));
                }
            }

            #[test]
            fn a_client_that_leaves_and_a_timeout_commit_nothing() {
                for (runtime, sessions) in stores() {
                    runtime.block_on(leave(&sessions));
                }
            }
        })+
    };
}

on_each_store! {
    memory: MemoryStore::new(),
    awaited: Awaited::new(),
    #[cfg(feature = "redb")]
    redb: {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap().keep();
        liquid_session::store::RedbStore::open(folder.join("sessions.redb")).unwrap()
    },
    #[cfg(feature = "redis")]
    redis: crate::redis_store::Served::new(),
}

async fn counter(session: Session) -> String {
    // A request can be dropped where it waits, so it does.
    tokio::task::yield_now().await;
    let page = session.render_page(|session| {
        let n = session.get_as::<u64>("n")?.unwrap_or(0) + 1;
        session.set("n", n)?;
        Ok::<_, Error>(n)
    });
    let page = page.await;
    tokio::task::yield_now().await;
    page.map_or_else(|error| error.to_string(), |n| n.to_string())
}

fn begin(sessions: &Sessions) -> String {
    let session = sessions.open(None);
    session.set("n", 0).unwrap();
    session.commit().unwrap().secret().unwrap().expose()
}

fn request(sessions: &Sessions, cookie: &str, path: &str) -> Request {
    let name = sessions.config().cookie_name();
    let request = Request::get(path).header(COOKIE, format!("{name}={cookie}"));
    request.body(Body::empty()).unwrap()
}

/// Polls a request so often, and then drops it.
async fn answer_within(
    polls: usize,
    answer: impl Future<Output = Result<Response, Infallible>>,
) -> Option<Response> {
    let mut answer = pin!(answer);
    let mut left = polls;
    std::future::poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        answer.as_mut().poll(cx).map(|answer| answer.ok())
    })
    .await
}

async fn count(sessions: &Sessions) {
    let cookie = begin(sessions);
    let layer = SessionLayer::new(sessions.clone()).assume_https();
    let app = Router::new().route("/", get(counter)).layer(layer);
    let requests: Vec<_> = (0..REQUESTS)
        .map(|at| {
            let answer = app.clone().oneshot(request(sessions, &cookie, "/"));
            // Each of those that leave does so a little later than the one before.
            let polls = match at / 4 {
                _ if at % 4 > 0 => usize::MAX,
                later if later % 4 == 3 => 1 + later % 12,
                later => 1 + later % 2,
            };
            tokio::spawn(async move {
                let answer = answer_within(polls, answer).await?;
                let body = answer.into_body().collect().await.unwrap().to_bytes();
                Some(String::from_utf8(body.to_vec()).unwrap())
            })
        })
        .collect();
    let (mut acknowledged, mut left) = (HashSet::new(), 0);
    for request in requests {
        match request.await.unwrap() {
            Some(text) => {
                let n: usize = text.parse().unwrap_or_else(|_| panic!("{text}"));
                assert!(acknowledged.insert(n), "two requests counted to {n}");
            }
            None => left += 1,
        }
    }
    // A blocking thread may still be at work for a client that has left.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let stored = sessions.open(Some(&cookie)).get_as("n").unwrap();
    let stored: usize = stored.unwrap();
    assert!(acknowledged.len() >= REQUESTS * 3 / 4);
    assert!(acknowledged.iter().max() <= Some(&stored));
    // What was not acknowledged is stored as a whole or not at all.
    let unacknowledged = stored - acknowledged.len();
    assert!(unacknowledged <= left, "{unacknowledged} of {left}");
    println!("{stored} counted, {left} left, {unacknowledged} of them after the commit had begun");
}

/// A handler that signs in, and then waits until it is let go on.
struct Slow {
    begun: mpsc::UnboundedReceiver<()>,
    go_on: Arc<Notify>,
    app: Router,
}

impl Slow {
    fn new(sessions: &Sessions) -> Self {
        let (sender, begun) = mpsc::unbounded_channel();
        let go_on = Arc::new(Notify::new());
        let wait = go_on.clone();
        let app = Router::new()
            .route(
                "/",
                get(async move |session: Session| {
                    session.load().await.unwrap();
                    session.login("ann").unwrap();
                    sender.send(()).unwrap();
                    wait.notified().await;
                }),
            )
            .layer(SessionLayer::new(sessions.clone()).assume_https());
        Self { begun, go_on, app }
    }
}

async fn leave(sessions: &Sessions) {
    let cookie = begin(sessions);
    let mut slow = Slow::new(sessions);
    let is_unchanged = || {
        let session = sessions.open(Some(&cookie));
        session.get("n").unwrap() == Some(0.into())
            && sessions.user_sessions("ann").unwrap().is_empty()
    };
    // The client closes its connection.
    let address = serve(slow.app.clone()).await;
    let connection = ask(address, sessions, &cookie, "/").await;
    slow.begun.recv().await.unwrap();
    drop(connection);
    tokio::time::sleep(Duration::from_millis(30)).await;
    slow.go_on.notify_waiters();
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert!(is_unchanged(), "after the client has left");
    // A timeout around the layer, and a client that waits for it.
    let status = axum::http::StatusCode::GATEWAY_TIMEOUT;
    let timeout = TimeoutLayer::with_status_code(status, Duration::from_millis(30));
    let address = serve(slow.app.clone().layer(timeout)).await;
    let mut connection = ask(address, sessions, &cookie, "/").await;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
    assert!(!answer.to_ascii_lowercase().contains("set-cookie"));
    slow.go_on.notify_waiters();
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert!(is_unchanged(), "after the timeout");
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn ask(address: SocketAddr, sessions: &Sessions, cookie: &str, path: &str) -> TcpStream {
    let name = sessions.config().cookie_name();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {name}={cookie}\r\nConnection: close\r\n\r\n"
    );
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    connection
}

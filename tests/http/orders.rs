//! The layers of tower-http around and within the session layer, in every order.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use liquid_session::http::SessionLayer;
use liquid_session::{MemoryStore, Session, SessionConfig, Sessions};
use tower::{Service, ServiceBuilder, ServiceExt as _, service_fn};
use tower_http::compression::CompressionLayer;
use tower_http::csrf::CsrfLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Which {
    Sessions,
    Trace,
    Compression,
    Timeout,
    Csrf,
}

const ALL: [Which; 5] = [
    Which::Sessions,
    Which::Trace,
    Which::Compression,
    Which::Timeout,
    Which::Csrf,
];

const PATIENCE: Duration = Duration::from_secs(1);

/// All orders, outermost first.
fn orders() -> Vec<Vec<Which>> {
    let mut orders = vec![vec![]];
    for which in ALL {
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<Which>| {
                (0..=order.len()).map(move |at| {
                    let mut longer = order.clone();
                    longer.insert(at, which);
                    longer
                })
            })
            .collect();
    }
    orders
}

fn timeout() -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, PATIENCE)
}

fn site(sessions: &Sessions, order: &[Which]) -> Router {
    let mut site = Router::new()
        .route(
            "/set",
            post(async |session: Session| {
                session.set("a", 1).unwrap();
                "stored: ".repeat(20)
            }),
        )
        .route(
            "/get",
            get(async |session: Session| format!("{:?}", session.get("a").unwrap()).repeat(20)),
        )
        .route(
            "/slow",
            post(async |session: Session| {
                session.set("a", 2).unwrap();
                tokio::time::sleep(2 * PATIENCE).await;
                "slow"
            }),
        )
        .route(
            "/broken",
            post(async |session: Session| {
                session.set("a", 3).unwrap();
                StatusCode::INTERNAL_SERVER_ERROR
            }),
        );
    for which in order.iter().rev() {
        site = match which {
            Which::Sessions => site.layer(SessionLayer::new(sessions.clone()).assume_https()),
            Which::Trace => site.layer(TraceLayer::new_for_http()),
            Which::Compression => site.layer(CompressionLayer::new()),
            Which::Timeout => site.layer(timeout()),
            Which::Csrf => site.layer(CsrfLayer::new()),
        };
    }
    site
}

async fn ask(
    site: &Router,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> (StatusCode, HeaderMap) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    let response: Response = site.clone().oneshot(request).await.unwrap();
    (response.status(), response.headers().clone())
}

#[tokio::test(start_paused = true)]
async fn layers_of_tower_http_work_in_every_order() {
    let orders = orders();
    assert_eq!(orders.len(), 120);
    for order in orders {
        let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
        let site = site(&sessions, &order);
        let gzip = ("accept-encoding", "gzip");

        // What another site posts stores nothing.
        let cross = ("sec-fetch-site", "cross-site");
        let (status, headers) = ask(&site, Method::POST, "/set", &[cross]).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{order:?}");
        assert!(!headers.contains_key("set-cookie"), "{order:?}");
        assert_eq!(sessions.count(), Some(0), "{order:?}");

        // The commit comes before the head, whatever is around it, and its headers stay.
        let (status, headers) = ask(&site, Method::POST, "/set", &[gzip]).await;
        assert_eq!(status, StatusCode::OK, "{order:?}");
        assert_eq!(headers["content-encoding"], "gzip", "{order:?}");
        assert_eq!(headers["cache-control"], "no-store", "{order:?}");
        let cookie = headers["set-cookie"].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap();
        assert_eq!(sessions.count(), Some(1), "{order:?}");

        let own = ("cookie", cookie);
        let (_, headers) = ask(&site, Method::GET, "/get", &[own, gzip]).await;
        let vary = headers.get_all("vary").iter();
        let vary: Vec<_> = vary.map(|value| value.to_str().unwrap()).collect();
        assert!(vary.contains(&"Cookie"), "{order:?}: {vary:?}");
        assert!(vary.contains(&"accept-encoding"), "{order:?}: {vary:?}");

        // What takes too long, or fails, commits nothing.
        for (path, expected) in [
            ("/slow", StatusCode::SERVICE_UNAVAILABLE),
            ("/broken", StatusCode::INTERNAL_SERVER_ERROR),
        ] {
            let (status, headers) = ask(&site, Method::POST, path, &[own]).await;
            assert_eq!(status, expected, "{order:?}");
            assert!(!headers.contains_key("set-cookie"), "{order:?}");
        }
        let secret = cookie.split_once('=').unwrap().1;
        let stored = sessions.open(Some(secret)).get("a").unwrap();
        assert_eq!(stored, Some(1.into()), "{order:?}");
    }
}

/// A timeout with an answer that is no failure of the server shows why its place is outside.
#[tokio::test(start_paused = true)]
async fn a_timeout_within_the_sessions_commits_what_was_written_before_it() {
    for (outside, committed) in [(true, 0), (false, 1)] {
        let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
        let layer = SessionLayer::new(sessions.clone()).assume_https();
        let timeout = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, PATIENCE);
        let site = site(&sessions, &[]);
        let site = match outside {
            true => site.layer(layer).layer(timeout),
            false => site.layer(timeout).layer(layer),
        };
        let (status, _) = ask(&site, Method::POST, "/slow", &[]).await;
        assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
        assert_eq!(sessions.count(), Some(committed), "outside: {outside}");
    }
}

/// Without axum between them, the layers see the body types of each other. `TimeoutLayer` and `CsrfLayer` need
/// a body with a default, which those of `TraceLayer` and `CompressionLayer` are not.
#[tokio::test]
async fn a_service_builder_takes_them_in_the_recommended_order_and_in_others() {
    async fn page(request: Request) -> Result<Response, Infallible> {
        let session: &Session = request.extensions().get().unwrap();
        session.set("a", 1).unwrap();
        Ok(Response::new(Body::from("page".repeat(20))))
    }
    async fn check<S, B>(mut site: S)
    where
        S: Service<Request, Response = axum::http::Response<B>>,
        S::Error: std::fmt::Debug,
    {
        let request = Request::new(Body::empty());
        let response = site.ready().await.unwrap().call(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers().contains_key("set-cookie"));
    }
    let sessions = || {
        let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
        SessionLayer::new(sessions).assume_https()
    };
    let (trace, compression) = (TraceLayer::new_for_http(), CompressionLayer::new());
    let (timeout, csrf) = (timeout(), CsrfLayer::new());
    check(
        ServiceBuilder::new()
            .layer(trace.clone())
            .layer(compression.clone())
            .layer(timeout)
            .layer(csrf.clone())
            .layer(sessions())
            .service(service_fn(page)),
    )
    .await;
    check(
        ServiceBuilder::new()
            .layer(sessions())
            .layer(trace.clone())
            .layer(compression.clone())
            .layer(timeout)
            .layer(csrf.clone())
            .service(service_fn(page)),
    )
    .await;
    check(
        ServiceBuilder::new()
            .layer(trace)
            .layer(compression)
            .layer(sessions())
            .layer(timeout)
            .layer(csrf)
            .service(service_fn(page)),
    )
    .await;
}

//! What a production site needs besides: persistent cookies, use that does not prolong, deadlines, the
//! user in templates, errors as answers, readiness, sweeping.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::COOKIE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http_body::Frame;
use http_body_util::BodyExt as _;
use liquid_session::clock::{Clock as _, ManualClock};
use liquid_session::http::{PeerAddr, SessionLayer};
use liquid_session::store::{MemoryStore, SessionStore};
use liquid_session::{
    Error, ErrorKind, Login, ParserBuilderExt as _, Session, SessionConfig, Sessions,
};
use tokio::sync::{mpsc, oneshot};
use tower::ServiceExt as _;

use crate::support::{Site, Watched};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MINUTE: Duration = Duration::from_secs(60);

/// A browser that keeps its cookie, on any routes.
struct Visitor {
    app: Router,
    cookie: Option<String>,
}

struct Page {
    status: StatusCode,
    set_cookie: Option<String>,
    body: String,
}

impl Visitor {
    fn of(sessions: &Sessions, routes: Router) -> Self {
        let layer = SessionLayer::new(sessions.clone()).assume_https();
        Self {
            app: routes.layer(layer),
            cookie: None,
        }
    }

    async fn answer(&mut self, path: &str) -> Response {
        let mut request = Request::get(path);
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        let request = request.body(Body::empty()).unwrap();
        self.app.clone().oneshot(request).await.unwrap()
    }

    async fn get(&mut self, path: &str) -> Page {
        let response = self.answer(path).await;
        let status = response.status();
        let set_cookie = response.headers().get("set-cookie");
        let set_cookie = set_cookie.map(|value| value.to_str().unwrap().to_owned());
        if let Some(cookie) = &set_cookie {
            self.cookie = Some(cookie.split(';').next().unwrap().to_owned());
        }
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Page {
            status,
            set_cookie,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// The `Max-Age` of the cookie that this page sends.
    async fn max_age(&mut self, path: &str) -> Option<Duration> {
        let cookie = self.get(path).await.set_cookie.expect("a cookie");
        assert!(!cookie.contains("Expires"), "{cookie}");
        let (_, age) = cookie.split_once("; Max-Age=")?;
        let age = age.split(';').next().unwrap();
        Some(Duration::from_secs(age.parse().unwrap()))
    }
}

fn routes() -> Router {
    Router::new()
        .route(
            "/set",
            get(async |session: Session| session.set("a", 1).map(|()| "")),
        )
        .route(
            "/get",
            get(async |session: Session| session.get("a").map(|value| format!("{value:?}"))),
        )
        .route(
            "/login",
            get(async |session: Session| session.login("ann").map(|()| "")),
        )
        .route(
            "/remember",
            get(async |session: Session| session.login(Login::new("ann").remember()).map(|()| "")),
        )
        .route(
            "/bob",
            get(async |session: Session| session.login("bob").map(|()| "")),
        )
        .route(
            "/renew",
            get(async |session: Session| session.renew().map(|()| "")),
        )
        .route(
            "/poll",
            get(async |session: Session| {
                session.dont_prolong();
                let left = session.deadline()?.map(|deadline| deadline.as_millis());
                Ok::<_, Error>(left.unwrap_or_default().to_string())
            }),
        )
        .route(
            "/poll_and_set",
            get(async |session: Session| {
                session.dont_prolong();
                session.set("polls", 1).map(|()| "")
            }),
        )
        .route(
            "/poll_and_take",
            get(async |session: Session| {
                session.dont_prolong();
                session.take("a").map(|value| format!("{value:?}"))
            }),
        )
}

fn sessions(config: SessionConfig) -> (Sessions, ManualClock) {
    let clock = ManualClock::new();
    let sessions = Sessions::new(MemoryStore::new(), config).with_clock(clock.clone());
    (sessions, clock)
}

#[tokio::test]
async fn without_the_setting_the_cookie_ends_with_the_browser() {
    let (sessions, _) = sessions(SessionConfig::default());
    let mut visitor = Visitor::of(&sessions, routes());
    for page in ["/set", "/renew", "/login"] {
        assert_eq!(visitor.max_age(page).await, None, "{page}");
    }
}

#[tokio::test]
async fn persistent_cookies_last_as_long_as_the_session_may() {
    let config = SessionConfig::builder().persistent_cookies(true);
    let (endless, _) = sessions(config.clone().build().unwrap());
    let mut visitor = Visitor::of(&endless, routes());
    for page in ["/set", "/renew", "/login"] {
        assert_eq!(visitor.max_age(page).await, Some(400 * DAY), "{page}");
    }

    let config = config.absolute_timeout_minutes(60).build().unwrap();
    let (hour, clock) = sessions(config);
    let mut visitor = Visitor::of(&hour, routes());
    assert_eq!(visitor.max_age("/set").await, Some(60 * MINUTE));
    clock.advance(20 * MINUTE);
    assert_eq!(visitor.max_age("/renew").await, Some(40 * MINUTE));
    clock.advance(40 * MINUTE - Duration::from_millis(1));
    let last = visitor.max_age("/login").await;
    assert_eq!(last, Some(Duration::from_secs(1)), "zero would remove it");
}

#[tokio::test]
async fn a_login_may_ask_to_be_remembered() {
    let (sessions, _) = sessions(SessionConfig::default());
    let mut visitor = Visitor::of(&sessions, routes());
    assert_eq!(visitor.max_age("/set").await, None);
    assert_eq!(visitor.max_age("/remember").await, Some(400 * DAY));
    // A renewal keeps it, and so does a second login of the user. Another user has not asked.
    assert_eq!(visitor.max_age("/renew").await, Some(400 * DAY));
    assert_eq!(visitor.max_age("/login").await, Some(400 * DAY));
    assert_eq!(visitor.max_age("/bob").await, None);
}

#[tokio::test]
async fn a_cookie_is_never_sent_again() {
    let config = SessionConfig::builder().persistent_cookies(true).build();
    let (sessions, clock) = sessions(config.unwrap());
    let mut visitor = Visitor::of(&sessions, routes());
    assert!(visitor.get("/remember").await.set_cookie.is_some());
    for page in ["/get", "/set", "/poll"] {
        // Also where a use is recorded.
        clock.advance(DAY);
        assert_eq!(visitor.get(page).await.set_cookie, None, "{page}");
    }
    assert_eq!(visitor.get("/get").await.body, "Some(Int(1))");
}

/// A page polls each second for two minutes; the session ends as if it did not.
async fn polls_to_the_end(store: impl SessionStore) {
    let config = SessionConfig::builder().timeout_minutes(2).build().unwrap();
    let clock = ManualClock::new();
    let sessions = Sessions::new(store, config).with_clock(clock.clone());
    let mut visitor = Visitor::of(&sessions, routes());
    visitor.get("/set").await;
    let begun = clock.now();
    let deadline = (begun + 2 * MINUTE).as_millis().to_string();
    for second in 0..120 {
        assert_eq!(visitor.get("/poll").await.body, deadline, "{second}");
        // Changes are stored, and keep the deadline.
        assert_eq!(visitor.get("/poll_and_set").await.status, StatusCode::OK);
        if second == 60 {
            assert_eq!(visitor.get("/poll_and_take").await.body, "Some(Int(1))");
        }
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(visitor.get("/poll").await.body, "0", "it has ended");

    // Without it, the same page keeps the session alive.
    visitor.get("/set").await;
    for _ in 0..120 {
        visitor.get("/get").await;
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(visitor.get("/get").await.body, "Some(Int(1))");
}

#[tokio::test]
async fn a_page_that_polls_does_not_prolong_the_session() {
    polls_to_the_end(MemoryStore::new()).await;
    polls_to_the_end(Watched::new().awaited()).await;
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn a_page_that_polls_does_not_prolong_the_session_on_redis() {
    polls_to_the_end(crate::redis_store::Served::new()).await;
}

/// By the clocks of this machine and of the server.
#[cfg(feature = "redis")]
#[tokio::test]
async fn a_page_that_polls_ends_on_time_on_redis() {
    const TIMEOUT: Duration = Duration::from_secs(2);
    let store = crate::redis_store::Served::new();
    let sessions = Sessions::new(store, SessionConfig::default());
    let mut begun = Vec::new();
    for user in ["polls", "reads"] {
        let session = sessions.open(None);
        session.login(Login::new(user).timeout(TIMEOUT)).unwrap();
        session.set("a", 1).unwrap();
        begun.push(session.commit().unwrap().secret().unwrap().expose());
    }
    let [polls, reads] = [0, 1].map(|at| {
        let mut visitor = Visitor::of(&sessions, routes());
        visitor.cookie = Some(format!("__Host-sid={}", begun[at]));
        visitor
    });
    let (mut polls, mut reads) = (polls, reads);
    let start = Instant::now();
    let mut last = Duration::ZERO;
    while start.elapsed() < TIMEOUT + TIMEOUT / 2 {
        let asked = start.elapsed();
        if polls.get("/poll").await.body != "0" {
            last = asked;
            assert_eq!(polls.get("/poll_and_set").await.status, StatusCode::OK);
            polls.cookie = Some(format!("__Host-sid={}", begun[0]));
        }
        assert_eq!(reads.get("/get").await.body, "Some(Int(1))");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        (TIMEOUT / 2..=TIMEOUT).contains(&last),
        "it ended after {last:?}"
    );
}

#[tokio::test]
async fn a_login_and_a_new_session_have_a_deadline_also_in_a_page_that_polls() {
    let config = SessionConfig::builder()
        .timeout_minutes(30)
        .build()
        .unwrap();
    let (sessions, clock) = sessions(config);
    let session = sessions.open(None);
    session.dont_prolong();
    assert_eq!(session.deadline().unwrap(), None, "there is no session");
    session.set("a", 1).unwrap();
    let first = clock.now() + 30 * MINUTE;
    assert_eq!(session.deadline().unwrap(), Some(first));
    let cookie = session.commit().unwrap().secret().unwrap().expose();

    clock.advance(20 * MINUTE);
    let session = sessions.open(Some(&cookie));
    session.dont_prolong();
    assert_eq!(session.deadline().unwrap(), Some(first));
    session
        .login(Login::new("ann").timeout(90 * MINUTE))
        .unwrap();
    let second = clock.now() + 90 * MINUTE;
    assert_eq!(session.deadline().unwrap(), Some(second));
    let cookie = session.commit().unwrap().secret().unwrap().expose();
    assert_eq!(sessions.user_sessions("ann").unwrap()[0].deadline, second);

    // A request that is a use says what it will be.
    clock.advance(45 * MINUTE);
    let session = sessions.open(Some(&cookie));
    let third = clock.now() + 90 * MINUTE;
    assert_eq!(session.deadline().unwrap(), Some(third));
    let _ = session.commit().unwrap();
    assert_eq!(sessions.user_sessions("ann").unwrap()[0].deadline, third);
}

#[tokio::test]
async fn a_deadline_is_what_today_s_settings_leave() {
    let store = Arc::new(MemoryStore::new());
    let clock = ManualClock::new();
    let loose = Sessions::new(store.clone(), SessionConfig::default()).with_clock(clock.clone());
    let session = loose.open(None);
    session.set("a", 1).unwrap();
    let cookie = session.commit().unwrap().secret().unwrap().expose();

    let tight = SessionConfig::builder().absolute_timeout_minutes(60);
    let tight = Sessions::new(store, tight.build().unwrap()).with_clock(clock.clone());
    let session = tight.open(Some(&cookie));
    session.dont_prolong();
    assert_eq!(session.deadline().unwrap(), Some(clock.now() + 60 * MINUTE));
}

#[tokio::test]
async fn a_handler_may_do_without_a_session() {
    async fn page(session: Option<Session>) -> String {
        match session {
            Some(session) => format!("{:?}", session.set("a", 1).is_ok()),
            None => "none".to_owned(),
        }
    }
    let routes = Router::new().route("/", get(page));
    let ask = async |app: Router| {
        let response: Result<_, Infallible> = app.oneshot(Request::new(Body::empty())).await;
        let body = response.unwrap().into_body().collect().await.unwrap();
        String::from_utf8(body.to_bytes().to_vec()).unwrap()
    };
    let on = Sessions::new(MemoryStore::new(), SessionConfig::default());
    let off = SessionConfig::builder().enabled(false).build().unwrap();
    let off = Sessions::new(MemoryStore::new(), off);

    assert_eq!(ask(routes.clone()).await, "none", "no layer");
    let layer = SessionLayer::new(on);
    assert_eq!(
        ask(routes.clone().layer(layer.clone().assume_https())).await,
        "true"
    );
    assert_eq!(
        ask(routes.clone().layer(layer)).await,
        "none",
        "plain HTTP in production"
    );
    assert_eq!(ask(routes.layer(SessionLayer::new(off))).await, "none");
}

#[tokio::test]
async fn an_error_is_an_answer_that_says_nothing() {
    for (kind, status) in [
        (ErrorKind::Unavailable, 503),
        (ErrorKind::Full, 503),
        (ErrorKind::Unconfirmed, 500),
        (ErrorKind::Limit, 500),
        (ErrorKind::Render, 500),
        (ErrorKind::NoSession, 500),
    ] {
        let response = Error::new(kind, "a secret reason").into_response();
        assert_eq!(response.status(), status, "{kind:?}");
        let retry = response.headers().get("retry-after");
        assert_eq!(retry.is_some(), status == 503, "{kind:?}");
        let error = response.extensions().get::<Error>().expect("for the host");
        assert_eq!(error.kind(), kind);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "", "{kind:?}");
    }
}

#[tokio::test]
async fn a_handler_s_error_and_a_failed_commit_are_one_answer() {
    let site = Site::new();
    let mut visitor = Visitor::of(&site.sessions, routes());
    visitor.get("/set").await;
    site.store.set_down(true);
    for page in ["/get", "/set"] {
        let answer = visitor.answer(page).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{page}");
        assert_eq!(answer.headers()["retry-after"], "5", "{page}");
        assert!(answer.extensions().get::<Error>().is_some(), "{page}");
    }
    // The commit alone fails: the handler has read nothing.
    visitor.cookie = None;
    let answer = visitor.answer("/set").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "5");

    let full = Sessions::new(MemoryStore::with_capacity(0), SessionConfig::default());
    let answer = Visitor::of(&full, routes()).answer("/set").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn templates_know_who_is_signed_in() {
    let parser = liquid::ParserBuilder::with_stdlib()
        .sessions()
        .build()
        .unwrap();
    let page =
        "{% if context.current_user %}{{ context.current_user.id }}{% else %}nobody{% endif %}";
    let page = Arc::new(parser.parse(page).unwrap());
    let routes = routes()
        .route(
            "/who",
            get(async move |session: Session| {
                let page = page.clone();
                let render = move |session: &Session| session.render(&page, &liquid::Object::new());
                session.render_page(render).await
            }),
        )
        .route("/logout", get(async |session: Session| session.logout()));
    for site in Site::each() {
        let mut visitor = Visitor::of(&site.sessions, routes.clone());
        assert_eq!(visitor.get("/who").await.body, "nobody");
        visitor.get("/login").await;
        let calls = site.store.calls();
        let answer = visitor.answer("/who").await;
        assert_eq!(site.store.calls(), calls + 1, "one load");
        assert_eq!(answer.headers()["vary"], "Cookie");
        assert_eq!(visitor.get("/who").await.body, "ann");
        visitor.get("/bob").await;
        assert_eq!(visitor.get("/who").await.body, "bob");
        visitor.get("/logout").await;
        assert_eq!(visitor.get("/who").await.body, "nobody");
    }
}

#[tokio::test]
async fn readiness_is_what_the_store_says() {
    let site = Site::new();
    site.sessions.ping().unwrap();
    site.store.set_down(true);
    let error = site.sessions.ping().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_task_sweeps_until_the_sessions_are_dropped() {
    for store in [Watched::new(), Watched::new().blocking()] {
        let site = Site::with(store.clone(), SessionConfig::default());
        let begin = |count| {
            for _ in 0..count {
                let session = site.sessions.open(None);
                session.set("a", 1).unwrap();
                let _ = session.commit().unwrap();
            }
            site.clock.advance(31 * DAY);
        };
        begin(2500);
        let task = tokio::spawn(site.sessions.sweep_every(MINUTE));
        tokio::time::sleep(MINUTE / 2).await;
        assert_eq!(site.sessions.counters().swept, 2500, "at once, all of them");

        begin(1);
        // A failure stops nothing.
        store.set_down(true);
        tokio::time::sleep(MINUTE).await;
        assert_eq!(site.sessions.counters().swept, 2500);
        store.set_down(false);
        tokio::time::sleep(MINUTE).await;
        assert_eq!(site.sessions.counters().swept, 2501);

        assert!(!task.is_finished());
        let held = store.held();
        drop((site, store));
        assert!(
            held.upgrade().is_none(),
            "between two sweeps it holds no store"
        );
        tokio::time::timeout(MINUTE, task).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_store_that_blocks_is_swept_on_another_thread() {
    for store in [Watched::new(), Watched::new().blocking()] {
        let sessions = Sessions::new(store.clone(), SessionConfig::default());
        let task = tokio::spawn(sessions.sweep_every(MINUTE));
        while store.swept_on().is_none() {
            tokio::task::yield_now().await;
        }
        let here = Some(std::thread::current().id());
        assert_eq!(store.swept_on() != here, store.may_block());
        task.abort();
    }
}

/// Each of the three reasons for which plain HTTP has no session has its own remedy.
#[tokio::test]
async fn plain_http_says_what_is_missing() {
    let proxies = SessionConfig::builder().trusted_proxies(vec!["10.0.0.0/8".to_owned()]);
    let proxy = PeerAddr([10, 0, 0, 7].into());
    let stranger = PeerAddr([192, 0, 2, 7].into());
    for (config, peer, scheme, expected) in [
        (
            SessionConfig::builder(),
            None,
            None,
            "name the proxy that ends TLS",
        ),
        (
            proxies.clone(),
            Some(stranger),
            Some("https"),
            "name the proxy that ends TLS",
        ),
        (
            proxies.clone(),
            Some(proxy),
            Some("http"),
            "serve over HTTPS",
        ),
        (
            proxies.clone(),
            None,
            Some("https"),
            "into_make_service_with_connect_info",
        ),
        (
            proxies.clone(),
            Some(proxy),
            None,
            "let it send `X-Forwarded-Proto`",
        ),
    ] {
        let sessions = Sessions::new(MemoryStore::new(), config.build().unwrap());
        let app = Router::new()
            .route(
                "/",
                get(async |session: Session| session.set("a", 1).unwrap_err().to_string()),
            )
            .layer(SessionLayer::new(sessions.clone()));
        for n in 1..=2 {
            let mut request = Request::get("/");
            if let Some(scheme) = scheme {
                request = request.header("x-forwarded-proto", scheme);
            }
            if let Some(peer) = peer {
                request = request.extension(peer);
            }
            let request = request.body(Body::empty()).unwrap();
            let response = app.clone().oneshot(request).await.unwrap();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body = String::from_utf8_lossy(&body);
            assert!(body.contains(expected), "{expected:?} is not in: {body}");
            assert_eq!(sessions.counters().plain_http, n);
        }
    }
}

#[tokio::test]
async fn a_write_after_the_head_is_an_error() {
    let (report, mut reported) = mpsc::unbounded_channel();
    let (send_task, task) = oneshot::channel();
    let send_task = Arc::new(parking_lot::Mutex::new(Some(send_task)));
    let routes = routes().route(
        "/stream",
        get(async move |session: Session| {
            session.set("in_time", 1)?;
            // A websocket's task, which outlives the handler.
            let (late, report_late) = (session.clone(), report.clone());
            let (go, wait) = oneshot::channel::<()>();
            let _ = send_task.lock().take().unwrap().send(go);
            tokio::spawn(async move {
                let _ = wait.await;
                let _ = report_late.send(late.set("late", 1));
            });
            let report = report.clone();
            let body = Body::new(OneFrame(Some(move || {
                let _ = report.send(session.set("streamed", 1));
                Bytes::from("body")
            })));
            Ok::<_, Error>(Response::new(body))
        }),
    );
    let (sessions, _) = sessions(SessionConfig::default());
    let mut visitor = Visitor::of(&sessions, routes);
    assert_eq!(visitor.get("/stream").await.body, "body");
    task.await.unwrap().send(()).unwrap();
    for _ in 0..2 {
        let error = reported.recv().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSession);
        assert!(error.to_string().contains("the response has been sent"));
    }
    let (_, secret) = visitor.cookie.as_deref().unwrap().split_once('=').unwrap();
    let session = sessions.open(Some(secret));
    assert_eq!(session.keys().unwrap(), ["in_time"]);
}

/// A body of one frame, which is made when it is asked for.
struct OneFrame<F>(Option<F>);

impl<F: FnOnce() -> Bytes + Unpin> http_body::Body for OneFrame<F> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|make| Ok(Frame::data(make()))))
    }
}

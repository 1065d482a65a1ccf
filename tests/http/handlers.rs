//! While the store does not answer, the handlers of the README and the guide block no thread.
//!
//! Asserted by the counter of blocking calls, and by a runtime with one worker thread that goes on.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::COOKIE;
use axum::routing::get;
use liquid_session::http::SessionLayer;
use liquid_session::{Error, Login, ParserBuilderExt as _, Session, SessionConfig, Sessions};
use tower::ServiceExt as _;

use crate::awaited_store::{Awaited, Moment};

type Pages = Arc<liquid::Template>;

/// As in the README, and on the page about HTTP.
async fn home(State(page): State<Pages>, session: Session) -> Result<String, StatusCode> {
    let globals = liquid::object!({ "title": "Shop" });
    let render = move |session: &Session| session.render(&page, &globals);
    session.render_page(render).await.map_err(status)
}

async fn read(session: Session) -> Result<String, StatusCode> {
    session.load().await.map_err(status)?;
    let n = session.get_as::<u64>("n").map_err(status)?;
    Ok(n.unwrap_or(0).to_string())
}

async fn choose(session: Session) -> Result<(), StatusCode> {
    session.load().await.map_err(status)?;
    session.set("color", "dark").map_err(status)
}

async fn sign_in(session: Session) -> Result<(), StatusCode> {
    session.load().await.map_err(status)?;
    let login = Login::new("user 17").label("Firefox on Linux");
    session.login(login).map_err(status)
}

async fn flash(session: Session) -> Result<String, StatusCode> {
    let flash = session.run(|session| session.take("flash"));
    Ok(format!("{:?}", flash.await.map_err(status)?))
}

async fn devices(session: Session) -> Result<String, StatusCode> {
    let list = session.run(|session| session.user_sessions());
    Ok(list.await.map_err(status)?.len().to_string())
}

async fn elsewhere(session: Session) -> Result<String, StatusCode> {
    let ended = session.run(|session| session.revoke_others());
    Ok(ended.await.map_err(status)?.to_string())
}

async fn sign_out(session: Session) -> Result<(), StatusCode> {
    session.run(Session::logout).await.map_err(status)
}

fn status(_: Error) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}

const PATHS: [&str; 8] = [
    "/",
    "/read",
    "/choose",
    "/sign_in",
    "/flash",
    "/devices",
    "/elsewhere",
    "/sign_out",
];

fn site(sessions: &Sessions) -> Router {
    let parser = liquid::ParserBuilder::with_stdlib()
        .sessions()
        .build()
        .unwrap();
    let page = "{% session n = context.session.n | default: 0 | plus: 1 %}{{ title }}: {{ context.session.n }}";
    Router::new()
        .route("/", get(home))
        .route("/read", get(read))
        .route("/choose", get(choose))
        .route("/sign_in", get(sign_in))
        .route("/flash", get(flash))
        .route("/devices", get(devices))
        .route("/elsewhere", get(elsewhere))
        .route("/sign_out", get(sign_out))
        .with_state(Arc::new(parser.parse(page).unwrap()))
        .layer(SessionLayer::new(sessions.clone()).assume_https())
        .route("/style.css", get(async || "body {}"))
}

fn begin(sessions: &Sessions) -> String {
    let session = sessions.open(None);
    session.set("flash", "saved").unwrap();
    session.login("user 17").unwrap();
    session.commit().unwrap().secret().unwrap().expose()
}

/// Sends a request to every handler while the store is paused, and one for a static file.
async fn ask_while_paused(sessions: &Sessions, pause: impl FnOnce(), resume: impl FnOnce()) {
    let app = site(sessions);
    let cookies = PATHS.map(|path| (path, begin(sessions)));
    pause();
    let answers: Vec<_> = cookies
        .into_iter()
        .map(|(path, cookie)| {
            let name = sessions.config().cookie_name();
            let request = Request::get(path).header(COOKIE, format!("{name}={cookie}"));
            let answer = app.clone().oneshot(request.body(Body::empty()).unwrap());
            (path, tokio::spawn(answer))
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let file = Request::get("/style.css").body(Body::empty()).unwrap();
    // Answered by the worker thread.
    let file = tokio::spawn(app.oneshot(file)).await.unwrap();
    assert_eq!(file.unwrap().status(), 200);
    for (path, answer) in &answers {
        assert!(!answer.is_finished(), "{path} has not waited for the store");
    }
    assert_eq!(sessions.counters().blocking_calls, 0);
    resume();
    for (path, answer) in answers {
        assert_eq!(answer.await.unwrap().unwrap().status(), 200, "{path}");
    }
    assert_eq!(sessions.counters().blocking_calls, 0);
}

fn one_worker() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn no_handler_of_the_documentation_blocks_the_only_worker_thread() {
    let runtime = one_worker();
    for moment in [Moment::Before, Moment::After] {
        let store = Awaited::new();
        let sessions = Sessions::new(store.clone(), SessionConfig::default());
        let asked = async move {
            // The calls in `run` block their own threads.
            ask_while_paused(&sessions, || store.pause_all(moment), || store.resume()).await;
        };
        runtime.block_on(runtime.spawn(asked)).unwrap();
    }
}

#[cfg(feature = "redis")]
#[test]
fn nor_does_one_while_redis_stands_still() {
    let Some(server) = crate::redis_server::RedisServer::start(&[]) else {
        return;
    };
    let server = Arc::new(server);
    let store = liquid_session::store::RedisStore::builder(&server.url())
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap();
    let sessions = Sessions::new(store, SessionConfig::default());
    let asked = async move {
        ask_while_paused(
            &sessions,
            || server.signal("STOP"),
            || server.signal("CONT"),
        )
        .await;
    };
    let runtime = one_worker();
    runtime.block_on(runtime.spawn(asked)).unwrap();
}

#[tokio::test]
async fn a_handler_that_does_not_await_its_session_is_reported() {
    let sessions = Sessions::new(Awaited::new(), SessionConfig::default());
    let cookie = begin(&sessions);
    type Act = fn(&Session) -> Result<(), Error>;
    let acts: [Act; 6] = [
        |session| session.get("n").map(drop),
        |session| session.set("n", 1),
        |session| session.take("flash").map(drop),
        |session| session.commit().map(drop),
        |session| session.user_sessions().map(drop),
        Session::logout,
    ];
    for (at, act) in acts.into_iter().enumerate() {
        let layer = SessionLayer::new(sessions.clone()).assume_https();
        let handler = async move |session: Session| {
            // What the store is asked for is all that counts.
            if at == 3 {
                session.load().await.unwrap();
                session.set("n", 2).unwrap();
            }
            act(&session).map_err(status)
        };
        let app: Router = Router::new().route("/", get(handler)).layer(layer);
        let name = sessions.config().cookie_name();
        let request = Request::get("/").header(COOKIE, format!("{name}={cookie}"));
        let before = sessions.counters().blocking_calls;
        let answer = app.oneshot(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.unwrap().status(), 200, "{at}");
        assert!(sessions.counters().blocking_calls > before, "{at}");
    }
}

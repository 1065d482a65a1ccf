//! A site on axum, complete in one file: pages, signing in and out, the devices of a user, JSON, an
//! operator's routes, an error page, readiness, sweeping, a graceful end, and the layers of other concerns in
//! the right order.
//!
//! ```sh
//! cargo run --example axum --features axum,redb,tracing -- sessions.redb
//! ```
//!
//! Then open <http://localhost:3000>. Without a file, the sessions are in memory. The operator's routes are
//! on port 3001: `curl localhost:3001/users/ann`.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use liquid::{ParserBuilder, Template, object};
use liquid_session::clock::{Clock as _, SystemClock};
use liquid_session::config::Environment;
use liquid_session::http::{SessionBody, SessionLayer};
use liquid_session::store::{RedbStore, Revoke, SessionInfo, SessionStore};
use liquid_session::{
    Error, Login, MemoryStore, ParserBuilderExt as _, Session, SessionConfig, SessionId, Sessions,
};
use serde::Deserialize;
use serde_json::{Value as Json_, json};
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_http::compression::CompressionLayer;
use tower_http::csrf::CsrfLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

const HOME: &str = r#"
{%- session visits = context.session.visits | default: 0 | plus: 1 -%}
<h1>Hello {{ context.current_user.id | default: 'visitor' | escape }}</h1>
<p>Visit {{ context.session.visits }}.</p>
{%- if context.current_user %}
<p><a href="/devices">Your devices</a></p>
<form method="post" action="/sign-out"><button>Sign out</button></form>
{%- else %}
<form method="post" action="/sign-in">
  <input name="name" required> <label><input type="checkbox" name="remember" value="yes"> Remember me</label>
  <button>Sign in</button>
</form>
{%- endif %}
"#;

const DEVICES: &str = r#"<h1>Your devices</h1>
<ul>{% for device in devices %}
<li>{{ device.label | escape }}{% if device.here %} (this one){% endif %}</li>{% endfor %}
</ul>
<form method="post" action="/sign-out-elsewhere"><button>Sign out everywhere else</button></form>
"#;

/// What the handlers need, made once.
struct Site {
    sessions: Sessions,
    home: Template,
    devices: Template,
}

type Shared = State<Arc<Site>>;

/// The routes of the site, in their layers.
pub(crate) fn site(sessions: Sessions) -> Result<Router, liquid::Error> {
    let parser = ParserBuilder::with_stdlib().sessions().build()?;
    let site = Arc::new(Site {
        home: parser.parse(HOME)?,
        devices: parser.parse(DEVICES)?,
        sessions: sessions.clone(),
    });
    // The first layer is the outermost.
    let layers = ServiceBuilder::new()
        // Sees every answer as it goes out, also those of the layers below.
        .layer(TraceLayer::new_for_http())
        .layer(CompressionLayer::new())
        // Around the sessions: the commit may fail, too.
        .layer(map_response(error_page))
        // Around the sessions: a request that is dropped commits nothing.
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            Duration::from_secs(10),
        ))
        // Around the sessions: what another site posts reaches none.
        .layer(CsrfLayer::new())
        .layer(SessionLayer::new(sessions));
    Ok(Router::new()
        .route("/", get(home))
        .route("/sign-in", post(sign_in))
        .route("/sign-out", post(sign_out))
        .route("/devices", get(devices))
        .route("/sign-out-elsewhere", post(sign_out_elsewhere))
        .route("/api/cart", get(cart).post(put_in_cart))
        .route("/api/time-left", get(time_left))
        .layer(layers)
        // After the layers: a probe needs no session.
        .route("/ready", get(ready))
        .with_state(site))
}

/// Renders in a transaction, so that the counter is exact.
async fn home(State(site): Shared, session: Session) -> Result<Html<String>, Error> {
    let render = move |session: &Session| session.render(&site.home, &object!({}));
    session.render_page(render).await.map(Html)
}

#[derive(Deserialize)]
struct SignIn {
    name: String,
    remember: Option<String>,
}

async fn sign_in(
    session: Session,
    headers: HeaderMap,
    Form(form): Form<SignIn>,
) -> Result<Redirect, Error> {
    // Here a real site checks a password.
    let mut login = Login::new(form.name).label(device(&headers));
    if form.remember.is_some() {
        login = login.remember();
    }
    session.load().await?;
    session.login(login)?;
    Ok(Redirect::to("/"))
}

/// A label for the list of devices, of at most 128 bytes.
fn device(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT);
    let agent = agent.and_then(|agent| agent.to_str().ok());
    agent.unwrap_or("unknown").chars().take(128).collect()
}

async fn sign_out(session: Session) -> Result<Redirect, Error> {
    session.run(Session::logout).await?;
    Ok(Redirect::to("/"))
}

async fn devices(State(site): Shared, session: Session) -> Result<Html<String>, Error> {
    let devices = session.run(Session::user_sessions).await?;
    let here = session.id()?;
    let devices: Vec<_> = devices
        .iter()
        .map(|device| object!({ "label": device.label, "here": Some(device.id) == here }))
        .collect();
    let globals = object!({ "devices": devices });
    session.render(&site.devices, &globals).map(Html)
}

async fn sign_out_elsewhere(session: Session) -> Result<Redirect, Error> {
    session.run(Session::revoke_others).await?;
    Ok(Redirect::to("/devices"))
}

async fn cart(session: Session) -> Result<Json<Json_>, Error> {
    session.load().await?;
    let cart = session.get_as("cart")?;
    Ok(Json(cart.unwrap_or_else(|| json!([]))))
}

async fn put_in_cart(session: Session, Json(item): Json<String>) -> Result<StatusCode, Error> {
    session.load().await?;
    session.append("cart", item)?;
    Ok(StatusCode::NO_CONTENT)
}

/// A page asks each minute, to warn before the visitor is signed out: that must not prolong the session.
async fn time_left(session: Option<Session>) -> Result<Json<Json_>, Error> {
    let Some(session) = session else {
        return Ok(Json(Json_::Null));
    };
    session.dont_prolong();
    session.load().await?;
    let deadline = session.deadline()?;
    let left = deadline.map(|deadline| (deadline - SystemClock.now()).as_secs());
    Ok(Json(json!(left)))
}

/// Gives a failed answer a page, and the log its cause. Visitors learn no more.
async fn error_page(response: Response<SessionBody<Body>>) -> Response {
    let Some(error) = response.extensions().get::<Error>().cloned() else {
        return response.map(Body::new);
    };
    let cause = error.source().map(ToString::to_string);
    tracing::error!(%error, cause, "a request failed");
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let html = header::HeaderValue::from_static("text/html; charset=utf-8");
    parts.headers.insert(header::CONTENT_TYPE, html);
    Response::from_parts(parts, Body::from("<h1>Something went wrong</h1>"))
}

async fn ready(State(site): Shared) -> StatusCode {
    match tokio::task::spawn_blocking(move || site.sessions.ping()).await {
        Ok(Ok(())) => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The operator's routes, for an address that visitors can't reach.
pub(crate) fn operator(sessions: Sessions) -> Router {
    Router::new()
        .route("/users/{user}", get(list).delete(revoke_all))
        .route("/users/{user}/{session}", axum::routing::delete(revoke_one))
        .route("/metrics", get(metrics))
        .with_state(sessions)
}

/// Work that waits for the store.
async fn with_store<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Response> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(IntoResponse::into_response),
        Err(_) => Err(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
    }
}

async fn list(
    State(sessions): State<Sessions>,
    Path(user): Path<String>,
) -> Result<Json<Vec<Json_>>, Response> {
    let list = with_store(move || sessions.user_sessions(&user)).await?;
    let line = |session: &SessionInfo| {
        json!({
            "session": session.id.to_string(),
            "label": session.label,
            "last_used": session.last_used.as_millis(),
            "deadline": session.deadline.as_millis(),
        })
    };
    Ok(Json(list.iter().map(line).collect()))
}

async fn revoke_all(
    State(sessions): State<Sessions>,
    Path(user): Path<String>,
) -> Result<String, Response> {
    let count = with_store(move || sessions.revoke(&user, Revoke::All)).await?;
    Ok(count.to_string())
}

async fn revoke_one(
    State(sessions): State<Sessions>,
    Path((user, session)): Path<(String, String)>,
) -> Result<String, Response> {
    let id: SessionId = session
        .parse()
        .map_err(|_| StatusCode::NOT_FOUND.into_response())?;
    let count = with_store(move || sessions.revoke(&user, Revoke::One(id))).await?;
    Ok(count.to_string())
}

/// The text format of Prometheus.
async fn metrics(State(sessions): State<Sessions>) -> Result<String, Response> {
    let gauge = sessions.clone();
    let count = with_store(move || Ok(gauge.count())).await?;
    let mut text = String::new();
    for (name, value) in sessions.counters().iter() {
        text += &format!("# TYPE session_{name}_total counter\nsession_{name}_total {value}\n");
    }
    if let Some(count) = count {
        text += &format!("# TYPE sessions gauge\nsessions {count}\n");
    }
    Ok(text)
}

/// Serves both until `stop` is over, and then the requests that have begun.
pub(crate) async fn serve(
    sessions: Sessions,
    visitors: TcpListener,
    operators: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Box<dyn StdError + Send + Sync>> {
    let site = site(sessions.clone())?;
    let sweeping = tokio::spawn(sessions.sweep_every(Duration::from_secs(60)));
    let operator = tokio::spawn(axum::serve(operators, operator(sessions)).into_future());
    axum::serve(visitors, site)
        .with_graceful_shutdown(stop)
        .await?;
    operator.abort();
    sweeping.abort();
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError + Send + Sync>> {
    tracing_subscriber::fmt().init();
    let store: Box<dyn SessionStore> = match std::env::args_os().nth(1) {
        Some(file) => Box::new(RedbStore::open(file)?),
        None => Box::new(MemoryStore::new()),
    };
    // For http://localhost. In production: `SessionConfig::default()`, with `trusted_proxies` if a proxy
    // ends TLS; the site is then served with `into_make_service_with_connect_info::<SocketAddr>()`.
    let config = SessionConfig::builder()
        .environment(Environment::Development)
        .secure_cookies(false)
        .build()?;
    let visitors = TcpListener::bind("127.0.0.1:3000").await?;
    let operators = TcpListener::bind("127.0.0.1:3001").await?;
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    serve(Sessions::new(store, config), visitors, operators, stop).await
}

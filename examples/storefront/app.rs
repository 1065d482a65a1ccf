//! The site as a router of axum.

#[path = "app/options.rs"]
pub(crate) mod options;
#[path = "app/watch.rs"]
mod watch;

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest as _, Query, Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Form, Router};
use liquid::model::{Object, Value};
use liquid::object;
use liquid_session::clock::{Clock as _, SystemClock};
use liquid_session::config::Environment;
use liquid_session::http::SessionLayer;
use liquid_session::views::Views;
use liquid_session::{Error, Session, Sessions};
use tokio::net::TcpListener;
use tower_http::csrf::CsrfLayer;

pub(crate) use watch::Log;
use watch::{Failed, Seen, Watch, has_cookie, watch};

/// The templates, and the sessions they run in.
#[derive(Clone)]
pub(crate) struct Shop {
    views: Arc<Views>,
    sessions: Sessions,
}

/// The query of a `GET`, or the form of a `POST`.
type Params = BTreeMap<String, String>;

impl Shop {
    pub(crate) fn open(site: &Path, sessions: Sessions) -> Result<Self, Error> {
        let views = Arc::new(Views::open(site)?);
        Ok(Self { views, sessions })
    }

    /// Every page of the folder is a route. In Rust is only what a template can't do, and must not
    /// be able to: signing in and out, and looking after the other sessions of a user.
    ///
    /// Whatever matters is taken by `POST` only, which [`serve`](Self::serve) protects from forged requests.
    pub(crate) fn routes(&self) -> Router {
        Router::new()
            .route("/account", get(account))
            .route("/sign-in", post(sign_in))
            .route("/sign-out", post(sign_out))
            .route("/sign-out-elsewhere", post(sign_out_elsewhere))
            .fallback(page)
            .with_state(self.clone())
    }

    /// Serves these routes until `stop` is over, and then what is being answered.
    pub(crate) async fn serve(
        self,
        routes: Router,
        listener: TcpListener,
        log: Log,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let probed = self.sessions.clone();
        let watched = Watch::new(self.sessions.config().clone(), log);
        let app = routes
            .layer(SessionLayer::new(self.sessions.clone()))
            .layer(from_fn_with_state(watched, watch))
            // Outside: what another site posts (CSRF) reaches no session.
            .layer(CsrfLayer::new())
            // Routed after the layers: a probe needs no session.
            .route("/healthz", get(async move || health(probed).await))
            // The layer knows the proxies of `trusted_proxies` by the address of the peer.
            .into_make_service_with_connect_info::<SocketAddr>();
        let sweeping = tokio::spawn(self.sessions.sweep_every(Duration::from_secs(60)));
        let served = axum::serve(listener, app).with_graceful_shutdown(stop);
        let served = served.await;
        sweeping.abort();
        served
    }

    /// Reads changed templates again, in development: that asks the file system about each of them.
    fn refresh(&self) -> Result<(), Failure> {
        if self.sessions.config().environment() == Environment::Development {
            self.views.refresh()?;
        }
        Ok(())
    }
}

/// Any page of the folder.
async fn page(
    State(shop): State<Shop>,
    session: Session,
    request: Request,
) -> Result<Response, Failure> {
    shop.refresh()?;
    let views = &shop.views;
    let path = request.uri().path().to_owned();
    let (status, page) = if let Some(page) = views.page(request.method().as_str(), &path) {
        (StatusCode::OK, page)
    } else if let methods = views.methods(&path)
        && !methods.is_empty()
    {
        let allowed = methods.join(", ").replace("GET", "GET, HEAD");
        let text = format!("This address takes {allowed} only.");
        return Ok((StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, allowed)], text).into_response());
    } else if let Some(page) = views.page("get", "/404") {
        (StatusCode::NOT_FOUND, page)
    } else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    // Whether, and no more: no page may see the secret.
    let came_with_cookie = has_cookie(request.headers(), shop.sessions.config().cookie_name());
    let params = if request.method() == Method::POST {
        match Form::from_request(request, &()).await {
            Ok(Form(params)) => params,
            Err(refused) => return Ok(refused.into_response()),
        }
    } else {
        Query::try_from_uri(request.uri()).map_or_else(|_| Params::new(), |Query(params)| params)
    };
    let mut context = context(&path, params);
    context.insert("came_with_cookie".into(), Value::scalar(came_with_cookie));
    let globals = object!({ "context": context });

    // The page may run more than once: if another request has changed meanwhile what it read, it
    // runs on the present values. So the templates can count and move things about as if they were
    // alone.
    let shown = page.clone();
    let (html, seen) = session
        .render_page(move |session| {
            let html = shown.render(session, &globals)?;
            Ok::<_, Error>((html, Seen::at_the_end_of(session)?))
        })
        .await?;

    let answer = match page.redirect_to() {
        Some(to) => Redirect::to(to).into_response(),
        None => (status, [(CONTENT_TYPE, page.content_type())], html).into_response(),
    };
    Ok((Extension(seen), answer).into_response())
}

/// The page about who is signed in, and where.
async fn account(
    State(shop): State<Shop>,
    session: Session,
    Query(params): Query<Params>,
) -> Result<Response, Failure> {
    shop.refresh()?;
    let Some(page) = shop.views.page("get", "/account") else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    let mut context = context("/account", params);
    // A list of sessions waits for the store, so it is read before the page renders.
    let siblings = session.run(Session::user_sessions).await?;
    let here = session.id()?;
    let now = SystemClock.now();
    let siblings = siblings.into_iter().map(|sibling| {
        Value::Object(object!({
            "id": sibling.id.to_string(),
            "minutes": (now - sibling.created).as_secs() / 60,
            "here": here == Some(sibling.id),
        }))
    });
    context.insert("sessions".into(), Value::array(siblings));
    let globals = object!({ "context": context });
    let shown = page.clone();
    let (html, seen) = session
        .render_page(move |session| {
            let html = shown.render(session, &globals)?;
            Ok::<_, Error>((html, Seen::at_the_end_of(session)?))
        })
        .await?;
    Ok((Extension(seen), [(CONTENT_TYPE, page.content_type())], html).into_response())
}

/// Any name will do here. A real site would ask for more.
///
/// Signing in gives the session a new secret, so that nobody who knew the old one comes along.
async fn sign_in(session: Session, Form(params): Form<Params>) -> Result<Response, Failure> {
    let name = params.get("name").map_or("", |name| name.trim());
    let name: String = name.chars().take(40).collect();
    act(session, move |session| {
        if name.is_empty() {
            return session.set("flash", "Please tell us a name.");
        }
        session.login(&name)?;
        // For the templates to greet. `Session::user` is the user who is signed in.
        session.set("user_name", &name)?;
        session.set("flash", format!("Welcome, {name}."))
    })
    .await
}

async fn sign_out(session: Session) -> Result<Response, Failure> {
    session.run(Session::logout).await?;
    let seen = Seen::at_the_end_of(&session)?;
    Ok((Extension(seen), Redirect::to("/account")).into_response())
}

async fn sign_out_elsewhere(session: Session) -> Result<Response, Failure> {
    let others = session.run(Session::revoke_others).await?;
    act(session, move |session| {
        session.set("flash", format!("Other places signed out: {others}."))
    })
    .await
}

/// Changes the session, and shows the account.
async fn act(
    session: Session,
    change: impl Fn(&Session) -> Result<(), Error> + Send + 'static,
) -> Result<Response, Failure> {
    let seen = session
        .render_page(move |session| {
            change(session)?;
            Seen::at_the_end_of(session)
        })
        .await?;
    Ok((Extension(seen), Redirect::to("/account")).into_response())
}

/// What templates see under `context`, beside the session.
fn context(path: &str, params: Params) -> Object {
    let params: Object = params
        .into_iter()
        .map(|(name, value)| (name.into(), Value::scalar(value)))
        .collect();
    object!({
        "location": { "pathname": path },
        "params": params,
    })
}

/// Whether the store answers.
async fn health(sessions: Sessions) -> Response {
    match tokio::task::spawn_blocking(move || sessions.ping()).await {
        Ok(Ok(())) => "ok".into_response(),
        _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// An error, for the log. Visitors learn only that something went wrong; in development the browser
/// shows the error.
struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        log(&self.0);
        let text = "Something went wrong. The server's log says what.";
        let failed = Extension(Failed(self.0.to_string()));
        (StatusCode::INTERNAL_SERVER_ERROR, failed, text).into_response()
    }
}

/// The error, and those of its causes that say something else.
pub(crate) fn log(error: &dyn StdError) {
    let mut said = error.to_string();
    eprintln!("error: {said}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if text.trim_end() != said {
            eprintln!("  because: {text}");
        }
        said = text;
        cause = error.source();
    }
}

//! Sessions in actix-web, a framework that knows nothing of tower: what "any framework" means in the
//! documentation of `liquid_session::http`.
//!
//! ```sh
//! cargo run --example actix --features cookie
//! ```
//!
//! Then open <http://localhost:3000>.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, COOKIE, HeaderValue, SET_COOKIE, VARY};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data, ReqData};
use actix_web::{App, Error as ActixError, HttpMessage as _, HttpResponse, HttpServer};
use liquid::{ParserBuilder, Template, object};
use liquid_session::config::Environment;
use liquid_session::{
    Answer, Error, Finished, MemoryStore, ParserBuilderExt as _, Session, SessionConfig, Sessions,
};

const PAGE: &str = "{%- session visits = context.session.visits | default: 0 | plus: 1 -%}
<p>Hello {{ context.current_user.id | default: 'visitor' | escape }}: visit {{ context.session.visits }}.</p>
";

/// Opens the session of each request, ends it before the head of the answer is sent, and sends the cookie.
async fn with_session(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, ActixError> {
    let Some(sessions) = request.app_data::<Data<Sessions>>().cloned() else {
        return Err(actix_web::error::ErrorInternalServerError("no sessions"));
    };
    let production = sessions.config().environment() == Environment::Production;
    let session = if production && !request.app_config().secure() {
        Session::disabled("plain HTTP has none in production")
    } else {
        sessions.open_from_headers(request.headers().get_all(COOKIE))
    };
    request.extensions_mut().insert(session.clone());

    let mut response = next.call(request).await?.map_into_boxed_body();
    let answer = match response.status().is_server_error() {
        true => Answer::Failed,
        false => Answer::Good,
    };
    let ended = session.clone();
    // The commit may wait for the store.
    let Finished { cookie, error } = web::block(move || ended.finish(answer)).await?;
    if let Some(error) = error {
        response = response.into_response(failed(&error));
    }
    let headers = response.headers_mut();
    for cookie in cookie
        .iter()
        .flat_map(|outcome| sessions.set_cookies(outcome))
    {
        let cookie =
            HeaderValue::try_from(cookie).map_err(actix_web::error::ErrorInternalServerError)?;
        headers.append(SET_COOKIE, cookie);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if session.is_accessed() {
        headers.append(VARY, HeaderValue::from_static("Cookie"));
    }
    Ok(response)
}

/// The log gets the error, the visitor an empty answer.
fn failed(error: &Error) -> HttpResponse {
    eprintln!("the session failed: {error}");
    HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Runs work that may wait for the store, and answers with what it returns.
async fn answer(
    session: ReqData<Session>,
    work: impl FnOnce(&Session) -> Result<String, Error> + Send + 'static,
) -> Result<HttpResponse, ActixError> {
    let session = session.into_inner();
    let html = web::block(move || work(&session)).await?;
    Ok(match html {
        Ok(html) => HttpResponse::Ok()
            .content_type("text/html; charset=utf-8")
            .body(html),
        Err(error) => failed(&error),
    })
}

/// Renders in a transaction, so that the counter is exact.
async fn home(page: Data<Template>, session: ReqData<Session>) -> Result<HttpResponse, ActixError> {
    answer(session, move |session| {
        let render = |session: &Session| session.render(&page, &object!({}));
        session.transaction(render).map(|(html, _)| html)
    })
    .await
}

async fn sign_in(
    user: web::Path<String>,
    session: ReqData<Session>,
) -> Result<HttpResponse, ActixError> {
    // Here a real site checks a password.
    answer(session, move |session| {
        session.login(user.into_inner())?;
        Ok("signed in\n".to_owned())
    })
    .await
}

async fn sign_out(session: ReqData<Session>) -> Result<HttpResponse, ActixError> {
    answer(session, |session| {
        session.logout()?;
        Ok("signed out\n".to_owned())
    })
    .await
}

/// The routes, with the sessions around them.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::scope("")
            .wrap(from_fn(with_session))
            .route("/", web::get().to(home))
            .route("/sign-in/{user}", web::post().to(sign_in))
            .route("/sign-out", web::post().to(sign_out)),
    );
}

pub(crate) fn page() -> Result<Template, liquid::Error> {
    ParserBuilder::with_stdlib().sessions().build()?.parse(PAGE)
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // For http://localhost; see `SessionConfig`.
    let config = SessionConfig::builder()
        .environment(Environment::Development)
        .secure_cookies(false)
        .build()?;
    let sessions = Data::new(Sessions::new(MemoryStore::new(), config));
    let page = Data::new(page()?);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(sessions.clone())
            .app_data(page.clone())
            .configure(routes)
    });
    server.bind("127.0.0.1:3000")?.run().await?;
    Ok(())
}

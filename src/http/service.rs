use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use tower_service::Service;

use super::layer::SessionLayer;
use super::{blocking, scheme};
use crate::error::{Error, ErrorKind};
use crate::session::{Outcome, Session};
use crate::sessions::Sessions;

/// What [`SessionLayer`] makes of a service. See the [module](crate::http).
#[derive(Clone, Debug)]
pub struct SessionService<S> {
    inner: S,
    layer: SessionLayer,
}

impl<S> SessionService<S> {
    pub(super) fn new(inner: S, layer: SessionLayer) -> Self {
        Self { inner, layer }
    }

    fn open<B>(&self, request: &Request<B>) -> Session {
        let sessions = &self.layer.sessions;
        if scheme::admits(sessions.config(), self.layer.https, request) {
            sessions.open_from_headers(request.headers().get_all(COOKIE))
        } else {
            Session::disabled(
                "plain HTTP has none in production: serve over HTTPS, name the proxy that ends TLS in `trusted_proxies`, or set `environment: development` on your own machine",
            )
        }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SessionService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Future: Send + 'static,
    ResBody: Default + Send + 'static,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<Response<ResBody>, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let session = self.open(&request);
        request.extensions_mut().insert(session.clone());
        let response = self.inner.call(request);
        let sessions = self.layer.sessions.clone();
        ResponseFuture(Box::pin(async move {
            let mut response = response.await?;
            finish(&sessions, &session, &mut response).await;
            Ok(response)
        }))
    }
}

/// What a [`SessionService`] answers with.
pub struct ResponseFuture<T, E>(Pin<Box<dyn Future<Output = Result<T, E>> + Send>>);

impl<T, E> Future for ResponseFuture<T, E> {
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<T, E> fmt::Debug for ResponseFuture<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// Commits, and makes the head of the response say what the visitor and the caches need to know.
async fn finish<B: Default>(sessions: &Sessions, session: &Session, response: &mut Response<B>) {
    if !session.is_enabled() {
        return;
    }
    let failed = response.status().is_server_error();
    // Without a read or a write there is nothing that a store could be asked.
    let blocks = session.may_block() && session.is_accessed();
    let handle = session.clone();
    let committed = blocking::run(blocks, move || commit(&handle, failed)).await;
    let (cookie, error) = match committed {
        Ok(committed) => committed,
        Err(error) => (session.unsent(), Some(error)),
    };
    if let Some(error) = error {
        *response = opaque(error);
    }
    if let Some(cookie) = cookie.and_then(|outcome| sessions.set_cookie(&outcome)) {
        match HeaderValue::try_from(cookie) {
            Ok(cookie) => send(cookie, response.headers_mut()),
            // Not reached: the settings allow only what fits a header.
            Err(cause) => {
                let problem = "the session cookie does not fit a header";
                *response = opaque(Error::with_source(ErrorKind::Config, problem, cause));
                return;
            }
        }
    }
    if session.is_accessed() {
        vary_by_cookie(response.headers_mut());
    }
}

/// The outcome to tell the visitor, and what failed.
fn commit(session: &Session, failed: bool) -> (Option<Outcome>, Option<Error>) {
    if failed {
        session.discard();
    }
    let error = session.commit().err();
    if error.is_some() {
        session.discard();
        // Nothing is left to store; a logout's cookie may be left to remove.
        let _ = session.commit();
    }
    (session.unsent(), error)
}

fn opaque<B: Default>(error: Error) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.extensions_mut().insert(error);
    response
}

fn send(mut cookie: HeaderValue, headers: &mut HeaderMap) {
    // Whoever prints headers for debugging does not print the secret.
    cookie.set_sensitive(true);
    headers.append(SET_COOKIE, cookie);
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

fn vary_by_cookie(headers: &mut HeaderMap) {
    let named = headers
        .get_all(VARY)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|name| matches!(name.trim(), "*") || name.trim().eq_ignore_ascii_case("cookie"));
    if !named {
        headers.append(VARY, HeaderValue::from_static("Cookie"));
    }
}

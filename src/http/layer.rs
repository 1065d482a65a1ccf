use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

use super::run::blocking;
use super::scheme;
use crate::error::{Error, ErrorKind};
use crate::session::{Answer, Finished, Session};
use crate::sessions::Sessions;


/// Gives every request its [`Session`](crate::Session), commits it, and sends the cookie. See the
/// [module](crate::http) for the rules.
///
/// # Example
///
/// ```
/// use http::{Request, Response};
/// use liquid_session::http::SessionLayer;
/// use liquid_session::{Error, MemoryStore, Session, SessionConfig, Sessions};
/// use tower::{ServiceBuilder, ServiceExt as _, service_fn};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
///
/// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
/// let site = ServiceBuilder::new()
///     .layer(SessionLayer::new(sessions).assume_https())
///     .service(service_fn(async |request: Request<String>| {
///         let session: &Session = request.extensions().get().expect("the layer put it there");
///         let visits = session.increment("visits", 1)?;
///         Ok::<_, Error>(Response::new(visits.to_string()))
///     }));
///
/// let response = site.oneshot(Request::new(String::new())).await?;
/// assert_eq!(response.body(), "1");
/// let cookie = response.headers()["set-cookie"].to_str().unwrap();
/// assert!(cookie.starts_with("__Host-sid="));
/// assert!(cookie.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/"));
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SessionLayer {
    pub(super) sessions: Sessions,
    pub(super) https: bool,
}

impl SessionLayer {
    /// A layer for these sessions.
    ///
    /// ```
    /// use liquid_session::http::SessionLayer;
    /// use liquid_session::{MemoryStore, SessionConfig, Sessions};
    ///
    /// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let layer = SessionLayer::new(sessions);
    /// ```
    pub fn new(sessions: Sessions) -> Self {
        Self {
            sessions,
            https: false,
        }
    }

    /// Takes every request for one over HTTPS: TLS ends in this server, or in a proxy without which
    /// nobody reaches it.
    ///
    /// It switches a protection off where that is not so: prefer the setting `trusted_proxies` if
    /// the server can be reached past the proxy.
    ///
    /// ```
    /// # use liquid_session::http::SessionLayer;
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let layer = SessionLayer::new(sessions).assume_https();
    /// ```
    pub fn assume_https(mut self) -> Self {
        self.https = true;
        self
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::new(inner, self.clone())
    }
}

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

/// Commits, and puts into the head of the response what the visitor and the caches need to know.
async fn finish<B: Default>(sessions: &Sessions, session: &Session, response: &mut Response<B>) {
    if !session.is_enabled() {
        return;
    }
    let answer = if response.status().is_server_error() {
        Answer::Failed
    } else {
        Answer::Good
    };
    let may_block = session.may_block() && session.needs_store();
    let handle = session.clone();
    let finished = blocking(may_block, move || handle.finish(answer)).await;
    let Finished { cookie, error } = finished.unwrap_or_else(|error| Finished {
        cookie: None,
        error: Some(error),
    });
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

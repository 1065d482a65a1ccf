use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderValue, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::answer::opaque;
use super::body::SessionBody;
use super::scheme::{self, split_unquoted};
use crate::error::{Error, ErrorKind};
use crate::observe::{self, count};
use crate::session::{Answer, Finished, Session};
use crate::sessions::Sessions;

/// A layer that opens the [`Session`](crate::Session) of every request, commits it, and sends the
/// cookie. The [module](crate::http) has the rules.
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
///         session.load().await?;
///         let visits = session.increment("visits", 1)?;
///         Ok::<_, Error>(Response::new(visits.to_string()))
///     }));
///
/// let response = site.oneshot(Request::new(String::new())).await?;
/// assert_eq!(response.status(), 200);
/// let cookie = response.headers()["set-cookie"].to_str().unwrap();
/// assert!(cookie.starts_with("__Host-sid="));
/// assert!(cookie.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/"));
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use]
#[doc(alias = "csrf")]
#[doc(alias = "middleware")]
pub struct SessionLayer {
    sessions: Sessions,
    https: bool,
    /// The reasons for which a request had no session, one bit each, that the log has been told.
    reported: Arc<AtomicU8>,
}

impl SessionLayer {
    /// Creates a layer for these sessions.
    pub fn new(sessions: Sessions) -> Self {
        Self {
            sessions,
            https: false,
            reported: Arc::default(),
        }
    }

    /// Treats every request as one over HTTPS, for servers that end TLS themselves or can be reached
    /// only through a proxy that does.
    ///
    /// If the server can be reached past the proxy, this switches a protection off: use the setting
    /// `trusted_proxies` instead.
    pub fn assume_https(mut self) -> Self {
        self.https = true;
        self
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService {
            inner,
            layer: self.clone(),
        }
    }
}

/// The service that [`SessionLayer`] creates. The [module](crate::http) has the rules.
#[derive(Clone, Debug)]
pub struct SessionService<S> {
    inner: S,
    layer: SessionLayer,
}

/// Marks a request whose session an outer layer has opened, and will commit.
#[derive(Clone)]
struct Opened(Sessions);

impl<S> SessionService<S> {
    fn open<B>(&self, request: &Request<B>) -> Session {
        let sessions = &self.layer.sessions;
        let Some(cause) = scheme::refusal(sessions.config(), self.layer.https, request) else {
            return sessions.open_from_headers(request.headers().get_all(COOKIE));
        };
        let bit = 1 << cause as u8;
        let told = self.layer.reported.fetch_or(bit, Ordering::Relaxed) & bit != 0;
        if told {
            count(&sessions.tally().plain_http, 1);
        } else {
            sessions.tally().plain_http(cause.reason());
        }
        Session::disabled(cause.reason())
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SessionService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Future: Send + 'static,
    ResBody: Send + 'static,
{
    type Response = Response<SessionBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<Self::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let sessions = &self.layer.sessions;
        let opened = request.extensions().get::<Opened>();
        if opened.is_some_and(|Opened(outer)| outer.are(sessions)) {
            let response = self.inner.call(request);
            return ResponseFuture(Box::pin(async move {
                Ok(response.await?.map(SessionBody::new))
            }));
        }
        let session = self.open(&request);
        let sessions = sessions.clone();
        request.extensions_mut().insert(session.clone());
        request.extensions_mut().insert(Opened(sessions.clone()));
        let response = observe::polling(|| self.inner.call(request));
        ResponseFuture(Box::pin(async move {
            let mut response = pin!(response);
            let response = poll_fn(|cx| observe::polling(|| response.as_mut().poll(cx)));
            let mut response = response.await?.map(SessionBody::new);
            finish(&sessions, &session, &mut response).await;
            Ok(response)
        }))
    }
}

/// The response future of a [`SessionService`].
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

/// Commits, and adds the headers for the visitor and the caches to the response.
async fn finish<B>(
    sessions: &Sessions,
    session: &Session,
    response: &mut Response<SessionBody<B>>,
) {
    if !session.is_enabled() {
        return;
    }
    let answer = if response.status().is_server_error() {
        Answer::Failed
    } else {
        Answer::Good
    };
    let Finished { cookie, error } = session.finish_awaited(answer).await;
    if let Some(error) = error {
        *response = opaque(error, SessionBody::empty());
    }
    for cookie in cookie
        .iter()
        .flat_map(|outcome| sessions.set_cookies(outcome))
    {
        match HeaderValue::try_from(cookie) {
            Ok(mut cookie) => {
                // Debugging output of headers does not contain it.
                cookie.set_sensitive(true);
                response.headers_mut().append(SET_COOKIE, cookie);
                keep_from_shared_caches(response.headers_mut());
            }
            // Not reached: the settings allow only what fits a header.
            Err(cause) => {
                let problem = "the session cookie does not fit a header";
                let error = Error::with_source(ErrorKind::Config, problem, cause);
                *response = opaque(error, SessionBody::empty());
                return;
            }
        }
    }
    if session.is_accessed() {
        vary_by_cookie(response.headers_mut());
    }
}

/// Makes sure that no shared cache stores a response with a session cookie (RFC 9111, 5.2.2).
/// `private` and `no-store` without qualification do that already; all other directives of the handler
/// are replaced.
fn keep_from_shared_caches(headers: &mut HeaderMap) {
    let says = |word: &str| {
        headers.get_all(CACHE_CONTROL).iter().any(|value| {
            value.to_str().is_ok_and(|value| {
                split_unquoted(value, ',')
                    .any(|directive| directive.trim().eq_ignore_ascii_case(word))
            })
        })
    };
    // With `must-understand`, a cache may ignore `no-store` (RFC 9111, 5.2.2.3).
    let kept = says("private") || says("no-store") && !says("must-understand");
    if !kept {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    // Headers that overrule `Cache-Control` in a shared cache (RFC 9213, and those of products).
    let overruling: Vec<_> = headers
        .keys()
        .filter(|name| {
            let name = name.as_str();
            name.ends_with("cdn-cache-control")
                || [
                    "edge-control",
                    "surrogate-control",
                    "x-accel-expires",
                    "x-litespeed-cache-control",
                ]
                .contains(&name)
        })
        .cloned()
        .collect();
    for name in overruling {
        headers.remove(name);
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

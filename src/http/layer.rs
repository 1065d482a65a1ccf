use tower_layer::Layer;

use super::service::SessionService;
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

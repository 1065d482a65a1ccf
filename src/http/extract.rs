use std::fmt;

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use super::answer::opaque;
use crate::error::Error;
use crate::session::Session;

/// Extracts the session that [`SessionLayer`](super::SessionLayer) opened for the request.
///
/// ```
/// use axum::body::Body;
/// use axum::http::{Request, StatusCode};
/// use axum::{Router, routing::get};
/// use liquid_session::http::SessionLayer;
/// use liquid_session::{MemoryStore, Session, SessionConfig, Sessions};
/// use tower::ServiceExt as _;
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
///
/// async fn visits(session: Session) -> Result<String, StatusCode> {
///     let visits = session.render_page(|session| session.increment("visits", 1)).await;
///     let visits = visits.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
///     Ok(format!("visit {visits}"))
/// }
///
/// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
/// let app = Router::new()
///     .route("/", get(visits))
///     .layer(SessionLayer::new(sessions).assume_https());
///
/// let response = app.oneshot(Request::get("/").body(Body::empty())?).await?;
/// let body = axum::body::to_bytes(response.into_body(), 100).await?;
/// assert_eq!(body, "visit 1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = MissingSessionLayer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MissingSessionLayer> {
        let session = parts.extensions.get::<Session>();
        session.cloned().ok_or(MissingSessionLayer(()))
    }
}

/// Extracts the session of a request that may have none: `None` on a route without
/// [`SessionLayer`](super::SessionLayer), and for a [disabled](Session::is_enabled) session.
impl<S: Send + Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        let session = parts.extensions.get::<Session>();
        Ok(session.filter(|session| session.is_enabled()).cloned())
    }
}

/// Makes an error the answer of a handler: an empty 500, or 503 with `Retry-After` if the store can't be
/// reached or is full. The error is in the response's extensions, for a middleware that writes a page or a
/// log line; the visitor sees nothing of it.
///
/// ```
/// use axum::response::IntoResponse as _;
/// use liquid_session::{Error, ErrorKind, Session};
///
/// async fn visits(session: Session) -> Result<String, Error> {
///     Ok(format!("visit {}", session.increment("visits", 1)?))
/// }
///
/// let response = Error::new(ErrorKind::Unavailable, "the session store can't be reached").into_response();
/// assert_eq!(response.status(), 503);
/// assert_eq!(response.headers()["retry-after"], "5");
/// assert!(response.extensions().get::<Error>().is_some());
/// ```
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        opaque(self, Body::empty())
    }
}

/// The rejection of a handler that takes a [`Session`] on a route without
/// [`SessionLayer`](super::SessionLayer).
///
/// The response is a 500 whose text names the missing layer: a mistake in the program, which the first
/// request shows.
#[derive(Debug)]
pub struct MissingSessionLayer(());

impl fmt::Display for MissingSessionLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "no session in this request: add `SessionLayer` to the router, after this route",
        )
    }
}

impl std::error::Error for MissingSessionLayer {}

impl IntoResponse for MissingSessionLayer {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

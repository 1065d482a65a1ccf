use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use crate::session::Session;

/// The session that [`SessionLayer`](super::SessionLayer) opened for the request.
///
/// ```
/// use axum::Router;
/// use axum::routing::get;
/// use liquid_session::http::SessionLayer;
/// use liquid_session::{MemoryStore, Session, SessionConfig, Sessions};
///
/// async fn visits(session: Session) -> String {
///     match session.increment("visits", 1) {
///         Ok(visits) => format!("{visits} visits"),
///         Err(error) => error.to_string(),
///     }
/// }
///
/// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
/// let app: Router = Router::new()
///     .route("/", get(visits))
///     .layer(SessionLayer::new(sessions));
/// ```
impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = MissingSessionLayer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MissingSessionLayer> {
        let session = parts.extensions.get::<Session>();
        session.cloned().ok_or(MissingSessionLayer(()))
    }
}

/// A handler asked for a [`Session`], and no [`SessionLayer`](super::SessionLayer) put one there.
///
/// The answer is a 500 that says so: it is a mistake in the program, and shows at the first request.
///
/// ```
/// use axum::http::StatusCode;
/// use axum::response::IntoResponse as _;
/// use axum::extract::FromRequestParts as _;
/// use liquid_session::Session;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
///
/// let (mut parts, ()) = axum::http::Request::new(()).into_parts();
/// let missing = Session::from_request_parts(&mut parts, &()).await.unwrap_err();
/// assert!(missing.to_string().contains("SessionLayer"));
/// assert_eq!(missing.into_response().status(), StatusCode::INTERNAL_SERVER_ERROR);
/// # });
/// ```
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

//! The answer for a request whose session failed.

use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};

use crate::error::{Error, ErrorKind};

/// What a client is asked to wait before it tries again: five seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// Returns an empty answer, with the error in its extensions: 503 with `Retry-After` if the store can't be
/// reached or is full, and 500 otherwise.
pub(super) fn opaque<B>(error: Error, empty: B) -> Response<B> {
    let mut response = Response::new(empty);
    *response.status_mut() = match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Full => {
            response
                .headers_mut()
                .insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    response.extensions_mut().insert(error);
    response
}

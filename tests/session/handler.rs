//! A handler that reads its session without awaiting it.

use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::http::{Request, Response};
use liquid_session::http::SessionLayer;
use liquid_session::{Session, Sessions};
use tower::{ServiceBuilder, ServiceExt as _, service_fn};

/// Sends one request with this cookie.
pub(crate) fn read(sessions: &Sessions, cookie: &str) {
    let app = ServiceBuilder::new()
        .layer(SessionLayer::new(sessions.clone()).assume_https())
        .service(service_fn(async |request: Request<String>| {
            let session: &Session = request.extensions().get().unwrap();
            session.get("color").unwrap();
            Ok::<_, Infallible>(Response::new(String::new()))
        }));
    let name = sessions.config().cookie_name();
    let request = Request::get("/").header("cookie", format!("{name}={cookie}"));
    let answer = pin!(app.oneshot(request.body(String::new()).unwrap()));
    // Without a runtime every call is made in place.
    let polled = answer.poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Ok(_))));
}

//! Sessions over HTTP: cookies for any framework, a layer for tower, an extractor for axum.
//!
//! # Any framework
//!
//! With the feature `cookie`:
//!
//! 1. Open the session with the `Cookie` headers:
//!    [`open_from_headers`](crate::Sessions::open_from_headers). Over plain HTTP in production, open
//!    [`Session::disabled`](crate::Session::disabled) instead.
//! 2. When the answer is ready, before its head is sent, [`finish`](crate::Session::finish) the request;
//!    in async code with the feature `tower`, [`finish_async`](crate::Session::finish_async).
//! 3. Send the headers that [`set_cookies`](crate::Sessions::set_cookies) returns, and with them
//!    `Cache-Control: no-store`. If the session [was read](crate::Session::is_accessed), send
//!    `Vary: Cookie`.
//!
//! ```
//! use liquid_session::{Answer, Error, MemoryStore, SessionConfig, Sessions};
//!
//! type Headers = Vec<(String, String)>;
//!
//! /// A handler of the framework.
//! fn serve(sessions: &Sessions, request: &Headers) -> Result<Headers, Error> {
//!     let cookies = request.iter().filter(|(name, _)| name.eq_ignore_ascii_case("cookie"));
//!     let session = sessions.open_from_headers(cookies.map(|(_, value)| value));
//!
//!     let visits = session.increment("visits", 1);
//!     let answer = if visits.is_ok() { Answer::Good } else { Answer::Failed };
//!     let finished = session.finish(answer);
//!
//!     let mut response = vec![("X-Visits".to_owned(), visits?.to_string())];
//!     for cookie in finished.cookie.iter().flat_map(|outcome| sessions.set_cookies(outcome)) {
//!         response.push(("Set-Cookie".to_owned(), cookie));
//!         response.push(("Cache-Control".to_owned(), "no-store".to_owned()));
//!     }
//!     if session.is_accessed() {
//!         response.push(("Vary".to_owned(), "Cookie".to_owned()));
//!     }
//!     finished.error.map_or(Ok(response), Err)
//! }
//!
//! let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
//! let first = serve(&sessions, &vec![])?;
//! let cookie = first[1].1.split(';').next().unwrap().to_owned();
//!
//! let second = serve(&sessions, &vec![("Cookie".to_owned(), cookie)])?;
//! assert_eq!(second[0].1, "2");
//! # Ok::<(), Error>(())
//! ```
//!
//! `examples/actix.rs` does the same in actix-web, as a middleware.
//!
//! # tower
//!
//! With the feature `tower`, [`SessionLayer`] does all of this. Every request has a
//! [`Session`](crate::Session) in its extensions. With the feature `axum`, handlers take it as an
//! argument. The rules:
//!
//! 1. **Opening is free.** A request that does not touch the session costs no store call, and gets no
//!    cookie and no header.
//! 2. **The commit comes before the head of the response.** A write after that, in a streaming body for
//!    example, is an error.
//! 3. **An answer of 500 and above commits nothing.** Changes, [`renew`](crate::Session::renew) and
//!    [`login`](crate::Session::login) are dropped. [`take`](crate::Session::take),
//!    [`logout`](crate::Session::logout) and the handler's own commits have acted already; their
//!    cookies are sent with any status.
//! 4. **A request that is given up commits nothing.** If the visitor disconnects or a timeout drops the
//!    future before the commit has begun, the changes are dropped.
//! 5. **If the commit fails, the answer is an empty 500**, or 503 with `Retry-After` if the store can't
//!    be reached or is full. The [`Error`](crate::Error) is in the response's extensions, and with the
//!    feature `tracing` in the log. A damaged session is ended, so the visitor's next request works. With
//!    the feature `axum`, an `Error` that a handler returns is the same answer.
//! 6. **No shared cache stores an answer with the cookie.** It gets `Cache-Control: no-store`, unless
//!    the handler said `private` or `no-store` without qualification. Headers that overrule it, such as
//!    `CDN-Cache-Control`, are removed. An answer that depended on the session gets `Vary: Cookie`.
//! 7. **In `production`, plain HTTP has no session.** No cookie is read or sent, nothing is loaded, and
//!    a write fails with the reason.
//! 8. **The commit blocks no thread.** A store with an
//!    [async face](crate::store::SessionStore::as_async) is awaited; the commit to another one that
//!    [may block](crate::store::SessionStore::may_block) moves to a blocking thread. Handlers await
//!    [`load`](crate::Session::load), [`run`](crate::Session::run) or
//!    [`render_page`](crate::Session::render_page).
//! 9. **Nested layers share the session.** A layer inside another one of the same
//!    [`Sessions`](crate::Sessions) passes its session through, and leaves commit and cookie to the
//!    outer layer.
//!
//! The body of the response is a [`SessionBody`]. The layer asks nothing of the services around it.
//!
//! # HTTPS
//!
//! A request counts as one over HTTPS if
//!
//! - the host says so: [`SessionLayer::assume_https`] if TLS ends in front of every request, or [`Tls`]
//!   in the extensions of a request whose connection was accepted with TLS;
//! - or a proxy in the setting `trusted_proxies` says so. The address of the connection is
//!   [`PeerAddr`] in the request's extensions or, with the feature `axum`, axum's
//!   `ConnectInfo<SocketAddr>`. `X-Forwarded-Proto` and `Forwarded` count, and without either the
//!   scheme of the request's URI. Every scheme in these headers must be `https`, because the visitor
//!   may have written some of them: let the proxy *replace* the headers.
//!
//! The scheme of a URI (`GET https://… HTTP/1.1`) from any other address does not count: every visitor
//! can write it.
#![cfg_attr(
    not(feature = "axum"),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "they lead to what the other features add"
    )
)]

#[cfg(feature = "tower")]
mod answer;
#[cfg(feature = "tower")]
mod body;
mod cookie;

#[cfg(feature = "axum")]
mod extract;
#[cfg(feature = "tower")]
mod layer;
#[cfg(feature = "tower")]
mod run;
#[cfg(feature = "tower")]
mod scheme;
#[cfg(feature = "tower")]
mod sweep;

#[cfg(feature = "tower")]
pub use body::SessionBody;
#[cfg(feature = "axum")]
pub use extract::MissingSessionLayer;
#[cfg(feature = "tower")]
pub use layer::{ResponseFuture, SessionLayer, SessionService};
#[cfg(feature = "tower")]
pub use scheme::{PeerAddr, Tls};

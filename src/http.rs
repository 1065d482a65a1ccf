//! Sessions over HTTP: the cookie for any framework, a layer for tower, an extractor for axum.
//!
//! # Any framework
//!
//! With the feature `cookie`. Give [`open_from_headers`](crate::Sessions::open_from_headers) the
//! `Cookie` headers, [finish](crate::Session::finish) when the answer is ready, and send what
//! [`set_cookies`](crate::Sessions::set_cookies) returns, before the head of the response has left:
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
//! Over plain HTTP in production, open [`Session::disabled`](crate::Session::disabled) instead.
//!
//! # tower
//!
//! With the feature `tower`, [`SessionLayer`] does all of this. Every request has a
//! [`Session`](crate::Session) in its extensions; with the feature `axum`, handlers take it as an
//! argument. The rules:
//!
//! 1. Opening asks no store. A request that leaves the session alone costs no store call, gets no
//!    cookie and no header.
//! 2. The commit comes before the head of the response. What a handler's clone of the session writes
//!    later, in a body that streams for example, is not stored.
//! 3. An answer of 500 and above commits nothing: changes, [`renew`](crate::Session::renew) and
//!    [`login`](crate::Session::login) are dropped, so that nobody is left with a secret that they
//!    never got. What happened at once stays: [`take`](crate::Session::take),
//!    [`logout`](crate::Session::logout), whose removal cookie goes out whatever the status, and what
//!    the handler committed itself, whose cookie goes out too.
//! 4. If the store fails, or the commit is over a limit, the answer is an empty 500. The
//!    [`Error`](crate::Error) is in the response's extensions, and with the feature `tracing` in the
//!    log.
//! 5. An answer with the cookie is never storable by a shared cache: it gets `Cache-Control: no-store`
//!    unless the handler said `private` or `no-store` without qualification, and headers that overrule
//!    it, such as `CDN-Cache-Control`, go. An answer that depended on the session gets `Vary: Cookie`.
//! 6. In `production`, plain HTTP has no session: no cookie is read or sent, nothing is loaded, and a
//!    write fails with the reason. See below for how the layer knows.
//! 7. The commit moves to a blocking thread if the store [blocks](crate::store::SessionStore::may_block).
//!    What a handler reads itself does not: see [`render_page`](crate::Session::render_page).
//!
//! # How the layer knows HTTPS
//!
//! - The host says so: [`SessionLayer::assume_https`] when TLS ends in front of every request, or
//!   [`Tls`] in the extensions of a request whose connection was accepted with TLS.
//! - A proxy says so, and its address is one of the setting `trusted_proxies`. The address is that of
//!   [`PeerAddr`] in the request's extensions or, with the feature `axum`, of axum's
//!   `ConnectInfo<SocketAddr>`. `X-Forwarded-Proto` and `Forwarded` count, and without either the
//!   scheme in the request's URI. Every value of every one of them must be `https`: the last word may
//!   be the proxy's, the first one the visitor's. Let the proxy *replace* these headers.
//!
//! The request's own word, its URI with a scheme (`GET https://… HTTP/1.1`), is no more than a header
//! that anybody can write, and counts from nobody else.
#![cfg_attr(
    not(feature = "axum"),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "they lead to what the other features add"
    )
)]

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
pub use body::SessionBody;
#[cfg(feature = "axum")]
pub use extract::MissingSessionLayer;
#[cfg(feature = "tower")]
pub use layer::{ResponseFuture, SessionLayer, SessionService};
#[cfg(feature = "tower")]
pub use scheme::{PeerAddr, Tls};

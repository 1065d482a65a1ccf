//! Sessions for Liquid templates: platformOS's `{% session key = value %}` tag and a lazy, live
//! `context.session`, over stores that merge parallel requests and lose nothing.
//!
//! ```
//! use liquid_session::{MemoryStore, ParserBuilderExt as _, SessionConfig, Sessions};
//!
//! let parser = liquid::ParserBuilder::with_stdlib().sessions().build()?;
//! let page = parser.parse(
//!     "{% session color = params.color %}<p class={{ context.session.color }}>",
//! )?;
//! let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
//!
//! let session = sessions.open(None);
//! let globals = liquid::object!({ "params": { "color": "dark" } });
//! assert_eq!(page.render(&session.bind(&globals))?, "<p class=dark>");
//! let outcome = session.commit()?;
//! assert!(outcome.secret().is_some(), "a new session needs a cookie");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Concepts
//!
//! - [`Sessions`] is what an application has: a store, settings, a clock. Make one at the start.
//! - [`Session`] is what a request has: the handle. It loads the record at the first touch, keeps
//!   what the request does, and commits once.
//! - A [`Secret`] is what the cookie holds; the store knows only its hash. A [`SessionId`] is the
//!   public handle of a session, fit for logs and lists.
//! - A [`Record`](store::Record) is a session as a [store](store::SessionStore) holds it; a
//!   [`Change`](store::Change) is what a request did to it.
//!
//! # The life of a request
//!
//! ```text
//! cookie ──▶ sessions.open()        no store call
//!                │
//!           page.render(&session.bind(&globals))
//!                │  first read or write ──▶ store.load     once
//!                │  further reads and writes: in the handle, visible at once
//!                ▼
//!           session.commit() ─────────────▶ store.commit   what was done is merged into
//!                │                                         the record as it is by now
//!                ▼
//!           outcome: a secret for the cookie, or none
//! ```
//!
//! # Laziness
//!
//! | request | loads | commits | cookie |
//! |---|---|---|---|
//! | never touches the session; also `{% if context.session %}` | 0 | 0 | none |
//! | reads it, any number of times | 1 | 0 | none |
//! | writes it | 1 | 1 | only if the session is new |
//! | reads or writes without a cookie | 0 | 1 for a write | set by a write |
//!
//! A use is recorded by a separate touch that writes no data, at most once in a twentieth of the
//! timeout and in five minutes.
//!
//! # Merging and transactions
//!
//! Two requests that write different keys both keep their writes, in whatever order they commit. On
//! the same key the later commit wins. [`Session::increment`] and [`Session::append`] add to what is
//! there by then; [`Session::take`] hands a value to one request only.
//!
//! What a template computes from what it read, `{% session n = context.session.n | plus: 1 %}`, no
//! merge can save: that is what [`Session::transaction`] is for. It commits only if everything that
//! was read is still so, and otherwise runs the page again.
//!
//! # Templates
//!
//! [`ParserBuilderExt::sessions`] registers the tag ([`SessionBlock`](tags::SessionBlock)), a [`render`](tags::RenderTag) tag
//! that shows `context`, and [filters].
//!
//! - A blank value removes the key: nil, a text of white space, `[]`, `{}`. Booleans and `0` are data.
//! - Whatever is absent below `context.session` is nil, at any depth, and errors list no keys.
//! - `{% assign s = context.session %}` and loops take a copy: the engine's own value, which follows
//!   the engine's rules and does not see later writes.
//! - Items of `{% for pair in context.session %}` are pairs, in the engine's order, which is random.
//!   In order: `{% assign keys = context.session | hash_keys %}{% for key in keys %}…`.
//! - `{{ context.session }}` prints keys and values run together, as the engine prints any object;
//!   `{{ context.session | json }}` prints JSON.
//!
//! # How we chose the defaults
//!
//! You should not regret adding this crate. So: an idle timeout of 30 days as the reference has it;
//! 4096 bytes and 256 keys per session, because a session is no database and hostile input must not
//! fill a store; no record and no cookie before the first write; a secret of 256 random bits of which
//! the store knows only the SHA-256; unknown variables in a session value are nil, because that is
//! how templates of the reference are written.
//!
//! # Scope
//!
//! The tag is platformOS's, the engine is liquid-rust 0.26. Sessions live on the server; a cookie
//! that holds the data itself is out of scope, and so is an adapter for stores that can only replace
//! whole records: they can't keep the promise of merging.
//!
//! # Compatibility with platformOS
//!
//! | the reference's pages say | here |
//! |---|---|
//! | a read after a write "may be old value temporarily" | it is visible at once |
//! | numbers are stored as strings | types are kept |
//! | only strings, numbers, booleans | every shape that JSON has, and dates |
//! | "~4KB", elsewhere no limit | `max_bytes`, 4096 by default |
//! | timeouts of 30 minutes, 30 days, a year | 30 days by default |
//! | `{% for key in context.session %}{{ key }}` | items are pairs |
//! | `{% session = null %}` clears all | so it does |
//!
//! Forced by liquid-rust: array literals and comparisons are no values of a tag; a variable whose name
//! begins with `nil`, `null`, `empty`, `blank`, `true` or `false` can't begin a value (keys may); `plus`
//! and its like reject nil, so write `| default: 0 | plus: 1`; an error of a filter names its input, one
//! of `render` and `include` the partial that was not found, one of an index what was looked for; a
//! nil is no index in the argument of a filter; a `size` is the engine's own number, so an index below
//! it, `context.session.cart.size.x`, is an error.

#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod clock;
pub mod config;
mod error;
mod events;
pub mod filters;
pub mod globals;
mod handle;
#[cfg(feature = "cookie")]
pub mod http;
mod literal;
mod record;
mod render;
mod secret;
mod sessions;
mod shared;
pub mod store;
pub mod tags;
#[cfg(feature = "testing")]
pub mod testing;
mod value;
mod view;

pub use config::SessionConfig;
pub use error::{Error, ErrorKind};
pub use handle::{Outcome, Session, Status};
pub use secret::{Secret, SessionId};
pub use sessions::Sessions;
pub use store::MemoryStore;
pub use tags::ParserBuilderExt;
pub use value::Value;

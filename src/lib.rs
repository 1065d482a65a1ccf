//! Sessions for Liquid templates: platformOS's `{% session key = value %}` tag and a lazy, live
//! `context.session`, with stores that merge parallel requests and lose no update.
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
//! # The guide
//!
//! - [Concepts](guide::concepts) and [the life of a request](guide::lifecycle)
//! - [For authors of templates](guide::authors), [in templates](guide::templates), [findings](guide::findings), [the Liquid dialect](guide::dialect), [laziness](guide::laziness),
//!   [merging and transactions](guide::merging), [patterns](guide::patterns)
//! - [Stores](guide::stores), [HTTP](guide::http), [from tower-sessions](guide::tower_sessions),
//!   [testing your templates](guide::testing)
//! - [Advanced topics](guide::advanced), [how we chose the defaults](guide::defaults),
//!   [scope](guide::scope), [compatibility with platformOS](guide::compatibility),
//!   [security model](guide::security), [hostile input](guide::hostile)
//! - [Events and counters](guide::observability), [when it does not work](guide::mistakes)
//!
//! # Where to begin
//!
//! | you have | begin with |
//! |---|---|
//! | templates | [`ParserBuilderExt`], and [`Session::bind`] or [`Session::render`] |
//! | an axum or tower application | [`http`], [`guide::http`] |
//! | another framework | [`http`], [`Sessions::open_from_headers`] |
//! | a store to choose | [`guide::stores`] |
//! | settings to write | [`SessionConfig`] |
//! | a session flow to test | [`testing::scenario`] |
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | adds |
//! |---|---|
//! | `cookie` | reading `Cookie` headers and writing `Set-Cookie` headers, for any web framework |
//! | `tower` | [`SessionLayer`](http::SessionLayer), [waiting for the store in handlers](crate::guide::http#waiting-for-the-store), and [a task that sweeps](Sessions::sweep_every) |
//! | `axum` | [`Session`] as an argument of handlers |
//! | `redb` | [`RedbStore`](store::RedbStore): sessions in one file |
//! | `postgres`, `postgres-tls` | [`PostgresStore`](store::PostgresStore): sessions in a PostgreSQL database, and over TLS |
//! | `redis` | [`RedisStore`](store::RedisStore): sessions on Redis or Valkey |
//! | `redis-tls` | [`RedisStore`](store::RedisStore) over TLS |
//! | `dialect` | [Liquid as platformOS and Shopify write it](guide::dialect): `{% liquid %}`, `function`, literals, nil for unknown names |
//! | `yaml` | [`SessionConfig::from_yaml`] |
//! | `tracing` | [events](guide::observability) for the log |
//! | `views` | [`Views`](views::Views): a site's folder of pages, layouts and partials |
//! | `cli` | the program `liquid-session`, and [`check`](check::check), which reads the templates of a site |
//! | `testing` | [scenario files](testing::scenario), and the [acceptance suite](testing::acceptance) for stores |
#![cfg_attr(
    not(all(
        feature = "axum",
        feature = "cli",
        feature = "dialect",
        feature = "postgres",
        feature = "redb",
        feature = "redis",
        feature = "testing",
        feature = "yaml"
    )),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "some lead to what features add"
    )
)]
// Shows at each item which feature it needs; the hosts of documentation set `docsrs`.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(feature = "cli")]
pub mod check;
pub mod clock;
pub mod config;
#[cfg(feature = "dialect")]
pub mod dialect;
mod error;
#[cfg(any(doc, doctest))]
#[cfg_attr(docsrs, doc(auto_cfg = false))]
pub mod guide;
#[cfg(feature = "cookie")]
pub mod http;
mod limits;
mod observe;
mod record;
mod secret;
mod sensitive;
mod session;
mod sessions;
pub mod store;
pub mod template;
#[cfg(feature = "testing")]
pub mod testing;
mod value;
#[cfg(feature = "views")]
pub mod views;

pub use config::SessionConfig;
pub use error::{Error, ErrorKind};
pub use observe::Counters;
pub use secret::{Secret, SessionId};
pub use session::{Activity, Answer, Finished, Login, Outcome, Session, Status};
pub use sessions::Sessions;
pub use store::MemoryStore;
pub use template::ParserBuilderExt;
pub use value::Value;

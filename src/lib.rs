//! Sessions.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod clock;
/// Settings.
pub mod config;
mod error;
pub mod filters;
mod globals;
mod handle;
mod record;
mod render;
mod secret;
mod sessions;
mod shared;
pub mod store;
mod tag;
mod value;
mod view;

pub use config::SessionConfig;
pub use error::{Error, ErrorKind};
pub use globals::{Bound, IntoGlobal, Lenient};
pub use handle::{Outcome, Session, Status};
pub use render::RenderTag;
pub use secret::{Secret, SessionId};
pub use sessions::Sessions;
pub use store::MemoryStore;
pub use tag::{ParserBuilderExt, SessionBlock, SessionTag};
pub use value::Value;

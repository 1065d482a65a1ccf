//! Sessions.
pub mod clock;
/// Settings.
pub mod config;
mod error;
mod record;
mod secret;
pub mod store;
mod value;
pub use config::SessionConfig;
pub use error::{Error, ErrorKind};
pub use secret::{Secret, SessionId};
pub use store::MemoryStore;
pub use value::Value;
mod handle;
mod sessions;
pub use handle::{Outcome, Session, Status};
pub use sessions::Sessions;
#[cfg(feature = "testing")]
pub mod testing;

//! What happens to sessions, for the log (ASVS 5.0, 16.3). With the public handle at most, never with
//! a secret or a value, and with a key only where it is what somebody has to mend. Without the feature
//! `tracing` nothing happens here.

use crate::error::Error;
use crate::secret::SessionId;
use crate::sensitive::Kind;

/// Under which name a log filters them.
#[cfg(feature = "tracing")]
const TARGET: &str = "liquid_session";

macro_rules! events {
    ($($(#[$meta:meta])* $name:ident($($field:ident: $type:ty),*) => $level:ident, $text:literal;)+) => {
        $($(#[$meta])*
        pub(crate) fn $name($($field: $type),*) {
            #[cfg(feature = "tracing")]
            tracing::event!(
                target: TARGET,
                tracing::Level::$level,
                $($field = $field.shown(),)*
                $text,
            );
            #[cfg(not(feature = "tracing"))]
            let _ = ($($field,)*);
        })+
    };
}

events! {
    created(session: SessionId) => INFO, "session created";
    renewed(session: SessionId) => INFO, "session renewed: its old secret is dead";
    /// The handle is not known if nothing had loaded the session.
    destroyed(session: Option<SessionId>) => INFO, "session ended by its visitor";
    revoked(count: usize) => INFO, "sessions of a user revoked";
    expired(count: usize) => INFO, "expired sessions removed";
    /// One that has expired, was ended, or was never issued: stores can't tell.
    unknown_secret() => WARN, "a secret was presented that opens no session";
    foreign(session: SessionId) => WARN, "a session was presented that belongs to another user";
    gone(session: SessionId) => INFO, "session ended while a request was running: its changes are dropped";
    conflict(session: SessionId) => DEBUG, "a transaction met a conflict";
    /// Without the key where the key is the sensitive datum.
    sensitive(key: Option<&str>, kind: Kind) => WARN, "sensitive data in a session";
}

/// How a field stands in an event.
#[cfg(feature = "tracing")]
trait Shown {
    fn shown(self) -> impl tracing::Value;
}

#[cfg(feature = "tracing")]
impl Shown for SessionId {
    fn shown(self) -> impl tracing::Value {
        tracing::field::display(self)
    }
}

#[cfg(feature = "tracing")]
impl Shown for Option<SessionId> {
    fn shown(self) -> impl tracing::Value {
        self.map(tracing::field::display)
    }
}

#[cfg(feature = "tracing")]
impl Shown for Option<&str> {
    fn shown(self) -> impl tracing::Value {
        self
    }
}

#[cfg(feature = "tracing")]
impl Shown for Kind {
    fn shown(self) -> impl tracing::Value {
        tracing::field::display(self)
    }
}

#[cfg(feature = "tracing")]
impl Shown for usize {
    fn shown(self) -> impl tracing::Value {
        self
    }
}

/// The store, or the system, failed a request; the cause goes nowhere else.
pub(crate) fn failed(error: &Error) {
    #[cfg(feature = "tracing")]
    {
        let cause = std::error::Error::source(error).map(tracing::field::display);
        tracing::error!(target: TARGET, %error, cause, "a session failed");
    }
    #[cfg(not(feature = "tracing"))]
    let _ = error;
}

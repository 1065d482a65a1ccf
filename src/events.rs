//! What happens to sessions, for the log (ASVS 5.0, 16.3) and the counters. With the public handle at
//! most, never with a secret or a value, and with a key only where it is what somebody has to mend.
//! Without the feature `tracing` it is only counted.
//!
//! The events are listed in `docs/guide/observability.md`, and a test compares.

use crate::counters::Tally;
use crate::error::Error;
use crate::secret::SessionId;
use crate::sensitive::Kind;

/// Under which name a log filters them.
#[cfg(feature = "tracing")]
const TARGET: &str = "liquid_session";

macro_rules! events {
    ($($(#[$meta:meta])* $name:ident($($field:ident: $type:ty),*), $counter:ident += $by:expr => $level:ident, $text:literal;)+) => {
        $($(#[$meta])*
        pub(crate) fn $name(tally: &Tally, $($field: $type),*) {
            tally.add(|stripe| &stripe.$counter, $by);
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
    created(session: SessionId), created += 1 => INFO, "session created";
    renewed(session: SessionId), renewed += 1 => INFO, "session renewed: its old secret is dead";
    /// The handle is not known if nothing had loaded the session.
    destroyed(session: Option<SessionId>), ended += 1 => INFO, "session ended by its visitor";
    revoked(count: usize), ended += count as u64 => INFO, "sessions of a user revoked";
    expired(count: usize), swept += count as u64 => INFO, "expired sessions removed";
    /// One that has expired, was ended, or was never issued: stores can't tell.
    unknown_secret(), unknown_secrets += 1 => WARN, "a secret was presented that opens no session";
    foreign(session: SessionId), foreign += 1 => WARN, "a session was presented that belongs to another user";
    /// The handle is not known if the request noticed when it loaded the session again.
    gone(session: Option<SessionId>), gone += 1 => INFO, "session ended while a request was running: its changes are dropped";
    conflict(session: SessionId), conflicts += 1 => DEBUG, "a transaction met a conflict";
    /// Without the key where the key is the sensitive datum.
    sensitive(key: Option<&str>, kind: Kind), sensitive += 1 => WARN, "sensitive data in a session";
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

/// Work that moves to another thread, with the span that it is asked for in.
#[cfg(feature = "tower")]
pub(crate) fn in_this_span<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    #[cfg(feature = "tracing")]
    let work = {
        let span = tracing::Span::current();
        move || span.in_scope(work)
    };
    work
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

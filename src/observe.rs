//! Events for the log (ASVS 5.0, 16.3) and counters for the metrics, from one list. An event contains no
//! secret and no value, and a key only where a template author has to change it. Without the feature
//! `tracing` there are only the counters.
//!
//! `docs/guide/observability.md` lists the events and counters; a test compares.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;
#[cfg(feature = "tracing")]
use crate::error::Shown;
use crate::secret::SessionId;
use crate::sensitive::Kind;

/// The target of every event, for the filters of a log.
#[cfg(feature = "tracing")]
const TARGET: &str = "liquid_session";

/// A counter, its documentation, and the events that raise it.
macro_rules! observed {
    ($(
        $(#[$doc:meta])* $counter:ident $({$(
            $(#[$attribute:meta])* $event:ident($($field:ident: $type:ty),*) += $by:expr => $level:ident, $text:literal;
        )+})?
    )+) => {
        /// Counts of what happened to the sessions of one [`Sessions`](crate::Sessions), from
        /// [`Sessions::counters`](crate::Sessions::counters).
        ///
        /// - Each number begins at zero, only grows, and counts the work of *this* process. A request
        ///   that does not touch its session counts nothing.
        /// - The numbers are read one after the other while requests run: a request may be counted in
        ///   some of them and not yet in others.
        /// - They do not need the feature `tracing`.
        ///
        /// ```
        /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
        /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
        /// let before = sessions.counters();
        /// sessions.open(Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")).get("color")?;
        /// let after = sessions.counters();
        /// assert_eq!(after.unknown_secrets - before.unknown_secrets, 1);
        /// # Ok::<(), liquid_session::Error>(())
        /// ```
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])* pub $counter: u64,)+
        }

        impl Counters {
            /// Iterates over all counters by name, to export them as metrics.
            ///
            /// ```
            /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
            /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
            /// # let session = sessions.open(None);
            /// # session.set("a", 1)?;
            /// # session.commit()?;
            /// // The text format of Prometheus, for the handler of `/metrics`.
            /// let mut metrics = String::new();
            /// for (name, count) in sessions.counters().iter() {
            ///     metrics += &format!("# TYPE session_{name}_total counter\nsession_{name}_total {count}\n");
            /// }
            /// assert!(metrics.contains("\nsession_created_total 1\n"));
            /// # Ok::<(), liquid_session::Error>(())
            /// ```
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($counter), self.$counter),)+].into_iter()
            }
        }

        /// The counters that requests raise.
        #[derive(Default)]
        pub(crate) struct Tally {
            $(pub(crate) $counter: AtomicU64,)+
        }

        impl Tally {
            pub(crate) fn read(&self) -> Counters {
                Counters {
                    $($counter: self.$counter.load(Ordering::Relaxed),)+
                }
            }

            $($($(
                $(#[$attribute])*
                pub(crate) fn $event(&self, $($field: $type),*) {
                    count(&self.$counter, $by);
                    #[cfg(feature = "tracing")]
                    tracing::event!(
                        target: TARGET,
                        tracing::Level::$level,
                        $($field = $field.field(),)*
                        $text,
                    );
                    #[cfg(not(feature = "tracing"))]
                    let _ = ($($field,)*);
                }
            )+)?)+
        }
    };
}

observed! {
    /// Loads from the store, with or without a result: one for a request that touches its session, and
    /// more after a renewal, with several cookies, and for each further attempt of a transaction.
    loads
    /// Changes that were stored, including new sessions and removals by [`take`](crate::Session::take).
    commits
    /// Commits onto a record that another request had changed since it was loaded. The changes of both
    /// are kept.
    merges
    /// Attempts of transactions and commits that failed because of a change by another request. Most
    /// succeed at the next attempt.
    conflicts {
        conflict(session: SessionId) += 1 => DEBUG, "a transaction met a conflict";
    }
    /// Commits whose changes were dropped because the session had ended while the request was running.
    gone {
        // The session ID is not known if the request noticed when it loaded the session again.
        gone(session: Option<SessionId>) += 1 => INFO, "session ended while a request was running: its changes are dropped";
    }
    /// New sessions.
    created {
        created(session: SessionId) += 1 => INFO, "session created";
    }
    /// Sessions that got a new secret by [`renew`](crate::Session::renew) or
    /// [`login`](crate::Session::login).
    renewed {
        renewed(session: SessionId) += 1 => INFO, "session renewed: its old secret is dead";
    }
    /// Sessions that were ended by [`logout`](crate::Session::logout) or
    /// [`revoke`](crate::Sessions::revoke).
    ended {
        // The session ID is not known if the record can't be read.
        destroyed(session: Option<SessionId>) += 1 => INFO, "session ended by its visitor";
        revoked(count: usize) += count as u64 => INFO, "sessions of a user revoked";
    }
    /// Writes that were refused, at once or at the commit, because of a limit or of sensitive data under
    /// `sensitive_data: deny`.
    refused
    /// Secrets that open no session: expired, ended, or never issued. The store can't distinguish these.
    unknown_secrets {
        // Not a warning: a browser may present a dead cookie with every request.
        unknown_secret() += 1 => DEBUG, "a secret was presented that opens no session";
    }
    /// Sessions that belong to another user than the one that [`only_for`](crate::Session::only_for)
    /// named.
    foreign {
        foreign(session: SessionId) += 1 => WARN, "a session was presented that belongs to another user";
    }
    /// Records that could not be read, because they are damaged or of a newer form.
    unreadable {
        // The session ID is not known if the record as a whole can't be read.
        damaged(session: Option<SessionId>) += 1 => ERROR, "a damaged session was ended";
        newer_form() += 1 => WARN, "a session was presented that only a newer program can read";
        skipped(count: usize) += count as u64 => ERROR, "records that can't be read were skipped in the list of a user's sessions";
    }
    /// Session values with an unknown root variable. It counts as nil, so the key is removed. With
    /// [`strict_sessions`](crate::ParserBuilderExt::strict_sessions) it is an error instead.
    unknown_variables {
        unknown_variable(key: Option<&str>, variable: Option<&str>) += 1 => WARN, "a session value names an unknown variable: the key is removed";
    }
    /// Requests with two cookies that opened sessions. One of them was planted, and both sessions were
    /// ended.
    planted {
        planted() += 1 => WARN, "two session cookies opened sessions: both sessions were ended";
    }
    /// Calls of the store that blocked a thread while it polled a handler under `SessionLayer`. Use
    /// `Session::load`, `Session::run` or `Session::render_page` there.
    blocking_calls {
        blocked() += 1 => WARN, "a handler blocks its async thread on the session store: await `load`, `run` or `render_page`";
    }
    /// Requests over plain HTTP in `production`, which have no session.
    plain_http {
        #[cfg_attr(not(feature = "tower"), allow(dead_code, reason = "the layer calls it"))]
        plain_http(reason: &'static str) += 1 => WARN, "a request over plain HTTP has no session";
    }
    /// Expired sessions that [`sweep`](crate::Sessions::sweep) removed.
    swept {
        expired(count: usize) += count as u64 => INFO, "expired sessions removed";
    }
    /// Writes of sensitive data under `sensitive_data: warn` or `deny`.
    sensitive {
        // No key where the key itself is sensitive.
        sensitive(key: Option<&str>, kind: Kind) += 1 => WARN, "sensitive data in a session";
    }
}

pub(crate) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

#[cfg(feature = "tower")]
thread_local! {
    /// Whether this thread polls a handler.
    static POLLING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Polls a handler. Meanwhile the thread must not wait for a store.
#[cfg(feature = "tower")]
pub(crate) fn polling<T>(poll: impl FnOnce() -> T) -> T {
    /// Restores the mark, also in a poll within a poll, and after a panic.
    struct Before(bool);

    impl Drop for Before {
        fn drop(&mut self) {
            POLLING.set(self.0);
        }
    }

    let _before = Before(POLLING.replace(true));
    poll()
}

/// Returns whether this thread polls a handler.
#[inline]
pub(crate) fn is_polling() -> bool {
    #[cfg(feature = "tower")]
    let polling = POLLING.get();
    #[cfg(not(feature = "tower"))]
    let polling = false;
    polling
}

/// Converts a field for an event.
#[cfg(feature = "tracing")]
trait Field {
    fn field(self) -> impl tracing::Value;
}

#[cfg(feature = "tracing")]
macro_rules! fields {
    ($($type:ty => |$value:ident| $shown:expr;)+) => {
        $(impl Field for $type {
            fn field(self) -> impl tracing::Value {
                let $value = self;
                $shown
            }
        })+
    };
}

#[cfg(feature = "tracing")]
fields! {
    SessionId => |id| tracing::field::display(id);
    Option<SessionId> => |id| id.map(tracing::field::display);
    &'static str => |text| text;
    Option<&str> => |text| text.map(|text| Shown(text).to_string());
    Kind => |kind| tracing::field::display(kind);
    usize => |count| count;
}

/// Runs work for another thread in the current span.
#[cfg(feature = "tower")]
pub(crate) fn in_this_span<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    #[cfg(feature = "tracing")]
    let work = {
        let span = tracing::Span::current();
        move || span.in_scope(work)
    };
    work
}

/// Logs a failure of the store or the system. Its cause is logged nowhere else.
pub(crate) fn failed(error: &Error) {
    #[cfg(feature = "tracing")]
    {
        let cause = std::error::Error::source(error).map(tracing::field::display);
        tracing::error!(target: TARGET, %error, cause, "a session failed");
    }
    #[cfg(not(feature = "tracing"))]
    let _ = error;
}

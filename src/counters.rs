//! How often things happened to sessions, for the host's metrics.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// How often things happened to the sessions of one [`Sessions`](crate::Sessions), since it
        /// was made; from [`Sessions::counters`](crate::Sessions::counters).
        ///
        /// - Each number only grows, and counts what *this* process did. A request that leaves its
        ///   session alone counts nothing.
        /// - The numbers are read one after the other while others count: one request may be in some
        ///   of them and not yet in the rest.
        /// - They count without the feature `tracing` too, where events come from.
        ///
        /// ```
        /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
        /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
        /// let before = sessions.counters();
        /// sessions.open("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").get("color")?;
        /// let after = sessions.counters();
        /// assert_eq!(after.unknown_secrets - before.unknown_secrets, 1);
        /// # Ok::<(), liquid_session::Error>(())
        /// ```
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)+
        }

        /// What some of the threads counted. Two lines of the cache: processors fetch them in pairs.
        #[derive(Default)]
        #[repr(align(128))]
        pub(crate) struct Stripe {
            $(pub(crate) $name: AtomicU64,)+
        }

        impl Tally {
            pub(crate) fn read(&self) -> Counters {
                let mut sums = Counters::default();
                for stripe in &self.0 {
                    $(sums.$name += stripe.$name.load(Ordering::Relaxed);)+
                }
                sums
            }
        }
    };
}

counters! {
    /// Records that were asked of the store, found or not: at most one for each request, and one more
    /// for each further attempt of a transaction.
    loads,
    /// Changes that were stored; new sessions and what [`take`](crate::Session::take) removes at once
    /// are among them.
    commits,
    /// Commits onto a record that others had changed since the request loaded it; both keep what they
    /// did.
    merges,
    /// Attempts of transactions that met a change of what they had read. Most succeed the next time.
    conflicts,
    /// Commits that were dropped because the session had ended while the request was running.
    gone,
    /// New sessions.
    created,
    /// Sessions that got a new secret, by [`renew`](crate::Session::renew) or by signing in.
    renewed,
    /// Sessions that were ended, by [`logout`](crate::Session::logout) or by revoking.
    ended,
    /// Writes that were refused, at once or at the commit: over a limit, or sensitive data under
    /// `sensitive_data: deny`.
    refused,
    /// Secrets that open no session: expired, ended, or never issued.
    unknown_secrets,
    /// Sessions that were presented by another user than the one they belong to.
    foreign,
    /// Expired sessions that [`sweep`](crate::Sessions::sweep) removed.
    swept,
    /// Sensitive data that were met under `sensitive_data: warn` or `deny`.
    sensitive,
}

/// More than the threads that count in the same microsecond.
const STRIPES: usize = 16;

/// The counters while they count: threads that share no stripe wait for no line of each other's cache.
#[derive(Default)]
pub(crate) struct Tally([Stripe; STRIPES]);

thread_local! {
    static STRIPE: usize = {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        THREADS.fetch_add(1, Ordering::Relaxed)
    };
}

impl Tally {
    pub(crate) fn add(&self, counter: impl FnOnce(&Stripe) -> &AtomicU64, count: u64) {
        let stripe = STRIPE.with(|thread| *thread) % STRIPES;
        counter(&self.0[stripe]).fetch_add(count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn threads_lose_nothing_and_spread() {
        let tally = Tally::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * STRIPES {
                scope.spawn(|| (0..1000).for_each(|_| tally.add(|stripe| &stripe.loads, 1)));
            }
        });
        let sum = Counters {
            loads: 2 * STRIPES as u64 * 1000,
            ..Counters::default()
        };
        assert_eq!(tally.read(), sum);
        let used = |stripe: &&Stripe| stripe.loads.load(Ordering::Relaxed) > 0;
        assert!(tally.0.iter().filter(used).count() > 1);
    }
}

//! The parts that all sessions of an application share.

use std::sync::Arc;
use std::time::Duration;

use super::queue::Queues;
use crate::clock::{Clock, Timestamp};
use crate::config::SessionConfig;
use crate::error::{Error, ErrorKind};
use crate::observe::{self, Tally, count};
use crate::record::{Change, Lifetime, Owner};
use crate::secret::StoreKey;
use crate::store::users;
use crate::store::{Revoke, SessionInfo, SessionStore};

/// Browsers keep no cookie longer (RFC 6265bis, 5.5).
const MAX_COOKIE_AGE: Duration = Duration::from_secs(400 * 24 * 60 * 60);

pub(crate) struct Shared {
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) config: SessionConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) queues: Queues,
    pub(crate) tally: Tally,
}

impl Shared {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the store for blocking calls, and reports one on a thread that polls a handler.
    pub(crate) fn blocking(&self) -> &dyn SessionStore {
        if observe::is_polling() && self.store.may_block() {
            self.tally.blocked();
        }
        &*self.store
    }

    pub(crate) fn lifetime(&self) -> Lifetime {
        Lifetime::new(self.config.timeout()).absolute(self.config.absolute_timeout())
    }

    pub(super) fn change(&self) -> Change {
        Change::new(self.config.limits(), self.lifetime())
    }

    /// Returns how long browsers keep the cookie of a session; `None` if until they are closed.
    pub(super) fn cookie_age(
        &self,
        owner: Option<&Owner>,
        created: Timestamp,
        now: Timestamp,
    ) -> Option<Duration> {
        let wanted =
            self.config.persistent_cookies() || owner.is_some_and(|owner| owner.persistent);
        let left = match self.config.absolute_timeout() {
            Some(absolute) => (created.min(now) + absolute) - now,
            None => MAX_COOKIE_AGE,
        };
        // Whole seconds; zero would remove the cookie.
        wanted.then(|| left.clamp(Duration::from_secs(1), MAX_COOKIE_AGE))
    }

    /// Ends sessions of a user; see [`users::revoke`].
    pub(crate) fn revoke(
        &self,
        user: &str,
        which: Revoke,
        caller: Option<StoreKey>,
    ) -> Result<usize, Error> {
        let count = users::revoke(self.blocking(), user, which, caller, self.now())?;
        if count > 0 {
            self.tally.revoked(count);
        }
        Ok(count)
    }

    /// The live sessions of a user.
    pub(crate) fn user_sessions(&self, user: &str) -> Result<Vec<SessionInfo>, Error> {
        let (list, unreadable) = users::list(self.blocking(), user, &self.lifetime(), self.now())?;
        if unreadable > 0 {
            self.tally.skipped(unreadable);
        }
        Ok(list)
    }

    /// Counts the error of a write if it is a refusal.
    pub(super) fn refused(&self, error: &Error) {
        if matches!(error.kind(), ErrorKind::Limit | ErrorKind::Sensitive) {
            count(&self.tally.refused, 1);
        }
    }
}

//! The parts that all sessions of an application share.

use std::sync::Arc;

use super::queue::Queues;
use crate::clock::{Clock, Timestamp};
use crate::config::SessionConfig;
use crate::error::{Error, ErrorKind};
use crate::observe::{self, Tally, count};
use crate::record::{Change, Lifetime};
use crate::secret::StoreKey;
use crate::store::users;
use crate::store::{Revoke, SessionInfo, SessionStore};

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

//! Forwards from the old keys of renewed sessions.

use std::time::Duration;

use super::Change;
use crate::clock::Timestamp;
use crate::secret::StoreKey;

/// The life of a forward: 60 seconds.
const TIME: Duration = Duration::from_secs(60);

/// Where a renewed session went. A store keeps it under the old key for 60 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The key of the session since the renewal, in the same shard.
    pub to: StoreKey,
    /// Whether a login moved the session. Commits of requests that had loaded it before do not follow.
    pub by_login: bool,
    /// The moment from which on the forward does not exist.
    pub until: Timestamp,
}

impl Forward {
    /// Creates the forward that a change leaves when it moves a session at `now`.
    pub fn new(to: StoreKey, change: &Change, now: Timestamp) -> Self {
        Self {
            to,
            by_login: change.is_login(),
            until: now + TIME,
        }
    }

    /// Returns whether the forward still exists.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

//! Where renewed sessions go.

use std::time::Duration;

use super::Change;
use crate::clock::Timestamp;
use crate::secret::StoreKey;

/// How long a store remembers where a renewed session went: 60 seconds.
const TIME: Duration = Duration::from_secs(60);

/// Where a renewed session went. A store keeps it under the old key until its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The key of the session since the renewal; in the same shard.
    pub to: StoreKey,
    /// Whether a login renewed it: then what was done before does not follow.
    pub by_login: bool,
    /// From this moment on the forward does not exist.
    pub until: Timestamp,
}

impl Forward {
    /// The forward that a change leaves when it moves a session at `now`.
    pub fn new(to: StoreKey, change: &Change, now: Timestamp) -> Self {
        Self {
            to,
            by_login: change.is_login(),
            until: now + TIME,
        }
    }

    /// Whether the forward still exists.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

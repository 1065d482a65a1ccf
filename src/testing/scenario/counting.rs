//! A store that counts loads and writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::Error;
use crate::store::{Change, Committed, Lease, Record, Revoke, SessionInfo, SessionStore, StoreKey};

/// Loads, and commits that were stored. Touches write no data and are not counted.
#[derive(Default)]
pub(super) struct Counts {
    loads: AtomicU64,
    writes: AtomicU64,
}

impl Counts {
    /// Returns the loads and writes since the last call.
    pub(super) fn take(&self) -> (u64, u64) {
        (
            self.loads.swap(0, Ordering::Relaxed),
            self.writes.swap(0, Ordering::Relaxed),
        )
    }
}

pub(super) struct Counting<S> {
    pub(super) store: S,
    pub(super) counts: Arc<Counts>,
}

impl<S: SessionStore> SessionStore for Counting<S> {
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Option<Arc<Record>>, Error> {
        self.counts.loads.fetch_add(1, Ordering::Relaxed);
        self.store.load(key, now)
    }

    fn commit(&self, key: &StoreKey, change: &Change, now: Timestamp) -> Result<Committed, Error> {
        let committed = self.store.commit(key, change, now)?;
        if matches!(committed, Committed::Stored { .. }) {
            self.counts.writes.fetch_add(1, Ordering::Relaxed);
        }
        Ok(committed)
    }

    fn touch(&self, key: &StoreKey, now: Timestamp) -> Result<bool, Error> {
        self.store.touch(key, now)
    }

    fn destroy(&self, key: &StoreKey) -> Result<bool, Error> {
        self.store.destroy(key)
    }

    fn user_sessions(&self, user: &str, now: Timestamp) -> Result<Vec<SessionInfo>, Error> {
        self.store.user_sessions(user, now)
    }

    fn revoke(&self, user: &str, which: Revoke, now: Timestamp) -> Result<usize, Error> {
        self.store.revoke(user, which, now)
    }

    fn sweep(&self, now: Timestamp, max: usize) -> Result<usize, Error> {
        self.store.sweep(now, max)
    }

    fn scan(
        &self,
        now: Timestamp,
        visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
    ) -> Result<(), Error> {
        self.store.scan(now, visit)
    }

    fn may_block(&self) -> bool {
        self.store.may_block()
    }

    fn lease(&self, key: &StoreKey, for_at_most: Duration) -> Result<Option<Lease>, Error> {
        self.store.lease(key, for_at_most)
    }
}

//! A store that counts loads and writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Timestamp;
use crate::error::Error;
use crate::store::{
    Change, Committed, IndexLine, Loaded, Record, SessionStore, StoreKey, Swap, Swapped, Touch,
};

/// How often a store was asked to load, and how often it stored something. Touches write no data and
/// are not counted.
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

impl<S> Counting<S> {
    fn wrote(&self, stored: bool) {
        self.counts
            .writes
            .fetch_add(stored.into(), Ordering::Relaxed);
    }
}

impl<S: SessionStore> SessionStore for Counting<S> {
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Loaded, Error> {
        self.counts.loads.fetch_add(1, Ordering::Relaxed);
        self.store.load(key, now)
    }

    fn swap(&self, key: &StoreKey, swap: Swap<'_>, now: Timestamp) -> Result<Swapped, Error> {
        let swapped = self.store.swap(key, swap, now)?;
        let removes = matches!(swap, Swap::Remove(_) | Swap::RemoveUnreadable);
        self.wrote(swapped == Swapped::Done && !removes);
        Ok(swapped)
    }

    fn commit(
        &self,
        key: &StoreKey,
        change: &Change,
        loaded: Option<Arc<Record>>,
        now: Timestamp,
    ) -> Result<Committed, Error> {
        let committed = self.store.commit(key, change, loaded, now)?;
        self.wrote(matches!(committed, Committed::Stored { .. }));
        Ok(committed)
    }

    fn touch(&self, key: &StoreKey, touch: &Touch<'_>) -> Result<(), Error> {
        self.store.touch(key, touch)
    }

    fn user_index(&self, user: &str, now: Timestamp) -> Result<Vec<IndexLine>, Error> {
        self.store.user_index(user, now)
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

    fn ping(&self) -> Result<(), Error> {
        self.store.ping()
    }

    fn may_block(&self) -> bool {
        self.store.may_block()
    }

    fn expires_by_itself(&self) -> bool {
        self.store.expires_by_itself()
    }
}

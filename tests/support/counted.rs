//! What several test files need.
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use liquid_session::clock::Timestamp;
use liquid_session::store::{
    Change, Committed, IndexLine, Loaded, Record, SessionStore, StoreKey, Swap, Swapped, Touch,
};
use liquid_session::{Error, ErrorKind, MemoryStore, SessionConfig, Sessions};

/// Counts the calls of a memory store, and fails them when told to.
#[derive(Clone, Default)]
pub(crate) struct Counted(Arc<Inner>);

#[derive(Default)]
struct Inner {
    store: MemoryStore,
    loads: AtomicUsize,
    commits: AtomicUsize,
    touches: AtomicUsize,
    broken: AtomicBool,
}

impl Counted {
    pub(crate) fn loads(&self) -> usize {
        self.0.loads.load(Ordering::SeqCst)
    }

    pub(crate) fn commits(&self) -> usize {
        self.0.commits.load(Ordering::SeqCst)
    }

    pub(crate) fn touches(&self) -> usize {
        self.0.touches.load(Ordering::SeqCst)
    }

    pub(crate) fn calls(&self) -> (usize, usize, usize) {
        (self.loads(), self.commits(), self.touches())
    }

    pub(crate) fn break_it(&self, broken: bool) {
        self.0.broken.store(broken, Ordering::SeqCst);
    }

    pub(crate) fn sessions(&self) -> Sessions {
        Sessions::new(self.clone(), SessionConfig::default())
    }

    fn count(&self, counter: &AtomicUsize) -> Result<(), Error> {
        counter.fetch_add(1, Ordering::SeqCst);
        if self.0.broken.load(Ordering::SeqCst) {
            return Err(Error::with_source(
                ErrorKind::Unavailable,
                "the session store can't be reached",
                std::io::Error::other("connect to 10.1.2.3: refused"),
            ));
        }
        Ok(())
    }
}

impl SessionStore for Counted {
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Loaded, Error> {
        self.count(&self.0.loads)?;
        self.0.store.load(key, now)
    }

    fn swap(&self, key: &StoreKey, swap: Swap<'_>, now: Timestamp) -> Result<Swapped, Error> {
        if !matches!(swap, Swap::Remove(_) | Swap::RemoveUnreadable) {
            self.count(&self.0.commits)?;
        }
        self.0.store.swap(key, swap, now)
    }

    fn commit(
        &self,
        key: &StoreKey,
        change: &Change,
        loaded: Option<Arc<Record>>,
        now: Timestamp,
    ) -> Result<Committed, Error> {
        self.count(&self.0.commits)?;
        self.0.store.commit(key, change, loaded, now)
    }

    fn touch(&self, key: &StoreKey, touch: &Touch<'_>) -> Result<(), Error> {
        self.count(&self.0.touches)?;
        self.0.store.touch(key, touch)
    }

    fn user_index(&self, user: &str, now: Timestamp) -> Result<Vec<IndexLine>, Error> {
        self.0.store.user_index(user, now)
    }

    fn sweep(&self, now: Timestamp, max: usize) -> Result<usize, Error> {
        self.0.store.sweep(now, max)
    }

    fn scan(
        &self,
        now: Timestamp,
        visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
    ) -> Result<(), Error> {
        self.0.store.scan(now, visit)
    }

    fn ping(&self) -> Result<(), Error> {
        self.0.store.ping()
    }

    fn may_block(&self) -> bool {
        false
    }
}

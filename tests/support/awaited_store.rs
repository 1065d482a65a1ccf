//! A memory store with an async face that can be paused.
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use liquid_session::clock::Timestamp;
use liquid_session::store::{
    AsyncStore, IndexLine, Loaded, MemoryStore, Record, SessionStore, StoreFuture, StoreKey, Swap,
    Swapped, Touch,
};
use liquid_session::{Error, ErrorKind};
use tokio::sync::watch;

/// Where a call stops while the store is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// An async call, before it does anything.
    Before,
    /// An async call, when it is done and has not answered.
    After,
    /// A load of the async face, before it does anything.
    Load,
    /// A blocking call, before it does anything.
    Blocking,
}

/// Clones are one store.
#[derive(Clone)]
pub(crate) struct Awaited(Arc<Inner>);

struct Inner {
    store: MemoryStore,
    paused: watch::Sender<Vec<Moment>>,
    /// How many calls stand at the moment of the pause.
    stopped: watch::Sender<usize>,
    awaited: AtomicUsize,
    blocking: AtomicUsize,
    down: AtomicBool,
}

impl Awaited {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            store: MemoryStore::new(),
            paused: watch::Sender::new(Vec::new()),
            stopped: watch::Sender::new(0),
            awaited: AtomicUsize::new(0),
            blocking: AtomicUsize::new(0),
            down: AtomicBool::new(false),
        }))
    }

    /// The calls of the async face.
    pub(crate) fn awaited(&self) -> usize {
        self.0.awaited.load(Ordering::SeqCst)
    }

    /// The calls that block.
    pub(crate) fn blocking(&self) -> usize {
        self.0.blocking.load(Ordering::SeqCst)
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.0.down.store(down, Ordering::SeqCst);
    }

    pub(crate) fn pause(&self, at: Moment) {
        self.0.paused.send_replace(vec![at]);
    }

    /// Stops blocking calls too.
    pub(crate) fn pause_all(&self, at: Moment) {
        self.0.paused.send_replace(vec![at, Moment::Blocking]);
    }

    pub(crate) fn resume(&self) {
        self.0.paused.send_replace(Vec::new());
    }

    fn is_paused(&self, here: Moment) -> bool {
        self.0.paused.borrow().contains(&here)
    }

    /// Waits until so many calls stand still.
    pub(crate) async fn stopped(&self, calls: usize) {
        let mut stopped = self.0.stopped.subscribe();
        let _ = stopped.wait_for(|stopped| *stopped >= calls).await.unwrap();
    }

    fn reach(&self) -> Result<&MemoryStore, Error> {
        if self.0.down.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "the store is down"));
        }
        Ok(&self.0.store)
    }

    async fn stop(&self, here: Moment) {
        // A real store answers later.
        tokio::task::yield_now().await;
        if self.is_paused(here) {
            let _standing = Standing::at(&self.0);
            let mut paused = self.0.paused.subscribe();
            let _ = paused.wait_for(|paused| !paused.contains(&here)).await;
        }
    }

    fn call<'s, T: Send + 's>(
        &'s self,
        act: impl FnOnce(&MemoryStore) -> Result<T, Error> + Send + 's,
    ) -> StoreFuture<'s, T> {
        Box::pin(async move {
            self.0.awaited.fetch_add(1, Ordering::SeqCst);
            self.stop(Moment::Before).await;
            let answer = self.reach().and_then(act);
            self.stop(Moment::After).await;
            answer
        })
    }

    fn block(&self) -> Result<&MemoryStore, Error> {
        self.0.blocking.fetch_add(1, Ordering::SeqCst);
        if self.is_paused(Moment::Blocking) {
            let _standing = Standing::at(&self.0);
            while self.is_paused(Moment::Blocking) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.reach()
    }
}

/// Counts a call that stands still, until it goes on or is dropped.
struct Standing<'s>(&'s Inner);

impl<'s> Standing<'s> {
    fn at(inner: &'s Inner) -> Self {
        inner.stopped.send_modify(|stopped| *stopped += 1);
        Self(inner)
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.0.stopped.send_modify(|stopped| *stopped -= 1);
    }
}

impl AsyncStore for Awaited {
    fn load<'s>(&'s self, key: &'s StoreKey, now: Timestamp) -> StoreFuture<'s, Loaded> {
        Box::pin(async move {
            self.stop(Moment::Load).await;
            self.call(|store| store.load(key, now)).await
        })
    }

    fn swap<'s>(
        &'s self,
        key: &'s StoreKey,
        swap: Swap<'s>,
        now: Timestamp,
    ) -> StoreFuture<'s, Swapped> {
        self.call(move |store| store.swap(key, swap, now))
    }

    fn touch<'s>(&'s self, key: &'s StoreKey, touch: &'s Touch<'s>) -> StoreFuture<'s, ()> {
        self.call(move |store| store.touch(key, touch))
    }
}

impl SessionStore for Awaited {
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Loaded, Error> {
        self.block()?.load(key, now)
    }

    fn swap(&self, key: &StoreKey, swap: Swap<'_>, now: Timestamp) -> Result<Swapped, Error> {
        self.block()?.swap(key, swap, now)
    }

    fn touch(&self, key: &StoreKey, touch: &Touch<'_>) -> Result<(), Error> {
        self.block()?.touch(key, touch)
    }

    fn user_index(&self, user: &str, now: Timestamp) -> Result<Vec<IndexLine>, Error> {
        self.block()?.user_index(user, now)
    }

    fn sweep(&self, now: Timestamp, max: usize) -> Result<usize, Error> {
        self.block()?.sweep(now, max)
    }

    fn scan(
        &self,
        now: Timestamp,
        visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
    ) -> Result<(), Error> {
        self.block()?.scan(now, visit)
    }

    fn ping(&self) -> Result<(), Error> {
        self.block()?.ping()
    }

    fn as_async(&self) -> Option<&dyn AsyncStore> {
        Some(self)
    }
}

//! Queues in front of sessions that many requests of this process want to change at once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::{ArcMutexGuard, Mutex, RawMutex};

use crate::secret::StoreKey;

thread_local! {
    /// The sessions whose turn this thread has.
    static TURNS: RefCell<Vec<StoreKey>> = const { RefCell::new(Vec::new()) };
}

#[derive(Default)]
pub(crate) struct Queues {
    /// The number of requests in queues; while it is zero, no request locks the table.
    waiting: AtomicUsize,
    queues: Mutex<HashMap<StoreKey, Arc<Mutex<()>>>>,
}

impl Queues {
    /// Returns whether requests queue for this session.
    pub(super) fn has(&self, key: &StoreKey) -> bool {
        self.waiting.load(Ordering::Acquire) > 0 && self.queues.lock().contains_key(key)
    }

    /// Waits for the session's turn; `None` if it does not come in time, or at once if this thread has
    /// it: a transaction within another one would wait for itself.
    pub(super) fn wait(&self, key: StoreKey, until: Instant) -> Option<Turn<'_>> {
        if TURNS.with_borrow(|turns| turns.contains(&key)) {
            return None;
        }
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let queue = self.queues.lock().entry(key).or_default().clone();
        let turn = Turn {
            queues: self,
            key,
            guard: queue.try_lock_arc_until(until),
        };
        drop(queue);
        turn.guard.as_ref()?;
        TURNS.with_borrow_mut(|turns| turns.push(key));
        Some(turn)
    }
}

/// The turn of one request. Dropping it starts the next one.
pub(super) struct Turn<'q> {
    queues: &'q Queues,
    key: StoreKey,
    guard: Option<ArcMutexGuard<RawMutex, ()>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.guard.take().is_some() {
            TURNS.with_borrow_mut(|turns| turns.retain(|key| *key != self.key));
        }
        let mut queues = self.queues.queues.lock();
        // The table holds the last reference, and no request gets another while the table is locked.
        if queues
            .get(&self.key)
            .is_some_and(|queue| Arc::strong_count(queue) == 1)
        {
            queues.remove(&self.key);
        }
        drop(queues);
        self.queues.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

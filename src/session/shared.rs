//! What all handles of an application share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::{Clock, Timestamp};
use crate::config::SessionConfig;
use crate::observe::Tally;
use crate::secret::StoreKey;
use crate::store::SessionStore;

pub(crate) struct Shared {
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) config: SessionConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) leases: Leases,
    pub(crate) tally: Tally,
}

impl Shared {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The queues in front of sessions that many transactions of this process want at once.
#[derive(Default)]
pub(crate) struct Leases {
    /// How many transactions hold a lease or wait for one: while it is zero, nobody looks further.
    wanted: AtomicUsize,
    queues: Mutex<HashMap<StoreKey, Arc<Mutex<()>>>>,
}

impl Leases {
    /// Whether transactions queue for this session by now.
    pub(crate) fn queued(&self, key: &StoreKey) -> bool {
        self.wanted.load(Ordering::Acquire) > 0 && self.queues.lock().contains_key(key)
    }

    /// Waits for the session's turn; `None` if it does not come in time.
    pub(crate) fn wait(&self, key: StoreKey, at_most: Duration) -> Option<Turn<'_>> {
        self.wanted.fetch_add(1, Ordering::AcqRel);
        let queue = self.queues.lock().entry(key).or_default().clone();
        let turn = Turn {
            leases: self,
            key,
            guard: queue.try_lock_arc_for(at_most),
        };
        drop(queue);
        turn.guard.is_some().then_some(turn)
    }
}

type Guard = parking_lot::lock_api::ArcMutexGuard<parking_lot::RawMutex, ()>;

/// One transaction's turn; the next one's comes when it is dropped.
pub(crate) struct Turn<'l> {
    leases: &'l Leases,
    key: StoreKey,
    guard: Option<Guard>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.guard = None;
        let mut queues = self.leases.queues.lock();
        // Ours alone: nobody waits, and nobody can begin to while the table is locked.
        if queues
            .get(&self.key)
            .is_some_and(|queue| Arc::strong_count(queue) == 1)
        {
            queues.remove(&self.key);
        }
        drop(queues);
        self.leases.wanted.fetch_sub(1, Ordering::AcqRel);
    }
}

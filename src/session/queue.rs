//! Queues in front of sessions that many requests of this process want to change at once.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use crate::secret::StoreKey;

thread_local! {
    /// The sessions whose turn the transactions have whose closures run on this thread.
    static TURNS: RefCell<Vec<StoreKey>> = const { RefCell::new(Vec::new()) };
}

#[derive(Default)]
pub(crate) struct Queues {
    /// The number of requests in queues; while it is zero, no request locks the table.
    waiting: AtomicUsize,
    tickets: AtomicU64,
    queues: Mutex<HashMap<StoreKey, VecDeque<Place>>>,
}

struct Place {
    ticket: u64,
    waker: Waker,
}

impl Queues {
    /// Returns whether requests queue for this session.
    pub(super) fn has(&self, key: &StoreKey) -> bool {
        self.waiting.load(Ordering::Acquire) > 0 && self.queues.lock().contains_key(key)
    }

    /// Takes a place at the end of the session's queue; `None` within a transaction on this thread that
    /// has the turn, because it would wait for itself.
    pub(super) fn enter(&self, key: StoreKey) -> Option<Turn<'_>> {
        if TURNS.with_borrow(|turns| turns.contains(&key)) {
            return None;
        }
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        let place = Place {
            ticket,
            waker: Waker::noop().clone(),
        };
        self.queues.lock().entry(key).or_default().push_back(place);
        Some(Turn {
            queues: self,
            key,
            ticket,
        })
    }
}

/// The place of one request in a queue. The first one has the turn, and dropping it starts the next one.
pub(super) struct Turn<'q> {
    queues: &'q Queues,
    key: StoreKey,
    ticket: u64,
}

impl Turn<'_> {
    /// Is ready when this place is the first one.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut queues = self.queues.queues.lock();
        let places = queues.get_mut(&self.key).into_iter().flatten();
        match places
            .enumerate()
            .find(|(_, own)| own.ticket == self.ticket)
        {
            Some((at, own)) if at > 0 => {
                own.waker.clone_from(cx.waker());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// Runs the closure of a transaction that has the turn.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        /// Forgets the turn when it is dropped, also by a panic.
        struct Noted;

        impl Drop for Noted {
            fn drop(&mut self) {
                TURNS.with_borrow_mut(Vec::pop);
            }
        }

        TURNS.with_borrow_mut(|turns| turns.push(self.key));
        let _noted = Noted;
        work()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut queues = self.queues.queues.lock();
        let mut next = None;
        if let Some(queue) = queues.get_mut(&self.key) {
            queue.retain(|place| place.ticket != self.ticket);
            next = queue.front().map(|first| first.waker.clone());
            if next.is_none() {
                queues.remove(&self.key);
            }
        }
        drop(queues);
        self.queues.waiting.fetch_sub(1, Ordering::AcqRel);
        if let Some(next) = next {
            next.wake();
        }
    }
}

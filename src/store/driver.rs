//! Synchronous calls of a store whose client is async.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A thread with a runtime of its own. It drives connections and timers; the futures of synchronous
/// calls run on the threads that call. It ends when it is dropped.
pub(super) struct Driver {
    handle: Handle,
    _end: oneshot::Sender<()>,
}

impl Driver {
    pub(super) fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // An error: the sender is dropped.
                let _ = runtime.block_on(ended);
            })?;
        Ok(Self { handle, _end: end })
    }

    /// Waits for a future on this thread, also within another runtime, whose worker it then blocks.
    pub(super) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        let _context = self.handle.enter();
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
                return result;
            }
            thread::park();
        }
    }

    /// The runtime that outlives every caller's, for connections.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

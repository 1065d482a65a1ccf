//! Synchronous calls of a store whose client is async.

use std::io;
use std::pin::pin;
use std::sync::Arc;
#[cfg(feature = "redis")]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::coop::unconstrained;

#[cfg(feature = "redis")]
use super::StoreFuture;
#[cfg(feature = "redis")]
use crate::error::{Error, ErrorKind};

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
        let caller = Arc::new(Caller {
            thread: thread::current(),
            is_woken: AtomicBool::new(false),
        });
        let waker = Waker::from(caller.clone());
        let mut context = Context::from_waker(&waker);
        // The budget of a task on this thread is renewed only when the task yields.
        let mut future = pin!(unconstrained(self.within(future)));
        loop {
            if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
                return result;
            }
            // A call within a call may have taken the token of `unpark`.
            while !caller.is_woken.swap(false, Ordering::Acquire) {
                thread::park();
            }
        }
    }

    /// Gives a future the timers and connections of this runtime, on any executor.
    pub(super) async fn within<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let poll = |context: &mut Context<'_>| {
            let _context = self.handle.enter();
            future.as_mut().poll(context)
        };
        std::future::poll_fn(poll).await
    }

    /// The runtime that outlives every caller's, for connections.
    #[allow(dead_code, reason = "for stores that connect on it alone")]
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// A driver that its first use starts.
#[cfg(feature = "redis")]
pub(super) struct LazyDriver {
    name: &'static str,
    driver: OnceLock<Driver>,
}

#[cfg(feature = "redis")]
impl LazyDriver {
    pub(super) fn new(name: &'static str) -> Self {
        let driver = OnceLock::new();
        Self { name, driver }
    }

    pub(super) fn get(&self) -> Result<&Driver, Error> {
        if let Some(driver) = self.driver.get() {
            return Ok(driver);
        }
        let driver = Driver::start(self.name).map_err(|cause| {
            let text = "the session store can't start its thread: the system allows no more";
            Error::with_source(ErrorKind::Unavailable, text, cause)
        })?;
        Ok(self.driver.get_or_init(|| driver))
    }

    #[cfg(test)]
    pub(super) fn is_started(&self) -> bool {
        self.driver.get().is_some()
    }

    /// Gives a future the timers and connections of the current runtime, or those of the driver
    /// without one.
    pub(super) fn boxed<'s, T>(
        &'s self,
        future: impl Future<Output = Result<T, Error>> + Send + 's,
    ) -> StoreFuture<'s, T> {
        match Handle::try_current() {
            Ok(_) => Box::pin(future),
            Err(_) => Box::pin(async { self.get()?.within(future).await }),
        }
    }
}

struct Caller {
    thread: Thread,
    is_woken: AtomicBool,
}

impl Wake for Caller {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use tokio::sync::mpsc;

    use super::*;

    #[test]
    fn a_task_that_waits_often_does_not_run_out_of_budget() {
        let driver = Driver::start("test").unwrap();
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (sender, mut receiver) = mpsc::channel(1);
            for number in 0..1_000 {
                sender.try_send(number).unwrap();
                assert_eq!(driver.wait(receiver.recv()), Some(number));
            }
        });
    }

    #[test]
    fn a_call_within_a_call_takes_no_wake_from_it() {
        let driver = Driver::start("test").unwrap();
        let (sender, mut receiver) = mpsc::channel(1);
        let outer = async {
            let mut answer = pin!(receiver.recv());
            let mut is_first = true;
            std::future::poll_fn(|context| {
                let answer = answer.as_mut().poll(context);
                if std::mem::take(&mut is_first) {
                    // Wakes the outer call, then waits on this thread until after that.
                    sender.try_send(()).unwrap();
                    driver.wait(tokio::time::sleep(Duration::from_millis(10)));
                }
                answer
            })
            .await
        };
        assert_eq!(driver.wait(outer), Some(()));
    }
}

//! The two ways of a request to wait: a thread blocks, or a future is awaited.
//!
//! Commits, loads and transactions are written once, as async functions over both. Those that block
//! never return `Pending`, so [`ready`](crate::store::ready) polls them once.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::Session;
use super::shared::Shared;
use super::state::State;
use crate::secret::SessionId;
use crate::store::{AsyncStore, Face};

/// How a request waits for its store and for other requests.
#[derive(Clone, Copy)]
pub(super) enum Way<'s> {
    Blocking,
    #[cfg_attr(
        not(feature = "tower"),
        allow(dead_code, reason = "waits need the timer of a runtime")
    )]
    Async(&'s dyn AsyncStore),
}

impl<'s> Way<'s> {
    pub(super) fn is_async(self) -> bool {
        !matches!(self, Self::Blocking)
    }

    pub(super) fn face(self, shared: &'s Shared) -> Face<'s> {
        match self {
            Self::Blocking => Face::Blocking(shared.blocking()),
            Self::Async(store) => Face::Async(store),
        }
    }

    /// Waits until `poll` is ready; `None` if the time is over before.
    pub(super) async fn until<T>(
        self,
        end: Option<Instant>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Option<T> {
        // Mostly it is ready at once, and needs neither a timer nor a waker.
        let first = poll_fn(|cx| Poll::Ready(poll(cx))).await;
        if let Poll::Ready(value) = first {
            return Some(value);
        }
        match self {
            Self::Blocking => block(end, poll),
            Self::Async(_) => {
                #[cfg(feature = "tower")]
                if let Some(end) = end {
                    return tokio::time::timeout_at(end.into(), poll_fn(poll))
                        .await
                        .ok();
                }
                Some(poll_fn(poll).await)
            }
        }
    }

    /// Waits for up to 16 milliseconds, at random: requests of several processes take turns.
    pub(super) async fn pause(self) {
        let random = SessionId::generate().as_bytes()[0];
        let time = Duration::from_micros(64 * u64::from(random));
        match self {
            Self::Blocking => thread::sleep(time),
            Self::Async(_) => {
                #[cfg(feature = "tower")]
                tokio::time::sleep(time).await;
            }
        }
    }
}

fn block<T>(end: Option<Instant>, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = poll(&mut cx) {
            return Some(value);
        }
        match end {
            Some(end) => {
                let left = end.checked_duration_since(Instant::now())?;
                thread::park_timeout(left);
            }
            None => thread::park(),
        }
    }
}

/// The state of a session for a function that calls the store between its steps.
pub(super) enum Access<'a> {
    /// The lock is held throughout, and the calls block.
    Held(&'a mut State),
    /// The lock is taken for each step, and never held across an await.
    Free(&'a Session, &'a dyn AsyncStore),
}

impl<'a> Access<'a> {
    pub(super) fn way(&self) -> Way<'a> {
        match self {
            Self::Held(_) => Way::Blocking,
            Self::Free(_, store) => Way::Async(*store),
        }
    }

    /// Takes one step.
    pub(super) async fn with<T>(&mut self, step: impl FnOnce(&mut State) -> T) -> T {
        if let Self::Free(session, _) = self {
            session.wait_for_lock().await;
        }
        self.now(step)
    }

    /// Takes one step where nothing can be awaited.
    pub(super) fn now<T>(&mut self, step: impl FnOnce(&mut State) -> T) -> T {
        match self {
            Self::Held(state) => step(state),
            Self::Free(session, _) => step(&mut session.lock()),
        }
    }
}

impl Session {
    /// Waits while another thread holds the lock of the state, because it makes a blocking call of the
    /// store.
    pub(crate) async fn wait_for_lock(&self) {
        #[cfg(feature = "tower")]
        if self.0.state.is_locked()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let session = self.clone();
            // An error: the runtime is shutting down.
            let _ = runtime.spawn_blocking(move || drop(session.lock())).await;
        }
    }
}

use std::time::Duration;

use super::run::blocking;
use crate::observe;
use crate::sessions::Sessions;

/// How many sessions one batch removes: about a millisecond of work in memory.
const BATCH: usize = 1000;

impl Sessions {
    /// Returns a task that [sweeps](Self::sweep) at once and then after each period, a minute for
    /// instance. Spawn it once, when the server starts.
    ///
    /// - It removes everything that has expired, in batches of a thousand; other tasks run between two.
    /// - A store that may block is swept on a blocking thread.
    /// - If the store fails, the event "a session failed" (feature `tracing`) reports it, and the task goes on after the next
    ///   period.
    /// - It ends by itself, at the latest one period after the last clone of these sessions, and the last
    ///   [`Session`](crate::Session) of a request, are dropped.
    ///
    /// # Panics
    ///
    /// When it is polled outside of a tokio runtime with timers.
    ///
    /// ```
    /// use std::time::Duration;
    /// use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    ///
    /// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let sweeping = tokio::spawn(sessions.sweep_every(Duration::from_millis(10)));
    ///
    /// drop(sessions);
    /// sweeping.await.expect("it ends by itself");
    /// # });
    /// ```
    pub fn sweep_every(&self, period: Duration) -> impl Future<Output = ()> + Send + use<> {
        let sessions = self.downgrade();
        async move {
            while let Some(sessions) = sessions.upgrade() {
                sessions.sweep_all().await;
                drop(sessions);
                tokio::time::sleep(period.max(Duration::from_millis(1))).await;
            }
        }
    }

    async fn sweep_all(&self) {
        loop {
            let sessions = self.clone();
            let may_block = self.store().may_block();
            match blocking(may_block, move |_| sessions.sweep(BATCH)).await {
                Ok(Ok(BATCH..)) => tokio::task::yield_now().await,
                Ok(Ok(_)) => return,
                Ok(Err(error)) => return observe::failed(&error),
                // The runtime is shutting down: reported already.
                Err(_) => return,
            }
        }
    }
}

//! Reading, computing and writing in one atomic step.

use std::task::{Context, Poll};
use std::thread;
use std::time::Instant;

use super::commit::commit;
use super::commit::{Attempt, PATIENCE};
use super::load::load;
use super::queue::Turn;
use super::state::{Savepoint, State, Transaction};
use super::way::Access;
use super::way::Way;
use super::{Outcome, Session, Status};
use crate::error::{Error, ErrorKind};
#[cfg(feature = "tower")]
use crate::store::AsyncStore;
use crate::store::ready;

impl Session {
    /// Runs `work`, and commits if everything that it read from the session is unchanged. Otherwise
    /// loads the session again and repeats both, for up to ten seconds.
    ///
    /// A thousand parallel requests with
    /// `{% session n = context.session.n | default: 0 | plus: 1 %}` thus count to a thousand. After a
    /// first conflict, the requests of one process queue.
    ///
    /// - `work` may run more than once: its other effects, such as a mail, must allow that.
    /// - If it fails, its writes are taken back and nothing is stored. A [`logout`](Self::logout) in it
    ///   is not undone.
    /// - It may not call [`commit`](Self::commit) or [`finish`](Self::finish), and other threads may not
    ///   write to this session while it runs.
    /// - In a [disabled](Self::disabled) session it runs once, and nothing is committed.
    /// - A transaction inside it through *another* `Session` of the same cookie changes what this one
    ///   has read, each time it runs: it costs up to ten seconds, and ends in [`ErrorKind::Conflict`].
    ///
    /// # Errors
    ///
    /// Nothing is stored, except that an [`Unconfirmed`](crate::ErrorKind::Unconfirmed) change may be.
    ///
    /// - The error that `work` returns.
    /// - [`ErrorKind::Conflict`]: other requests kept changing what it had read, for ten seconds; or it
    ///   was called inside another transaction of this session.
    /// - [`ErrorKind::Gone`]: the session ended while the request was running.
    /// - Otherwise those of [`commit`](Self::commit).
    ///
    /// # Example
    ///
    /// ```
    /// use liquid_session::{Error, MemoryStore, SessionConfig, Sessions};
    ///
    /// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let session = sessions.open(None);
    /// let (step, outcome) = session.transaction(|session| {
    ///     let step = session.get_as::<u32>("step")?.unwrap_or(0) + 1;
    ///     session.set("step", step)?;
    ///     Ok::<_, Error>(step)
    /// })?;
    /// assert_eq!(step, 1);
    /// assert!(outcome.secret().is_some());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn transaction<T, E: From<Error>>(
        &self,
        work: impl FnMut(&Self) -> Result<T, E>,
    ) -> Result<(T, Outcome), E> {
        let (result, outcome) = self.attempt(work, || true)?;
        if outcome.status() == Status::Gone {
            return Err(Error::new(
                ErrorKind::Gone,
                "the session ended while the request was running: nothing is stored",
            )
            .into());
        }
        Ok((result, outcome))
    }

    /// Runs a [`transaction`](Self::transaction) with [`Status::Gone`] as an outcome, for pages that
    /// are shown even so. It commits only while the result is wanted.
    pub(crate) fn attempt<T, E: From<Error>>(
        &self,
        work: impl FnMut(&Self) -> Result<T, E>,
        wanted: impl Fn() -> bool,
    ) -> Result<(T, Outcome), E> {
        ready(self.attempt_by(Way::Blocking, work, wanted))
    }

    /// Runs an [`attempt`](Self::attempt) without blocking the thread. A touch of a session that is not
    /// loaded breaks off the run of `work`. The load is awaited, and `work` runs again.
    #[cfg(feature = "tower")]
    pub(crate) async fn attempt_async<T, E: From<Error>>(
        &self,
        store: &dyn AsyncStore,
        work: impl FnMut(&Self) -> Result<T, E>,
    ) -> Result<(T, Outcome), E> {
        self.attempt_by(Way::Async(store), work, || true).await
    }

    async fn attempt_by<T, E: From<Error>>(
        &self,
        way: Way<'_>,
        mut work: impl FnMut(&Self) -> Result<T, E>,
        wanted: impl Fn() -> bool,
    ) -> Result<(T, Outcome), E> {
        let mut running = self.begin(way).await?;
        let end = Instant::now() + PATIENCE;
        let mut turn = None;
        // Whether the session has to be loaded before a run: what was pending before needs it, and an
        // async run that touches it would be broken off.
        let (mut again, mut loads) = (false, running.before.has_changes());
        loop {
            if turn.is_none() && (again || self.others_queue()) {
                // What was loaded before the wait is out of date.
                again = true;
                turn = self.queue(way, end).await;
                if turn.is_none() {
                    break;
                }
            }
            if again {
                self.begin_again(&running.before, loads, way).await?;
            }
            let result = loop {
                let result = running.run(turn.as_ref(), &mut work);
                if !running.is_broken_off() {
                    break result;
                }
                loads = true;
                // If it fails, the next run meets the error.
                let _ = self.load_by(way).await;
            };
            // An error or a dropped future takes back what `work` wrote.
            let result = result?;
            if !wanted() {
                return Err(Error::new(
                    ErrorKind::Gone,
                    "the request was given up while it was running: nothing is stored",
                )
                .into());
            }
            running.settled = true;
            if let Attempt::Done(outcome) = self.commit_by(way).await? {
                return Ok((result, outcome));
            }
            running.settled = false;
            (again, loads) = (true, loads || way.is_async());
            if Instant::now() >= end {
                break;
            }
            if turn.is_some() {
                way.pause().await;
            }
        }
        // What the last attempt staged, a login for instance, must not go with a later commit.
        self.begin_again(&running.before, false, way).await?;
        Err(conflict().into())
    }

    /// Begins a transaction when those of this request that other threads and tasks run are over.
    async fn begin(&self, way: Way<'_>) -> Result<Running<'_>, Error> {
        let begin = |state: &mut State| {
            let before = state.savepoint();
            state.transaction = Some(Box::new(Transaction::new(way.is_async())));
            Running {
                session: self,
                before,
                is_async: way.is_async(),
                settled: false,
            }
        };
        self.idle(way, begin).await.ok_or_else(|| {
            Error::new(
                ErrorKind::Conflict,
                "a transaction can't begin inside another one of the same session, and a synchronous one not beside one that is awaited",
            )
        })
    }

    /// Acts when no transaction runs on this session. `None` within one on this thread, and beside one
    /// that this thread may have to drive.
    pub(super) async fn idle<T>(
        &self,
        way: Way<'_>,
        act: impl FnOnce(&mut State) -> T,
    ) -> Option<T> {
        if way.is_async() {
            self.wait_for_lock().await;
        }
        let mut act = Some(act);
        let poll = |cx: &mut Context<'_>| {
            let mut state = self.lock();
            match &mut state.transaction {
                Some(other) if other.is_of_this_thread() => Poll::Ready(None),
                Some(other) if other.is_async && !way.is_async() => Poll::Ready(None),
                Some(other) => {
                    other.wake_at_the_end(cx.waker());
                    Poll::Pending
                }
                None => Poll::Ready(act.take().map(|act| act(&mut state))),
            }
        };
        way.until(None, poll).await.flatten()
    }

    fn others_queue(&self) -> bool {
        let key = self.lock().key();
        matches!((self.shared(), key), (Some(shared), Some(key)) if shared.queues.has(&key))
    }

    async fn queue(&self, way: Way<'_>, end: Instant) -> Option<Turn<'_>> {
        let key = self.lock().key()?;
        let turn = self.shared()?.queues.enter(key)?;
        way.until(Some(end), |cx| turn.poll(cx)).await?;
        Some(turn)
    }

    /// Drops what was loaded, and stages what was pending before the transaction.
    async fn begin_again(
        &self,
        before: &Savepoint,
        loads: bool,
        way: Way<'_>,
    ) -> Result<(), Error> {
        self.lock().begin_again();
        if loads {
            self.load_by(way).await?;
        }
        let limits = self.shared().map(|shared| shared.config.limits());
        self.lock().restore(before, limits.unwrap_or_default())
    }

    /// Loads the session if it is not loaded yet.
    pub(super) async fn load_by(&self, way: Way<'_>) -> Result<(), Error> {
        match way {
            Way::Blocking => self.lock().open(self.shared()),
            Way::Async(store) => match self.shared() {
                Some(shared) => load(&mut Access::Free(self, store), shared).await,
                None => Ok(()),
            },
        }
    }

    async fn commit_by(&self, way: Way<'_>) -> Result<Attempt, Error> {
        match way {
            Way::Blocking => self.lock().commit(self.shared()),
            Way::Async(store) => commit(&mut Access::Free(self, store), self.shared()).await,
        }
    }
}

/// A transaction. When it is dropped, also by a panic, it takes back what it has not committed.
struct Running<'s> {
    session: &'s Session,
    before: Savepoint,
    is_async: bool,
    /// The commit has begun: it decides about the changes.
    settled: bool,
}

impl Running<'_> {
    fn run<T>(&self, turn: Option<&Turn<'_>>, work: impl FnOnce(&Session) -> T) -> T {
        /// Between two runs, and during the commit, no thread may write.
        struct Entered<'s>(&'s Session);

        impl Drop for Entered<'_> {
            fn drop(&mut self) {
                if let Some(transaction) = &mut self.0.lock().transaction {
                    transaction.thread = None;
                }
            }
        }

        let _entered = self.is_async.then(|| {
            if let Some(transaction) = &mut self.session.lock().transaction {
                transaction.thread = Some(thread::current().id());
            }
            Entered(self.session)
        });
        match turn {
            Some(turn) => turn.during(|| work(self.session)),
            None => work(self.session),
        }
    }

    /// Returns whether the run needs the session loaded, and takes back what it did.
    fn is_broken_off(&self) -> bool {
        if !self.is_async {
            return false;
        }
        let broken_off = match &mut self.session.lock().transaction {
            Some(transaction) => transaction.broken_off.take(),
            None => None,
        };
        if broken_off.is_some() {
            self.session.roll_back(&self.before);
        }
        broken_off.is_some()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.session.roll_back(&self.before);
        }
        let ended = self.session.lock().transaction.take();
        for waker in ended.into_iter().flat_map(|ended| ended.waiting) {
            waker.wake();
        }
    }
}

/// For a commit within the closure of a transaction.
pub(super) fn unfinished() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "a transaction commits by itself when it returns: don't commit or finish in it",
    )
}

pub(super) fn conflict() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "other requests kept changing the session that this one had read: nothing is stored, try again",
    )
}

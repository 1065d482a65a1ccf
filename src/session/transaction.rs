//! Reading, computing and writing in one atomic step.

use std::time::Instant;

use parking_lot::MutexGuard;

use super::commit::{Attempt, PATIENCE, pause};
use super::queue::Turn;
use super::state::{Savepoint, Transaction};
use super::{Outcome, Session, Status};
use crate::error::{Error, ErrorKind};

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
        let (result, outcome) = self.attempt(work)?;
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
    /// are shown even so.
    pub(crate) fn attempt<T, E: From<Error>>(
        &self,
        work: impl FnMut(&Self) -> Result<T, E>,
    ) -> Result<(T, Outcome), E> {
        self.attempt_if(work, || true)
    }

    /// Runs an [`attempt`](Self::attempt) that commits only while the result is wanted.
    pub(crate) fn attempt_if<T, E: From<Error>>(
        &self,
        mut work: impl FnMut(&Self) -> Result<T, E>,
        wanted: impl Fn() -> bool,
    ) -> Result<(T, Outcome), E> {
        let _running = self.begin()?;
        let before = self.lock().savepoint();
        let until = Instant::now() + PATIENCE;
        let mut turn = None;
        let mut again = false;
        loop {
            if turn.is_none() && (again || self.others_queue()) {
                // What was loaded before the wait is out of date.
                again = true;
                turn = self.queue(until);
                if turn.is_none() {
                    break;
                }
            }
            if again {
                self.begin_again(&before)?;
            }
            let result = match work(self) {
                Ok(result) => result,
                Err(error) => {
                    self.roll_back(&before);
                    return Err(error);
                }
            };
            if !wanted() {
                self.roll_back(&before);
                return Err(Error::new(
                    ErrorKind::Gone,
                    "the request was given up while it was running: nothing is stored",
                )
                .into());
            }
            let committed = self.lock().commit(self.shared())?;
            match committed {
                Attempt::Done(outcome) => return Ok((result, outcome)),
                Attempt::Conflict if Instant::now() >= until => break,
                Attempt::Conflict if turn.is_some() => pause(),
                Attempt::Conflict => {}
            }
            again = true;
        }
        // What the last attempt staged, a login for instance, must not go with a later commit.
        self.begin_again(&before)?;
        Err(conflict().into())
    }

    /// Waits for other transactions of this request, which run on other threads.
    fn begin(&self) -> Result<Running<'_>, Error> {
        let guard = self.wait_for_transactions().ok_or_else(|| {
            Error::new(
                ErrorKind::Conflict,
                "a transaction can't begin inside another one of the same session",
            )
        })?;
        self.lock().transaction = Some(Box::new(Transaction::new()));
        Ok(Running {
            session: self,
            _guard: guard,
        })
    }

    /// Waits until no transaction runs on this session; `None` within one of this thread.
    pub(super) fn wait_for_transactions(&self) -> Option<MutexGuard<'_, ()>> {
        let state = self.lock();
        if let Some(transaction) = &state.transaction
            && transaction.is_of_this_thread()
        {
            return None;
        }
        drop(state);
        Some(self.0.transactions.lock())
    }

    fn others_queue(&self) -> bool {
        let key = self.lock().key();
        matches!((self.shared(), key), (Some(shared), Some(key)) if shared.queues.has(&key))
    }

    fn queue(&self, until: Instant) -> Option<Turn<'_>> {
        let key = self.lock().key()?;
        self.shared()?.queues.wait(key, until)
    }

    /// Loads the session afresh, and applies what was staged before the transaction to it.
    fn begin_again(&self, before: &Savepoint) -> Result<(), Error> {
        let mut state = self.lock();
        state.unload();
        state.transaction = Some(Box::new(Transaction::new()));
        if before.has_changes() {
            state.open_to_write(self.shared())?;
        }
        let limits = self.shared().map(|shared| shared.config.limits());
        state.restore(before, limits.unwrap_or_default())
    }
}

/// Ends the transaction when it is dropped, also by a panic.
struct Running<'s> {
    session: &'s Session,
    _guard: MutexGuard<'s, ()>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.session.lock().transaction = None;
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

//! Reading, computing and writing in one atomic step.

use std::time::{Duration, Instant};

use super::overlay::Overlay;
use super::state::{Attempt, StagedLogin, State};
use super::{Outcome, Session, Status};
use crate::error::{Error, ErrorKind};
use crate::store::Lease;

/// How long a transaction may take with all its attempts.
const TIME: Duration = Duration::from_secs(10);

/// After so many conflicts a transaction queues instead of trying its luck: of 1,000 rivals that
/// only try, the last needs nearly as many attempts.
const PATIENCE: u32 = 2;

impl Session {
    /// Runs `work` and commits what it did, but only if everything that it read from the session is
    /// still so; otherwise loads the session afresh and runs it again, for up to ten seconds.
    ///
    /// So `{% session n = context.session.n | default: 0 | plus: 1 %}` in a thousand parallel
    /// requests counts to a thousand. Under contention transactions queue.
    ///
    /// - `work` may run more than once: what it does besides the session must bear that.
    /// - If it fails, what it wrote is taken back and nothing is stored.
    /// - Where there is no session it runs once, and there is nothing to commit.
    ///
    /// # Errors
    ///
    /// Nothing is stored.
    ///
    /// - What `work` returns.
    /// - [`ErrorKind::Conflict`]: others kept changing what it read, for ten seconds;
    ///   or it was called inside another transaction of this handle.
    /// - [`ErrorKind::Gone`]: the session ended meanwhile.
    /// - What [`commit`](Self::commit) returns.
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

    /// The same with [`Status::Gone`] as an outcome: for whoever shows the page all the same.
    pub(crate) fn attempt<T, E: From<Error>>(
        &self,
        mut work: impl FnMut(&Self) -> Result<T, E>,
    ) -> Result<(T, Outcome), E> {
        {
            let mut state = self.lock();
            if state.reads.is_some() {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "a transaction can't begin inside another one of the same session",
                )
                .into());
            }
            state.reads = Some(Box::default());
        }
        // Whatever happens, the handle is no transaction's afterwards.
        let _end = End(self);
        let before = Staged::of(&self.lock());
        let start = Instant::now();
        let mut turn = None;
        for attempt in 0_u32.. {
            if turn.is_none() && (attempt >= PATIENCE || self.others_queue()) {
                turn = match self.queue(start) {
                    Ok(turn) => Some(turn),
                    Err(error) => {
                        self.rebase(&before)?;
                        return Err(error.into());
                    }
                };
                // What was loaded before the wait is old by now.
                self.lock().unload();
            }
            let fresh = attempt > 0 || turn.is_some();
            if fresh {
                self.rebase(&before)?;
            }
            let result = match work(self) {
                Ok(result) => result,
                Err(error) => {
                    self.put_back(&before, fresh);
                    return Err(error);
                }
            };
            let committed = self.lock().commit(self.shared())?;
            match committed {
                Attempt::Done(outcome) => return Ok((result, outcome)),
                Attempt::Conflict if start.elapsed() >= TIME => break,
                Attempt::Conflict => {}
            }
        }
        // What the last attempt staged, a login for instance, must not go with a later commit.
        self.rebase(&before)?;
        Err(conflict().into())
    }

    fn others_queue(&self) -> bool {
        let key = self.lock().key();
        matches!((self.shared(), key), (Some(shared), Some(key)) if shared.leases.queued(&key))
    }

    /// Waits for the session's turn: among the threads of this process, then among processes.
    fn queue(&self, start: Instant) -> Result<(Option<Lease>, impl Drop + '_), Error> {
        let key = self.lock().key();
        let (Some(shared), Some(key)) = (self.shared(), key) else {
            return Err(conflict());
        };
        let left = TIME.saturating_sub(start.elapsed());
        let turn = shared.leases.wait(key, left).ok_or_else(conflict)?;
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(lease) = shared.store.lease(&key, TIME)? {
                return Ok((Some(lease), turn));
            }
            if start.elapsed() >= TIME {
                return Err(conflict());
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Loads the session afresh, and lays what was staged before the transaction over it.
    fn rebase(&self, before: &Staged) -> Result<(), Error> {
        let mut state = self.lock();
        state.unload();
        state.reads = Some(Box::default());
        if before.overlay.has_changes() {
            state.open_to_write(self.shared())?;
        }
        self.lay(before, &mut state)
    }

    /// Takes back what the transaction did; what was staged before it stays.
    fn put_back(&self, before: &Staged, fresh: bool) {
        let mut state = self.lock();
        if fresh {
            // What can't be laid over the session as it is by now, can't be committed to it either.
            let _ = self.lay(before, &mut state);
        } else {
            before.restore(&mut state);
        }
    }

    /// Lays what was staged over the present record, which may be another one than it was made for.
    fn lay(&self, before: &Staged, state: &mut State) -> Result<(), Error> {
        let limits = self.shared().map(|shared| shared.config.limits());
        let (Some(limits), true) = (limits, before.overlay.has_changes()) else {
            before.restore(state);
            return Ok(());
        };
        let mut serial = state.serial;
        let rebased = before.overlay.rebase(state.record(), limits, &mut serial);
        state.serial = serial;
        match rebased {
            Ok(overlay) => {
                state.overlay = overlay;
                (state.renew, state.login) = (before.renew, before.login.clone());
                Ok(())
            }
            Err(error) => {
                // All or nothing, here too.
                state.forget_changes();
                Err(error)
            }
        }
    }
}

/// What a handle had staged when its transaction began.
struct Staged {
    overlay: Overlay,
    renew: bool,
    login: Option<Box<StagedLogin>>,
}

impl Staged {
    fn of(state: &State) -> Self {
        Self {
            overlay: state.overlay.clone(),
            renew: state.renew,
            login: state.login.clone(),
        }
    }

    /// Over the record that it was made for.
    fn restore(&self, state: &mut State) {
        state.restore(self.overlay.clone());
        (state.renew, state.login) = (self.renew, self.login.clone());
    }
}

struct End<'s>(&'s Session);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.lock().reads = None;
    }
}

pub(super) fn conflict() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "other requests kept changing the session that this one had read: nothing is stored, try again",
    )
}

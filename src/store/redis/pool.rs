//! Connections, kept for the next call.
//!
//! The pool crate that the client offers, r2d2, connects from a thread of its own with growing
//! pauses, so it would hold every caller for the whole timeout while the server is down and some
//! time after; and its last release is of 2022. Here the caller connects, and knows at once.

use std::time::{Duration, Instant};

use ::redis::{Cmd, ConnectionLike, RedisError, Value as Reply};
use parking_lot::{Condvar, Mutex};

use super::failure::{Failure, is_answer, is_elsewhere};
use super::target::{Target, Timeouts};

/// A connection that rested for longer is asked whether it still leads anywhere before it carries a
/// command that must not be sent twice.
const FRESH: Duration = Duration::from_secs(1);

type Connection = Box<dyn ConnectionLike + Send>;

pub(super) struct Pool {
    target: Target,
    timeouts: Timeouts,
    most: usize,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    /// Those at rest, the last used one last.
    idle: Vec<(Connection, Instant)>,
    /// All that are open: at rest, or with a caller.
    open: usize,
    /// Counts how often a connection turned out dead: those of an earlier era are as dead.
    era: u64,
}

impl Pool {
    pub(super) fn new(target: Target, timeouts: Timeouts, most: usize) -> Self {
        Self {
            target,
            timeouts,
            most,
            state: Mutex::default(),
            freed: Condvar::new(),
        }
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Runs a command. It is sent a second time, over a new connection, only if the first did not
    /// run for certain, or if it may run twice.
    pub(super) fn run(&self, command: &Cmd, repeatable: bool) -> Result<Reply, Failure> {
        let mut held = self.take()?;
        if !repeatable {
            held = held.alive()?;
        }
        let rested = held.rested.is_some();
        match held.ask(command) {
            Err(error)
                if rested
                    && (is_elsewhere(&error) || repeatable && error.is_connection_dropped()) =>
            {
                drop(held);
                self.take()?.ask(command).map_err(Failure::from)
            }
            answer => answer.map_err(Failure::from),
        }
    }

    /// A connection at rest, or a new one; waits while there are as many as may be.
    fn take(&self) -> Result<Held<'_>, Failure> {
        let until = Instant::now() + self.timeouts.connect;
        let mut state = self.state.lock();
        loop {
            let era = state.era;
            if let Some((connection, since)) = state.idle.pop() {
                return Ok(Held {
                    pool: self,
                    connection: Some(connection),
                    era,
                    rested: Some(since.elapsed()),
                });
            }
            if state.open < self.most {
                state.open += 1;
                drop(state);
                // Gives the place back if there is no connection to fill it.
                let mut held = Held {
                    pool: self,
                    connection: None,
                    era,
                    rested: None,
                };
                held.connection = Some(self.target.connect(&self.timeouts)?);
                return Ok(held);
            }
            let late = self.freed.wait_until(&mut state, until).timed_out();
            if late && state.idle.is_empty() && state.open >= self.most {
                return Err(Failure::Busy);
            }
        }
    }

    /// Lets go of what rests since an era that is over.
    fn end_era(&self, era: u64) {
        let mut state = self.state.lock();
        if state.era != era {
            return;
        }
        state.era += 1;
        let dead = std::mem::take(&mut state.idle);
        state.open -= dead.len();
        drop(state);
        self.freed.notify_all();
    }
}

/// A connection with a caller; dropping it puts it back, unless it is spoilt.
struct Held<'p> {
    pool: &'p Pool,
    connection: Option<Connection>,
    era: u64,
    /// How long it was at rest; `None` for a new one.
    rested: Option<Duration>,
}

impl<'p> Held<'p> {
    fn ask(&mut self, command: &Cmd) -> Result<Reply, RedisError> {
        let Some(connection) = &mut self.connection else {
            return Err(std::io::Error::from(std::io::ErrorKind::NotConnected).into());
        };
        let answer = command.query::<Reply>(&mut **connection);
        if let Err(error) = &answer {
            let elsewhere = is_elsewhere(error);
            if elsewhere || !is_answer(error) {
                // An answer that comes too late must not meet the next command.
                self.connection = None;
            }
            if elsewhere || error.is_connection_dropped() {
                self.pool.end_era(self.era);
            }
        }
        answer
    }

    /// This connection, or a new one in place of a dead one.
    fn alive(mut self) -> Result<Self, Failure> {
        if self.rested.is_none_or(|rested| rested < FRESH) {
            return Ok(self);
        }
        match self.ask(&::redis::cmd("PING")) {
            Ok(_) => Ok(self),
            Err(error) if error.is_connection_dropped() || is_elsewhere(&error) => {
                let pool = self.pool;
                drop(self);
                pool.take()
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.state.lock();
        match self.connection.take() {
            Some(connection) if self.era == state.era => {
                state.idle.push((connection, Instant::now()));
            }
            _ => state.open -= 1,
        }
        drop(state);
        self.pool.freed.notify_one();
    }
}

//! Connections to one server, kept for the next call.
//!
//! Not the client's `r2d2` pool: it connects in a thread of its own with growing pauses, and holds
//! every caller for the whole timeout while a server is down.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ::redis::{Cmd, Connection, RedisError, RedisResult, Value as Reply};
use parking_lot::{Condvar, Mutex};

use super::failure::Failure;
use super::target::Target;

pub(super) struct Pool {
    target: Target,
    timeout: Duration,
    max: usize,
    state: Mutex<State>,
    returned: Condvar,
    policy_checked: AtomicBool,
}

#[derive(Default)]
struct State {
    /// The last used one last.
    idle: Vec<Connection>,
    /// All that are open: idle, or with a caller.
    open: usize,
    /// Grows when a connection turns out dead: older ones are dead too.
    generation: u64,
}

impl Pool {
    pub(super) fn new(target: Target, timeout: Duration, max: usize) -> Self {
        Self {
            target,
            timeout,
            max,
            state: Mutex::default(),
            returned: Condvar::new(),
            policy_checked: AtomicBool::new(false),
        }
    }

    /// Sends a command once. `asking` lets a node answer for a slot that it is about to get.
    pub(super) fn send(&self, command: &Cmd, asking: bool) -> Result<Reply, Failure> {
        let mut packed = Vec::new();
        if asking {
            ::redis::cmd("ASKING").write_packed_command(&mut packed);
        }
        command.write_packed_command(&mut packed);
        let mut replies = self.send_packed(&packed, 1 + usize::from(asking))?;
        let reply = replies.pop().unwrap_or(Reply::Nil).extract_error();
        reply.map_err(|error| {
            let failure = Failure::Refused(error);
            if failure.is_elsewhere() {
                // Every connection leads to this server.
                let generation = self.state.lock().generation;
                self.end_generation(generation);
            }
            failure
        })
    }

    /// Sends commands that change nothing at once, again if the connection was dead. A reply may be
    /// an error of the server.
    pub(super) fn read(&self, packed: &[u8], count: usize) -> Result<Vec<Reply>, Failure> {
        match self.send_packed(packed, count) {
            Err(Failure::Lost(error)) if error.is_connection_dropped() => {
                self.send_packed(packed, count)
            }
            answer => answer,
        }
    }

    fn send_packed(&self, packed: &[u8], count: usize) -> Result<Vec<Reply>, Failure> {
        let mut held = self.take()?;
        let Some(connection) = &mut held.connection else {
            return Err(Failure::Busy);
        };
        let answer = connection.send_packed_command(packed).and_then(|()| {
            (0..count)
                .map(|_| connection.recv_response())
                .collect::<RedisResult<Vec<_>>>()
        });
        answer.map_err(|error| {
            // A late answer must not be taken for that to the next command.
            held.connection = None;
            if error.is_connection_dropped() {
                self.end_generation(held.generation);
            }
            Failure::Lost(error)
        })
    }

    /// An idle connection, or a new one; waits while there are as many as allowed.
    fn take(&self) -> Result<Held<'_>, Failure> {
        let until = Instant::now() + self.timeout;
        let mut state = self.state.lock();
        loop {
            let connection = state.idle.pop();
            if connection.is_some() || state.open < self.max {
                state.open += usize::from(connection.is_none());
                let generation = state.generation;
                drop(state);
                let mut held = Held {
                    pool: self,
                    connection,
                    generation,
                };
                if held.connection.is_none() {
                    held.connection = Some(self.connect().map_err(Failure::Connect)?);
                }
                return Ok(held);
            }
            let late = self.returned.wait_until(&mut state, until).timed_out();
            if late && state.idle.is_empty() && state.open >= self.max {
                return Err(Failure::Busy);
            }
        }
    }

    fn connect(&self) -> Result<Connection, RedisError> {
        let mut connection = self.target.connect(self.timeout)?;
        if !self.policy_checked.swap(true, Ordering::Relaxed) {
            report_eviction(&mut connection)?;
        }
        Ok(connection)
    }

    /// Closes the idle connections of a generation.
    fn end_generation(&self, generation: u64) {
        let mut state = self.state.lock();
        if state.generation == generation {
            state.generation += 1;
            let dead = std::mem::take(&mut state.idle);
            state.open -= dead.len();
            drop(state);
            self.returned.notify_all();
        }
    }
}

/// A server that evicts any key drops sessions and users' indexes: a revocation then misses sessions.
fn report_eviction(connection: &mut Connection) -> Result<(), RedisError> {
    let info = ::redis::cmd("INFO")
        .arg("memory")
        .query::<String>(connection);
    match info {
        Ok(info) => {
            let mut lines = info.lines();
            let policy = lines.find_map(|line| line.strip_prefix("maxmemory_policy:"));
            let safe = |policy: &&str| *policy == "noeviction" || policy.starts_with("volatile-");
            if let Some(policy) = policy.filter(|policy| !safe(policy)) {
                #[cfg(feature = "tracing")]
                tracing::warn!(
                    target: "liquid_session",
                    policy,
                    "the session store evicts keys: set `maxmemory-policy` to `noeviction`"
                );
                #[cfg(not(feature = "tracing"))]
                let _ = policy;
            }
            Ok(())
        }
        // The user may lack the right to ask.
        Err(error) if error.code().is_some() => Ok(()),
        Err(error) => Err(error),
    }
}

/// A connection with a caller; dropping it puts it back.
struct Held<'p> {
    pool: &'p Pool,
    connection: Option<Connection>,
    generation: u64,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.state.lock();
        match self.connection.take() {
            Some(connection) if self.generation == state.generation => state.idle.push(connection),
            _ => state.open -= 1,
        }
        drop(state);
        self.pool.returned.notify_one();
    }
}

//! Connections, kept for the next statement.
//!
//! A statement has a connection for itself: one that waits for a lock, or whose answer is late, holds
//! no other.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::failure::{Failure, Remedy};
use super::schema;
use super::statements::Query;
use super::target::{Prepared, Target};
use crate::Error;
use crate::store::driver::Driver;

/// How often a statement is sent at most, while other transactions come between.
const ATTEMPTS: u32 = 12;

/// How long to wait for another transaction, times the number of attempts so far.
const PAUSE: Duration = Duration::from_millis(3);

pub(super) struct Pool {
    driver: Driver,
    target: Arc<Target>,
    timeout: Duration,
    permits: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last used one last.
    idle: Vec<Prepared>,
    /// Grows when a connection turns out dead: older ones are dead too.
    generation: u64,
}

/// What a statement gave.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) rows: Vec<Row>,
    /// How many rows the statement has changed.
    pub(super) changed: u64,
    /// Whether the statement may have run before: the answer to an earlier one was lost.
    pub(super) repeated: bool,
}

impl Pool {
    pub(super) fn new(
        driver: Driver,
        target: Target,
        timeout: Duration,
        connections: usize,
    ) -> Self {
        Self {
            driver,
            target: Arc::new(target),
            timeout,
            permits: Semaphore::new(connections),
            state: Mutex::default(),
        }
    }

    pub(super) fn table(&self) -> &str {
        self.target.table()
    }

    /// Waits for a future on this thread.
    pub(super) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.driver.wait(future)
    }

    /// Runs a statement that changes no session. It is sent again if its connection breaks.
    pub(super) async fn read(
        &self,
        query: Query,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        match self.send(query, parameters).await {
            (Ok(answer), _) => Ok(answer.rows),
            (Err(failure), _) => Err(failure.into_error(false)),
        }
    }

    /// Runs a statement that changes a session. It is sent again if its connection breaks: every
    /// statement of the store may run twice, and the store judges the answer to the second.
    pub(super) async fn change(
        &self,
        query: Query,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Answer, Error> {
        match self.send(query, parameters).await {
            (Ok(answer), repeated) => Ok(Answer { repeated, ..answer }),
            (Err(failure), lost) => Err(failure.into_error(lost)),
        }
    }

    pub(super) async fn migrate(&self) -> Result<(), Error> {
        let target = self.target.clone();
        let migrated = self
            .on_driver(async move { schema::migrate(&target).await })
            .await;
        migrated.map_err(|failure| failure.into_error(false))
    }

    /// Gives the answer, and whether an earlier one was lost.
    async fn send(
        &self,
        query: Query,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> (Result<Answer, Failure>, bool) {
        let (mut lost, mut reconnected, mut attempt) = (false, false, 0);
        loop {
            attempt += 1;
            let failure = match self.send_once(query, parameters).await {
                Ok(answer) => return (Ok(answer), lost),
                Err(failure) => failure,
            };
            lost |= matches!(failure, Failure::Lost(_) | Failure::Late);
            match failure.remedy() {
                Remedy::Reconnect if !reconnected => reconnected = true,
                Remedy::Repeat if attempt < ATTEMPTS => {
                    let pause = PAUSE * attempt;
                    let _ = self.within(pause, std::future::pending::<()>()).await;
                }
                _ => return (Err(failure), lost),
            }
        }
    }

    async fn send_once(
        &self,
        query: Query,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Answer, Failure> {
        let mut held = self.take().await?;
        let Some(connection) = &held.connection else {
            return Err(Failure::Busy);
        };
        let run = run(connection, query, parameters);
        let failure = match self.within(self.timeout, run).await {
            Some(Ok(answer)) => return Ok(answer),
            Some(Err(error)) => Failure::of(error),
            None => Failure::Late,
        };
        match failure {
            // The server does not answer on other connections either.
            Failure::Lost(_) | Failure::Late => {
                held.connection = None;
                self.end_generation(held.generation);
            }
            _ if matches!(failure.remedy(), Remedy::Reconnect) => held.connection = None,
            _ => {}
        }
        Err(failure)
    }

    /// An idle connection, or a new one; waits while there are as many as allowed.
    async fn take(&self) -> Result<Held<'_>, Failure> {
        let permit = self.within(self.timeout, self.permits.acquire()).await;
        let Some(Ok(permit)) = permit else {
            return Err(Failure::Busy);
        };
        let (connection, generation) = {
            let mut state = self.state.lock();
            state.idle.retain(|idle| !idle.client.is_closed());
            (state.idle.pop(), state.generation)
        };
        let mut held = Held {
            pool: self,
            connection,
            generation,
            _permit: permit,
        };
        if held.connection.is_none() {
            let target = self.target.clone();
            let connect = self.on_driver(async move { target.connect().await });
            held.connection = Some(connect.await?);
        }
        Ok(held)
    }

    /// Runs a future on the runtime of the store, which then drives the connections that it makes.
    async fn on_driver<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        let task = self.driver.handle().spawn(future);
        task.await.unwrap_or(Err(Failure::Connect(None)))
    }

    /// `None` if the time is over before. The timer is the store's: the caller may have no runtime.
    async fn within<T>(&self, time: Duration, future: impl Future<Output = T>) -> Option<T> {
        let timed = {
            let _context = self.driver.handle().enter();
            tokio::time::timeout(time, future)
        };
        timed.await.ok()
    }

    /// Closes the idle connections of a generation.
    fn end_generation(&self, generation: u64) {
        let mut state = self.state.lock();
        if state.generation == generation {
            state.generation += 1;
            state.idle.clear();
        }
    }
}

async fn run(
    connection: &Prepared,
    query: Query,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Answer, tokio_postgres::Error> {
    let statement = connection.statements.get(query);
    let parameters = parameters.iter().copied();
    let mut stream = pin!(connection.client.query_raw(statement, parameters).await?);
    let mut rows = Vec::new();
    // To the end: the server says last that it has committed.
    while let Some(row) = stream.try_next().await? {
        rows.push(row);
    }
    Ok(Answer {
        rows,
        changed: stream.rows_affected().unwrap_or(0),
        repeated: false,
    })
}

/// A connection with a caller; dropping it puts it back.
struct Held<'p> {
    pool: &'p Pool,
    connection: Option<Prepared>,
    generation: u64,
    _permit: SemaphorePermit<'p>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let mut state = self.pool.state.lock();
            if self.generation == state.generation && !connection.client.is_closed() {
                state.idle.push(connection);
            }
        }
    }
}

//! The one thread that writes.
//!
//! Calls that arrive while a transaction is under way wait in a queue, and share the next one with
//! its one fsync. Each is answered when that transaction is on disk, or with its error.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use redb::{Database, Durability, ReadTransaction, ReadableDatabase, WriteTransaction};

use super::file;
use super::tables::{Fault, Tables, Written};
use crate::error::{Error, ErrorKind};

/// How many calls share a transaction, at most: what a caller waits for has a bound.
const BATCH: usize = 512;

/// How long touches and sweeps wait for an fsync if no change brings one sooner.
const SYNC_AFTER: Duration = Duration::from_secs(1);

/// The open database, and how to open it again.
pub(super) struct Place {
    path: PathBuf,
    file: File,
    /// `None` after a failure, until it could be opened again. Held only to begin a transaction, so
    /// that a reader who takes long, or calls the store meanwhile, keeps nobody waiting.
    database: RwLock<Option<Database>>,
}

impl Place {
    pub(super) fn open(path: PathBuf) -> Result<Self, Error> {
        let file = file::open_file(&path)?;
        let database = file::open(&file, &path)?;
        Ok(Self {
            path,
            file,
            database: RwLock::new(Some(database)),
        })
    }

    /// Runs a read transaction.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let transaction = match &*self.database.read() {
            Some(database) => database.begin_read()?,
            None => return Err(Fault::Database(redb::Error::DatabaseClosed)),
        };
        read(&transaction)
    }

    fn begin_write(&self) -> Result<WriteTransaction, redb::Error> {
        match &*self.database.read() {
            Some(database) => Ok(database.begin_write()?),
            None => Err(redb::Error::DatabaseClosed),
        }
    }

    /// Closes the database and opens it again: after a failed write, redb serves nobody until then.
    /// It comes back with what was last committed to disk.
    fn reopen(&self) -> Result<(), Error> {
        let mut database = self.database.write();
        drop(database.take());
        *database = Some(file::open(&self.file, &self.path)?);
        Ok(())
    }

    /// What a failure leaves that could not be mended.
    #[cfg(test)]
    pub(super) fn close(&self) {
        *self.database.write() = None;
    }

    pub(super) fn error(&self, fault: Fault) -> Error {
        match fault {
            Fault::Own(error) => error,
            Fault::Database(cause) => file::failed(cause, &self.path),
        }
    }

    /// Runs calls in one transaction and brings it to disk, or as far as it must go.
    pub(super) fn transact(
        &self,
        batch: &mut [Box<dyn Job>],
        sync: bool,
    ) -> Result<Written, Error> {
        let transaction = self.begin_write().or_else(|_| {
            self.reopen()?;
            self.begin_write()
                .map_err(|cause| file::failed(cause, &self.path))
        });
        let mut transaction = transaction?;
        let attempt = move || -> Result<Written, Fault> {
            let written = {
                let mut tables = Tables::open(&transaction)?;
                for job in batch {
                    job.run(&mut tables).map_err(Fault::Database)?;
                }
                if sync {
                    Written::Durably
                } else {
                    tables.written()
                }
            };
            match written {
                Written::Nothing => transaction.abort()?,
                Written::Lazily => {
                    transaction.set_durability(Durability::None)?;
                    transaction.commit()?;
                }
                Written::Durably => transaction.commit()?,
            }
            Ok(written)
        };
        let outcome = match catch_unwind(AssertUnwindSafe(attempt)) {
            Ok(outcome) => outcome.map_err(|fault| self.error(fault)),
            Err(_) => Err(file::unavailable(
                "the session database failed",
                &self.path,
                &"the transaction panicked",
            )),
        };
        if outcome.is_err() {
            // At once: while the file is closed, another process could take it. If it can't be
            // opened now, the next call tries again, and says why not.
            let _ = self.reopen();
        }
        outcome
    }
}

/// A call that waits for its turn.
pub(super) trait Job: Send {
    /// Does it, inside a transaction. An error is the database's: the call's own is kept for it.
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error>;

    /// Answers, once the transaction is over.
    fn answer(self: Box<Self>, failed: Option<Error>);
}

struct Call<W, T> {
    work: Option<W>,
    result: Option<Result<T, Error>>,
    reply: SyncSender<Result<T, Error>>,
}

impl<W, T> Job for Call<W, T>
where
    W: FnOnce(&mut Tables<'_>) -> Result<T, Fault> + Send,
    T: Send,
{
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error> {
        if let Some(work) = self.work.take() {
            self.result = Some(match work(tables) {
                Ok(done) => Ok(done),
                Err(Fault::Own(error)) => Err(error),
                Err(Fault::Database(cause)) => return Err(cause),
            });
        }
        Ok(())
    }

    fn answer(self: Box<Self>, failed: Option<Error>) {
        let result = match failed {
            Some(error) => Err(error),
            None => self.result.unwrap_or_else(|| Err(stopped())),
        };
        // Whoever asked may be gone.
        let _ = self.reply.send(result);
    }
}

/// A call, and where its answer comes out.
pub(super) fn pending<T: Send + 'static>(
    work: impl FnOnce(&mut Tables<'_>) -> Result<T, Fault> + Send + 'static,
) -> (Box<dyn Job>, Receiver<Result<T, Error>>) {
    let (reply, answer) = mpsc::sync_channel(1);
    let call = Call {
        work: Some(work),
        result: None,
        reply,
    };
    (Box::new(call), answer)
}

fn stopped() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the session database does not answer: its writer has stopped; open the store again",
    )
}

/// The queue and its thread.
pub(super) struct Writer {
    pub(super) queue: Option<Sender<Box<dyn Job>>>,
    pub(super) thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(place: Arc<Place>) -> Result<Self, Error> {
        let (queue, calls) = mpsc::channel();
        let path = place.path.clone();
        let thread = std::thread::Builder::new()
            .name("session-writer".to_owned())
            .spawn(move || run(&place, &calls))
            .map_err(|cause| {
                file::unavailable(
                    "the session database can't be opened: there is no thread for its writer",
                    &path,
                    &cause,
                )
            })?;
        Ok(Self {
            queue: Some(queue),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Runs this in a transaction, together with what others want to write by then.
    pub(super) fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Error> {
        let (call, answer) = pending(work);
        self.queue
            .as_ref()
            .and_then(|queue| queue.send(call).ok())
            .ok_or_else(stopped)?;
        // If the thread dies, the other end goes with it.
        answer.recv().unwrap_or_else(|_| Err(stopped()))
    }
}

/// Waits until what is queued is on disk and the file is free.
impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

fn run(place: &Place, calls: &Receiver<Box<dyn Job>>) {
    let mut batch = Vec::new();
    // Since when something waits for an fsync.
    let mut unsynced: Option<Instant> = None;
    loop {
        let call = match unsynced {
            None => calls.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(since) => calls.recv_timeout(SYNC_AFTER.saturating_sub(since.elapsed())),
        };
        if matches!(call, Err(RecvTimeoutError::Disconnected)) {
            // Closing the database brings to disk what is not there yet.
            return;
        }
        batch.extend(call);
        batch.extend(calls.try_iter().take(BATCH - batch.len()));
        let sync = unsynced.is_some_and(|since| since.elapsed() >= SYNC_AFTER);
        let outcome = place.transact(&mut batch, sync);
        match outcome {
            // What was not on disk is gone, or is there.
            Err(_) | Ok(Written::Durably) => unsynced = None,
            Ok(Written::Lazily) => {
                unsynced.get_or_insert_with(Instant::now);
            }
            Ok(Written::Nothing) => {}
        }
        let failed = outcome.err();
        for call in batch.drain(..) {
            call.answer(failed.clone());
        }
    }
}

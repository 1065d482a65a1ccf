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
use redb::{Database, Durability, ReadTransaction, ReadableDatabase};

use super::file;
use super::tables::{Fault, Tables, Written};
use crate::{Error, ErrorKind};

/// How many calls share a transaction, at most: what a caller waits for has a bound.
const BATCH: usize = 512;

/// How long touches and sweeps wait for an fsync if no change brings one sooner.
const SYNC_AFTER: Duration = Duration::from_secs(1);

/// The open database, and how to open it again.
pub(super) struct OpenFile {
    path: PathBuf,
    file: File,
    /// `None` after a failure, until it could be opened again. Locked only to begin a transaction, so
    /// that a slow reader, or one that calls the store meanwhile, keeps no other call waiting.
    database: RwLock<Option<Database>>,
}

impl OpenFile {
    /// `path` is absolute.
    pub(super) fn open(path: PathBuf) -> Result<Self, Error> {
        let file = file::open_file(&path)?;
        let database = file::open_checked(&file, &path)?;
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
        let transaction = self.begin(|database| Ok(database.begin_read()?))?;
        read(&transaction)
    }

    fn begin<T>(&self, begin: impl Fn(&Database) -> Result<T, Fault>) -> Result<T, Fault> {
        match &*self.database.read() {
            Some(database) => begin(database),
            None => Err(Fault::Database(redb::Error::DatabaseClosed)),
        }
    }

    /// Closes the database and opens it again: after a failed write, redb refuses all calls until then.
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
        file::failed(fault, &self.path)
    }

    /// Runs work in one transaction and brings it to disk, or as far as it must go.
    pub(super) fn transact(&self, batch: Vec<Work>, sync: bool) -> Result<Written, Error> {
        if !file::is_in_place(&self.file, &self.path) {
            return Err(file::unavailable(
                "the session database was removed or replaced while it was open: put its file back, or open the store again",
                &self.path,
                &"it leads to another file, or to none",
            ));
        }
        let begin = || self.begin(|database| Ok(database.begin_write()?));
        let transaction = begin().or_else(|_| {
            self.reopen()?;
            begin()
        });
        let mut transaction = transaction.map_err(|fault| self.error(fault))?;
        let attempt = move || -> Result<Written, Fault> {
            let written = {
                let mut tables = Tables::open(&transaction)?;
                for work in batch {
                    work(&mut tables)?;
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
            // opened now, the next call tries again and returns the error.
            let _ = self.reopen();
        }
        outcome
    }
}

/// What a call does inside a transaction. It keeps its own error for its caller; the error here is the
/// database's, and ends the transaction.
pub(super) type Work = Box<dyn FnOnce(&mut Tables<'_>) -> Result<(), redb::Error> + Send>;

/// A call that waits for its turn.
pub(super) struct Call {
    pub(super) work: Work,
    /// Gets what became of the transaction.
    pub(super) over: SyncSender<Result<(), Error>>,
}

/// Where the answer to a call arrives.
pub(super) struct Answer<T> {
    over: Receiver<Result<(), Error>>,
    result: Receiver<Result<T, Error>>,
}

impl<T> Answer<T> {
    pub(super) fn wait(self) -> Result<T, Error> {
        // If the writer dies, the other ends go with it.
        self.over.recv().unwrap_or_else(|_| Err(stopped()))?;
        self.result.recv().unwrap_or_else(|_| Err(stopped()))
    }
}

pub(super) fn call<T: Send + 'static>(
    work: impl FnOnce(&mut Tables<'_>) -> Result<T, Fault> + Send + 'static,
) -> (Call, Answer<T>) {
    let (over, is_over) = mpsc::sync_channel(1);
    let (done, result) = mpsc::sync_channel(1);
    let work: Work = Box::new(move |tables| {
        let result = match work(tables) {
            Ok(value) => Ok(value),
            Err(Fault::Own(error)) => Err(error),
            Err(Fault::Database(cause)) => return Err(cause),
        };
        // The caller may be gone.
        let _ = done.send(result);
        Ok(())
    });
    let answer = Answer {
        over: is_over,
        result,
    };
    (Call { work, over }, answer)
}

fn stopped() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the session database does not answer: its writer has stopped; open the store again",
    )
}

/// The queue and its thread.
pub(super) struct Writer {
    pub(super) queue: Option<Sender<Call>>,
    pub(super) thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(file: Arc<OpenFile>) -> Result<Self, Error> {
        let (queue, calls) = mpsc::channel();
        let path = file.path.clone();
        let thread = std::thread::Builder::new()
            .name("session-writer".to_owned())
            .spawn(move || run(&file, &calls))
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

    /// Runs this in a transaction, together with the other calls that wait.
    pub(super) fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Error> {
        let (call, answer) = call(work);
        self.queue
            .as_ref()
            .and_then(|queue| queue.send(call).ok())
            .ok_or_else(stopped)?;
        answer.wait()
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

fn run(file: &OpenFile, calls: &Receiver<Call>) {
    // Since when something waits for an fsync.
    let mut unsynced: Option<Instant> = None;
    loop {
        let first = match unsynced {
            None => calls.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(since) => calls.recv_timeout(SYNC_AFTER.saturating_sub(since.elapsed())),
        };
        if matches!(first, Err(RecvTimeoutError::Disconnected)) {
            // Closing the database brings to disk what is not there yet.
            return;
        }
        let batch = first.into_iter().chain(calls.try_iter()).take(BATCH);
        let (batch, callers): (Vec<_>, Vec<_>) = batch.map(|call| (call.work, call.over)).unzip();
        let sync = unsynced.is_some_and(|since| since.elapsed() >= SYNC_AFTER);
        let outcome = file.transact(batch, sync);
        match outcome {
            // What was not on disk is gone, or is there.
            Err(_) | Ok(Written::Durably) => unsynced = None,
            Ok(Written::Lazily) => {
                unsynced.get_or_insert_with(Instant::now);
            }
            Ok(Written::Nothing) => {}
        }
        let outcome = outcome.map(drop);
        for caller in callers {
            let _ = caller.send(outcome.clone());
        }
    }
}

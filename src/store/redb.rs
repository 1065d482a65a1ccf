mod file;
mod staging;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use redb::ReadTransaction;

#[cfg(fuzzing)]
pub(super) use self::tables::fuzzing;

use self::tables::Fault;
use self::writer::{Place, Writer};
use super::{Committed, Revoke, SessionInfo, SessionStore};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::record::{Change, Record};
use crate::secret::StoreKey;

/// Sessions in one file of this machine. They survive a restart, a crash and a power failure.
///
/// - A change is on disk when [`commit`](SessionStore::commit) returns: the record, its deadline and
///   its place in the list of a user's sessions, all of it or nothing.
/// - Changes that arrive together share one transaction and one fsync: a hundred threads that commit
///   at once wait little longer than one. A change that fails by its own fault fails alone.
/// - Touches and sweeps wait for no fsync; they reach the disk with the next change, and within a
///   second. A crash takes back the uses of that last second: such a session counts from the use
///   before, unless it is used again. What a sweep removed and a crash brings back has expired.
/// - Reading needs no lock, and sees what is committed.
/// - When the disk is full, a change fails with [`ErrorKind::Full`](crate::ErrorKind::Full), what
///   was stored stays readable, and changes go through again as soon as there is room.
/// - At most 64 MiB of the file are kept in memory.
/// - Expired sessions go when [`sweep`](SessionStore::sweep) is called; call it every minute or so.
///   The room they took is used again; the file does not shrink by itself.
///
/// One process has the file open, with one store: a second one is refused. Clones of
/// [`Sessions`](crate::Sessions) share it among threads. When the last one is dropped, the file is
/// closed. Keep the file on a local disk: file systems of a network promise neither locks nor an
/// fsync that holds.
///
/// ```
/// use liquid_session::store::RedbStore;
/// use liquid_session::{SessionConfig, Sessions};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("sessions.redb");
///
/// let sessions = Sessions::new(RedbStore::open(&path)?, SessionConfig::default());
/// let session = sessions.open(None);
/// session.set("color", "dark")?;
/// let secret = session.commit()?.secret().unwrap().expose();
/// drop((session, sessions));
///
/// // After a restart:
/// let sessions = Sessions::new(RedbStore::open(&path)?, SessionConfig::default());
/// assert_eq!(sessions.open(Some(&secret)).get("color")?, Some("dark".into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RedbStore {
    place: Arc<Place>,
    writer: Writer,
}

impl RedbStore {
    /// Opens the database in a file, or creates it; its folder must be there. On Unix a new file is
    /// readable by its owner only.
    ///
    /// All of the file is read and its checksums are compared, once: a second or so for each million
    /// sessions. What a crash left is mended.
    ///
    /// # Errors
    ///
    /// The file stays byte for byte as it was. The text names no path; the source does.
    ///
    /// - [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): the file belongs to another program, was
    ///   written by a newer version of this one, or is damaged.
    /// - [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): another process has it open, or
    ///   another store of this one; its folder is missing; it can't be read and written.
    /// - [`ErrorKind::Full`](crate::ErrorKind::Full): there is no room to create it.
    ///
    /// ```
    /// use liquid_session::ErrorKind;
    /// use liquid_session::store::RedbStore;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("notes.txt");
    /// std::fs::write(&path, "milk, bread")?;
    /// let error = RedbStore::open(&path).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Corrupt);
    /// assert_eq!(std::fs::read(&path)?, b"milk, bread");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let place = Arc::new(Place::open(path.as_ref().to_owned())?);
        let writer = Writer::start(place.clone())?;
        Ok(Self { place, writer })
    }

    fn read<T>(
        &self,
        mut read: impl FnMut(&ReadTransaction) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        match self.place.read(&mut read) {
            Ok(value) => Ok(value),
            Err(Fault::Own(error)) => Err(error),
            // A write has failed a moment ago, or reading did: the writer opens the database again
            // before it answers.
            Err(Fault::Database(_)) => {
                self.writer.call(|_| Ok(()))?;
                self.place
                    .read(&mut read)
                    .map_err(|fault| self.place.error(fault))
            }
        }
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore").finish_non_exhaustive()
    }
}

impl SessionStore for RedbStore {
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Option<Arc<Record>>, Error> {
        self.read(|transaction| tables::load(transaction, key, now))
    }

    fn commit(&self, key: &StoreKey, change: &Change, now: Timestamp) -> Result<Committed, Error> {
        let (key, change) = (*key, change.clone());
        self.writer
            .call(move |tables| tables.commit(&key, &change, now))
    }

    fn touch(&self, key: &StoreKey, now: Timestamp) -> Result<bool, Error> {
        let key = *key;
        self.writer.call(move |tables| tables.touch(&key, now))
    }

    fn destroy(&self, key: &StoreKey) -> Result<bool, Error> {
        let key = *key;
        self.writer.call(move |tables| tables.destroy(&key))
    }

    fn user_sessions(&self, user: &str, now: Timestamp) -> Result<Vec<SessionInfo>, Error> {
        self.read(|transaction| tables::user_sessions(transaction, user, now))
    }

    fn revoke(&self, user: &str, which: Revoke, now: Timestamp) -> Result<usize, Error> {
        let user = user.to_owned();
        self.writer
            .call(move |tables| tables.revoke(&user, which, now))
    }

    fn sweep(&self, now: Timestamp, max: usize) -> Result<usize, Error> {
        let mut swept = 0;
        loop {
            let left = max - swept;
            let round = self.writer.call(move |tables| tables.sweep(now, left))?;
            swept += round.removed;
            if !round.more {
                return Ok(swept);
            }
        }
    }

    fn scan(
        &self,
        now: Timestamp,
        visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
    ) -> Result<(), Error> {
        let mut begun = false;
        self.read(|transaction| {
            if begun {
                // Nobody wants to see half of the records twice.
                return Err(Fault::Own(Error::new(
                    ErrorKind::Unavailable,
                    "the session database failed while it was read through: begin again",
                )));
            }
            tables::scan(transaction, now, &mut |key, record| {
                begun = true;
                visit(key, record)
            })
        })
    }
}

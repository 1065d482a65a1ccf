mod file;
mod preview;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use redb::ReadTransaction;

use self::tables::Fault;
use self::writer::{OpenFile, Writer};
use super::{
    Change, Committed, IndexLine, Loaded, Record, SessionStore, StoreKey, Swap, Swapped, Touch,
};
use crate::clock::Timestamp;
use crate::{Error, ErrorKind};

/// Sessions in one file of this machine. They survive a restart, a crash and a power failure.
///
/// - A change is on disk when its call returns: the record, its deadline, its forwards and its line in
///   the user's index, all of it or nothing.
/// - Changes that arrive together share one transaction and one fsync: a hundred threads that commit
///   at once wait little longer than one. A change that fails by its own fault fails alone.
/// - Touches and sweeps wait for no fsync; they reach the disk with the next change, and within a
///   second. A crash takes back the uses of that last second: such a session counts from the use
///   before, unless it is used again. What a sweep removed and a crash brings back has expired.
/// - Reading needs no lock, and sees what is committed.
/// - When the disk is full, a change fails with [`ErrorKind::Full`](crate::ErrorKind::Full), what
///   was stored stays readable, and changes go through again as soon as there is room.
/// - When the file is removed or replaced while it is open (Unix), writes fail with
///   [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable).
/// - At most 64 MiB of the file are kept in memory.
/// - Expired sessions go when [`sweep`](SessionStore::sweep) is called; call it every minute or so.
///   The room they took is used again; the file does not shrink by itself.
///
/// One process has the file open, with one store: a second one is refused. Clones of
/// [`Sessions`](crate::Sessions) share it among threads. When the last one is dropped, the file is
/// closed. Keep the file on a local disk: file systems of a network promise neither locks nor an
/// fsync that holds.
///
/// A copy of the open file may be torn: make backups with [`backup`](Self::backup), or copy the file
/// while no program has it open.
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
    file: Arc<OpenFile>,
    writer: Writer,
}

impl RedbStore {
    /// Opens the database in a file, or creates it; its folder must exist. On Unix a new file is
    /// readable by its owner only.
    ///
    /// All of the file is read and its checksums are compared, once: a second or so for each million
    /// sessions, and twice that after a crash. What a crash left is mended.
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
        // The program may change its folder later.
        let path = std::path::absolute(&path).unwrap_or_else(|_| path.as_ref().to_owned());
        let file = Arc::new(OpenFile::open(path)?);
        let writer = Writer::start(file.clone())?;
        Ok(Self { file, writer })
    }

    /// Writes a consistent copy of all sessions, as they are at the call, to a new file. Requests go
    /// on meanwhile.
    ///
    /// To restore it, stop the program, put the copy in the place of the file, and start the program.
    ///
    /// # Errors
    ///
    /// The copy is removed. The text names no path; the source does.
    ///
    /// - [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): the file exists already, or can't
    ///   be created; the database can't be read.
    /// - [`ErrorKind::Full`](crate::ErrorKind::Full): there is no room for the copy.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use liquid_session::store::RedbStore;
    /// use liquid_session::{SessionConfig, Sessions};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let (path, copy) = (folder.path().join("sessions.redb"), folder.path().join("copy.redb"));
    /// let store = Arc::new(RedbStore::open(&path)?);
    /// let sessions = Sessions::new(store.clone(), SessionConfig::default());
    /// let session = sessions.open(None);
    /// session.set("color", "dark")?;
    /// let secret = session.commit()?.secret().unwrap().expose();
    /// store.backup(&copy)?;
    ///
    /// let restored = Sessions::new(RedbStore::open(&copy)?, SessionConfig::default());
    /// assert_eq!(restored.open(Some(&secret)).get("color")?, Some("dark".into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn backup(&self, to: impl AsRef<Path>) -> Result<(), Error> {
        // An error of the copy is no reason to read again.
        self.read(|transaction| Ok(file::copy(transaction, to.as_ref())))?
    }

    fn read<T>(
        &self,
        mut read: impl FnMut(&ReadTransaction) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        let outcome = match self.file.read(&mut read) {
            // A write has failed a moment ago, or reading did: the writer opens the database again
            // before it answers.
            Err(Fault::Database(_)) => {
                self.writer.call(|_| Ok(()))?;
                self.file.read(&mut read)
            }
            outcome => outcome,
        };
        outcome.map_err(|fault| self.file.error(fault))
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore").finish_non_exhaustive()
    }
}

impl SessionStore for RedbStore {
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Loaded, Error> {
        self.read(|transaction| tables::load(transaction, key, now))
    }

    fn swap(&self, key: &StoreKey, swap: Swap<'_>, now: Timestamp) -> Result<Swapped, Error> {
        let (before, after, forward) = match swap {
            Swap::Create(after) => (None, Some(after), None),
            Swap::Replace { before, after } => (Some(before), Some(after), None),
            Swap::Move {
                before,
                after,
                forward,
            } => (Some(before), Some(after), Some(forward)),
            Swap::Remove(before) => (Some(before), None, None),
            Swap::RemoveUnreadable => (None, None, None),
        };
        let (key, before, after) = (*key, before.map(Record::version), after.cloned());
        self.writer
            .call(move |tables| tables.swap(&key, before, after.as_ref(), forward, now))
    }

    fn commit(
        &self,
        key: &StoreKey,
        change: &Change,
        _: Option<Arc<Record>>,
        now: Timestamp,
    ) -> Result<Committed, Error> {
        let (key, change) = (*key, change.clone());
        self.writer
            .call(move |tables| tables.commit(&key, &change, now))
    }

    fn touch(&self, key: &StoreKey, touch: &Touch<'_>) -> Result<(), Error> {
        // The index line changes with the record, so none is ever lost.
        let (key, touch) = (*key, touch.without_user());
        self.writer.call(move |tables| tables.touch(&key, &touch))
    }

    fn user_index(&self, user: &str, _: Timestamp) -> Result<Vec<IndexLine>, Error> {
        self.read(|transaction| tables::user_index(transaction, user))
    }

    /// A record that can't be read goes when the deadline that it is filed under has come.
    fn sweep(&self, now: Timestamp, max: usize) -> Result<usize, Error> {
        let mut removed = 0;
        loop {
            let left = max - removed;
            let (swept, more) = self.writer.call(move |tables| tables.sweep(now, left))?;
            removed += swept;
            if !more {
                return Ok(removed);
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
                // Reading again would visit records twice.
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

    fn ping(&self) -> Result<(), Error> {
        self.writer.call(|_| Ok(()))
    }

    fn count(&self) -> Option<usize> {
        self.read(tables::count).ok()
    }
}

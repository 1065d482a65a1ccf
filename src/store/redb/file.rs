//! The file: opening it, copying it, and what can be wrong with it.

use std::error::Error as StdError;
use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind as Io};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, ReadTransaction};

use super::preview::Preview;
use super::tables::{self, Fault};
use crate::{Error, ErrorKind};

/// How much of the file is kept in memory, at most. redb's own default is 1 GiB, more than a small
/// machine has; the operating system caches the rest of the file anyway.
const CACHE_BYTES: usize = 64 << 20;

fn options() -> OpenOptions {
    let mut options = File::options();
    options.read(true).write(true);
    // On a machine with many users, sessions are for the owner of the file only.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Opens the file, or makes an empty one that [`open_checked`] turns into a database.
pub(super) fn open_file(path: &Path) -> Result<File, Error> {
    let file = options().create(true).truncate(false).open(path);
    let file = file.map_err(|cause| not_opened(path, &cause))?;
    if file.metadata().is_ok_and(|about| about.len() == 0) {
        sync_folder(path).map_err(|cause| not_opened(path, &cause))?;
    }
    Ok(file)
}

/// A new file is only there after a power failure if its folder was synced.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// Checks all of a file and opens the database in it, or makes one if it is empty. A file that fails
/// the check is left as it is.
pub(super) fn open_checked(file: &File, path: &Path) -> Result<Database, Error> {
    guarded(path, || {
        let is_new = file.metadata()?.len() == 0;
        let preview = Preview::new(backend(file)?)?;
        let database = builder()
            // Otherwise a damaged page is found by the request that reads it.
            .set_check_integrity_on_open(true)
            .create_with_backend(preview.clone())?;
        tables::prepare(&database, is_new)?;
        if is_new && !preview.fill_empty_file()? {
            return Err(DatabaseError::DatabaseAlreadyOpen.into());
        }
        Ok(())
    })?;
    open(file, path)
}

/// Opens the database in a file that was checked before, and mends what a crash or a failed write
/// left.
pub(super) fn open(file: &File, path: &Path) -> Result<Database, Error> {
    guarded(path, || Ok(builder().create_with_backend(backend(file)?)?))
}

/// Copies what a read transaction sees into a new file.
pub(super) fn copy(read: &ReadTransaction, path: &Path) -> Result<(), Error> {
    let file = options().create_new(true).open(path).map_err(|cause| {
        let message = match cause.kind() {
            Io::AlreadyExists => {
                "the session database can't be copied: the file exists already, choose a new one"
            }
            _ => "the session database can't be copied: expected a folder that this process may write to",
        };
        unavailable(message, path, &cause)
    })?;
    guarded(path, || {
        let database = builder().create_with_backend(backend(&file)?)?;
        // A copy that a crash interrupts has no table, and is refused.
        let write = database.begin_write()?;
        tables::copy(read, &write)?;
        write.commit()?;
        database.close()?;
        Ok(sync_folder(path)?)
    })
    .inspect_err(|_| {
        let _ = fs::remove_file(path);
    })
}

/// Whether the path still leads to the file. On systems other than Unix an open file can't be removed.
pub(super) fn is_in_place(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let identity = |about: fs::Metadata| (about.dev(), about.ino());
        match (file.metadata(), fs::metadata(path)) {
            (Ok(open), Ok(there)) => identity(open) == identity(there),
            (_, Err(cause)) => cause.kind() != Io::NotFound,
            (Err(_), _) => true,
        }
    }
    #[cfg(not(unix))]
    {
        let _ = (file, path);
        true
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn backend(file: &File) -> Result<FileBackend, Fault> {
    Ok(FileBackend::new(file.try_clone()?)?)
}

/// redb does not promise to read any bytes without a panic, and its debug builds assert.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Error> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => outcome.map_err(|fault| failed(fault, path)),
        Err(_) => Err(damaged(path, &"redb panicked")),
    }
}

fn not_opened(path: &Path, cause: &io::Error) -> Error {
    let message = match cause.kind() {
        Io::NotFound => {
            "the session database can't be created: its folder does not exist, create it first"
        }
        Io::PermissionDenied | Io::ReadOnlyFilesystem => {
            "the session database can't be opened: this process must be able to read and write it"
        }
        _ => "the session database can't be opened: expected a file, or a folder to create it in",
    };
    unavailable(message, path, cause)
}

/// The error that a caller of the store gets.
pub(super) fn failed(fault: Fault, path: &Path) -> Error {
    use redb::Error as Cause;
    let cause = match fault {
        Fault::Own(error) => return error,
        Fault::Database(cause) => cause,
    };
    let (kind, message) = match &cause {
        Cause::DatabaseAlreadyOpen | Cause::LockProtocolMismatch => (
            ErrorKind::Unavailable,
            "the session database is in use: one store of one process may have it open; stop the other one, or use a store that processes share",
        ),
        Cause::Io(io) => match io.kind() {
            Io::InvalidData => (ErrorKind::Corrupt, tables::FOREIGN),
            Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => (
                ErrorKind::Full,
                "the session database has no room on its disk: what is stored stays, nothing new is stored until there is room",
            ),
            Io::UnexpectedEof => return damaged(path, &cause),
            _ => (
                ErrorKind::Unavailable,
                "the session database can't be read or written",
            ),
        },
        Cause::Corrupted(_)
        | Cause::UpgradeRequired(_)
        | Cause::TableTypeMismatch { .. }
        | Cause::TypeDefinitionChanged { .. }
        | Cause::TableIsMultimap(_)
        | Cause::TableIsNotMultimap(_)
        | Cause::TableDoesNotExist(_) => return damaged(path, &cause),
        _ => (ErrorKind::Unavailable, "the session database failed"),
    };
    Error::with_source(kind, message, source(path, &cause))
}

fn damaged(path: &Path, cause: &dyn Display) -> Error {
    Error::with_source(
        ErrorKind::Corrupt,
        "the session database can't be read: it is damaged, or of a newer program; restore it, or move it away to begin with an empty one",
        source(path, cause),
    )
}

pub(super) fn unavailable(message: &'static str, path: &Path, cause: &dyn Display) -> Error {
    Error::with_source(ErrorKind::Unavailable, message, source(path, cause))
}

/// As a text, so that no type of redb is part of what this crate promises.
fn source(path: &Path, cause: &dyn Display) -> Box<dyn StdError + Send + Sync> {
    format!("{}: {cause}", path.display()).into()
}

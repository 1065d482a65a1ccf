//! Opening a file, and what can be wrong with it.

use std::error::Error as StdError;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{Builder, Database, DatabaseError, ReadableDatabase, StorageError};

use super::staging::StagedFile;
use super::tables::{FORMAT, FORMAT_KEY, Fault, META, Tables};
use crate::error::{Error, ErrorKind};

/// How much of the file is kept in memory, at most. redb's own default is 1 GiB, more than a small
/// machine has; the operating system caches the rest of the file anyway.
const CACHE_BYTES: usize = 64 << 20;

/// Opens the file, or makes an empty one that [`open`] turns into a database.
pub(super) fn open_file(path: &Path) -> Result<File, Error> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    // What visitors did is nobody else's business on a machine with many users.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(|cause| {
        let message = match cause.kind() {
            io::ErrorKind::NotFound => {
                "the session database can't be created: its folder does not exist, create it first"
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "the session database can't be opened: this process must be able to read and write it"
            }
            _ => "the session database can't be opened: expected a file, or a folder to create it in",
        };
        unavailable(message, path, &cause)
    })?;
    // A new file is only there after a power failure if its folder says so.
    #[cfg(unix)]
    if file.metadata().is_ok_and(|about| about.len() == 0) {
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        File::open(folder.unwrap_or(Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .map_err(|cause| unavailable("the session database can't be created", path, &cause))?;
    }
    Ok(file)
}

/// Opens the database in a file: checks all of it, mends what a crash left, and makes it if the
/// file is empty. A file that fails the check is left as it is.
pub(super) fn open(file: &File, path: &Path) -> Result<Database, Error> {
    let attempt = || -> Result<Database, Fault> {
        let file = file.try_clone().map_err(StorageError::Io)?;
        let staged = StagedFile::new(file).map_err(Fault::Database)?;
        let database = Builder::new()
            .set_cache_size(CACHE_BYTES)
            // Without it a damaged file is found out when somebody reads the damaged page.
            .set_check_integrity_on_open(true)
            .create_with_backend(staged.clone())
            .map_err(|error: DatabaseError| Fault::Database(error.into()))?;
        check(&database)?;
        staged.release().map_err(StorageError::Io)?;
        Ok(database)
    };
    // redb does not promise to read any bytes without a panic, and its debug builds assert.
    match catch_unwind(AssertUnwindSafe(attempt)) {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(Fault::Own(error))) => Err(error),
        Ok(Err(Fault::Database(cause))) => Err(failed(cause, path)),
        Err(_) => Err(damaged(path, &"redb gave up on it")),
    }
}

/// Whether it is ours to write to. A database without any table is new, or was about to become ours
/// when a crash came.
fn check(database: &Database) -> Result<(), Fault> {
    let read = database.begin_read()?;
    if read.list_tables()?.next().is_none() && read.list_multimap_tables()?.next().is_none() {
        drop(read);
        let write = database.begin_write()?;
        write.open_table(META)?.insert(FORMAT_KEY, FORMAT)?;
        Tables::open(&write)?;
        write.commit()?;
        return Ok(());
    }
    let meta = match read.open_table(META) {
        Ok(meta) => meta,
        Err(redb::TableError::Storage(error)) => return Err(error.into()),
        Err(_) => return Err(Fault::Own(foreign())),
    };
    let format = redb::ReadableTable::get(&meta, FORMAT_KEY)?.map(|format| format.value());
    match format {
        Some(FORMAT) => {}
        Some(newer) if newer > FORMAT => {
            return Err(Fault::Own(Error::new(
                ErrorKind::Corrupt,
                format!(
                    "the session database is of format version {newer}, this program reads version {FORMAT}: run a newer program"
                ),
            )));
        }
        _ => return Err(Fault::Own(foreign())),
    }
    // That the tables are there and of the right types.
    drop((meta, read));
    let write = database.begin_write()?;
    Tables::open(&write).map(drop)?;
    write.abort()?;
    Ok(())
}

fn foreign() -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "expected a session database, found the file of another program: choose another file",
    )
}

fn damaged(path: &Path, cause: &dyn std::fmt::Display) -> Error {
    Error::with_source(
        ErrorKind::Corrupt,
        "the session database can't be read: it is damaged, or of a newer program; restore it, or move it away to begin with an empty one",
        source(path, cause),
    )
}

/// What a failure of the database is to our callers.
pub(super) fn failed(cause: redb::Error, path: &Path) -> Error {
    use redb::Error as Cause;
    match &cause {
        Cause::DatabaseAlreadyOpen | Cause::LockProtocolMismatch => unavailable(
            "the session database is in use: one store of one process may have it open; stop the other one, or use a store that processes share",
            path,
            &cause,
        ),
        Cause::Io(io) => match io.kind() {
            io::ErrorKind::InvalidData => Error::with_source(
                ErrorKind::Corrupt,
                foreign().to_string(),
                source(path, &cause),
            ),
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Error::with_source(
                ErrorKind::Full,
                "the session database has no room on its disk: what is stored stays, nothing new is stored until there is room",
                source(path, &cause),
            ),
            io::ErrorKind::UnexpectedEof => damaged(path, &cause),
            _ => unavailable(
                "the session database can't be read or written",
                path,
                &cause,
            ),
        },
        Cause::Corrupted(_)
        | Cause::UpgradeRequired(_)
        | Cause::TableTypeMismatch { .. }
        | Cause::TypeDefinitionChanged { .. }
        | Cause::TableIsMultimap(_)
        | Cause::TableIsNotMultimap(_)
        | Cause::TableDoesNotExist(_) => damaged(path, &cause),
        _ => unavailable("the session database failed", path, &cause),
    }
}

pub(super) fn unavailable(
    message: &'static str,
    path: &Path,
    cause: &dyn std::fmt::Display,
) -> Error {
    Error::with_source(ErrorKind::Unavailable, message, source(path, cause))
}

/// As a text, so that no type of redb is part of what this crate promises.
fn source(path: &Path, cause: &dyn std::fmt::Display) -> Box<dyn StdError + Send + Sync> {
    format!("{}: {cause}", path.display()).into()
}

//! A file that stays as it is until what it holds has been looked at.

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::RwLock;
use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

/// Opening a database writes: a flag that it is in use, a repair after a crash. Until
/// [`release`](Self::release) all of that goes to memory, so that a file which turns out to be
/// somebody else's, newer, or damaged beyond repair is left byte for byte.
///
/// The locks are the file's own from the start.
#[derive(Clone, Debug)]
pub(super) struct StagedFile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: FileBackend,
    /// What was written so far, in order; `None` once it went to the file.
    staged: RwLock<Option<Staged>>,
}

#[derive(Debug)]
struct Staged {
    len_before: u64,
    len: u64,
    /// Few: opening writes the header some times, and to a new file some pages.
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

impl StagedFile {
    pub(super) fn new(file: File) -> Result<Self, redb::Error> {
        let file = FileBackend::new(file)?;
        let len = file.len()?;
        Ok(Self(Arc::new(Inner {
            file,
            staged: RwLock::new(Some(Staged {
                len_before: len,
                len,
                steps: Vec::new(),
            })),
        })))
    }

    /// Brings to the file what was held back, in the order in which it was written: a crash in
    /// between finds what a crash of the database itself would have left. From here on, all goes
    /// straight to the file. After an error the rest stays in memory.
    pub(super) fn release(&self) -> io::Result<()> {
        let mut guard = self.0.staged.write();
        let Some(staged) = &*guard else {
            return Ok(());
        };
        if staged.len_before == 0 {
            // A new file in one go: there is next to no time in which a crash leaves half of it.
            let mut image = vec![0; usize::try_from(staged.len).map_err(io::Error::other)?];
            staged.apply(0, &mut image);
            self.0.file.write(0, &image)?;
        } else {
            for step in &staged.steps {
                match step {
                    Step::Write(offset, data) => self.0.file.write(*offset, data)?,
                    Step::SetLen(len) => self.0.file.set_len(*len)?,
                    Step::Sync => self.0.file.sync_data()?,
                }
            }
        }
        self.0.file.sync_data()?;
        *guard = None;
        Ok(())
    }

    /// Hands a step to the file, or keeps it.
    fn step(
        &self,
        now: impl FnOnce(&FileBackend) -> io::Result<()>,
        later: impl FnOnce() -> Step,
    ) -> io::Result<()> {
        if self.0.staged.read().is_none() {
            return now(&self.0.file);
        }
        match &mut *self.0.staged.write() {
            Some(staged) => {
                let step = later();
                match &step {
                    Step::Write(offset, data) => {
                        staged.len = staged.len.max(offset + data.len() as u64);
                    }
                    Step::SetLen(len) => staged.len = *len,
                    Step::Sync => {}
                }
                staged.steps.push(step);
                Ok(())
            }
            None => now(&self.0.file),
        }
    }
}

impl Staged {
    /// Lays the steps over bytes that lie at this offset.
    fn apply(&self, offset: u64, bytes: &mut [u8]) {
        let end = offset + bytes.len() as u64;
        for step in &self.steps {
            match step {
                Step::Write(at, data) => {
                    let from = offset.max(*at);
                    let to = end.min(at + data.len() as u64);
                    if from < to {
                        let (source, target) = ((from - at) as usize, (from - offset) as usize);
                        let count = (to - from) as usize;
                        if let (Some(source), Some(target)) = (
                            data.get(source..source + count),
                            bytes.get_mut(target..target + count),
                        ) {
                            target.copy_from_slice(source);
                        }
                    }
                }
                // What was cut off comes back as zeros.
                Step::SetLen(len) if *len < end => {
                    let kept = len.saturating_sub(offset) as usize;
                    if let Some(cut) = bytes.get_mut(kept..) {
                        cut.fill(0);
                    }
                }
                Step::SetLen(_) | Step::Sync => {}
            }
        }
    }
}

// The error types are those of redb's present interface; its feature `experimental-api-5` changes
// them, and is no feature to enable beside this crate.
impl StorageBackend for StagedFile {
    fn len(&self) -> io::Result<u64> {
        match &*self.0.staged.read() {
            Some(staged) => Ok(staged.len),
            None => self.0.file.len(),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let guard = self.0.staged.read();
        let Some(staged) = &*guard else {
            return self.0.file.read(offset, out);
        };
        let beyond_end = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let end = offset.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > staged.len) {
            return Err(beyond_end());
        }
        let in_file = staged.len_before.saturating_sub(offset);
        let in_file = usize::try_from(in_file).map_or(out.len(), |there| there.min(out.len()));
        let (old, new) = out.split_at_mut_checked(in_file).ok_or_else(beyond_end)?;
        if !old.is_empty() {
            self.0.file.read(offset, old)?;
        }
        new.fill(0);
        staged.apply(offset, out);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.step(|file| file.set_len(len), || Step::SetLen(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.step(FileBackend::sync_data, || Step::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.step(
            |file| file.write(offset, data),
            || Step::Write(offset, data.to_vec()),
        )
    }

    fn close(&self) -> io::Result<()> {
        self.0.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.query_lock_range(start, end)
    }
}

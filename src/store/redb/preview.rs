//! A file that is opened without being written to.

use std::io;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::RwLock;
use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

/// Opening a database writes: a flag that it is in use, a repair after a crash. Here all of that stays
/// in memory, so that a file of another program, a newer or a damaged one is left byte for byte.
///
/// The locks are those of the file.
#[derive(Clone, Debug)]
pub(super) struct Preview(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: FileBackend,
    written: RwLock<Written>,
}

#[derive(Debug)]
struct Written {
    len: u64,
    /// How much of the file was not cut off.
    kept: u64,
    /// In the order of writing; few.
    blocks: Vec<(u64, Vec<u8>)>,
}

impl Preview {
    pub(super) fn new(file: FileBackend) -> io::Result<Self> {
        let len = file.len()?;
        let written = RwLock::new(Written {
            len,
            kept: len,
            blocks: Vec::new(),
        });
        Ok(Self(Arc::new(Inner { file, written })))
    }

    /// Brings what was written to a file that is empty, in one go: a crash has next to no time to
    /// leave half of it. `false` if the file is not empty, because another process was faster.
    pub(super) fn fill_empty_file(&self) -> io::Result<bool> {
        if self.0.file.len()? > 0 {
            return Ok(false);
        }
        let len = usize::try_from(self.len()?).map_err(io::Error::other)?;
        let mut image = vec![0; len];
        self.read(0, &mut image)?;
        self.0.file.write(0, &image)?;
        self.0.file.sync_data()?;
        Ok(true)
    }
}

// The error types are those of redb's present interface; its feature `experimental-api-5` changes
// them, and can't be enabled beside this crate.
impl StorageBackend for Preview {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.written.read().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.0.written.read();
        let end = offset.saturating_add(out.len() as u64);
        if end > written.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let in_file = end.min(written.kept).saturating_sub(offset) as usize;
        let (old, new) = out.split_at_mut(in_file);
        if !old.is_empty() {
            self.0.file.read(offset, old)?;
        }
        new.fill(0);
        for (at, data) in &written.blocks {
            let (from, to) = (offset.max(*at), end.min(at + data.len() as u64));
            if from < to {
                let source = &data[(from - at) as usize..(to - at) as usize];
                out[(from - offset) as usize..(to - offset) as usize].copy_from_slice(source);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut written = self.0.written.write();
        written.len = len;
        written.kept = written.kept.min(len);
        for (at, data) in &mut written.blocks {
            data.truncate(len.saturating_sub(*at) as usize);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.0.written.write();
        written.len = written.len.max(offset + data.len() as u64);
        written.blocks.push((offset, data.to_vec()));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.0.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.unlock_range(start, end)
    }
}

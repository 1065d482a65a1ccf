//! A record as it lies in the file.

use crate::error::Error;
use crate::record::{Record, damaged};

/// A record, and where it stands in the index.
pub(super) struct Filed {
    /// The deadline of its line in the index.
    pub(super) under: u64,
    pub(super) record: Record,
}

impl Filed {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Error> {
        let Some((under, record)) = bytes.split_first_chunk() else {
            return Err(damaged());
        };
        Ok(Self {
            under: u64::from_le_bytes(*under),
            record: Record::from_bytes(record)?,
        })
    }

    pub(super) fn bytes(under: u64, record: &Record) -> Vec<u8> {
        let record = record.to_bytes();
        let mut bytes = Vec::with_capacity(8 + record.len());
        bytes.extend_from_slice(&under.to_le_bytes());
        bytes.extend_from_slice(&record);
        bytes
    }
}

//! What the fuzz targets in `fuzz/` reach and nobody else: the decoders of the stores' own forms.

use super::{redb, redis};
use crate::error::Error;
use crate::record::Record;

/// What the redb store makes of a value in its table: the deadline it is filed under, the record.
pub fn from_redb(value: &[u8]) -> Result<(u64, Record), Error> {
    redb::fuzzing::read(value)
}

/// What the redb store would put into its table.
pub fn to_redb(under: u64, record: &Record) -> Vec<u8> {
    redb::fuzzing::write(under, record)
}

/// What the Redis store makes of the fields of a hash; `None` for no fields.
pub fn from_redis(fields: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Option<Record>, Error> {
    redis::fuzzing::read(fields)
}

/// The fields that the Redis store would set.
pub fn to_redis(record: &Record) -> Vec<(Vec<u8>, Vec<u8>)> {
    redis::fuzzing::write(record)
}

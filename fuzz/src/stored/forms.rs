//! Any bytes, given to each decoder.

use liquid_session::store::{Record, fuzzing};
use liquid_session::{Error, ErrorKind, Value};

use super::allocations::bounded;

/// Reads bytes as one of the stored forms; the first byte says as which.
pub fn read(data: &[u8]) {
    let Some((form, bytes)) = data.split_first() else {
        return;
    };
    let len = bytes.len();
    match form % 4 {
        0 => {
            if let Some(record) = corrupt_or(bounded(len, || Record::from_bytes(bytes))) {
                record_stays(&record);
            }
        }
        1 => {
            if let Some((under, record)) = corrupt_or(bounded(len, || fuzzing::from_redb(bytes))) {
                let again = fuzzing::from_redb(&fuzzing::to_redb(under, &record));
                assert!(again.expect("it was read before") == (under, record.clone()));
                record_stays(&record);
            }
        }
        2 => {
            let fields = fields(bytes);
            if let Some(Some(record)) = corrupt_or(bounded(len, || fuzzing::from_redis(fields))) {
                let again = fuzzing::from_redis(fuzzing::to_redis(&record));
                assert!(again.expect("it was read before") == Some(record.clone()));
                record_stays(&record);
            }
        }
        _ => {
            if let Some(value) = corrupt_or(bounded(len, || Value::from_bytes(bytes))) {
                value_stays(&value);
            }
        }
    }
}

/// The only error that bytes may give.
fn corrupt_or<T>(read: Result<T, Error>) -> Option<T> {
    read.inspect_err(|error| assert_eq!(error.kind(), ErrorKind::Corrupt))
        .ok()
}

fn record_stays(record: &Record) {
    let bytes = record.to_bytes();
    let again = bounded(bytes.len(), || Record::from_bytes(&bytes));
    assert!(again.expect("it was written by us") == *record);

    let entries: Vec<_> = record.iter().collect();
    assert_eq!(entries.len(), record.len());
    assert_eq!(record.is_empty(), entries.is_empty());
    assert!(entries.is_sorted_by(|a, b| a.0 < b.0), "keys out of order");
    let size: usize = entries
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    assert_eq!(record.bytes(), size);
    for (key, bytes) in entries {
        assert_eq!(record.raw(key), Some(bytes));
        if let Some(value) = corrupt_or(bounded(bytes.len(), || record.get(key))) {
            value_stays(&value.expect("the key is there"));
        }
    }
    // What is counted from the times in it overflows nothing.
    for now in [0, record.last_used().as_millis(), u64::MAX] {
        let now = liquid_session::clock::Timestamp::from_millis(now);
        assert_eq!(record.is_expired(now), now >= record.deadline());
        let mut used = record.clone();
        if used.touch_due(now) {
            used.touch(now);
            assert!(used.last_used() == now);
        }
    }
}

/// Compares bytes: 0.0 and -0.0 are equal as numbers.
fn value_stays(value: &Value) {
    let bytes = value.to_bytes();
    let again = Value::from_bytes(&bytes).expect("it was written by us");
    assert_eq!(again.to_bytes(), bytes);
    assert_eq!(again, *value);
}

/// Names and values of a hash: each a length of two bytes, then so many.
fn fields(mut bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut take = move || {
        let (len, rest) = bytes.split_first_chunk::<2>()?;
        let (taken, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
        bytes = rest;
        Some(taken.to_vec())
    };
    std::iter::from_fn(|| Some((take()?, take()?))).collect()
}

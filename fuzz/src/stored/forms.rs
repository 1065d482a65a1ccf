//! Any bytes, given to each decoder.

use std::time::Duration;

use liquid_session::store::{Lifetime, Record};
use liquid_session::{Error, ErrorKind, Value};

use super::allocations::bounded;

/// Reads bytes as one of the stored forms; the first byte says as which.
pub fn read(data: &[u8]) {
    let Some((form, bytes)) = data.split_first() else {
        return;
    };
    let len = bytes.len();
    match form % 2 {
        0 => {
            if let Some(record) = corrupt_or(bounded(len, || Record::from_bytes(bytes))) {
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

/// The only errors that bytes may give.
fn corrupt_or<T>(read: Result<T, Error>) -> Option<T> {
    read.inspect_err(|error| {
        let known = [ErrorKind::Corrupt, ErrorKind::NewerForm];
        assert!(known.contains(&error.kind()), "{error:?}");
    })
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
    assert_eq!(record.size(), size);
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
        let hour = Lifetime::new(Duration::from_secs(3600));
        for lifetime in [hour, hour.absolute(Some(Duration::MAX))] {
            let mut used = record.clone();
            if let Some(touch) = record.touch_due(&lifetime, now) {
                used.touch(&touch);
                assert!(used.last_used() == now);
                assert!(used.with_later_use(record, now).last_used() >= now);
            }
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

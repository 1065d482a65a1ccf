//! A store of one session, which keeps its stored form and swaps it.

use std::sync::{Arc, Mutex};

use liquid_session::clock::Timestamp;
use liquid_session::store::{Loaded, Record, SessionStore, StoreKey, Swap, Swapped, Touch};
use liquid_session::{Error, ErrorKind};

/// Where the session stands.
#[derive(Clone, Default)]
pub(super) struct Shelf(Arc<Mutex<Option<(StoreKey, Vec<u8>)>>>);

fn write(record: &Record) -> Vec<u8> {
    let bytes = record.to_bytes();
    assert!(read(&bytes) == *record, "another record comes back");
    bytes
}

fn read(bytes: &[u8]) -> Record {
    Record::from_bytes(bytes).expect("it was written by us")
}

impl Shelf {
    pub(super) fn record(&self) -> Option<Record> {
        let place = self.0.lock().expect("no panic is survived");
        place.as_ref().map(|(_, bytes)| read(bytes))
    }
}

impl SessionStore for Shelf {
    fn load(&self, key: &StoreKey, _now: Timestamp) -> Result<Loaded, Error> {
        let place = self.0.lock().expect("no panic is survived");
        Ok(match &*place {
            Some((here, bytes)) if here == key => Loaded::Found(Arc::new(read(bytes))),
            _ => Loaded::Absent,
        })
    }

    fn swap(&self, key: &StoreKey, swap: Swap<'_>, now: Timestamp) -> Result<Swapped, Error> {
        let mut place = self.0.lock().expect("no panic is survived");
        let (before, after) = match swap {
            Swap::Create(record) => {
                assert!(place.is_none(), "a second session came into being");
                *place = Some((*key, write(record)));
                return Ok(Swapped::Done);
            }
            Swap::Replace { before, after } => (before, after),
            _ => {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    "nothing moves it or ends it",
                ));
            }
        };
        let Some((here, bytes)) = &mut *place else {
            return Ok(Swapped::Gone);
        };
        let current = read(bytes);
        if here != key {
            return Ok(Swapped::Gone);
        }
        if current.version() != before.version() {
            return Ok(Swapped::Current(Arc::new(current)));
        }
        assert_ne!(
            after.version(),
            before.version(),
            "a change without a version"
        );
        *bytes = write(&after.with_later_use(&current, now));
        Ok(Swapped::Done)
    }

    fn touch(&self, _key: &StoreKey, _touch: &Touch<'_>) -> Result<(), Error> {
        Ok(())
    }

    crate::nothing_for_operators!();
}

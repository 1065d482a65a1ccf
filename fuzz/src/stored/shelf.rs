//! A store of one session, which keeps it in one of the stored forms.

use std::sync::{Arc, Mutex};

use liquid_session::Error;
use liquid_session::clock::Timestamp;
use liquid_session::store::{Applied, Change, Committed, Record, SessionStore, StoreKey, fuzzing};

#[derive(Clone, Copy, Debug, arbitrary::Arbitrary)]
pub(super) enum Form {
    Record,
    Redb,
    Redis,
}

enum Stored {
    Bytes(Vec<u8>),
    Fields(Vec<(Vec<u8>, Vec<u8>)>),
}

/// Where the session stands.
#[derive(Clone)]
pub(super) struct Shelf(Arc<Mutex<Option<(StoreKey, Stored)>>>, Form);

impl Shelf {
    pub(super) fn new(form: Form) -> Self {
        Self(Arc::default(), form)
    }

    fn write(&self, record: &Record) -> Stored {
        let stored = match self.1 {
            Form::Record => Stored::Bytes(record.to_bytes()),
            Form::Redb => Stored::Bytes(fuzzing::to_redb(7, record)),
            Form::Redis => Stored::Fields(fuzzing::to_redis(record)),
        };
        assert!(self.read(&stored) == *record, "another record comes back");
        stored
    }

    fn read(&self, stored: &Stored) -> Record {
        match (stored, self.1) {
            (Stored::Fields(fields), _) => fuzzing::from_redis(fields.clone())
                .expect("it was written by us")
                .expect("it has fields"),
            (Stored::Bytes(bytes), Form::Redb) => {
                let (under, record) = fuzzing::from_redb(bytes).expect("it was written by us");
                assert_eq!(under, 7);
                record
            }
            (Stored::Bytes(bytes), _) => Record::from_bytes(bytes).expect("it was written by us"),
        }
    }

    pub(super) fn record(&self) -> Option<Record> {
        let place = self.0.lock().expect("no panic is survived");
        place.as_ref().map(|(_, stored)| self.read(stored))
    }
}

impl SessionStore for Shelf {
    fn load(&self, key: &StoreKey, _now: Timestamp) -> Result<Option<Arc<Record>>, Error> {
        let place = self.0.lock().expect("no panic is survived");
        Ok(match &*place {
            Some((here, stored)) if here == key => Some(Arc::new(self.read(stored))),
            _ => None,
        })
    }

    fn commit(&self, key: &StoreKey, change: &Change, now: Timestamp) -> Result<Committed, Error> {
        let mut place = self.0.lock().expect("no panic is survived");
        if let Some(record) = change.create(now)? {
            assert!(place.is_none(), "a second session came into being");
            let version = record.version();
            *place = Some((*key, self.write(&record)));
            let taken = Vec::new();
            return Ok(Committed::Stored { taken, version });
        }
        let Some((here, stored)) = &mut *place else {
            return Ok(Committed::Gone);
        };
        if here != key {
            return Ok(Committed::Gone);
        }
        let before = self.read(stored);
        let mut record = before.clone();
        match change.apply(&mut record, now) {
            Ok(Applied::Changed { taken }) => {
                *stored = self.write(&record);
                let version = record.version();
                Ok(Committed::Stored { taken, version })
            }
            Ok(Applied::Conflict) => Ok(Committed::Conflict),
            Err(error) => {
                assert!(record == before, "a change that failed left something");
                Err(error)
            }
        }
    }

    fn touch(&self, key: &StoreKey, now: Timestamp) -> Result<bool, Error> {
        Ok(self.load(key, now)?.is_some())
    }

    fn destroy(&self, _key: &StoreKey) -> Result<bool, Error> {
        Ok(self
            .0
            .lock()
            .expect("no panic is survived")
            .take()
            .is_some())
    }

    crate::nothing_for_operators!();
}

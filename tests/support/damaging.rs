//! A memory store whose records can be damaged.
#![allow(clippy::unwrap_used)]
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::{Arc, Mutex};

use liquid_session::clock::Timestamp;
use liquid_session::store::{
    IndexLine, Loaded, Record, SessionStore, StoreKey, Swap, Swapped, Touch,
};
use liquid_session::{Error, MemoryStore, SessionId};

/// What is wrong with the records that the store holds: all of them, or one.
#[derive(Clone, Copy, Default)]
pub(crate) enum Damage {
    #[default]
    None,
    /// The last value.
    Value,
    /// The whole of it.
    Record,
    /// It is of a form that only a newer program reads.
    NewerForm,
}

#[derive(Clone, Default)]
pub(crate) struct Damaging {
    inner: Arc<MemoryStore>,
    damage: Arc<Mutex<(Damage, Option<SessionId>)>>,
}

impl Damaging {
    pub(crate) fn set(&self, damage: Damage) {
        *self.damage.lock().unwrap() = (damage, None);
    }

    pub(crate) fn set_one(&self, damage: Damage, id: SessionId) {
        *self.damage.lock().unwrap() = (damage, Some(id));
    }

    fn read(&self, record: Arc<Record>) -> Result<Arc<Record>, Error> {
        let mut bytes = record.to_bytes();
        let (damage, one) = *self.damage.lock().unwrap();
        if one.is_some_and(|id| id != record.id()) {
            return Ok(record);
        }
        match damage {
            Damage::None => return Ok(record),
            // The end is the checksum of the last value.
            Damage::Value => *bytes.last_mut().unwrap() ^= 1,
            Damage::Record => bytes.truncate(20),
            Damage::NewerForm => bytes[0] = 9,
        }
        Record::from_bytes(&bytes).map(Arc::new)
    }
}

impl SessionStore for Damaging {
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Loaded, Error> {
        Ok(match self.inner.load(key, now)? {
            Loaded::Found(record) => Loaded::Found(self.read(record)?),
            other => other,
        })
    }

    fn swap(&self, key: &StoreKey, swap: Swap<'_>, now: Timestamp) -> Result<Swapped, Error> {
        if let (Swap::RemoveUnreadable, Loaded::Found(record)) = (swap, self.inner.load(key, now)?)
        {
            return match self.read(record.clone()) {
                Ok(record) => Ok(Swapped::Current(record)),
                Err(_) => self.inner.swap(key, Swap::Remove(&record), now),
            };
        }
        self.inner.swap(key, swap, now)
    }

    fn touch(&self, key: &StoreKey, touch: &Touch<'_>) -> Result<(), Error> {
        self.inner.touch(key, touch)
    }

    fn user_index(&self, user: &str, now: Timestamp) -> Result<Vec<IndexLine>, Error> {
        self.inner.user_index(user, now)
    }

    fn sweep(&self, now: Timestamp, max: usize) -> Result<usize, Error> {
        self.inner.sweep(now, max)
    }

    fn scan(
        &self,
        now: Timestamp,
        visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
    ) -> Result<(), Error> {
        let mut stopped = false;
        self.inner.scan(now, &mut |key, record| {
            if let Ok(record) = self.read(Arc::new(record.clone())) {
                stopped = !visit(key, &record);
            }
            !stopped
        })
    }

    fn ping(&self) -> Result<(), Error> {
        self.inner.ping()
    }

    fn may_block(&self) -> bool {
        true
    }
}

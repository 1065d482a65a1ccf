//! A whole store of one's own, and the acceptance suite that says it keeps its promises.
//!
//! ```text
//! cargo run --example custom_store --features testing
//! cargo test --example custom_store --features testing
//! ```
//!
//! It keeps everything in one map behind one lock. That makes each call atomic, which is all that a
//! store has to take care of: what a change *means* is in `Change::create` and `Change::apply`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use liquid_session::clock::Timestamp;
use liquid_session::store::{
    Applied, Change, Committed, Record, Revoke, SessionInfo, SessionStore, StoreKey,
};
use liquid_session::{Error, SessionConfig, Sessions};

/// Sessions in a sorted map.
#[derive(Default)]
struct MapStore {
    records: Mutex<BTreeMap<StoreKey, Record>>,
}

impl MapStore {
    fn records(&self) -> MutexGuard<'_, BTreeMap<StoreKey, Record>> {
        // A thread that panics here leaves whole records behind: every change is one assignment.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionStore for MapStore {
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Option<Arc<Record>>, Error> {
        let records = self.records();
        let record = records.get(key).filter(|record| !record.is_expired(now));
        Ok(record.cloned().map(Arc::new))
    }

    fn commit(&self, key: &StoreKey, change: &Change, now: Timestamp) -> Result<Committed, Error> {
        let mut records = self.records();
        if let Some(record) = change.create(now)? {
            let version = record.version();
            records.insert(*key, record);
            return Ok(Committed::Stored {
                taken: Vec::new(),
                version,
            });
        }
        // No record, no change: only one that creates may bring a session into being.
        let current = records
            .get_mut(key)
            .filter(|record| !record.is_expired(now));
        let Some(record) = current else {
            return Ok(Committed::Gone);
        };
        // An error or a conflict leaves the record as it was.
        match change.apply(record, now)? {
            Applied::Conflict => Ok(Committed::Conflict),
            Applied::Changed { taken } => {
                let version = record.version();
                if let Some(new_key) = change.renew_to()
                    && let Some(record) = records.remove(key)
                {
                    records.insert(new_key, record);
                }
                Ok(Committed::Stored { taken, version })
            }
        }
    }

    fn touch(&self, key: &StoreKey, now: Timestamp) -> Result<bool, Error> {
        let mut records = self.records();
        let record = records
            .get_mut(key)
            .filter(|record| !record.is_expired(now));
        Ok(record.map(|record| record.touch(now)).is_some())
    }

    fn destroy(&self, key: &StoreKey) -> Result<bool, Error> {
        Ok(self.records().remove(key).is_some())
    }

    // A store with many sessions keeps an index by user, and changes it in the same step.
    fn user_sessions(&self, user: &str, now: Timestamp) -> Result<Vec<SessionInfo>, Error> {
        let records = self.records();
        let own = records
            .values()
            .filter(|record| record.user() == Some(user) && !record.is_expired(now));
        Ok(own.map(SessionInfo::from).collect())
    }

    fn revoke(&self, user: &str, which: Revoke, now: Timestamp) -> Result<usize, Error> {
        let mut revoked = 0;
        self.records().retain(|_, record| {
            let ended =
                record.user() == Some(user) && which.means(record.id()) && !record.is_expired(now);
            revoked += usize::from(ended);
            !ended
        });
        Ok(revoked)
    }

    // And one by deadline, instead of looking at everything.
    fn sweep(&self, now: Timestamp, max: usize) -> Result<usize, Error> {
        let mut records = self.records();
        let mut expired: Vec<_> = records
            .iter()
            .filter(|(_, record)| record.is_expired(now))
            .map(|(key, record)| (record.deadline(), *key))
            .collect();
        expired.sort_unstable();
        expired.truncate(max);
        for (_, key) in &expired {
            records.remove(key);
        }
        Ok(expired.len())
    }

    fn scan(
        &self,
        now: Timestamp,
        visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
    ) -> Result<(), Error> {
        // A copy, because the visitor may call the store.
        for (key, record) in self.records().clone() {
            if !record.is_expired(now) && !visit(&key, &record) {
                break;
            }
        }
        Ok(())
    }

    fn may_block(&self) -> bool {
        false
    }
}

fn main() -> Result<(), Error> {
    let sessions = Sessions::new(MapStore::default(), SessionConfig::default());

    let first = sessions.open(None);
    first.set("cart", vec!["apple"])?;
    let outcome = first.commit()?;
    let cookie = outcome.secret().map(|secret| secret.expose());

    // Two requests at the same time, with the same cookie.
    let (one, two) = (
        sessions.open(cookie.as_deref()),
        sessions.open(cookie.as_deref()),
    );
    one.append("cart", "pear")?;
    two.set("color", "dark")?;
    let outcomes = [one.commit()?, two.commit()?];

    for (key, value) in sessions.open(cookie.as_deref()).entries()? {
        println!("{key}: {value:?}");
    }
    println!("{:?}", outcomes.map(|outcome| outcome.status()));
    Ok(())
}

#[cfg(test)]
mod map_store {
    use super::MapStore;

    liquid_session::store_acceptance!(MapStore::default);
}

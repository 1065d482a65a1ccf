//! A whole store of one's own, and the acceptance suite that checks its promises.
//!
//! ```text
//! cargo run --example custom_store --features testing
//! cargo test --example custom_store --features testing
//! ```
//!
//! It keeps everything in maps behind one lock. That makes each call one atomic step, which is all
//! that a store is asked for: what a change *means* is in the crate, which merges it and swaps.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use liquid_session::clock::Timestamp;
use liquid_session::store::{
    Forward, IndexLine, Loaded, Record, SessionStore, StoreKey, Swap, Swapped, Touch,
};
use liquid_session::{Error, ErrorKind, SessionConfig, Sessions};

/// Sessions in maps.
#[derive(Default)]
struct MapStore(Mutex<Maps>);

#[derive(Default)]
struct Maps {
    records: HashMap<StoreKey, Arc<Record>>,
    forwards: HashMap<StoreKey, Forward>,
    users: HashMap<String, HashSet<IndexLine>>,
}

impl MapStore {
    fn lock(&self) -> MutexGuard<'_, Maps> {
        // A thread that panics here leaves whole records behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Maps {
    fn load(&self, key: &StoreKey, now: Timestamp) -> Loaded {
        match (self.records.get(key), self.forwards.get(key)) {
            (Some(record), _) if !record.is_expired(now) => Loaded::Found(record.clone()),
            (_, Some(forward)) if forward.is_alive(now) => Loaded::Moved(*forward),
            _ => Loaded::Absent,
        }
    }

    fn insert(&mut self, key: StoreKey, record: Record) {
        if let Some(user) = record.user() {
            let id = record.id();
            let lines = self.users.entry(user.to_owned()).or_default();
            lines.insert(IndexLine { id, key });
        }
        self.records.insert(key, Arc::new(record));
    }

    fn remove(&mut self, key: StoreKey) {
        if let Some(record) = self.records.remove(&key)
            && let Some(user) = record.user()
            && let Some(lines) = self.users.get_mut(user)
        {
            let id = record.id();
            lines.remove(&IndexLine { id, key });
            if lines.is_empty() {
                self.users.remove(user);
            }
        }
    }
}

impl SessionStore for MapStore {
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Loaded, Error> {
        Ok(self.lock().load(key, now))
    }

    fn swap(&self, key: &StoreKey, swap: Swap<'_>, now: Timestamp) -> Result<Swapped, Error> {
        let mut maps = self.lock();
        let (before, after) = match swap {
            Swap::Create(record) => {
                if maps.records.contains_key(key) || maps.forwards.contains_key(key) {
                    let problem = "a new session got the key of another one";
                    return Err(Error::new(ErrorKind::Unavailable, problem));
                }
                maps.insert(*key, record.clone());
                return Ok(Swapped::Done);
            }
            Swap::Replace { before, after } | Swap::Move { before, after, .. } => {
                (before, Some(after))
            }
            Swap::Remove(before) => (before, None),
            // Everything in memory can be read.
            Swap::RemoveUnreadable => return Ok(Swapped::Gone),
        };
        let current = match maps.load(key, now) {
            Loaded::Found(record) if record.version() == before.version() => record,
            Loaded::Found(record) => return Ok(Swapped::Current(record)),
            Loaded::Moved(forward) => return Ok(Swapped::Moved(forward)),
            Loaded::Absent => return Ok(Swapped::Gone),
        };
        maps.remove(*key);
        if let Some(after) = after {
            let mut to = *key;
            if let Swap::Move { forward, .. } = swap {
                maps.forwards.insert(*key, forward);
                to = forward.to;
            }
            // A touch may have recorded a use since the other request loaded the record.
            maps.insert(to, after.with_later_use(&current, now));
        }
        Ok(Swapped::Done)
    }

    fn touch(&self, key: &StoreKey, touch: &Touch<'_>) -> Result<(), Error> {
        if let Some(record) = self.lock().records.get_mut(key)
            && !record.is_expired(touch.at)
        {
            Arc::make_mut(record).touch(touch);
        }
        Ok(())
    }

    fn user_index(&self, user: &str, _: Timestamp) -> Result<Vec<IndexLine>, Error> {
        let lines = self.lock().users.get(user).cloned();
        Ok(lines.into_iter().flatten().collect())
    }

    fn sweep(&self, now: Timestamp, max: usize) -> Result<usize, Error> {
        let mut maps = self.lock();
        maps.forwards.retain(|_, forward| forward.is_alive(now));
        let expired = maps.records.iter().filter(|(_, r)| r.is_expired(now));
        let expired: Vec<_> = expired.map(|(key, _)| *key).take(max).collect();
        expired.iter().for_each(|key| maps.remove(*key));
        Ok(expired.len())
    }

    fn scan(
        &self,
        now: Timestamp,
        visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
    ) -> Result<(), Error> {
        // Copied, because `visit` may call the store.
        let records = self.lock().records.clone();
        let mut alive = records.iter().filter(|(_, record)| !record.is_expired(now));
        let _stopped = alive.find(|(key, record)| !visit(key, record));
        Ok(())
    }

    fn ping(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn main() -> Result<(), Error> {
    let sessions = Sessions::new(MapStore::default(), SessionConfig::default());
    let session = sessions.open(None);
    session.set("cart", vec!["apple"])?;
    let cookie = session.commit()?.secret().map(|secret| secret.expose());

    let session = sessions.open(cookie.as_deref());
    session.append("cart", "pear")?;
    println!("{:?}, {:?}", session.commit()?.status(), session.entries()?);
    Ok(())
}

#[cfg(test)]
mod map_store {
    use super::MapStore;

    liquid_session::store_acceptance!(MapStore::default);
}

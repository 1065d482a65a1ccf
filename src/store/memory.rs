mod sweep;
mod users;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashTable;
use parking_lot::{Mutex, MutexGuard};

use super::{Committed, Revoke, SessionInfo, SessionStore};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::record::{Applied, Change, Record};
use crate::secret::StoreKey;

/// Enough that two threads rarely meet, whatever the number of cores.
const SHARDS: usize = 256;

/// How many sessions a [`MemoryStore`] holds unless told otherwise.
const CAPACITY: usize = 1_000_000;

/// How often a request asks for a shard that is taken before it goes to sleep: some tens of
/// microseconds. All that is done under the lock takes less, and to be woken takes more.
const TRIES: usize = 64;

/// Sessions in the memory of this process. They end with it.
///
/// - Every call takes one short lock of one of 256 shards; nothing else is shared between requests.
/// - It holds a million sessions, or as many as [`with_capacity`](Self::with_capacity) says. When it
///   is full, expired sessions make room; if there are none, a new session is refused with
///   [`ErrorKind::Full`], and those that are there stay: throwing out somebody else's session would
///   sign people out whenever a robot wants it.
/// - Expired sessions go when [`sweep`](SessionStore::sweep) is called; call it every minute or so.
///
/// ```
/// use liquid_session::{MemoryStore, SessionConfig, Sessions};
///
/// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
/// let session = sessions.open(None);
/// session.set("color", "dark")?;
/// session.commit()?;
/// # Ok::<(), liquid_session::Error>(())
/// ```
pub struct MemoryStore {
    shards: Box<[Mutex<Shard>]>,
    /// Who has which sessions. Taken after the lock of a shard, never before it.
    users: Mutex<HashMap<Box<str>, HashSet<StoreKey>>>,
    held: AtomicUsize,
    capacity: usize,
}

#[derive(Default)]
struct Shard {
    records: HashTable<Slot>,
    /// Which records to look at once a minute has passed: the first eight bytes of their keys, by
    /// the minute of their deadline when they were filed. A touch does not refile; the sweep refiles
    /// what it meets too early.
    deadlines: BTreeMap<u64, Vec<u64>>,
}

struct Slot {
    key: StoreKey,
    record: Arc<Record>,
}

/// The key is a hash already, of 32 bytes that no visitor chooses.
fn prefix(key: &StoreKey) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *key.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// The minute in which a deadline falls.
fn bucket(deadline: Timestamp) -> u64 {
    deadline.as_millis() / 60_000
}

impl Shard {
    fn find(&mut self, key: &StoreKey) -> Option<&mut Slot> {
        self.records.find_mut(prefix(key), |slot| slot.key == *key)
    }

    fn alive(&mut self, key: &StoreKey, now: Timestamp) -> Option<&mut Slot> {
        self.find(key).filter(|slot| !slot.record.is_expired(now))
    }

    fn insert(&mut self, key: StoreKey, record: Arc<Record>) {
        self.deadlines
            .entry(bucket(record.deadline()))
            .or_default()
            .push(prefix(&key));
        self.records
            .insert_unique(prefix(&key), Slot { key, record }, |slot| prefix(&slot.key));
    }

    /// Its line in `deadlines` stays until the sweep comes by.
    fn remove(&mut self, key: &StoreKey) -> Option<Arc<Record>> {
        match self
            .records
            .find_entry(prefix(key), |slot| slot.key == *key)
        {
            Ok(entry) => Some(entry.remove().0.record),
            Err(_) => None,
        }
    }
}

impl MemoryStore {
    /// A store for a million sessions.
    ///
    /// ```
    /// use liquid_session::MemoryStore;
    ///
    /// assert!(MemoryStore::new().is_empty());
    /// ```
    pub fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    /// A store that holds at most so many sessions.
    ///
    /// ```
    /// use liquid_session::{ErrorKind, MemoryStore, SessionConfig, Sessions};
    ///
    /// let sessions = Sessions::new(MemoryStore::with_capacity(1), SessionConfig::default());
    /// let first = sessions.open(None);
    /// first.set("a", 1)?;
    /// first.commit()?;
    ///
    /// let second = sessions.open(None);
    /// second.set("a", 1)?;
    /// assert_eq!(second.commit().unwrap_err().kind(), ErrorKind::Full);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn with_capacity(sessions: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            users: Mutex::default(),
            held: AtomicUsize::new(0),
            capacity: sessions,
        }
    }

    /// How many sessions it holds, expired ones that were not swept yet among them.
    ///
    /// ```
    /// # use liquid_session::MemoryStore;
    /// assert_eq!(MemoryStore::new().len(), 0);
    /// ```
    pub fn len(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether it holds no session.
    ///
    /// ```
    /// # use liquid_session::MemoryStore;
    /// assert!(MemoryStore::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn index(key: &StoreKey) -> usize {
        // Not the bytes that the tables use.
        usize::from(key.as_bytes()[31]) % SHARDS
    }

    fn shard(&self, key: &StoreKey) -> MutexGuard<'_, Shard> {
        let shard = &self.shards[Self::index(key)];
        for _ in 0..TRIES {
            if let Some(guard) = shard.try_lock() {
                return guard;
            }
            for _ in 0..16 {
                std::hint::spin_loop();
            }
        }
        shard.lock()
    }

    /// Takes a place, or says that there is none.
    fn reserve(&self) -> bool {
        self.held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
                (held < self.capacity).then_some(held + 1)
            })
            .is_ok()
    }

    fn release(&self) {
        self.held.fetch_sub(1, Ordering::Relaxed);
    }

    fn create(&self, key: &StoreKey, change: &Change, now: Timestamp) -> Result<Committed, Error> {
        let Some(record) = change.create(now)? else {
            return Ok(Committed::Gone);
        };
        // Before the lock of the shard: making room takes locks of its own.
        let room = self.reserve() || (self.sweep_expired(now, sweep::BATCH) > 0 && self.reserve());
        if !room {
            return Err(Error::new(
                ErrorKind::Full,
                "the session store is full: it holds as many sessions as its capacity allows",
            ));
        }
        let user = record.user().map(str::to_owned);
        let version = record.version();
        let mut shard = self.shard(key);
        if shard.find(key).is_some() {
            drop(shard);
            self.release();
            // 256 random bits met: somebody feeds us old ones.
            return Err(Error::new(
                ErrorKind::Unavailable,
                "a new session got the key of another one: the system's random generator repeats itself",
            ));
        }
        shard.insert(*key, Arc::new(record));
        if let Some(user) = user {
            self.file_user(&user, *key);
        }
        Ok(Committed::Stored {
            taken: Vec::new(),
            version,
        })
    }

    /// Two shards, always locked in the same order; one if both keys fall into it.
    fn renew(
        &self,
        old: &StoreKey,
        new: StoreKey,
        change: &Change,
        now: Timestamp,
    ) -> Result<Committed, Error> {
        let (from, to) = (Self::index(old), Self::index(&new));
        let mut low = self.shards[from.min(to)].lock();
        let mut high = (from != to).then(|| self.shards[from.max(to)].lock());
        let source = match &mut high {
            Some(high) if from > to => &mut **high,
            _ => &mut *low,
        };
        let Some(slot) = source.alive(old, now) else {
            return Ok(Committed::Gone);
        };
        let mut record = slot.record.clone();
        let Applied::Changed { taken } = change.apply(Arc::make_mut(&mut record), now)? else {
            return Ok(Committed::Conflict);
        };
        let before = source.remove(old);
        let target = match &mut high {
            Some(high) if to > from => &mut **high,
            _ => &mut *low,
        };
        let user = record.user().map(str::to_owned);
        let version = record.version();
        target.insert(new, record);
        // In this order the session is never without a place in the index: see `visit_user`.
        if let Some(user) = user {
            self.file_user(&user, new);
        }
        self.unfile_user(before.as_ref().and_then(|record| record.user()), old);
        Ok(Committed::Stored { taken, version })
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore")
            .field("held", &self.len())
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

impl SessionStore for MemoryStore {
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Option<Arc<Record>>, Error> {
        Ok(self
            .shard(key)
            .alive(key, now)
            .map(|slot| slot.record.clone()))
    }

    fn commit(&self, key: &StoreKey, change: &Change, now: Timestamp) -> Result<Committed, Error> {
        if change.creates() {
            return self.create(key, change, now);
        }
        if let Some(new) = change.renew_to() {
            return self.renew(key, new, change, now);
        }
        let mut shard = self.shard(key);
        let Some(slot) = shard.alive(key, now) else {
            return Ok(Committed::Gone);
        };
        let before = slot.record.user().map(str::to_owned);
        match change.apply(Arc::make_mut(&mut slot.record), now)? {
            Applied::Conflict => Ok(Committed::Conflict),
            Applied::Changed { taken } => {
                let after = slot.record.user();
                if before.as_deref() != after {
                    self.unfile_user(before.as_deref(), key);
                    if let Some(user) = after {
                        self.file_user(user, *key);
                    }
                }
                Ok(Committed::Stored {
                    taken,
                    version: slot.record.version(),
                })
            }
        }
    }

    fn touch(&self, key: &StoreKey, now: Timestamp) -> Result<bool, Error> {
        let mut shard = self.shard(key);
        let Some(slot) = shard.alive(key, now) else {
            return Ok(false);
        };
        Arc::make_mut(&mut slot.record).touch(now);
        Ok(true)
    }

    fn destroy(&self, key: &StoreKey) -> Result<bool, Error> {
        let mut shard = self.shard(key);
        let Some(record) = shard.remove(key) else {
            return Ok(false);
        };
        self.unfile_user(record.user(), key);
        self.release();
        Ok(true)
    }

    fn user_sessions(&self, user: &str, now: Timestamp) -> Result<Vec<SessionInfo>, Error> {
        let mut list = BTreeMap::new();
        self.visit_user(user, |shard, key| {
            if let Some(slot) = shard.alive(key, now)
                && slot.record.user() == Some(user)
            {
                list.insert(slot.record.id(), SessionInfo::from(&*slot.record));
            }
        });
        Ok(list.into_values().collect())
    }

    fn revoke(&self, user: &str, which: Revoke, now: Timestamp) -> Result<usize, Error> {
        let mut revoked = 0;
        self.visit_user(user, |shard, key| {
            let meant = shard.find(key).is_some_and(|slot| {
                slot.record.user() == Some(user) && which.means(slot.record.id())
            });
            if let Some(record) = meant.then(|| shard.remove(key)).flatten() {
                self.unfile_user(Some(user), key);
                self.release();
                revoked += usize::from(!record.is_expired(now));
            }
        });
        Ok(revoked)
    }

    fn sweep(&self, now: Timestamp, max: usize) -> Result<usize, Error> {
        Ok(self.sweep_expired(now, max))
    }

    fn scan(
        &self,
        now: Timestamp,
        visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
    ) -> Result<(), Error> {
        for shard in &self.shards {
            // Copied out: a visitor may call the store.
            let records: Vec<_> = shard
                .lock()
                .records
                .iter()
                .map(|slot| (slot.key, slot.record.clone()))
                .collect();
            for (key, record) in records {
                if !record.is_expired(now) && !visit(&key, &record) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn may_block(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;

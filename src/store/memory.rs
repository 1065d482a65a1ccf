use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use hashbrown::HashTable;
use parking_lot::{Mutex, MutexGuard};

use super::commit::key_in_use;
use super::{Committed, Forward, IndexLine, Loaded, SessionStore, Swap, Swapped};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::record::{Change, Record, Touch};
use crate::secret::{SessionId, StoreKey};

/// Enough that two threads rarely meet, on any number of cores. A small store has fewer: half-empty
/// tables would take more memory than its sessions.
const MAX_SHARDS: usize = 256;
const SESSIONS_PER_SHARD: usize = 64;

/// How many sessions a [`MemoryStore`] holds unless told otherwise.
const CAPACITY: usize = 1_000_000;

/// How many expired sessions a full store removes at once.
const ROOM: usize = 256;

/// How many forwards lead to one session; the oldest goes first.
const MAX_FORWARDS: usize = 8;

/// Sessions in the memory of this process. They end with it.
///
/// - Every call takes one short lock, of one of up to 256 shards; nothing else is shared between requests.
/// - It holds a million sessions, or as many as [`with_capacity`](Self::with_capacity) says. When it
///   is full, expired sessions make room; if there are none, a new session is refused with
///   [`ErrorKind::Full`], and the others stay: if a new session could push out an old one, a robot
///   could sign visitors out.
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
    /// Taken after the lock of a shard, never before it.
    users: Mutex<BTreeMap<(Box<str>, SessionId), StoreKey>>,
    held: AtomicUsize,
    capacity: usize,
    /// No record expires before this moment, in milliseconds.
    next_deadline: AtomicU64,
}

type Shard = HashTable<Slot>;

struct Slot {
    key: StoreKey,
    /// When the place is void. Beside the record, so that a sweep reads one block of memory.
    deadline: Timestamp,
    place: Place,
}

enum Place {
    Record(Arc<Record>, Trail),
    Forward(Box<Forward>),
}

/// The keys that lead to a record, oldest first.
type Trail = Option<Box<Vec<StoreKey>>>;

impl Slot {
    fn new(key: StoreKey, record: Record, trail: Trail) -> Self {
        Self {
            key,
            deadline: record.deadline(),
            place: Place::Record(Arc::new(record), trail),
        }
    }
}

/// The key is a hash already, behind the two bytes of the shard.
fn hash(key: &StoreKey) -> u64 {
    let [_, _, a, b, c, d, e, f, g, h, ..] = *key.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// What a key leads to.
enum Seen<'s> {
    Record {
        record: &'s mut Arc<Record>,
        deadline: &'s mut Timestamp,
    },
    Moved(Forward),
    Nothing,
}

fn see<'s>(shard: &'s mut Shard, key: &StoreKey, now: Timestamp) -> Seen<'s> {
    match shard.find_mut(hash(key), |slot| slot.key == *key) {
        Some(slot) if now < slot.deadline => match &mut slot.place {
            Place::Forward(forward) => Seen::Moved(**forward),
            Place::Record(record, _) => Seen::Record {
                record,
                deadline: &mut slot.deadline,
            },
        },
        _ => Seen::Nothing,
    }
}

/// Removes a record or a forward, and returns the record.
fn remove(shard: &mut Shard, key: &StoreKey) -> Option<(Arc<Record>, Trail)> {
    let entry = shard.find_entry(hash(key), |slot| slot.key == *key).ok()?;
    match entry.remove().0.place {
        Place::Record(record, trail) => Some((record, trail)),
        Place::Forward(_) => None,
    }
}

fn insert(shard: &mut Shard, slot: Slot) {
    shard.insert_unique(hash(&slot.key), slot, |slot| hash(&slot.key));
}

impl MemoryStore {
    /// A store for a million sessions.
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
        let shards = (sessions / SESSIONS_PER_SHARD)
            .next_power_of_two()
            .min(MAX_SHARDS);
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            users: Mutex::default(),
            held: AtomicUsize::new(0),
            capacity: sessions,
            next_deadline: AtomicU64::new(u64::MAX),
        }
    }

    /// The number of sessions, expired ones that were not swept yet among them.
    pub fn len(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether it holds no session.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All keys of one session are in one shard.
    fn shard(&self, key: &StoreKey) -> MutexGuard<'_, Shard> {
        // The number of shards is a power of two.
        self.shards[usize::from(key.shard()[0]) & (self.shards.len() - 1)].lock()
    }

    fn reserve(&self) -> bool {
        self.held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
                (held < self.capacity).then_some(held + 1)
            })
            .is_ok()
    }

    /// Lowers the moment before which a sweep finds nothing.
    fn expires_at(&self, deadline: Timestamp) {
        let deadline = deadline.as_millis();
        if deadline < self.next_deadline.load(Ordering::Relaxed) {
            self.next_deadline.fetch_min(deadline, Ordering::Relaxed);
        }
    }

    fn create(&self, key: &StoreKey, record: Record, now: Timestamp) -> Result<(), Error> {
        // Before the lock of the shard: to make room takes the locks of others.
        let room = self.reserve() || (self.sweep_expired(now, ROOM) > 0 && self.reserve());
        if !room {
            return Err(Error::new(
                ErrorKind::Full,
                "the session store is full: it holds as many sessions as its capacity allows",
            ));
        }
        let mut shard = self.shard(key);
        if shard.find(hash(key), |slot| slot.key == *key).is_some() {
            drop(shard);
            self.held.fetch_sub(1, Ordering::Relaxed);
            return Err(key_in_use());
        }
        self.index(&record, *key);
        self.expires_at(record.deadline());
        insert(&mut shard, Slot::new(*key, record, None));
        Ok(())
    }

    /// Moves a session to another key of its shard.
    fn relocate(&self, shard: &mut Shard, from: &StoreKey, after: Record, forward: Forward) {
        let Some((before, trail)) = remove(shard, from) else {
            return;
        };
        let mut trail = trail.unwrap_or_default();
        if trail.len() == MAX_FORWARDS {
            remove(shard, &trail.remove(0));
        }
        // Most sessions are renewed once.
        trail.reserve_exact(1);
        trail.push(*from);
        self.reindex(&before, &after, forward.to);
        self.expires_at(after.deadline());
        let slot = Slot {
            key: *from,
            deadline: forward.until,
            place: Place::Forward(Box::new(forward)),
        };
        insert(shard, slot);
        insert(shard, Slot::new(forward.to, after, Some(trail)));
    }

    /// Removes a record with its forwards.
    fn end(&self, shard: &mut Shard, key: &StoreKey) -> Option<Arc<Record>> {
        let (record, trail) = remove(shard, key)?;
        for old in trail.into_iter().flat_map(|trail| *trail) {
            remove(shard, &old);
        }
        self.unindex(&record);
        self.held.fetch_sub(1, Ordering::Relaxed);
        Some(record)
    }

    fn reindex(&self, before: &Record, after: &Record, key: StoreKey) {
        if before.user() != after.user() {
            self.unindex(before);
        }
        self.index(after, key);
    }

    fn index(&self, record: &Record, key: StoreKey) {
        let Some(user) = record.user() else { return };
        let line = (user.into(), record.id());
        self.users.lock().insert(line, key);
    }

    fn unindex(&self, record: &Record) {
        let Some(user) = record.user() else { return };
        self.users.lock().remove(&(user.into(), record.id()));
    }

    /// Removes at most `max` expired sessions, one shard after the other.
    fn sweep_expired(&self, now: Timestamp, max: usize) -> usize {
        if now.as_millis() < self.next_deadline.load(Ordering::Relaxed) {
            return 0;
        }
        // What is stored from here on lowers it again.
        self.next_deadline.store(u64::MAX, Ordering::Relaxed);
        let mut swept = 0;
        for shard in &self.shards {
            if swept == max {
                // Not everything was looked at.
                self.expires_at(now);
                break;
            }
            let mut expired = Vec::new();
            let mut next = Timestamp::MAX;
            let mut guard = shard.lock();
            for slot in guard.iter() {
                if now < slot.deadline || swept + expired.len() == max {
                    next = next.min(slot.deadline);
                } else if matches!(slot.place, Place::Record(..)) {
                    expired.push(slot.key);
                }
            }
            let dropped: Vec<_> = expired
                .iter()
                .filter_map(|key| self.end(&mut guard, key))
                .collect();
            drop(guard);
            // The records are dropped outside the lock.
            swept += dropped.len();
            self.expires_at(next);
        }
        swept
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
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Loaded, Error> {
        Ok(match see(&mut self.shard(key), key, now) {
            Seen::Record { record, .. } => Loaded::Found(record.clone()),
            Seen::Moved(forward) => Loaded::Moved(forward),
            Seen::Nothing => Loaded::Absent,
        })
    }

    fn swap(&self, key: &StoreKey, swap: Swap<'_>, now: Timestamp) -> Result<Swapped, Error> {
        let before = match swap {
            Swap::Create(record) => {
                return self
                    .create(key, record.clone(), now)
                    .map(|()| Swapped::Done);
            }
            Swap::Replace { before, .. } | Swap::Move { before, .. } | Swap::Remove(before) => {
                before
            }
            // Everything here can be read.
            Swap::RemoveUnreadable => return Ok(Swapped::Gone),
        };
        let mut shard = self.shard(key);
        let (record, deadline) = match see(&mut shard, key, now) {
            Seen::Record { record, deadline } => (record, deadline),
            Seen::Moved(forward) => return Ok(Swapped::Moved(forward)),
            Seen::Nothing => return Ok(Swapped::Gone),
        };
        if record.version() != before.version() {
            return Ok(Swapped::Current(record.clone()));
        }
        match swap {
            Swap::Replace { after, .. } => {
                let after = after.with_later_use(record, now);
                if record.user() != after.user() {
                    self.reindex(record, &after, *key);
                }
                *record = Arc::new(after);
                *deadline = record.deadline();
                self.expires_at(*deadline);
            }
            Swap::Move { after, forward, .. } => {
                let after = after.with_later_use(record, now);
                self.relocate(&mut shard, key, after, forward);
            }
            _ => {
                self.end(&mut shard, key);
            }
        }
        Ok(Swapped::Done)
    }

    fn commit(
        &self,
        key: &StoreKey,
        change: &Change,
        loaded: Option<Arc<Record>>,
        now: Timestamp,
    ) -> Result<Committed, Error> {
        // The record is changed in place if no request holds it.
        drop(loaded);
        if let Some(record) = change.created(now)? {
            self.create(key, record, now)?;
            return Ok(Committed::Stored {
                key: *key,
                merged: false,
            });
        }
        let mut shard = self.shard(key);
        let (mut key, mut followed) = (*key, false);
        while let Seen::Moved(forward) = see(&mut shard, &key, now) {
            if !change.follows(&forward) {
                return Ok(Committed::Gone);
            }
            (key, followed) = (forward.to, true);
        }
        let Seen::Record { record, deadline } = see(&mut shard, &key, now) else {
            return Ok(Committed::Gone);
        };
        let merged = record.version() != change.loaded_version();
        let Some(to) = change.renew_to(followed) else {
            if !change.apply(Arc::make_mut(record), now)? {
                return Ok(Committed::Conflict);
            }
            *deadline = record.deadline();
            self.expires_at(*deadline);
            return Ok(Committed::Stored { key, merged });
        };
        let mut after = Record::clone(record);
        if !change.apply(&mut after, now)? {
            return Ok(Committed::Conflict);
        }
        self.relocate(&mut shard, &key, after, Forward::new(to, change, now));
        Ok(Committed::Stored { key: to, merged })
    }

    fn touch(&self, key: &StoreKey, touch: &Touch<'_>) -> Result<(), Error> {
        if let Seen::Record { record, deadline } = see(&mut self.shard(key), key, touch.at) {
            Arc::make_mut(record).touch(touch);
            *deadline = record.deadline();
            self.expires_at(*deadline);
        }
        Ok(())
    }

    fn user_index(&self, user: &str, _: Timestamp) -> Result<Vec<IndexLine>, Error> {
        let first = (user.into(), SessionId::from_bytes([0; 16]));
        Ok(self
            .users
            .lock()
            .range(first..)
            .take_while(|((of, _), _)| **of == *user)
            .map(|((_, id), key)| IndexLine { id: *id, key: *key })
            .collect())
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
            // Copied, because `visit` may call the store.
            let records: Vec<_> = shard
                .lock()
                .iter()
                .filter(|slot| now < slot.deadline)
                .filter_map(|slot| match &slot.place {
                    Place::Record(record, _) => Some((slot.key, record.clone())),
                    Place::Forward(_) => None,
                })
                .collect();
            for (key, record) in records {
                if !visit(&key, &record) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn ping(&self) -> Result<(), Error> {
        Ok(())
    }

    fn count(&self) -> Option<usize> {
        Some(self.len())
    }

    fn may_block(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;

//! What one request did to a session so far.

use std::sync::Arc;

use kstring::KString;
use smallvec::SmallVec;

use crate::error::{Error, ErrorKind};
use crate::record::{Change, Limits, Op, Record, Size, add, not_an};
use crate::value::Value;

/// Changes of one request, sorted by key, over the record as it was loaded.
#[derive(Clone, Default)]
pub(super) struct Overlay {
    clear: bool,
    entries: SmallVec<[Entry; 2]>,
    /// The size of the session as this request sees it.
    size: Size,
    /// What this request wrote in all, but for values that took the place of unseen ones.
    written: usize,
}

#[derive(Clone)]
struct Entry {
    key: KString,
    /// A number that no other written value of this handle has; a view pins by it.
    serial: u64,
    /// The stored size of the value that is there now; 0 for none.
    size: usize,
    local: Local,
}

#[derive(Clone)]
enum Local {
    Set(Arc<Value>),
    Remove,
    Increment {
        by: i64,
        value: Arc<Value>,
    },
    Append {
        items: Vec<Value>,
        value: Arc<Value>,
    },
}

impl Local {
    fn value(&self) -> Option<&Arc<Value>> {
        match self {
            Self::Set(value) | Self::Increment { value, .. } | Self::Append { value, .. } => {
                Some(value)
            }
            Self::Remove => None,
        }
    }
}

impl Entry {
    /// Whether no view holds the value that was written.
    fn is_unseen(&self) -> bool {
        matches!(&self.local, Local::Set(value) if Arc::strong_count(value) == 1)
    }
}

/// Where a key is among the entries, or would be.
type Place = Result<usize, usize>;

/// What the overlay says of a key.
pub(super) enum Seen<'o> {
    /// The request wrote it.
    Written(u64, &'o Arc<Value>),
    /// The request removed it.
    Removed,
    /// The request left it as the record has it.
    Untouched,
}

impl Overlay {
    /// Nothing done yet, over this record.
    pub(super) fn over(record: Option<&Record>) -> Self {
        Self {
            size: record.map_or_else(Size::default, Record::size),
            ..Self::default()
        }
    }

    pub(super) fn keys(&self) -> usize {
        self.size.keys
    }

    /// Whether there is something to commit.
    pub(super) fn has_changes(&self) -> bool {
        self.clear || !self.entries.is_empty()
    }

    /// Whether something would be stored in a session that does not exist yet.
    pub(super) fn stores_anything(&self) -> bool {
        self.entries.iter().any(|e| e.local.value().is_some())
    }

    pub(super) fn is_untouched(&self) -> bool {
        !self.clear && self.entries.is_empty()
    }

    pub(super) fn see(&self, key: &str) -> Seen<'_> {
        match self.find(key) {
            Ok(at) => match self.entries[at].local.value() {
                Some(value) => Seen::Written(self.entries[at].serial, value),
                None => Seen::Removed,
            },
            Err(_) if self.clear => Seen::Removed,
            Err(_) => Seen::Untouched,
        }
    }

    /// The keys that the request wrote, with their values.
    pub(super) fn written(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries
            .iter()
            .filter_map(|e| Some((e.key.as_str(), &**e.local.value()?)))
    }

    fn find(&self, key: &str) -> Place {
        self.entries.binary_search_by(|e| e.key.as_str().cmp(key))
    }

    /// The size of the value that the request sees under a key; 0 for none.
    fn size_at(&self, place: Place, key: &str, record: Option<&Record>) -> usize {
        match place {
            Ok(at) => self.entries[at].size,
            Err(_) if self.clear => 0,
            Err(_) => record.and_then(|r| r.raw(key)).map_or(0, <[u8]>::len),
        }
    }

    pub(super) fn set(
        &mut self,
        key: &KString,
        value: Value,
        record: Option<&Record>,
        limits: Limits,
        serials: &mut u64,
    ) -> Result<(), Error> {
        let size = value.encoded_len();
        let place = self.admit(key, size, record, limits)?;
        if let Ok(at) = place
            && let entry = &mut self.entries[at]
            && let Local::Set(old) = &mut entry.local
            && let Some(old) = Arc::get_mut(old)
        {
            // Nobody has seen the value that was written before: it need not stay.
            *old = value;
            entry.size = size;
            return Ok(());
        }
        self.put(place, key, size, Local::Set(Arc::new(value)), serials);
        Ok(())
    }

    /// Adds to a whole number and says what it is now.
    pub(super) fn increment(
        &mut self,
        key: &KString,
        by: i64,
        current: Option<&Value>,
        record: Option<&Record>,
        limits: Limits,
        serials: &mut u64,
    ) -> Result<i64, Error> {
        let number = add(key, current, by)?;
        let value = Arc::new(Value::Int(number));
        let local = match self.find(key).map(|at| &self.entries[at].local) {
            Err(_) if !self.clear => Local::Increment { by, value },
            Ok(Local::Increment { by: before, .. }) => match before.checked_add(by) {
                Some(by) => Local::Increment { by, value },
                None => Local::Set(value),
            },
            // After a set, a removal or a clear the number is known whatever the record holds.
            _ => Local::Set(value),
        };
        let size = Value::Int(number).encoded_len();
        let place = self.admit(key, size, record, limits)?;
        self.put(place, key, size, local, serials);
        Ok(number)
    }

    /// Adds an element to the end of an array.
    pub(super) fn append(
        &mut self,
        key: &KString,
        item: Value,
        current: Option<&Value>,
        record: Option<&Record>,
        limits: Limits,
        serials: &mut u64,
    ) -> Result<(), Error> {
        let mut all = match current {
            None | Some(Value::Nil) => Vec::new(),
            Some(Value::Array(items)) => items.clone(),
            Some(other) => return Err(not_an(key, "array", other)),
        };
        all.push(item.clone());
        let value = Value::Array(all);
        value.check(key)?;
        let size = value.encoded_len();
        let place = self.admit(key, size, record, limits)?;
        let value = Arc::new(value);
        let local = match place.map(|at| &self.entries[at].local) {
            Err(_) if !self.clear => Local::Append {
                items: vec![item],
                value,
            },
            Ok(Local::Append { items, .. }) => Local::Append {
                items: items.iter().cloned().chain([item]).collect(),
                value,
            },
            _ => Local::Set(value),
        };
        self.put(place, key, size, local, serials);
        Ok(())
    }

    /// Removes a key; nothing happens if it is not there, so that a page that clears a message on
    /// every visit costs a write only when there was one.
    pub(super) fn remove(&mut self, key: &str, record: Option<&Record>, serials: &mut u64) -> bool {
        let place = self.find(key);
        let size = self.size_at(place, key, record);
        if size == 0 {
            return false;
        }
        self.leave(key, size);
        self.put(place, &KString::from_ref(key), 0, Local::Remove, serials);
        true
    }

    /// Notes that the record under the changes is to lose a key that the request left alone.
    pub(super) fn lose(&mut self, key: &str, record: &Record) {
        let size = self.size_at(self.find(key), key, Some(record));
        self.leave(key, size);
    }

    /// Removes every key; nothing happens if there is none.
    pub(super) fn clear(&mut self) {
        if self.size.keys > 0 {
            self.clear_all();
        }
    }

    /// Removes every key, also those that the request has not seen.
    pub(super) fn clear_all(&mut self) {
        self.clear = true;
        self.entries.clear();
        self.size = Size::default();
    }

    /// Makes room for a value in the books, or refuses it. Gives the key's place.
    fn admit(
        &mut self,
        key: &str,
        size: usize,
        record: Option<&Record>,
        limits: Limits,
    ) -> Result<Place, Error> {
        let place = self.find(key);
        let before = self.size_at(place, key, record);
        let mut after = self.size;
        if before == 0 {
            after.bytes += key.len() + size;
            after.keys += 1;
        } else {
            after.bytes = after.bytes - before + size;
        }
        limits.check(
            Some(key),
            record.map_or_else(Size::default, Record::size),
            after,
        )?;
        // A view keeps every value that a template has read while it renders, so what is written
        // after that, and can't take its place, is bounded too.
        let reuses = matches!(place, Ok(at) if self.entries[at].is_unseen());
        if !reuses {
            let budget = limits.max_bytes.saturating_mul(256).max(1 << 20);
            let written = self.written + size + 64;
            if written > budget {
                return Err(Error::new(
                    ErrorKind::Limit,
                    format!(
                        "one request wrote {written} bytes to the session, with the key `{key}`; the limit is {budget} bytes: write less often, for instance after a loop instead of in it"
                    ),
                ));
            }
            self.written = written;
        }
        self.size = after;
        Ok(place)
    }

    fn leave(&mut self, key: &str, size: usize) {
        if size > 0 {
            self.size.bytes -= key.len() + size;
            self.size.keys -= 1;
        }
    }

    fn put(&mut self, place: Place, key: &KString, size: usize, local: Local, serials: &mut u64) {
        *serials += 1;
        match place {
            Ok(at) => {
                let entry = &mut self.entries[at];
                entry.serial = *serials;
                entry.size = size;
                entry.local = local;
            }
            Err(at) => self.entries.insert(
                at,
                Entry {
                    key: key.clone(),
                    serial: *serials,
                    size,
                    local,
                },
            ),
        }
    }

    /// Lays the same changes over another record: what was added stays added.
    pub(super) fn rebase(
        &self,
        record: Option<&Record>,
        limits: Limits,
        serials: &mut u64,
    ) -> Result<Self, Error> {
        // Only the sum counts: what is removed may come after what is added.
        let unlimited = Limits {
            max_bytes: usize::MAX,
            max_keys: usize::MAX,
        };
        let mut fresh = Self::over(record);
        if self.clear {
            fresh.clear = true;
            fresh.size = Size::default();
        }
        for entry in &self.entries {
            let key = &entry.key;
            let stored = match record {
                Some(record) if !fresh.clear => record.get(key)?,
                _ => None,
            };
            match &entry.local {
                Local::Set(value) => {
                    fresh.set(key, (**value).clone(), record, unlimited, serials)?;
                }
                Local::Remove => {
                    fresh.remove(key, record, serials);
                }
                Local::Increment { by, .. } => {
                    fresh.increment(key, *by, stored.as_ref(), record, unlimited, serials)?;
                }
                Local::Append { items, .. } => {
                    let mut stored = stored;
                    for item in items {
                        fresh.append(
                            key,
                            item.clone(),
                            stored.as_ref(),
                            record,
                            unlimited,
                            serials,
                        )?;
                        if let Seen::Written(_, value) = fresh.see(key) {
                            stored = Some((**value).clone());
                        }
                    }
                }
            }
        }
        limits.check(
            None,
            record.map_or_else(Size::default, Record::size),
            fresh.size,
        )?;
        Ok(fresh)
    }

    /// Writes down what was done.
    pub(super) fn describe(self, change: &mut Change) {
        change.clear = self.clear;
        for entry in self.entries {
            let op = match entry.local {
                Local::Set(value) => Op::Set(value),
                Local::Remove => Op::Remove,
                Local::Increment { by, .. } => Op::Increment(by),
                Local::Append { items, .. } => Op::Append(items),
            };
            change.ops.push((entry.key, op));
        }
    }
}

//! The pending changes of a request to the data.

use kstring::KString;
use smallvec::SmallVec;

use crate::error::{Error, ErrorKind, Shown};
use crate::limits::{Limits, Size};
use crate::record::{Op, Ops, Record, add, append};
use crate::value::{StoredValue, Value};

/// The pending changes, sorted by key, on top of the record as it was loaded.
#[derive(Clone, Default)]
pub(super) struct Pending {
    clear: bool,
    entries: SmallVec<[Entry; 2]>,
    /// The size of the session as this request sees it.
    size: Size,
}

#[derive(Clone)]
struct Entry {
    key: KString,
    op: Op,
    /// The result of an addition, as the request sees it.
    sum: Option<Box<StoredValue>>,
}

impl Entry {
    fn value(&self) -> Option<&[u8]> {
        match &self.op {
            Op::Set(value) => Some(value),
            Op::Remove => None,
            Op::Increment(_) | Op::Append(_) => self.sum.as_deref().map(|sum| &**sum),
        }
    }
}

/// Where the entry of a key is, or would be.
type Place = Result<usize, usize>;

impl Pending {
    /// Creates an empty list of changes.
    pub(super) fn on(record: Option<&Record>) -> Self {
        Self {
            size: record.map_or_else(Size::default, Record::sizes),
            ..Self::default()
        }
    }

    /// Drops the changes in place: most requests have none.
    pub(super) fn reset(&mut self, record: Option<&Record>) {
        self.clear = false;
        self.entries.clear();
        self.size = record.map_or_else(Size::default, Record::sizes);
    }

    /// The number of keys that the request sees.
    pub(super) fn keys(&self) -> usize {
        self.size.keys
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.clear && self.entries.is_empty()
    }

    /// Returns whether the changes store a value in a session that does not exist yet.
    pub(super) fn stores_anything(&self) -> bool {
        self.written().next().is_some()
    }

    #[inline]
    fn find(&self, key: &str) -> Place {
        self.entries
            .binary_search_by(|entry| entry.key.as_str().cmp(key))
    }

    /// Returns whether the request has neither written nor removed a key.
    pub(super) fn leaves(&self, key: &str) -> bool {
        !self.clear && self.find(key).is_err()
    }

    /// The stored form of the value that the request sees under a key.
    #[inline]
    pub(super) fn value<'v>(&'v self, key: &str, record: Option<&'v Record>) -> Option<&'v [u8]> {
        self.value_at(self.find(key), key, record)
    }

    #[inline]
    fn value_at<'v>(
        &'v self,
        place: Place,
        key: &str,
        record: Option<&'v Record>,
    ) -> Option<&'v [u8]> {
        match place {
            Ok(at) => self.entries[at].value(),
            Err(_) if self.clear => None,
            Err(_) => record?.raw(key),
        }
    }

    /// The keys with changes.
    pub(super) fn changed(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.key.as_str())
    }

    pub(super) fn clears(&self) -> bool {
        self.clear
    }

    pub(super) fn bytes(&self) -> usize {
        self.size.bytes
    }

    /// The keys that the request wrote, with their values.
    pub(super) fn written(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries
            .iter()
            .filter_map(|entry| Some((entry.key.as_str(), entry.value()?)))
    }

    pub(super) fn set(
        &mut self,
        key: &KString,
        value: StoredValue,
        record: Option<&Record>,
        limits: Limits,
    ) -> Result<(), Error> {
        let place = self.find(key);
        self.admit(place, key, value.len(), record, limits)?;
        self.put(place, key, Op::Set(value), None);
        Ok(())
    }

    /// Adds to a whole number and returns the sum.
    pub(super) fn increment(
        &mut self,
        key: &KString,
        by: i64,
        record: Option<&Record>,
        limits: Limits,
    ) -> Result<i64, Error> {
        let place = self.find(key);
        let current = self.value_at(place, key, record);
        let current = current.map(Value::decode).transpose()?;
        let number = add(key, current.as_ref(), by)?;
        let op = match place.map(|at| &self.entries[at].op) {
            Err(_) if !self.clear => Op::Increment(by),
            Ok(Op::Increment(before)) => Op::Increment(before.checked_add(by).ok_or_else(|| {
                Error::new(
                    ErrorKind::Value,
                    format!(
                        "the additions to the session key `{}` in this request leave the range of i64",
                        Shown(key)
                    ),
                )
            })?),
            // After a set, a removal or a clear the sum does not depend on the record.
            _ => Op::Set(StoredValue::from(&Value::Int(number))),
        };
        let sum = StoredValue::from(&Value::Int(number));
        self.add_up(place, key, op, sum, record, limits)?;
        Ok(number)
    }

    /// Adds an element to the end of an array.
    pub(super) fn append(
        &mut self,
        key: &KString,
        item: Value,
        record: Option<&Record>,
        limits: Limits,
    ) -> Result<(), Error> {
        let place = self.find(key);
        let current = self.value_at(place, key, record);
        let sum = append(key, current, std::slice::from_ref(&item))?;
        let op = match place.map(|at| &self.entries[at].op) {
            Err(_) if !self.clear => Op::Append(vec![item]),
            Ok(Op::Append(items)) => {
                let mut items = items.clone();
                items.push(item);
                Op::Append(items)
            }
            _ => Op::Set(sum.clone()),
        };
        self.add_up(place, key, op, sum, record, limits)
    }

    fn add_up(
        &mut self,
        place: Place,
        key: &KString,
        op: Op,
        sum: StoredValue,
        record: Option<&Record>,
        limits: Limits,
    ) -> Result<(), Error> {
        self.admit(place, key, sum.len(), record, limits)?;
        let sum = (!matches!(op, Op::Set(_))).then(|| Box::new(sum));
        self.put(place, key, op, sum);
        Ok(())
    }

    /// Removes a key and returns whether there was one. An absent key is no change, so that a page
    /// which removes a message at each visit costs a write only when there was one.
    pub(super) fn remove(&mut self, key: &str, record: Option<&Record>) -> bool {
        let place = self.find(key);
        let Some(before) = self.value_at(place, key, record).map(<[u8]>::len) else {
            return false;
        };
        self.size = self.size.with(key, before, 0);
        self.put(place, &KString::from_ref(key), Op::Remove, None);
        true
    }

    /// Forgets the changes of a key that the store has just removed from the record.
    pub(super) fn forget(&mut self, key: &str, seen: usize) {
        if let Ok(at) = self.find(key) {
            self.entries.remove(at);
        }
        self.size = self.size.with(key, seen, 0);
    }

    /// Removes every key, also those that the request has not seen.
    pub(super) fn clear(&mut self) {
        self.clear = true;
        self.entries.clear();
        self.size = Size::default();
    }

    /// Makes room for a value, or refuses it.
    fn admit(
        &mut self,
        place: Place,
        key: &str,
        size: usize,
        record: Option<&Record>,
        limits: Limits,
    ) -> Result<(), Error> {
        let before = self.value_at(place, key, record).map_or(0, <[u8]>::len);
        let after = self.size.with(key, before, size);
        if !limits.allow(after) {
            let loaded = record.map_or_else(Size::default, Record::sizes);
            limits.check(Some(key), loaded, after)?;
        }
        self.size = after;
        Ok(())
    }

    fn put(&mut self, place: Place, key: &KString, op: Op, sum: Option<Box<StoredValue>>) {
        match place {
            Ok(at) => (self.entries[at].op, self.entries[at].sum) = (op, sum),
            Err(at) => {
                let key = key.clone();
                self.entries.insert(at, Entry { key, op, sum });
            }
        }
    }

    /// Takes the pending operations; the flag says whether `clear` came first.
    pub(super) fn take(&mut self) -> (bool, Ops) {
        let ops = self.entries.drain(..).map(|entry| (entry.key, entry.op));
        (std::mem::take(&mut self.clear), ops.collect())
    }

    /// Applies the changes to another record: additions stay additions.
    pub(super) fn rebase(&self, record: Option<&Record>, limits: Limits) -> Result<Self, Error> {
        // Only the total counts: a removal may come after an addition.
        let unlimited = Limits {
            max_bytes: usize::MAX,
            max_keys: usize::MAX,
        };
        let mut fresh = Self::on(record);
        if self.clear {
            fresh.clear();
        }
        for Entry { key, op, .. } in &self.entries {
            match op {
                Op::Set(value) => fresh.set(key, value.clone(), record, unlimited)?,
                Op::Remove => {
                    // Stays pending where the key is gone by now: it may come back before the commit.
                    if !fresh.remove(key, record) {
                        fresh.put(fresh.find(key), key, Op::Remove, None);
                    }
                }
                Op::Increment(by) => {
                    fresh.increment(key, *by, record, unlimited)?;
                }
                Op::Append(items) => {
                    for item in items {
                        fresh.append(key, item.clone(), record, unlimited)?;
                    }
                }
            }
        }
        let loaded = record.map_or_else(Size::default, Record::sizes);
        limits.check(None, loaded, fresh.size)?;
        Ok(fresh)
    }
}

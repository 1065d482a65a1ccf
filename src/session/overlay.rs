//! What one request did to a session so far.

mod rebase;

use kstring::KString;
use smallvec::SmallVec;

use crate::error::{Error, ErrorKind};
use crate::limits::{Limits, Size};
use crate::record::{Op, Ops, Record, add, append};
use crate::value::{StoredValue, Value};

/// Changes of one request, sorted by key, over the record as it was loaded.
#[derive(Clone, Default)]
pub(super) struct Overlay {
    clear: bool,
    /// As the commit sends them.
    ops: Ops,
    /// What the handle has to know of each, in the same order.
    notes: SmallVec<[Note; 2]>,
    /// The size of the session as this request sees it, or more: see [`Note::unsure`].
    size: Size,
    /// What this request wrote in all, but for values that took the place of others.
    written: usize,
}

#[derive(Clone)]
struct Note {
    /// A number that no other written value of this handle has; a view pins by it.
    serial: u64,
    /// The stored size of the value that is there now; 0 for none.
    size: usize,
    /// A view keeps the value that goes by the number.
    lent: bool,
    /// The record may have a value under the key too, and the books count both: nobody looks before
    /// it matters.
    unsure: bool,
    /// What an addition comes to, as the request sees it.
    sum: Option<Box<StoredValue>>,
}

/// Where a key is among the entries, or would be.
type Place = Result<usize, usize>;

/// Where a value goes that there is room for.
struct Admitted {
    place: Place,
    size: usize,
    unsure: bool,
}

/// What the overlay says of a key.
pub(super) enum Seen<'o> {
    /// The request wrote it; with the number of the value.
    Written(u64, &'o [u8]),
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

    pub(super) fn keys(&mut self, record: Option<&Record>) -> usize {
        self.make_sure(record);
        self.size.keys
    }

    /// Whether there is something to commit.
    pub(super) fn has_changes(&self) -> bool {
        self.clear || !self.ops.is_empty()
    }

    /// Whether something would be stored in a session that does not exist yet.
    pub(super) fn stores_anything(&self) -> bool {
        self.written().next().is_some()
    }

    pub(super) fn see(&self, key: &str) -> Seen<'_> {
        self.see_at(self.find(key))
    }

    /// The same for a view, which keeps the value.
    #[inline]
    pub(super) fn lend(&mut self, key: &str) -> Seen<'_> {
        let place = self.find(key);
        if let Ok(at) = place {
            self.notes[at].lent = true;
        }
        self.see_at(place)
    }

    #[inline]
    fn see_at(&self, place: Place) -> Seen<'_> {
        match place {
            Ok(at) => match self.value_at(at) {
                Some(value) => Seen::Written(self.notes[at].serial, value),
                None => Seen::Removed,
            },
            Err(_) if self.clear => Seen::Removed,
            Err(_) => Seen::Untouched,
        }
    }

    fn value_at(&self, at: usize) -> Option<&[u8]> {
        match &self.ops[at].1 {
            Op::Set(value) => Some(value),
            Op::Increment(_) | Op::Append(_) => self.notes[at].sum.as_deref().map(|sum| &**sum),
            Op::Remove | Op::Take => None,
        }
    }

    /// The keys that the request wrote, with their values.
    pub(super) fn written(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.ops
            .iter()
            .enumerate()
            .filter_map(|(at, (key, _))| Some((key.as_str(), self.value_at(at)?)))
    }

    #[inline]
    fn find(&self, key: &str) -> Place {
        self.ops.binary_search_by(|(k, _)| k.as_str().cmp(key))
    }

    /// The size of the value that the request sees under a key; 0 for none.
    fn size_at(&self, place: Place, key: &str, record: Option<&Record>) -> usize {
        match place {
            Ok(at) => self.notes[at].size,
            Err(_) if self.clear => 0,
            Err(_) => record.and_then(|r| r.raw(key)).map_or(0, <[u8]>::len),
        }
    }

    pub(super) fn set(
        &mut self,
        key: &KString,
        value: StoredValue,
        record: Option<&Record>,
        limits: Limits,
        serials: &mut u64,
    ) -> Result<(), Error> {
        let size = value.len();
        let place = self.admit(key, size, record, limits)?;
        self.put(place, key, Op::Set(value), None, serials);
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
        let value = StoredValue::from(&Value::Int(number));
        let by = match self.find(key).map(|at| &self.ops[at].1) {
            Err(_) if !self.clear => Some(by),
            Ok(Op::Increment(before)) => before.checked_add(by),
            // After a set, a removal or a clear the number is known whatever the record holds.
            _ => None,
        };
        let size = value.len();
        let place = self.admit(key, size, record, limits)?;
        match by {
            Some(by) => self.put(place, key, Op::Increment(by), Some(value), serials),
            None => self.put(place, key, Op::Set(value), None, serials),
        }
        Ok(number)
    }

    /// Adds an element to the end of an array.
    pub(super) fn append(
        &mut self,
        key: &KString,
        item: Value,
        record: Option<&Record>,
        limits: Limits,
        serials: &mut u64,
    ) -> Result<(), Error> {
        let current = match self.see(key) {
            Seen::Written(_, value) => Some(value),
            Seen::Removed => None,
            Seen::Untouched => record.and_then(|record| record.raw(key)),
        };
        let value = append(key, current, std::slice::from_ref(&item))?;
        item.check_item(key)?;
        let size = value.len();
        let place = self.admit(key, size, record, limits)?;
        let items = match place.place.map(|at| &mut self.ops[at].1) {
            Err(_) if !self.clear => Some(vec![item]),
            Ok(Op::Append(items)) => {
                let mut items = std::mem::take(items);
                items.push(item);
                Some(items)
            }
            _ => None,
        };
        match items {
            Some(items) => self.put(place, key, Op::Append(items), Some(value), serials),
            None => self.put(place, key, Op::Set(value), None, serials),
        }
        Ok(())
    }

    /// Removes a key; nothing happens if it is not there, so that a page that clears a message on
    /// every visit costs a write only when there was one.
    pub(super) fn remove(&mut self, key: &str, record: Option<&Record>, serials: &mut u64) -> bool {
        self.make_sure(record);
        let place = self.find(key);
        let before = self.size_at(place, key, record);
        if before == 0 {
            return false;
        }
        self.size = self.size.with(key, before, 0);
        let place = Admitted {
            place,
            size: 0,
            unsure: false,
        };
        self.put(place, &KString::from_ref(key), Op::Remove, None, serials);
        true
    }

    /// Notes that the record under the changes is to lose a key that the request left alone.
    pub(super) fn lose(&mut self, key: &str, record: &Record) {
        let before = record.raw(key).map_or(0, <[u8]>::len);
        self.size = self.size.with(key, before, 0);
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
        self.ops.clear();
        self.notes.clear();
        self.size = Size::default();
    }

    /// Makes room for a value in the books, or refuses it. Gives the key's place.
    fn admit(
        &mut self,
        key: &str,
        size: usize,
        record: Option<&Record>,
        limits: Limits,
    ) -> Result<Admitted, Error> {
        let place = self.find(key);
        let (mut before, mut unsure) = match place {
            Ok(at) => (self.notes[at].size, self.notes[at].unsure),
            Err(_) => (0, !self.clear && record.is_some()),
        };
        let mut after = self.size.with(key, before, size);
        if !limits.allow(after) {
            let loaded = record.map_or_else(Size::default, Record::size);
            self.make_sure(record);
            unsure = false;
            before = self.size_at(place, key, record);
            after = self.size.with(key, before, size);
            limits.check(Some(key), loaded, after)?;
        }
        // A view keeps every value that a template has read while it renders, so what is written
        // after that, and can't take its place, is bounded too.
        let reuses = matches!(place, Ok(at) if !self.notes[at].lent);
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
        Ok(Admitted {
            place,
            size,
            unsure,
        })
    }

    /// Counts no key twice.
    fn make_sure(&mut self, record: Option<&Record>) {
        for ((key, _), note) in self.ops.iter().zip(&mut self.notes) {
            if std::mem::take(&mut note.unsure)
                && let Some(stored) = record.and_then(|record| record.raw(key))
            {
                self.size = self.size.with(key, stored.len(), 0);
            }
        }
    }

    fn put(
        &mut self,
        Admitted {
            place,
            size,
            unsure,
        }: Admitted,
        key: &KString,
        op: Op,
        sum: Option<StoredValue>,
        serials: &mut u64,
    ) {
        *serials += 1;
        let note = Note {
            serial: *serials,
            size,
            lent: false,
            unsure,
            sum: sum.map(Box::new),
        };
        match place {
            Ok(at) => {
                self.ops[at].1 = op;
                self.notes[at] = note;
            }
            Err(at) => {
                self.ops.insert(at, (key.clone(), op));
                self.notes.insert(at, note);
            }
        }
    }

    /// What was done, for the commit.
    pub(super) fn ops(&self) -> &Ops {
        &self.ops
    }

    /// The same, and begins anew; whether everything was removed before is told first.
    pub(super) fn take(&mut self) -> (bool, Ops) {
        self.notes.clear();
        (
            std::mem::take(&mut self.clear),
            std::mem::take(&mut self.ops),
        )
    }

    /// Begins anew over this record.
    pub(super) fn reset(&mut self, record: Option<&Record>) {
        self.clear = false;
        self.ops.clear();
        self.notes.clear();
        self.size = record.map_or_else(Size::default, Record::size);
        self.written = 0;
    }
}

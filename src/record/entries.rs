//! Keys and values of a record in one block of bytes, sorted by key.
//!
//! ```text
//! width (2 or 4) | count | start of each entry | entries
//! ```
//!
//! Count and starts are little endian and `width` bytes wide; starts count from the first entry. An
//! entry is the key's length in a byte, the key, and the stored form of the value up to the next
//! entry. The index makes a read in a large session a binary search, and costs a small one two bytes
//! a key; the one block takes half the memory of keys and values allocated one by one.

use std::ops::{Deref, Range};

use smallvec::SmallVec;

use crate::limits::{MAX_KEY_BYTES, Size};
use crate::value::StoredValue;

/// The index of an entry and the place of its value in the block; or the index that it would get.
pub(crate) type Place = Result<(usize, Range<usize>), usize>;

/// A key whose value changes.
pub(crate) struct Edit<'e> {
    pub(crate) key: &'e str,
    pub(crate) place: Place,
    pub(crate) value: New<'e>,
}

/// The stored form of a new value.
pub(crate) enum New<'e> {
    /// The key goes.
    Nothing,
    Given(&'e [u8]),
    Made(StoredValue),
}

impl Deref for New<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::Given(bytes) => bytes,
            Self::Made(value) => value,
        }
    }
}

/// The tag of no type of value.
const DAMAGED: u8 = b'!';

#[derive(PartialEq, Eq)]
pub(crate) struct Entries(Block);

/// Small sessions need no allocation beside that of their record.
type Block = SmallVec<[u8; 48]>;

/// Allocates a block. Neither it nor its record is among the pieces of up to 120 bytes that glibc
/// caches when they are freed, and merges all at once, a million of them after a sweep, while other
/// threads wait for memory.
fn block(bytes: usize) -> Block {
    let own = bytes > Block::new().inline_size();
    Block::with_capacity(if own { bytes.max(128) } else { bytes })
}

impl Clone for Entries {
    fn clone(&self) -> Self {
        let mut copy = block(self.0.len());
        copy.extend_from_slice(&self.0);
        Self(copy)
    }
}

impl Entries {
    pub(crate) fn empty() -> Self {
        Self(SmallVec::from_slice(&[2, 0, 0]))
    }

    /// From entries that are sorted by key, each key once and no longer than [`MAX_KEY_BYTES`].
    pub(crate) fn build<'e>(entries: impl Iterator<Item = (&'e str, &'e [u8])>) -> Self {
        let edits: Vec<_> = entries
            .map(|(key, value)| Edit {
                key,
                place: Err(0),
                value: New::Given(value),
            })
            .collect();
        let empty = Self::empty();
        empty.edited(&edits, empty.size_after(&edits))
    }

    /// Returns the value under a key, and the place of an edit of it.
    pub(crate) fn plan(&self, key: &str) -> (Option<&[u8]>, Place) {
        let layout = self.layout();
        match layout.find(key) {
            Some((index, value)) => (Some(&self.0[value.clone()]), Ok((index, value))),
            None => (None, Err(layout.place(key))),
        }
    }

    /// Returns the size of the entries with these edits.
    pub(crate) fn size_after(&self, edits: &[Edit<'_>]) -> Size {
        edits.iter().fold(self.size(), |size, edit| {
            let before = edit.place.as_ref().map_or(0, |(_, value)| value.len());
            size.with(edit.key, before, edit.value.len())
        })
    }

    /// Applies edits, which are sorted by key, each key once.
    pub(crate) fn edit(&mut self, edits: &[Edit<'_>], size: Size) {
        // A counter, a flag, a date: mostly the new value is as long as the old one.
        let in_place = edits
            .iter()
            .all(|edit| matches!(&edit.place, Ok((_, value)) if value.len() == edit.value.len()));
        if !in_place {
            *self = self.edited(edits, size);
            return;
        }
        for edit in edits {
            if let Ok((_, value)) = &edit.place {
                self.0[value.clone()].copy_from_slice(&edit.value);
            }
        }
    }

    /// Returns the entries with edits. The parts between them are copied.
    fn edited(&self, edits: &[Edit<'_>], size: Size) -> Self {
        let old = self.layout();
        let count = size.keys;
        let size = size.bytes + count;
        let width = if size.max(count) <= usize::from(u16::MAX) {
            2
        } else {
            4
        };
        let first = 1 + width * (1 + count);
        let mut block = block(first + size);
        block.push(width as u8);
        put(&mut block, width, count);
        let mut starts = block.len();
        block.resize(first, 0);

        // Appends old entries as one piece.
        let keep = |block: &mut Block, starts: &mut usize, from: usize, to: usize| {
            let begin = old.start(from);
            let moved = block.len() - first;
            for index in from..to {
                set(block, width, starts, old.start(index) - begin + moved);
            }
            block.extend_from_slice(&self.0[old.first + begin..old.first + old.start(to)]);
        };
        let mut at = 0;
        for edit in edits {
            let (next, after) = match edit.place {
                Ok((found, _)) => (found, found + 1),
                Err(place) => (place, place),
            };
            keep(&mut block, &mut starts, at, next);
            at = after;
            if !edit.value.is_empty() {
                let start = block.len() - first;
                set(&mut block, width, &mut starts, start);
                block.push(edit.key.len() as u8);
                block.extend_from_slice(edit.key.as_bytes());
                block.extend_from_slice(&edit.value);
            }
        }
        keep(&mut block, &mut starts, at, old.count);
        Self(block)
    }

    /// Returns how many entries the block at the front of these bytes says it has.
    pub(super) fn count_in(bytes: &[u8]) -> Option<usize> {
        let (width, rest) = bytes.split_first()?;
        match width {
            2 => Some(u16::from_le_bytes(*rest.first_chunk()?).into()),
            4 => usize::try_from(u32::from_le_bytes(*rest.first_chunk()?)).ok(),
            _ => None,
        }
    }

    /// Makes the values unreadable that are not `sound`: a changed bit may have left a valid one.
    pub(super) fn damage_unless(&mut self, sound: impl Fn(usize, &[u8]) -> bool) {
        for index in 0..self.len() {
            let value = self.layout().value(index);
            let value = &mut self.0[value];
            if !sound(index, value)
                && let Some(tag) = value.first_mut()
            {
                *tag = DAMAGED;
            }
        }
    }

    /// Returns the count and the start of each entry.
    pub(super) fn index(&self) -> &[u8] {
        &self.0[..self.layout().first]
    }

    /// Reads a block, and checks all of it except the values.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let width = match bytes.first()? {
            2 => 2,
            4 => 4,
            _ => return None,
        };
        if bytes.len() < 1 + width {
            return None;
        }
        let entries = Self(Block::from_slice(bytes));
        let layout = entries.layout();
        if layout.first > bytes.len() {
            return None;
        }
        let mut last: Option<&str> = None;
        for index in 0..layout.count {
            let start = layout.first.checked_add(layout.start(index))?;
            let end = layout.first.checked_add(layout.end(index))?;
            let (&key_len, entry) = bytes.get(start..end)?.split_first()?;
            let key = std::str::from_utf8(entry.get(..usize::from(key_len))?).ok()?;
            let in_order = last.is_none_or(|last| last < key);
            if !in_order || key.len() > MAX_KEY_BYTES || (index == 0 && start != layout.first) {
                return None;
            }
            last = Some(key);
        }
        (layout.count > 0 || layout.first == bytes.len()).then_some(entries)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    #[inline]
    fn layout(&self) -> Layout<'_> {
        let width = usize::from(self.0[0]);
        let count = number(&self.0, width, 0);
        Layout {
            block: &self.0,
            width,
            count,
            first: 1 + width * (1 + count),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.layout().count
    }

    /// The size of all keys and values.
    pub(crate) fn bytes(&self) -> usize {
        let layout = self.layout();
        self.0.len() - layout.first - layout.count
    }

    pub(crate) fn size(&self) -> Size {
        Size {
            bytes: self.bytes(),
            keys: self.len(),
        }
    }

    pub(crate) fn at(&self, index: usize) -> (&str, &[u8]) {
        let (key, value) = self.layout().entry(index);
        // Built from texts, or checked by `from_bytes`.
        (std::str::from_utf8(key).unwrap_or_default(), value)
    }

    /// Where a key is among the entries, and its value.
    #[inline]
    pub(crate) fn locate(&self, key: &str) -> Option<(usize, &[u8])> {
        let (index, value) = self.layout().find(key)?;
        Some((index, &self.0[value]))
    }

    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        Some(self.locate(key)?.1)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> + Clone {
        (0..self.len()).map(|index| self.at(index))
    }
}

/// The head of a block, read once.
#[derive(Clone, Copy)]
struct Layout<'b> {
    block: &'b [u8],
    width: usize,
    count: usize,
    first: usize,
}

impl<'b> Layout<'b> {
    /// Where an entry begins, or for the count, where all end.
    #[inline]
    fn start(&self, index: usize) -> usize {
        if index < self.count {
            number(self.block, self.width, 1 + index)
        } else {
            self.block.len() - self.first
        }
    }

    #[inline]
    fn end(&self, index: usize) -> usize {
        self.start(index + 1)
    }

    fn entry(&self, index: usize) -> (&'b [u8], &'b [u8]) {
        let entry = &self.block[self.first + self.start(index)..self.first + self.end(index)];
        entry[1..].split_at(usize::from(entry[0]))
    }

    /// Where a value is.
    #[inline]
    fn value(&self, index: usize) -> Range<usize> {
        let start = self.first + self.start(index);
        let key_len = usize::from(self.block[start]);
        start + 1 + key_len..self.first + self.end(index)
    }

    #[inline]
    fn key(&self, index: usize) -> &'b [u8] {
        let start = self.first + self.start(index);
        let len = usize::from(self.block[start]);
        &self.block[start + 1..start + 1 + len]
    }

    /// Returns the index of a key, and the place of its value. In a small session, testing every key for
    /// equality is faster than a binary search.
    #[inline]
    fn find(&self, key: &str) -> Option<(usize, Range<usize>)> {
        let key = key.as_bytes();
        let (head, body) = self.block.split_at(self.first);
        let index = match self.width {
            _ if self.count > 16 => self.search(key).ok()?,
            2 => {
                let (starts, _) = head[3..].as_chunks();
                (starts.iter())
                    .position(|start| is(body, u16::from_le_bytes(*start).into(), key))?
            }
            _ => (0..self.count).find(|&index| is(body, self.start(index), key))?,
        };
        Some((index, self.value(index)))
    }

    /// Returns the index that an absent key would get.
    fn place(&self, key: &str) -> usize {
        self.search(key.as_bytes()).unwrap_or_else(|place| place)
    }

    fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key(middle).cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }
}

/// Returns whether the entry that begins here has this key. Keys often begin alike, such as `cart_id`
/// and `cart_total`, and rarely end alike: the last byte is compared first.
#[inline]
fn is(body: &[u8], start: usize, key: &[u8]) -> bool {
    match body.get(start..) {
        Some([len, entry @ ..]) if usize::from(*len) == key.len() => {
            entry.get(key.len().wrapping_sub(1)) == key.last() && entry.starts_with(key)
        }
        _ => false,
    }
}

/// A number of the head: the count, then the starts.
#[inline]
fn number(block: &[u8], width: usize, index: usize) -> usize {
    let at = 1 + index * width;
    // Heads are as long as they say: written here, or checked by `from_bytes`.
    match &block[at..at + width] {
        [a, b] => usize::from(u16::from_le_bytes([*a, *b])),
        [a, b, c, d] => u32::from_le_bytes([*a, *b, *c, *d]) as usize,
        _ => 0,
    }
}

/// Writes the next start into the head.
fn set(block: &mut [u8], width: usize, at: &mut usize, number: usize) {
    if width == 2 {
        block[*at..*at + 2].copy_from_slice(&(number as u16).to_le_bytes());
    } else {
        block[*at..*at + 4].copy_from_slice(&(number as u32).to_le_bytes());
    }
    *at += width;
}

fn put(block: &mut Block, width: usize, number: usize) {
    if width == 2 {
        block.extend_from_slice(&(number as u16).to_le_bytes());
    } else {
        block.extend_from_slice(&(number as u32).to_le_bytes());
    }
}

#[cfg(test)]
mod tests;

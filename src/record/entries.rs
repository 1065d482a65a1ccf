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

use super::MAX_KEY_BYTES;

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Entries(Box<[u8]>);

impl Entries {
    pub(crate) fn empty() -> Self {
        Self::build(std::iter::empty())
    }

    /// From entries that are sorted by key, each key once and no longer than [`MAX_KEY_BYTES`].
    pub(crate) fn build<'e>(entries: impl Iterator<Item = (&'e str, &'e [u8])> + Clone) -> Self {
        let (count, size) = entries.clone().fold((0, 0), |(count, size), (key, value)| {
            (count + 1, size + 1 + key.len() + value.len())
        });
        let width = if size.max(count) <= usize::from(u16::MAX) {
            2
        } else {
            4
        };
        let mut block = Vec::with_capacity(1 + width * (1 + count) + size);
        block.push(width as u8);
        put(&mut block, width, count);
        let mut start = 0;
        for (key, value) in entries.clone() {
            put(&mut block, width, start);
            start += 1 + key.len() + value.len();
        }
        for (key, value) in entries {
            block.push(key.len() as u8);
            block.extend_from_slice(key.as_bytes());
            block.extend_from_slice(value);
        }
        Self(block.into_boxed_slice())
    }

    /// Checks everything but the values, which are checked as they are read.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let width = match bytes.first()? {
            2 => 2,
            4 => 4,
            _ => return None,
        };
        if bytes.len() < 1 + width {
            return None;
        }
        let entries = Self(bytes.into());
        let count = entries.len();
        let first = count
            .checked_add(1)?
            .checked_mul(width)?
            .checked_add(1)
            .filter(|first| *first <= bytes.len())?;
        let mut last: Option<&str> = None;
        for index in 0..count {
            let start = first.checked_add(entries.start(index))?;
            let end = if index + 1 < count {
                first.checked_add(entries.start(index + 1))?
            } else {
                bytes.len()
            };
            let (&key_len, entry) = bytes.get(start..end)?.split_first()?;
            let key = std::str::from_utf8(entry.get(..usize::from(key_len))?).ok()?;
            let in_order = last.is_none_or(|last| last < key);
            if !in_order || key.len() > MAX_KEY_BYTES || (index == 0 && start != first) {
                return None;
            }
            last = Some(key);
        }
        (count > 0 || first == bytes.len()).then(|| Self(bytes.into()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn width(&self) -> usize {
        usize::from(self.0[0])
    }

    /// The number at an index of the head: the count, then the starts.
    fn head(&self, index: usize) -> usize {
        let width = self.width();
        let at = 1 + index * width;
        if width == 2 {
            usize::from(u16::from_le_bytes([self.0[at], self.0[at + 1]]))
        } else {
            let bytes = [self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]];
            u32::from_le_bytes(bytes) as usize
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.head(0)
    }

    fn start(&self, index: usize) -> usize {
        self.head(1 + index)
    }

    fn first(&self) -> usize {
        1 + self.width() * (1 + self.len())
    }

    /// The size of all keys and values.
    pub(crate) fn bytes(&self) -> usize {
        self.0.len() - self.first() - self.len()
    }

    fn entry(&self, index: usize) -> (&[u8], &[u8]) {
        let first = self.first();
        let start = first + self.start(index);
        let end = if index + 1 < self.len() {
            first + self.start(index + 1)
        } else {
            self.0.len()
        };
        let key_len = usize::from(self.0[start]);
        self.0[start + 1..end].split_at(key_len)
    }

    pub(crate) fn at(&self, index: usize) -> (&str, &[u8]) {
        let (key, value) = self.entry(index);
        // Built from texts, or checked by `from_bytes`.
        (std::str::from_utf8(key).unwrap_or_default(), value)
    }

    pub(crate) fn position(&self, key: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.entry(middle).0.cmp(key.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        self.position(key).map(|index| self.entry(index).1)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> + Clone {
        (0..self.len()).map(|index| self.at(index))
    }
}

fn put(block: &mut Vec<u8>, width: usize, number: usize) {
    if width == 2 {
        block.extend_from_slice(&(number as u16).to_le_bytes());
    } else {
        block.extend_from_slice(&(number as u32).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn entries_are_found_and_read_back(
            map in prop::collection::btree_map(
                "[a-zż]{0,20}",
                prop::collection::vec(any::<u8>(), 0..3_000),
                0..60,
            ),
        ) {
            let entries = Entries::build(map.iter().map(|(k, v)| (k.as_str(), v.as_slice())));
            prop_assert_eq!(entries.len(), map.len());
            let size: usize = map.iter().map(|(k, v)| k.len() + v.len()).sum();
            prop_assert_eq!(entries.bytes(), size);
            for (key, value) in &map {
                prop_assert_eq!(entries.get(key), Some(value.as_slice()));
            }
            prop_assert_eq!(entries.get("A"), None);
            let back: BTreeMap<_, _> =
                entries.iter().map(|(k, v)| (k.to_owned(), v.to_vec())).collect();
            prop_assert_eq!(&back, &map);
            let read = Entries::from_bytes(entries.as_bytes()).unwrap();
            prop_assert!(read == entries);
        }

        #[test]
        fn any_bytes_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Some(entries) = Entries::from_bytes(&bytes) {
                for (key, _) in entries.iter() {
                    prop_assert!(entries.get(key).is_some());
                }
            }
        }

        #[test]
        fn damaged_bytes_are_safe(
            map in prop::collection::btree_map("[a-z]{0,5}", prop::collection::vec(any::<u8>(), 0..9), 0..9),
            at in any::<usize>(),
            byte in any::<u8>(),
        ) {
            let entries = Entries::build(map.iter().map(|(k, v)| (k.as_str(), v.as_slice())));
            let mut bytes = entries.as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Some(entries) = Entries::from_bytes(&bytes) {
                for (key, _) in entries.iter() {
                    prop_assert!(entries.get(key).is_some());
                }
            }
        }
    }
}

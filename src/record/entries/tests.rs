use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn edits_are_those_of_a_map(
        old in prop::collection::btree_map("[a-f]{0,2}", prop::collection::vec(any::<u8>(), 1..9), 0..20),
        edits in prop::collection::btree_map("[a-f]{0,2}", prop::collection::vec(any::<u8>(), 0..9), 0..20),
    ) {
        let entries = Entries::build(old.iter().map(|(k, v)| (k.as_str(), v.as_slice())));
        let list: Vec<_> = edits
            .iter()
            .filter(|(key, value)| !value.is_empty() || old.contains_key(*key))
            .map(|(key, value)| Edit {
                key,
                place: entries.plan(key).1,
                value: if value.is_empty() { New::Nothing } else { New::Given(value) },
            })
            .collect();
        let size = entries.size_after(&list);
        let mut edited = entries.clone();
        edited.edit(&list, size);
        prop_assert_eq!(edited.len(), size.keys);
        prop_assert_eq!(edited.bytes(), size.bytes);
        let mut expected = old;
        for (key, value) in edits {
            if value.is_empty() {
                expected.remove(&key);
            } else {
                expected.insert(key, value);
            }
        }
        let expected = Entries::build(expected.iter().map(|(k, v)| (k.as_str(), v.as_slice())));
        prop_assert!(edited == expected);
    }

    #[test]
    fn entries_are_found_and_read_back(
        map in prop::collection::btree_map(
            "[a-zż]{0,20}",
            prop::collection::vec(any::<u8>(), 1..3_000),
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
        map in prop::collection::btree_map("[a-z]{0,5}", prop::collection::vec(any::<u8>(), 1..9), 0..9),
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

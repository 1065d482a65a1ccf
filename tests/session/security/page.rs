//! The page of the security model names tests, and each of them exists.

use std::collections::BTreeMap;
use std::path::Path;

use super::files;

const PAGE: &str = include_str!("../../../docs/guide/security.md");

/// The tests that the page names, by the number of the promise: `file.rs::name`.
fn named() -> BTreeMap<usize, Vec<&'static str>> {
    let rows = PAGE.lines().filter_map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let number = cells.next()?.parse().ok()?;
        let tests = cells.next_back()?.split('`').filter(|t| t.contains("::"));
        Some((number, tests.collect()))
    });
    rows.collect()
}

#[test]
fn every_promise_names_a_test_and_every_test_that_is_named_exists() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let named = named();
    let numbers: Vec<_> = named.keys().copied().collect();
    assert!(!numbers.is_empty(), "the page has no promises");
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
    for (number, names) in named {
        assert!(!names.is_empty(), "promise {number} names no test");
        for named in names {
            let (file, name) = named.split_once("::").unwrap();
            let code = std::fs::read_to_string(tests.join(file));
            let code = code.unwrap_or_else(|why| panic!("promise {number}: {file}: {why}"));
            let at = code.find(&format!("fn {name}("));
            let at = at.unwrap_or_else(|| panic!("promise {number}: no test {named}"));
            let before = code[..at].trim_end_matches("async ");
            let last = before.trim_end().lines().next_back().unwrap_or_default();
            assert!(last.contains("test"), "{named} is no test: {last}");
        }
    }
}

#[test]
fn every_test_of_the_list_is_on_the_page() {
    let named = named();
    let mut found = 0;
    for path in files("tests") {
        let code = std::fs::read_to_string(&path).unwrap_or_default();
        for name in code.split("fn security_").skip(1) {
            let name = name.split('(').next().unwrap();
            let Ok(number) = name[..2].parse::<usize>() else {
                continue;
            };
            found += 1;
            let end = format!("::security_{name}");
            assert!(
                named[&number].iter().any(|named| named.ends_with(&end)),
                "security_{name} is not on the page, in the line of promise {number}"
            );
        }
    }
    assert!(found > 0, "no test is named `security_…`");
}

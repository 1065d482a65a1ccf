//! The index `tests/README.md` names every home, and every home that it names exists.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn entries(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The words between backticks that are paths.
fn named() -> Vec<String> {
    let index = std::fs::read_to_string(root().join("tests/README.md")).unwrap();
    let words = index.split('`').skip(1).step_by(2);
    words
        .filter(|word| word.contains('/') || word.ends_with(".rs"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_home_in_the_index_exists() {
    let named = named();
    assert!(!named.is_empty());
    for home in named {
        let exists = root().join("tests").join(&home).exists() || root().join(&home).exists();
        assert!(exists, "{home} is in the index, but does not exist");
    }
}

#[test]
fn every_test_has_a_home_in_the_index() {
    let named = named();
    let mut homes = entries("fixtures/scenarios");
    for folder in entries("tests") {
        let name = folder.file_name().unwrap().to_str().unwrap();
        if folder.is_dir() && !["proptest-regressions", "snapshots", "support"].contains(&name) {
            homes.extend(entries(&format!("tests/{name}")));
        }
    }
    assert!(!homes.is_empty());
    for home in homes {
        let path = home.strip_prefix(root()).unwrap().to_str().unwrap();
        let path = path.strip_prefix("tests/").unwrap_or(path);
        // A file that only gathers its folder is named by the folder.
        let stem = path.strip_suffix(".rs").unwrap_or(path);
        let found = named.iter().any(|named| {
            let part = named.strip_prefix(stem);
            part.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
        });
        let gathers = path.ends_with("main.rs") || path.ends_with("support.rs");
        assert!(found || gathers, "{path} is not in the index");
    }
}

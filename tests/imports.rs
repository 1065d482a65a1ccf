//! Data flow one way: which module of the crate uses which, compared with a drawing.
//!
//! ```text
//! template: tags ─▶ view, globals ─▶ handle ─▶ store ─▶ record ─▶ value, secret, clock, error
//! cookie:   http ─▶ sessions ─▶ handle
//! ```
//!
//! A new edge shows here before it shows in a review. Nothing in a store or in the handle knows
//! liquid, HTTP or tower; the tag and the view know no store.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Module, and the modules that it uses.
const DRAWING: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("error", &[]),
    ("counters", &[]),
    ("events", &["counters", "error", "secret", "sensitive"]),
    ("config", &["error", "record"]),
    ("dialect", &[]),
    ("secret", &["error"]),
    ("value", &["error"]),
    ("sensitive", &["value"]),
    ("record", &["clock", "error", "secret", "value"]),
    ("store", &["clock", "error", "record", "secret", "value"]),
    (
        "shared",
        &["clock", "config", "counters", "secret", "store"],
    ),
    (
        "handle",
        &[
            "config",
            "error",
            "events",
            "record",
            "secret",
            "sensitive",
            "shared",
            "store",
            "value",
        ],
    ),
    (
        "sessions",
        &[
            "clock", "config", "counters", "error", "events", "handle", "secret", "shared", "store",
        ],
    ),
    (
        "http",
        &["config", "error", "events", "handle", "secret", "sessions"],
    ),
    ("view", &["handle", "value"]),
    ("globals", &["error", "handle", "value", "view"]),
    ("filters", &["value"]),
    ("literal", &[]),
    ("render", &["literal", "view"]),
    (
        "tags",
        &[
            "error", "filters", "handle", "literal", "render", "value", "view",
        ],
    ),
];

/// These know nothing of templates, HTTP or tower.
const PURE: &[&str] = &[
    "clock", "error", "config", "secret", "record", "store", "shared", "sessions", "handle",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            // Unit tests in a file of their own.
            && !path.ends_with("tests.rs")
        {
            found.push(path);
        }
    }
}

/// The code without comments and without its unit tests.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let text = text
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap()
        .to_owned();
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn modules() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut modules: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for file in files {
        let inner = file.strip_prefix(&src).unwrap();
        let top = inner
            .iter()
            .next()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs");
        // The crate's page uses everything, and so does what tests it; the guide is text.
        if !["lib", "testing", "guide"].contains(&top) {
            modules
                .entry(top.to_owned())
                .or_default()
                .push((file.clone(), code(&file)));
        }
    }
    modules
}

#[test]
fn every_edge_is_in_the_drawing() {
    let drawn: BTreeMap<String, BTreeSet<String>> = DRAWING
        .iter()
        .map(|(from, to)| {
            (
                from.to_string(),
                to.iter().map(|to| to.to_string()).collect(),
            )
        })
        .collect();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, files) in modules() {
        let edges = found.entry(module.clone()).or_default();
        for (_, code) in files {
            for used in code.split("crate::").skip(1) {
                let name: String = used
                    .chars()
                    .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                    .collect();
                if !name.is_empty() && name != module {
                    edges.insert(name);
                }
            }
        }
    }
    assert_eq!(found, drawn);
}

#[test]
fn stores_and_handle_know_no_templates_and_no_http() {
    let modules = modules();
    for module in PURE {
        for (file, code) in &modules[*module] {
            for word in [
                "liquid::",
                "liquid_core",
                "liquid_lib",
                "http::",
                "tower",
                "axum",
                "cookie::",
            ] {
                assert!(!code.contains(word), "{} mentions {word}", file.display());
            }
        }
    }
}

#[test]
fn one_file_knows_both_liquid_s_values_and_ours() {
    for (file, code) in modules().values().flatten() {
        let converts =
            code.contains("LiquidValue::Scalar(") || code.contains("LiquidValue::Array(");
        assert!(
            !converts || file.ends_with("value/liquid.rs"),
            "{} converts values",
            file.display()
        );
    }
}

//! Data flows one way: the modules of the crate, and which of them each may use.
//!
//! ```text
//! source ──▶ dialect ──▶ liquid parser ──▶ template ──▶ session ──▶ store ──▶ record ──▶ value
//!                                                          ▲
//!                               cookie ──▶ secret ─────────┘        (they meet in http)
//! ```
//!
//! A new edge is a decision: add it to [`DRAWING`], where a reviewer sees it.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Each module, and the modules that it uses. A module uses only those above it.
const DRAWING: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("error", &[]),
    ("limits", &["error"]),
    ("dialect", &[]),
    ("secret", &["error"]),
    ("value", &["error", "limits"]),
    ("record", &["clock", "error", "limits", "secret", "value"]),
    ("config", &["error", "limits", "secret"]),
    ("sensitive", &["error", "value"]),
    (
        "store",
        &["clock", "error", "limits", "record", "secret", "value"],
    ),
    ("observe", &["error", "secret", "sensitive"]),
    (
        "session",
        &[
            "clock",
            "config",
            "error",
            "limits",
            "observe",
            "record",
            "secret",
            "sensitive",
            "store",
            "value",
        ],
    ),
    (
        "sessions",
        &[
            "clock", "config", "error", "observe", "secret", "session", "store",
        ],
    ),
    (
        "http",
        &[
            "config", "error", "observe", "secret", "session", "sessions",
        ],
    ),
    ("template", &["error", "session", "value"]),
    ("views", &["dialect", "error", "session", "template"]),
    (
        "check",
        &[
            "dialect",
            "error",
            "sensitive",
            "session",
            "template",
            "value",
            "views",
        ],
    ),
];

/// What these modules must not reach, by themselves or through another module. `name::` is a crate.
const NEVER: &[(&[&str], &[&str])] = &[
    // The session and the modules above it serve hosts without templates and without HTTP.
    (
        PURE,
        &["template", "liquid::", "liquid_core::", "liquid_lib::"],
    ),
    (
        PURE,
        &[
            "http",
            "http::",
            "axum::",
            "cookie::",
            "tower_layer::",
            "tower_service::",
        ],
    ),
    (PURE, &["dialect", "views"]),
    (&["http"], &["dialect"]),
    (&["dialect"], &["session"]),
];

/// What these modules must not use by themselves.
const NOT_DIRECTLY: &[(&str, &[&str])] = &[
    ("template", &["http", "record", "sessions", "store"]),
    ("http", &["record", "store", "template"]),
];

const PURE: &[&str] = &[
    "clock",
    "config",
    "error",
    "limits",
    "observe",
    "record",
    "secret",
    "sensitive",
    "session",
    "sessions",
    "store",
    "value",
];

/// The crate's page re-exports everything, and tests use everything. The guide is text, a binary is a
/// user of the crate.
const LEFT_OUT: &[&str] = &["lib", "guide", "testing", "bin"];

/// What each module uses by itself: other modules, and other crates.
type Edges = BTreeMap<String, BTreeSet<String>>;

#[test]
fn the_drawing_has_every_edge_and_no_other() {
    let drawn: BTreeSet<_> = DRAWING
        .iter()
        .flat_map(|(from, to)| to.iter().map(move |to| (from.to_string(), to.to_string())))
        .collect();
    let modules: BTreeSet<_> = edges().into_keys().collect();
    let found: BTreeSet<_> = edges()
        .into_iter()
        .flat_map(|(from, to)| to.into_iter().map(move |to| (from.clone(), to)))
        .filter(|(_, to)| !to.ends_with("::") && !is_public_name(to))
        .collect();
    let list = |edges: &mut dyn Iterator<Item = &(String, String)>| {
        edges
            .map(|(from, to)| format!("  {from} ─▶ {to}\n"))
            .collect::<String>()
    };
    let new = list(&mut found.difference(&drawn));
    let gone = list(&mut drawn.difference(&found));
    assert!(
        new.is_empty() && gone.is_empty(),
        "not drawn:\n{new}drawn, but not there:\n{gone}"
    );
    let known: BTreeSet<_> = DRAWING
        .iter()
        .map(|(module, _)| module.to_string())
        .collect();
    assert_eq!(modules, known, "the modules");
}

#[test]
fn every_edge_points_to_a_module_above() {
    for (at, (module, uses)) in DRAWING.iter().enumerate() {
        for used in *uses {
            let above = DRAWING[..at].iter().any(|(module, _)| module == used);
            assert!(above, "{module} uses {used}, which is not above it");
        }
    }
}

#[test]
fn the_session_reaches_no_template_and_no_http() {
    let edges = edges();
    let mut broken = String::new();
    for (modules, never) in NEVER {
        for module in *modules {
            if let Some(path) = path(&edges, module, never) {
                broken += &format!("  {}\n", path.join(" ─▶ "));
            }
        }
    }
    assert!(broken.is_empty(), "must not reach:\n{broken}");
}

#[test]
fn the_template_uses_no_store() {
    let edges = edges();
    for (module, never) in NOT_DIRECTLY {
        for target in *never {
            let uses = edges
                .get(*module)
                .is_some_and(|uses| uses.contains(*target));
            assert!(!uses, "{module} uses {target}");
        }
    }
}

#[test]
fn files_are_named_for_their_modules() {
    let named_mod: Vec<_> = files()
        .into_iter()
        .filter(|file| file.ends_with("mod.rs"))
        .collect();
    assert!(
        named_mod.is_empty(),
        "name them for their modules: {named_mod:?}"
    );
}

#[test]
fn what_a_folder_shares_is_seen_by_its_parent_only() {
    let shared_wider: Vec<_> = files()
        .into_iter()
        .filter(|file| std::fs::read_to_string(file).unwrap().contains("pub(in "))
        .collect();
    assert!(
        shared_wider.is_empty(),
        "`pub(super)` must do: {shared_wider:?}"
    );
}

/// A store of this crate asks for nothing that a store elsewhere could not have: names at the root of
/// the crate, the clock, and what `store` exports.
#[test]
fn the_stores_with_a_database_use_public_items_only() {
    let folder = src().join("store");
    let mut seen = 0;
    for file in files() {
        let Ok(inner) = file.strip_prefix(&folder) else {
            continue;
        };
        let name = inner.iter().next().unwrap().to_str().unwrap();
        if !["redb", "redis", "postgres"].contains(&name.trim_end_matches(".rs")) {
            continue;
        }
        seen += 1;
        let module = ["store".to_owned(), name.trim_end_matches(".rs").to_owned()];
        let tokens = tokens(&std::fs::read_to_string(&file).unwrap());
        for used in used(&tokens, &module) {
            let public = is_public_name(&used) || ["clock", "store"].contains(&&*used);
            assert!(
                public || used.ends_with("::"),
                "{} uses {used}",
                file.display()
            );
        }
        let private = tokens.windows(3).find(|words| {
            words[1] == "::"
                && ["super", "store"].contains(&&*words[0])
                && ["commit", "users"].contains(&&*words[2])
        });
        assert!(private.is_none(), "{} uses {private:?}", file.display());
    }
    assert!(seen > 0, "no store with a database was found");
}

/// Whether a name is one of the crate's root: those are re-exported from modules that are drawn.
fn is_public_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
}

/// The shortest way from a module to one of these modules and crates.
fn path(edges: &Edges, from: &str, to: &[&str]) -> Option<Vec<String>> {
    let mut paths = vec![vec![from.to_owned()]];
    let mut seen = BTreeSet::new();
    while !paths.is_empty() {
        let mut longer = Vec::new();
        for path in paths {
            for next in edges.get(path.last()?).into_iter().flatten() {
                let path = [&path[..], std::slice::from_ref(next)].concat();
                if to.contains(&next.as_str()) {
                    return Some(path);
                }
                if seen.insert(next.clone()) {
                    longer.push(path);
                }
            }
        }
        paths = longer;
    }
    None
}

fn edges() -> Edges {
    let mut edges = Edges::new();
    for file in files() {
        let inner = file.strip_prefix(src()).unwrap().with_extension("");
        let module: Vec<_> = inner
            .iter()
            .map(|part| part.to_str().unwrap().to_owned())
            .collect();
        if !LEFT_OUT.contains(&module[0].as_str()) {
            let code = std::fs::read_to_string(&file).unwrap();
            let uses = edges.entry(module[0].clone()).or_default();
            uses.extend(used(&tokens(&code), &module));
            uses.remove(&module[0]);
        }
    }
    edges
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The sources, without unit tests in a file of their own.
fn files() -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![src()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("tests.rs")
            {
                files.push(path);
            }
        }
    }
    files
}

/// The words and marks of Rust code, without comments and literals; `::` is one mark.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = code;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == '"' {
            end_of_string(rest)
        } else if rest.starts_with("r\"") || rest.starts_with("r#") {
            let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
            let end = format!("\"{}", "#".repeat(hashes));
            let begun = hashes + 2;
            rest.get(begun..)
                .and_then(|text| text.find(&end))
                .map_or(1, |at| begun + at + end.len())
        } else if first == '\'' {
            // A character, or the mark of a lifetime.
            let character = rest
                .strip_prefix("'\\")
                .map_or_else(|| rest[1..].chars().nth(1) == Some('\''), |_| true);
            // Behind the quote there is a character, of any length.
            let inner = rest.chars().nth(1).map_or(0, char::len_utf8);
            match rest.get(1 + inner..).and_then(|text| text.find('\'')) {
                Some(end) if character => 1 + inner + end + 1,
                _ => 1,
            }
        } else {
            0
        };
        if skipped > 0 {
            // `'\''` has one more.
            let more = usize::from(rest.starts_with("'\\''"));
            rest = &rest[skipped + more..];
        } else {
            let len = match rest.find(|c| !is_word(c)).unwrap_or(rest.len()) {
                0 if rest.starts_with("::") => 2,
                0 => first.len_utf8(),
                word => word,
            };
            if !first.is_whitespace() {
                tokens.push(rest[..len].to_owned());
            }
            rest = &rest[len..];
        }
    }
    tokens
}

fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// What the code of a module uses: names at the root of this crate, and `name::` for a path that begins
/// elsewhere, such as in another crate.
fn used(tokens: &[String], module: &[String]) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    // The modules that the code at this place is in, each with the depth of its brace.
    let mut inside: Vec<(String, usize)> = module.iter().map(|name| (name.clone(), 0)).collect();
    let (mut at, mut depth) = (0, 0);
    let token = |at: usize| tokens.get(at).map_or("", String::as_str);
    while at < tokens.len() {
        match token(at) {
            "#" if ["test", "doc"].contains(&token(at + 4))
                && token(at + 2) == "cfg"
                && token(at + 5) == ")" =>
            {
                at = end_of_item(tokens, at + 7);
                continue;
            }
            "mod" if token(at + 2) == "{" => inside.push((token(at + 1).to_owned(), depth + 1)),
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                while inside.last().is_some_and(|(_, brace)| *brace > depth) {
                    inside.pop();
                }
            }
            "crate" if token(at + 1) == "::" => used.extend(first_names(tokens, at + 2)),
            "super" if token(at.wrapping_sub(1)) != "::" => {
                let (mut left, mut end) = (inside.len(), at);
                while token(end) == "super" {
                    left -= 1;
                    end += 2;
                }
                if left == 0 {
                    used.extend(first_names(tokens, end));
                }
            }
            name if token(at + 1) == "::" && token(at.wrapping_sub(1)) != "::" => {
                used.insert(format!("{name}::"));
            }
            _ => {}
        }
        at += 1;
    }
    used
}

/// The first names of `a::b`, or of each path in `{a::b, c::{d, e}}`.
fn first_names(tokens: &[String], at: usize) -> Vec<String> {
    let mut names = Vec::new();
    if tokens[at] != "{" {
        return vec![tokens[at].clone()];
    }
    let mut depth = 0;
    for (before, token) in tokens[at..].windows(2).map(|pair| (&*pair[0], &*pair[1])) {
        depth += i32::from(before == "{") - i32::from(token == "}");
        if depth == 0 {
            break;
        }
        if depth == 1 && ["{", ","].contains(&before) {
            names.push(token.to_owned());
        }
    }
    names
}

/// Where the item that begins here ends: at a semicolon or after a block.
fn end_of_item(tokens: &[String], at: usize) -> usize {
    let mut depth = 0;
    let is_use = tokens.get(at).is_some_and(|token| token == "use");
    for (at, token) in tokens.iter().enumerate().skip(at) {
        depth += i32::from(token == "{") - i32::from(token == "}");
        if depth == 0 && (token == ";" || token == "}" && !is_use) {
            return at + 1;
        }
    }
    tokens.len()
}

#[test]
fn imports_are_seen_in_every_form() {
    let code = r##"
        use crate::{alpha, beta::{B, c::D}};
        use super::super::delta::X; // crate::comment
        #[cfg(test)]
        mod tests { use crate::test_only::T; }
        #[cfg(doc)]
        use crate::{doc_only::D};
        mod inner { use super::near; use super::super::super::epsilon::E; }
        fn f<'a>(_: &'a str) -> char { crate::zeta::z(" crate::text \" ", r#"crate::raw"#, '"', '\''); eta::f() }
        macro_rules! m { () => { $crate::theta::t() } }
    "##;
    let module = ["session".to_owned(), "state".to_owned()];
    let used = used(&tokens(code), &module);
    for name in [
        "alpha", "beta", "delta", "epsilon", "zeta", "eta::", "theta",
    ] {
        assert!(used.contains(name), "{name}: {used:?}");
    }
    for name in [
        "comment",
        "test_only",
        "doc_only",
        "near",
        "text",
        "raw",
        "B",
        "c",
        "D",
    ] {
        assert!(!used.contains(name), "{name}: {used:?}");
    }
}

//! The links of the guide lead somewhere, on a code host and in the documentation that rustdoc makes.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<PathBuf> {
    let guide = fs::read_dir(root().join("docs/guide")).unwrap();
    let mut pages: Vec<_> = guide
        .map(|page| page.unwrap().path())
        .filter(|page| page.extension().is_some_and(|kind| kind == "md"))
        .collect();
    pages.push(root().join("docs/hostile.md"));
    pages
}

/// The definitions of links, `[name]: target`, in a file.
fn definitions(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter_map(|line| line.strip_prefix('[')?.split_once("]: "))
        .filter(|(name, target)| !name.contains(']') && !target.contains(' '))
        .collect()
}

/// The anchor of a heading, as code hosts and rustdoc make it.
fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c })
        .collect::<String>()
        .to_lowercase()
}

fn has_anchor(text: &str, wanted: &str) -> bool {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .any(|line| anchor(line.trim_start_matches('#').trim()) == wanted)
}

/// A link to a file beside this one, with or without an anchor.
fn check_file(page: &Path, target: &str) {
    let (file, wanted) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() {
        page.to_owned()
    } else {
        page.parent().unwrap().join(file)
    };
    let shown = format!("{}: {target}", page.display());
    assert!(path.exists(), "{shown}: no such file");
    if !wanted.is_empty() {
        let text = fs::read_to_string(path).unwrap();
        assert!(has_anchor(&text, wanted), "{shown}: no such heading");
    }
}

#[test]
fn each_link_of_the_guide_leads_to_a_file_and_to_a_module_or_item() {
    let links = fs::read_to_string(root().join("docs/guide/links.txt")).unwrap();
    let links = definitions(&links);
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let shown = page.display();
        assert!(
            !text.contains("](crate::"),
            "{shown}: only rustdoc reads this"
        );
        let own = definitions(&text);
        for (name, target) in &own {
            assert!(
                text.contains(&format!("][{name}]")),
                "{shown}: unused {name}"
            );
            assert!(
                links.contains_key(name),
                "{shown}: {name} is not in links.txt"
            );
            check_file(&page, target);
        }
        for rest in text.split("][").skip(1) {
            let Some((name, _)) = rest.split_once(']') else {
                continue;
            };
            // Otherwise it is a program's index.
            if links.contains_key(name) {
                assert!(own.contains_key(name), "{shown}: {name} is not defined");
            }
        }
    }
}

#[test]
fn each_file_that_the_front_pages_link_to_exists() {
    for page in [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "tests/README.md",
    ] {
        let page = root().join(page);
        let text = fs::read_to_string(&page).unwrap();
        for rest in text.split("](").skip(1) {
            let (target, _) = rest.split_once(')').unwrap();
            if !target.starts_with("http") {
                check_file(&page, target);
            }
        }
    }
}

#[test]
fn links_within_a_page_lead_to_its_headings() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for rest in text.split("](#").skip(1) {
            let (wanted, _) = rest.split_once(')').unwrap();
            assert!(has_anchor(&text, wanted), "{}: #{wanted}", page.display());
        }
    }
}

#[test]
fn no_example_of_the_guide_hides_a_line() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let mut block = None;
        for line in text.lines() {
            match (line.strip_prefix("```"), block) {
                (Some(kind), None) => block = Some(kind),
                (Some(_), Some(_)) => block = None,
                (None, Some("" | "no_run")) => {
                    assert!(!line.starts_with("# "), "{}: {line}", page.display());
                }
                (None, _) => {}
            }
        }
    }
}

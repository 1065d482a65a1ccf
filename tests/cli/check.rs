//! `liquid-session check`: every planted mistake is named, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::run;

fn fixture(name: &str) -> String {
    format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// `file:line:column kind` of each finding.
fn places(folder: &str, options: &[&str]) -> (u8, Vec<String>) {
    let arguments = ["check", "--json", folder].into_iter();
    let said = run(arguments.chain(options.iter().copied()));
    assert_eq!(said.err, "");
    let report: Json = serde_json::from_str(&said.out).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let place = |finding: &Json| {
        format!(
            "{}:{}:{} {}",
            finding["file"].as_str().unwrap(),
            finding["line"],
            finding["column"],
            finding["kind"].as_str().unwrap()
        )
    };
    (said.status, findings.iter().map(place).collect())
}

/// `mistakes` has those that can be told; `computed` those of names that are computed, beside which no
/// key counts as never read.
#[test]
fn every_planted_mistake_is_named_and_nothing_else() {
    let mut all = Vec::new();
    for (site, status) in [("mistakes", 1), ("computed", 0)] {
        let (told, found) = places(&fixture(&format!("check/{site}")), &[]);
        let expected = fs::read_to_string(fixture(&format!("check/{site}.txt"))).unwrap();
        let expected: Vec<_> = expected.lines().collect();
        assert_eq!(found, expected, "{}", found.join("\n"));
        assert_eq!(told, status, "{site}");
        all.extend(found);
    }
    for kind in liquid_session::check::Kind::ALL {
        let end = format!(" {kind}");
        let count = all.iter().filter(|place| place.ends_with(&end)).count();
        assert!(count >= 2, "two or more of {kind}, found {count}");
    }
}

#[test]
fn a_clean_site_and_the_shop_have_no_findings() {
    for site in ["check/clean", "site"] {
        let said = run(["check", &fixture(site)]);
        assert_eq!(said.status, 0, "{}", said.out);
        assert!(
            said.out.contains(" templates, 0 findings, "),
            "{}",
            said.out
        );
    }
    let (_, notes) = places(&fixture("check/clean"), &[]);
    assert_eq!(notes, [] as [&str; 0]);
}

#[test]
fn kinds_can_be_chosen_and_notes_denied() {
    let folder = fixture("check/mistakes");
    let (status, found) = places(&folder, &["--only", "own-value,reserved-key"]);
    assert_eq!((status, found.len()), (1, 4), "{found:?}");
    let (status, found) = places(&folder, &["--only", "uncacheable"]);
    assert_eq!(status, 0, "notes alone are no failure");
    assert!(!found.is_empty());
    let (status, _) = places(&folder, &["--only", "uncacheable", "--deny", "uncacheable"]);
    assert_eq!(status, 1);
}

#[test]
fn a_finding_shows_the_line_and_what_to_do() {
    let said = run([
        "check",
        &fixture("check/mistakes"),
        "--only",
        "never-written",
    ]);
    assert!(
        said.out.starts_with(
            "app/views/pages/read.liquid:4:7: never-written: nothing writes the key `basked`; did you mean `basket`?\n  4 | {% if context.session.basked %}yes{% endif %}\n    |       ^\n"
        ),
        "{}",
        said.out
    );
}

#[test]
fn the_tables_show_pages_and_keys_through_partials_and_layouts() {
    let said = run(["check", &fixture("check/mistakes")]);
    let row = |begin: &str| {
        let row = said.out.lines().find(|line| line.starts_with(begin));
        row.unwrap_or_else(|| panic!("{begin} in {}", said.out))
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(row("GET / "), "GET / basket basket, notice");
    assert_eq!(row("POST /own "), "POST /own seen, visits seen, visits");
    assert!(row("seen ").ends_with("app/views/partials/remember.liquid:1"));
}

#[test]
fn what_can_t_be_read_is_status_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    for (arguments, problem) in [
        (&["check"][..], "expected a folder"),
        (&["check", "no/such/folder"], "no/such/folder: "),
        (&["check", path], "expected templates in `views/pages`"),
        (
            &["check", path, "--only", "wrong"],
            "there is no kind `wrong`, expected one of syntax,",
        ),
        (&["check", path, "more"], "unexpected argument"),
    ] {
        let said = run(arguments.iter().copied());
        assert_eq!((said.status, said.out.as_str()), (2, ""), "{arguments:?}");
        assert!(said.err.contains(problem), "{arguments:?}: {}", said.err);
    }
    fs::create_dir_all(folder.path().join("views/pages")).unwrap();
    fs::write(folder.path().join("views/pages/a.liquid"), "a").unwrap();
    fs::write(
        folder.path().join("liquid-session.yml"),
        "host_write: [a]\n",
    )
    .unwrap();
    let said = run(["check", path]);
    assert_eq!(said.status, 2);
    assert!(
        said.err.contains("unknown field `host_write`"),
        "{}",
        said.err
    );
}

/// Each section of the page has a wrong and a right template: the finding is in the first alone.
#[test]
fn the_guide_s_templates_are_wrong_and_right() {
    let guide = format!("{}/docs/guide/findings.md", env!("CARGO_MANIFEST_DIR"));
    let guide = fs::read_to_string(guide).unwrap();
    let mut explained = BTreeSet::new();
    for section in guide.split("\n## ").skip(1) {
        let (kind, text) = section.split_once('\n').unwrap();
        let templates: Vec<_> = text
            .split("```liquid\n")
            .skip(1)
            .map(|block| block.split("```").next().unwrap())
            .collect();
        assert_eq!(templates.len(), 2, "{kind}: a wrong and a right template");
        for (template, wrong) in templates.into_iter().zip([true, false]) {
            let folder = tempfile::tempdir().unwrap();
            let write = |name: &str, text: &str| {
                let path = folder.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            };
            write("views/pages/page.liquid", template);
            write("views/partials/row.liquid", "{{ text | escape }}");
            let (_, found) = places(folder.path().to_str().unwrap(), &["--only", kind]);
            assert_eq!(
                found.len(),
                usize::from(wrong),
                "{kind}: {template}{found:?}"
            );
        }
        explained.insert(kind.to_owned());
    }
    let kinds = liquid_session::check::Kind::ALL.map(|kind| kind.name().to_owned());
    assert_eq!(explained, BTreeSet::from(kinds));
}

#[test]
fn any_bytes_are_a_template_or_a_finding() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("views/pages")).unwrap();
    let deep = |open: &str| format!("{{{{ a{} }}}}", open.repeat(50_000)).into_bytes();
    let hostile: Vec<Vec<u8>> = vec![
        b"\xff\xfe{{ '\xff".to_vec(),
        b"---\n---".to_vec(),
        b"---\nlayout: x".to_vec(),
        b"{% session".to_vec(),
        b"{% session a.b['c = 1 %}{% session '' %}{% assign %}{% function x = %}".to_vec(),
        "{{ 'ü' | \u{a0}ż[ }}{% capture ż %}{% liquid\n session".into(),
        deep("[a"),
        deep("["),
        deep("['x'].y"),
        b"{% comment %}".repeat(20_000),
        b"{% if a %}".repeat(20_000),
    ];
    for (number, bytes) in hostile.iter().enumerate() {
        let name = format!("views/pages/p{number}.liquid");
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let said = run(["check", "--json", folder.path().to_str().unwrap()]);
    assert_eq!((said.status, said.err.as_str()), (1, ""));
}

#[test]
fn partials_may_include_each_other_in_a_ring() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("views/partials")).unwrap();
    for n in 0..1_500 {
        let next = (n + 1) % 1_500;
        let text = format!(
            "{{% session k = text | append: context.session.k %}}{{% if text %}}{{{{ text }}}}{{% endif %}}{{% include 'p{next}' %}}"
        );
        fs::write(
            folder.path().join(format!("views/partials/p{n}.liquid")),
            text,
        )
        .unwrap();
    }
    let said = run(["check", folder.path().to_str().unwrap()]);
    assert_eq!((said.status, said.err.as_str()), (1, ""));
    assert!(
        said.out.contains("1500 templates, 1500 findings"),
        "{}",
        said.out.lines().last().unwrap()
    );
}

#[test]
fn two_thousand_templates_take_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: String, text: String| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    for n in 0..1_000 {
        let (next, body) = ((n + 1) % 1_000, "<p>{{ text | escape }}</p>\n".repeat(40));
        write(
            format!("views/pages/page{n}.liquid"),
            format!("{{% assign text = context.session.k{n} %}}{{% include 'part{n}' %}}{body}"),
        );
        // Ten partials deep.
        let inner = match next % 10 {
            0 => String::new(),
            _ => format!("{{% include 'part{next}' %}}"),
        };
        write(
            format!("views/partials/part{n}.liquid"),
            format!("{{% session k{n} = text | append: 'x' %}}{inner}{body}"),
        );
    }
    let begin = Instant::now();
    let said = run(["check", "--json", folder.path().to_str().unwrap()]);
    // Without optimisation, and beside other tests.
    assert!(
        begin.elapsed() < Duration::from_secs(30),
        "{:?}",
        begin.elapsed()
    );
    let report: Json = serde_json::from_str(&said.out).unwrap();
    assert_eq!(report["templates"], 2_000);
}

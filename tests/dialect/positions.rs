//! An error names the line and the column of the author's file.

use proptest::prelude::*;
use serde_json::json;

use super::{render, render_with};

#[test]
fn a_mistake_in_a_long_liquid_block_names_its_line() {
    let mut lines = vec!["<h1>Title</h1>".to_owned(), "{% liquid".to_owned()];
    lines.extend((0..14).map(|n| format!("  assign a{n} = {n}")));
    lines.push("  assign b = a1 | pluss: 2".to_owned());
    lines.extend((0..14).map(|n| format!("  echo a{n}")));
    lines.push("%}".to_owned());
    let error = render(&lines.join("\n")).unwrap_err();
    let expected = "\
   --> 17:19
   |
17 |   assign b = a1 | pluss: 2
   |                   ^^^^^
   |
   = unknown filter `pluss`, did you mean `plus`?";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn every_kind_of_mistake_has_its_place() {
    for (template, place, problem) in [
        ("a\n{{ b", "2:1", "`{{` is never closed: expected `}}`"),
        ("a\n{% b", "2:1", "`{%` is never closed: expected `%}`"),
        (
            "{% if a %}\n{% for b in c %}\n{% endif %}",
            "3:4",
            "the open block is `for` of line 2, expected `endfor`",
        ),
        (
            "\n {% if a %}",
            "2:2",
            "`if` is never closed: expected `endif`",
        ),
        (
            "{{ 'ü' | upcase }}\n{{ 'ü' | nope }}",
            "2:10",
            "unknown filter `nope`",
        ),
        (
            "{{ a | plus: 1 | }}",
            "1:16",
            "expected the name of a filter after `|`, found the end of the tag",
        ),
        ("{{ a b }}", "1:6", "expected the end of the tag, found `b`"),
        ("{{ a * 3 }}", "1:6", "write `| times: …`"),
        ("{{ a.[b] }}", "1:6", "expected a name after `.`, found `[`"),
        (
            "{{ 'abc }}",
            "1:4",
            "the quote ' is never closed in this tag",
        ),
        ("{% else %}", "1:4", "`else` belongs to no open block here"),
        (
            "{% iff a %}{% endiff %}",
            "1:4",
            "unknown tag `iff`, did you mean `if`?",
        ),
        ("{% %}", "1:1", "the name of a tag is missing"),
        (
            "{% assign = 1 %}",
            "1:11",
            "expected the name of a variable, found `=`",
        ),
        ("{% assign a 1 %}", "1:13", "expected `=`, found `1`"),
        ("{% assign a == 1 %}", "1:14", "expected `=`"),
        (
            "{% case a %}{% when %}{% endcase %}",
            "1:19",
            "expected a value",
        ),
        ("\r\n\r\n{{ a | nope }}", "3:8", "unknown filter"),
    ] {
        let error = render(template).unwrap_err();
        assert!(
            error.contains(&format!("--> {place}\n")),
            "{template}: {error}"
        );
        assert!(error.contains(problem), "{template}: {error}");
    }
}

#[test]
fn an_error_of_the_render_names_its_lines() {
    let page = "<p>\n{% for i in (1..2) %}\n  {% include 'p' %}\n{% endfor %}";
    let error = render_with(page, &[("p", "\n\n{{ 1 | divided_by: 0 }}")], json!({})).unwrap_err();
    for place in [
        "line 3: {{ 1 | divided_by: 0 }}",
        "partial `p`",
        "line 3: {% include 'p' %}",
        "line 2: {% for i in (1..2) %}",
    ] {
        assert!(error.contains(place), "{place}: {error}");
    }
}

#[test]
fn an_error_of_a_partial_s_source_is_the_partial_s() {
    let error =
        render_with("{% include 'p' %}", &[("p", "a\n  {% nope %}")], json!({})).unwrap_err();
    assert!(error.contains("--> 2:6"), "{error}");
    assert!(error.contains("partial `p`"), "{error}");
}

#[test]
fn an_error_shows_no_value() {
    let globals = json!({ "secret": "hunter2", "xs": ["hunter2", 1] });
    for template in [
        "{{ secret | divided_by: 0 }}",
        "{{ secret | base64_decode }}",
        "{{ xs | sort }}",
        "{% for x in (1..2) limit: secret %}{% endfor %}",
        "{% if secret > 1 %}{% endif %}",
        "{% assign secret.x = 1 %}",
    ] {
        let error = render_with(template, &[], globals.clone()).unwrap_err();
        assert!(!error.contains("hunter2"), "{template}: {error}");
    }
}

/// Lines of a template that parse, each by itself, as a document or in a `liquid` block.
fn document_line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("<p class=\"x\">text, ünïcode</p>".to_owned()),
        Just("{{ a.b | upcase }}".to_owned()),
        Just("{% if a %}\"{% else %}'{% endif %}".to_owned()),
        Just("{% raw %}{{ x {% endraw %}".to_owned()),
        Just("{% comment %}it's{% endcomment %}\t".to_owned()),
        Just("{%- assign x = [1, \"a\"] -%}".to_owned()),
        Just("{%\n  # note\n%}".to_owned()),
        Just("{% for i in (1..3)\nlimit: 2 %}{{ i }}{% endfor %}\r".to_owned()),
        Just(String::new()),
    ]
}

fn liquid_line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("  assign a = 'ü'".to_owned()),
        Just("\techo a | upcase".to_owned()),
        Just("# it's a note".to_owned()),
        Just("if a\necho a\nelse\necho b\nendif".to_owned()),
        Just("  liquid echo 'x'".to_owned()),
        Just("\r".to_owned()),
        Just(String::new()),
    ]
}

/// Mistakes: the text, and how far into it the error points.
fn mistake() -> impl Strategy<Value = (&'static str, usize, bool)> {
    prop_oneof![
        Just(("{% nosuchtag a %}", 3, false)),
        Just(("{{ 'ü' | nosuchfilter }}", 9, false)),
        Just(("{%\tassign x = [1, @] %}", 18, false)),
        Just(("{{ a", 0, false)),
        Just(("nosuchtag a", 0, true)),
        Just(("assign ü = 1", 7, true)),
        Just(("echo 'ü' | nosuchfilter", 11, true)),
        Just(("if a contains", 13, true)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_error_points_into_the_author_s_line(
        before in prop::collection::vec(document_line(), 0..12),
        lines in prop::collection::vec(liquid_line(), 0..12),
        indent in 0_usize..6,
        (text, offset, in_liquid) in mistake(),
    ) {
        let mut source = before.join("\n");
        if in_liquid {
            source.push_str("{% liquid\n");
            source.push_str(&lines.join("\n"));
            source.push('\n');
        }
        source.push_str(&" ".repeat(indent));
        let line = source.matches('\n').count() + 1;
        let last = source.rsplit('\n').next().unwrap_or_default();
        // At the end of a tag, its last character is marked.
        let at_end = usize::from(offset == text.chars().count());
        let column = last.chars().count() + offset + 1 - at_end;
        source.push_str(text);
        if in_liquid {
            source.push_str("\n%}");
        }
        let error = render(&source).unwrap_err();
        let place = format!("--> {line}:{column}\n");
        prop_assert!(error.contains(&place), "{source}\n{place}{error}");
    }
}

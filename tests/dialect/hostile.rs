//! Any text is a template or an error, in time that grows as the text does.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use liquid_session::dialect::translate;
use proptest::prelude::*;

use super::{all_fail, all_print, parser, render, render_with};

/// The time that this thread has run, so that a busy machine does not count; elsewhere the clock's.
fn clock() -> Duration {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat");
    let nanos = statistics
        .ok()
        .and_then(|line| line.split(' ').next()?.parse().ok());
    match nanos {
        Some(nanos) => Duration::from_nanos(nanos),
        None => BEGUN.get_or_init(Instant::now).elapsed(),
    }
}

/// Fails unless sixteen short runs take about as long as one that is sixteen times as long: a quadratic
/// one would take sixteen times as long as they.
fn assert_linear(name: &str, short: impl Fn(), long: impl Fn()) {
    let time = |times: u32, run: &dyn Fn()| {
        let once = || {
            let begun = clock();
            (0..times).for_each(|_| run());
            clock() - begun
        };
        (0..3).map(|_| once()).min().unwrap()
    };
    let (short, long) = (time(16, &short), time(1, &long));
    let limit = short * 4 + Duration::from_millis(50);
    assert!(long < limit, "{name}: {short:?} in parts, {long:?} at once");
}

fn assert_parsing_is_linear(name: &str, source: impl Fn(usize) -> String) {
    let parser = parser(&[]);
    let parse = |source: &str| drop(parser.parse(&translate(source)));
    let (short, long) = (source(500), source(8_000));
    assert_linear(name, || parse(&short), || parse(&long));
}

#[test]
fn parsing_is_linear() {
    assert_parsing_is_linear("outputs", |n| "{{ a | plus: 1 }}".repeat(n));
    assert_parsing_is_linear("tags", |n| "{% assign a = b %}\n".repeat(n));
    assert_parsing_is_linear("lines", |n| {
        format!("{{% liquid\n{}%}}", "  assign a = b\n".repeat(n))
    });
    assert_parsing_is_linear("blocks", |n| {
        "{% if a %}{% for b in c %}{% endfor %}{% endif %}".repeat(n)
    });
    assert_parsing_is_linear("white space", |n| {
        format!("{}{{{{- a }}}}", " \n\t".repeat(n))
    });
    assert_parsing_is_linear("braces", |n| format!("{}{{{{ a }}}}", "{ {".repeat(n)));
    assert_parsing_is_linear("quotes", |n| format!("{{{{ {} }}}}", "'\" ".repeat(n)));
    assert_parsing_is_linear("open quotes", |n| "{{ 'a }}".repeat(n));
    assert_parsing_is_linear("unclosed outputs", |n| "{{ ".repeat(n));
    assert_parsing_is_linear("unclosed raw", |n| "{% raw %}{% ".repeat(n));
    assert_parsing_is_linear("one long line", |n| {
        format!("{{{{ '{}' }}}}", "a".repeat(n * 10))
    });
    assert_parsing_is_linear("one long condition", |n| {
        format!("{{% if a{} %}}{{% endif %}}", " and a".repeat(n))
    });
    assert_parsing_is_linear("one long list", |n| {
        format!("{{% assign a = [{}] %}}", "1,".repeat(n))
    });
    assert_parsing_is_linear("one long path", |n| {
        format!("{{{{ a{} }}}}", ".b".repeat(n))
    });
    assert_parsing_is_linear("comments", |n| "{% comment %}".repeat(n));
    assert_parsing_is_linear("elsifs", |n| {
        format!("{{% if a %}}{}{{% endif %}}", "{% elsif b %}x".repeat(n))
    });
    assert_parsing_is_linear("arguments", |n| {
        format!("{{% render 'p'{} %}}", ", a: 1 stray".repeat(n))
    });
}

#[test]
fn rendering_html_without_tags_is_linear() {
    for unit in ["<script", "<!--", "<", "&", "<style>a"] {
        let render = |n: usize| {
            let template = format!(
                "{{{{ '{}' | strip_html | escape_once | size }}}}",
                unit.repeat(n)
            );
            let page = parser(&[]).parse(&translate(&template)).unwrap();
            move || drop(page.render(&liquid::Object::new()).unwrap())
        };
        assert_linear(unit, render(500), render(8_000));
    }
}

#[test]
fn a_megabyte_on_one_line_is_read() {
    let text = "x".repeat(1 << 20);
    assert_eq!(
        render(&format!("{text}{{{{ 'y' }}}}")),
        Ok(format!("{text}y"))
    );
    let error = render(&format!("{text}{{{{ 'y' | nope }}}}")).unwrap_err();
    assert!(error.contains("--> 1:1048586"), "{error}");
    assert!(error.len() < 2_000, "{}", error.len());
}

#[test]
fn nesting_is_limited_and_linear() {
    let nested = |depth: usize| {
        format!(
            "{}x{}",
            "{% if true %}".repeat(depth),
            "{% endif %}".repeat(depth)
        )
    };
    assert_eq!(render(&nested(100)).as_deref(), Ok("x"));
    let error = render(&nested(101)).unwrap_err();
    assert!(
        error.contains("blocks nest deeper than the limit of 100 levels"),
        "{error}"
    );
    assert!(error.contains("1:1301"), "{error}");
    for (open, close) in [("[", "]"), ("{ 'a': ", "}"), ("(", "..1)"), ("a[", "]")] {
        let value = |depth: usize| {
            format!(
                "{{% if false %}}{{% assign x = {}1{} %}}{{% endif %}}ok",
                open.repeat(depth),
                close.repeat(depth)
            )
        };
        assert_eq!(render(&value(90)).as_deref(), Ok("ok"), "{open}");
        for depth in [101, 100_000] {
            let error = render(&value(depth)).unwrap_err();
            assert!(error.contains("brackets nest deeper"), "{error}");
        }
    }
    let comments = format!(
        "{}{}ok",
        "{% comment %}".repeat(500),
        "{% endcomment %}".repeat(500)
    );
    assert_eq!(render(&comments).as_deref(), Ok("ok"));
}

/// A thread of the size that tests and servers have, and blocks that each take a part of its stack.
#[test]
fn the_deepest_nesting_fits_a_thread_s_stack() {
    let partial = format!(
        "{}{{% include 'p' %}}{}",
        "{% if true %}".repeat(90),
        "{% endif %}".repeat(90)
    );
    let page = move || {
        let partials = [("p", &*partial)];
        let page = parser(&partials)
            .parse(&translate("{% include 'p' %}"))
            .unwrap();
        page.render(&liquid::Object::new())
            .map_err(|error| error.to_string())
    };
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    let error = thread.spawn(page).unwrap().join().unwrap().unwrap_err();
    assert!(
        error.contains("nest deeper than the limit"),
        "{}",
        &error[..error.len().min(500)]
    );
}

#[test]
fn quotes_and_ends_mean_what_ruby_takes_them_for() {
    all_print(
        &serde_json::json!({}),
        &[
            ("{% # don't %}a{% # can't %}", "a"),
            ("{{ 'a' }}' {{ \"b\" }}", "a' b"),
            (
                "{{ '}}' }}{{ '%}' }}{{ '{{' }}{% assign a = '%}' %}{{ a }}",
                "}}%}{{%}",
            ),
            (
                "{% if true %}a{% else it's %}{% endif it's %}b{% # 's %}c",
                "abc",
            ),
            ("{{ 'end' | append: '}}' }}{{ end }}", "end}}"),
            ("}} %} {{ 1 }} { % {", "}} %} 1 { % {"),
            (
                "{% raw %}{% endraw %}{% raw %}{% raw %}{% endraw %}",
                "{% raw %}",
            ),
            ("{{-}}{{ }}a{{}}", "a"),
            (
                "\u{1A}\u{1B}\"{{ '\u{1A}\u{1B}' }}\"",
                "\u{1A}\u{1B}\"\u{1A}\u{1B}\"",
            ),
        ],
    );
    all_fail(&[
        ("{{ 'a }}\n{{ 'b }}", "1:4"),
        ("{% __dialect__ \"{{ 1 }}\" %}", "translated before"),
        ("{% __dialect_body__ 0 %}", "unknown tag"),
    ]);
    let twice = translate("{{ 1 }}").into_owned();
    assert!(
        render(&twice)
            .unwrap_err()
            .contains("translate a source once")
    );
}

#[test]
fn what_a_loop_is_asked_for_is_bounded() {
    all_fail(&[
        (
            "{% assign a = (1..9223372036854775807) %}",
            "too long for an array",
        ),
        ("{{ (1..99999999) | size }}", "too long for an array"),
    ]);
    all_print(
        &serde_json::json!({}),
        &[
            (
                "{% for i in (9223372036854775806..9223372036854775807) %}{{ i }} {% endfor %}",
                "9223372036854775806 9223372036854775807 ",
            ),
            (
                "{% for i in (1..3) offset: 9223372036854775807 %}x{% endfor %}{% for i in (1..3) limit: -1 %}x{% endfor %}ok",
                "ok",
            ),
            (
                "{% tablerow i in (1..2) cols: 0 %}{% endtablerow %}",
                "<tr class=\"row1\">\n<td class=\"col1\"></td><td class=\"col2\"></td></tr>\n",
            ),
            (
                "{{ 'abc' | slice: -9223372036854775808, 9223372036854775807 }}{{ 'abc' | truncate: -5 }}{{ 'a b' | truncatewords: -9 }}",
                "...a...",
            ),
        ],
    );
}

#[test]
fn a_value_that_is_put_into_itself_ends() {
    for grow in [
        "assign a = [a]",
        "assign a = { 'k': a }",
        "assign a.k = a",
        "assign a = no | array_add: a",
        "assign a = no | hash_add_key: 'k', a",
        "function a = 'wrap', a: a",
    ] {
        let template = format!(
            "{{% liquid\n  for i in (1..100000)\n    {grow}\n    assign size = a | size\n  endfor\n  echo a\n%}}"
        );
        let partials = [("wrap", "{% return [a] %}")];
        let error = render_with(&template, &partials, serde_json::json!({})).unwrap_err();
        assert!(error.contains("limit of 128 levels"), "{grow}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_template_or_an_error(
        parts in prop::collection::vec(prop_oneof![
            Just("{{"), Just("}}"), Just("{%"), Just("%}"), Just("-"), Just("'"), Just("\""), Just("\n"),
            Just("liquid"), Just("if"), Just("endif"), Just("else"), Just("raw"), Just("endraw"), Just("#"),
            Just("comment"), Just("endcomment"), Just("assign"), Just("a"), Just("="), Just("|"), Just("["),
            Just("]"), Just("("), Just(")"), Just(".."), Just(","), Just(":"), Just(" "), Just("\t"),
            Just("\u{A0}"), Just("ü"), Just("\u{1A}"), Just("\u{1B}"), Just("for"), Just("in"), Just("endfor"),
            Just("1"), Just("case"), Just("when"), Just("include"), Just("'p'"), Just("plus"), Just("contains"),
        ], 0..40)
    ) {
        let source = parts.concat();
        let _ = render(&source);
    }

    #[test]
    fn text_without_markup_stays_as_it_is(text in "([^{]|\\{[^{%])*") {
        prop_assume!(!text.contains("{{") && !text.contains("{%"));
        prop_assert_eq!(render(&text), Ok(text));
    }
}

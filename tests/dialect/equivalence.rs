//! What the plain engine takes renders the same through the dialect, but for what the guide's table of
//! differences names.

use liquid::partials::{EagerCompiler, InMemorySource};
use proptest::prelude::*;
use serde_json::json;

use super::{object, render_with};

const PARTIALS: [(&str, &str); 5] = [
    ("counts", "{% increment c %}"),
    ("stops", "{{ x }}{% break %}"),
    ("row", "<{{ item }}{{ a }}{{ forloop.index }}>"),
    ("sets", "{% assign set = 'by partial' %}{{ a }}"),
    (
        "nested",
        "{% include 'row' a: a %}{% include 'sets' a: 1 %}",
    ),
];

fn globals() -> serde_json::Value {
    json!({
        "t": "some text, with a comma", "s": "7", "n": 3, "z": 0, "b": true,
        "xs": [3, 1, 2], "words": ["pear", "Apple", "fig"], "e": "", "none": [],
        "o": { "k": "v", "in": { "deep": 5, "list": ["a", "b"] } },
        "os": [{ "id": 2, "on": true }, { "id": 1, "on": true }],
        "k": "k", "one": 1,
    })
}

fn plain(template: &str) -> Result<String, String> {
    let mut partials = InMemorySource::new();
    for (name, source) in PARTIALS {
        partials.add(name, source);
    }
    let parser = liquid::ParserBuilder::with_stdlib()
        .partials(EagerCompiler::new(partials))
        .build()
        .unwrap();
    parser
        .parse(template)
        .and_then(|page| page.render(&object(globals())))
        .map_err(|error| error.to_string())
}

const TEXTS: &[&str] = &[
    "t",
    "s",
    "e",
    "o.k",
    "o['k']",
    "o[k]",
    "words[0]",
    "words.last",
    "o.in['list'][one]",
    "'literal \" quote'",
    "\"it's\"",
    "'{{ no }}'",
    "'%}'",
    "words | join: '-'",
    "xs | join",
];

const OF_TEXTS: &[&str] = &[
    "append: 'x'",
    "prepend: t",
    "upcase",
    "downcase",
    "escape",
    "size",
    "default: 'd'",
    "replace: 'e', 'E'",
    "remove: 't'",
    "strip",
    "lstrip",
    "rstrip",
    "truncate: 5",
    "truncate: 9, '~'",
    "truncatewords: 2",
    "newline_to_br",
    "strip_newlines",
    "slice: 1, 2",
    "replace_first: 'e', '3'",
    "remove_first: ','",
    "strip_html",
];

const NUMBERS: &[&str] = &[
    "n",
    "z",
    "xs[0]",
    "xs[-1]",
    "xs[one]",
    "xs.first",
    "xs.last",
    "xs.size",
    "t.size",
    "o.in.deep",
    "os[0].id",
    "12",
    "-3",
    "words | size",
    "'41'",
];

const OF_NUMBERS: &[&str] = &[
    "plus: 2",
    "minus: n",
    "times: 3",
    "abs",
    "at_least: 2",
    "at_most: 5",
    "default: 7",
    "plus: '2'",
    "divided_by: 1",
    "ceil",
    "floor",
    "round",
];

const ARRAYS: &[&str] = &[
    "xs",
    "words",
    "none",
    "o.in.list",
    "t | split: ','",
    "os | map: 'id'",
];

const OF_ARRAYS: &[&str] = &[
    "reverse",
    "uniq",
    "compact",
    "concat: none",
    "sort",
    "slice: 1, 2",
];

const ENDS: &[&str] = &["join: '-'", "first", "last", "size"];

/// Values that both print alike, by type: no fractions, no whole objects, no arrays as texts.
fn chain() -> impl Strategy<Value = String> {
    let of = |values: &'static [&'static str], filters: &'static [&'static str], most| {
        (
            prop::sample::select(values),
            prop::collection::vec(prop::sample::select(filters), 0..most),
        )
            .prop_map(|(value, filters)| {
                filters.into_iter().fold(value.to_owned(), |chain, filter| {
                    format!("{chain} | {filter}")
                })
            })
    };
    prop_oneof![
        of(TEXTS, OF_TEXTS, 4),
        of(NUMBERS, OF_NUMBERS, 4),
        (of(ARRAYS, OF_ARRAYS, 3), prop::sample::select(ENDS))
            .prop_map(|(chain, end)| format!("{chain} | {end}")),
        prop::sample::select(ARRAYS).prop_map(str::to_owned),
        Just("set".to_owned()),
        Just("item".to_owned()),
    ]
}

/// A value without filters.
fn value() -> impl Strategy<Value = String> {
    let plain = |values: &'static [&'static str]| {
        let plain: Vec<_> = values.iter().filter(|value| !value.contains('|')).collect();
        prop::sample::select(plain).prop_map(|value| value.to_string())
    };
    prop_oneof![plain(TEXTS), plain(NUMBERS), plain(ARRAYS)]
}

/// Comparisons of known values of one type, and one kind of link.
fn condition() -> impl Strategy<Value = String> {
    let comparison = prop::sample::select(vec![
        "n == 3",
        "n != 3",
        "n > 2",
        "n <= 2",
        "z < n",
        "t contains 'text'",
        "xs contains 2",
        "words contains 'fig'",
        "o contains 'k'",
        "o.k == 'v'",
        "e == empty",
        "e == blank",
        "t == blank",
        "none == empty",
        "b",
        "t",
        "xs.size >= 3",
        "o.in.list contains k",
        "s == '7'",
        "b == true",
        "'a' < 'b'",
        "xs == xs",
    ]);
    (
        prop::collection::vec(comparison, 1..4),
        prop::sample::select(vec![" and ", " or "]),
    )
        .prop_map(|(comparisons, link)| comparisons.join(link))
}

/// A template. Every body has text in it: one of white space alone prints nothing in the dialect.
fn template() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[a-z <>,.]{1,12}",
        Just(" { % } }} \n\ttext\u{A0}ü\n".to_owned()),
        chain().prop_map(|chain| format!("{{{{ {chain} }}}}")),
        chain().prop_map(|chain| format!("x {{{{- {chain} -}}}} y")),
        chain().prop_map(|chain| format!("{{% assign set = {chain} %}}")),
        chain().prop_map(|chain| format!("{{%- assign set = {chain} -%}}")),
        Just("{% raw %}{{ raw }} {% if %}{% endraw %}".to_owned()),
        Just("{% comment %} gone {{ x }} {% endcomment %}".to_owned()),
        Just("{% cycle 'a', 'b', 'c' %}".to_owned()),
        Just("{% increment count %}{% decrement down %}".to_owned()),
        value().prop_map(|value| format!("{{% include 'row' a: {value} %}}")),
        value().prop_map(|value| format!("{{% render 'row', a: {value}, item: 1 %}}")),
        Just("{% include 'nested' a: n %}".to_owned()),
        Just("{% render 'row' for xs as item %}".to_owned()),
        Just("{% break %}".to_owned()),
        Just("{% continue %}".to_owned()),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let body = prop::collection::vec(inner, 0..5).prop_map(|parts| format!("b{}", parts.concat()));
        prop_oneof![
            (condition(), body.clone(), body.clone(), body.clone(), condition()).prop_map(
                |(condition, yes, other, no, second)| format!(
                    "{{% if {condition} %}}{yes}{{% elsif {second} %}}{other}{{% else %}}{no}{{% endif %}}"
                )
            ),
            (condition(), body.clone())
                .prop_map(|(condition, body)| format!("{{% unless {condition} %}}{body}{{% endunless %}}")),
            (
                prop::sample::select(vec![
                    "xs", "words", "none", "(1..3)", "(n..5)", "xs limit:2", "xs offset:1",
                    "words reversed", "xs limit:2 offset:1", "o.in.list",
                ]),
                body.clone(),
                body.clone()
            )
                .prop_map(|(items, body, none)| format!(
                    "{{% for item in {items} %}}{{{{ forloop.index }}}}{{{{ forloop.last }}}}{{{{ item }}}}{body}{{% else %}}{none}{{% endfor %}}"
                )),
            (value(), body.clone(), body.clone()).prop_map(|(value, one, other)| format!(
                "{{% case {value} %}}{{% when 'v', 3 %}}{one}{{% when 'fig' or 2 %}}{other}{{% else %}}none{{% endcase %}}"
            )),
            body.clone()
                .prop_map(|body| format!("{{% capture set %}}{body}{{% endcapture %}}")),
            body.prop_map(|body| format!("{{% ifchanged %}}{body}{{% endifchanged %}}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_engine_renders_the_dialect_renders_the_same(
        parts in prop::collection::vec(template(), 1..6)
    ) {
        let template = parts.concat();
        // What the engine refuses, the dialect may take.
        if let Ok(expected) = plain(&template) {
            let printed = render_with(&template, &PARTIALS, globals());
            prop_assert_eq!(printed, Ok(expected), "{}", template);
        }
    }
}

/// The grammar above would prove little if the engine refused most of it.
#[test]
fn the_engine_takes_most_of_the_grammar() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let taken = (0..200)
        .filter(|_| plain(&template().new_tree(&mut runner).unwrap().current()).is_ok())
        .count();
    assert!(taken > 100, "{taken} of 200");
}

/// The guide's table of differences: what the engine prints, and what the dialect does.
#[test]
fn the_table_of_differences_is_true() {
    for (template, engine, dialect) in [
        ("{{ 5.0 }} {{ 5 | plus: 1.0 }}", "5 6", "5.0 6.0"),
        ("{{ 0.1 | plus: 0.2 }}", "0.30000000000000004", "0.3"),
        ("{{ xs | append: '' }}", "312", "[3, 1, 2]"),
        (
            "{{ 'ä' | size }}{% assign s = 'ä' %}{{ s.size }}",
            "22",
            "11",
        ),
        ("{% if false == nil %}a{% endif %}", "a", ""),
        ("{% if 'a' == true %}a{% endif %}", "a", ""),
        (
            "{% if z == 1 and b or b %}a{% else %}b{% endif %}",
            "a",
            "b",
        ),
        (
            "{% case n %}{% when 3 %}a{% when 3 %}b{% endcase %}",
            "a",
            "ab",
        ),
        ("{% if true %} {% assign x = 1 %}{% endif %}", " ", ""),
        ("a\t{{- n }}", "a\t3", "a3"),
        ("a{% raw -%} b {%- endraw %}c", "abc", "a b c"),
        (
            "{{ -7 | divided_by: 2 }} {{ -7 | modulo: 3 }}",
            "-3 -1",
            "-4 2",
        ),
        ("{{ 'a b' | url_encode }}", "a%20b", "a+b"),
        ("{{ 'aBC' | capitalize }}", "ABC", "Abc"),
        ("{{ '7,' | split: ',' | size }}", "2", "1"),
        ("{{ 'ab' | split: '' | size }}", "4", "2"),
        ("{% assign x = blank %}{% if x %}a{% endif %}", "", "a"),
        (
            "{% assign sets = xs %}{% include 'sets' a: 1 %}",
            "1",
            "111",
        ),
        (
            "{% increment c %}{% render 'counts' %}{% increment c %}",
            "012",
            "001",
        ),
        ("{% render 'stops' for xs as x %}", "3", "312"),
    ] {
        assert_eq!(plain(template).as_deref(), Ok(engine), "engine: {template}");
        let printed = render_with(template, &PARTIALS, globals());
        assert_eq!(printed.as_deref(), Ok(dialect), "dialect: {template}");
    }
    for (template, engine) in [
        ("{% if '2' > n %}a{% endif %}", ""),
        ("{{ words | concat: xs | sort | size }}", "6"),
    ] {
        assert_eq!(plain(template).as_deref(), Ok(engine), "engine: {template}");
        let printed = render_with(template, &PARTIALS, globals());
        assert!(printed.is_err(), "dialect: {template}");
    }
}

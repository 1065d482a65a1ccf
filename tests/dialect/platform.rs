//! What platformOS adds: literals, functions, assignments to members, JSON, exports, its filters.

use serde_json::json;

use super::{all_fail, all_print, render, render_with};

#[test]
fn literals_are_arrays_and_objects() {
    all_print(
        &json!({ "b": "x", "xs": [1] }),
        &[
            (
                "{% assign a = [\"x\", b, 3, [4]] %}{{ a | join: '-' }} {{ a[3][0] }}",
                "x-x-3-4 4",
            ),
            (
                "{% assign o = { \"k\": b, 'l': [1, 2], m: { \"n\": nil } } %}{{ o.k }}{{ o.l[1] }}{{ o.m.n }}{{ o.m }}",
                "x2{\"n\"=>nil}",
            ),
            (
                "{% assign a = [] %}{% assign o = {} %}{{ a | size }}{{ o | size }}{% if a == empty and o == blank %}ok{% endif %}",
                "00ok",
            ),
            (
                "{{ xs | concat: [2, 3] | join: ',' }} {{ ['a', 'b'] | join: '+' }}",
                "1,2,3 a+b",
            ),
            (
                "{% assign x = no | default: [] %}{{ x | size }}{% assign h = no | default: {} %}{% assign h.k = 1 %}{{ h.k }}",
                "01",
            ),
            (
                "{{ xs | concat: [b, [2]] | join }}{{ no | default: xs[no] | default: [b] }}",
                "1 x 2x",
            ),
            // Without a comma a bracket is a look-up, as in Ruby.
            ("{{ ['b'] }} {{ [b] }}", "x "),
            ("{% for x in ['a', b] %}{{ x }}{% endfor %}", "ax"),
            (
                "{% assign t = b == 'x' and xs contains 1 %}{{ t }}{% assign u = b == 'y' | append: '!' %}{{ u }}",
                "truefalse!",
            ),
        ],
    );
    all_fail(&[
        (
            "{% assign a = [1, 2 %}",
            "expected `]` at the end of the brackets, found the end of the tag",
        ),
        (
            "{% assign o = { 'a' 1 } %}",
            "expected `:` at the end of the key, found `1`",
        ),
        (
            "{% assign o = { 'a': 1 %}",
            "expected `}` at the end of the object",
        ),
    ]);
}

#[test]
fn members_are_assigned() {
    all_print(
        &json!({ "g": { "a": 1 } }),
        &[
            (
                "{% assign o = {} %}{% assign o[\"k\"] = 1 %}{% hash_assign o[\"l\"] = [2] %}{{ o }}",
                "{\"k\"=>1, \"l\"=>[2]}",
            ),
            (
                "{% assign o.a.b = 1 %}{% assign o.a['c'] = 2 %}{{ o.a.b }}{{ o.a.c }}",
                "12",
            ),
            (
                "{% assign xs = [1, 2] %}{% assign xs[1] = 5 %}{% assign xs[3] = 6 %}{{ xs | join: ',' }}",
                "1,5,,6",
            ),
            ("{% assign k = 'x' %}{% assign o[k] = 1 %}{{ o.x }}", "1"),
            // A copy of the host's object: the host's own stays as it is.
            ("{% assign g.a = 2 %}{{ g.a }}", "2"),
        ],
    );
    all_fail(&[
        (
            "{% assign t = 'a' %}{% assign t.x = 1 %}",
            "expected an object or an array, found a string",
        ),
        (
            "{% assign xs = [1] %}{% assign xs['k'] = 1 %}",
            "the array has 1 items, found the index `k`",
        ),
        (
            "{% assign xs = [1] %}{% assign xs[99999999] = 1 %}",
            "the array has 1 items",
        ),
        ("{% assign o[no] = 1 %}", "the key is nil"),
        (
            "{% assign context.session.a = 1 %}",
            "`context` is the host's",
        ),
    ]);
}

#[test]
fn a_function_gives_what_it_returns() {
    let partials = [
        (
            "double",
            "ignored {% assign n = n | times: 2 %}{% return n %}never",
        ),
        (
            "loop",
            "{% for i in (1..9) %}{% if i == 3 %}{% return i %}{% endif %}{% endfor %}",
        ),
        ("nothing", "text"),
        ("through", "{% include 'inner' %}{% return 'outer' %}"),
        ("inner", "{% return 'inner' %}"),
        (
            "leaves",
            "{% for i in (1..3) %}{% include 'inner' %}{% endfor %}{% return 'outer' %}",
        ),
        ("sees", "{% return seen %}"),
        ("condition", "{% return a == 1 or b %}"),
        (
            "counts",
            "{% increment n %}{% liquid\n  assign r = {}\n  assign r.ok = true\n  return r\n%}",
        ),
        ("stray", "a{% return %}b"),
    ];
    for (template, expected) in [
        ("{% function x = 'double', n: 4 %}{{ x }}", "8"),
        ("{% function x = 'loop' %}{{ x }}", "3"),
        (
            "{% assign x = 1 %}{% function x = 'nothing' %}[{{ x }}]",
            "[]",
        ),
        ("{% function x = 'through' %}{{ x }}", "inner"),
        ("{% function x = 'leaves' %}{{ x }}", "inner"),
        (
            "{% assign seen = 1 %}{% function x = 'sees' %}[{{ x }}]{% function x = 'sees', seen: 2 %}[{{ x }}]",
            "[][2]",
        ),
        ("{% function x = 'condition', a: 1 %}{{ x }}", "true"),
        (
            "{% function r = 'counts' %}{{ r.ok }}{% function o['k'] = 'double', n: 1 %}{{ o.k }}",
            "true2",
        ),
        (
            "{% function x = 'double', n: [1] | default: 5 %}{{ x }}",
            "0",
        ),
        (
            "{% render 'stray' %}{% render 'stray' %}|{% include 'stray' %}never",
            "aa|a",
        ),
        ("a{% return 5 %}b", "a"),
        ("{% capture c %}a{% return 5 %}b{% endcapture %}c", ""),
    ] {
        let printed = render_with(template, &partials, json!({}));
        assert_eq!(printed.as_deref(), Ok(expected), "{template}");
    }
}

#[test]
fn partials_end_that_call_themselves() {
    for tag in ["include 'self'", "render 'self'", "function x = 'self'"] {
        let partial = format!("{{% if true %}}{{% {tag} %}}{{% endif %}}");
        let page = format!("{{% {tag} %}}");
        let error = render_with(&page, &[("self", &partial)], json!({})).unwrap_err();
        assert!(error.contains("limit of 100 levels"), "{tag}: {error}");
    }
}

#[test]
fn json_is_read_from_a_block() {
    all_print(
        &json!({ "name": "Ann" }),
        &[
            (
                "{% parse_json u %}{ \"name\": \"{{ name }}\", \"tags\": [1, 2.5, null, true], \"at\": \"2024-01-02\" }{% endparse_json %}{{ u.name }}{{ u.tags[1] }}{{ u.tags[3] }}{{ u.at }}",
                "Ann2.5true2024-01-02",
            ),
            (
                "{% parse_json 'u' %}[]{% endparse_json %}{{ u | size }}",
                "0",
            ),
        ],
    );
    let error = render("{% parse_json u %}{ \"secret\": }{% endparse_json %}").unwrap_err();
    assert!(error.contains("the body is not JSON"), "{error}");
}

#[test]
fn exports_are_seen_by_all_partials() {
    let partials = [
        (
            "exports",
            "{% assign a = 1 %}{% assign b = 2 %}{% export a, b, namespace: 'mine' %}",
        ),
        ("deep", "{% render 'exports' %}"),
        ("reads", "{{ context.exports.mine.b }}"),
    ];
    let template = "{% function x = 'deep' %}{{ context.exports.mine.a }}{% render 'reads' %}{{ context.exports.no.x }}{{ context.host }}";
    let printed = render_with(template, &partials, json!({ "context": { "host": "h" } }));
    assert_eq!(printed.as_deref(), Ok("12h"));
}

#[test]
fn filters_of_arrays_and_objects() {
    let globals = json!({ "xs": [1, 2, 2], "o": { "a": { "b": [5] } } });
    all_print(
        &globals,
        &[
            (
                "{{ o | dig: 'a', 'b', 0 }}{{ o | dig: 'a', 'x', 'y' }}{{ no | dig: 'a' }}",
                "5",
            ),
            (
                "{% assign m = o | hash_merge: x: 1, y: no %}{{ m.x }}{{ m.a.b }}{% assign m = no | hash_merge: m %}{{ m.x }}",
                "151",
            ),
            (
                "{% assign m = o | hash_add_key: 'k', 1 | add_hash_key: 'l', xs %}{{ m.k }}{{ m.l | size }}{{ o.k }}",
                "13",
            ),
            (
                "{{ xs | array_add: 3 | join }} {{ no | add_to_array: 'a' | join }} {{ xs | array_prepend: 0 | join }}",
                "1 2 2 3 a 0 1 2 2",
            ),
            (
                "{{ xs | array_delete: 2 | join }} {{ xs | array_delete_at: -1 | join }} {{ xs | array_include: 2 }} {{ 3 | is_included_in_array: xs }}",
                "1 1 2 true false",
            ),
            (
                "{{ xs | array_index_of: 2 }} {{ xs | array_limit: 1 | join }} {{ xs | subtract_array: [2] | join }} {{ xs | array_intersect: [2] | join }}",
                "1 1 1 2 2",
            ),
            (
                "{{ [1, nil, ''] | array_compact | size }} {{ [[1], [2, [3]]] | array_flatten | join }} {{ o | hash_values | size }} {{ o | hash_delete_key: 'a' | size }}",
                "1 1 2 3 1 0",
            ),
        ],
    );
    all_fail(&[(
        "{{ 'a' | array_add: 1 }}",
        "expected an array, found a string",
    )]);
}

#[cfg(feature = "tracing")]
#[test]
fn a_log_is_an_event_that_forges_no_line() {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let printed = tracing::subscriber::with_default(subscriber, || {
        let globals = json!({ "input": "a\n2026 ERROR forged\u{1b}[31m" });
        render_with(
            "{% log input, type: 'debug' %}{% log 'plain' | upcase %}",
            &[],
            globals,
        )
    });
    assert_eq!(printed.as_deref(), Ok(""));
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let events: Vec<_> = text.lines().collect();
    assert_eq!(events.len(), 2, "{text}");
    assert!(
        events[0].contains("liquid_session::dialect: a\\n2026 ERROR forged\\u{1b}[31m kind=debug"),
        "{text}"
    );
    assert!(events[1].contains("PLAIN kind=info"), "{text}");
}

#[test]
fn a_log_prints_nothing() {
    all_print(
        &json!({}),
        &[("a{% log 'x', type: 'error' %}{% log no.x %}b", "ab")],
    );
}

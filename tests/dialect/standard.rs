//! Liquid 5.13: tags, conditions, unknown names, filters.

use liquid_session::dialect::{DialectExt as _, translate};
use serde_json::json;

use super::{all_fail, all_print, render_with};

#[test]
fn lines_of_liquid_are_tags() {
    all_print(
        &json!({ "items": [1, 2] }),
        &[
            ("{% liquid\n  assign a = 1\n  echo a\n%}", "1"),
            (
                "{% liquid\r\n  for i in items\r\n    echo i\r\n  endfor\r\n%}",
                "12",
            ),
            ("a {%- liquid\n  echo 'b'\n-%} c", "abc"),
            ("{% liquid liquid echo 'deep' %}", "deep"),
            (
                "{% liquid\n  # it's a note\n  comment\n    echo 'no'\n  endcomment\n  echo 'yes'\n%}",
                "yes",
            ),
            ("{% liquid %}ok", "ok"),
            (
                "{% if true %}{% liquid\n if false\n echo 'a'\n else\n echo 'b'\n endif %}{% endif %}",
                "b",
            ),
            (
                "{% for i in items %}{% liquid\n  continue\n %}{{ i }}{% endfor %}ok",
                "ok",
            ),
            ("{% liquid\n  raw\n  {{ a }}\n  endraw\n%}", "  {{ a }}\n  "),
        ],
    );
}

#[test]
fn a_block_of_liquid_closes_where_it_opens() {
    all_fail(&[
        (
            "{% liquid\n  if true\n%}{% endif %}",
            "`if` is never closed: expected `endif` in the same `liquid` block",
        ),
        (
            "{% if true %}{% liquid\n  endif\n%}",
            "`endif` belongs to no open block here",
        ),
        ("{% liquid\n  echo 'a\n%}", "the quote ' is never closed"),
        (
            "{% liquid\n  echo a\n  endliquid\n%}",
            "`liquid` needs no end",
        ),
    ]);
}

#[test]
fn comments_docs_and_raw_print_nothing_of_their_markup() {
    all_print(
        &json!({}),
        &[
            (
                "{% # note %}a{%# it's one %}b{%-\n  # two\n  # lines\n-%} c",
                "abc",
            ),
            ("{% doc %}{{ no }} {% if %} {% raw %}{% enddoc %}ok", "ok"),
            (
                "{% comment %}a{% comment %}b{% endcomment %}c{% endcomment %}d",
                "d",
            ),
            (
                "{% comment %}{% raw %}{% endcomment %}{% endraw %}{% endcomment %}d",
                "d",
            ),
            ("{% comment %}{% if %}{{ a | }}{% endcomment %}ok", "ok"),
            (
                "{% comment %}{{ a } {% don't %} {{ it's {% endcomment -%} ok' }}",
                "ok' }}",
            ),
            ("{% raw %}{{ a }}{% if %}{% endraw %}b", "{{ a }}{% if %}b"),
            ("{% raw %}{% endraw{% endraw %}", "{% endraw"),
        ],
    );
    all_fail(&[
        (
            "{% comment %}a",
            "`comment` is never closed: expected `endcomment`",
        ),
        (
            "{% doc %}{% doc %}{% enddoc %}",
            "`doc` can't hold another `doc`",
        ),
        ("{% doc x %}{% enddoc %}", "`doc` takes no arguments"),
        ("{%\n# a\nb %}", "3:1"),
    ]);
}

#[test]
fn tabs_and_no_break_spaces_are_white_space() {
    all_print(
        &json!({ "o": { "a": 1 } }),
        &[
            ("{%\tassign\tx\t=\t1\t%}{{\tx\t}}", "1"),
            (
                "{%\u{A0}if\u{A0}o.a\u{A0}==\u{A0}1\u{A0}%}a{%\u{A0}endif\u{A0}%}",
                "a",
            ),
            ("{{ o .\n a }}{{ o [ 'a' ] }}", "11"),
        ],
    );
}

#[test]
fn unknown_names_are_nil_everywhere() {
    let globals = json!({ "o": { "a": 1, "n": null }, "xs": [1, { "b": 2 }], "t": "text" });
    all_print(
        &globals,
        &[
            (
                "[{{ no }}{{ no.a.b }}{{ o.no }}{{ o.n.x }}{{ t.x }}{{ xs[9] }}{{ xs.x }}{{ 5 | plus: no.x }}]",
                "[5]",
            ),
            ("{% assign a = o %}[{{ a.no }}{{ a.n.x.y }}]", "[]"),
            (
                "{% for x in xs %}[{{ x.b }}{{ x.no.c }}]{% endfor %}{{ forloop.index }}",
                "[][2]",
            ),
            (
                "{{ o[no] }}{{ o[nil] }}{{ xs[no.x] }}{{ no[0][o] }}ok",
                "ok",
            ),
            (
                "{% if no contains 'x' %}a{% elsif o.no == nil %}b{% endif %}",
                "b",
            ),
            ("{% if no.a.b == blank and no != 1 %}a{% endif %}", "a"),
            ("{% for x in no.xs %}a{% else %}b{% endfor %}", "b"),
            ("{% case no.x %}{% when nil %}a{% endcase %}", "a"),
            (
                "{{ 'a' | append: no | default: no.x }}{{ no | default: 'd' }}",
                "ad",
            ),
        ],
    );
    let partials = [("p", "[{{ a.x }}{{ o.a }}{{ no }}]")];
    let printed = render_with(
        "{% include 'p', a: no.x %}{% render 'p', a: o.no %}",
        &partials,
        globals,
    );
    assert_eq!(printed.as_deref(), Ok("[1][]"));
}

#[test]
fn nil_and_texts_are_numbers_to_arithmetic() {
    all_print(
        &json!({}),
        &[
            (
                "{{ no | plus: 1 }} {{ 5 | minus: no }} {{ '' | times: 3 }} {{ 'abc' | plus: 1 }}",
                "1 5 0 1",
            ),
            (
                "{{ '3.5' | plus: '1' }} {{ '12abc' | plus: 1 }} {{ no | abs }} {{ no | round }}",
                "4.5 13 0 0",
            ),
            (
                "{{ 0.1 | plus: 0.2 }} {{ 10.1 | minus: 2.2 }} {{ 1.1 | times: 1.1 }}",
                "0.3 7.9 1.21",
            ),
            (
                "{{ -7 | divided_by: 2 }} {{ -7 | modulo: 3 }} {{ 7.5 | modulo: -2 }} {{ 1 | divided_by: 4.0 }}",
                "-4 2 -0.5 0.25",
            ),
            (
                "{{ 1.005 | round: 2 }} {{ -2.5 | round }} {{ 2.4 | ceil }} {{ -2.4 | floor }} {{ 1234 | round: -2 }}",
                "1.01 -3 3 -3 1200",
            ),
        ],
    );
    all_print(
        &json!({ "f": 5.0, "big": 1e20, "small": 0.00001 }),
        &[(
            "{{ f }} {{ big }} {{ small }} {{ f | plus: 1 }}",
            "5.0 1.0e+20 1.0e-05 6.0",
        )],
    );
    all_fail(&[
        ("{{ 1 | divided_by: 0 }}", "divided by 0"),
        (
            "{{ 9223372036854775807 | plus: 1 }}",
            "beyond what a whole number can hold",
        ),
        (
            "{{ 9223372036854775808 }}",
            "the whole number 9223372036854775808 is beyond",
        ),
    ]);
}

#[test]
fn nil_is_an_empty_array_to_the_filters_of_arrays() {
    all_print(
        &json!({}),
        &[
            (
                "[{{ no | map: 'id' }}{{ no | first }}{{ no | last }}{{ no | join: ',' }}{{ no | sort }}]",
                "[]",
            ),
            (
                "[{{ no | size }}{{ no | uniq }}{{ no | reverse }}{{ no | compact }}{{ no | where: 'a' }}]",
                "[0]",
            ),
            (
                "[{{ no | sum }}{{ no | split: ',' | size }}{{ no | sort_natural }}]",
                "[00]",
            ),
        ],
    );
    all_print(
        &json!({ "xs": [3] }),
        &[("{{ no | concat: xs | first }}{{ no | sum }}", "30")],
    );
}

#[test]
fn filters_of_liquid_5_13() {
    let globals = json!({
        "xs": [{ "n": 1, "on": true }, { "n": 2 }, { "n": 3, "on": true }],
        "nested": [1, [2, [3]]],
        "o": { "b": 2, "a": [1, "x"] },
    });
    all_print(
        &globals,
        &[
            (
                "{% assign x = xs | find: 'n', 2 %}{{ x.n }} {{ xs | find_index: 'n', 3 }} {{ xs | has: 'n', 9 }}",
                "2 2 false",
            ),
            (
                "{{ xs | where: 'on' | map: 'n' | join }} {{ xs | reject: 'on' | map: 'n' | join }}",
                "1 3 2",
            ),
            (
                "{{ xs | sum: 'n' }} {{ nested | sum }} {{ nested | join: '-' }}",
                "6 6 1-2-3",
            ),
            (
                "{{ 'a-b?' | base64_encode }} {{ 'YS1iPw==' | base64_decode }} {{ 'a?>' | base64_url_safe_encode }} {{ 'YT8-' | base64_url_safe_decode }}",
                "YS1iPw== a-b? YT8- a?>",
            ),
            (
                "{{ 'a-a-a' | remove_last: '-a' }} {{ 'a-a' | replace_last: 'a', 'b' }} {{ 'a b a' | remove_first: 'a ' }}",
                "a-a a-b b a",
            ),
            (
                "{{ false | default: 1, allow_false: true }} {{ false | default: 1 }} {{ '' | default: 1, allow_false: true }}",
                "false 1 1",
            ),
            (
                "{{ o }} {{ o.a }} {{ nested }}",
                "{\"a\"=>[1, \"x\"], \"b\"=>2} 1x 123",
            ),
        ],
    );
    all_print(
        &json!({ "t": "Ärger" }),
        &[
            (
                "{{ t.size }} {{ t | size }} {{ t | slice: 0, 2 }} {{ t.first }}{{ t.last }} {{ t | downcase | capitalize }}",
                "5 5 Är Är Ärger",
            ),
            (
                "{{ ' a  b ' | squish }}|{{ ' a ' | strip }}|{{ 'a,b,,' | split: ',' | size }}|{{ 'ab' | split: '' | join: '-' }}",
                "a b|a|2|a-b",
            ),
            (
                "{{ '<a href=\"b\">x</a><script>y</script><!-- z -->' | strip_html }} {{ '<&\"' | escape }} {{ '&lt;<' | escape_once }}",
                "x &lt;&amp;&quot; &lt;&lt;",
            ),
            (
                "{{ 'one two three' | truncatewords: 2 }} {{ 'abcdef' | truncate: 4 }} {{ 'abcdef' | truncate: 4, '' }}",
                "one two... a... abcd",
            ),
            (
                "{{ 'a b&c/ü' | url_encode }} {{ 'a+b%26%C3%BC' | url_decode }}",
                "a+b%26c%2F%C3%BC a b&ü",
            ),
            (
                "{{ 'March 14, 2016' | date: '%Y-%m-%d' }} {{ '2024-01-02' | date: '%d.%m.%y' }} {{ 0 | date: '%Y' }} {{ 'no date' | date: '%Y' }} {{ '2024-01-02T03:04:05Z' | date: '%H:%M' }}",
                "2016-03-14 02.01.24 1970 no date 03:04",
            ),
            (
                "{{ (1..3) | join: '-' }} {{ (3..1) | size }} {{ (1..3) }} {% assign r = (2..4) %}{{ r | last }}",
                "1-2-3 0 1..3 4",
            ),
        ],
    );
    all_fail(&[
        (
            "{{ 'a' | upcase: 1 }}",
            "filter `upcase`: expected no argument, found 1",
        ),
        (
            "{{ 'a' | append }}",
            "filter `append`: expected 1 argument, found 0",
        ),
        (
            "{{ 'a' | default: 1, allow: true }}",
            "expected `allow_false`, found `allow`",
        ),
        ("{{ 'a' | base64_decode }}", "the string is not Base64"),
        (
            "{{ 'b,1' | split: ',' | map: 'x' | concat: 1 }}",
            "expected an array to concat, found a whole number",
        ),
    ]);
}

#[test]
fn sorting_knows_no_order_between_types() {
    let globals = json!({ "mixed": [1, "a"], "xs": [3, null, 1.5, 2], "os": [{ "k": "b" }, { "k": "A" }, {}] });
    all_print(
        &globals,
        &[
            ("{{ xs | sort | join: ',' }}", "1.5,2,3,"),
            (
                "{{ os | sort: 'k' | map: 'k' | join: ',' }} {{ os | sort_natural: 'k' | map: 'k' | join: ',' }}",
                "A,b, A,b,",
            ),
        ],
    );
    let error = render_with("{{ mixed | sort }}", &[], globals).unwrap_err();
    assert!(error.contains("can't sort numbers and strings"), "{error}");
}

#[test]
fn conditions_are_ruby_s() {
    let globals = json!({
        "t": true, "f": false, "n": null, "e": "", "w": " \n", "xs": [], "o": {}, "ys": [1, "2", false], "s": "hello 9",
    });
    let truths: &[(&str, bool)] = &[
        // From the right: t or (f and f).
        ("t or f and f", true),
        ("f and f or t", false),
        ("f or t and t", true),
        ("f == n", false),
        ("n == f", false),
        ("f != n", true),
        ("f == false", true),
        ("n == nil", true),
        ("s == true", false),
        ("1 == true", false),
        ("e == blank", true),
        ("w == blank", true),
        ("f == blank", true),
        ("n == blank", true),
        ("xs == blank", true),
        ("t == blank", false),
        ("e == empty", true),
        ("w == empty", false),
        ("n == empty", false),
        ("f == empty", false),
        ("xs == empty", true),
        ("o == empty", true),
        ("empty == blank", false),
        ("empty", true),
        ("0", true),
        ("e", true),
        ("1 == 1.0", true),
        ("'1' == 1", false),
        ("n < 1", false),
        ("n >= n", false),
        ("xs < 1", false),
        ("'a' < 'b'", true),
        ("2 > 1.5", true),
        ("1 <> 2", true),
        ("ys contains 1", true),
        ("ys contains 2", false),
        ("ys contains f", false),
        ("s contains 9", true),
        ("s contains n", false),
        ("n contains 'a'", false),
        ("o contains 'a'", false),
        ("5 contains 5", false),
        ("(1..2) == (1..2)", true),
    ];
    for (condition, truth) in truths {
        let template = format!("{{% if {condition} %}}true{{% else %}}false{{% endif %}}");
        let printed = render_with(&template, &[], globals.clone());
        assert_eq!(printed, Ok(truth.to_string()), "{condition}");
        let template = format!("{{% unless {condition} %}}false{{% else %}}true{{% endunless %}}");
        let printed = render_with(&template, &[], globals.clone());
        assert_eq!(printed, Ok(truth.to_string()), "unless {condition}");
    }
    all_fail(&[
        (
            "{% if 'a' < 1 %}{% endif %}",
            "can't compare a string with a number",
        ),
        (
            "{% if a = b %}{% endif %}",
            "expected the end of the tag, found `=` (`==` compares)",
        ),
        ("{% if a && b %}{% endif %}", "(write `and` for `&&`)"),
        ("{% if a in b %}{% endif %}", "found `in`"),
        (
            "{% if (a or b) %}{% endif %}",
            "conditions have no parentheses",
        ),
        (
            "{% if %}{% endif %}",
            "expected a value, found the end of the tag",
        ),
    ]);
}

#[test]
fn a_case_prints_every_match_and_else_without_one() {
    all_print(
        &json!({ "x": "a", "n": null }),
        &[
            (
                "{% case x %}{% when 'b' %}1{% when 'a', 'c' %}2{% when 'a' %}3{% else %}4{% endcase %}",
                "23",
            ),
            (
                "{% case x %} text {% when 'b' or 'c' %}1{% else %}2{% endcase %}",
                "2",
            ),
            (
                "{% case n %}{% when false %}1{% when blank %}2{% endcase %}",
                "2",
            ),
        ],
    );
}

#[test]
fn loops_go_over_what_ruby_does() {
    let globals = json!({ "xs": [1, 2, 3, 4, 5], "o": { "b": 2, "a": 1 }, "t": "text", "e": "" });
    all_print(
        &globals,
        &[
            (
                "{% for p in o %}{{ p[0] }}={{ p[1] }};{% endfor %}",
                "a=1;b=2;",
            ),
            (
                "{% for c in t %}[{{ c }}]{% endfor %}{% for c in e %}x{% else %}none{% endfor %}{% for c in 5 %}x{% endfor %}",
                "[text]none",
            ),
            (
                "{% for x in xs limit: 2, offset: 1 reversed %}{{ x }}{% endfor %}",
                "32",
            ),
            (
                "{% for x in xs limit: 2 %}{{ x }}{% endfor %}|{% for x in xs offset: continue %}{{ x }}{% endfor %}",
                "12|345",
            ),
            (
                "{% for x in xs %}{% if x == 2 %}{% continue %}{% elsif x == 4 %}{% break %}{% endif %}{{ x }}{% endfor %}",
                "13",
            ),
            (
                "{% for i in (1..2) %}{% for j in (1..2) %}{{ forloop.parentloop.index }}{{ forloop.rindex }} {% endfor %}{% endfor %}",
                "12 11 22 21 ",
            ),
            (
                "{% for x in xs %}{{ forloop.name }}{{ forloop.first }}{{ forloop.last }}{{ forloop.length }} {% break %}{% endfor %}",
                "x-xstruefalse5 ",
            ),
            (
                "{% for i in (1..9223372036854775807) %}{{ i }}{% if i == 3 %}{% break %}{% endif %}{% endfor %}",
                "123",
            ),
            (
                "{% for i in (1..5) reversed limit: 2 %}{{ i }}{% endfor %}",
                "21",
            ),
            (
                "{% cycle 'a', 'b' %}{% cycle 'a', 'b' %}{% cycle 'a', 'b' %}{% cycle 'g': 1, 2 %}{% cycle 'g': 1, 2 %}",
                "aba12",
            ),
            (
                "{% for x in xs %}{% ifchanged %}{{ x | divided_by: 3 }}{% endifchanged %}{% endfor %}",
                "01",
            ),
            (
                "{% increment n %}{% increment n %}{{ n }}{% decrement m %}{% assign n = 'x' %}{{ n }}{% increment n %}",
                "012-1x2",
            ),
            (
                "{% tablerow x in xs cols: 2 limit: 3 %}{{ x }}{% endtablerow %}",
                "<tr class=\"row1\">\n<td class=\"col1\">1</td><td class=\"col2\">2</td></tr>\n<tr class=\"row2\"><td class=\"col1\">3</td></tr>\n",
            ),
        ],
    );
    all_fail(&[
        (
            "{% for x in xs | split: ',' %}{% endfor %}",
            "expected the end of the tag, found `|`",
        ),
        ("{% for x of xs %}{% endfor %}", "expected `in`, found `of`"),
        (
            "{% for x in (1..3) limit: 'a' %}{% endfor %}",
            "expected a whole number, found a string",
        ),
    ]);
}

#[test]
fn blocks_of_white_space_print_nothing() {
    all_print(
        &json!({}),
        &[(
            "{% capture c %}  {% endcapture %}[{{ c }}]{% ifchanged %} {% endifchanged %}",
            "[  ] ",
        )],
    );
    all_print(
        &json!({}),
        &[
            ("a{% if true %}  {% assign b = 1 %}\n{% endif %}c", "ac"),
            ("a{% if true %}  {{ '' }} {% endif %}c", "a   c"),
            ("a{% for i in (1..3) %} {% endfor %}c", "ac"),
            ("a\n {%- if true -%} \n b \t{%- endif -%} c", "abc"),
        ],
    );
}

#[test]
fn partials_take_arguments_as_ruby_does() {
    let partials = [
        ("p", "[{{ a }}{{ b }}{{ c }}]"),
        ("item", "<{{ item.n }}{{ forloop.index }}>"),
        ("items", "<{{ items }}>"),
        ("dir/card", "({{ card }}{{ outer }})"),
        ("cycles", "{% cycle 'a', 'b' %}"),
        ("leak", "{% assign leaked = 'yes' %}"),
        ("stop", "{{ x }}{% break %}never"),
    ];
    let globals = json!({ "items": [{ "n": 1 }, { "n": 2 }], "outer": "o", "card": "c" });
    for (template, expected) in [
        ("{% include 'p', a: 1 b: 2, stray, c: x %}ok", "[12]ok"),
        (
            "{% include 'p' a: 1, b: 'x, y', c: items[1].n, %}",
            "[1x, y2]",
        ),
        ("{% render 'p', a: (1..3), b: [4, 5] %}", "[12345]"),
        (
            "{% include 'dir/card' with 'w' %}{% include 'dir/card' %}{% render 'dir/card', card: 1 %}",
            "(wo)(co)(1)",
        ),
        (
            "{% assign items = 'x,y' | split: ',' %}{% include 'items' %}",
            "<x><y>",
        ),
        (
            "{% include 'item' for items %}{% render 'item' for items %}{% render 'item' with items[0] as item %}",
            "<1><2><11><22><1>",
        ),
        (
            "{% include 'leak' %}{{ leaked }}{% assign leaked = '' %}{% render 'leak' %}{{ leaked }}",
            "yes",
        ),
        (
            "{% for x in (1..3) %}{% include 'stop' %}{% endfor %}{% for x in (1..3) %}{% render 'stop', x: x %}{% endfor %}",
            "1123",
        ),
        (
            "{% cycle 'a', 'b' %}{% render 'cycles' %}{% cycle 'a', 'b' %}",
            "aab",
        ),
        (
            "{% for x in (1..2) %}{% render 'stop', x: x %}{% include 'p', a: x %}{% endfor %}",
            "1[1]2[2]",
        ),
        (
            "{% assign name = 'p' %}{% include name, with: 1, a: 2 %}",
            "[2]",
        ),
    ] {
        let printed = render_with(template, &partials, globals.clone());
        assert_eq!(printed.as_deref(), Ok(expected), "{template}");
    }
    let error = render_with("\n{% include 'none' %}", &partials, globals).unwrap_err();
    assert!(error.contains("requested partial=none"), "{error}");
    assert!(error.contains("line 2: {% include 'none' %}"), "{error}");
}

#[test]
fn the_dialect_needs_no_standard_library() {
    let parser = liquid::ParserBuilder::new().dialect().build().unwrap();
    let source = "{% liquid\n  assign xs = 'b,a' | split: ',' | sort\n  for x in xs\n    echo x | upcase\n  endfor\n%}";
    let page = parser.parse(&translate(source)).unwrap();
    assert_eq!(page.render(&liquid::Object::new()).unwrap(), "AB");
}

//! Templates in templates, and blocks in blocks.

use liquid_session::{ErrorKind, Value};

use super::*;

const TOO_DEEP: &str = "nest deeper than the limit of 100 levels";

#[test]
fn a_partial_that_contains_itself_is_an_error() {
    for partial in [
        "{% include 'self' %}",
        "{% render 'self' %}",
        "{% include 'self' %}{% include 'self' %}",
        "{% for i in (1..3) %}{% include 'self' %}{% endfor %}",
        "{% render 'self' for (1..3) as i %}",
        "{% include 'other' %}",
        "{% render 'other' %}",
        "{% session a %}{% include 'self' %}{% endsession %}",
        "{% session a = 1 %}{% session before = null %}{% render 'self' %}",
        "{% capture c %}{% if true %}{% unless false %}{% case 1 %}{% when 1 %}{% for i in (1..2) %}{% include 'self' i: i %}{% endfor %}{% endcase %}{% endunless %}{% endif %}{% endcapture %}",
        "{% assign name = 'self' %}{% include name %}",
    ] {
        on_a_small_stack(move || {
            let parser = parser_with(&[
                ("self", partial),
                ("other", "{% render 'third' %}"),
                ("third", "{% include 'self' %}"),
            ]);
            let session = stored();
            let page = "{% session mine = 1 %}{% include 'self' %}";
            fails_and_loses_nothing(render_with(&parser, &session, page), &session, TOO_DEEP);
        });
    }
}

#[test]
fn every_way_to_compile_partials_ends_it() {
    use liquid::partials::{LazyCompiler, OnDemandCompiler};

    on_a_small_stack(|| {
        let mut source = InMemorySource::new();
        source.add("self", "{% include 'self' %}");
        let builder = || liquid::ParserBuilder::with_stdlib().sessions();
        for parser in [
            builder()
                .partials(LazyCompiler::new(source.clone()))
                .build(),
            builder().partials(OnDemandCompiler::new(source)).build(),
        ] {
            let session = stored();
            let rendered = render_with(&parser.unwrap(), &session, "{% include 'self' %}");
            fails_and_loses_nothing(rendered, &session, TOO_DEEP);
        }
    });
}

/// The limit is what it says, and counts what is open, not what was.
#[test]
fn a_hundred_levels_are_fine_and_are_left_again() {
    on_a_small_stack(|| {
        let names: Vec<String> = (0..=100).map(|n| format!("p{n}")).collect();
        let texts: Vec<String> = (1..=100)
            .map(|n| format!("{{% include 'p{n}' %}}"))
            .chain(["{% session deep = 'seen' %}{{ context.session.deep }}".to_owned()])
            .collect();
        let partials: Vec<(&str, &str)> = names
            .iter()
            .zip(&texts)
            .map(|(name, text)| (&**name, &**text))
            .collect();
        let parser = parser_with(&partials);
        let session = stored();
        for _ in 0..3 {
            assert!(render_with(&parser, &session, "{% include 'p0' %}").is_err());
            let page = "{% include 'p1' %}{% include 'p1' %}";
            assert_eq!(render_with(&parser, &session, page).unwrap(), "seenseen");
        }
        // A loop is no nesting.
        let page = "{% for i in (1..300) %}{% include 'p100' %}{% endfor %}";
        assert_eq!(
            render_with(&parser, &session, page).unwrap(),
            "seen".repeat(300)
        );
    });
}

/// As long as a loop is, it takes no memory for what has not come yet.
#[test]
fn a_loop_without_end_can_be_left() {
    let parser = parser_with(&[
        ("row", "{{ i }}{% if i == 3 %}{% break %}{% endif %}"),
        (
            "last",
            "{{ forloop.index }} of {{ forloop.length }}{% break %}",
        ),
    ]);
    let session = stored();
    for (page, expected) in [
        (
            "{% render 'row' for (1..9000000000000000000) as i %}",
            "123",
        ),
        ("{% render 'row' for (1..2) as i %}", "12"),
        ("{% render 'row' for (3..3) as i %}", "3"),
        ("{% render 'row' for (5..1) as i %}", ""),
        (
            "{% render 'last' for (-9223372036854775808..9223372036854775807) as i %}",
            "1 of 9223372036854775807",
        ),
        (
            "{% render 'last' for (9223372036854775806..9223372036854775807) as i %}",
            "1 of 2",
        ),
    ] {
        assert_eq!(
            render_with(&parser, &session, page).unwrap(),
            expected,
            "{page}"
        );
    }
}

#[test]
fn blocks_in_blocks_are_a_parse_error() {
    on_a_small_stack(|| {
        let nested = |levels: usize| {
            let (begin, end) = ("{% session a %}", "{% endsession %}");
            format!("{}x{}", begin.repeat(levels), end.repeat(levels))
        };
        let parser = parser_with(&[]);
        for levels in [101, 5_000] {
            let error = parser.parse(&nested(levels)).err().unwrap().to_string();
            assert!(error.contains(TOO_DEEP), "{error}");
        }
        let session = stored();
        assert_eq!(render_with(&parser, &session, &nested(100)).unwrap(), "");
        // Each block printed nothing into the one around it.
        assert_eq!(session.get("a").unwrap(), None);
    });
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(Value::from("bottom"), |inner, n| {
        if n % 2 == 0 {
            Value::from(vec![inner])
        } else {
            Value::Object([("in".to_owned(), inner)].into())
        }
    })
}

#[test]
fn values_in_values_are_refused() {
    on_a_small_stack(|| {
        const WHY: &str = "nests deeper than the limit of 32 levels";
        let parser = parser_with(&[]);
        for levels in [33, 100, 1_000, 2_000] {
            let session = stored();
            for result in [
                session.set("deep", nested(levels)),
                session.append("list", nested(levels)),
            ] {
                let error = result.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
                assert!(error.to_string().contains("nests deeper than"), "{error}");
            }
            if levels > 1_000 {
                // The engine's own copy does not come back from there.
                continue;
            }
            // The host's own globals.
            let globals =
                liquid::object!({ "deep": liquid_core::ValueView::to_value(&nested(levels)) });
            let page = parser.parse("{% session deep = deep %}").unwrap();
            fails_and_loses_nothing(session.render(&page, &globals), &session, WHY);
        }
        for (levels, result) in [
            (33, Some(WHY)),
            (127, Some(WHY)),
            (129, None),
            (100_000, None),
        ] {
            let session = stored();
            let text = format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
            let globals = liquid::object!({ "text": text });
            let page = parser
                .parse("{% session deep = text | parse_json %}")
                .unwrap();
            let rendered = session.render(&page, &globals);
            match result {
                Some(why) => fails_and_loses_nothing(rendered, &session, why),
                // No JSON is nil, and removes the key.
                None => {
                    assert_eq!(rendered.unwrap(), "");
                    assert_eq!(session.get("deep").unwrap(), None);
                }
            }
        }
    });
}

/// Rust's values hold no cycle; what comes nearest is a session that is stored in itself.
#[test]
fn a_session_in_itself_ends_at_a_limit() {
    on_a_small_stack(|| {
        let session = stored();
        let page = "{% for i in (1..100) %}{% assign all = context.session %}{% session all = all %}{% endfor %}";
        let error = render(&session, page).unwrap_err().to_string();
        assert!(error.contains("the limit"), "{error}");
        assert!(error.len() < 1_000, "{error}");
        assert_eq!(session.entries().unwrap().len(), 1);
    });
}

//! Our `render` against liquid-rust's: same output, same refusals, where no session is involved.

use liquid::partials::{EagerCompiler, InMemorySource};
use liquid_session::template::RenderTag;

fn partials() -> EagerCompiler<InMemorySource> {
    let mut partials = InMemorySource::new();
    for (name, text) in [
        ("plain", "plain"),
        ("x", "[{{ x }}]"),
        (
            "item",
            "{{ item }}{{ forloop.index }}/{{ forloop.length }}{% if forloop.last %}!{% endif %} ",
        ),
        ("two", "{{ a }}-{{ b.c }}"),
        ("outer", "{{ outside }}"),
        (
            "knows",
            "{% if outside %}y{% else %}n{% endif %}{% if context %}y{% else %}n{% endif %}",
        ),
        ("assigns", "{% assign outside = 'inner' %}{{ outside }}"),
        ("counts", "{% increment n %}"),
        (
            "breaks",
            "{{ item }}{% if item == 2 %}{% break %}{% endif %}.",
        ),
        (
            "continues",
            "{{ item }}{% if item == 2 %}{% continue %}{% endif %}.",
        ),
        ("nested", "{% render 'x', x: x %}{% include 'x' %}"),
        ("with_extension.liquid", "found {{ x }}"),
        ("bad", "{% nonsense %}"),
        ("fails", "{{ nobody }}"),
    ] {
        partials.add(name, text);
    }
    EagerCompiler::new(partials)
}

/// The output, or what went wrong when.
fn run(parser: &liquid::Parser, template: &str) -> Result<String, String> {
    let globals = liquid::object!({
        "outside": "outside",
        "list": [1, 2, 3],
        "empty": [],
        "object": { "k": "v" },
        "name": "x",
        "deep": { "c": "C" },
        "context": { "own": 1 },
        "nothing": nil,
    });
    let template = parser
        .parse(template)
        .map_err(|error| format!("parse: {error}"))?;
    template
        .render(&globals)
        .map_err(|error| format!("render: {error}"))
}

#[test]
fn the_same_output_and_the_same_errors_as_the_engine_s_own() {
    let theirs = liquid::ParserBuilder::with_stdlib()
        .partials(partials())
        .build()
        .unwrap();
    let ours = liquid::ParserBuilder::with_stdlib()
        .tag(RenderTag)
        .partials(partials())
        .build()
        .unwrap();
    let mut rendered = 0;
    for template in [
        "{% render 'plain' %}",
        "{% render \"plain\" %}",
        "{% render name, x: 1 %}",
        "{% render 'x', x: 'lit' %}",
        "{% render 'x', x: outside %}",
        "{% render 'x', x: outside, %}",
        "{% render 'x', x: 1, x: 2 %}",
        "{% render 'x' with outside as x %}",
        "{% render 'x' with list as x %}",
        "{% render 'two' with 'A' as a, b: deep %}",
        "{% render 'item' for list as item %}",
        "{% render 'item' for empty as item %}",
        "{% render 'item' for nothing as item %}",
        "{% render 'item' for object as item %}",
        "{% render 'item' for (1..4) as item %}",
        "{% render 'item' for (1..outside) as item %}",
        "{% render 'item' for outside as item %}",
        "{% render 'two' for list as a, b: deep %}",
        "{% render 'outer' %}",
        "{% render 'knows' %}",
        "{% render 'knows', outside: 1, context: context %}",
        "{% render 'assigns' %}{{ outside }}",
        "{% render 'counts' %}{% render 'counts' %}{% increment n %}",
        "{% render 'breaks' for list as item %}",
        "{% render 'continues' for list as item %}",
        "{% for item in list %}{% render 'breaks', item: item %}{% endfor %}",
        "{% render 'nested', x: 5 %}",
        "{% render 'with_extension', x: 5 %}",
        "{% render 'missing' %}",
        "{% render 'bad' %}",
        "{% render 'fails' %}",
        "{% render 'fails' for list as item %}",
        "{% render list %}",
        "{% render nobody %}",
        "{% render 'x', x: nobody %}",
        "{% render 'x', x: outside.nope %}",
        "{% render %}",
        "{% render 'x' x: 1 %}",
        "{% render 'x', x 1 %}",
        "{% render 'x', x: %}",
        "{% render 'x', 'x': 1 %}",
        "{% render 'x' with outside %}",
        "{% render 'x' with outside as %}",
        "{% render 'x' for list %}",
        "{% render 'x' for list as 'x' %}",
        "{% render 'x', x: outside | upcase %}",
        "{% render 'x' with (1..3) as x %}",
    ] {
        let (theirs, ours) = (run(&theirs, template), run(&ours, template));
        match (&theirs, &ours) {
            (Err(theirs), Err(ours)) => {
                // When it fails is the same; the words of a refused form may differ.
                let when = |error: &str| error.split(':').next().map(str::to_owned);
                assert_eq!(when(theirs), when(ours), "{template}");
                if theirs.contains("failed to evaluate value") {
                    // Ours names the argument and the partial.
                    assert!(
                        ours.contains("the argument `x: ") && ours.contains("partial=\"x\""),
                        "{ours}"
                    );
                } else if theirs.starts_with("render") {
                    assert_eq!(theirs, ours, "{template}");
                }
            }
            _ => assert_eq!(theirs, ours, "{template}"),
        }
        rendered += usize::from(ours.is_ok());
    }
    assert!(rendered > 0, "no form rendered");
}

/// Found by fuzzing: the engine's own `render` panics here.
#[test]
fn a_number_that_does_not_fit_is_an_error() {
    let parser = liquid::ParserBuilder::with_stdlib()
        .tag(RenderTag)
        .partials(partials())
        .build()
        .unwrap();
    for markup in [
        "9223372036854775808",
        "'x', x: -9223372036854775809",
        "'x' with a[9223372036854775808] as x",
        "'x' for 9223372036854775808 as x",
        "'x' for (1..9223372036854775808) as x",
    ] {
        let error = parser
            .parse(&format!("{{% render {markup} %}}"))
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("is beyond what a template can hold"),
            "{error}"
        );
    }
    assert!(
        parser
            .parse("{% render 'x', x: -9223372036854775808 %}")
            .is_ok()
    );
}

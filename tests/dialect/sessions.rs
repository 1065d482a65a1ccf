//! Sessions and the dialect together: two registrations that know nothing of each other.

use liquid::partials::{InMemorySource, LazyCompiler};
use liquid_session::dialect::{DialectExt as _, Translated, translate};
use liquid_session::{MemoryStore, ParserBuilderExt as _, Session, SessionConfig, Sessions};

fn parser(partials: &[(&str, &str)]) -> liquid::Parser {
    let mut sources = InMemorySource::new();
    for (name, source) in partials {
        sources.add(*name, *source);
    }
    liquid::ParserBuilder::with_stdlib()
        .sessions()
        .dialect()
        .partials(LazyCompiler::new(Translated::new(sources)))
        .build()
        .unwrap()
}

fn session() -> Session {
    Sessions::new(MemoryStore::new(), SessionConfig::default()).open(None)
}

fn render_in(
    session: &Session,
    template: &str,
    partials: &[(&str, &str)],
) -> Result<String, String> {
    let page = parser(partials).parse(&translate(template));
    let globals = liquid::Object::new();
    page.and_then(|page| page.render(&session.bind(&globals)))
        .map_err(|error| error.to_string())
}

fn render(template: &str, partials: &[(&str, &str)]) -> Result<String, String> {
    render_in(&session(), template, partials)
}

#[test]
fn templates_that_the_engine_refuses_run_as_they_are() {
    let partials = [("p", "[{{ a }}{{ b }}{{ c }}]")];
    for (template, expected) in [
        (
            "{% assign f = '{\"notice\":\"Saved\"}' | parse_json %}{% if f.error == nil %}{{ f.notice }}{% endif %}",
            "Saved",
        ),
        (
            "{% assign f = context.session.sflash | parse_json %}[{{ f.notice }}]",
            "[]",
        ),
        (
            "{% session n = 'a,b' | split: ',' %}{% for i in context.session.n %}[{{ i.x }}]{% endfor %}",
            "[][]",
        ),
        ("{% include 'p', a: 1 b: 2, stray, c: x %}ok", "[12]ok"),
        (
            "{% liquid\n  session a = 1\n  # it's a note\n  unless context.session.b\n    session b = context.session.a | plus: 1\n  endunless\n  echo context.session.b\n%}",
            "2",
        ),
        ("{% assign\tx = 1 %}{{\tx }}", "1"),
        ("{{ context.session[nosuch] }}ok", "ok"),
        (
            "{% if context.session.list contains 'x' %}a{% endif %}ok",
            "ok",
        ),
        ("{% assign x = context.session.items | map: 'id' %}ok", "ok"),
        ("{% assign x = context.session.items | first %}ok", "ok"),
        ("{{ context.session.failed | plus: 1 }}", "1"),
    ] {
        assert_eq!(
            render(template, &partials).as_deref(),
            Ok(expected),
            "{template}"
        );
    }
}

#[test]
fn a_session_takes_literals_and_odd_names() {
    for (template, expected) in [
        (
            "{% assign b = 2 %}{% session a = [\"x\", b] %}{{ context.session.a[1] }}{{ context.session.a.size }}",
            "22",
        ),
        (
            "{% session a = { \"k\": [1, { \"l\": nope }] } %}{{ context.session.a.k[0] }}{{ context.session.a.k[1].l }}",
            "1",
        ),
        (
            "{% assign empty_cart = 3 %}{% session nullable = empty_cart %}{{ context.session.nullable }}",
            "3",
        ),
        (
            "{% assign o = 'k,v' | split: ',' %}{% assign i = 1 %}{% session a = o[i] | append: o[nope] %}{{ context.session.a }}",
            "v",
        ),
        (
            "{%\u{A0}session\ta\u{A0}=\t'b\u{A0}c' %}{{ context.session.a }}",
            "b\u{A0}c",
        ),
        (
            "{% session a = (1..3) %}{{ context.session.a | join: '-' }}",
            "1-2-3",
        ),
        (
            "{% session greeting %}Hello {% echo 'Ann' | upcase %}{% if true %}!{% endif %}{% endsession %}{{ context.session.greeting }}",
            "Hello ANN!",
        ),
        (
            "{% if true %}{% session a %}{% session b = 1 %}x{{ context.session.b }}{% endsession %}{% endif %}{{ context.session.a }}",
            "x1",
        ),
        (
            "{% session a = 1 %}{% session = null %}[{{ context.session.a }}]",
            "[]",
        ),
        (
            "{% session t = 'Ärger' %}{{ context.session.t.size }}{{ context.session.t.first }}{{ context.session.no.size }}",
            "5Ä",
        ),
        ("{% session a = 1 %}[{{ context.session.first }}]", "[]"),
        (
            "{% session xs = 'a,b' | split: ',' %}{{ context.session.xs.size }}{{ context.session.xs.last }}{{ context.session.xs | size }}{{ context.session.size }}",
            "2b21",
        ),
    ] {
        assert_eq!(render(template, &[]).as_deref(), Ok(expected), "{template}");
    }
}

#[test]
fn partials_see_the_session() {
    let partials = [
        ("writes", "{% session a = 1 %}{{ context.session.a }}"),
        (
            "flash",
            "{% liquid\n  assign f = context.session.flash\n  session flash = null\n  return f\n%}",
        ),
        ("block", "{% session b %}{{ x }}{% endsession %}"),
    ];
    for (template, expected) in [
        ("{% render 'writes' %}{{ context.session.a }}", "11"),
        (
            "{% session flash = 'Saved' %}{% function f = 'flash' %}{{ f }}[{{ context.session.flash }}]",
            "Saved[]",
        ),
        (
            "{% for x in (1..2) %}{% render 'block', x: x %}{% endfor %}{{ context.session.b }}",
            "2",
        ),
        ("{% render 'block', x: context.session %}ok", "ok"),
    ] {
        assert_eq!(
            render(template, &partials).as_deref(),
            Ok(expected),
            "{template}"
        );
    }
}

#[test]
fn errors_of_the_session_tag_point_at_the_author_s_text() {
    for (template, place, problem) in [
        (
            "{% session step == 2 %}{{ a | nope }}",
            "1:17",
            "`=` stores, `==` compares",
        ),
        ("a\n  {% session\tx = [1] | nofilter %}", "2:", "nofilter"),
        (
            "{% liquid\n  session a = 1\n  session b\n  echo a\n%}",
            "3:11",
            "endsession",
        ),
        (
            "{% liquid\n  session a = 1\n    session b == 2\n%}",
            "3:15",
            "`=` stores",
        ),
        (
            "{% if true %}\n{% session b %}\n{% endif %}",
            "2:12",
            "no `{% endsession %}` for this block",
        ),
        (
            "{% session x = 'a %}",
            "1:16",
            "the quote ' is never closed",
        ),
        (
            "{% session x = 99999999999999999999 %}",
            "1:16",
            "the whole number 99999999999999999999 is beyond",
        ),
        ("{% session x = @y %}", "1:16", "found `@`"),
    ] {
        let error = render(template, &[]).unwrap_err();
        assert!(
            error.contains(&format!("--> {place}")),
            "{template}: {error}"
        );
        assert!(error.contains(problem), "{template}: {error}");
        assert!(!error.contains("__dialect"), "{template}: {error}");
    }
}

#[test]
fn strict_sessions_refuse_a_variable_that_nothing_sets() {
    let parser = liquid::ParserBuilder::with_stdlib()
        .strict_sessions()
        .dialect()
        .build()
        .unwrap();
    let render = |template: &str| {
        let page = parser.parse(&translate(template)).unwrap();
        let rendered = session().render(&page, &liquid::Object::new());
        rendered.map_err(|error| error.to_string())
    };
    for template in [
        "{% session a = oops %}",
        "{% session a = oops.b %}",
        "{% session a = oops | upcase %}",
        "{% session a = 'b' | append: oops %}",
        "{% session a = [1, 2] | join: oops %}",
    ] {
        let error = render(template).unwrap_err();
        assert!(
            error.contains("nothing sets the variable `oops`"),
            "{template}: {error}"
        );
    }
    for template in [
        "{% assign x = nil %}{% session a = x %}",
        "{% assign x = 'b' %}{% session a = x.none | append: x %}",
        "{% session a = [1, 2] | join: ',' %}{% session a = context.session.none %}",
        "{% for x in (1..2) %}{% session a = x %}{% session a = forloop.index %}{% endfor %}",
    ] {
        assert_eq!(render(template), Ok(String::new()), "{template}");
    }
}

//! The tag, on templates.

use liquid_session::{MemoryStore, ParserBuilderExt as _, Session, SessionConfig, Sessions};

fn parser() -> liquid::Parser {
    liquid::ParserBuilder::with_stdlib()
        .sessions()
        .build()
        .unwrap()
}

fn session() -> Session {
    Sessions::new(MemoryStore::new(), SessionConfig::default()).open(None)
}

fn render(session: &Session, template: &str) -> String {
    let globals = liquid::object!({ "params": { "tab": "home" }, "name": "tab" });
    match parser().parse(template) {
        Ok(template) => match template.render(&session.bind(&globals)) {
            Ok(output) => output,
            Err(error) => format!("render: {error}"),
        },
        Err(error) => format!("parse: {error}"),
    }
}

#[test]
fn show() {
    let session = session();
    for template in [
        "{% session a = 1 %}{{ context.session.a }}",
        "{% session empty_cart = 'x' %}{{ context.session.empty_cart }}",
        "{% session a = nope.x | append: 'a' %}[{{ context.session.a }}]",
        "{% session a = params[name] | append: nope %}[{{ context.session.a }}]",
        "{% session a = params[nope] %}[{{ context.session.a }}]",
        "{% session a = params[nope] | strip %}[{{ context.session.a }}]",
        "{% session b %}hello {{ params.tab }}{% endsession %}[{{ context.session.b }}]",
        "{% for p in context.session %}{{ p[0] }}={{ p[1] }}{% endfor %}",
        "{{ context.session.nope.x.y }}{% if context.session.b.c == blank %}blank{% endif %}",
        "{{ context.session | json }} {{ context.session.size }} {{ context.session.session_id | size }}",
        "{% session = null %}{{ context.session | json }}",
        "{% session %}",
        "{% session = 5 %}",
        "{% session x == 5 %}",
        "{% session x: 5 %}",
        "{% session 'x' = 5 %}",
        "{% session x.y = 5 %}",
        "{% session x[y] = 5 %}",
        "{% session x y = 5 %}",
        "{% session x = 5, y = 6 %}",
        "{% session x = %}",
        "{% session x = = %}",
        "a\n{% session x = y | apend: 'a' %}",
        "{% session x = y | append %}",
        "{% session x = 99999999999999999999 %}",
        "{% session x = (1..3) %}",
        "{% session x = nullable %}",
        "{% session x = a == b %}",
        "{% session x %}abc",
        "{% if true %}{% session x %}abc{% endif %}",
        "abc{% endsession %}",
        "{% session size = 5 %}",
        "{% session x | a = 5 %}",
        "{% session 5x = 5 %}",
        "{% session x += 5 %}",
        "{% assign context = 1 %}{% session x = 5 %}",
    ] {
        println!(
            "{template}\n    {}",
            render(&session, template).replace('\n', "\n    ")
        );
    }
}

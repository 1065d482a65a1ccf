//! `context.session` on templates: lazy, live, nil for what is absent, silent about what is stored.

use crate::counted::Counted;
use liquid::partials::{EagerCompiler, InMemorySource};
use liquid_session::{ErrorKind, ParserBuilderExt as _, Session, Status};

fn parser() -> liquid::Parser {
    let mut partials = InMemorySource::new();
    partials.add("read", "{{ context.session.name }}");
    partials.add("write", "{% session name = 'from ' | append: from %}");
    partials.add(
        "deep",
        "{% render 'write', from: 'deep' %}{% include 'read' %}",
    );
    liquid::ParserBuilder::with_stdlib()
        .sessions()
        .partials(EagerCompiler::new(partials))
        .build()
        .unwrap()
}

fn render(session: &Session, template: &str) -> Result<String, String> {
    let globals = liquid::object!({
        "params": { "tab": "home" },
        "nothing": nil,
        "context": { "params": { "page": 2 }, "session": "not this one" },
    });
    parser()
        .parse(template)
        .and_then(|template| template.render(&session.bind(&globals)))
        .map_err(|error| error.to_string())
}

/// A session that holds `name`, `list`, `object`, `yes`, opened anew.
fn stored(store: &Counted) -> Session {
    let sessions = store.sessions();
    let session = sessions.open(None);
    session.set("name", "Ann").unwrap();
    session.set("list", vec!["a", "b"]).unwrap();
    session
        .set(
            "object",
            serde_json::json!({ "inner": { "n": 1.5 }, "size": 9 }),
        )
        .unwrap();
    session.set("yes", true).unwrap();
    let cookie = session.commit().unwrap().secret().unwrap().expose();
    sessions.open(Some(&cookie))
}

#[test]
fn whatever_is_absent_is_nil_on_every_path() {
    let session = stored(&Counted::default());
    for path in [
        "context.session.nope",
        "context.session['nope']",
        "context.session.nope.deeper.still",
        "context.session.name.nope",
        "context.session.name.nope.nope",
        "context.session.list.nope",
        "context.session.list[9]",
        "context.session.list[9].nope",
        "context.session.object.nope",
        "context.session.object.inner.n.nope",
        "context.session.yes.nope",
        "context.session[params.tab]",
        "context.session['\u{0}session handle']",
    ] {
        for (template, expected) in [
            ("[{{ PATH }}]", "[]"),
            ("{% if PATH %}y{% else %}n{% endif %}", "n"),
            ("{% unless PATH %}n{% endunless %}", "n"),
            ("{% if PATH == nil %}nil{% endif %}", "nil"),
            ("{% if PATH == blank %}blank{% endif %}", "blank"),
            ("{% if PATH != blank %}y{% else %}n{% endif %}", "n"),
            (
                "{% if PATH == 'x' or PATH == 1 %}y{% else %}n{% endif %}",
                "n",
            ),
            (
                "{% case PATH %}{% when 'x' %}x{% else %}else{% endcase %}",
                "else",
            ),
            ("{{ PATH | default: 'd' }}", "d"),
            ("{{ 'x' | append: PATH }}", "x"),
            ("{% for x in PATH %}x{% else %}none{% endfor %}", "none"),
            ("{% assign x = PATH %}[{{ x }}]", "[]"),
            ("{{ PATH | json }}", "null"),
        ] {
            let template = template.replace("PATH", path);
            assert_eq!(
                render(&session, &template).as_deref(),
                Ok(expected),
                "{template}"
            );
        }
    }
}

/// Found by fuzzing: a view lends its values, and a size is none that lies in it. The one path on
/// which something absent is not nil, and it tells nothing.
#[test]
fn below_a_size_there_is_nothing_but_an_error() {
    let session = stored(&Counted::default());
    for template in [
        "{{ context.session.size.x }}",
        "{{ context.session.list.size.x }}",
        "{{ context.session.name.size[0] }}",
    ] {
        let error = render(&session, template).unwrap_err();
        assert!(error.contains("Unknown index"), "{error}");
        assert!(
            !error.contains("Ann") && !error.contains("object"),
            "{error}"
        );
    }
    // A key that is called so is the value.
    let found = render(&session, "[{{ context.session.object.size.x }}]");
    assert_eq!(found.unwrap(), "[]");
    let asked = "{% if context.session.list.size.x %}y{% else %}n{% endif %}";
    assert_eq!(render(&session, asked).unwrap(), "n");
}

/// Found by fuzzing: the engine evaluates the arguments of a filter by itself.
#[test]
fn an_unknown_index_is_nil_but_in_the_argument_of_a_filter() {
    let session = stored(&Counted::default());
    let set = "{% session x = context.session[nobody] %}{{ context.session.x }}";
    assert_eq!(render(&session, set).unwrap(), "");
    let set = "{% session x = nobody.at.all | default: nobody.else %}{{ context.session.x }}";
    assert_eq!(render(&session, set).unwrap(), "");
    let error = render(
        &session,
        "{% session x = '' | default: context.session[nobody] %}",
    );
    let error = error.unwrap_err();
    assert!(error.contains("Expected scalar, found `nil`"), "{error}");
    assert!(
        !error.contains("Ann") && !error.contains("object"),
        "{error}"
    );
}

#[test]
fn there_and_empty_is_true_and_no_session_is_false() {
    let empty = Counted::default().sessions().open(None);
    let page = "{% if context.session %}on{% else %}off{% endif %}{% if context.session == blank %} blank{% endif %}{{ context.session.session_id }}";
    assert_eq!(render(&empty, page).unwrap(), "on blank");

    let off = Session::disabled("a background job has none");
    assert_eq!(render(&off, page).unwrap(), "off blank");
    assert_eq!(
        render(&off, "[{{ context.session.a.b }}]{{ context.params.page }}").unwrap(),
        "[]2"
    );
    let error = render(&off, "{% session a = 1 %}").unwrap_err();
    assert!(
        error.contains("there is no session here: a background job has none"),
        "{error}"
    );
}

#[test]
fn the_public_handle_is_not_the_secret() {
    let session = stored(&Counted::default());
    let id = render(&session, "{{ context.session.session_id }}").unwrap();
    assert_eq!(id, session.id().unwrap().unwrap().to_string());
    assert_eq!(
        render(&session, "{{ context.session.session_id }}").unwrap(),
        id
    );
}

#[test]
fn a_tag_without_a_session_says_why() {
    let page = parser().parse("{% session a = 1 %}").unwrap();
    let error = page.render(&liquid::Object::new()).unwrap_err().to_string();
    assert!(error.contains("rendered without one"), "{error}");

    let session = Counted::default().sessions().open(None);
    for template in [
        "{% assign context = 1 %}{% session a = 1 %}",
        "{% assign c = context %}{% assign context = c %}{% session a = 1 %}",
        "{% for context in (1..1) %}{% session a = 1 %}{% endfor %}",
    ] {
        let error = render(&session, template).unwrap_err();
        assert!(
            error.contains("hides the one with the session"),
            "{template}: {error}"
        );
    }
    assert!(!session.has_changes());
}

#[test]
fn a_store_that_fails_fails_the_render_and_the_commit() {
    let store = Counted::default();
    let session = stored(&store);
    store.break_it(true);
    // Where the engine can fail, it does.
    for template in [
        "{{ context.session.name }}",
        "{% if context.session.name == 'x' %}{% endif %}",
        "{% assign x = context.session.name %}",
        "{% session a = 1 %}",
    ] {
        session.discard();
        let error = render(&session, template).unwrap_err();
        assert!(!error.contains("10.1.2.3"), "{error}");
    }
    // Where it can't, the commit does.
    for template in [
        "{% if context.session.name %}{% endif %}",
        "{{ context.session | json }}",
    ] {
        session.discard();
        render(&session, template).unwrap();
        assert_eq!(session.commit().unwrap_err().kind(), ErrorKind::Unavailable);
        // And the handle's own render does.
        session.discard();
        let page = parser().parse(template).unwrap();
        let error = session.render(&page, &liquid::Object::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.to_string(), "the session store can't be reached");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("10.1.2.3"), "{cause}");
    }
    // An error page that does not need the session can still be rendered and committed.
    session.discard();
    store.break_it(false);
    assert_eq!(
        render(&session, "{{ context.session.name }}").unwrap(),
        "Ann"
    );
}

#[test]
fn a_failed_render_takes_its_writes_back_and_only_its_own() {
    let store = Counted::default();
    let session = stored(&store);
    let globals = liquid::Object::new();
    let good = parser().parse("{% session a = 1 %}").unwrap();
    let bad = parser()
        .parse("{% session a = 2 %}{% session b = 2 %}{% session name = null %}{{ nobody }}")
        .unwrap();
    session.render(&good, &globals).unwrap();
    assert_eq!(
        session.render(&bad, &globals).unwrap_err().kind(),
        ErrorKind::Render
    );
    let sorry = parser()
        .parse("{{ context.session.a }}{{ context.session.b }}{{ context.session.name }}")
        .unwrap();
    assert_eq!(session.render(&sorry, &globals).unwrap(), "1Ann");
    assert_eq!(session.commit().unwrap().status(), Status::Changed);
    assert_eq!(session.entries().unwrap().len(), 5);
}

#[test]
fn variables_beside_the_globals_come_in_any_order_and_the_last_wins() {
    let session = Counted::default().sessions().open(None);
    let globals = liquid::object!({ "b": "global", "d": "global" });
    let bound = session
        .bind(&globals)
        .with("b", 1)
        .with("c", "x")
        .with("a", true)
        .with("b", 2);
    let page = parser()
        .parse("{{ a }}{{ b }}{{ c }}{{ d }}{% session n = b %}{{ context.session.n }}")
        .unwrap();
    assert_eq!(page.render(&bound).unwrap(), "true2xglobal2");
    assert_eq!(page.render(&bound.lenient()).unwrap(), "true2xglobal2");
}

#[test]
fn lenient_globals_make_the_unknown_nil() {
    let session = Counted::default().sessions().open(None);
    let globals = liquid::object!({
        "params": { "tab": "home", "list": [1, { "a": 2 }] },
        "context": { "user": { "name": "Ann" } },
    });
    for (template, expected) in [
        (
            "[{{ nope }}{{ nope.a.b }}{{ params.nope }}{{ params.tab.nope }}{{ params.list[7] }}{{ params.list.nope }}]",
            "[]",
        ),
        (
            "{{ params.tab }}{{ params.list[1].a }}{{ params.list.size }}{{ params.list.first }}{{ params.tab.size }}{{ params.size }}",
            "home22142",
        ),
        (
            "{{ context.nope.a }}{{ context.user.nope }}{{ context.user.name }}{{ context.session.a.b }}",
            "Ann",
        ),
        ("{% session a = 1 %}{{ context.session.a }}", "1"),
        ("{{ extra.x }}{{ extra }}", "text"),
        (
            "{% for x in params.list %}{{ x | json }}{% endfor %}",
            "1{\"a\":2}",
        ),
        (
            "{% assign p = params %}{{ p.tab }}{{ params | json }}",
            r#"home{"list":[1,{"a":2}],"tab":"home"}"#,
        ),
        (
            "{% if params.list == nil or nope %}y{% else %}n{% endif %}",
            "n",
        ),
    ] {
        let template_text = template;
        let template = parser().parse(template).unwrap();
        let bound = session.bind(&globals).with("extra", "text").lenient();
        assert_eq!(
            template.render(&bound).unwrap(),
            expected,
            "{template_text}"
        );
    }
    // Loop variables are the engine's.
    let template = parser()
        .parse("{% for x in params.list %}{{ x.nope }}{% endfor %}")
        .unwrap();
    assert!(template.render(&session.bind(&globals).lenient()).is_err());
}

#[test]
fn a_future_that_binds_can_move_between_threads() {
    fn assert_send<T: Send>(_: T) {}
    let session = Counted::default().sessions().open(None);
    assert_send(async move {
        let globals = liquid::Object::new();
        let bound = session.bind(&globals);
        std::future::ready(()).await;
        drop(bound);
    });
}

/// A render and its writes run again on a conflict.
#[test]
fn rendered_transactions_count_exactly() {
    const THREADS: usize = 8;
    let page = parser()
        .parse("{% session n = context.session.n | default: 0 | plus: 1 %}{{ context.session.n }}")
        .unwrap();
    let sessions = Counted::default().sessions();
    let session = sessions.open(None);
    session.set("begun", true).unwrap();
    let cookie = session.commit().unwrap().secret().unwrap().expose();
    let globals = liquid::Object::new();
    let start = std::sync::Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                start.wait();
                for _ in 0..1_000 {
                    let session = sessions.open(Some(&cookie));
                    let render = |session: &Session| session.render(&page, &globals);
                    let (_, outcome) = session.transaction(render).unwrap();
                    assert_eq!(outcome.status(), Status::Changed);
                }
            });
        }
    });
    let n = sessions.open(Some(&cookie)).get_as::<usize>("n").unwrap();
    assert_eq!(n, Some(THREADS * 1_000));
}

//! Damaged values and unknown variables, as templates meet them.

use liquid::partials::{EagerCompiler, InMemorySource};
use liquid_session::{ErrorKind, ParserBuilderExt as _, Status};

use crate::support::*;

fn parser() -> liquid::Parser {
    let mut partials = InMemorySource::new();
    partials.add("p", "[{{ e }}]");
    liquid::ParserBuilder::with_stdlib()
        .sessions()
        .partials(EagerCompiler::new(partials))
        .build()
        .unwrap()
}

#[test]
fn a_damaged_value_is_never_empty_absent_or_false() {
    for page in [
        "{{ context.session | json }}",
        "{{ context.session }}",
        "{% for pair in context.session %}{{ pair[0] }}{% endfor %}",
        "{% assign s = context.session %}",
        "{% if context.session.a %}yes{% else %}no{% endif %}",
        "{% unless context.session.a == 1 %}no{% endunless %}",
        "{% session x = context.session.a %}",
        "{{ context.session['a'] }}",
        "{{ context.session.a.b.c | default: 'none' }}",
        "{% capture x %}{{ context.session.a }}{% endcapture %}",
    ] {
        let (sessions, clock) = site();
        let jar = begin(&sessions, None);
        damage_value(&sessions, &clock);
        let template = parser().parse(page).unwrap();
        let session = sessions.open(Some(&jar));
        let error = session
            .render(&template, &liquid::Object::new())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{page}");
        // Rendered behind the session's back, the commit says so.
        let session = sessions.open(Some(&jar));
        let _ = template.render(&session.bind(&liquid::Object::new()));
        assert_eq!(
            session.commit().unwrap_err().kind(),
            ErrorKind::Corrupt,
            "{page}"
        );
    }
}

#[test]
fn keys_beside_a_damaged_value_can_be_read_and_a_new_value_heals_it() {
    let (sessions, clock) = site();
    let jar = begin(&sessions, None);
    damage_value(&sessions, &clock);
    let session = sessions.open(Some(&jar));
    session.set("b", 2).unwrap();
    assert_eq!(session.commit().unwrap().status(), Status::Changed);
    let session = sessions.open(Some(&jar));
    assert_eq!(session.get("b").unwrap(), Some(2.into()));
    assert_eq!(session.keys().unwrap(), ["a", "b"]);
    session.set("a", 3).unwrap();
    let _ = session.commit().unwrap();
    assert_eq!(sessions.open(Some(&jar)).get("a").unwrap(), Some(3.into()));
}

#[test]
fn an_unknown_root_variable_in_a_session_value_is_reported() {
    for (page, reported) in [
        ("{% session a = session.cart %}", true),
        ("{% session a = nobody %}", true),
        ("{% session a = nobody.b | default: 2 %}", true),
        ("{% session a = context.session.missing %}", false),
        ("{% session a = nil %}", false),
    ] {
        let (log, _guard) = Log::listen();
        let (sessions, _) = site();
        let session = sessions.open(Some(&begin(&sessions, None)));
        let template = parser().parse(page).unwrap();
        session.render(&template, &liquid::Object::new()).unwrap();
        assert_eq!(
            sessions.counters().unknown_variables,
            u64::from(reported),
            "{page}"
        );
        assert_eq!(log.take().contains("unknown variable"), reported, "{page}");
        let strict = liquid::ParserBuilder::with_stdlib()
            .strict_sessions()
            .build()
            .unwrap();
        let template = strict.parse(page).unwrap();
        let strict = session.render(&template, &liquid::Object::new());
        assert_eq!(strict.is_err(), reported, "{page}");
    }
}

#[test]
fn an_unknown_argument_of_a_partial_is_named_with_the_partial() {
    let (sessions, _) = site();
    for (page, argument) in [
        ("{% render 'p', e: o.errors %}", "`e: o[\"errors\"]`"),
        ("{% render 'p', e: nobody %}", "`e: nobody`"),
        ("{% render 'p' with o.x as e %}", "`e: o[\"x\"]`"),
    ] {
        let template = parser().parse(page).unwrap();
        let globals = liquid::object!({ "o": {} });
        let error = sessions
            .open(None)
            .render(&template, &globals)
            .unwrap_err()
            .to_string();
        assert!(error.contains(argument), "{error}");
        assert!(
            error.contains("'p'") || error.contains("\"p\"") || error.contains("=p"),
            "{error}"
        );
    }
}

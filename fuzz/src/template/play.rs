//! Plays a plan by the engine and by the model.

use liquid::partials::{EagerCompiler, InMemorySource};
use liquid_session::{Error, ErrorKind, ParserBuilderExt as _, SessionConfig, Sessions};

use super::counted::Counted;
use super::grammar::Plan;
use super::model::{Limits, Render, Session};
use super::print::Nodes;
use super::value::{Map, Stop, Value};

const SMALL: Limits = Limits {
    bytes: 120,
    keys: 4,
};
const LARGE: Limits = Limits {
    bytes: 4096,
    keys: 256,
};

/// `false` for a plan that is not comparable: it meets what the engine leaves open, or does too much.
pub fn play(plan: &Plan) -> bool {
    let params = serde_json::json!({
        "a": "b", "n": 3, "cart": [1, "two"], "b": {"a": true}, "empty_cart": [], "nil_ok": null,
    });
    let Some(expected) = by_model(plan, &params) else {
        return false;
    };
    by_engine(plan, &params, &expected);
    true
}

/// What one request comes to.
struct Expected {
    page: Result<String, ()>,
    layout: Option<Result<String, ()>>,
    session: Session,
}

fn limits(plan: &Plan) -> Limits {
    if plan.small { SMALL } else { LARGE }
}

fn by_model(plan: &Plan, params: &serde_json::Value) -> Option<(Map, Vec<Expected>)> {
    let params = Value::from(params.clone());
    let limits = limits(plan);
    let mut session = Session::default();
    for (key, literal) in &plan.before {
        let _ = session.set(key.0, &(*literal).into(), limits);
    }
    let before = session.map.clone();
    let render = |session: &mut Session, nodes: &[_], content: Option<&str>| {
        let mut render = Render::new(plan, limits, session.clone(), params.clone());
        if let Some(content) = content {
            render = render.with_content(content.to_owned());
        }
        let (rendered, after) = render.run(nodes);
        match rendered {
            Ok(output) => {
                *session = after;
                Some(Ok(output))
            }
            // All that this render wrote is taken back.
            Err(Stop::Fails) => Some(Err(())),
            Err(Stop::Unknown) => None,
        }
    };
    let mut all = Vec::new();
    for request in &plan.requests {
        session.written = false;
        let page = render(&mut session, &request.page, None)?;
        let layout = match (&request.layout, &page) {
            (Some(layout), Ok(page)) => Some(render(&mut session, layout, Some(page))?),
            _ => None,
        };
        all.push(Expected {
            page,
            layout,
            session: session.clone(),
        });
    }
    Some((before, all))
}

fn by_engine(plan: &Plan, params: &serde_json::Value, (before, all): &(Map, Vec<Expected>)) {
    let mut partials = InMemorySource::new();
    for (n, partial) in plan.partials.iter().enumerate() {
        partials.add(format!("p{n}"), Nodes(partial).to_string());
    }
    let builder = liquid::ParserBuilder::with_stdlib().partials(EagerCompiler::new(partials));
    let builder = if plan.strict {
        builder.strict_sessions()
    } else {
        builder.sessions()
    };
    let parser = builder.build().expect("the grammar is Liquid's");
    let globals = liquid::model::to_object(&serde_json::json!({ "params": params }));
    let globals = globals.expect("it is an object");
    let limits = limits(plan);
    let config = SessionConfig::builder()
        .max_bytes(limits.bytes)
        .max_keys(limits.keys)
        .build()
        .expect("these are allowed");
    let counted = Counted::default();
    let sessions = Sessions::new(counted.clone(), config);

    let session = sessions.open(None);
    for (key, literal) in &plan.before {
        // From the program every value but nil is stored; the tag's rules are the template's.
        match Value::from(*literal).to_store() {
            Some(value) => {
                let _ = session.set(key.0, stored(&value));
            }
            None => {
                session.remove(key.0).expect("the store works");
            }
        }
    }
    let outcome = session.commit().expect("the store works");
    let mut cookie = outcome.secret().map(|secret| secret.expose());
    assert_eq!(cookie.is_some(), !before.is_empty());
    assert_eq!(held(&sessions, cookie.as_deref()), *before);

    for (request, expected) in plan.requests.iter().zip(all) {
        let before = counted.calls();
        let session = sessions.open(cookie.as_deref());
        let render = |nodes, content: Option<&str>| {
            let source = Nodes(nodes).to_string();
            let template = parser.parse(&source);
            let template = template.unwrap_or_else(|error| panic!("{source}: {error}"));
            let mut bound = session.bind(&globals);
            if let Some(content) = content {
                bound = bound.with("content_for_layout", content);
            }
            session.render_bound(&template, &bound)
        };
        let page = render(&request.page, None);
        compare("page", &page, &expected.page, plan);
        if let (Some(layout), Some(expected), Ok(page)) = (&request.layout, &expected.layout, &page)
        {
            compare("layout", &render(layout, Some(page)), expected, plan);
        }
        let seen = session.entries().expect("the store works");
        assert_eq!(map(seen), expected.session.map, "in the request, {plan:?}");

        let loads = counted.loads() - before.0;
        assert!(loads <= 1, "{loads} loads, {plan:?}");
        let outcome = session.commit().expect("within the limits");
        assert_eq!(counted.loads() - before.0, loads, "{plan:?}");
        let commits = counted.commits() - before.1;
        assert!(commits <= usize::from(expected.session.written), "{plan:?}");
        let is_new = cookie.is_none() && !expected.session.map.is_empty();
        assert_eq!(outcome.secret().is_some(), is_new, "{plan:?}");
        if let Some(secret) = outcome.secret() {
            cookie = Some(secret.expose());
        }
        let kept = held(&sessions, cookie.as_deref());
        assert_eq!(kept, expected.session.map, "in the store, {plan:?}");
    }
}

fn compare(what: &str, found: &Result<String, Error>, expected: &Result<String, ()>, plan: &Plan) {
    match (found, expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected, "the {what} of {plan:?}"),
        (Err(error), Err(())) => assert_eq!(error.kind(), ErrorKind::Render),
        (found, expected) => panic!("the {what} is {found:?}, by the model {expected:?}: {plan:?}"),
    }
}

fn held(sessions: &Sessions, cookie: Option<&str>) -> Map {
    let session = sessions.open(cookie);
    map(session.entries().expect("the store works"))
}

fn map(entries: Vec<(String, liquid_session::Value)>) -> Map {
    let entries = entries.iter();
    entries
        .map(|(key, value)| (key.clone(), value.into()))
        .collect()
}

fn stored(value: &Value) -> serde_json::Value {
    serde_json::from_str(&value.json()).expect("it is JSON")
}

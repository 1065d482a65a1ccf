//! Rendering with a session against rendering with plain globals.

use std::hint::black_box;

use liquid::model::Value;
use liquid::partials::{EagerCompiler, InMemorySource};
use liquid::{ObjectView, Template, ValueView};
use liquid_session::config::SensitiveData;
use liquid_session::{MemoryStore, ParserBuilderExt as _, Session, SessionConfig, Sessions};

use crate::pair::Table;

pub(crate) fn parse(text: &str) -> Template {
    let mut partials = InMemorySource::new();
    partials.add("row", "<li>{{ product.name }} {{ product.price }}</li>");
    liquid::ParserBuilder::with_stdlib()
        .sessions()
        .partials(EagerCompiler::new(partials))
        .build()
        .unwrap()
        .parse(text)
        .unwrap()
}

pub(crate) const TINY: &str = "<h1>{{ title }}</h1>";
pub(crate) const PRODUCTS: &str =
    "<h1>{{ title }}</h1>{% for product in products %}{% include 'row' %}{% endfor %}";

/// A loaded session of ten keys.
pub(crate) fn session() -> Session {
    let config = SessionConfig::builder().max_keys(2_000).max_bytes(1 << 20);
    let sessions = Sessions::new(MemoryStore::new(), config.build().unwrap());
    let session = sessions.open(None);
    for key in 0..9 {
        session
            .set(&format!("key{key}"), format!("value {key}"))
            .unwrap();
    }
    session.set("k", 5).unwrap();
    let cookie = session.commit().unwrap().secret().unwrap().expose();
    let session = sessions.open(Some(&cookie));
    session.get("k").unwrap();
    session
}

pub(crate) fn globals() -> liquid::Object {
    let products: Vec<Value> = (0..20)
        .map(|n| Value::Object(liquid::object!({ "name": format!("product {n}"), "price": n })))
        .collect();
    liquid::object!({ "products": products, "title": "Shop" })
}

/// The same globals with the session's values as a plain object.
fn plain(session: &Session) -> liquid::Object {
    let mut values = liquid::Object::new();
    for (key, value) in session.entries().unwrap() {
        values.insert(key.into(), value.to_value());
    }
    let mut globals = globals();
    let context = liquid::object!({ "session": values });
    globals.insert("context".into(), Value::Object(context));
    globals
}

fn render(template: &Template, globals: &dyn ObjectView) {
    black_box(template.render(globals).unwrap());
}

pub(crate) fn run(table: &mut Table) {
    let session = session();
    let (globals, plain) = (globals(), plain(&session));

    for (name, value, target) in [
        ("write: a number", "5", "<= 1.15"),
        (
            "write: 25 characters",
            "'abcdefghijklmnopqrstuvwxy'",
            "<= 1.10",
        ),
    ] {
        let ours = parse(&format!("{{% session k = {value} %}}"));
        let peer = parse(&format!("{{% assign k = {value} %}}"));
        table.pair(
            name,
            target,
            || render(&ours, &session.bind(&globals)),
            || render(&peer, &globals),
        );
        session.discard();
    }

    for (name, text, target) in [
        (
            "read: {{ context.session.k }}",
            "{{ context.session.k }}",
            "<= 1.00",
        ),
        (
            "read: {% if context.session.k == 5 %}",
            "{% if context.session.k == 5 %}{% endif %}",
            "<= 1.15",
        ),
    ] {
        let template = parse(text);
        table.pair(
            name,
            target,
            || render(&template, &session.bind(&globals)),
            || render(&template, &plain),
        );
    }

    guarded(table, &globals);
    storefront(table, &session, &globals, &plain);
    for keys in [1, 100, 1_000] {
        let tags = |tag: &str, prefix: &str| {
            (0..keys)
                .map(|n| format!("{{% {tag} key{n} = {n} %}}{{{{ {prefix}key{n} }}}}"))
                .collect::<String>()
        };
        let ours = parse(&tags("session", "context.session."));
        let peer = parse(&tags("assign", ""));
        table.pair(
            &format!("write and read {keys} different keys in one render"),
            "printed",
            || {
                render(&ours, &session.bind(&globals));
                session.discard();
            },
            || render(&peer, &globals),
        );
    }
}

/// What the guard against sensitive data costs a write.
fn guarded(table: &mut Table, globals: &liquid::Object) {
    let [warn, allow] = [SensitiveData::Warn, SensitiveData::Allow].map(|handling| {
        let config = SessionConfig::builder().sensitive_data(handling);
        Sessions::new(MemoryStore::new(), config.build().unwrap()).open(None)
    });
    for (name, value) in [
        ("25 letters", "'abcdefghijklmnopqrstuvwxy'"),
        ("25 characters with digits", "'order 2026-000123 of 3456'"),
    ] {
        let template = parse(&format!("{{% session k = {value} %}}"));
        table.pair(
            &format!("sensitive_data: warn against allow, {name}"),
            "printed",
            || render(&template, &warn.bind(globals)),
            || render(&template, &allow.bind(globals)),
        );
    }
}

/// Page, layout and partial with five reads and three writes.
fn storefront(
    table: &mut Table,
    session: &Session,
    globals: &liquid::Object,
    plain: &liquid::Object,
) {
    let page = |tag: &str, last: &str| {
        parse(&format!(
            "{{% {tag} last = 'shop' %}}{{% {tag} visits = 7 %}}{{% {tag} tab = title %}}\
             {{{{ context.session.key1 }}}}{{{{ context.session.key2 }}}}{PRODUCTS}{{{{ {last} }}}}"
        ))
    };
    let layout = parse(
        "<body class={{ context.session.key3 }}>{{ context.session.key4 }}{{ content_for_layout }}</body>",
    );
    let (ours, peer) = (
        page("session", "context.session.last"),
        page("assign", "last"),
    );
    table.pair(
        "page, layout, partial: 5 reads, 3 writes, 20 products",
        "<= 1.06",
        || {
            let content = ours.render(&session.bind(globals)).unwrap();
            let bound = session.bind(globals).with("content_for_layout", content);
            render(&layout, &bound);
            session.discard();
        },
        || {
            let content = peer.render(plain).unwrap();
            render(&layout, &WithContent(plain, Value::scalar(content)));
        },
    );
}

/// Plain globals with one more, without copying them: the cheapest that a peer can do.
#[derive(Debug)]
struct WithContent<'g>(&'g liquid::Object, Value);

impl ValueView for WithContent<'_> {
    fn as_debug(&self) -> &dyn std::fmt::Debug {
        self
    }
    fn render(&self) -> liquid::model::DisplayCow<'_> {
        self.0.render()
    }
    fn source(&self) -> liquid::model::DisplayCow<'_> {
        self.0.source()
    }
    fn type_name(&self) -> &'static str {
        "object"
    }
    fn query_state(&self, state: liquid::model::State) -> bool {
        self.0.query_state(state)
    }
    fn to_kstr(&self) -> liquid::model::KStringCow<'_> {
        self.0.to_kstr()
    }
    fn to_value(&self) -> Value {
        self.0.to_value()
    }
    fn as_object(&self) -> Option<&dyn ObjectView> {
        Some(self)
    }
}

impl ObjectView for WithContent<'_> {
    fn as_value(&self) -> &dyn ValueView {
        self
    }
    fn size(&self) -> i64 {
        ObjectView::size(self.0) + 1
    }
    fn keys<'k>(&'k self) -> Box<dyn Iterator<Item = liquid::model::KStringCow<'k>> + 'k> {
        ObjectView::keys(self.0)
    }
    fn values<'k>(&'k self) -> Box<dyn Iterator<Item = &'k dyn ValueView> + 'k> {
        ObjectView::values(self.0)
    }
    fn iter<'k>(
        &'k self,
    ) -> Box<dyn Iterator<Item = (liquid::model::KStringCow<'k>, &'k dyn ValueView)> + 'k> {
        ObjectView::iter(self.0)
    }
    fn contains_key(&self, index: &str) -> bool {
        index == "content_for_layout" || ObjectView::contains_key(self.0, index)
    }
    fn get<'s>(&'s self, index: &str) -> Option<&'s dyn ValueView> {
        if index == "content_for_layout" {
            return Some(&self.1);
        }
        ObjectView::get(self.0, index)
    }
}

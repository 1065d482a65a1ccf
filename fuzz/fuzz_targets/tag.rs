//! Any markup of the session tag, its block form and `render`: no panic, no value of the session in
//! an error, one key written at most, nothing printed.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use libfuzzer_sys::{Corpus, fuzz_target};
use liquid::partials::{EagerCompiler, InMemorySource};
use liquid_session::{MemoryStore, ParserBuilderExt as _, SessionConfig, Sessions, Value};

type Partials = EagerCompiler<InMemorySource>;

fn builder() -> liquid::ParserBuilder<Partials> {
    let mut partials = InMemorySource::new();
    partials.add("p", "{{ context.session.color.size }}{{ x }}");
    liquid::ParserBuilder::with_stdlib().partials(EagerCompiler::new(partials))
}

static LENIENT: LazyLock<liquid::Parser> = LazyLock::new(|| {
    builder()
        .sessions()
        .build()
        .expect("the partials are valid")
});
static STRICT: LazyLock<liquid::Parser> = LazyLock::new(|| {
    builder()
        .strict_sessions()
        .build()
        .expect("the partials are valid")
});

/// In every value of the session.
const CANARY: &str = "c4n4ry";

type Map = BTreeMap<String, Value>;

fn stored() -> Map {
    let text = |n: u8| Value::from(format!("{CANARY}-{n}"));
    Map::from([
        ("cart".to_owned(), Value::from(vec![text(1), text(2)])),
        ("color".to_owned(), text(3)),
        (
            "o".to_owned(),
            Map::from([("a".to_owned(), text(4))]).into(),
        ),
    ])
}

static STORED: LazyLock<(Sessions, String)> = LazyLock::new(|| {
    let sessions = Sessions::new(MemoryStore::with_capacity(1), SessionConfig::default());
    let session = sessions.open(None);
    for (key, value) in stored() {
        session.set(&key, value).expect("it fits");
    }
    let outcome = session.commit().expect("the store works");
    let cookie = outcome.secret().expect("it is new").expose();
    (sessions, cookie)
});

/// Parses and renders; what is printed and what the session holds then.
fn play(parser: &liquid::Parser, template: &str, names_input: bool) -> Result<(String, Map), bool> {
    let shown = |error: &dyn std::error::Error| {
        assert!(
            names_input || !error.to_string().contains(CANARY),
            "{template}: {error}"
        );
    };
    let template = parser.parse(template).map_err(|error| {
        shown(&error);
        false
    })?;
    let session = STORED.0.open(Some(&STORED.1));
    let globals = liquid::object!({ "params": { "k": "color", "n": 1, "list": ["a", "b"] } });
    let output = session.render(&template, &globals).map_err(|error| {
        shown(&error);
        assert!(
            !session.has_changes(),
            "a render that failed left something"
        );
        true
    })?;
    let after = session.entries().expect("the store works");
    Ok((output, after.into_iter().collect()))
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(markup) = std::str::from_utf8(data) else {
        return Corpus::Reject;
    };
    // One tag, and no other place in which a value could stand.
    let others = ["{%", "%}", "{{", "}}", CANARY];
    if others.iter().any(|other| markup.contains(other)) {
        return Corpus::Reject;
    }
    // The engine names the input of a filter that fails, and an index that is not there.
    let names_input = markup.contains('|');

    let tag = format!("{{% session {markup} %}}");
    let lenient = play(&LENIENT, &tag, names_input);
    let strict = play(&STRICT, &tag, names_input || markup.contains('['));
    let parses = |played: &Result<_, bool>| !matches!(played, Err(false));
    assert_eq!(parses(&lenient), parses(&strict));
    if let Ok((output, after)) = &lenient {
        assert_eq!(output, "");
        one_key_at_most(after, markup);
    }
    if let Ok(strict) = &strict
        && is_certain(markup)
    {
        assert_eq!(lenient.as_ref().ok(), Some(strict));
    }

    let block = format!("{tag}text {{{{ params.k }}}}{{% endsession %}}");
    if let Ok((output, after)) = play(&LENIENT, &block, names_input) {
        assert_eq!(output, "");
        one_key_at_most(&after, markup);
        let key = markup.trim();
        assert_eq!(after.get(key), Some(&Value::from("text color")));
        // With `=` the tag has no end.
        assert!(!parses(&lenient));
    }

    // The engine counts a range out before it begins.
    let render = format!("{{% render {markup} %}}");
    // It names the partial that it did not find, as the engine's own does.
    let names_partial = !markup.trim_start().starts_with(['\'', '"']);
    let names_input = names_input || names_partial || markup.contains('[');
    if markup.contains("..") {
        let _ = LENIENT.parse(&render);
    } else if let Ok((_, after)) = play(&LENIENT, &render, names_input) {
        assert_eq!(after, stored());
    }
    Corpus::Keep
});

fn one_key_at_most(after: &Map, markup: &str) {
    let before = stored();
    let keys = before.keys().chain(after.keys());
    let mut changed: Vec<_> = keys
        .filter(|key| before.get(*key) != after.get(*key))
        .collect();
    changed.sort();
    changed.dedup();
    if markup.trim_start().starts_with('=') {
        assert!(after.is_empty());
    } else if let [key] = *changed {
        assert!(markup.trim_start().starts_with(&**key), "{key}");
    } else {
        assert!(changed.is_empty(), "{changed:?}");
    }
}

/// Whether the value is the same each time: no clock, no random number, and no object of several
/// keys, whose order is.
fn is_certain(markup: &str) -> bool {
    let chance = ["uuid", "now", "today"];
    let whole = markup.replace("context.session.", "");
    !chance.iter().any(|word| markup.contains(word))
        && !["context", "params"].iter().any(|name| {
            whole
                .match_indices(name)
                .any(|(at, _)| !whole[at + name.len()..].starts_with('.'))
        })
}

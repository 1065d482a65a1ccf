//! The Liquid dialect: what it adds to the engine, what stays as the engine has it, and where errors
//! point. Expected outputs are those of Ruby Liquid 5.13, where nothing else is said.
#![allow(clippy::unwrap_used)]

mod equivalence;
mod hostile;
mod hosts;
mod platform;
mod positions;
mod sessions;
mod standard;

use liquid::Object;
use liquid::partials::{InMemorySource, LazyCompiler};
use liquid_session::dialect::{DialectExt as _, Translated, translate};

/// A parser with these partials.
fn parser(partials: &[(&str, &str)]) -> liquid::Parser {
    let mut sources = InMemorySource::new();
    for (name, source) in partials {
        sources.add(*name, *source);
    }
    liquid::ParserBuilder::with_stdlib()
        .dialect()
        .partials(LazyCompiler::new(Translated::new(sources)))
        .build()
        .unwrap()
}

fn object(json: serde_json::Value) -> Object {
    let value = liquid::model::to_value(&json).unwrap();
    value.into_object().unwrap()
}

/// What a template prints, or the error's text.
fn render_with(
    template: &str,
    partials: &[(&str, &str)],
    globals: serde_json::Value,
) -> Result<String, String> {
    let page = parser(partials).parse(&translate(template));
    page.and_then(|page| page.render(&object(globals)))
        .map_err(|error| error.to_string())
}

fn render(template: &str) -> Result<String, String> {
    render_with(template, &[], serde_json::json!({}))
}

/// Each template prints what stands beside it.
fn all_print(globals: &serde_json::Value, cases: &[(&str, &str)]) {
    for (template, expected) in cases {
        let printed = render_with(template, &[], globals.clone());
        assert_eq!(printed.as_deref(), Ok(*expected), "{template}");
    }
}

/// Each template fails with what stands beside it in the error.
fn all_fail(cases: &[(&str, &str)]) {
    for (template, expected) in cases {
        match render(template) {
            Ok(printed) => panic!("{template} printed {printed:?}"),
            Err(error) => assert!(error.contains(expected), "{template}: {error}"),
        }
    }
}

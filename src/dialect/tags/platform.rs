//! `parse_json`, `export` and `log`.

use std::io::Write;

use liquid_core::model::KString;
use liquid_core::{Error, Result, Value, ValueCow};

use super::super::expression::{Chain, Expr, Key};
use super::super::frames::export;
use super::super::markup::Brackets;
use super::super::node::{Body, Flow, Node, Scope};
use super::super::parse::{Parsed, Parser};
use super::super::scan::Tag;
use super::super::values;
use super::variables::Target;

#[derive(Debug)]
struct ParseJson {
    target: Target,
    body: Body,
}

pub(super) fn parse_json(parser: &mut Parser<'_>, tag: Tag) -> Result<Parsed> {
    let target = Target::parse_alone(&mut parser.markup(tag), "{% parse_json name %}")?;
    let body = parser.body(tag, "endparse_json")?;
    Ok(Parsed::silent(ParseJson { target, body }))
}

impl Node for ParseJson {
    fn render(&self, _out: &mut dyn Write, scope: Scope<'_>) -> Result<Flow> {
        let (text, flow) = self.body.capture(scope)?;
        let json: serde_json::Value = serde_json::from_str(&text).map_err(|why| {
            // The reason has line and column, and nothing of the text.
            Error::with_msg(format!("`parse_json`: the body is not JSON: {why}"))
        })?;
        self.target.set(scope.runtime, from_json(json))?;
        Ok(flow)
    }
}

/// Not through liquid's own `Deserialize`, which makes dates of texts that look like dates.
fn from_json(json: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::scalar(value),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Value::scalar(number),
            (None, number) => Value::scalar(number.unwrap_or_default()),
        },
        Json::String(text) => Value::scalar(text),
        Json::Array(items) => Value::array(items.into_iter().map(from_json)),
        Json::Object(entries) => Value::Object(
            entries
                .into_iter()
                .map(|(key, value)| (KString::from_string(key), from_json(value)))
                .collect(),
        ),
    }
}

#[derive(Debug)]
struct Export {
    names: Vec<(KString, Expr)>,
    namespace: Option<Expr>,
}

pub(super) fn parse_export(parser: &mut Parser<'_>, tag: Tag) -> Result<Parsed> {
    const FORM: &str = "{% export name, other, namespace: 'mine' %}";
    let mut markup = parser.markup(tag);
    let mut export = Export {
        names: Vec::new(),
        namespace: None,
    };
    while !markup.is_end() {
        let name = markup.name("the name of a variable")?;
        if name == "namespace" && markup.eat(":") {
            export.namespace = Some(markup.value(Brackets::Lookup)?);
        } else {
            let value = markup.path(vec![Key::Name(name.clone())])?;
            export.names.push((name, value));
        }
        if !markup.eat(",") {
            break;
        }
    }
    markup.expect_end(FORM)?;
    if export.names.is_empty() {
        return Err(parser.source.error(
            tag.all,
            &format!("there is nothing to export; write {FORM}"),
        ));
    }
    Ok(Parsed::silent(export))
}

impl Node for Export {
    fn render(&self, _out: &mut dyn Write, scope: Scope<'_>) -> Result<Flow> {
        let namespace = match &self.namespace {
            Some(namespace) => Some(namespace.evaluate(scope.runtime)?),
            None => None,
        };
        let namespace = namespace
            .as_ref()
            .map(|namespace| values::text(namespace.as_view()));
        for (name, value) in &self.names {
            let value = value.evaluate(scope.runtime)?.into_owned();
            export(scope.runtime, namespace.as_deref(), name.clone(), value);
        }
        Ok(Flow::Next)
    }
}

#[derive(Debug)]
struct Log {
    value: Chain,
    arguments: Vec<(KString, Expr)>,
}

pub(super) fn parse_log(parser: &mut Parser<'_>, tag: Tag) -> Result<Parsed> {
    let mut markup = parser.markup(tag);
    let value = markup.chain(parser.options, Brackets::Array)?;
    let arguments = markup.lax_arguments()?;
    Ok(Parsed::silent(Log { value, arguments }))
}

impl Node for Log {
    fn render(&self, _out: &mut dyn Write, scope: Scope<'_>) -> Result<Flow> {
        let value = scope.evaluate(&self.value)?;
        let kind = self.arguments.iter().rev().find(|(name, _)| name == "type");
        let kind = match kind {
            Some((_, kind)) => kind.evaluate(scope.runtime)?,
            None => ValueCow::Owned(Value::scalar("info")),
        };
        event(
            &values::text(value.as_view()),
            &values::text(kind.as_view()),
        );
        Ok(Flow::Next)
    }
}

/// Escaped: what a visitor sent may be in it, and must not begin a line of the log.
#[cfg(feature = "tracing")]
fn event(message: &str, kind: &str) {
    let (message, kind) = (message.escape_debug(), kind.escape_debug());
    tracing::info!(target: "liquid_session::dialect", %kind, "{message}");
}

#[cfg(not(feature = "tracing"))]
fn event(_message: &str, _kind: &str) {}

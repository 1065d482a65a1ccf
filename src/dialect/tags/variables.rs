//! `assign`, `hash_assign`, `capture`, `increment` and `decrement`.

use std::io::Write;

use liquid_core::model::{KString, ScalarCow};
use liquid_core::{Error, Object, Result, Runtime, Value, ValueCow, ValueView as _};

use super::super::expression::{Chain, Key};
use super::super::markup::Markup;
use super::super::node::{Body, Flow, Node, Scope, unwritten};
use super::super::parse::{Parsed, Parser};
use super::super::scan::Tag;
use super::super::values;

/// What is assigned to: a variable, or a member of one.
#[derive(Debug)]
pub(super) struct Target {
    name: KString,
    members: Vec<Key>,
}

/// How far an index may lie behind the end of an array: what is between becomes nil.
const LARGEST_INDEX: usize = 10_000;

impl Target {
    pub(super) fn parse(markup: &mut Markup<'_>) -> Result<Self> {
        markup.peek();
        let start = markup.position();
        let name = markup.name("the name of a variable")?;
        let members = markup.keys(Vec::new())?;
        if name == "context" && !members.is_empty() {
            let path = markup.text_from(start).to_owned();
            return Err(markup.error(&format!(
                "can't assign to `{path}`: `context` is the host's; assign to a variable, or use the host's own tag"
            )));
        }
        Ok(Self { name, members })
    }

    /// The target alone. Ruby takes no notice of quotes around it.
    pub(super) fn parse_alone(markup: &mut Markup<'_>, form: &str) -> Result<Self> {
        let quote = markup.peek().filter(|c| ['\'', '"'].contains(c));
        let quote = quote.map(String::from).unwrap_or_default();
        markup.eat(&quote);
        let target = Self::parse(markup)?;
        markup.eat(&quote);
        markup.expect_end(form)?;
        Ok(target)
    }

    /// The target, then `=`.
    pub(super) fn parse_assigned(markup: &mut Markup<'_>, form: &str) -> Result<Self> {
        let target = Self::parse(markup)?;
        if markup.eat("=") && markup.peek() != Some('=') {
            return Ok(target);
        }
        let found = markup.found();
        Err(markup.error(&format!("expected `=`, found {found}; write {form}")))
    }

    pub(super) fn set(&self, runtime: &dyn Runtime, value: Value) -> Result<()> {
        if self.members.is_empty() {
            values::check_depth(&value)?;
            runtime.set_global(self.name.clone(), value);
            return Ok(());
        }
        let mut keys = Vec::new();
        for member in &self.members {
            let key = member.evaluate(runtime)?;
            keys.push(key.ok_or_else(|| {
                Error::with_msg(format!(
                    "can't set a member of `{}`: the key is nil, an array or an object, expected a string or a number",
                    self.name
                ))
            })?);
        }
        let root = runtime.try_get(&[ScalarCow::new(self.name.as_str())]);
        let mut root = root.map(ValueCow::into_owned).unwrap_or_default();
        set_member(&mut root, &keys, value).map_err(|problem| {
            Error::with_msg(format!("can't set a member of `{}`: {problem}", self.name))
        })?;
        values::check_depth(&root)?;
        runtime.set_global(self.name.clone(), root);
        Ok(())
    }
}

/// Sets a member, and makes the objects that are missing on the way.
fn set_member(place: &mut Value, keys: &[ScalarCow<'_>], value: Value) -> Result<(), String> {
    let Some((key, rest)) = keys.split_first() else {
        *place = value;
        return Ok(());
    };
    if place.is_nil() {
        *place = Value::Object(Object::new());
    }
    match place {
        Value::Object(object) => {
            let member = object
                .entry(key.to_kstr().into_owned())
                .or_insert(Value::Nil);
            set_member(member, rest, value)
        }
        Value::Array(items) => {
            let length = items.len();
            let index = key.to_integer().and_then(|index| {
                if index < 0 {
                    length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
                } else {
                    usize::try_from(index).ok()
                }
            });
            match index {
                Some(index) if index <= length + LARGEST_INDEX => {
                    if index >= length {
                        items.resize(index + 1, Value::Nil);
                    }
                    set_member(&mut items[index], rest, value)
                }
                _ => Err(format!(
                    "the array has {length} items, found the index `{}`",
                    key.to_kstr()
                )),
            }
        }
        other => Err(format!(
            "expected an object or an array, found {}",
            values::article(other)
        )),
    }
}

#[derive(Debug)]
struct Assign {
    target: Target,
    value: Chain,
}

pub(super) fn parse_assign(parser: &mut Parser<'_>, tag: Tag) -> Result<Parsed> {
    const FORM: &str = "{% assign name = value | filter %}";
    let mut markup = parser.markup(tag);
    let target = Target::parse_assigned(&mut markup, FORM)?;
    let value = markup.chain_or_condition(parser.options)?;
    markup.expect_end(FORM)?;
    Ok(Parsed::silent(Assign { target, value }))
}

impl Node for Assign {
    fn render(&self, _out: &mut dyn Write, scope: Scope<'_>) -> Result<Flow> {
        let value = scope.evaluate(&self.value)?.into_owned();
        self.target.set(scope.runtime, value)?;
        Ok(Flow::Next)
    }
}

#[derive(Debug)]
struct Capture {
    target: Target,
    body: Body,
}

pub(super) fn parse_capture(parser: &mut Parser<'_>, tag: Tag) -> Result<Parsed> {
    let target = Target::parse_alone(&mut parser.markup(tag), "{% capture name %}")?;
    let body = parser.body(tag, "endcapture")?;
    Ok(Parsed::silent(Capture { target, body }))
}

impl Node for Capture {
    fn render(&self, _out: &mut dyn Write, scope: Scope<'_>) -> Result<Flow> {
        let (text, flow) = self.body.capture(scope)?;
        self.target.set(scope.runtime, Value::scalar(text))?;
        Ok(flow)
    }
}

#[derive(Debug)]
struct Counter {
    name: KString,
    increment: bool,
}

pub(super) fn parse_counter(parser: &mut Parser<'_>, tag: Tag, name: &str) -> Result<Parsed> {
    let mut markup = parser.markup(tag);
    let counter = markup.name("the name of a counter")?;
    markup.expect_end(&format!("{{% {name} counter %}}"))?;
    Ok(Parsed::new(Counter {
        name: counter,
        increment: name == "increment",
    }))
}

impl Node for Counter {
    fn render(&self, out: &mut dyn Write, scope: Scope<'_>) -> Result<Flow> {
        let value = scope.runtime.get_index(self.name.as_str());
        let value = value.and_then(|value| value.as_scalar()?.to_integer());
        let value = value.unwrap_or_default();
        let (printed, next) = if self.increment {
            (value, value.saturating_add(1))
        } else {
            let next = value.saturating_sub(1);
            (next, next)
        };
        scope
            .runtime
            .set_index(self.name.clone(), Value::scalar(next));
        write!(out, "{printed}").map_err(unwritten)?;
        Ok(Flow::Next)
    }
}

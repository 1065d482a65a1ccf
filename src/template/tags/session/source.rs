//! The value of a session tag: an expression and its filters, with nil for what is unknown.

use std::collections::BTreeSet;
use std::fmt;

use liquid_core::model::{
    KString, KStringCow, KStringRef, ScalarCow, Value as LiquidValue, ValueCow,
};
use liquid_core::parser::{FilterChain, Tag, TryMatchToken};
use liquid_core::runtime::{PartialStore, Registers};
use liquid_core::{Expression, Language, Result, Runtime, ValueView as _};

use crate::value::{StoredValue, Value};

#[derive(Debug)]
pub(super) struct Source {
    /// As it is written, for the trace of an error.
    text: String,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// Without filters, and known before anything is rendered.
    Literal(Value, StoredValue),
    /// Without filters.
    Plain(Expression),
    /// The value, and the filters as a chain that begins with [`ENTRY`]: the engine's own chain
    /// fails on an unknown variable, and does not give its value away.
    Filtered {
        entry: Expression,
        filters: FilterChain,
    },
    /// As the engine has it: what is unknown is an error.
    Strict(FilterChain),
}

/// The variable that stands for the value in front of the filters.
const ENTRY: &str = "__session_value";

impl Source {
    pub(super) fn new(
        text: &str,
        chain: FilterChain,
        options: &Language,
        strict: bool,
    ) -> Result<Self> {
        let form = if strict {
            Form::Strict(chain)
        } else {
            Self::lenient(text, options)?
        };
        Ok(Self {
            text: text.to_owned(),
            form,
        })
    }

    fn lenient(text: &str, options: &Language) -> Result<Form> {
        let (value, filters) = match first_pipe(text) {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let entry = reparse(value, |mut tag| {
            tag.tokens().expect_next("")?.expect_value().into_result()
        })?;
        if filters.is_empty() {
            return Ok(Form::literal(&entry).unwrap_or(Form::Plain(entry)));
        }
        let filters = reparse(&format!("{ENTRY} {filters}"), |mut tag| {
            match tag.tokens().expect_next("")?.expect_filter_chain(options) {
                TryMatchToken::Matches(chain) => Ok(chain),
                TryMatchToken::Fails(token) => Err(token.raise_error()),
            }
        })?;
        Ok(Form::Filtered { entry, filters })
    }

    pub(super) fn evaluate(&self, runtime: &dyn Runtime) -> Result<Evaluated<'_>> {
        let value = match &self.form {
            Form::Literal(value, stored) => return Ok(Evaluated::Literal(value, stored)),
            Form::Plain(entry) => entry.try_evaluate(runtime).map_or(Value::Nil, from_cow),
            Form::Filtered { entry, filters } => {
                let frame = Frame {
                    parent: runtime,
                    entry: entry
                        .try_evaluate(runtime)
                        .unwrap_or(ValueCow::Owned(LiquidValue::Nil)),
                };
                from_cow(filters.evaluate(&frame)?)
            }
            Form::Strict(chain) => from_cow(chain.evaluate(runtime)?),
        };
        Ok(Evaluated::Computed(value))
    }
}

/// What a tag stores.
pub(super) enum Evaluated<'s> {
    /// Neither blank nor beyond any rule, with its stored form.
    Literal(&'s Value, &'s StoredValue),
    Computed(Value),
}

impl Form {
    fn literal(entry: &Expression) -> Option<Self> {
        let Expression::Literal(literal) = entry else {
            return None;
        };
        let value = Value::from_view(literal);
        let plain = !value.is_blank() && value.check("").is_ok();
        plain.then(|| {
            let stored = StoredValue::from(&value);
            Self::Literal(value, stored)
        })
    }
}

fn from_cow(value: ValueCow<'_>) -> Value {
    match value {
        ValueCow::Owned(value) => Value::from_liquid(value),
        ValueCow::Borrowed(view) => Value::from_view(view),
    }
}

/// Parses a piece of a tag's markup by itself.
fn reparse<T>(text: &str, take: impl FnOnce(Tag<'_>) -> Result<T>) -> Result<T> {
    take(Tag::new(&format!("{{% session {text} %}}"))?)
}

/// Where the filters begin: names hold no `|`, only texts do.
fn first_pipe(text: &str) -> Option<usize> {
    let mut quote = None;
    text.char_indices().find_map(|(at, c)| {
        match (quote, c) {
            (None, '|') => return Some(at),
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
        None
    })
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The runtime with [`ENTRY`] in front, in which every unknown variable is nil.
struct Frame<'r> {
    parent: &'r dyn Runtime,
    entry: ValueCow<'r>,
}

impl Runtime for Frame<'_> {
    fn partials(&self) -> &dyn PartialStore {
        self.parent.partials()
    }

    fn name(&self) -> Option<KStringRef<'_>> {
        self.parent.name()
    }

    fn roots(&self) -> BTreeSet<KStringCow<'_>> {
        self.parent.roots()
    }

    fn try_get(&self, path: &[ScalarCow<'_>]) -> Option<ValueCow<'_>> {
        match path {
            [root] if root.to_kstr() == ENTRY => Some(ValueCow::Borrowed(self.entry.as_view())),
            _ => self.parent.try_get(path),
        }
    }

    fn get(&self, path: &[ScalarCow<'_>]) -> Result<ValueCow<'_>> {
        // Owned, as the engine gives it to filters.
        let value = self.try_get(path).map(ValueCow::into_owned);
        Ok(ValueCow::Owned(value.unwrap_or_default()))
    }

    fn set_global(&self, name: KString, value: LiquidValue) -> Option<LiquidValue> {
        self.parent.set_global(name, value)
    }

    fn set_index(&self, name: KString, value: LiquidValue) -> Option<LiquidValue> {
        self.parent.set_index(name, value)
    }

    fn get_index<'a>(&'a self, name: &str) -> Option<ValueCow<'a>> {
        self.parent.get_index(name)
    }

    fn registers(&self) -> &Registers {
        self.parent.registers()
    }
}

//! The value of a session tag: an expression and its filters, with nil for unknown variables.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use liquid_core::model::{
    KString, KStringCow, KStringRef, ScalarCow, Value as LiquidValue, ValueCow,
};
use liquid_core::parser::{FilterChain, Tag, TagToken, TryMatchToken};
use liquid_core::runtime::{PartialStore, Registers};
use liquid_core::{Error, Expression, Language, Result, Runtime, ValueView as _};

use crate::error::Shown;
use crate::value::{StoredValue, Value};

#[derive(Debug)]
pub(super) struct Source {
    /// The text in the template, for the trace of an error.
    text: String,
    form: Form,
    /// Unknown variables are errors.
    strict: bool,
}

#[derive(Debug)]
enum Form {
    /// Known before anything is rendered.
    Literal(Value, StoredValue),
    /// Without filters.
    Plain(Expression),
    /// The value, and its filters as a chain that begins with [`ENTRY`]: the engine's own chain fails
    /// on `a[unknown]`, and does not give away its value.
    Filtered {
        entry: Expression,
        filters: FilterChain,
    },
    /// Filters under which an unknown variable is an error.
    Strict(FilterChain),
}

/// The variable that stands for the value in front of the filters.
const ENTRY: &str = "__session_value";

/// The value that a tag stores.
pub(super) enum Evaluated<'s> {
    /// A value that is not blank and breaks no rule, with its stored form.
    Literal(&'s Value, &'s StoredValue),
    Computed {
        value: Value,
        /// The first unknown variable, which counted as nil. A member that is unknown does not count.
        unknown: Option<KString>,
    },
}

impl Source {
    /// Parses an expression with optional filters, or returns the token.
    pub(super) fn parse<'t>(
        token: TagToken<'t>,
        options: &Language,
        strict: bool,
    ) -> Result<Self, TagToken<'t>> {
        let text = token.as_str().to_owned();
        let form = match token.expect_literal() {
            TryMatchToken::Matches(literal) => Form::literal(literal),
            TryMatchToken::Fails(token) => match token.expect_value() {
                TryMatchToken::Matches(value) => Form::Plain(value),
                TryMatchToken::Fails(token) => match token.expect_filter_chain(options) {
                    TryMatchToken::Matches(chain) if strict => Form::Strict(chain),
                    TryMatchToken::Matches(chain) => {
                        Form::filtered(&text, options).unwrap_or(Form::Strict(chain))
                    }
                    TryMatchToken::Fails(token) => return Err(token),
                },
            },
        };
        Ok(Self { text, form, strict })
    }

    pub(super) fn evaluate(&self, runtime: &dyn Runtime) -> Result<Evaluated<'_>> {
        let mut frame = Frame {
            parent: runtime,
            entry: ValueCow::Owned(LiquidValue::Nil),
            unknown: RefCell::default(),
            strict: self.strict,
        };
        let value = match &self.form {
            Form::Literal(value, stored) => return Ok(Evaluated::Literal(value, stored)),
            Form::Plain(value) if self.strict => from_cow(value.evaluate(&frame)?),
            Form::Plain(value) => frame.evaluate(value).map_or(Value::Nil, from_cow),
            Form::Strict(chain) => from_cow(chain.evaluate(&frame)?),
            Form::Filtered { entry, filters } => {
                frame.entry = frame.evaluate(entry).unwrap_or(frame.entry);
                from_cow(filters.evaluate(&frame)?)
            }
        };
        let unknown = frame.unknown.into_inner();
        match &unknown {
            Some(variable) if self.strict => Err(Error::with_msg(format!(
                "nothing sets the variable `{}`, from which a session value is computed: assign it, or correct its name",
                Shown(variable)
            ))),
            _ => Ok(Evaluated::Computed { value, unknown }),
        }
    }
}

impl Form {
    fn literal(literal: LiquidValue) -> Self {
        let value = Value::from_view(&literal);
        if value.is_blank() || value.check("").is_err() {
            // Settled when it is rendered, as every other value is.
            return Self::Plain(Expression::Literal(literal));
        }
        let stored = StoredValue::from(&value);
        Self::Literal(value, stored)
    }

    fn filtered(text: &str, options: &Language) -> Option<Self> {
        let (value, filters) = text.split_at(first_pipe(text)?);
        let entry = reparse(value, |token| match token.expect_value() {
            TryMatchToken::Matches(entry) => Some(entry),
            TryMatchToken::Fails(_) => None,
        })?;
        let filters = reparse(&format!("{ENTRY} {filters}"), |token| {
            match token.expect_filter_chain(options) {
                TryMatchToken::Matches(chain) => Some(chain),
                TryMatchToken::Fails(_) => None,
            }
        })?;
        Some(Self::Filtered { entry, filters })
    }
}

/// Parses a piece of a tag's markup by itself.
fn reparse<T>(text: &str, take: impl FnOnce(TagToken<'_>) -> Option<T>) -> Option<T> {
    let tag = format!("{{% session {text} %}}");
    let mut tag = Tag::new(&tag).ok()?;
    take(tag.tokens().next()?)
}

/// Where the filters begin: a `|` outside of quotes.
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

fn from_cow(value: ValueCow<'_>) -> Value {
    match value {
        ValueCow::Owned(value) => Value::from_liquid(value),
        ValueCow::Borrowed(view) => Value::from_view(view),
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A runtime with [`ENTRY`], in which every unknown variable is nil.
struct Frame<'r> {
    parent: &'r dyn Runtime,
    entry: ValueCow<'r>,
    unknown: RefCell<Option<KString>>,
    /// Whether an unknown variable is an error instead. The parent may know no error: in the dialect
    /// every variable is nil until it is set.
    strict: bool,
}

impl<'r> Frame<'r> {
    /// The value of an expression in the parent; `None` if it is unknown.
    fn evaluate(&self, expression: &'r Expression) -> Option<ValueCow<'r>> {
        let value = expression.try_evaluate(self.parent);
        if value.is_none()
            && let Expression::Variable(variable) = expression
        {
            let path = variable.to_string();
            self.note_root(path.split(['.', '[']).next().unwrap_or_default());
        }
        value
    }

    fn note_unknown(&self, path: &[ScalarCow<'_>]) {
        if let [root, ..] = path {
            self.note_root(&root.to_kstr());
        }
    }

    fn note_root(&self, root: &str) {
        if self.parent.try_get(&[ScalarCow::new(root)]).is_none() {
            let mut unknown = self.unknown.borrow_mut();
            unknown.get_or_insert_with(|| KString::from_ref(root));
        }
    }
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
            _ => {
                if self.strict {
                    self.note_unknown(path);
                }
                self.parent.try_get(path)
            }
        }
    }

    fn get(&self, path: &[ScalarCow<'_>]) -> Result<ValueCow<'_>> {
        if self.strict {
            self.note_unknown(path);
            return self.parent.get(path);
        }
        let value = match self.try_get(path) {
            // A value of the engine's own, because its filters expect one.
            Some(value) => value.into_owned(),
            None => {
                self.note_unknown(path);
                LiquidValue::Nil
            }
        };
        Ok(ValueCow::Owned(value))
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

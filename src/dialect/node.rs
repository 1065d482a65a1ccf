//! A parsed template, and how it is rendered.

use std::cell::Cell;
use std::fmt::Debug;
use std::io::Write;
use std::sync::Arc;

use liquid_core::runtime::{Interrupt, InterruptRegister};
use liquid_core::{Error, Renderable, Result, Runtime, Value};

use super::expression::{Chain, Expr};
use super::frames::Lenient;
use super::source::{Source, Span};
use super::values;

/// What follows after a part of a template was rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Next,
    Break,
    Continue,
    /// By `return`; the value is in [`Returned`].
    Return,
}

/// The template and the runtime of a render.
#[derive(Clone, Copy)]
pub(super) struct Scope<'r> {
    pub(super) source: &'r Source,
    pub(super) runtime: &'r dyn Runtime,
}

impl<'r> Scope<'r> {
    /// This template, with another runtime.
    pub(super) fn with(self, runtime: &'r dyn Runtime) -> Self {
        Self { runtime, ..self }
    }

    pub(super) fn evaluate(self, chain: &'r Chain) -> Result<liquid_core::ValueCow<'r>> {
        chain.evaluate(self.source, self.runtime)
    }
}

/// A parsed tag.
pub(super) trait Node: Debug + Send + Sync {
    fn render(&self, out: &mut dyn Write, scope: Scope<'_>) -> Result<Flow>;
}

#[derive(Debug)]
pub(super) enum Element {
    Text(Span),
    Output(Span, Chain),
    Tag(Span, Box<dyn Node>),
}

/// A sequence of elements: a template, or a branch of a block.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) elements: Vec<Element>,
    /// Whether it can print only white space.
    pub(super) blank: bool,
}

impl Body {
    /// Removes the text.
    pub(super) fn remove_texts(&mut self) {
        self.elements
            .retain(|element| !matches!(element, Element::Text(_)));
    }

    pub(super) fn render(&self, out: &mut dyn Write, scope: Scope<'_>) -> Result<Flow> {
        let _level = Level::enter(&BODIES)?;
        for element in &self.elements {
            let (span, rendered) = match element {
                Element::Text(span) => {
                    let text = scope.source.get(*span);
                    out.write_all(text.as_bytes()).map_err(unwritten)?;
                    continue;
                }
                Element::Output(span, chain) => (span, print(chain, out, scope)),
                Element::Tag(span, node) => (span, node.render(out, scope)),
            };
            let flow = rendered.map_err(|error| scope.source.trace(error, *span))?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    pub(super) fn capture(&self, scope: Scope<'_>) -> Result<(String, Flow)> {
        let mut text = Vec::new();
        let flow = self.render(&mut text, scope)?;
        Ok((String::from_utf8_lossy(&text).into_owned(), flow))
    }
}

pub(super) fn unwritten(_: std::io::Error) -> Error {
    Error::with_msg("the output can't be written")
}

/// Renders `{{ … }}` and `echo`.
pub(super) fn print(chain: &Chain, out: &mut dyn Write, scope: Scope<'_>) -> Result<Flow> {
    // As Ruby prints a range.
    if let (Expr::Range(_), true) = (&chain.head, chain.filters.is_empty())
        && let Some((first, last)) = chain.head.range(scope.runtime)?
    {
        write!(out, "{first}..{last}").map_err(unwritten)?;
    } else {
        values::print(scope.evaluate(chain)?.as_view(), out)?;
    }
    Ok(Flow::Next)
}

/// The value of `return`, until `function` takes it.
#[derive(Debug, Default)]
pub(super) struct Returned(pub(super) Option<Value>);

/// Stores the flow in the registers, where the engine's blocks and templates read it.
pub(super) fn raise(flow: Flow, runtime: &dyn Runtime) {
    let interrupt = match flow {
        Flow::Next => return,
        Flow::Continue => Interrupt::Continue,
        Flow::Break | Flow::Return => Interrupt::Break,
    };
    runtime
        .registers()
        .get_mut::<InterruptRegister>()
        .set(interrupt);
}

/// Takes the flow that [`raise`] stored.
pub(super) fn raised(runtime: &dyn Runtime) -> Flow {
    let interrupt = runtime.registers().get_mut::<InterruptRegister>().reset();
    match interrupt {
        None => Flow::Next,
        Some(_) if runtime.registers().get_mut::<Returned>().0.is_some() => Flow::Return,
        Some(Interrupt::Break) => Flow::Break,
        Some(Interrupt::Continue) => Flow::Continue,
    }
}

/// A template, or the body of a host's block, for the engine.
#[derive(Clone, Debug)]
pub(super) struct Root(Arc<(Source, Body)>);

impl Root {
    pub(super) fn new(source: Source, body: Body) -> Self {
        Self(Arc::new((source, body)))
    }
}

impl Renderable for Root {
    fn render_to(&self, out: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        let (source, body) = &*self.0;
        let lenient = Lenient::new(runtime);
        let scope = Scope {
            source,
            runtime: &lenient,
        };
        raise(body.render(out, scope)?, runtime);
        Ok(())
    }
}

/// A limit on nesting.
pub(super) struct Levels {
    depth: &'static std::thread::LocalKey<Cell<usize>>,
    limit: usize,
    what: &'static str,
}

thread_local! {
    // Of the thread, as the stack is.
    static BODY_DEPTH: Cell<usize> = const { Cell::new(0) };
    static PARTIAL_DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// The blocks of all open partials: far more than templates need, and less than a thread's stack holds.
static BODIES: Levels = Levels {
    depth: &BODY_DEPTH,
    limit: 500,
    what: "blocks and partials",
};

/// Ruby Liquid's limit of partials in partials.
pub(super) static PARTIALS: Levels = Levels {
    depth: &PARTIAL_DEPTH,
    limit: 100,
    what: "partials",
};

/// One level of nesting, while it is held.
pub(super) struct Level(&'static Levels);

impl Level {
    pub(super) fn enter(levels: &'static Levels) -> Result<Self> {
        let depth = levels.depth.get();
        if depth >= levels.limit {
            return Err(Error::with_msg(format!(
                "{} nest deeper than the limit of {} levels: look for a partial that includes itself",
                levels.what, levels.limit
            )));
        }
        levels.depth.set(depth + 1);
        Ok(Self(levels))
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        self.0.depth.set(self.0.depth.get() - 1);
    }
}

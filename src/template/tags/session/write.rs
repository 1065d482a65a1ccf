//! The tag at render time.

use std::io::Write;

use kstring::KString;
use liquid_core::error::ResultLiquidExt as _;
use liquid_core::{Renderable, Result, Runtime, Template};

use super::source::{Evaluated, Source};
use crate::error::{Error, ErrorKind};
use crate::session::Session;
use crate::template::handoff;
use crate::template::tags::nesting::Level;
use crate::template::view::CONTEXT;
use crate::value::Value;

#[derive(Debug)]
pub(super) struct Clear;

impl Renderable for Clear {
    fn render_to(&self, _writer: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        with_session(runtime, Session::clear).trace("{% session = null %}")
    }
}

#[derive(Debug)]
pub(super) struct Assign {
    pub(super) key: KString,
    pub(super) source: Source,
}

impl Renderable for Assign {
    fn render_to(&self, _writer: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        let trace = || format!("{{% session {} = {} %}}", self.key, self.source).into();
        let value = self.source.evaluate(runtime).trace_with(trace)?;
        write(runtime, &self.key, value, trace)
    }
}

#[derive(Debug)]
pub(super) struct Block {
    pub(super) key: KString,
    pub(super) body: Template,
}

impl Renderable for Block {
    fn render_to(&self, _writer: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        let trace = || format!("{{% session {} %}}", self.key).into();
        let _level = Level::enter()?;
        let mut text = Vec::new();
        self.body.render_to(&mut text, runtime).trace_with(trace)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        write(
            runtime,
            &self.key,
            Evaluated::Computed {
                value: Value::String(text),
                unknown: None,
            },
            trace,
        )
    }
}

fn write(
    runtime: &dyn Runtime,
    key: &KString,
    value: Evaluated<'_>,
    trace: impl FnOnce() -> KString,
) -> Result<()> {
    let mut sensitive = false;
    with_session(runtime, |session| {
        store(session, key, value)
            .inspect_err(|error| sensitive = error.kind() == ErrorKind::Sensitive)
    })
    .trace_with(|| {
        if sensitive {
            // The datum may stand in the template itself, or be the key.
            "{% session … %}".into()
        } else {
            trace()
        }
    })
}

fn store(session: &Session, key: &KString, value: Evaluated<'_>) -> Result<(), Error> {
    match value {
        Evaluated::Literal(value, stored) => session.write_stored(key, value, stored.clone()),
        Evaluated::Computed { value, unknown } => {
            if value.is_blank() {
                session.remove(key)?;
            } else {
                session.write(key, value)?;
            }
            if let Some(variable) = unknown {
                session.note_unknown_variable(key, &variable);
            }
            Ok(())
        }
    }
}

/// Runs an action on the session of the template.
fn with_session(
    runtime: &dyn Runtime,
    act: impl FnOnce(&Session) -> Result<(), Error>,
) -> Result<()> {
    let session = handoff::session(runtime).ok_or_else(|| no_session(runtime))?;
    act(&session).map_err(Into::into)
}

fn no_session(runtime: &dyn Runtime) -> liquid_core::Error {
    let reason = if runtime.try_get(&[CONTEXT.into()]).is_some() {
        "there is no session here: `context` is a variable of the template here, which hides the one with the session; give that variable another name"
    } else {
        "there is no session here: the template is rendered without one (render it with `session.bind(&globals)`; in a partial of `render`, register sessions after the standard library)"
    };
    Error::new(ErrorKind::NoSession, reason).into()
}

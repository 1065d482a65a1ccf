//! `{% include %}`: liquid-rust's own, with a limit.

use std::io::Write;

use liquid_core::{Language, ParseTag, Renderable, Result, Runtime, TagReflection, TagTokenIter};
use liquid_lib::stdlib;

use super::nesting::Level;

/// The `include` tag of liquid-rust, with a limit on how deep partials include one another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IncludeTag;

impl TagReflection for IncludeTag {
    fn tag(&self) -> &str {
        "include"
    }

    fn description(&self) -> &str {
        "insert the rendered content of another template, which sees all variables"
    }
}

impl ParseTag for IncludeTag {
    fn parse(
        &self,
        arguments: TagTokenIter<'_>,
        options: &Language,
    ) -> Result<Box<dyn Renderable>> {
        let include = stdlib::IncludeTag.parse(arguments, options)?;
        Ok(Box::new(Include(include)))
    }

    fn reflection(&self) -> &dyn TagReflection {
        self
    }
}

#[derive(Debug)]
struct Include(Box<dyn Renderable>);

impl Renderable for Include {
    fn render_to(&self, writer: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        let _level = Level::enter()?;
        self.0.render_to(writer, runtime)
    }
}

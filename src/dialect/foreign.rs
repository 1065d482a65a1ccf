//! Tags that a host brings and that are not registered: they parse, and render nothing.

use std::io::Write;

use liquid_core::Result;

use super::node::{Flow, Node, Scope};
use super::parse::{Parsed, Parser};
use super::scan::Tag;

/// What such a tag looks like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    Tag,
    Block,
    /// A block, or a tag if there is a `=` in it.
    Either,
}

/// The names of such tags, and their shapes.
pub(crate) type Foreign = &'static [(&'static str, Shape)];

#[derive(Debug)]
struct Nothing;

impl Node for Nothing {
    fn render(&self, _: &mut dyn Write, _: Scope<'_>) -> Result<Flow> {
        Ok(Flow::Next)
    }
}

pub(super) fn parse(
    parser: &mut Parser<'_>,
    foreign: Foreign,
    tag: Tag,
    name: &str,
) -> Result<Option<Parsed>> {
    let Some((_, shape)) = foreign.iter().find(|(known, _)| *known == name) else {
        return Ok(None);
    };
    let is_block = match shape {
        Shape::Tag => false,
        Shape::Block => true,
        Shape::Either => !parser.source.get(tag.markup).contains('='),
    };
    if is_block {
        parser.branches(tag, &["catch"], &format!("end{name}"))?;
    }
    Ok(Some(Parsed::new(Nothing)))
}

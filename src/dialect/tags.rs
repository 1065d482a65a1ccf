//! The tags of the dialect.

mod conditions;
mod loops;
mod partials;
mod platform;
mod variables;

use liquid_core::Result;

use super::host;
use super::parse::{Parsed, Parser};
use super::scan::Tag;

/// The names of all tags, for the message about an unknown one.
pub(super) const NAMES: &[&str] = &[
    "assign",
    "break",
    "capture",
    "case",
    "comment",
    "continue",
    "cycle",
    "decrement",
    "doc",
    "echo",
    "export",
    "for",
    "function",
    "hash_assign",
    "if",
    "ifchanged",
    "include",
    "increment",
    "liquid",
    "log",
    "parse_json",
    "print",
    "raw",
    "render",
    "return",
    "tablerow",
    "unless",
];

/// Parses a tag of the dialect. Returns nothing if it has no tag of this name.
pub(super) fn parse(parser: &mut Parser<'_>, tag: Tag, name: &str) -> Result<Option<Parsed>> {
    let parsed = match name {
        "if" => conditions::parse_if(parser, tag, "endif")?,
        "unless" => conditions::parse_if(parser, tag, "endunless")?,
        "case" => conditions::parse_case(parser, tag)?,
        "for" => loops::parse_for(parser, tag)?,
        "tablerow" => loops::parse_tablerow(parser, tag)?,
        "cycle" => loops::parse_cycle(parser, tag)?,
        "break" | "continue" => loops::parse_interrupt(parser, tag, name)?,
        "ifchanged" => loops::parse_ifchanged(parser, tag)?,
        "assign" => variables::parse_assign(parser, tag)?,
        "capture" => variables::parse_capture(parser, tag)?,
        "increment" | "decrement" => variables::parse_counter(parser, tag, name)?,
        "include" => partials::parse_include(parser, tag)?,
        "render" => partials::parse_render(parser, tag)?,
        // The host's own tag of such a name is what its templates mean.
        name if host::knows(parser.options, name) => return Ok(None),
        "function" => partials::parse_function(parser, tag)?,
        "return" => partials::parse_return(parser, tag)?,
        "hash_assign" => variables::parse_assign(parser, tag)?,
        "parse_json" => platform::parse_json(parser, tag)?,
        "export" => platform::parse_export(parser, tag)?,
        "log" => platform::parse_log(parser, tag)?,
        _ => return Ok(None),
    };
    Ok(Some(parsed))
}

//! Liquid: the tags, the filters, and the lazy object behind `context.session`.
//!
//! | item | purpose |
//! |---|---|
//! | [`ParserBuilderExt`] | registers the tags and filters with a parser |
//! | [`Session::bind`](crate::Session::bind), [`Bound`] | show the session to a template, beside the host's globals |
//! | [`SessionBlock`], [`SessionTag`], [`RenderTag`], [`filters`] | the parts, to register one by one |
//!
//! The guide's page [templates](crate::guide::templates) describes them for template authors.

pub mod filters;
mod globals;
mod handoff;
mod lenient;
mod pins;
mod tags;
mod value;
mod view;

pub use globals::Bound;
pub use lenient::Lenient;
pub use tags::render::RenderTag;
pub use tags::session::{ParserBuilderExt, SessionBlock, SessionTag};

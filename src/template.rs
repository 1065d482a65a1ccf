//! Everything that meets Liquid: the tags, the filters, and the lazy object behind `context.session`.

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

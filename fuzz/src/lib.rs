//! What the targets share.

pub mod engine;
pub mod stored;
pub mod template;

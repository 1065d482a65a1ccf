//! Whole templates from a grammar, rendered by the engine with a session and by a model without.

mod grammar;
mod model;
mod play;
mod print;
mod value;

pub use grammar::Plan;
pub use play::play;

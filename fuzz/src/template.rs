//! Whole templates from a grammar, rendered by the engine with a session and by a model without.

#[path = "../../tests/support/counted.rs"]
mod counted;
mod grammar;
mod model;
mod play;
mod print;
mod value;

pub use grammar::Plan;
pub use play::play;

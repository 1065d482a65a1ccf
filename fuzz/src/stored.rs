//! Stored forms: what any bytes may do to the decoders, and changes against a plain map.

mod allocations;
mod forms;
mod model;
mod plan;
mod shelf;

pub use allocations::Counting;
pub use forms::read;
pub use plan::Plan;

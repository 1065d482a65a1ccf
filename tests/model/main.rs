//! The session handle against a model of what it promises: every interleaving of short requests, and
//! long random ones.

mod exhaustive;
mod model;
mod random;
mod scene;

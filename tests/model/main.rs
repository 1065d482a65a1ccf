//! The session handle against a model of what it promises: every interleaving of short requests, and
//! long random ones.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]

mod exhaustive;
mod model;
mod random;
mod scene;
mod three;

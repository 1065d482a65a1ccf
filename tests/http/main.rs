//! The layer as a site uses it: axum above, the memory store below.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod layer;
mod races;
mod security;
mod support;

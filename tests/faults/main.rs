//! What must hold when requests race, cookies are planted, settings change and records are damaged.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http;
mod security;
mod sessions;
mod support;
mod templates;

//! The layer as a site uses it: axum above, the memory store below.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[cfg(feature = "postgres")]
#[path = "../support/postgres_server.rs"]
mod postgres_server;
#[cfg(feature = "postgres")]
#[path = "../support/postgres_store.rs"]
mod postgres_store;
#[cfg(feature = "redis")]
#[path = "../support/redis_server.rs"]
mod redis_server;
#[cfg(feature = "redis")]
#[path = "../support/redis_store.rs"]
mod redis_store;

#[path = "../support/awaited_store.rs"]
mod awaited_store;

mod awaited;
mod given_up;
mod handlers;
mod layer;
mod orders;
mod production;
mod races;
mod security;
mod support;

//! What the stores promise: the acceptance suite on each, what only one of them can get wrong, and all
//! of them under load.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[cfg(feature = "redis")]
#[path = "../support/redis_server.rs"]
mod redis_server;
#[cfg(feature = "redis")]
#[path = "../support/redis_store.rs"]
mod redis_store;

#[cfg(feature = "testing")]
mod acceptance;
#[cfg(any(feature = "redb", feature = "redis"))]
mod damage;
mod linear;
mod records;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "redis")]
mod redis;
mod soak;

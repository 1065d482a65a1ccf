//! What the stores promise: the acceptance suite on each, what only one of them can get wrong, and all
//! of them under load.
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

#[cfg(feature = "testing")]
mod acceptance;
#[cfg(any(feature = "postgres-tls", feature = "redis-tls"))]
mod crypto;
#[cfg(any(feature = "postgres", feature = "redb", feature = "redis"))]
mod damage;
mod linear;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod load;
#[cfg(feature = "postgres")]
mod postgres;
mod records;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "redis")]
mod redis;
mod soak;

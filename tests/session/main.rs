//! What a session promises to the program that embeds the crate: settings, events, limits, and what a
//! model of it says.
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

#[path = "../support/damaging.rs"]
mod damaging;

mod activity;
mod config;
mod counters;
mod damage;
#[cfg(feature = "tracing")]
mod events;
#[cfg(feature = "tower")]
mod handler;
mod model;
mod revocation;
mod security;
mod sensitive;

//! The examples as programs: the shop over HTTP and in a browser.
#![allow(clippy::unwrap_used)]

#[path = "../../examples/actix.rs"]
#[allow(dead_code, reason = "the program uses all of it")]
mod actix_example;
#[path = "../../examples/storefront/app.rs"]
#[allow(dead_code, reason = "the program uses all of it")]
mod app;
#[path = "../support/awaited_store.rs"]
mod awaited_store;
#[path = "../../examples/axum.rs"]
#[allow(dead_code, reason = "the program uses all of it")]
mod axum_example;
#[cfg(feature = "postgres")]
#[path = "../support/postgres_server.rs"]
mod postgres_server;
#[cfg(feature = "redis")]
#[path = "../support/redis_server.rs"]
mod redis_server;
#[path = "../support/shop.rs"]
mod shop;
#[path = "../support/webdriver.rs"]
mod webdriver;

mod actix;
mod axum;
mod browser;
mod paused;
mod walk;

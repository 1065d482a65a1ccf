//! Every store of this crate passes the suite.

#[cfg(feature = "redis")]
#[path = "support/redis_server.rs"]
mod redis_server;
#[cfg(feature = "redis")]
#[path = "support/redis_store.rs"]
mod redis_store;

mod memory {
    liquid_session::store_acceptance!(liquid_session::MemoryStore::new);
}

#[cfg(feature = "redis")]
mod redis {
    liquid_session::store_acceptance!(crate::redis_store::Served::new);
}

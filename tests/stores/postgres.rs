//! What is particular to the store on PostgreSQL. What every store must do is in the acceptance suite.
#![allow(unused_must_use, reason = "most commits send no cookie")]

mod bytes;
mod faults;

use std::time::Duration;

use crate::postgres_server::PostgresServer;
use liquid_session::store::PostgresStore;

/// A store in a new table.
fn store(server: &PostgresServer) -> PostgresStore {
    // Long, so that a busy machine fails no test; those of faults choose their own.
    let store = PostgresStore::builder(&server.url())
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap();
    store.migrate().unwrap();
    store
}

//! Every store of this crate passes the suite.

mod memory {
    liquid_session::store_acceptance!(liquid_session::MemoryStore::new);
}

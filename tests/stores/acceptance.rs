//! Every store of this crate passes the suite.

mod memory {
    liquid_session::store_acceptance!(liquid_session::MemoryStore::new);
}

#[cfg(feature = "redis")]
mod redis {
    liquid_session::store_acceptance!(crate::redis_store::Served::new);
}

#[cfg(feature = "redb")]
mod redb {
    use liquid_session::store::RedbStore;

    /// A store in a file that is unlinked at once, and gone when the test is.
    fn fresh() -> RedbStore {
        let folder = tempfile::tempdir().expect("a temporary folder");
        RedbStore::open(folder.path().join("sessions.redb")).expect("a new file")
    }

    liquid_session::store_acceptance!(fresh);
}

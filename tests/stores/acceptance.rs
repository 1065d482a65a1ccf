//! Every store of this crate passes the suite.

mod memory {
    liquid_session::store_acceptance!(liquid_session::MemoryStore::new);
}

#[cfg(feature = "postgres")]
mod postgres {
    liquid_session::store_acceptance!(crate::postgres_store::Served::new);
}

#[cfg(feature = "postgres")]
mod postgres_awaited {
    liquid_session::store_acceptance!(crate::postgres_store::Served::awaited);
}

#[cfg(feature = "redis")]
mod redis {
    liquid_session::store_acceptance!(crate::redis_store::Served::new);
}

#[cfg(feature = "redis")]
mod redis_awaited {
    use crate::redis_store::Served;

    liquid_session::store_acceptance!(|| Served::new().awaited());
}

#[cfg(feature = "redis")]
mod redis_cluster {
    liquid_session::store_acceptance!(crate::redis_store::Served::on_a_cluster);
}

#[cfg(feature = "redis")]
mod redis_cluster_awaited {
    use crate::redis_store::Served;

    liquid_session::store_acceptance!(|| Served::on_a_cluster().awaited());
}

#[cfg(feature = "redb")]
mod redb {
    use std::path::{Path, PathBuf};
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use liquid_session::store::RedbStore;

    /// A store in a new file. Its folder goes with the next run: a store takes no writes when its file
    /// is removed.
    fn fresh() -> RedbStore {
        static FILES: AtomicUsize = AtomicUsize::new(0);
        static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stores-redb");
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder).expect("a folder");
            folder
        });
        let name = format!("{}.redb", FILES.fetch_add(1, Ordering::Relaxed));
        RedbStore::open(FOLDER.join(name)).expect("a new file")
    }

    liquid_session::store_acceptance!(fresh);
}

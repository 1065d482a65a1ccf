//! Empty stores on one PostgreSQL server, which stops with the last of them.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use liquid_session::clock::Timestamp;
use liquid_session::store::{
    IndexLine, Loaded, PostgresStore, Record, SessionStore, StoreKey, Swap, Swapped, Touch,
};
use liquid_session::{Error, MemoryStore};
use tokio::runtime::Runtime;

use super::postgres_server::PostgresServer;

/// A store and the server that it needs.
pub(crate) struct Served {
    store: Arc<dyn SessionStore>,
    /// Awaits the async face, in place of synchronous calls.
    runtime: Option<Runtime>,
    _server: Option<Arc<PostgresServer>>,
}

static SERVER: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());
static STORES: AtomicUsize = AtomicUsize::new(0);

impl Served {
    /// A new store with nothing in it. Without PostgreSQL on this machine it keeps its sessions in
    /// memory, after a line that says so.
    pub(crate) fn new() -> Self {
        let mut running = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
        let server = running.upgrade().or_else(|| {
            let server = Arc::new(PostgresServer::start(&[])?);
            *running = Arc::downgrade(&server);
            Some(server)
        });
        drop(running);
        let store: Arc<dyn SessionStore> = match &server {
            None => Arc::new(MemoryStore::new()),
            Some(server) => {
                let number = STORES.fetch_add(1, Ordering::Relaxed);
                let store = PostgresStore::builder(&server.url())
                    .table(format!("store_{number}"))
                    .timeout(Duration::from_secs(60))
                    .build()
                    .unwrap();
                store.migrate().unwrap();
                Arc::new(store)
            }
        };
        Self {
            store,
            runtime: None,
            _server: server,
        }
    }

    /// A new store, of which the async face is used.
    pub(crate) fn awaited() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        Self {
            runtime: Some(runtime),
            ..Self::new()
        }
    }
}

impl SessionStore for Served {
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Loaded, Error> {
        match (&self.runtime, self.store.as_async()) {
            (Some(runtime), Some(store)) => runtime.block_on(store.load(key, now)),
            _ => self.store.load(key, now),
        }
    }

    fn swap(&self, key: &StoreKey, swap: Swap<'_>, now: Timestamp) -> Result<Swapped, Error> {
        match (&self.runtime, self.store.as_async()) {
            (Some(runtime), Some(store)) => runtime.block_on(store.swap(key, swap, now)),
            _ => self.store.swap(key, swap, now),
        }
    }

    fn touch(&self, key: &StoreKey, touch: &Touch<'_>) -> Result<(), Error> {
        match (&self.runtime, self.store.as_async()) {
            (Some(runtime), Some(store)) => runtime.block_on(store.touch(key, touch)),
            _ => self.store.touch(key, touch),
        }
    }

    fn user_index(&self, user: &str, now: Timestamp) -> Result<Vec<IndexLine>, Error> {
        self.store.user_index(user, now)
    }

    fn sweep(&self, now: Timestamp, max: usize) -> Result<usize, Error> {
        self.store.sweep(now, max)
    }

    fn scan(
        &self,
        now: Timestamp,
        visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
    ) -> Result<(), Error> {
        self.store.scan(now, visit)
    }

    fn ping(&self) -> Result<(), Error> {
        self.store.ping()
    }
}

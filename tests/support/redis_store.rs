//! Empty stores on one Redis server, which stops with the last of them.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;

use liquid_session::clock::Timestamp;
use liquid_session::store::{
    AsyncStore, IndexLine, Loaded, Record, RedisStore, RedisStoreBuilder, SessionStore, StoreKey,
    Swap, Swapped, Touch,
};
use liquid_session::{Error, MemoryStore};
use tokio::runtime::Runtime;

use super::redis_server::RedisServer;

/// A store and the server that it needs.
pub(crate) struct Served {
    store: Arc<dyn SessionStore>,
    /// Whether synchronous calls go through the async face.
    is_awaited: bool,
    _servers: Option<Arc<Vec<RedisServer>>>,
}

type Running = Mutex<Weak<Vec<RedisServer>>>;

static SERVER: Running = Mutex::new(Weak::new());
static CLUSTER: Running = Mutex::new(Weak::new());
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static STORES: AtomicUsize = AtomicUsize::new(0);

impl Served {
    /// A new store with nothing in it. Without a `redis-server` on this machine it keeps its
    /// sessions in memory, after a line that says so.
    pub(crate) fn new() -> Self {
        let start = || Some(vec![RedisServer::start(&[])?]);
        Self::on(&SERVER, start, |builder| builder)
    }

    /// A new store with nothing in it, on a cluster of three masters.
    pub(crate) fn on_a_cluster() -> Self {
        Self::on(&CLUSTER, RedisServer::start_cluster, |builder| {
            builder.cluster(Vec::<String>::new())
        })
    }

    /// This store, with its synchronous calls through its async face.
    pub(crate) fn awaited(self) -> Self {
        Self {
            is_awaited: true,
            ..self
        }
    }

    fn face(&self) -> Option<&dyn AsyncStore> {
        self.store.as_async().filter(|_| self.is_awaited)
    }

    fn on(
        running: &Running,
        start: impl FnOnce() -> Option<Vec<RedisServer>>,
        choose: impl FnOnce(RedisStoreBuilder) -> RedisStoreBuilder,
    ) -> Self {
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        let servers = running.upgrade().or_else(|| {
            let servers = Arc::new(start()?);
            *running = Arc::downgrade(&servers);
            Some(servers)
        });
        let store: Arc<dyn SessionStore> = match &servers {
            None => Arc::new(MemoryStore::new()),
            Some(servers) => {
                let number = STORES.fetch_add(1, Ordering::Relaxed);
                let builder = RedisStore::builder(&servers[0].url())
                    .prefix(format!("store-{number}"))
                    .timeout(Duration::from_secs(60));
                Arc::new(choose(builder).build().unwrap())
            }
        };
        Self {
            store,
            is_awaited: false,
            _servers: servers,
        }
    }
}

impl SessionStore for Served {
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Loaded, Error> {
        match self.face() {
            Some(face) => RUNTIME.block_on(async { face.load(key, now).await }),
            None => self.store.load(key, now),
        }
    }

    fn swap(&self, key: &StoreKey, swap: Swap<'_>, now: Timestamp) -> Result<Swapped, Error> {
        match self.face() {
            Some(face) => RUNTIME.block_on(async { face.swap(key, swap, now).await }),
            None => self.store.swap(key, swap, now),
        }
    }

    fn touch(&self, key: &StoreKey, touch: &Touch<'_>) -> Result<(), Error> {
        match self.face() {
            Some(face) => RUNTIME.block_on(async { face.touch(key, touch).await }),
            None => self.store.touch(key, touch),
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

    fn may_block(&self) -> bool {
        self.store.may_block()
    }

    fn as_async(&self) -> Option<&dyn AsyncStore> {
        self.store.as_async()
    }

    fn expires_by_itself(&self) -> bool {
        self.store.expires_by_itself()
    }
}

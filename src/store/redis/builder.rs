use std::time::Duration;

use ::redis::{Client, IntoConnectionInfo as _, RedisError};

use super::RedisStore;
use super::keys::Keys;
use super::pool::Pool;
use super::server::Server;
use super::target::{Target, Timeouts};
use crate::error::{Error, ErrorKind};

/// Settings of a [`RedisStore`]; [`RedisStore::builder`] makes one.
///
/// ```
/// use std::time::Duration;
/// use liquid_session::store::RedisStore;
///
/// let store = RedisStore::builder("redis://127.0.0.1:6379/2")
///     .prefix("shop")
///     .connections(32)
///     .timeout(Duration::from_millis(500))
///     .build()?;
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct RedisStoreBuilder {
    url: String,
    prefix: String,
    connections: usize,
    timeouts: Timeouts,
}

impl RedisStoreBuilder {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            prefix: "liquid-session".to_owned(),
            connections: 16,
            timeouts: Timeouts {
                connect: Duration::from_secs(2),
                read: Duration::from_secs(2),
                write: Duration::from_secs(2),
            },
        }
    }

    /// What every key in the server begins with; `liquid-session` unless told otherwise.
    ///
    /// Stores with the same prefix on the same server share their sessions. In a cluster, one prefix
    /// lives on one node.
    ///
    /// ```
    /// # use liquid_session::store::RedisStore;
    /// let builder = RedisStore::builder("redis://127.0.0.1").prefix("shop");
    /// ```
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How many connections there may be at once; 16 unless told otherwise. They are made when they
    /// are needed; a call that finds all of them in use waits for one as long as for a new one.
    ///
    /// ```
    /// # use liquid_session::store::RedisStore;
    /// let builder = RedisStore::builder("redis://127.0.0.1").connections(64);
    /// ```
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// How long each step of a call may take: to connect, to send, to get the answer. Two seconds
    /// unless told otherwise.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use liquid_session::store::RedisStore;
    /// let builder = RedisStore::builder("redis://127.0.0.1").timeout(Duration::from_millis(300));
    /// ```
    pub fn timeout(self, timeout: Duration) -> Self {
        self.connect_timeout(timeout)
            .write_timeout(timeout)
            .read_timeout(timeout)
    }

    /// How long it may take to connect and to sign in, or to get hold of a connection.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use liquid_session::store::RedisStore;
    /// let builder = RedisStore::builder("redis://127.0.0.1").connect_timeout(Duration::from_secs(1));
    /// ```
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.connect = timeout;
        self
    }

    /// How long to wait for an answer.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use liquid_session::store::RedisStore;
    /// let builder = RedisStore::builder("redis://127.0.0.1").read_timeout(Duration::from_secs(1));
    /// ```
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.read = timeout;
        self
    }

    /// How long it may take to send a command.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use liquid_session::store::RedisStore;
    /// let builder = RedisStore::builder("redis://127.0.0.1").write_timeout(Duration::from_secs(1));
    /// ```
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.write = timeout;
        self
    }

    /// The store. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`]:
    ///
    /// - the URL is none of a Redis server;
    /// - the prefix is empty, or holds a brace;
    /// - no connection is allowed, or a timeout is zero.
    ///
    /// ```
    /// use liquid_session::{ErrorKind, store::RedisStore};
    ///
    /// let error = RedisStore::builder("redis://127.0.0.1").prefix("{a}").build().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Config);
    /// ```
    pub fn build(self) -> Result<RedisStore, Error> {
        let invalid = |text| Err(Error::new(ErrorKind::Config, text));
        if self.prefix.is_empty() || self.prefix.contains(['{', '}']) {
            return invalid(
                "the prefix of a Redis store is a text without braces, such as `shop`: choose another one",
            );
        }
        if self.connections == 0 {
            return invalid("a Redis store needs at least one connection: allow 1 or more");
        }
        let Timeouts {
            connect,
            read,
            write,
        } = self.timeouts;
        if [connect, read, write].iter().any(Duration::is_zero) {
            return invalid("a timeout of a Redis store is longer than zero: allow at least 1 ms");
        }
        let target = self.target().map_err(|cause| {
            Error::with_source(
                ErrorKind::Config,
                "expected the URL of a Redis server, such as redis://127.0.0.1:6379, found something else",
                cause,
            )
        })?;
        Ok(RedisStore {
            server: std::sync::Arc::new(Server::new(
                Keys::new(&self.prefix),
                Pool::new(target, self.timeouts, self.connections),
            )),
        })
    }

    fn target(&self) -> Result<Target, RedisError> {
        let info = self.url.as_str().into_connection_info()?;
        // Its name and version would be two more commands with each connection.
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        Client::open(info.set_redis_settings(settings)).map(Target::Server)
    }
}

/// Without the URL: it may hold a password.
impl std::fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisStoreBuilder")
            .field("prefix", &self.prefix)
            .field("connections", &self.connections)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

use std::time::Duration;

#[cfg(feature = "redis-tls")]
use ::redis::ConnectionAddr;
use ::redis::{ConnectionInfo, IntoConnectionInfo as _};

use super::RedisStore;
use super::client::Client;
use super::cluster::Cluster;
use super::server::Server;
use crate::{Error, ErrorKind};

/// Settings of a [`RedisStore`]; [`RedisStore::builder`] makes one.
///
/// ```
/// use std::time::Duration;
/// use liquid_session::store::RedisStore;
///
/// let store = RedisStore::builder("redis://127.0.0.1:6379/2")
///     .prefix("shop")
///     .timeout(Duration::from_millis(500))
///     .build()?;
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct RedisStoreBuilder {
    url: String,
    others: Others,
    #[cfg(feature = "redis-tls")]
    root_certificate: Option<Vec<u8>>,
    prefix: String,
    timeout: Duration,
}

/// The URLs of what there is beside the server.
#[derive(Clone)]
enum Others {
    None,
    Sentinels { urls: Vec<String>, service: String },
    Nodes(Vec<String>),
}

impl RedisStoreBuilder {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            others: Others::None,
            #[cfg(feature = "redis-tls")]
            root_certificate: None,
            prefix: "liquid-session".to_owned(),
            timeout: Duration::from_secs(2),
        }
    }

    /// What every key in the server begins with; `liquid-session` unless told otherwise.
    ///
    /// Stores with the same prefix on the same server share their sessions.
    ///
    /// ```
    /// # use liquid_session::store::RedisStore;
    /// let builder = RedisStore::builder("redis://127.0.0.1").prefix("shop");
    /// ```
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long each step of a call may take: to resolve the name of the server, connect to it and
    /// sign in; to send a command and get its answer. Two seconds unless told otherwise.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use liquid_session::store::RedisStore;
    /// let builder = RedisStore::builder("redis://127.0.0.1").timeout(Duration::from_millis(300));
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Asks these sentinels for the server, each time that it connects: when they have promoted
    /// another one, the store follows.
    ///
    /// The URL that the builder was made with says how to sign in to the server, and which database
    /// to use; its host and port are not used. Each sentinel that does not answer costs a timeout.
    ///
    /// ```
    /// # use liquid_session::store::RedisStore;
    /// let store = RedisStore::builder("redis://:password@any/0")
    ///     .sentinels(["redis://10.0.0.1:26379", "redis://10.0.0.2:26379"], "mymaster")
    ///     .build()?;
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn sentinels(
        mut self,
        urls: impl IntoIterator<Item = impl Into<String>>,
        service: impl Into<String>,
    ) -> Self {
        self.others = Others::Sentinels {
            urls: urls.into_iter().map(Into::into).collect(),
            service: service.into(),
        };
        self
    }

    /// The server belongs to a cluster, and so do these; one that answers is enough to find the
    /// others. All have the same user and password.
    ///
    /// Sessions spread over all nodes. While a slot moves to another node, calls may fail with
    /// [`ErrorKind::Unavailable`].
    ///
    /// ```
    /// # use liquid_session::store::RedisStore;
    /// let store = RedisStore::builder("redis://10.0.0.1:6379")
    ///     .cluster(["redis://10.0.0.2:6379", "redis://10.0.0.3:6379"])
    ///     .build()?;
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn cluster(mut self, urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.others = Others::Nodes(urls.into_iter().map(Into::into).collect());
        self
    }

    /// Trusts this certificate, in PEM form, instead of those that the system trusts. For servers
    /// with a self-signed certificate, reached over `rediss://`.
    ///
    /// ```no_run
    /// # use liquid_session::store::RedisStore;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = RedisStore::builder("rediss://redis.internal:6380")
    ///     .root_certificate(std::fs::read("ca.pem")?)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "redis-tls")]
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificate = Some(pem.into());
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
    /// - the timeout is zero;
    /// - the URL begins with `rediss://`, and there is no TLS: the feature `redis-tls` is off, or no
    ///   crypto provider of rustls 0.23 was installed.
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
        if self.timeout.is_zero() {
            return invalid("a timeout of a Redis store is longer than zero: allow at least 1 ms");
        }
        let client = self.client()?;
        Ok(RedisStore::new(self.prefix, client))
    }

    fn client(&self) -> Result<Client, Error> {
        let first = self.settings(&self.url)?;
        let server = |settings, sentinels| Server::new(settings, sentinels, self.timeout);
        Ok(match &self.others {
            Others::None => Client::Single(server(first, None)),
            Others::Sentinels { urls, service } => {
                let sentinels = urls.iter().map(|url| self.settings(url));
                let sentinels = (sentinels.collect::<Result<_, _>>()?, service.clone());
                Client::Single(server(first, Some(sentinels)))
            }
            Others::Nodes(urls) => {
                let mut nodes = vec![server(first, None)];
                for url in urls {
                    nodes.push(server(self.settings(url)?, None));
                }
                if nodes.iter().any(|node| node.address().is_none()) {
                    return Err(Error::new(ErrorKind::Config, NO_URL));
                }
                Client::Cluster(Cluster::new(nodes))
            }
        })
    }

    fn settings(&self, url: &str) -> Result<ConnectionInfo, Error> {
        let no_url = |cause| Error::with_source(ErrorKind::Config, NO_URL, cause);
        let info = url.into_connection_info().map_err(no_url)?;
        // The client's name and version would be two more commands with each connection.
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        let info = info.set_redis_settings(settings);
        #[cfg(feature = "redis-tls")]
        if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            // The client panics without one.
            if rustls::crypto::CryptoProvider::get_default().is_none() {
                return Err(Error::new(ErrorKind::Config, NO_CRYPTO));
            }
            let certificates = ::redis::TlsCertificates {
                client_tls: None,
                root_cert: self.root_certificate.clone(),
            };
            let client = ::redis::Client::build_with_tls(info, certificates).map_err(no_url)?;
            return Ok(client.get_connection_info().clone());
        }
        Ok(info)
    }
}

const NO_URL: &str =
    "expected the URL of a Redis server, such as redis://127.0.0.1:6379, found something else";

#[cfg(feature = "redis-tls")]
const NO_CRYPTO: &str = "a Redis store over TLS needs rustls's crypto provider: call `install_default` of one, such as `rustls::crypto::ring`, before";

/// Without the URL: it may hold a password.
impl std::fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisStoreBuilder")
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

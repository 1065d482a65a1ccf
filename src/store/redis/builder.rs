use std::time::Duration;

#[cfg(feature = "redis-tls")]
use ::redis::ConnectionAddr;
use ::redis::{ConnectionInfo, IntoConnectionInfo as _, RedisError};

use super::RedisStore;
use super::client::Client;
#[cfg(feature = "redis-cluster")]
use super::cluster::Cluster;
use super::server::{Server, Target};
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
    /// The URLs of sentinels, and the name of what they watch.
    sentinels: Option<(Vec<String>, String)>,
    #[cfg(feature = "redis-cluster")]
    cluster: Option<Vec<String>>,
    #[cfg(feature = "redis-tls")]
    root_certificate: Option<Vec<u8>>,
    prefix: String,
    timeout: Duration,
}

impl RedisStoreBuilder {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            sentinels: None,
            #[cfg(feature = "redis-cluster")]
            cluster: None,
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

    /// How long each step of a call may take: to resolve the name of the server, connect and sign in;
    /// to send a command and get its answer. Two seconds unless told otherwise.
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
        let urls = urls.into_iter().map(Into::into).collect();
        self.sentinels = Some((urls, service.into()));
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
    #[cfg(feature = "redis-cluster")]
    pub fn cluster(mut self, urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.cluster = Some(urls.into_iter().map(Into::into).collect());
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
        #[cfg(feature = "redis-tls")]
        if self.lacks_crypto() {
            return invalid(
                "a Redis store over TLS needs rustls's crypto provider: call `install_default` of one, such as `rustls::crypto::ring`, before",
            );
        }
        let client = self.client().map_err(|cause| {
            Error::with_source(
                ErrorKind::Config,
                "expected the URL of a Redis server, such as redis://127.0.0.1:6379, found something else",
                cause,
            )
        })?;
        Ok(RedisStore::new(self.prefix, client))
    }

    fn client(&self) -> Result<Client, RedisError> {
        let settings = self.settings(&self.url)?;
        #[cfg(feature = "redis-cluster")]
        if let Some(others) = &self.cluster {
            let mut seeds = vec![settings];
            for url in others {
                seeds.push(self.settings(url)?);
            }
            let no_address = (
                ::redis::ErrorKind::InvalidClientConfig,
                "a node of a cluster has a host and a port",
            );
            let cluster = Cluster::new(seeds, self.timeout);
            return Ok(Client::Cluster(cluster.ok_or(no_address)?));
        }
        let target = match &self.sentinels {
            None => Target::Server(settings),
            Some((urls, service)) => Target::Sentinel {
                sentinels: urls
                    .iter()
                    .map(|url| self.settings(url))
                    .collect::<Result<_, _>>()?,
                service: service.clone(),
                settings,
            },
        };
        Ok(Client::Single(Server::new(target, self.timeout)))
    }

    fn settings(&self, url: &str) -> Result<ConnectionInfo, RedisError> {
        let info = url.into_connection_info()?;
        // The client's name and version would be two more commands with each connection.
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        let info = info.set_redis_settings(settings);
        #[cfg(feature = "redis-tls")]
        if let Some(root_certificate) = &self.root_certificate
            && matches!(info.addr(), ConnectionAddr::TcpTls { .. })
        {
            let certificates = ::redis::TlsCertificates {
                client_tls: None,
                root_cert: Some(root_certificate.clone()),
            };
            let client = ::redis::Client::build_with_tls(info, certificates)?;
            return Ok(client.get_connection_info().clone());
        }
        Ok(info)
    }

    /// Whether a URL asks for TLS, and nothing in the program can encrypt. The client panics then.
    #[cfg(feature = "redis-tls")]
    fn lacks_crypto(&self) -> bool {
        let mut urls = vec![&self.url];
        urls.extend(self.sentinels.iter().flat_map(|(urls, _)| urls));
        #[cfg(feature = "redis-cluster")]
        urls.extend(self.cluster.iter().flatten());
        rustls::crypto::CryptoProvider::get_default().is_none()
            && urls.iter().any(|url| {
                let info = url.as_str().into_connection_info();
                info.is_ok_and(|info| matches!(info.addr(), ConnectionAddr::TcpTls { .. }))
            })
    }
}

/// Without the URL: it may hold a password.
impl std::fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisStoreBuilder")
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

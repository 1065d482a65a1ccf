use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};

use super::PostgresStore;
use super::pool::Pool;
use super::target::{Target, Tls};
use crate::store::driver::Driver;
use crate::{Error, ErrorKind};

/// Settings of a [`PostgresStore`]; [`PostgresStore::builder`] makes one.
///
/// ```
/// use std::time::Duration;
/// use liquid_session::store::PostgresStore;
///
/// let store = PostgresStore::builder("postgres://shop@127.0.0.1/shop")
///     .table("shop.sessions")
///     .connections(32)
///     .timeout(Duration::from_millis(500))
///     .build()?;
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct PostgresStoreBuilder {
    url: String,
    table: String,
    connections: usize,
    timeout: Duration,
    #[cfg(feature = "postgres-tls")]
    root_certificate: Option<Vec<u8>>,
}

impl PostgresStoreBuilder {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            table: "liquid_session".to_owned(),
            connections: 16,
            timeout: Duration::from_secs(2),
            #[cfg(feature = "postgres-tls")]
            root_certificate: None,
        }
    }

    /// Sets the name of the table, with its schema if the search path of the user does not find it;
    /// `liquid_session` by default. Lower-case letters, digits and underscores.
    ///
    /// Stores with one table of one database share their sessions.
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.table = table.into();
        self
    }

    /// Sets how many connections the store opens at most; 16 by default. They are made when they are
    /// needed; a call that finds all of them in use waits for one at most for the
    /// [timeout](Self::timeout).
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Sets how long each step of a call may take: to get a free connection, to connect to one address
    /// and sign in, to get the answer to a statement. Two seconds by default. The server ends a
    /// statement after three quarters of that time.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Trusts this certificate, in PEM form, instead of those that the system trusts. For servers with
    /// a self-signed certificate, with `sslmode=require` in the URL.
    ///
    /// ```no_run
    /// # use liquid_session::store::PostgresStore;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = PostgresStore::builder("postgres://shop@db.internal/shop?sslmode=require")
    ///     .root_certificate(std::fs::read("ca.pem")?)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "postgres-tls")]
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificate = Some(pem.into());
        self
    }

    /// Makes the store, and starts its thread. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`]:
    ///
    /// - the URL is none of a PostgreSQL server;
    /// - the name of the table holds other characters than allowed;
    /// - no connection is allowed, or the timeout is zero;
    /// - the URL says `sslmode=require`, and there is no TLS: the feature `postgres-tls` is off, no
    ///   crypto provider of rustls 0.23 was installed, or no certificate can be read.
    ///
    /// [`ErrorKind::Unavailable`]: the system starts no thread.
    ///
    /// ```
    /// use liquid_session::{ErrorKind, store::PostgresStore};
    ///
    /// let builder = PostgresStore::builder("postgres://127.0.0.1").table("a; drop table b");
    /// assert_eq!(builder.build().unwrap_err().kind(), ErrorKind::Config);
    /// ```
    pub fn build(self) -> Result<PostgresStore, Error> {
        let invalid = |text| Err(Error::new(ErrorKind::Config, text));
        let Some(table) = quoted(&self.table) else {
            return invalid(
                "the name of a session table is lower-case letters, digits and underscores, at most 50, with a schema or without, such as `shop.sessions`: choose another one",
            );
        };
        if self.connections == 0 {
            return invalid("a PostgreSQL store needs at least one connection: allow 1 or more");
        }
        if self.timeout < Duration::from_millis(2) {
            return invalid("the timeout of a PostgreSQL store is too short: allow at least 2 ms");
        }
        // Without the cause: it may quote a part of the password.
        let Ok(mut config) = self.url.parse::<Config>() else {
            return invalid(
                "expected the URL of a PostgreSQL server, such as postgres://user:password@127.0.0.1:5432/database, found something else: percent-encode special characters",
            );
        };
        let addresses = config.get_hosts().len().max(config.get_hostaddrs().len());
        let ports = config.get_ports().len();
        let named = [config.get_hosts().len(), config.get_hostaddrs().len()];
        if addresses == 0
            || named.iter().any(|count| *count != 0 && *count != addresses)
            || (ports > 1 && ports != addresses)
        {
            return invalid(
                "the URL of a PostgreSQL server names a host, or several with a port each: expected postgres://user@a:5432,b:5432/database",
            );
        }
        if addresses > 1 {
            // A standby takes no writes, and may lack the last ones.
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let tls = self.tls(&mut config)?;
        let driver = Driver::start("sessions-postgres").map_err(|cause| {
            Error::with_source(
                ErrorKind::Unavailable,
                "the system started no thread for the session store",
                cause,
            )
        })?;
        let target = Target::new(&config, tls, self.timeout, table);
        Ok(PostgresStore::new(Pool::new(
            driver,
            target,
            self.timeout,
            self.connections,
        )))
    }

    /// TLS without a check of the certificate would be none, so there is no mode in between.
    fn tls(&self, config: &mut Config) -> Result<Tls, Error> {
        if config.get_ssl_mode() != SslMode::Require {
            config.ssl_mode(SslMode::Disable);
            return Ok(Tls::Off);
        }
        #[cfg(feature = "postgres-tls")]
        return super::tls::connector(self.root_certificate.as_deref()).map(Tls::On);
        #[cfg(not(feature = "postgres-tls"))]
        Err(Error::new(
            ErrorKind::Config,
            "the URL of the session store says `sslmode=require`, and this program has no TLS: build it with the feature `postgres-tls`",
        ))
    }
}

/// A name that can stand in a statement.
fn quoted(table: &str) -> Option<String> {
    let parts: Vec<_> = table.split('.').collect();
    let is_name = |part: &&str| {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        (1..=50).contains(&part.len()) && part.chars().all(allowed)
    };
    (parts.len() <= 2 && parts.iter().all(is_name)).then(|| format!("\"{}\"", parts.join("\".\"")))
}

/// Without the URL: it may hold a password.
impl std::fmt::Debug for PostgresStoreBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStoreBuilder")
            .field("table", &self.table)
            .field("connections", &self.connections)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

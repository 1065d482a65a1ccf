//! Makes connections: to the first of the addresses in the URL that takes writes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::try_join;
use tokio::time::timeout;
use tokio_postgres::tls::{MakeTlsConnect, NoTls, TlsConnect};
use tokio_postgres::{Client, Config, Connection, SimpleQueryMessage, Socket};

use super::failure::Failure;
use super::schema;
use super::statements::Statements;

pub(super) struct Target {
    /// One address each, with all other settings of the URL. Not empty.
    addresses: Vec<Config>,
    /// The address that was reached last.
    last: AtomicUsize,
    tls: Tls,
    timeout: Duration,
    table: String,
    texts: Vec<String>,
}

pub(super) enum Tls {
    Off,
    #[cfg(feature = "postgres-tls")]
    On(tokio_postgres_rustls::MakeRustlsConnect),
}

/// A connection with its statements.
pub(super) struct Prepared {
    pub(super) client: Client,
    pub(super) statements: Statements,
}

impl Target {
    pub(super) fn new(config: &Config, tls: Tls, timeout: Duration, table: String) -> Self {
        Self {
            addresses: split(config),
            last: AtomicUsize::new(0),
            tls,
            timeout,
            texts: super::statements::texts(&table),
            table,
        }
    }

    pub(super) fn table(&self) -> &str {
        &self.table
    }

    /// Connects and prepares. Runs on the runtime that is to drive the connection.
    pub(super) async fn connect(&self) -> Result<Prepared, Failure> {
        let client = self.sign_in().await?;
        match timeout(self.timeout, self.prepare(&client)).await {
            Ok(statements) => Ok(Prepared {
                statements: statements?,
                client,
            }),
            Err(_) => Err(Failure::Connect(None)),
        }
    }

    async fn prepare(&self, client: &Client) -> Result<Statements, Failure> {
        // The server gives up before the caller does: the caller learns that nothing was stored, and
        // the server does not wait for a lock in vain.
        let limit = (self.timeout * 3 / 4).as_millis().max(1);
        let settings = format!(
            "set statement_timeout = {limit}; {}",
            schema::ask(&self.table)
        );
        let prepared = try_join(
            client.simple_query(&settings),
            Statements::prepare(client, &self.texts),
        );
        let (settings, statements) = prepared
            .await
            .map_err(|error| Failure::Connect(Some(error)))?;
        schema::check(answer(&settings)).map_err(Failure::Unfit)?;
        Ok(statements)
    }

    /// Connects to the first address that answers, beginning with the one that was reached last.
    pub(super) async fn sign_in(&self) -> Result<Client, Failure> {
        let (count, last) = (self.addresses.len(), self.last.load(Ordering::Relaxed));
        let mut failure = None;
        for at in (last..last + count).map(|at| at % count) {
            match timeout(self.timeout, self.open(&self.addresses[at])).await {
                Ok(Ok(client)) => {
                    self.last.store(at, Ordering::Relaxed);
                    return Ok(client);
                }
                Ok(Err(error)) => failure = Some(error),
                Err(_) => failure = None,
            }
        }
        Err(Failure::Connect(failure))
    }

    async fn open(&self, config: &Config) -> Result<Client, tokio_postgres::Error> {
        match &self.tls {
            Tls::Off => open(config, NoTls).await,
            #[cfg(feature = "postgres-tls")]
            Tls::On(tls) => open(config, tls.clone()).await,
        }
    }
}

async fn open<T>(config: &Config, tls: T) -> Result<Client, tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
    T::TlsConnect: TlsConnect<Socket, Stream = T::Stream>,
{
    let (client, connection): (_, Connection<Socket, T::Stream>) = config.connect(tls).await?;
    // Ends with the client. An error reaches the statement that waits for an answer.
    tokio::spawn(async { connection.await.unwrap_or_default() });
    Ok(client)
}

/// The only value in the answers to simple statements.
pub(super) fn answer(messages: &[SimpleQueryMessage]) -> Option<&str> {
    messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    })
}

/// Settings for each address: the client tries several within one timeout, and would never reach the
/// second if the first accepts connections and does not answer.
fn split(config: &Config) -> Vec<Config> {
    let count = config.get_hosts().len().max(config.get_hostaddrs().len());
    (0..count).map(|at| only(config, at)).collect()
}

fn only(config: &Config, at: usize) -> Config {
    let mut one = Config::new();
    if let Some(user) = config.get_user() {
        one.user(user);
    }
    if let Some(password) = config.get_password() {
        one.password(password);
    }
    if let Some(name) = config.get_dbname() {
        one.dbname(name);
    }
    if let Some(options) = config.get_options() {
        one.options(options);
    }
    one.application_name(config.get_application_name().unwrap_or("liquid-session"));
    one.ssl_mode(config.get_ssl_mode());
    one.ssl_negotiation(config.get_ssl_negotiation());
    one.channel_binding(config.get_channel_binding());
    one.target_session_attrs(config.get_target_session_attrs());
    one.keepalives(config.get_keepalives());
    one.keepalives_idle(config.get_keepalives_idle());
    if let Some(interval) = config.get_keepalives_interval() {
        one.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        one.keepalives_retries(retries);
    }
    if let Some(timeout) = config.get_tcp_user_timeout() {
        one.tcp_user_timeout(*timeout);
    }
    match config.get_hosts().get(at) {
        Some(tokio_postgres::config::Host::Tcp(host)) => {
            one.host(host);
        }
        #[cfg(unix)]
        Some(tokio_postgres::config::Host::Unix(folder)) => {
            one.host_path(folder);
        }
        None => {}
    }
    if let Some(address) = config.get_hostaddrs().get(at) {
        one.hostaddr(*address);
    }
    let ports = config.get_ports();
    if let Some(port) = ports.get(at).or(ports.first()) {
        one.port(*port);
    }
    one
}

//! Where connections lead.

use std::time::Duration;

#[cfg(feature = "redis-cluster")]
use ::redis::cluster::ClusterClient;
use ::redis::{Client, ConnectionAddr, ConnectionInfo, ConnectionLike, ErrorKind, RedisError};

#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub(super) connect: Duration,
    pub(super) read: Duration,
    pub(super) write: Duration,
}

pub(super) enum Target {
    Server(Client),
    /// The server that sentinels say is the master now. The client's own sentinel support waits for
    /// them without a timeout.
    Sentinel {
        sentinels: Vec<Client>,
        service: String,
        /// How to sign in to the server; its address is not used.
        settings: ConnectionInfo,
    },
    #[cfg(feature = "redis-cluster")]
    Cluster(ClusterClient),
}

impl Target {
    /// A new connection. What it takes to make one, signing in among it, is within the timeout.
    pub(super) fn connect(
        &self,
        timeouts: &Timeouts,
    ) -> Result<Box<dyn ConnectionLike + Send>, RedisError> {
        match self {
            Self::Server(client) => Ok(Box::new(server(client, timeouts)?)),
            Self::Sentinel {
                sentinels,
                service,
                settings,
            } => {
                let mut last = None;
                for sentinel in sentinels {
                    match master(sentinel, service, settings, timeouts) {
                        Ok(connection) => return Ok(Box::new(connection)),
                        Err(error) => last = Some(error),
                    }
                }
                Err(last.unwrap_or_else(|| no_master("no sentinel is known")))
            }
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(client) => {
                let connection = client.get_connection()?;
                connection.set_read_timeout(Some(timeouts.read))?;
                connection.set_write_timeout(Some(timeouts.write))?;
                Ok(Box::new(connection))
            }
        }
    }
}

fn server(client: &Client, timeouts: &Timeouts) -> Result<::redis::Connection, RedisError> {
    let connection = client.get_connection_with_timeout(timeouts.connect)?;
    connection.set_read_timeout(Some(timeouts.read))?;
    connection.set_write_timeout(Some(timeouts.write))?;
    Ok(connection)
}

/// Asks a sentinel for the master and connects to it, if it agrees that it is one.
fn master(
    sentinel: &Client,
    service: &str,
    settings: &ConnectionInfo,
    timeouts: &Timeouts,
) -> Result<::redis::Connection, RedisError> {
    let address: Option<(String, u16)> = ::redis::cmd("SENTINEL")
        .arg("GET-MASTER-ADDR-BY-NAME")
        .arg(service)
        .query(&mut server(sentinel, timeouts)?)?;
    let (host, port) = address.ok_or_else(|| no_master("no sentinel knows the service"))?;
    let address = match settings.addr() {
        ConnectionAddr::TcpTls {
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(host, port),
    };
    let client = Client::open(settings.clone().set_addr(address))?;
    let mut connection = server(&client, timeouts)?;
    // Sentinels may be late to learn that there is another one.
    let role: Vec<::redis::Value> = ::redis::cmd("ROLE").query(&mut connection)?;
    match role.first() {
        Some(::redis::Value::BulkString(role)) if role == b"master" => Ok(connection),
        _ => Err(no_master("the server is no master any more")),
    }
}

fn no_master(why: &'static str) -> RedisError {
    (ErrorKind::MasterNameNotFoundBySentinel, why).into()
}

//! Makes connections: to a server, or to the master that sentinels name.

use std::time::Duration;

use ::redis::{
    Client, Connection, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, Value as Reply,
};

pub(super) enum Target {
    Server(ConnectionInfo),
    /// The client's own sentinel support waits for sentinels without a timeout.
    Sentinel {
        sentinels: Vec<ConnectionInfo>,
        service: String,
        /// How to sign in to the server; its address is not used.
        settings: ConnectionInfo,
    },
}

impl Target {
    pub(super) fn connect(&self, timeout: Duration) -> Result<Connection, RedisError> {
        match self {
            Self::Server(settings) => server(settings, timeout),
            Self::Sentinel {
                sentinels,
                service,
                settings,
            } => {
                let mut result = Err(no_master("no sentinel is known"));
                for sentinel in sentinels {
                    result = master(sentinel, service, settings, timeout);
                    if result.is_ok() {
                        break;
                    }
                }
                result
            }
        }
    }
}

fn server(settings: &ConnectionInfo, timeout: Duration) -> Result<Connection, RedisError> {
    let client = Client::open(settings.clone())?;
    let connection = client.get_connection_with_timeout(timeout)?;
    connection.set_read_timeout(Some(timeout))?;
    connection.set_write_timeout(Some(timeout))?;
    Ok(connection)
}

/// These settings with another address.
pub(super) fn at(settings: &ConnectionInfo, host: &str, port: u16) -> ConnectionInfo {
    let host = host.to_owned();
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
    settings.clone().set_addr(address)
}

/// Asks a sentinel for the master and connects to it, if it agrees that it is one.
fn master(
    sentinel: &ConnectionInfo,
    service: &str,
    settings: &ConnectionInfo,
    timeout: Duration,
) -> Result<Connection, RedisError> {
    let address: Option<(String, u16)> = ::redis::cmd("SENTINEL")
        .arg("GET-MASTER-ADDR-BY-NAME")
        .arg(service)
        .query(&mut server(sentinel, timeout)?)?;
    let (host, port) = address.ok_or_else(|| no_master("no sentinel knows the service"))?;
    let mut connection = server(&at(settings, &host, port), timeout)?;
    // Sentinels may be late to learn of a new master.
    let role: Vec<Reply> = ::redis::cmd("ROLE").query(&mut connection)?;
    match role.first() {
        Some(Reply::BulkString(role)) if role == b"master" => Ok(connection),
        _ => Err(no_master("the server is no master any more")),
    }
}

fn no_master(why: &'static str) -> RedisError {
    (ErrorKind::MasterNameNotFoundBySentinel, why).into()
}

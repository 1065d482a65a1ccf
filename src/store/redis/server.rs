//! One server, and a multiplexed connection to it for each runtime that asks.
//!
//! A connection answers its callers in the order of their commands, so they share one. The runtime of
//! the callers drives it: a command crosses no threads but those of that runtime.

use std::sync::Arc;
#[cfg(feature = "tracing")]
use std::sync::Once;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError,
    RedisResult, Value as Reply,
};
use parking_lot::Mutex;
use tokio::runtime::{Handle, Id};
use tokio::sync::watch;

use super::failure::Failure;

pub(super) struct Server {
    /// How to sign in, and the address if there are no sentinels.
    settings: ConnectionInfo,
    sentinels: Option<Sentinels>,
    timeout: Duration,
    /// One for each runtime.
    lines: Mutex<Vec<(Id, Line)>>,
    #[cfg(feature = "tracing")]
    policy_checked: Once,
}

/// The sentinels, and the name of what they watch. Not the client's own: its timeouts are fixed.
pub(super) type Sentinels = (Vec<ConnectionInfo>, String);

/// `None` while a task connects. The task lives as long as its runtime, and so does the channel.
type Line = watch::Receiver<Option<RedisResult<MultiplexedConnection>>>;

fn is_alive(line: &Line) -> bool {
    line.has_changed().is_ok()
}

impl Server {
    pub(super) fn new(
        settings: ConnectionInfo,
        sentinels: Option<Sentinels>,
        timeout: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            settings,
            sentinels,
            timeout,
            lines: Mutex::default(),
            #[cfg(feature = "tracing")]
            policy_checked: Once::new(),
        })
    }

    /// Another server, with the same settings.
    pub(super) fn other(&self, host: &str, port: u16) -> Arc<Self> {
        Self::new(at(&self.settings, host, port), None, self.timeout)
    }

    pub(super) fn address(&self) -> Option<(&str, u16)> {
        match self.settings.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Some((host, *port))
            }
            _ => None,
        }
    }

    /// Sends a command once. `asking` lets a node answer for a slot that it is about to get.
    pub(super) async fn send(
        self: &Arc<Self>,
        command: &Cmd,
        asking: bool,
    ) -> Result<Reply, Failure> {
        let mut line = self.line();
        let connection = match line.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(connection)) => connection.clone(),
            _ => Err((ErrorKind::Io, "the connection was given up").into()),
        };
        let sent = match connection {
            Err(error) => Err(Failure::Connect(error)),
            Ok(mut connection) => {
                let sent = if asking {
                    let mut both = ::redis::pipe();
                    both.cmd("ASKING").add_command(command.clone());
                    let replies = connection.send_packed_commands(&both, 0, 2).await;
                    replies.map(|mut replies| replies.pop().unwrap_or_default())
                } else {
                    connection.send_packed_command(command).await
                };
                let reply = sent.map_err(Failure::Lost);
                reply.and_then(|reply| reply.extract_error().map_err(Failure::Refused))
            }
        };
        if sent.as_ref().is_err_and(Failure::ends_connection) {
            let mut lines = self.lines.lock();
            lines.retain(|(_, other)| !other.same_channel(&line));
        }
        sent
    }

    /// How many runtimes have a connection.
    #[cfg(test)]
    pub(super) fn lines(&self) -> usize {
        self.lines.lock().len()
    }

    /// The connection of the current runtime. A task of its own connects: the calls that wait for it
    /// do not depend on each other.
    fn line(self: &Arc<Self>) -> Line {
        let runtime = Handle::current().id();
        let mut lines = self.lines.lock();
        let of_runtime = |(id, line): &&(Id, Line)| *id == runtime && is_alive(line);
        if let Some((_, line)) = lines.iter().find(of_runtime) {
            return line.clone();
        }
        lines.retain(|(_, line)| is_alive(line));
        let (sender, line) = watch::channel(None);
        let server = self.clone();
        tokio::spawn(async move {
            let connection = server.connect().await;
            drop(server);
            let _ = sender.send(Some(connection));
            sender.closed().await;
        });
        lines.push((runtime, line.clone()));
        line
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let connection = match &self.sentinels {
            None => self.connect_to(self.settings.clone()).await?,
            Some(sentinels) => self.connect_to_master(sentinels).await?,
        };
        #[cfg(feature = "tracing")]
        if !self.policy_checked.is_completed() {
            report_eviction(connection.clone(), &self.policy_checked).await;
        }
        Ok(connection)
    }

    async fn connect_to(&self, settings: ConnectionInfo) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout));
        let client = Client::open(settings)?;
        client
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    async fn connect_to_master(&self, sentinels: &Sentinels) -> RedisResult<MultiplexedConnection> {
        let mut result = Err(no_master("no sentinel is known"));
        for sentinel in &sentinels.0 {
            result = self.master(sentinel, &sentinels.1).await;
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// Asks a sentinel for the master and connects to it, if it agrees that it is one.
    async fn master(
        &self,
        sentinel: &ConnectionInfo,
        service: &str,
    ) -> RedisResult<MultiplexedConnection> {
        let mut question = ::redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
        let mut sentinel = self.connect_to(sentinel.clone()).await?;
        let address: Option<(String, u16)> = question.query_async(&mut sentinel).await?;
        let (host, port) = address.ok_or_else(|| no_master("no sentinel knows the service"))?;
        let mut connection = self.connect_to(at(&self.settings, &host, port)).await?;
        // Sentinels may be late to learn of a new master.
        let role: Vec<Reply> = ::redis::cmd("ROLE").query_async(&mut connection).await?;
        match role.first() {
            Some(Reply::BulkString(role)) if role == b"master" => Ok(connection),
            _ => Err(no_master("the server is no master any more")),
        }
    }
}

/// These settings with another address.
fn at(settings: &ConnectionInfo, host: &str, port: u16) -> ConnectionInfo {
    let mut address = settings.addr().clone();
    match &mut address {
        ConnectionAddr::TcpTls {
            host: own_host,
            port: own_port,
            ..
        } => (*own_host, *own_port) = (host.to_owned(), port),
        other => *other = ConnectionAddr::Tcp(host.to_owned(), port),
    }
    settings.clone().set_addr(address)
}

fn no_master(why: &'static str) -> RedisError {
    (ErrorKind::MasterNameNotFoundBySentinel, why).into()
}

/// A server that evicts any key drops sessions and users' indexes: a revocation then misses sessions.
#[cfg(feature = "tracing")]
async fn report_eviction(mut connection: MultiplexedConnection, once: &Once) {
    let mut question = ::redis::cmd("INFO");
    let info = question.arg("memory").query_async(&mut connection).await;
    // Empty if the user lacks the right to ask.
    let info: String = info.unwrap_or_default();
    let mut lines = info.lines();
    let policy = lines.find_map(|line| line.strip_prefix("maxmemory_policy:"));
    once.call_once(|| {
        if let Some(policy) = policy.filter(|policy| policy.starts_with("allkeys-")) {
            tracing::warn!(
                target: "liquid_session",
                policy,
                "the session store evicts keys: set `maxmemory-policy` to `noeviction`"
            );
        }
    });
}

//! One server, and a multiplexed connection to it for each runtime that asks.
//!
//! A connection answers its callers in the order of their commands, so they share one. The runtime of
//! the callers drives it: a command crosses no threads but those of that runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, Pipeline,
    RedisError, RedisResult, Value as Reply,
};
use parking_lot::Mutex;
use tokio::runtime::{Handle, Id};
use tokio::sync::watch;

use super::failure::Failure;

pub(super) struct Server {
    target: Target,
    config: AsyncConnectionConfig,
    /// One for each runtime.
    lines: Mutex<Vec<(Id, Line)>>,
    policy_checked: AtomicBool,
}

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

/// `None` while a task connects. The task lives as long as its runtime, and so does the channel.
type Line = watch::Receiver<Option<RedisResult<MultiplexedConnection>>>;

fn is_alive(line: &Line) -> bool {
    line.has_changed().is_ok()
}

impl Server {
    pub(super) fn new(target: Target, timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            target,
            config: AsyncConnectionConfig::new()
                .set_connection_timeout(Some(timeout))
                .set_response_timeout(Some(timeout)),
            lines: Mutex::default(),
            policy_checked: AtomicBool::new(false),
        })
    }

    /// The host and the port of a server without sentinels.
    #[cfg(feature = "redis-cluster")]
    pub(super) fn address(&self) -> Option<(&str, u16)> {
        let Target::Server(settings) = &self.target else {
            return None;
        };
        match settings.addr() {
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
        let reply = if asking {
            let mut both = ::redis::pipe();
            both.cmd("ASKING").add_command(command.clone());
            self.send_all(&both).await?.pop().unwrap_or_default()
        } else {
            let send =
                async |mut line: MultiplexedConnection| line.send_packed_command(command).await;
            self.on_line(send).await?
        };
        reply.extract_error().map_err(|error| {
            let failure = Failure::Refused(error);
            if failure.is_elsewhere() {
                // Every connection leads to this server.
                self.lines.lock().clear();
            }
            failure
        })
    }

    /// Sends commands that change nothing at once, again if the connection was dead. A reply may be
    /// an error of the server.
    pub(super) async fn read(self: &Arc<Self>, commands: &Pipeline) -> Result<Vec<Reply>, Failure> {
        match self.send_all(commands).await {
            Err(Failure::Lost(error)) if error.is_connection_dropped() => {
                self.send_all(commands).await
            }
            answer => answer,
        }
    }

    async fn send_all(self: &Arc<Self>, commands: &Pipeline) -> Result<Vec<Reply>, Failure> {
        let count = commands.len();
        self.on_line(async |mut line: MultiplexedConnection| {
            line.send_packed_commands(commands, 0, count).await
        })
        .await
    }

    async fn on_line<T>(
        self: &Arc<Self>,
        send: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>,
    ) -> Result<T, Failure> {
        let mut line = self.line();
        let connection = match line.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(connection)) => connection.clone(),
            _ => Err((ErrorKind::Io, "the connection was given up").into()),
        };
        let sent = match connection {
            Ok(connection) => send(connection).await.map_err(Failure::Lost),
            Err(error) => Err(Failure::Connect(error)),
        };
        if sent.is_err() {
            // The server or the way to it may be dead, so the next call connects again.
            let mut lines = self.lines.lock();
            lines.retain(|(_, other)| !other.same_channel(&line));
        }
        sent
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
        let mut connection = match &self.target {
            Target::Server(settings) => self.connect_to(settings).await?,
            Target::Sentinel {
                sentinels,
                service,
                settings,
            } => {
                let mut result = Err(no_master("no sentinel is known"));
                for sentinel in sentinels {
                    result = self.master(sentinel, service, settings).await;
                    if result.is_ok() {
                        break;
                    }
                }
                result?
            }
        };
        if !self.policy_checked.swap(true, Ordering::Relaxed) {
            report_eviction(&mut connection).await?;
        }
        Ok(connection)
    }

    async fn connect_to(&self, settings: &ConnectionInfo) -> RedisResult<MultiplexedConnection> {
        let client = Client::open(settings.clone())?;
        let config = &self.config;
        client
            .get_multiplexed_async_connection_with_config(config)
            .await
    }

    /// Asks a sentinel for the master and connects to it, if it agrees that it is one.
    async fn master(
        &self,
        sentinel: &ConnectionInfo,
        service: &str,
        settings: &ConnectionInfo,
    ) -> RedisResult<MultiplexedConnection> {
        let mut question = ::redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
        let mut sentinel = self.connect_to(sentinel).await?;
        let address: Option<(String, u16)> = question.query_async(&mut sentinel).await?;
        let (host, port) = address.ok_or_else(|| no_master("no sentinel knows the service"))?;
        let mut connection = self.connect_to(&at(settings, &host, port)).await?;
        // Sentinels may be late to learn of a new master.
        let role: Vec<Reply> = ::redis::cmd("ROLE").query_async(&mut connection).await?;
        match role.first() {
            Some(Reply::BulkString(role)) if role == b"master" => Ok(connection),
            _ => Err(no_master("the server is no master any more")),
        }
    }
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

fn no_master(why: &'static str) -> RedisError {
    (ErrorKind::MasterNameNotFoundBySentinel, why).into()
}

/// A server that evicts any key drops sessions and users' indexes: a revocation then misses sessions.
async fn report_eviction(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut question = ::redis::cmd("INFO");
    match question
        .arg("memory")
        .query_async::<String>(connection)
        .await
    {
        Ok(info) => {
            let mut lines = info.lines();
            let policy = lines.find_map(|line| line.strip_prefix("maxmemory_policy:"));
            let safe = |policy: &&str| *policy == "noeviction" || policy.starts_with("volatile-");
            if let Some(policy) = policy.filter(|policy| !safe(policy)) {
                #[cfg(feature = "tracing")]
                tracing::warn!(
                    target: "liquid_session",
                    policy,
                    "the session store evicts keys: set `maxmemory-policy` to `noeviction`"
                );
                #[cfg(not(feature = "tracing"))]
                let _ = policy;
            }
            Ok(())
        }
        // The user may lack the right to ask.
        Err(error) if error.code().is_some() => Ok(()),
        Err(error) => Err(error),
    }
}

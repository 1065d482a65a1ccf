//! A Redis server of a test's own: free port, empty folder, gone with the test.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ::redis::{Connection, FromRedisValue};

/// A server that stops when this is dropped.
pub(crate) struct RedisServer {
    process: Child,
    port: u16,
    settings: Vec<String>,
    folder: tempfile::TempDir,
}

/// Writes a line that the test runner does not swallow.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Waits for what other servers do in their own time.
pub(crate) fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..600 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{what}: not in a minute");
}

/// The settings of a node.
pub(crate) const CLUSTER: [&str; 4] =
    ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];

impl RedisServer {
    /// Three masters of a cluster, with a third of the slots each.
    pub(crate) fn start_cluster() -> Option<Vec<Self>> {
        let mut nodes = Vec::new();
        for (first, last) in [("0", "5460"), ("5461", "10922"), ("10923", "16383")] {
            let node = Self::start(&CLUSTER)?;
            let _: () = node.ask(&["CLUSTER", "ADDSLOTSRANGE", first, last]);
            nodes.push(node);
        }
        Self::meet(&nodes);
        Some(nodes)
    }

    /// Waits until these are the nodes of one cluster.
    pub(crate) fn meet(nodes: &[Self]) {
        for node in &nodes[1..] {
            let port = node.port().to_string();
            let _: () = nodes[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &port]);
        }
        for node in nodes {
            until("the nodes meet", || {
                let info: String = node.ask(&["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok")
                    && info.contains(&format!("cluster_known_nodes:{}", nodes.len()))
                    && info.contains("cluster_slots_ok:16384")
            });
        }
    }

    /// `None` without a `redis-server` on this machine: the test says so and passes, unless
    /// `REQUIRE_REDIS=1` is set.
    pub(crate) fn start(settings: &[&str]) -> Option<Self> {
        if major_version().is_none() {
            let required = std::env::var("REQUIRE_REDIS").is_ok_and(|value| value == "1");
            assert!(!required, "REQUIRE_REDIS=1, and there is no redis-server");
            static SAID: std::sync::Once = std::sync::Once::new();
            SAID.call_once(|| say("skipped: there is no redis-server on this machine"));
            return None;
        }
        let settings: Vec<_> = settings.iter().map(ToString::to_string).collect();
        // Somebody else may take the port between the look and the start.
        for _ in 0..20 {
            let port = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            let folder = tempfile::tempdir().unwrap();
            let process = spawn(port, &folder, &settings);
            let mut server = Self {
                process,
                port,
                settings: settings.clone(),
                folder,
            };
            if server.wait() {
                return Some(server);
            }
        }
        panic!("redis-server did not start");
    }

    /// A sentinel with these settings, which it changes.
    pub(crate) fn start_sentinel(settings: &std::path::Path) -> Self {
        Self::start(&[settings.to_str().unwrap(), "--sentinel"]).unwrap()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Whether it answers; `false` if it ended.
    fn wait(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) {
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            if let Ok(mut connection) = self.try_connect()
                && ::redis::cmd("PING").exec(&mut connection).is_ok()
                && self.is_ours(&mut connection)
            {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    fn is_ours(&self, connection: &mut Connection) -> bool {
        let info: String = ::redis::cmd("INFO")
            .arg("server")
            .query(connection)
            .unwrap();
        info.contains(&format!("process_id:{}\r\n", self.process.id()))
    }

    fn try_connect(&self) -> ::redis::RedisResult<Connection> {
        let connection = ::redis::Client::open(self.url())?
            .get_connection_with_timeout(Duration::from_secs(60))?;
        connection.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(connection)
    }

    /// A connection beside those of the store.
    pub(crate) fn connect(&self) -> Connection {
        self.try_connect().unwrap()
    }

    /// Runs one command, such as `["CONFIG", "SET", "maxmemory", "1mb"]`.
    pub(crate) fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = ::redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(word);
        }
        command.query(&mut self.connect()).unwrap()
    }

    /// SIGKILL: it has no time to write anything down.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts again on the same port, with what it had written down.
    pub(crate) fn restart(&mut self) {
        self.process = spawn(self.port, &self.folder, &self.settings);
        assert!(self.wait(), "redis-server did not start again");
    }

    /// Starts again on the same port, with nothing.
    pub(crate) fn restart_empty(&mut self) {
        self.folder = tempfile::tempdir().unwrap();
        self.restart();
    }

    /// Sends a signal, such as `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.process.id().to_string())
            .status()
            .unwrap();
        assert!(status.success());
    }
}

fn spawn(port: u16, folder: &tempfile::TempDir, settings: &[String]) -> Child {
    // A file of settings comes first.
    let (file, settings) = match settings.split_first() {
        Some((file, rest)) if !file.starts_with("--") => (Some(file), rest),
        _ => (None, settings),
    };
    Command::new("redis-server")
        .args(file)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--daemonize", "no", "--dir"])
        .arg(folder.path())
        .args(settings)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Of the server on this machine, if there is one.
pub(crate) fn major_version() -> Option<u32> {
    let output = Command::new("redis-server")
        .arg("--version")
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, version) = text.split_once("v=")?;
    version.split('.').next()?.parse().ok()
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

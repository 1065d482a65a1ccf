//! Sessions on a Redis server: against the client alone, with the same number of round trips.

use std::hint::black_box;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use liquid_session::store::RedisStore;
use liquid_session::{SessionConfig, Sessions};
use redis::{Connection, cmd};

use crate::cycle;
use crate::pair::Table;

/// A server of this program's own, on a socket in a folder of its own.
struct Server {
    process: Child,
    folder: tempfile::TempDir,
}

impl Server {
    /// `None` if there is no `redis-server` on this machine.
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--daemonize", "no"])
            .arg("--dir")
            .arg(folder.path())
            .arg("--unixsocket")
            .arg(folder.path().join("socket"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let server = Self { process, folder };
        let start = Instant::now();
        while server.try_connect().is_err() {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "redis-server did not start"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(server)
    }

    fn url(&self) -> String {
        format!("unix://{}", self.folder.path().join("socket").display())
    }

    fn try_connect(&self) -> redis::RedisResult<Connection> {
        redis::Client::open(self.url())?.get_connection()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Two calls of the client, and nothing else: it reads a string of the same size, and writes it back.
struct Peer {
    connection: Connection,
    key: Vec<u8>,
}

impl Peer {
    /// A copy of the one session there is.
    fn copy(server: &Server) -> Self {
        let mut connection = server.try_connect().unwrap();
        let keys: Vec<Vec<u8>> = cmd("KEYS").arg("*").query(&mut connection).unwrap();
        let mut key = keys[0].clone();
        *key.last_mut().unwrap() ^= 1;
        cmd("COPY")
            .arg(&keys[0])
            .arg(&key)
            .exec(&mut connection)
            .unwrap();
        Self { connection, key }
    }

    fn read_and_write(&mut self) {
        let stored: Vec<u8> = cmd("GET")
            .arg(&self.key)
            .query(&mut self.connection)
            .unwrap();
        cmd("SET")
            .arg(&self.key)
            .arg(black_box(stored))
            .arg("PX")
            .arg(2_592_000_000_u64)
            .exec(&mut self.connection)
            .unwrap();
    }
}

pub(crate) fn run(table: &mut Table) {
    for keys in [2, 10] {
        let name = format!("redis: read one, write one, of {keys} keys");
        let target = "printed";
        if !table.wants(&name) {
            continue;
        }
        let Some(server) = Server::start() else {
            table.note(&name, "no server".into(), "-".into(), None, target);
            continue;
        };
        let store = RedisStore::open(&server.url()).unwrap();
        let sessions = Sessions::new(store, SessionConfig::default());
        let cookie = cycle::fill(&sessions, keys);
        let mut peer = Peer::copy(&server);
        let mut n = 0;
        table.pair(
            &name,
            target,
            || {
                n += 1;
                cycle::read_and_write(&sessions, &cookie, n);
            },
            || peer.read_and_write(),
        );
    }
}

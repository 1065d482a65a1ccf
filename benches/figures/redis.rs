//! Sessions on a Redis server: against the client alone, with the same number of round trips.

use std::collections::HashMap;
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

/// What somebody would write who needs no merge: look whether the session is there, store a value
/// and what belongs to it, put off the end. As many arguments as a commit has, and as long.
const SCRIPT: &str = "
if redis.call('EXISTS', KEYS[1]) == 0 then
  return { 'gone' }
end
redis.call('HSET', KEYS[1], ARGV[17], ARGV[18])
redis.call('HSET', KEYS[1], 'm:bytes', ARGV[2])
redis.call('HSET', KEYS[1], 'm:used', ARGV[1])
redis.call('HINCRBY', KEYS[1], 'm:version', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[9])
return { 'stored', {} }
";

/// Two calls of the client, and nothing else.
struct Peer {
    connection: Connection,
    script: String,
    key: Vec<u8>,
}

impl Peer {
    /// A copy of the one session there is.
    fn copy(server: &Server) -> Self {
        let mut connection = server.try_connect().unwrap();
        let keys: Vec<Vec<u8>> = cmd("KEYS").arg("*").query(&mut connection).unwrap();
        let hash = |connection: &mut Connection, key: &[u8]| {
            let kind: String = cmd("TYPE").arg(key).query(connection).unwrap();
            kind == "hash"
        };
        let ours = keys
            .into_iter()
            .find(|key| hash(&mut connection, key))
            .unwrap();
        let mut key = ours.clone();
        *key.last_mut().unwrap() ^= 1;
        cmd("COPY")
            .arg(ours)
            .arg(&key)
            .exec(&mut connection)
            .unwrap();
        let script = cmd("SCRIPT")
            .arg("LOAD")
            .arg(SCRIPT)
            .query(&mut connection)
            .unwrap();
        Self {
            connection,
            script,
            key,
        }
    }

    fn read_and_write(&mut self, n: u32) {
        let fields: HashMap<String, Vec<u8>> = cmd("HGETALL")
            .arg(&self.key)
            .query(&mut self.connection)
            .unwrap();
        black_box(&fields["d:key0"]);
        let stored: (String, Vec<Vec<u8>>) = cmd("EVALSHA")
            .arg(&self.script)
            .arg(1)
            .arg(&self.key)
            .arg(1_700_000_000_000_u64)
            .arg(4_096)
            .arg(256)
            .arg("0")
            .arg("")
            .arg("")
            .arg("")
            .arg(300_000)
            .arg(2_592_000_000_000_u64)
            .arg("0")
            .arg("n")
            .arg(&[7; 32])
            .arg(&[7; 32])
            .arg("0")
            .arg("1")
            .arg("set")
            .arg("d:key1")
            .arg(format!("i{n}"))
            .query(&mut self.connection)
            .unwrap();
        assert_eq!(stored.0, "stored");
    }
}

pub(crate) fn run(table: &mut Table) {
    for keys in [2, 10] {
        let name = format!("redis: read one, write one, of {keys} keys");
        let target = "<= 1.15";
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
        let (mut n, mut m) = (0, 0);
        table.pair(
            &name,
            target,
            || {
                n += 1;
                cycle::read_and_write(&sessions, &cookie, n);
            },
            || {
                m += 1;
                peer.read_and_write(m);
            },
        );
    }
}

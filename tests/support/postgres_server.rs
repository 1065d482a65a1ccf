//! A PostgreSQL server of a test's own: free port, empty cluster, gone with the test.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// The folder with the programs of the newest version on this machine.
static PROGRAMS: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    // Debian keeps them out of the path, by version.
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut folders: Vec<_> = versions
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    folders.sort();
    folders.reverse();
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path));
    folders
        .into_iter()
        .find(|folder| folder.join("initdb").exists())
});

/// An empty cluster, copied for each server.
static TEMPLATE: Mutex<Weak<TempDir>> = Mutex::new(Weak::new());

/// Writes a line that the test runner does not swallow.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A server that stops when this is dropped.
pub(crate) struct PostgresServer {
    process: Child,
    port: u16,
    settings: Vec<String>,
    folder: TempDir,
    _template: Arc<TempDir>,
}

/// A program of PostgreSQL, as a user without privileges: it refuses to run as root.
fn program(name: &str) -> Command {
    let path = PROGRAMS.as_ref().unwrap().join(name);
    if is_root() {
        let mut command = Command::new("setpriv");
        let user = [
            "--reuid",
            "postgres",
            "--regid",
            "postgres",
            "--clear-groups",
        ];
        command.args(user).arg(path);
        command
    } else {
        Command::new(path)
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Gives a file or folder to the user of the server.
pub(crate) fn hand_over(path: &Path) {
    if is_root() {
        run(Command::new("chown")
            .args(["-R", "postgres:postgres"])
            .arg(path));
    }
}

pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {problem}");
}

fn template() -> Arc<TempDir> {
    let mut known = TEMPLATE.lock().unwrap_or_else(PoisonError::into_inner);
    known.upgrade().unwrap_or_else(|| {
        let folder = tempfile::tempdir().unwrap();
        hand_over(folder.path());
        let options = ["--auth=trust", "--username=postgres", "--encoding=UTF8"];
        let quick = [
            "--locale=C",
            "--wal-segsize=1",
            "--no-sync",
            "--no-instructions",
        ];
        run(program("initdb")
            .args(options)
            .args(quick)
            .arg("-D")
            .arg(folder.path().join("data"))
            .current_dir("/"));
        let folder = Arc::new(folder);
        *known = Arc::downgrade(&folder);
        folder
    })
}

impl PostgresServer {
    /// Whether PostgreSQL is on this machine.
    pub(crate) fn is_here() -> bool {
        PROGRAMS.is_some()
    }

    /// `None` without PostgreSQL on this machine: the test says so and passes, unless
    /// `REQUIRE_POSTGRES=1` is set.
    pub(crate) fn start(settings: &[&str]) -> Option<Self> {
        Self::start_in(settings, |folder, template| {
            run(Command::new("cp").arg("-a").arg(template).arg(folder));
        })
    }

    /// A standby of another server, which has to confirm what that one commits.
    pub(crate) fn start_standby(primary: &Self) -> Option<Self> {
        Self::start_in(&[], |folder, _| {
            run(program("pg_basebackup")
                .args(["-R", "-X", "stream", "-c", "fast", "-d"])
                .arg(primary.url() + "?application_name=standby")
                .arg("-D")
                .arg(folder)
                .current_dir("/"));
        })
    }

    fn start_in(settings: &[&str], fill: impl Fn(&Path, &Path)) -> Option<Self> {
        if !Self::is_here() {
            let required = std::env::var("REQUIRE_POSTGRES").is_ok_and(|value| value == "1");
            assert!(!required, "REQUIRE_POSTGRES=1, and there is no PostgreSQL");
            static SAID: std::sync::Once = std::sync::Once::new();
            SAID.call_once(|| say("skipped: there is no PostgreSQL on this machine"));
            return None;
        }
        let settings: Vec<_> = settings.iter().map(ToString::to_string).collect();
        let template = template();
        // Another process may take the port between the look and the start.
        for _ in 0..20 {
            let port = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            let folder = tempfile::tempdir().unwrap();
            hand_over(folder.path());
            fill(&folder.path().join("data"), &template.path().join("data"));
            let process = spawn(port, &folder, &settings);
            let mut server = Self {
                process,
                port,
                settings: settings.clone(),
                folder,
                _template: template.clone(),
            };
            if server.wait() {
                return Some(server);
            }
        }
        panic!("PostgreSQL did not start");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What it wrote to its log.
    pub(crate) fn log(&self) -> Vec<u8> {
        std::fs::read(self.folder.path().join("log")).unwrap()
    }

    /// Whether it answers; `false` if it ended.
    fn wait(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) {
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            // A server of another test may have the port.
            let folder = self.try_sql("select current_setting('data_directory')");
            if folder.is_ok_and(|rows| rows == [[self.data().display().to_string()]]) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// Runs statements on a connection of their own, and returns the rows as text.
    pub(crate) fn sql(&self, statements: &str) -> Vec<Vec<String>> {
        self.try_sql(statements).unwrap()
    }

    pub(crate) fn try_sql(
        &self,
        statements: &str,
    ) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
        sql(&self.url(), statements)
    }

    /// The first value of the first row.
    pub(crate) fn value(&self, statement: &str) -> String {
        self.sql(statement)[0][0].clone()
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(name, self.process.id());
    }

    /// Sends a signal to every process of the server.
    pub(crate) fn signal_all(&self, name: &str) {
        self.signal(name);
        for process in self.children() {
            signal(name, process);
        }
    }

    fn children(&self) -> Vec<u32> {
        let parent = self.process.id().to_string();
        let mut children = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(id) = entry.file_name().to_string_lossy().parse() else {
                continue;
            };
            let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
                continue;
            };
            // `id (name) state parent …`
            let behind = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
            if behind.split(' ').nth(1) == Some(&*parent) {
                children.push(id);
            }
        }
        children
    }

    /// Ends the server at once, without a word to its clients or its disk.
    pub(crate) fn kill(&mut self) {
        let children = self.children();
        self.process.kill().unwrap();
        for process in children {
            signal("KILL", process);
        }
        self.process.wait().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        // Killed processes may hold the shared memory for a moment.
        for _ in 0..100 {
            self.process = spawn(self.port, &self.folder, &self.settings);
            if self.wait() {
                return;
            }
        }
        panic!("PostgreSQL did not start again");
    }
}

fn signal(name: &str, process: u32) {
    // It may have ended.
    let _ = Command::new("kill")
        .args([&format!("-{name}"), &process.to_string()])
        .stderr(Stdio::null())
        .status();
}

/// Runs statements on a new connection, and returns the rows as text.
fn sql(url: &str, statements: &str) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
    let run = async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let driver = tokio::spawn(connection);
        let messages = client.simple_query(statements).await?;
        drop(client);
        let _ = driver.await;
        let mut rows = Vec::new();
        for message in messages {
            if let SimpleQueryMessage::Row(row) = message {
                let text = |at| row.get(at).unwrap_or("").to_owned();
                rows.push((0..row.len()).map(text).collect());
            }
        }
        Ok(rows)
    };
    // The test may be async: a thread of its own has no runtime.
    std::thread::scope(|scope| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        scope.spawn(move || runtime.block_on(run)).join().unwrap()
    })
}

fn spawn(port: u16, folder: &TempDir, settings: &[String]) -> Child {
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let mut command = program("postgres");
    command.arg("-D").arg(folder.path().join("data"));
    // A test finds its writes after it killed the server, not after a power cut.
    let fixed = [
        "fsync=off",
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
    ];
    let small = [
        "shared_buffers=32MB",
        "max_connections=200",
        "max_wal_size=64MB",
    ];
    for setting in fixed.iter().chain(&small) {
        command.args(["-c", setting]);
    }
    command.arg("-p").arg(port.to_string());
    for setting in settings {
        command.args(["-c", setting]);
    }
    command
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|status| status.is_none()) {
            // An immediate end, also of the children.
            self.signal_all("CONT");
            self.signal("QUIT");
            let _ = self.process.wait();
        }
    }
}

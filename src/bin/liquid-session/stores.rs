//! The stores of this program. A new one gets a line in [`NAMES`], in [`open`] and in [`play`].

use std::path::{Path, PathBuf};

use liquid_session::clock::Timestamp;
use liquid_session::store::{PostgresStore, RedbStore, RedisStore, SessionStore};
use liquid_session::testing::scenario::{Report, Scenario};
use liquid_session::{Error, ErrorKind, MemoryStore};

/// The stores that scenarios can be played against. The first is the default.
pub(crate) const NAMES: &[&str] = &["memory", "postgres", "redb", "redis"];

/// The table of scenarios, which is emptied before each.
const SCENARIOS: &str = "liquid_session_scenarios";

/// Opens the store of an application. No message has its address, which may hold a password.
pub(crate) fn open(
    address: &str,
    prefix: Option<&str>,
    table: Option<&str>,
) -> Result<Box<dyn SessionStore>, crate::Failure> {
    let scheme = address.split_once(':');
    let redis = matches!(scheme, Some(("redis" | "rediss", _)));
    let postgres = matches!(scheme, Some(("postgres" | "postgresql", _)));
    if prefix.is_some() && !redis {
        return Err(usage("`--prefix` belongs to a store on Redis"));
    }
    if table.is_some() && !postgres {
        return Err(usage("`--table` belongs to a store on PostgreSQL"));
    }
    match scheme {
        Some(("redb", path)) if !path.is_empty() => open_file(Path::new(path)),
        Some(("postgres" | "postgresql", _)) => {
            let mut builder = PostgresStore::builder(address);
            if let Some(table) = table {
                builder = builder.table(table);
            }
            Ok(Box::new(builder.build()?))
        }
        Some(("redis" | "rediss", _)) => {
            let mut builder = RedisStore::builder(address);
            if let Some(prefix) = prefix {
                builder = builder.prefix(prefix);
            }
            Ok(Box::new(builder.build()?))
        }
        _ => Err(usage(
            "expected a store such as redb:PATH, redis://HOST or postgres://HOST/DATABASE after `--store`",
        )),
    }
}

fn usage(problem: &str) -> crate::Failure {
    crate::Failure::Usage(problem.to_owned())
}

fn open_file(path: &Path) -> Result<Box<dyn SessionStore>, crate::Failure> {
    let cannot = |problem: String| crate::Failure::Cannot(problem.into());
    // The store would create it.
    match path.try_exists() {
        Ok(true) => {}
        Ok(false) => return Err(cannot(format!("{}: there is no such file", path.display()))),
        Err(why) => return Err(cannot(format!("{}: {why}", path.display()))),
    }
    match RedbStore::open(path) {
        Ok(store) => Ok(Box::new(store)),
        Err(error) if is_held(&error) => Err(cannot(format!(
            "{}: the running application holds this file, and one program can have it open: stop the application first, or let it list and end sessions itself, by a route for operators as in `examples/axum.rs`",
            path.display()
        ))),
        Err(error) => Err(error.into()),
    }
}

/// Whether another program has the file open.
fn is_held(error: &Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("already open") {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Plays a scenario on a new store of this name.
pub(crate) fn play(name: &str, scenario: &Scenario) -> Result<Report, Error> {
    match name {
        "redb" => {
            let folder = Folder::new()?;
            scenario.run(RedbStore::open(folder.0.join("sessions.redb"))?)
        }
        // Under a new prefix. The server removes what a scenario leaves when it expires.
        "redis" => {
            let url = std::env::var("REDIS_URL");
            let url = url.as_deref().unwrap_or("redis://127.0.0.1:6379");
            let prefix = format!("scenario-{}", uuid::Uuid::new_v4());
            scenario.run(RedisStore::builder(url).prefix(prefix).build()?)
        }
        "postgres" => {
            let url = std::env::var("POSTGRES_URL");
            let url = url.as_deref().unwrap_or("postgres://127.0.0.1/postgres");
            let store = PostgresStore::builder(url).table(SCENARIOS).build()?;
            store.migrate()?;
            // By the end of time everything has expired.
            store.sweep(Timestamp::from_millis(u64::MAX / 2), usize::MAX)?;
            scenario.run(store)
        }
        _ => scenario.run(MemoryStore::new()),
    }
}

/// A folder for one scenario.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, Error> {
        let path = std::env::temp_dir().join(format!("scenario-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).map_err(|why| {
            let problem = "the temporary folder can't be written";
            Error::with_source(ErrorKind::Unavailable, problem, why)
        })?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in the temporary folder does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

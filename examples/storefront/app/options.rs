//! The arguments of the program, and the store they name.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt as _};
use liquid_session::store::{MemoryStore, RedbStore};
use liquid_session::{SessionConfig, Sessions};

pub(crate) const USAGE: &str = "\
A small shop whose pages keep their state in a session.

Usage: storefront [options]

  --store memory        sessions end with the program
          redb:PATH     sessions in this file (default: a file in the folder for temporary files)
          postgres://…  sessions in a PostgreSQL database (with the feature postgres)
          redis://…     sessions on a Redis server (with the feature redis)
  --port PORT           default 3000; 0 takes a free one
  --site FOLDER         the templates (default: fixtures/site of this crate)
  --config FILE         YAML with a `sessions:` block (default: config.yml of the site)
  --help                this text
";

#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    pub(crate) store: Store,
    pub(crate) port: u16,
    pub(crate) site: PathBuf,
    pub(crate) config: PathBuf,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Store {
    Memory,
    Redb(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres(String),
    #[cfg(feature = "redis")]
    Redis(String),
}

impl Options {
    /// `None` if somebody asked for help. The first argument is the program's name.
    pub(crate) fn parse(
        args: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Result<Option<Self>, lexopt::Error> {
        let mut store = None;
        let mut port = 3000;
        let mut site = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/site"));
        let mut config = None;

        let mut parser = Parser::from_iter(args);
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Long("store") => store = Some(parser.value()?.parse_with(Store::parse)?),
                Arg::Long("port") => port = parser.value()?.parse()?,
                Arg::Long("site") => site = parser.value()?.into(),
                Arg::Long("config") => config = Some(parser.value()?.into()),
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                unknown => return Err(unknown.unexpected()),
            }
        }
        Ok(Some(Self {
            store: store.unwrap_or_else(|| Store::Redb(default_file())),
            port,
            config: config.unwrap_or_else(|| site.join("config.yml")),
            site,
        }))
    }

    /// The sessions of the site: its settings, and the store.
    pub(crate) fn sessions(&self) -> Result<Sessions, Box<dyn Error + Send + Sync>> {
        let text = std::fs::read_to_string(&self.config)
            .map_err(|error| format!("{}: {error}", self.config.display()))?;
        let config = SessionConfig::from_yaml(&text)
            .map_err(|error| format!("{}: {error}", self.config.display()))?;
        Ok(match &self.store {
            Store::Memory => Sessions::new(MemoryStore::new(), config),
            Store::Redb(path) => Sessions::new(RedbStore::open(path)?, config),
            #[cfg(feature = "postgres")]
            Store::Postgres(url) => {
                let store = liquid_session::store::PostgresStore::open(url)?;
                store.migrate()?;
                Sessions::new(store, config)
            }
            #[cfg(feature = "redis")]
            Store::Redis(url) => {
                Sessions::new(liquid_session::store::RedisStore::open(url)?, config)
            }
        })
    }
}

fn default_file() -> PathBuf {
    std::env::temp_dir().join("liquid-session-storefront.redb")
}

impl Store {
    fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("redb", path)) if !path.is_empty() => Ok(Self::Redb(path.into())),
            #[cfg(feature = "postgres")]
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(text.to_owned())),
            #[cfg(not(feature = "postgres"))]
            Some(("postgres" | "postgresql", _)) => Err(
                "this program was built without PostgreSQL: add the feature postgres".to_owned(),
            ),
            #[cfg(feature = "redis")]
            Some(("redis" | "rediss", _)) => Ok(Self::Redis(text.to_owned())),
            #[cfg(not(feature = "redis"))]
            Some(("redis" | "rediss", _)) => {
                Err("this program was built without Redis: add the feature redis".to_owned())
            }
            _ => Err("expected memory, redb:PATH, postgres://HOST or redis://HOST".to_owned()),
        }
    }
}

/// For people; an address may hold a password and stays unsaid.
impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory: they end with this program"),
            Self::Redb(path) => write!(f, "{}", path.display()),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => f.write_str("PostgreSQL"),
            #[cfg(feature = "redis")]
            Self::Redis(_) => f.write_str("Redis"),
        }
    }
}

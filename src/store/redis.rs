mod args;
mod builder;
mod failure;
mod fields;
mod keys;
mod pool;
mod script;
mod server;
mod target;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ::redis::Value as Reply;
use uuid::Uuid;

pub use builder::RedisStoreBuilder;
#[cfg(fuzzing)]
pub(super) use fields::fuzzing;

use self::fields::{millis, text};
use self::script::Args;
use self::server::Server;
use super::{Committed, Lease, Revoke, SessionInfo, SessionStore};
use crate::clock::Timestamp;
use crate::error::Error;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::record::{Change, Record, damaged};
use crate::secret::StoreKey;

/// How many lines a sweep or a scan handles in one command. A server does nothing else meanwhile.
const BATCH: usize = 100;

/// Sessions in Redis or Valkey, shared by every process that connects to it.
///
/// - Redis 6.2 or later, or Valkey: one server, one that
///   [sentinels](RedisStoreBuilder::sentinels) watch, or a cluster (feature `redis-cluster`, method
///   `cluster` of the builder). TLS comes with the feature `redis-tls` and a URL that begins with
///   `rediss://`; the application installs a crypto provider of rustls 0.23 before.
/// - A session is a hash with a field per key, and a commit is one script that checks and merges in
///   one step: two machines that write different keys of one session both keep their writes.
/// - A session that a request does not touch costs no command, a load costs one, a commit one. A
///   renewal or a logout of somebody who is signed in costs one more.
/// - The `now` of the caller decides what is expired, to the millisecond; the server removes a record
///   by itself five minutes after that. The application's machines should agree on the time.
/// - Call [`sweep`](SessionStore::sweep) every minute or so: it removes expired records, and the
///   lines about them in the two indexes (by deadline, and by user), which the server does not
///   expire. It works in batches of 100. The indexes cost some 200 bytes a session, and no command.
/// - When the server is down, slow, full or takes no writes, calls fail with
///   [`ErrorKind::Unavailable`] or [`ErrorKind::Full`] within the timeouts (two seconds each for
///   connecting, sending and the answer; see [`RedisStoreBuilder`]), and succeed again when it does.
///   Resolving the server's name is up to the system and not within them.
/// - Keys begin with `{liquid-session}:`, or [another prefix](RedisStoreBuilder::prefix). In a
///   cluster the braces keep all of a prefix on one node: to spread sessions, use several stores
///   with a prefix each.
///
/// An error of [`ErrorKind::Unavailable`] from a commit leaves open whether it is stored: the server
/// may have run it and died before it answered. It is stored whole or not at all. What survives a
/// crash of the server is up to its settings: with `appendonly yes` and `appendfsync always`
/// everything that was acknowledged, with `everysec` all but the last second. Set `maxmemory-policy`
/// to `noeviction`, or the server signs people out when its memory runs short.
///
/// The server sees the SHA-256 of the secret, never the secret: nobody opens a session with a dump
/// or a `MONITOR`. What a session holds is there in the clear.
///
/// # Example
///
/// ```no_run
/// use liquid_session::store::RedisStore;
/// use liquid_session::{SessionConfig, Sessions};
///
/// let store = RedisStore::open("redis://127.0.0.1:6379")?;
/// let sessions = Sessions::new(store, SessionConfig::default());
/// let session = sessions.open(None);
/// session.set("color", "dark")?;
/// session.commit()?;
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone)]
pub struct RedisStore {
    server: Arc<Server>,
}

impl RedisStore {
    /// A store on the server with this URL, with the settings of a fresh [`RedisStoreBuilder`].
    ///
    /// The form is `redis://user:password@host:port/database`, or `unix:///path` for a socket; all
    /// but the host may be left out. Nothing is connected yet: the first call does that.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for any other text.
    ///
    /// ```
    /// use liquid_session::{ErrorKind, store::RedisStore};
    ///
    /// let store = RedisStore::open("redis://127.0.0.1:6379")?;
    /// let error = RedisStore::open("http://127.0.0.1").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Config);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn open(url: &str) -> Result<Self, Error> {
        Self::builder(url).build()
    }

    /// A store on the server with this URL, with settings of one's own.
    ///
    /// ```
    /// # use liquid_session::store::RedisStore;
    /// let store = RedisStore::builder("redis://127.0.0.1:6379").prefix("shop").build()?;
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn builder(url: &str) -> RedisStoreBuilder {
        RedisStoreBuilder::new(url)
    }
}

/// Without the URL: it may hold a password.
impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisStore")
            .field("keys", &self.server.keys)
            .field("connections", &self.server.pool.most())
            .finish_non_exhaustive()
    }
}

impl SessionStore for RedisStore {
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Option<Arc<Record>>, Error> {
        let mut command = ::redis::cmd("HGETALL");
        command.arg(self.server.keys.session(key));
        let fields = script::pairs(self.server.run(&command, true)?)?;
        Ok(fields::record(fields)?
            .filter(|record| !record.is_expired(now))
            .map(Arc::new))
    }

    fn commit(&self, key: &StoreKey, change: &Change, now: Timestamp) -> Result<Committed, Error> {
        match change.create(now)? {
            Some(record) => self.server.create(key, &record, now),
            None => self.server.merge(key, change, now),
        }
    }

    fn touch(&self, key: &StoreKey, now: Timestamp) -> Result<bool, Error> {
        let args = Args::default()
            .key(self.server.keys.session(key))
            .arg(text(now.as_millis()))
            .arg(text(args::GRACE))
            .arg(text(args::LONGEST));
        let mut answer = self.server.eval(&self.server.scripts.touch, &args, true)?;
        match &*answer.word {
            "stored" => Ok(true),
            "gone" => Ok(false),
            "form" => {
                fields::form(&answer.bytes()?)?;
                Err(damaged())
            }
            _ => Err(damaged()),
        }
    }

    fn destroy(&self, key: &StoreKey) -> Result<bool, Error> {
        let keys = &self.server.keys;
        let answer = self
            .server
            .eval_as_owner(&self.server.scripts.destroy, |owner| {
                Args::default()
                    .key(keys.session(key))
                    .key(keys.deadlines())
                    .key(owner.index(keys))
                    .arg(key.as_bytes().as_slice())
                    .arg(owner.encode())
            })?;
        Ok(answer.word == "stored")
    }

    fn user_sessions(&self, user: &str, now: Timestamp) -> Result<Vec<SessionInfo>, Error> {
        // A run that met them all saw them at one moment.
        let mut last = None;
        self.server.eval_for_user(user, now, "list", b"", |found| {
            last = Some(found);
            Ok(())
        })?;
        script::list(last.ok_or_else(damaged)?)?
            .into_iter()
            .map(|values| {
                let values = script::list(values)?
                    .into_iter()
                    .map(script::bytes)
                    .collect::<Result<Vec<_>, _>>()?;
                fields::info(values.try_into().map_err(|_| damaged())?)
            })
            .collect()
    }

    fn revoke(&self, user: &str, which: Revoke, now: Timestamp) -> Result<usize, Error> {
        let (which, id) = match &which {
            Revoke::All => ("all", &[][..]),
            Revoke::Others(id) => ("others", &id.as_bytes()[..]),
            Revoke::One(id) => ("one", &id.as_bytes()[..]),
        };
        let mut ended = 0;
        self.server.eval_for_user(user, now, which, id, |found| {
            ended += script::number(found)?;
            Ok(())
        })?;
        Ok(ended)
    }

    fn sweep(&self, now: Timestamp, max: usize) -> Result<usize, Error> {
        let keys = &self.server.keys;
        let mut swept = 0;
        while swept < max {
            let mut command = ::redis::cmd("ZRANGEBYSCORE");
            command
                .arg(keys.deadlines())
                .arg("-inf")
                .arg(now.as_millis())
                .arg("LIMIT")
                .arg(0)
                .arg(BATCH.min(max - swept));
            let lines = script::list(self.server.run(&command, true)?)?;
            if lines.is_empty() {
                break;
            }
            let mut args = Args::default()
                .key(keys.deadlines())
                .arg(text(now.as_millis()));
            for line in lines {
                let line = script::bytes(line)?;
                let (key, owner) = keys::line(&line).ok_or_else(damaged)?;
                args = args
                    .key(keys.session(&key))
                    .key(owner.index(keys))
                    .arg(line);
            }
            let mut answer = self.server.eval(&self.server.scripts.sweep, &args, false)?;
            let (removed, filed) = (answer.number()?, answer.number()?);
            swept += removed;
            if removed + filed == 0 {
                // Somebody else sweeps too.
                break;
            }
        }
        Ok(swept)
    }

    /// Reads along the deadlines, so that a server that holds other things too is not searched. A
    /// session that is renewed meanwhile may be missed.
    fn scan(
        &self,
        now: Timestamp,
        visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
    ) -> Result<(), Error> {
        let keys = &self.server.keys;
        // A server may show a line twice.
        let mut seen = HashSet::new();
        let mut cursor = b"0".to_vec();
        loop {
            let mut command = ::redis::cmd("ZSCAN");
            command
                .arg(keys.deadlines())
                .arg(cursor)
                .arg("COUNT")
                .arg(BATCH);
            let mut page = script::list(self.server.run(&command, true)?)?.into_iter();
            let (Some(next), Some(lines)) = (page.next(), page.next()) else {
                return Err(damaged());
            };
            let mut found = Vec::new();
            for (line, _) in script::pairs(lines)? {
                let (key, _) = keys::line(&line).ok_or_else(damaged)?;
                if seen.insert(key) {
                    found.push(key);
                }
            }
            // A small set comes as a whole.
            for batch in found.chunks(BATCH) {
                let args = Args {
                    keys: batch.iter().map(|key| keys.session(key)).collect(),
                    ..Args::default()
                };
                let records = self
                    .server
                    .eval(&self.server.scripts.read, &args, true)?
                    .list()?;
                for (key, fields) in batch.iter().zip(records) {
                    let record = fields::record(script::pairs(fields)?)?;
                    let alive = record.filter(|record| !record.is_expired(now));
                    if alive.is_some_and(|record| !visit(key, &record)) {
                        return Ok(());
                    }
                }
            }
            cursor = script::bytes(next)?;
            if cursor == b"0" {
                return Ok(());
            }
        }
    }

    fn lease(&self, key: &StoreKey, for_at_most: Duration) -> Result<Option<Lease>, Error> {
        let lease = self.server.keys.lease(key);
        let token = Uuid::new_v4().into_bytes().to_vec();
        let mut command = ::redis::cmd("SET");
        command
            .arg(&lease)
            .arg(&token)
            .arg("NX")
            .arg("PX")
            .arg(millis(for_at_most).max(1));
        if self.server.run(&command, false)? == Reply::Nil {
            return Ok(None);
        }
        let server = self.server.clone();
        Ok(Some(Lease::new(move || {
            let args = Args::default().key(lease).arg(token);
            // It ends by itself, a little later.
            let _ = server.eval(&server.scripts.give_back, &args, true);
        })))
    }
}

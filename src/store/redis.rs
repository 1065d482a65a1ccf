mod builder;
mod client;
mod cluster;
mod failure;
mod keys;
mod server;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ::redis::{Cmd, FromRedisValue, Value as Reply, cmd};

pub use self::builder::RedisStoreBuilder;
use self::client::{Client, Place, Script};
use super::driver::LazyDriver;
use super::{AsyncStore, Forward, IndexLine, Loaded, SessionStore, StoreFuture, Swap, Swapped};
use crate::clock::Timestamp;
use crate::store::StoreKey;
use crate::store::{Record, Touch};
use crate::{Error, ErrorKind};

/// How many keys a scan reads in one command. A server does nothing else meanwhile.
const BATCH: usize = 100;

/// How long a line stays in a user's index after its session: application servers' clocks differ.
const SLACK: Duration = Duration::from_secs(60 * 60);

/// Why a change is not known to be stored although the store answered.
const CHANGED: &str = "the answer was lost, and the session has changed since";

/// The latest time of the stored form.
const LATEST: u64 = (1 << 48) - 1;

/// Sessions in Redis or Valkey, shared by every process that connects to it.
///
/// - Redis 6.2 or later, or Valkey: one server, one that
///   [sentinels](RedisStoreBuilder::sentinels) watch, or a
///   [cluster](RedisStoreBuilder::cluster), where sessions spread over all nodes. TLS comes with the
///   feature `redis-tls` and a URL that begins with `rediss://`; the application installs a crypto
///   provider of rustls 0.23 before.
/// - A session is one string, in its stored form. A commit is a compare-and-swap: two servers of the
///   application that write different keys of one session both keep their writes.
/// - A request that does not touch its session costs no command, a load costs one, a commit one.
///   What extends the life of a signed-in session costs one more, for the index of the user's
///   sessions.
/// - All callers on one tokio runtime share one connection, which their runtime drives: it needs its
///   timers and its I/O enabled. The commands of parallel requests go out together. Synchronous calls,
///   and async ones outside of tokio, share a connection that a thread of the store drives; the first
///   of them starts the thread. In a cluster that holds for each node.
/// - A dropped future of the [async face](SessionStore::as_async) leaves its step done or not done,
///   and the connection to the others.
/// - The server removes what is expired by itself, by its own clock. The caller's `now` decides what
///   is expired before that, to the millisecond: the application's servers should agree on the time.
///   [`sweep`](SessionStore::sweep) does nothing.
/// - When the server is down, slow, full or takes no writes, calls fail with
///   [`ErrorKind::Unavailable`] or [`ErrorKind::Full`] within the
///   [timeout](RedisStoreBuilder::timeout), two seconds for connecting and two for each command, and
///   succeed again when it does. After a timeout the next call connects again. A server that refuses
///   the user, the password or a command is an [`ErrorKind::Config`].
/// - Keys begin with `liquid-session`, or [another prefix](RedisStoreBuilder::prefix).
///
/// If the answer to a change is lost, the store looks whether the change was made, and makes it if
/// not. If it can't tell, the error says that the change "is not known to be stored": it is stored
/// whole or not at all.
///
/// What survives a crash of the server is up to its settings: with `appendonly yes` and `appendfsync
/// always` everything that was acknowledged, with `everysec` all but the last second. Set
/// `maxmemory-policy` to `noeviction`: another policy signs visitors out when memory runs short, and
/// may drop the index of a user's sessions, so that a revocation misses them. With feature
/// `tracing`, an event reports a policy that evicts any key.
///
/// The server sees a hash of the secret, never the secret: neither a dump nor `MONITOR` opens a session.
/// The values of a session are stored in the clear.
///
/// # Rights
///
/// A user of the store needs these commands on the keys that begin with the prefix:
///
/// ```text
/// ACL SETUSER sessions on >password ~liquid-session* resetchannels
///     +get +getrange +set +setrange +del +pexpire +pttl +scan +ping +eval +evalsha
///     +zadd +zrem +zrange +zremrangebyscore
/// ```
///
/// Besides `+select` for a database other than 0, `+cluster|slots` and `+asking` in a cluster,
/// `+role` with sentinels, and `+info` for the event about the policy.
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
pub struct RedisStore(Arc<Inner>);

struct Inner {
    prefix: String,
    client: Client,
    swap: Script,
    touch: Script,
    index: Script,
    /// For calls from outside of a runtime. Started by the first.
    driver: LazyDriver,
}

impl RedisStore {
    /// A store on the server with this URL, with the settings of a fresh [`RedisStoreBuilder`].
    ///
    /// The form is `redis://user:password@host:port/database`, or `unix:///path` for a socket; all
    /// but the host may be left out. Percent-encode special characters in the user and the password:
    /// `p@ss/word` is `p%40ss%2Fword`. Nothing is connected yet: the first call does that.
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

    /// A builder for a store on the server with this URL.
    ///
    /// ```
    /// # use liquid_session::store::RedisStore;
    /// let store = RedisStore::builder("redis://127.0.0.1:6379").prefix("shop").build()?;
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn builder(url: &str) -> RedisStoreBuilder {
        RedisStoreBuilder::new(url)
    }

    fn new(prefix: String, client: Client) -> Self {
        Self(Arc::new(Inner {
            prefix,
            client,
            swap: Script::new(include_str!("redis/swap.lua")),
            touch: Script::new(include_str!("redis/touch.lua")),
            index: Script::new(include_str!("redis/index.lua")),
            driver: LazyDriver::new("sessions-redis"),
        }))
    }

    /// Waits for a future on this thread.
    fn wait<T>(&self, future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.0.driver.get()?.wait(future)
    }
}

impl Inner {
    fn key(&self, key: &StoreKey) -> Vec<u8> {
        keys::session(&self.prefix, key)
    }

    async fn get(&self, name: &[u8]) -> Result<Reply, Error> {
        self.client
            .run(Place::Key(name), cmd("GET").arg(name))
            .await
    }

    async fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Loaded, Error> {
        read(self.get(&self.key(key)).await?, now)
    }

    async fn touch(&self, key: &StoreKey, touch: &Touch<'_>) -> Result<(), Error> {
        let line = keys::line(touch.id, key);
        self.add_line(touch.user, &line, touch.deadline, touch.at)
            .await?;
        let name = self.key(key);
        let mut call = self.touch.call(&[&name]);
        call.arg(millis(touch.at)).arg(millis(touch.deadline));
        let touched = self.client.change(&name, &call, Some(&self.touch));
        touched.await.map(|_| ())
    }

    /// Adds a line to the index of the user, before the session is written.
    async fn add_line(
        &self,
        user: Option<&str>,
        line: &[u8],
        deadline: Timestamp,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Some(user) = user else { return Ok(()) };
        let name = keys::index(&self.prefix, user);
        let mut call = self.index.call(&[&name]);
        call.arg(line)
            .arg(millis(deadline + SLACK))
            .arg(millis(now));
        let added = self.client.change(&name, &call, Some(&self.index));
        added.await.map(|_| ())
    }

    /// Removes the line of a session that this process ended, or shortens that of a key which it
    /// renewed. Without it the line goes by its time: a failure does not matter.
    async fn drop_line(&self, record: &Record, key: &StoreKey, until: Option<Timestamp>) {
        let Some(user) = record.user() else { return };
        let name = keys::index(&self.prefix, user);
        let mut command = cmd(if until.is_some() { "ZADD" } else { "ZREM" });
        command.arg(&name);
        if let Some(until) = until {
            command.arg("XX").arg(millis(until + SLACK));
        }
        command.arg(keys::line(record.id(), key));
        let _ = self.client.run(Place::Key(&name), &command).await;
    }

    async fn create(
        &self,
        key: &StoreKey,
        record: &Record,
        now: Timestamp,
    ) -> Result<Swapped, Error> {
        let (line, deadline) = (keys::line(record.id(), key), record.deadline());
        self.add_line(record.user(), &line, deadline, now).await?;
        let name = self.key(key);
        let mut command = cmd("SET");
        command.arg(&name).arg(record.to_bytes()).arg("NX");
        command.arg("PX").arg(time_to_live(deadline, now));
        let answer = self.client.change(&name, &command, None).await?;
        if answer.reply == Reply::Okay {
            return Ok(Swapped::Done);
        }
        match read(self.get(&name).await?, now)? {
            Loaded::Found(found) if found.version() == record.version() => Ok(Swapped::Done),
            _ if answer.repeated => Err(failure::not_known(CHANGED)),
            found => Ok(instead(found)),
        }
    }

    async fn swap(&self, key: &StoreKey, swap: Swap<'_>, now: Timestamp) -> Result<Swapped, Error> {
        let (before, after, forward) = match swap {
            Swap::Create(record) => return self.create(key, record, now).await,
            Swap::Replace { before, after } => (before, Some(after), None),
            Swap::Move {
                before,
                after,
                forward,
            } => (before, Some(after), Some(forward)),
            Swap::Remove(before) => (before, None, None),
            Swap::RemoveUnreadable => return self.remove_unreadable(key, now).await,
        };
        let name = self.key(key);
        if let Some(after) = after
            && (forward.is_some()
                || after.deadline() > before.deadline()
                || before.user() != after.user())
        {
            let key = forward.map_or(*key, |forward| forward.to);
            let (line, deadline) = (keys::line(after.id(), &key), after.deadline());
            self.add_line(after.user(), &line, deadline, now).await?;
        }
        let mut repeated = false;
        let mut touched: Option<Arc<Record>> = None;
        loop {
            let current = touched.as_deref().unwrap_or(before);
            let found = if current.is_expired(now) {
                // Unless a touch has extended it.
                read(self.get(&name).await?, now)?
            } else {
                let call = self.swap_call(&name, current, after, forward, now);
                let answer = self.client.change(&name, &call, Some(&self.swap)).await?;
                repeated |= answer.repeated;
                if let Reply::Int(_) = answer.reply {
                    break;
                }
                read(answer.reply, now)?
            };
            match (found, after) {
                // A touch came between, and kept the version.
                (Loaded::Found(record), _) if record.version() == before.version() => {
                    touched = Some(record);
                }
                // What follows is judged by what this change would have left.
                (Loaded::Found(record), Some(after)) if record.version() == after.version() => {
                    break;
                }
                (Loaded::Moved(found), _) if forward.is_some_and(|own| own.to == found.to) => break,
                (Loaded::Absent, None) if repeated => break,
                (_, Some(_)) if repeated => return Err(failure::not_known(CHANGED)),
                (found, _) => {
                    // Nothing was stored under the new key, and nothing will be.
                    if let (Some(forward), Some(after)) = (forward, after) {
                        self.drop_line(after, &forward.to, None).await;
                    }
                    return Ok(instead(found));
                }
            }
        }
        if after.is_none() || forward.is_some() {
            let until = forward.map(|forward| forward.until);
            self.drop_line(before, key, until).await;
        }
        Ok(Swapped::Done)
    }

    fn swap_call(
        &self,
        name: &[u8],
        current: &Record,
        after: Option<&Record>,
        forward: Option<Forward>,
        now: Timestamp,
    ) -> Cmd {
        let mut call = match &forward {
            None => self.swap.call(&[name]),
            Some(forward) => self.swap.call(&[name, &self.key(&forward.to)]),
        };
        // As in the stored form.
        let used = millis(current.last_used()).to_le_bytes();
        call.arg([&current.version().to_le_bytes(), &used[..6]].concat());
        if let Some(forward) = &forward {
            call.arg(keys::forward(forward));
            call.arg(time_to_live(forward.until, now));
        }
        let later = after.filter(|after| current.last_used() > after.last_used());
        let later = later.map(|after| after.with_later_use(current, now));
        match later.as_ref().or(after) {
            Some(after) => {
                call.arg(after.to_bytes());
                call.arg(time_to_live(after.deadline(), now))
            }
            None => call.arg("").arg(0),
        };
        call
    }

    async fn remove_unreadable(&self, key: &StoreKey, now: Timestamp) -> Result<Swapped, Error> {
        let name = self.key(key);
        loop {
            let reply = match self.get(&name).await {
                // Not even a string.
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    let mut remove = cmd("DEL");
                    self.client.change(&name, remove.arg(&name), None).await?;
                    return Ok(Swapped::Done);
                }
                reply => reply?,
            };
            let unreadable = match read(reply.clone(), now) {
                Ok(found) => return Ok(instead(found)),
                Err(_) => parse::<Vec<u8>>(reply)?,
            };
            let mut call = self.swap.call(&[&name]);
            call.arg(unreadable).arg("").arg(0);
            let answer = self.client.change(&name, &call, Some(&self.swap)).await?;
            if let Reply::Int(_) = answer.reply {
                return Ok(Swapped::Done);
            }
        }
    }

    async fn user_index(&self, user: &str) -> Result<Vec<IndexLine>, Error> {
        let name = keys::index(&self.prefix, user);
        let mut command = cmd("ZRANGE");
        command.arg(&name).arg(0).arg(-1);
        let reply = self.client.run(Place::Key(&name), &command).await?;
        let line = |line: Vec<u8>| keys::parse_line(&line).ok_or_else(unexpected);
        parse::<Vec<_>>(reply)?.into_iter().map(line).collect()
    }

    async fn scan(
        self: &Arc<Self>,
        now: Timestamp,
        visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
    ) -> Result<(), Error> {
        // A server may name a key twice.
        let mut seen = HashSet::new();
        for server in self.client.masters().await? {
            let mut cursor = Vec::from("0");
            loop {
                let mut command = cmd("SCAN");
                command.arg(&cursor).arg("COUNT").arg(BATCH);
                command.arg("MATCH").arg(keys::PATTERN);
                let page = self.client.run(Place::Server(&server), &command).await?;
                let names: Vec<Vec<u8>>;
                (cursor, names) = parse(page)?;
                let mut loads = Vec::new();
                for name in names {
                    let key = keys::parse_session(&self.prefix, &name);
                    if let Some(key) = key.filter(|key| seen.insert(*key)) {
                        // All of a page are on their way at once.
                        let store = self.clone();
                        let load = async move { store.load(&key, now).await };
                        loads.push((key, tokio::spawn(load)));
                    }
                }
                for (key, load) in loads {
                    match load.await.map_err(|_| unexpected())? {
                        Ok(Loaded::Found(record)) if !visit(&key, &record) => return Ok(()),
                        Err(error) if !is_unreadable(&error) => return Err(error),
                        _ => {}
                    }
                }
                if cursor == b"0" {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn ping(&self) -> Result<(), Error> {
        for server in self.client.masters().await? {
            self.client
                .run(Place::Server(&server), &cmd("PING"))
                .await?;
        }
        Ok(())
    }
}

/// A time as the server gets it.
fn millis(time: Timestamp) -> u64 {
    time.as_millis().min(LATEST)
}

/// How long the server keeps what ends at `deadline`, in milliseconds. It refuses zero.
fn time_to_live(deadline: Timestamp, now: Timestamp) -> u64 {
    let left = millis(deadline).saturating_sub(now.as_millis());
    left.max(1)
}

/// What stands under the key of a session.
fn read(reply: Reply, now: Timestamp) -> Result<Loaded, Error> {
    let Some(bytes) = parse::<Option<Vec<u8>>>(reply)? else {
        return Ok(Loaded::Absent);
    };
    if let Some(forward) = keys::parse_forward(&bytes) {
        return Ok(match forward.is_alive(now) {
            true => Loaded::Moved(forward),
            false => Loaded::Absent,
        });
    }
    let record = Record::from_bytes(&bytes)?;
    Ok(match record.is_expired(now) {
        true => Loaded::Absent,
        false => Loaded::Found(Arc::new(record)),
    })
}

fn parse<T: FromRedisValue>(reply: Reply) -> Result<T, Error> {
    ::redis::from_redis_value(reply).map_err(|_| unexpected())
}

fn is_unreadable(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NewerForm)
}

fn unexpected() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the session store gave an unexpected answer: expected a server that speaks the protocol of Redis",
    )
}

/// The answer to a swap that found this instead of what it expects.
fn instead(found: Loaded) -> Swapped {
    match found {
        Loaded::Found(record) => Swapped::Current(record),
        Loaded::Moved(forward) => Swapped::Moved(forward),
        Loaded::Absent => Swapped::Gone,
    }
}

/// Without the URL: it may hold a password.
impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.0.prefix)
            .finish_non_exhaustive()
    }
}

impl SessionStore for RedisStore {
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Loaded, Error> {
        self.wait(self.0.load(key, now))
    }

    fn swap(&self, key: &StoreKey, swap: Swap<'_>, now: Timestamp) -> Result<Swapped, Error> {
        self.wait(self.0.swap(key, swap, now))
    }

    fn touch(&self, key: &StoreKey, touch: &Touch<'_>) -> Result<(), Error> {
        self.wait(self.0.touch(key, touch))
    }

    fn user_index(&self, user: &str, _: Timestamp) -> Result<Vec<IndexLine>, Error> {
        self.wait(self.0.user_index(user))
    }

    /// The server removes expired records by itself.
    fn sweep(&self, _: Timestamp, _: usize) -> Result<usize, Error> {
        Ok(0)
    }

    /// Searches all keys of the server. A session that is renewed meanwhile may be missed.
    fn scan(
        &self,
        now: Timestamp,
        visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
    ) -> Result<(), Error> {
        self.wait(self.0.scan(now, visit))
    }

    fn ping(&self) -> Result<(), Error> {
        self.wait(self.0.ping())
    }

    fn as_async(&self) -> Option<&dyn AsyncStore> {
        Some(&*self.0)
    }

    fn expires_by_itself(&self) -> bool {
        true
    }
}

impl AsyncStore for Inner {
    fn load<'s>(&'s self, key: &'s StoreKey, now: Timestamp) -> StoreFuture<'s, Loaded> {
        self.driver.boxed(self.load(key, now))
    }

    fn swap<'s>(
        &'s self,
        key: &'s StoreKey,
        swap: Swap<'s>,
        now: Timestamp,
    ) -> StoreFuture<'s, Swapped> {
        self.driver.boxed(self.swap(key, swap, now))
    }

    fn touch<'s>(&'s self, key: &'s StoreKey, touch: &'s Touch<'s>) -> StoreFuture<'s, ()> {
        self.driver.boxed(self.touch(key, touch))
    }
}

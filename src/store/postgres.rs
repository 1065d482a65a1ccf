mod builder;
mod failure;
mod pool;
mod schema;
mod statements;
mod target;
#[cfg(feature = "postgres-tls")]
mod tls;

use std::ops::Range;
use std::sync::Arc;

use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

pub use self::builder::PostgresStoreBuilder;
use self::pool::{Answer, Pool};
use self::statements::{Bytes, Query};
use super::{
    AsyncStore, Forward, IndexLine, Loaded, Record, SessionStore, StoreFuture, StoreKey, Swap,
    Swapped, Touch,
};
use crate::clock::Timestamp;
use crate::{Error, ErrorKind, SessionId};

/// How many rows a scan reads in one statement.
const PAGE: i64 = 200;

/// How many rows a sweep looks at in one statement.
const BATCH: i64 = 1_000;

/// The latest time of the stored form.
const LATEST: u64 = (1 << 48) - 1;

/// Why a change is not known to be stored although the store answered.
const CHANGED: &str = "the answer was lost, and the session has changed since";

/// Sessions in a PostgreSQL database, shared by every process that connects to it.
///
/// - PostgreSQL 13 or later. The feature `postgres-tls` and `sslmode=require` in the URL bring TLS with
///   a check of the certificate; the application installs a crypto provider of rustls 0.23 before.
///   Without `sslmode=require` nothing is encrypted.
/// - A session is one row. A commit is a compare-and-swap: two servers of the application that write
///   different keys of one session both keep their writes.
/// - A request that does not touch its session costs no statement, a load costs one, a commit one, each
///   one round trip. Statements are prepared once for each connection.
/// - The caller's `now` decides what is expired, to the millisecond: the application's servers should
///   agree on the time. Expired rows stay until a [sweep](SessionStore::sweep).
/// - When the server is down, slow, full or takes no writes, calls fail with
///   [`ErrorKind::Unavailable`] or [`ErrorKind::Full`] within the timeouts (two seconds each for a free
///   connection, for connecting to an address, and for the answer; see [`PostgresStoreBuilder`]), and
///   succeed again when it does.
/// - With several addresses in the URL, the store connects to the first that takes writes, and finds
///   another one after a failover. Each address that does not answer costs a timeout.
/// - Async code awaits the store without a blocking thread. Other calls wait on their own thread, also
///   within a runtime. A thread of the store drives the connections; it ends with the last clone.
///
/// If the answer to a change is lost, the store looks whether the change was made, and makes it if
/// not. If it can't tell, the error says that the change "is not known to be stored": it is stored
/// whole or not at all.
///
/// What survives a crash of the server is up to its settings: by default everything that was
/// acknowledged, with `synchronous_commit = off` all but the last half second.
///
/// The server sees a hash of the secret, never the secret: neither a dump nor the log of statements
/// opens a session. The values of a session are stored in the clear.
///
/// # Table
///
/// [`migrate`](Self::migrate) creates the table, or you do:
///
/// ```sql
#[doc = include_str!("postgres/schema.sql")]
/// ```
///
/// The comment on the table is the version of the schema. For another
/// [name](PostgresStoreBuilder::table), replace `liquid_session`.
///
/// A touch changes no index, and a commit only if it ends the session earlier than before or changes
/// the user, so PostgreSQL updates the row on its page and clears old versions by itself. Keep
/// autovacuum on.
///
/// # Rights
///
/// A role that is not the owner of the table needs these:
///
/// ```sql
/// grant select, insert, update, delete on liquid_session to shop;
/// ```
///
/// A pooler between must keep prepared statements and settings of a connection: PgBouncer with
/// `pool_mode = session`.
///
/// # Example
///
/// ```no_run
/// use liquid_session::store::PostgresStore;
/// use liquid_session::{SessionConfig, Sessions};
///
/// let store = PostgresStore::open("postgres://shop:password@127.0.0.1/shop")?;
/// store.migrate()?;
/// let sessions = Sessions::new(store, SessionConfig::default());
/// let session = sessions.open(None);
/// session.set("color", "dark")?;
/// session.commit()?;
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone)]
pub struct PostgresStore(Arc<Pool>);

impl PostgresStore {
    /// Makes a store on the server with this URL, with the settings of a fresh
    /// [`PostgresStoreBuilder`].
    ///
    /// The form is `postgres://user:password@host:port/database`, with several `host:port` separated by
    /// commas for a server with standbys, or `host=…` and so on as in PostgreSQL's own tools.
    /// Percent-encode special characters in the user and the password: `p@ss/word` is `p%40ss%2Fword`.
    /// Nothing is connected yet: the first call does that.
    ///
    /// # Errors
    ///
    /// See [`PostgresStoreBuilder::build`].
    ///
    /// ```
    /// use liquid_session::{ErrorKind, store::PostgresStore};
    ///
    /// let store = PostgresStore::open("postgres://shop@10.0.0.1:5432,10.0.0.2:5432/shop")?;
    /// let error = PostgresStore::open("redis://127.0.0.1").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Config);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn open(url: &str) -> Result<Self, Error> {
        Self::builder(url).build()
    }

    /// Returns a builder for a store on the server with this URL.
    ///
    /// ```
    /// # use liquid_session::store::PostgresStore;
    /// let store = PostgresStore::builder("postgres://127.0.0.1/shop").connections(4).build()?;
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn builder(url: &str) -> PostgresStoreBuilder {
        PostgresStoreBuilder::new(url)
    }

    fn new(pool: Pool) -> Self {
        Self(Arc::new(pool))
    }

    /// Creates the table, unless it is there. Several processes may call it at once. It needs the right
    /// to create tables only if there is none yet.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Config`]: the user may not create a table, or the table that is there is another
    ///   one or has another version of the schema.
    /// - [`ErrorKind::Unavailable`]: the server can't be reached.
    pub fn migrate(&self) -> Result<(), Error> {
        self.0.wait(self.0.migrate())
    }
}

impl Pool {
    async fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Loaded, Error> {
        let rows = self.read(Query::Load, &[&bytes(key)]).await?;
        match rows.first() {
            Some(row) => read(row, now),
            None => Ok(Loaded::Absent),
        }
    }

    async fn swap(&self, key: &StoreKey, swap: Swap<'_>, now: Timestamp) -> Result<Swapped, Error> {
        let mut repeated = false;
        loop {
            let answer = match self.try_to_swap(key, swap, now).await {
                Err(error) if repeated => return Err(failure::not_known(error)),
                answer => answer?,
            };
            repeated |= answer.repeated;
            if answer.changed > 0 {
                return Ok(Swapped::Done);
            }
            let found = match self.load(key, now).await {
                Err(error) if repeated => return Err(failure::not_known(error)),
                found => found?,
            };
            // What follows is judged by what this change would have left, and by what it expects.
            match (&found, swap) {
                (Loaded::Found(found), Swap::Create(after) | Swap::Replace { after, .. })
                    if found.version() == after.version() =>
                {
                    return Ok(Swapped::Done);
                }
                (Loaded::Moved(found), Swap::Move { forward, .. }) if found.to == forward.to => {
                    return Ok(Swapped::Done);
                }
                (Loaded::Absent, Swap::Remove(_)) if repeated => return Ok(Swapped::Done),
                // A touch has extended it after it was expired, by another clock.
                (
                    Loaded::Found(found),
                    Swap::Replace { before, .. } | Swap::Move { before, .. } | Swap::Remove(before),
                ) if found.version() == before.version() => {}
                (_, Swap::Create(_) | Swap::Replace { .. } | Swap::Move { .. }) if repeated => {
                    return Err(failure::not_known(CHANGED));
                }
                _ => return Ok(instead(found)),
            }
        }
    }

    async fn try_to_swap(
        &self,
        key: &StoreKey,
        swap: Swap<'_>,
        now: Timestamp,
    ) -> Result<Answer, Error> {
        let (id, time) = (bytes(key), millis(now));
        match swap {
            Swap::Create(after) => {
                let after = Columns::of(after);
                self.change(
                    Query::Create,
                    &[
                        &id,
                        &after.id,
                        &after.user,
                        &after.version,
                        &after.used,
                        &after.created,
                        &after.deadline,
                        &Bytes(&after.record),
                    ],
                )
                .await
            }
            Swap::Replace { before, after } => {
                let after = Columns::of(after);
                self.change(
                    Query::Replace,
                    &[
                        &id,
                        &version(before),
                        &time,
                        &after.version,
                        &after.user,
                        &after.used,
                        &after.created,
                        &after.deadline,
                        &Bytes(&after.record),
                    ],
                )
                .await
            }
            Swap::Move {
                before,
                after,
                forward,
            } => {
                let after = Columns::of(after);
                self.change(
                    Query::Move,
                    &[
                        &id,
                        &version(before),
                        &time,
                        &bytes(&forward.to),
                        &forward.by_login,
                        &millis(forward.until),
                        &after.id,
                        &after.user,
                        &after.version,
                        &after.used,
                        &after.created,
                        &after.deadline,
                        &Bytes(&after.record),
                    ],
                )
                .await
            }
            Swap::Remove(before) => {
                self.change(Query::Remove, &[&id, &version(before), &time])
                    .await
            }
            Swap::RemoveUnreadable => self.remove_unreadable(key, now).await,
        }
    }

    async fn remove_unreadable(&self, key: &StoreKey, now: Timestamp) -> Result<Answer, Error> {
        loop {
            let rows = self.read(Query::Load, &[&bytes(key)]).await?;
            let unreadable = match rows.first() {
                Some(row) if read(row, now).is_err() => row,
                _ => return Ok(Answer::default()),
            };
            let record = column::<Option<&[u8]>>(unreadable, RECORD)?.map(Bytes);
            let answer = self
                .change(Query::RemoveUnreadable, &[&bytes(key), &record])
                .await?;
            if answer.changed > 0 {
                return Ok(answer);
            }
        }
    }

    async fn touch(&self, key: &StoreKey, touch: &Touch<'_>) -> Result<(), Error> {
        // A touch may run twice: there is nothing to judge.
        self.read(
            Query::Touch,
            &[&bytes(key), &millis(touch.at), &millis(touch.deadline)],
        )
        .await
        .map(|_| ())
    }

    async fn user_index(&self, user: &str) -> Result<Vec<IndexLine>, Error> {
        let rows = self
            .read(Query::UserIndex, &[&Bytes(user.as_bytes())])
            .await?;
        let line = |row| {
            Ok(IndexLine {
                id: SessionId::from_bytes(column::<Uuid>(row, 0)?.into_bytes()),
                key: key(column(row, 1)?)?,
            })
        };
        rows.iter().map(line).collect()
    }

    async fn sweep(&self, now: Timestamp, max: usize) -> Result<usize, Error> {
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let mut swept = 0;
        while swept < max {
            let rows = self
                .read(Query::Sweep, &[&millis(now), &BATCH, &(max - swept)])
                .await?;
            let row = rows.first().ok_or_else(unexpected)?;
            let (due, ended): (i64, i64) = (column(row, 0)?, column(row, 1)?);
            swept += ended;
            if due < BATCH {
                break;
            }
        }
        Ok(usize::try_from(swept).unwrap_or(usize::MAX))
    }
}

/// What a row has of a record.
struct Columns<'r> {
    id: Uuid,
    user: Option<Bytes<'r>>,
    version: i64,
    used: i64,
    created: i64,
    deadline: i64,
    record: Vec<u8>,
}

impl<'r> Columns<'r> {
    fn of(record: &'r Record) -> Self {
        Self {
            id: Uuid::from_bytes(*record.id().as_bytes()),
            user: record.user().map(|user| Bytes(user.as_bytes())),
            version: version(record),
            used: millis(record.last_used()),
            created: millis(record.created()),
            deadline: millis(record.deadline()),
            record: record.to_bytes(),
        }
    }
}

fn bytes(key: &StoreKey) -> Bytes<'_> {
    Bytes(key.as_bytes())
}

/// The version tag in a column, which has a sign.
fn version(record: &Record) -> i64 {
    i64::from_le_bytes(record.version().to_le_bytes())
}

fn millis(time: Timestamp) -> i64 {
    time.as_millis().min(LATEST).cast_signed()
}

fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(millis).unwrap_or_default())
}

fn column<'r, T: FromSql<'r>>(row: &'r Row, at: usize) -> Result<T, Error> {
    row.try_get(at).map_err(|_| unexpected())
}

fn unexpected() -> Error {
    Error::new(
        ErrorKind::Config,
        "the table of the session store has columns of other types than expected: compare it with the documentation of `PostgresStore`",
    )
}

fn damaged() -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "a stored session can't be read: the record is damaged",
    )
}

fn key(bytes: &[u8]) -> Result<StoreKey, Error> {
    let bytes = bytes.try_into().map_err(|_| damaged())?;
    Ok(StoreKey::from_bytes(bytes))
}

/// The place of the record in the rows that `Load` and `Scan` give, behind the version and the times.
const RECORD: usize = 4;

/// Where the times stand in the stored form of a record: last use, creation, deadline.
const TIMES: Range<usize> = 9..27;

/// What a row holds. The columns decide about the times, which stand in the record too: a touch changes
/// only the columns.
fn read(row: &Row, now: Timestamp) -> Result<Loaded, Error> {
    let deadline = timestamp(column(row, 3)?);
    if now >= deadline {
        return Ok(Loaded::Absent);
    }
    let Some(stored) = column::<Option<&[u8]>>(row, RECORD)? else {
        return Ok(Loaded::Moved(Forward {
            to: key(column::<Option<&[u8]>>(row, RECORD + 1)?.unwrap_or_default())?,
            by_login: column::<Option<bool>>(row, RECORD + 2)?.unwrap_or(true),
            until: deadline,
        }));
    };
    let mut stored = stored.to_vec();
    if stored.first() == Some(&1)
        && let Some(times) = stored.get_mut(TIMES)
    {
        for (at, time) in times.chunks_exact_mut(6).enumerate() {
            let millis: i64 = column(row, 1 + at)?;
            time.copy_from_slice(&millis.to_le_bytes()[..6]);
        }
    }
    let record = Record::from_bytes(&stored)?;
    if version(&record) != column::<i64>(row, 0)? {
        return Err(damaged());
    }
    Ok(Loaded::Found(Arc::new(record)))
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
impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore")
            .field("table", &self.0.table())
            .finish_non_exhaustive()
    }
}

impl AsyncStore for PostgresStore {
    fn load<'s>(&'s self, key: &'s StoreKey, now: Timestamp) -> StoreFuture<'s, Loaded> {
        Box::pin(self.0.load(key, now))
    }

    fn swap<'s>(
        &'s self,
        key: &'s StoreKey,
        swap: Swap<'s>,
        now: Timestamp,
    ) -> StoreFuture<'s, Swapped> {
        Box::pin(self.0.swap(key, swap, now))
    }

    fn touch<'s>(&'s self, key: &'s StoreKey, touch: &'s Touch<'s>) -> StoreFuture<'s, ()> {
        Box::pin(self.0.touch(key, touch))
    }
}

impl SessionStore for PostgresStore {
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Loaded, Error> {
        self.0.wait(self.0.load(key, now))
    }

    fn swap(&self, key: &StoreKey, swap: Swap<'_>, now: Timestamp) -> Result<Swapped, Error> {
        self.0.wait(self.0.swap(key, swap, now))
    }

    fn touch(&self, key: &StoreKey, touch: &Touch<'_>) -> Result<(), Error> {
        self.0.wait(self.0.touch(key, touch))
    }

    fn user_index(&self, user: &str, _: Timestamp) -> Result<Vec<IndexLine>, Error> {
        self.0.wait(self.0.user_index(user))
    }

    fn sweep(&self, now: Timestamp, max: usize) -> Result<usize, Error> {
        self.0.wait(self.0.sweep(now, max))
    }

    fn scan(
        &self,
        now: Timestamp,
        visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
    ) -> Result<(), Error> {
        let mut last: Vec<u8> = Vec::new();
        loop {
            let (after, time) = (Bytes(&last), millis(now));
            let rows = self
                .0
                .wait(self.0.read(Query::Scan, &[&after, &time, &PAGE]))?;
            for row in &rows {
                let key = key(column(row, RECORD + 3)?)?;
                // What can't be read is skipped.
                if let Ok(Loaded::Found(record)) = read(row, now)
                    && !visit(&key, &record)
                {
                    return Ok(());
                }
            }
            match rows.last() {
                Some(row) => last = column::<&[u8]>(row, RECORD + 3)?.to_vec(),
                None => return Ok(()),
            }
        }
    }

    fn ping(&self) -> Result<(), Error> {
        self.0.wait(self.0.read(Query::Ping, &[])).map(|_| ())
    }

    fn as_async(&self) -> Option<&dyn AsyncStore> {
        Some(self)
    }
}

//! The statements of the store.

use std::error::Error as StdError;
use std::fmt;

use bytes::BytesMut;
use futures_util::future::try_join_all;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Error, Statement};

/// A statement of the store; the number is its place in [`TEXTS`].
#[derive(Clone, Copy)]
pub(super) enum Query {
    Load,
    Create,
    Replace,
    Move,
    Remove,
    RemoveUnreadable,
    Touch,
    UserIndex,
    Sweep,
    Scan,
    Ping,
}

/// With `$table` for its name. 300000 milliseconds are the tolerance of `Record::touch` and
/// `Record::with_later_use`: a use further in the future was written by a wrong clock.
const TEXTS: [&str; 11] = [
    // Load
    "select version, used, created, deadline, record, forward_to, by_login from $table where store_key = $1",
    // Create
    "insert into $table (store_key, id, user_name, version, used, created, deadline, sweep_at, record)
     values ($1, $2, $3, $4, $5, $6, $7, $7, $8) on conflict (store_key) do nothing",
    // Replace. A touch may have come between, and keeps the version.
    "update $table set version = $4, user_name = $5, created = $7, record = $9, sweep_at = least(sweep_at, $8),
     used = case when used > $6 and used <= $3 + 300000 then used else $6 end,
     deadline = case when used > $6 and used <= $3 + 300000 then deadline else $8 end
     where store_key = $1 and version = $2 and record is not null and deadline > $3",
    // Move. The lock lets the row be read as it is when it is replaced.
    "with before as (
         select used, deadline from $table
         where store_key = $1 and version = $2 and record is not null and deadline > $3 for update
     ), forward as (
         update $table set user_name = null, record = null, forward_to = $4, by_login = $5, deadline = $6,
         sweep_at = $6 from before where store_key = $1
     )
     insert into $table (store_key, id, user_name, version, used, created, deadline, sweep_at, record)
     select $4, $7, $8, $9,
     case when used > $10 and used <= $3 + 300000 then used else $10 end, $11,
     case when used > $10 and used <= $3 + 300000 then deadline else $12 end,
     least(deadline, $12), $13 from before",
    // Remove
    "delete from $table where store_key = $1 and version = $2 and record is not null and deadline > $3",
    // RemoveUnreadable
    "delete from $table where store_key = $1 and record is not distinct from $2",
    // Touch
    "update $table set used = $2, deadline = $3, sweep_at = least(sweep_at, $3),
     created = case when created > $2 + 300000 then $2 else created end
     where store_key = $1 and record is not null and deadline > $2 and (used < $2 or used > $2 + 300000)",
    // UserIndex
    "select id, store_key from $table where user_name = $1",
    // Sweep. A row that was used since is looked at again when it ends; one of a newer form, in a day.
    "with due as materialized (
         select store_key, deadline, record is not null as is_session,
         coalesce(substring(record from 1 for 1) > '\\x01', false) as is_newer
         from $table where sweep_at <= $1 order by sweep_at limit $2 for update skip locked
     ), ended as (
         select store_key from due where deadline <= $1 and is_session and not is_newer limit $3
     ), later as (
         update $table as t set sweep_at = greatest(due.deadline, $1 + case when is_newer then 86400000 else 0 end)
         from due where t.store_key = due.store_key and (due.deadline > $1 or is_newer)
     ), gone as (
         delete from $table as t using due where t.store_key = due.store_key and due.deadline <= $1
         and (not is_session or due.store_key in (select store_key from ended))
     )
     select (select count(*) from due), (select count(*) from ended)",
    // Scan
    "select version, used, created, deadline, record, forward_to, by_login, store_key from $table
     where store_key > $1 and record is not null and deadline > $2 order by store_key limit $3",
    // Ping
    "select from $table limit 1",
];

/// The statements with the name of a table in them.
pub(super) fn texts(table: &str) -> Vec<String> {
    TEXTS
        .iter()
        .map(|text| text.replace("$table", table))
        .collect()
}

/// The statements of one connection.
pub(super) struct Statements(Vec<Statement>);

impl Statements {
    /// Prepares all statements, in as many round trips as one takes.
    pub(super) async fn prepare(client: &Client, texts: &[String]) -> Result<Self, Error> {
        let prepared = texts.iter().map(|text| client.prepare(text));
        try_join_all(prepared).await.map(Self)
    }

    pub(super) fn get(&self, query: Query) -> &Statement {
        &self.0[query as usize]
    }
}

/// Bytes as a parameter. Without a text: the client logs parameters on its level `debug`.
pub(super) struct Bytes<'p>(pub(super) &'p [u8]);

impl fmt::Debug for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl ToSql for Bytes<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        self.0.to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        <&[u8]>::accepts(ty)
    }

    to_sql_checked!();
}

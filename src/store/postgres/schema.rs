//! The table.

use super::failure::Failure;
use super::target::{Target, answer};
use crate::{Error, ErrorKind};

/// What the comment on the table says.
const SCHEMA: &str = "liquid-session schema 1";

/// Any number: the key of the lock that lets one process at a time create the table.
const LOCK: u64 = 0x6c69_7175_6964;

/// Asks for the comment on the table, which is the version of the schema. An error without a table.
pub(super) fn ask(table: &str) -> String {
    format!("select obj_description('{table}'::regclass, 'pg_class')")
}

pub(super) fn check(comment: Option<&str>) -> Result<(), Error> {
    match comment {
        Some(SCHEMA) => Ok(()),
        _ => Err(Error::new(
            ErrorKind::Config,
            format!(
                "the table of the session store has another schema than expected: its comment is not `{SCHEMA}`; run a newer program, or choose another table"
            ),
        )),
    }
}

/// Creates the table, unless it is there.
pub(super) async fn migrate(target: &Target) -> Result<(), Failure> {
    let client = target.sign_in().await?;
    let table = target.table();
    let refused = |error| Failure::Connect(Some(error));
    let find = format!("select to_regclass('{table}')");
    let is_there = async || {
        let found = client.simple_query(&find).await.map_err(refused)?;
        Ok(answer(&found).is_some())
    };
    if !is_there().await? {
        // Ends with the connection.
        let lock = format!("select pg_advisory_lock({LOCK})");
        client.simple_query(&lock).await.map_err(refused)?;
        if !is_there().await? {
            let statements = include_str!("schema.sql").replace("liquid_session", table);
            client.batch_execute(&statements).await.map_err(refused)?;
        }
    }
    let comment = client.simple_query(&ask(table)).await.map_err(refused)?;
    check(answer(&comment)).map_err(Failure::Unfit)
}

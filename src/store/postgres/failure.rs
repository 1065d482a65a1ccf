//! What a failed statement means.

use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::{Error, ErrorKind};

const NO_TABLE: &str = "the session store has no table: call `PostgresStore::migrate` once, or run the statement in its documentation";
const NOT_SIGNED_IN: &str = "the session store refuses the user, the password or the way of connecting in its URL: check them, percent-encode special characters, and add `sslmode=require` if the server wants TLS";
const NO_ANSWER: &str = "the session store did not answer in time";
const BUSY: &str = "the session store is busy: every connection to it is in use, allow more or find out what takes long";

/// What the codes of a server mean; see the appendix "Error Codes" of PostgreSQL's manual.
const KNOWN: &[(&SqlState, ErrorKind, &str)] = &[
    (
        &SqlState::DISK_FULL,
        ErrorKind::Full,
        "the session store is full: the disk of its server has no room",
    ),
    (
        &SqlState::READ_ONLY_SQL_TRANSACTION,
        ErrorKind::Unavailable,
        "the session store takes no writes now",
    ),
    (&SqlState::QUERY_CANCELED, ErrorKind::Unavailable, NO_ANSWER),
    (
        &SqlState::TOO_MANY_CONNECTIONS,
        ErrorKind::Unavailable,
        BUSY,
    ),
    (
        &SqlState::INVALID_PASSWORD,
        ErrorKind::Config,
        NOT_SIGNED_IN,
    ),
    (
        &SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        ErrorKind::Config,
        NOT_SIGNED_IN,
    ),
    (
        &SqlState::INVALID_CATALOG_NAME,
        ErrorKind::Config,
        "the session store has no database of the name in its URL: create it",
    ),
    (
        &SqlState::INSUFFICIENT_PRIVILEGE,
        ErrorKind::Config,
        "the session store forbids its user a statement: grant what the documentation of `PostgresStore` lists",
    ),
    (&SqlState::UNDEFINED_TABLE, ErrorKind::Config, NO_TABLE),
    (&SqlState::INVALID_SCHEMA_NAME, ErrorKind::Config, NO_TABLE),
    (
        &SqlState::UNDEFINED_COLUMN,
        ErrorKind::Config,
        "the table of the session store has other columns than expected: choose another name, or rename the table and call `PostgresStore::migrate`",
    ),
];

/// Why a statement has no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// Every connection is in use, and none was returned in time.
    Busy,
    /// There is no connection, in time or at all: nothing was sent.
    Connect(Option<tokio_postgres::Error>),
    /// The server can be reached, and something else is wrong with it.
    Unfit(Error),
    /// The statement was sent, and no answer came in time.
    Late,
    /// The statement was sent, and the connection broke.
    Lost(tokio_postgres::Error),
    /// The server answered with an error: the statement changed nothing.
    Refused(tokio_postgres::Error),
}

/// What to do about a failure.
pub(super) enum Remedy {
    /// A new connection may lead to a server that answers, or that takes writes.
    Reconnect,
    /// Another transaction came between, and has ended.
    Repeat,
    None,
}

impl Failure {
    /// Judges the error of a statement.
    pub(super) fn of(error: tokio_postgres::Error) -> Self {
        // An error that ends the connection, as of a server that shuts down, may come after the commit
        // and before its answer.
        match error.as_db_error().and_then(DbError::parsed_severity) {
            Some(Severity::Error) => Self::Refused(error),
            _ => Self::Lost(error),
        }
    }

    pub(super) fn remedy(&self) -> Remedy {
        let code = match self {
            Self::Lost(_) => return Remedy::Reconnect,
            Self::Refused(error) => error.code(),
            _ => None,
        };
        match code {
            Some(&SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED) => {
                Remedy::Repeat
            }
            Some(
                &SqlState::READ_ONLY_SQL_TRANSACTION
                // The prepared statements are gone, or the table has changed.
                | &SqlState::INVALID_SQL_STATEMENT_NAME
                | &SqlState::FEATURE_NOT_SUPPORTED,
            ) => Remedy::Reconnect,
            _ => Remedy::None,
        }
    }

    /// The error of the store. `unknown` says that the statement may have changed a session.
    pub(super) fn into_error(self, unknown: bool) -> Error {
        let error = match self {
            Self::Busy => Error::new(ErrorKind::Unavailable, BUSY),
            Self::Late | Self::Connect(None) => Error::new(ErrorKind::Unavailable, NO_ANSWER),
            Self::Unfit(error) => error,
            Self::Connect(Some(cause)) | Self::Lost(cause) => {
                judge(cause, "the session store can't be reached")
            }
            Self::Refused(cause) => judge(cause, "the session store refused the request"),
        };
        match unknown {
            true => not_known(error),
            false => error,
        }
    }
}

fn judge(cause: tokio_postgres::Error, otherwise: &'static str) -> Error {
    let known = cause
        .code()
        .and_then(|code| KNOWN.iter().find(|(known, ..)| *known == code));
    let (kind, text) = known.map_or((ErrorKind::Unavailable, otherwise), |(_, kind, text)| {
        (*kind, text)
    });
    Error::with_source(kind, text, cause)
}

/// The error for a change whose answer was lost, if nothing tells whether it was made.
pub(super) fn not_known(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::with_source(
        ErrorKind::Unconfirmed,
        "the session store did not confirm the change: it is not known to be stored",
        cause,
    )
}

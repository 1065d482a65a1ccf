//! What a failed command means.

use ::redis::{ErrorKind as Kind, RedisError};

use crate::{Error, ErrorKind};

const WRONG_PASSWORD: &str = "the session store refuses the user or the password in its URL: check them, and percent-encode special characters";

/// What a server's error codes mean.
const KNOWN: &[(&[&str], ErrorKind, &str)] = &[
    (
        &["OOM"],
        ErrorKind::Full,
        "the session store is full: its server is at the limit of its memory",
    ),
    (
        &["WRONGTYPE"],
        ErrorKind::Corrupt,
        "a stored session can't be read: something else stands under its key",
    ),
    (
        &["READONLY", "NOREPLICAS", "MISCONF"],
        ErrorKind::Unavailable,
        "the session store takes no writes now",
    ),
    (&["NOAUTH", "WRONGPASS"], ErrorKind::Config, WRONG_PASSWORD),
    (
        &["NOPERM"],
        ErrorKind::Config,
        "the session store forbids its user a command or a key: grant what the documentation of `RedisStore` lists",
    ),
];

/// Why a command has no reply.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no connection: nothing was sent.
    Connect(RedisError),
    /// The command was sent, and no answer came.
    Lost(RedisError),
    /// The server answered with an error: the command did not run.
    Refused(RedisError),
}

impl Failure {
    /// Whether the server is no master any more, or has lost its own.
    pub(super) fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Refused(error) if says(error, &["READONLY", "MASTERDOWN"]))
    }

    /// Whether the server or the way to it may be dead, so that the next call connects again.
    pub(super) fn ends_connection(&self) -> bool {
        !matches!(self, Self::Refused(_)) || self.is_elsewhere()
    }

    /// The error of the store. `unknown` says that the command may have changed a session.
    pub(super) fn into_error(self, unknown: bool) -> Error {
        let (Self::Connect(error) | Self::Lost(error) | Self::Refused(error)) = self;
        if unknown {
            return not_known(error);
        }
        let signs_in = error.kind() != Kind::AuthenticationFailed;
        let answered = matches!(error.kind(), Kind::Server(_) | Kind::Extension);
        let (kind, text) = match KNOWN.iter().find(|(words, ..)| says(&error, words)) {
            Some((_, kind, text)) if signs_in => (*kind, *text),
            _ if !signs_in => (ErrorKind::Config, WRONG_PASSWORD),
            _ if error.is_timeout() => (
                ErrorKind::Unavailable,
                "the session store did not answer in time",
            ),
            _ if answered => (
                ErrorKind::Unavailable,
                "the session store refused the request",
            ),
            _ => (ErrorKind::Unavailable, "the session store can't be reached"),
        };
        Error::with_source(kind, text, error)
    }
}

/// The error for a change whose answer was lost, if nothing tells whether it was made.
pub(super) fn not_known(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::with_source(
        ErrorKind::Unconfirmed,
        "the session store did not confirm the change: it is not known to be stored",
        cause,
    )
}

/// Whether the server answered with one of these words. Redis before 7 wraps the error of a script
/// into another one, so the word may stand inside.
fn says(error: &RedisError, words: &[&str]) -> bool {
    let detail = error.detail().unwrap_or_default();
    words.iter().any(|word| {
        error.code() == Some(word)
            || detail
                .split(|c: char| !c.is_ascii_alphanumeric())
                .any(|part| part == *word)
    })
}

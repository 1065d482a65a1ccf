//! What a failed command means.

use ::redis::{ErrorKind as Kind, RedisError};

use crate::{Error, ErrorKind};

const WRONG_PASSWORD: &str = "the session store refuses the user or the password in its URL: check them, and percent-encode special characters";
const FORBIDDEN: &str = "the session store forbids its user a command or a key: grant what the documentation of `RedisStore` lists";
const FULL: &str = "the session store is full: its server is at the limit of its memory";
const WRONG_TYPE: &str = "a stored session can't be read: something else stands under its key";

/// What a word in a server's error means.
fn meaning(word: &str) -> Option<(ErrorKind, &'static str)> {
    Some(match word {
        "OOM" => (ErrorKind::Full, FULL),
        "WRONGTYPE" => (ErrorKind::Corrupt, WRONG_TYPE),
        "NOAUTH" | "WRONGPASS" => (ErrorKind::Config, WRONG_PASSWORD),
        "NOPERM" => (ErrorKind::Config, FORBIDDEN),
        "READONLY" | "NOREPLICAS" | "MISCONF" => (
            ErrorKind::Unavailable,
            "the session store takes no writes now",
        ),
        _ => return None,
    })
}

/// The words of a server's error. Redis before 7 wraps the error of a script into another one, so the
/// one that counts may stand inside.
fn words(error: &RedisError) -> impl Iterator<Item = &str> {
    let detail = error.detail().unwrap_or_default();
    let words = detail.split(|c: char| !c.is_ascii_alphanumeric());
    error.code().into_iter().chain(words)
}

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
        let is_word = |word| ["READONLY", "MASTERDOWN"].contains(&word);
        matches!(self, Self::Refused(error) if words(error).any(is_word))
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
        let (kind, text) = match (error.kind(), words(&error).find_map(meaning)) {
            (Kind::AuthenticationFailed, _) => (ErrorKind::Config, WRONG_PASSWORD),
            (_, Some(known)) => known,
            (kind, None) => {
                let text = match kind {
                    Kind::Server(_) | Kind::Extension => "the session store refused the request",
                    _ if error.is_timeout() => "the session store did not answer in time",
                    _ => "the session store can't be reached",
                };
                (ErrorKind::Unavailable, text)
            }
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

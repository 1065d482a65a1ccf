//! What a server's refusals come to.

use ::redis::{ErrorKind as Kind, RedisError, ServerErrorKind};

use crate::error::{Error, ErrorKind};

/// Why a command has no answer.
pub(super) enum Failure {
    /// Every connection is taken, and none came free in time.
    Busy,
    Redis(RedisError),
}

impl Failure {
    /// The server does not know the script by its name: it restarted, or its scripts were flushed.
    pub(super) fn is_unknown_script(&self) -> bool {
        matches!(self, Self::Redis(error) if error.kind() == Kind::Server(ServerErrorKind::NoScript))
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

/// Whether the server answered with this word. Redis before 7 wraps what stopped a script into
/// another error, so the word may stand inside.
fn says(error: &RedisError, word: &str) -> bool {
    error.code() == Some(word)
        || error.detail().is_some_and(|detail| {
            detail
                .split(|c: char| !c.is_ascii_alphanumeric())
                .any(|part| part == word)
        })
}

/// Whether a server answered at all, and so is done with the command.
pub(super) fn is_answer(error: &RedisError) -> bool {
    match error.kind() {
        Kind::Server(_) => true,
        // A word that the client does not know; an answer all the same.
        Kind::Extension => true,
        _ => false,
    }
}

/// Whether this server is the wrong one to ask, or will be for a while: a connection made afresh
/// may lead to another. The command certainly did not run.
pub(super) fn is_elsewhere(error: &RedisError) -> bool {
    error.is_cluster_error()
        || error.kind() == Kind::ClusterConnectionNotFound
        || ["READONLY", "MASTERDOWN"]
            .iter()
            .any(|word| says(error, word))
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let error = match failure {
            Failure::Busy => {
                return Self::new(
                    ErrorKind::Unavailable,
                    "the session store is busy: every connection to it is in use, allow more or find out what takes long",
                );
            }
            Failure::Redis(error) => error,
        };
        let (kind, text) = if says(&error, "OOM") {
            (
                ErrorKind::Full,
                "the session store is full: its server is at the limit of its memory",
            )
        } else if says(&error, "WRONGTYPE") {
            (
                ErrorKind::Corrupt,
                "a stored session can't be read: something else stands under its key",
            )
        } else if error.is_timeout() {
            (
                ErrorKind::Unavailable,
                "the session store did not answer in time",
            )
        } else if ["READONLY", "NOREPLICAS", "MISCONF"]
            .iter()
            .any(|word| says(&error, word))
        {
            (
                ErrorKind::Unavailable,
                "the session store takes no writes now",
            )
        } else if is_answer(&error) {
            (
                ErrorKind::Unavailable,
                "the session store refused the request",
            )
        } else {
            (ErrorKind::Unavailable, "the session store can't be reached")
        };
        Self::with_source(kind, text, error)
    }
}

use std::time::Duration;

use crate::secret::Secret;

/// The result of a [commit](super::Session::commit), and what it means for the cookie.
///
/// ```
/// use liquid_session::{MemoryStore, SessionConfig, Sessions, Status};
///
/// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
/// let session = sessions.open(None);
/// assert_eq!(session.commit()?.status(), Status::Unchanged);
///
/// session.set("color", "dark")?;
/// let outcome = session.commit()?;
/// assert_eq!(outcome.status(), Status::Created);
/// assert!(outcome.secret().is_some());
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "the cookie that it may hold has to be sent"]
pub struct Outcome {
    pub(super) status: Status,
    pub(super) secret: Option<Secret>,
    pub(super) max_age: Option<Duration>,
    pub(super) removes_cookie: bool,
    pub(super) planted: bool,
}

/// What became of a request's changes.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// There was nothing to store.
    Unchanged,
    /// A new session began.
    Created,
    /// The changes were merged into the session.
    Changed,
    /// The session ended while the request was running: nothing is stored, and no cookie is sent.
    Gone,
    /// This request ended the session.
    Ended,
}

impl Outcome {
    pub(super) fn new(status: Status) -> Self {
        Self {
            status,
            secret: None,
            max_age: None,
            removes_cookie: false,
            planted: false,
        }
    }

    /// Creates an outcome that sends the cookie of a new or renewed session.
    pub(super) fn with_secret(
        status: Status,
        secret: Option<Secret>,
        max_age: Option<Duration>,
    ) -> Self {
        Self {
            max_age: max_age.filter(|_| secret.is_some()),
            secret,
            ..Self::new(status)
        }
    }

    /// Returns what became of the changes.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Returns the secret to put into the cookie, if the session is new or was renewed.
    pub fn secret(&self) -> Option<&Secret> {
        self.secret.as_ref()
    }

    /// Returns how long the browser keeps the cookie with the secret: the `Max-Age` of a persistent
    /// cookie, at most 400 days. `None` if the cookie ends with the browser, or if none is sent.
    pub fn max_age(&self) -> Option<Duration> {
        self.max_age
    }

    /// Returns whether to remove the cookie, because this request ended the session.
    pub fn removes_cookie(&self) -> bool {
        self.removes_cookie
    }

    /// Returns whether the request had two cookies that opened sessions.
    #[cfg(feature = "cookie")]
    pub(crate) fn is_planted(&self) -> bool {
        self.planted
    }

    pub(super) fn concerns_cookie(&self) -> bool {
        self.secret.is_some() || self.removes_cookie || self.planted
    }
}

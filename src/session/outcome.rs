use crate::secret::Secret;

/// What a [commit](super::Session::commit) came to, and what the cookie needs.
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
    pub(super) removes_cookie: bool,
    pub(super) planted: bool,
}

/// What became of a request's changes.
///
/// ```
/// # use liquid_session::{MemoryStore, SessionConfig, Sessions, Status};
/// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
/// # let session = sessions.open(None);
/// match session.commit()?.status() {
///     Status::Gone => println!("signed out elsewhere: what this request wrote is dropped"),
///     _ => println!("fine"),
/// }
/// # Ok::<(), liquid_session::Error>(())
/// ```
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
            removes_cookie: false,
            planted: false,
        }
    }

    /// What became of the changes.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions, Status};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// assert_eq!(sessions.open(None).commit()?.status(), Status::Unchanged);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn status(&self) -> Status {
        self.status
    }

    /// The secret to put into the cookie, if the session is new or was renewed.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// assert!(sessions.open(None).commit()?.secret().is_none());
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn secret(&self) -> Option<&Secret> {
        self.secret.as_ref()
    }

    /// Whether to remove the cookie: the session was ended by this request.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// # session.set("a", 1)?;
    /// # let cookie = session.commit()?.secret().unwrap().expose();
    /// let session = sessions.open(Some(&cookie));
    /// session.logout()?;
    /// assert!(session.commit()?.removes_cookie());
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn removes_cookie(&self) -> bool {
        self.removes_cookie
    }

    /// Whether the request came with two cookies that opened sessions.
    #[cfg(feature = "cookie")]
    pub(crate) fn is_planted(&self) -> bool {
        self.planted
    }

    pub(super) fn concerns_cookie(&self) -> bool {
        self.secret.is_some() || self.removes_cookie || self.planted
    }
}

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// What went wrong, for code that wants to decide.
///
/// New kinds may be added; match with a wildcard arm.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A setting is not valid.
    Config,
    /// A key can't be used: empty, too long, or reserved.
    Key,
    /// A value can't be stored: not finite, a whole number beyond `i64`, or not of the type that
    /// `increment` or `append` needs.
    Value,
    /// A write goes over a limit of the session.
    Limit,
    /// A key or a value looks like a password, a card number or the like, and the settings refuse
    /// such data (`sensitive_data: deny`).
    Sensitive,
    /// There is no session at hand here.
    NoSession,
    /// Another request changed what a transaction had read, as often as it was tried.
    Conflict,
    /// The session ended while the request was running.
    Gone,
    /// A template failed to render.
    Render,
    /// The store can't be reached, or did not answer in time.
    Unavailable,
    /// The store holds as many sessions as it may, or as many bytes.
    Full,
    /// A stored session is damaged.
    Corrupt,
    /// A stored session was written by a newer program, in a form that this one can't read.
    NewerForm,
}

/// The one error type of this crate.
///
/// [`kind`](Self::kind) says what went wrong, the text says what was expected and what was found.
/// The text is fit for the author of a template: it holds no secret, no session id, no stored value
/// and no address of a store. What a store said is in [`source`](std::error::Error::source), for the
/// log.
///
/// # Example
///
/// ```
/// use liquid_session::{ErrorKind, MemoryStore, SessionConfig, Sessions};
///
/// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
/// let session = sessions.open(None);
/// let error = session.set("size", 3).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Key);
/// assert_eq!(error.to_string(), "the key `size` is reserved: choose another name");
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of this kind, with a text for the reader of a page or a log.
    ///
    /// Stores of third parties make their errors with this and [`with_source`](Self::with_source).
    ///
    /// ```
    /// use liquid_session::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Unavailable, "the session store can't be reached");
    /// assert_eq!(error.kind(), ErrorKind::Unavailable);
    /// ```
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            source: None,
        }))
    }

    /// The same with its cause, which [`source`](std::error::Error::source) gives and the text does
    /// not show.
    ///
    /// ```
    /// use std::error::Error as _;
    /// use liquid_session::{Error, ErrorKind};
    ///
    /// let cause = std::io::Error::other("connect to 10.0.0.7: refused");
    /// let error = Error::with_source(ErrorKind::Unavailable, "the session store can't be reached", cause);
    /// assert!(!error.to_string().contains("10.0.0.7"));
    /// assert!(error.source().unwrap().to_string().contains("10.0.0.7"));
    /// ```
    pub fn with_source(
        kind: ErrorKind,
        message: impl Into<Cow<'static, str>>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            source: Some(source.into()),
        }))
    }

    /// What went wrong.
    ///
    /// ```
    /// use liquid_session::{ErrorKind, Session};
    ///
    /// let error = Session::disabled("a background job has none").set("a", 1).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NoSession);
    /// ```
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.0.kind)
            .field("message", &self.0.message);
        if let Some(source) = &self.0.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_ref()
            .map(|source| source.as_ref() as &(dyn StdError + 'static))
    }
}

//! [`Error`] and [`ErrorKind`], and how text from outside is shown in a message.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// What went wrong: the part of an [`Error`] that code decides by.
///
/// New kinds may be added; match with a wildcard arm.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A setting is invalid.
    Config,
    /// A key can't be used: it is empty, too long or reserved.
    Key,
    /// A value can't be used: a number that is not finite or beyond `i64`, or a type other than
    /// `increment`, `append` or `get_as` needs.
    Value,
    /// A write exceeds a limit: bytes or keys of the session, or the nesting of a value.
    Limit,
    /// A key or a value looks like a password, a card number or the like, and the settings refuse such
    /// data (`sensitive_data: deny`).
    Sensitive,
    /// This request has no session.
    NoSession,
    /// Other requests kept changing what a transaction reads, until its time was over; or the session
    /// is in use elsewhere in this request.
    Conflict,
    /// Inside [`render_page`](crate::Session::render_page) on a store with an async face: the session
    /// has to be loaded first. `render_page` awaits the load and runs its closure again, even if the
    /// closure returned a page.
    NotLoaded,
    /// The session ended while the request was running.
    Gone,
    /// A template failed to render.
    Render,
    /// The store can't be reached, or did not answer in time.
    Unavailable,
    /// The store's answer to a change was lost: the change is not known to be stored.
    Unconfirmed,
    /// The store has reached its capacity.
    Full,
    /// A stored session is damaged.
    Corrupt,
    /// A stored session was written by a newer program, in a form that this one can't read.
    NewerForm,
}

/// The error type of this crate.
///
/// - [`kind`](Self::kind) is for code, the message is for people: it says what is wrong, what was
///   found, what is expected, and what to do.
/// - A message may be shown to the author of a template. It contains no secret, no session ID, no
///   stored value and no address of a store. A key in it is escaped and cut to 64 characters.
/// - The cause, such as what a store reported, is in [`source`](std::error::Error::source): for the
///   log, not for visitors.
/// - Clones are cheap and share the cause.
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
///
/// match session.set("cart", vec![0; 10_000]) {
///     Err(error) if error.kind() == ErrorKind::Limit => { /* store less, or raise `max_bytes` */ }
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Makes an error without a cause. For stores: see
    /// [`SessionStore`](crate::store::SessionStore).
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            source: None,
        }))
    }

    /// Makes an error with a cause, which [`source`](std::error::Error::source) returns and the message
    /// does not show.
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

    /// Returns what went wrong.
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

/// Text from outside, such as a key, as a message or an event may show it: on one line, without control
/// characters, at most [`Shown::MOST`] characters long.
///
/// A key may hold anything, so a raw one could forge lines of a log or send commands to a terminal
/// (OWASP, log injection).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'t>(pub(crate) &'t str);

impl Shown<'_> {
    /// How many characters of the text are shown.
    pub(crate) const MOST: usize = 64;
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.chars();
        for c in rest.by_ref().take(Self::MOST) {
            match c {
                // Quotes separate nothing where the text stands between backticks.
                '\'' | '"' => f.write_char(c)?,
                '`' => f.write_str("\\u{60}")?,
                _ => write!(f, "{}", c.escape_debug())?,
            }
        }
        if rest.next().is_some() {
            f.write_char('…')?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Shown(text).to_string()
    }

    #[test]
    fn ordinary_text_is_shown_as_it_is() {
        for text in [
            "",
            "cart",
            "cart-2",
            "it's a \"key\"",
            "Straße",
            "カート",
            "🛒",
        ] {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn what_could_forge_a_line_or_move_a_cursor_is_escaped() {
        assert_eq!(
            shown("q\n2026 INFO ok\x1b[31m"),
            "q\\n2026 INFO ok\\u{1b}[31m"
        );
        assert_eq!(
            shown("a\rb\tc\0d\u{7f}\u{9b}e"),
            "a\\rb\\tc\\0d\\u{7f}\\u{9b}e"
        );
        // Line separator, override of the writing direction, and the sign that encloses keys.
        assert_eq!(
            shown("a\u{2028}b\u{202e}c`d"),
            "a\\u{2028}b\\u{202e}c\\u{60}d"
        );
        assert_eq!(shown("a\\nb"), "a\\\\nb", "told apart from a line break");
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        let longest = "ż".repeat(Shown::MOST);
        assert_eq!(shown(&longest), longest);
        assert_eq!(shown(&format!("{longest}ż")), format!("{longest}…"));
        assert_eq!(
            shown(&"\n".repeat(10_000)).len(),
            2 * Shown::MOST + '…'.len_utf8()
        );
    }
}

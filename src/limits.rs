//! Limits: of a session, a key, a value, a user name, a label, and a render.

use crate::error::{Error, ErrorKind, Shown};

/// The longest key: 128 bytes.
pub(crate) const MAX_KEY_BYTES: usize = 128;

/// How deep arrays and objects may nest in a session value: 32 levels.
pub(crate) const MAX_DEPTH: usize = 32;

/// The longest user name: 255 bytes.
pub(crate) const MAX_USER_BYTES: usize = 255;

/// The longest label of a session: 128 bytes.
pub(crate) const MAX_LABEL_BYTES: usize = 128;

/// How many bytes of different values one render may read from a session of these limits: 256 times
/// `max_bytes`, at least a mebibyte. A template that writes and reads in a loop keeps every value that
/// it has read until the render ends.
pub(crate) fn read_budget(limits: Limits) -> usize {
    limits.max_bytes.saturating_mul(256).max(1 << 20)
}

/// The limits of a session: `max_bytes` and `max_keys` of the settings.
///
/// ```
/// use liquid_session::store::Limits;
///
/// assert_eq!(Limits::default(), Limits { max_bytes: 4096, max_keys: 256 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The bytes of all keys and of all values in their stored form.
    pub max_bytes: usize,
    /// The number of keys.
    pub max_keys: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 4096,
            max_keys: 256,
        }
    }
}

/// The size of a session: the bytes of its keys and values, and the number of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) bytes: usize,
    pub(crate) keys: usize,
}

impl Size {
    /// Returns the size after a value of `before` bytes has become one of `after` bytes; zero bytes are
    /// no value.
    #[inline]
    pub(crate) fn with(mut self, key: &str, before: usize, after: usize) -> Self {
        if before > 0 {
            self.bytes -= key.len() + before;
            self.keys -= 1;
        }
        if after > 0 {
            self.bytes += key.len() + after;
            self.keys += 1;
        }
        self
    }
}

impl Limits {
    /// Returns whether a session of this size is within the limits.
    #[inline]
    pub(crate) fn allow(&self, size: Size) -> bool {
        size.bytes <= self.max_bytes && size.keys <= self.max_keys
    }

    /// Refuses a change that grows a session over a limit. A session may hold more because the limit
    /// was lowered: changes that make it no larger are accepted.
    pub(crate) fn check(&self, key: Option<&str>, before: Size, after: Size) -> Result<(), Error> {
        let by = || key.map_or_else(String::new, |key| format!(" with the key `{}`", Shown(key)));
        let problem = if after.bytes > self.max_bytes.max(before.bytes) {
            format!(
                "the session{} would take {} bytes, the limit is {} bytes: store less, or raise `max_bytes`",
                by(),
                after.bytes,
                self.max_bytes
            )
        } else if after.keys > self.max_keys.max(before.keys) {
            format!(
                "the session{} would hold {} keys, the limit is {}: store less, or raise `max_keys`",
                by(),
                after.keys,
                self.max_keys
            )
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Limit, problem))
    }
}

//! How much a session may hold.

use crate::error::{Error, ErrorKind};

/// The longest key: 128 bytes.
pub(crate) const MAX_KEY_BYTES: usize = 128;

/// How deep arrays and objects may nest in a session value: 32 levels.
pub(crate) const MAX_DEPTH: usize = 32;

/// How much a session may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) max_bytes: usize,
    pub(crate) max_keys: usize,
}

/// How much a session holds: the bytes of its keys and values, and the number of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) bytes: usize,
    pub(crate) keys: usize,
}

impl Size {
    /// What it comes to when a value of so many bytes becomes one of so many; zero stands for none.
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
    /// Whether a session of this size keeps to them.
    #[inline]
    pub(crate) fn allow(&self, size: Size) -> bool {
        size.bytes <= self.max_bytes && size.keys <= self.max_keys
    }

    /// Refuses what grows over a limit. A session may hold more since the limit was lowered: what makes
    /// it no larger goes on.
    pub(crate) fn check(&self, key: Option<&str>, before: Size, after: Size) -> Result<(), Error> {
        let by = || key.map_or_else(String::new, |key| format!(" with the key `{key}`"));
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

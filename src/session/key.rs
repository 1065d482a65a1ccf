//! The keys of a session.

use crate::error::{Error, ErrorKind};
use crate::limits::MAX_KEY_BYTES;

/// Names that `context.session` uses itself.
const RESERVED: [&str; 2] = ["session_id", "size"];

/// Refuses keys that can't be written.
pub(crate) fn check_key(key: &str) -> Result<(), Error> {
    let problem = if RESERVED.contains(&key) {
        format!("the key `{key}` is reserved: choose another name")
    } else if key.is_empty() {
        "expected a session key, found an empty text".to_owned()
    } else if key.len() > MAX_KEY_BYTES {
        return Err(Error::new(
            ErrorKind::Limit,
            format!(
                "a session key of {} bytes is over the limit of {MAX_KEY_BYTES} bytes: choose a shorter name",
                key.len()
            ),
        ));
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Key, problem))
}

//! What is said about a finding, without the datum.

use super::{Finding, Place};
use crate::error::{Error, ErrorKind, Shown};

impl Finding {
    /// The key for a report, unless it is itself the datum.
    pub(crate) fn key<'k>(&self, key: &'k str) -> Option<&'k str> {
        (self.place != Place::Key).then_some(key)
    }

    /// The error where the settings refuse sensitive data.
    pub(crate) fn refusal(&self, key: &str) -> Error {
        const WHY: &str = "which has no place in a session (`sensitive_data: deny`)";
        let (kind, key) = (self.kind, Shown(key));
        let text = match self.place {
            Place::Key => format!("a session key holds {kind}, {WHY}: choose another key"),
            Place::Name => format!(
                "the session key `{key}` is called like {kind}, {WHY}: keep it elsewhere and store a reference to it, or choose another name if it is none"
            ),
            Place::Value => format!(
                "the value for the session key `{key}` holds {kind}, {WHY}: keep it elsewhere and store a reference to it"
            ),
        };
        Error::new(ErrorKind::Sensitive, text)
    }
}

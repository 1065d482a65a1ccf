//! Sensitive data, by the settings: stored, stored and reported, or refused.

use std::sync::atomic::Ordering;

use crate::config::SensitiveData;
use crate::error::{Error, ErrorKind};
use crate::events;
use crate::sensitive::{self, Kind, Place};
use crate::shared::Shared;
use crate::value::Value;

/// Refuses what the settings refuse. What comes back is reported once the value is in its place.
pub(super) fn check(
    shared: Option<&Shared>,
    key: &str,
    value: &Value,
) -> Result<Option<Finding>, Error> {
    consult(shared, key, || sensitive::find(key, value))
}

/// The same for an element of an array.
pub(super) fn check_item(
    shared: Option<&Shared>,
    key: &str,
    item: &Value,
) -> Result<Option<Finding>, Error> {
    consult(shared, key, || sensitive::find_in_item(key, item))
}

fn consult(
    shared: Option<&Shared>,
    key: &str,
    find: impl FnOnce() -> Option<(Kind, Place)>,
) -> Result<Option<Finding>, Error> {
    let Some(shared) = shared else {
        return Ok(None);
    };
    let handling = shared.config.sensitive_data();
    if handling == SensitiveData::Allow {
        return Ok(None);
    }
    let Some((kind, place)) = find() else {
        return Ok(None);
    };
    shared.sensitive.fetch_add(1, Ordering::Relaxed);
    if handling == SensitiveData::Deny {
        return Err(refused(key, kind, place));
    }
    Ok(Some(Finding { kind, place }))
}

/// Something to report.
pub(super) struct Finding {
    kind: Kind,
    place: Place,
}

impl Finding {
    pub(super) fn report(&self, key: &str) {
        events::sensitive((self.place != Place::Key).then_some(key), self.kind);
    }
}

fn refused(key: &str, kind: Kind, place: Place) -> Error {
    const WHY: &str = "which has no place in a session (`sensitive_data: deny`)";
    let text = match place {
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

//! Sensitive data, by the settings: stored, stored and reported, or refused.

use super::{Kind, Place};
use crate::config::SensitiveData;
use crate::error::{Error, ErrorKind};
use crate::observe::count;
use crate::record::add;
use crate::session::shared::Shared;
use crate::value::Value;

/// Refuses what the settings refuse. What comes back is reported once the value is in its place.
#[inline]
pub(crate) fn check(
    shared: Option<&Shared>,
    key: &str,
    value: &Value,
) -> Result<Option<Finding>, Error> {
    consult(shared, key, || Ok(super::find(key, value)))
}

/// The same for what a number becomes.
pub(crate) fn check_sum(
    shared: Option<&Shared>,
    key: &str,
    current: Option<&Value>,
    by: i64,
) -> Result<Option<Finding>, Error> {
    consult(shared, key, || {
        Ok(super::find(key, &Value::Int(add(key, current, by)?)))
    })
}

/// The same for an element of an array.
pub(crate) fn check_item(
    shared: Option<&Shared>,
    key: &str,
    item: &Value,
) -> Result<Option<Finding>, Error> {
    consult(shared, key, || {
        item.check(key)?;
        Ok(super::find_in_item(key, item))
    })
}

/// Does nothing at all unless the settings want a guard.
#[inline]
fn consult(
    shared: Option<&Shared>,
    key: &str,
    find: impl FnOnce() -> Result<Option<(Kind, Place)>, Error>,
) -> Result<Option<Finding>, Error> {
    match shared {
        Some(shared) if shared.config.sensitive_data() != SensitiveData::Allow => {
            let Some((kind, place)) = find()? else {
                return Ok(None);
            };
            if shared.config.sensitive_data() == SensitiveData::Deny {
                count(&shared.tally.sensitive, 1);
                return Err(refused(key, kind, place));
            }
            Ok(Some(Finding { kind, place }))
        }
        _ => Ok(None),
    }
}

/// Something to report.
pub(crate) struct Finding {
    kind: Kind,
    place: Place,
}

/// Reports what is stored now.
pub(crate) fn report(shared: Option<&Shared>, key: &str, finding: Option<Finding>) {
    let (Some(shared), Some(Finding { kind, place })) = (shared, finding) else {
        return;
    };
    shared
        .tally
        .sensitive((place != Place::Key).then_some(key), kind);
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

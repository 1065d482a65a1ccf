//! What the settings make of sensitive data: stored, stored and reported, or refused.

use super::{Kind, Place};
use crate::config::SensitiveData;
use crate::error::{Error, ErrorKind, Shown};
use crate::observe::count;
use crate::record::add;
use crate::session::shared::Shared;
use crate::value::Value;

/// Refuses a value with sensitive data if the settings say so. Pass a finding to [`report`] once the
/// value is stored.
#[inline]
pub(crate) fn check(
    shared: Option<&Shared>,
    key: &str,
    value: &Value,
) -> Result<Option<Finding>, Error> {
    consult(shared, key, || Ok(super::find(key, value)))
}

/// Checks the sum that an increment makes, as [`check`] checks a value.
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

/// Checks an element that is appended to an array, as [`check`] checks a value.
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

/// Looks for sensitive data only if the settings want it.
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

/// Sensitive data that the settings let pass and want reported.
pub(crate) struct Finding {
    kind: Kind,
    place: Place,
}

/// Reports and counts what was found in a value that is stored now.
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
    let key = Shown(key);
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

//! Applying operations to the current data.

use smallvec::SmallVec;

use super::{Change, Op};
use crate::error::{Error, ErrorKind, Shown};
use crate::record::entries::{Edit, New};
use crate::record::{Entries, Record};
use crate::value::{StoredValue, Value};

impl Change {
    pub(super) fn merge(&self, record: &mut Record) -> Result<(), Error> {
        let nothing;
        let base = if self.clear {
            nothing = Entries::empty();
            &nothing
        } else {
            &record.data
        };
        let mut edits = SmallVec::<[Edit<'_>; 2]>::new();
        for (key, op) in &self.ops {
            let (current, place) = base.plan(key);
            let value = match op {
                Op::Set(value) => New::Given(value),
                Op::Remove => New::Nothing,
                Op::Increment(by) => {
                    let current = current.map(Value::decode).transpose()?;
                    let sum = add(key, current.as_ref(), *by)?;
                    New::Made(StoredValue::from(&Value::Int(sum)))
                }
                Op::Append(items) => New::Made(append(key, current, items)?),
            };
            edits.push(Edit { key, place, value });
        }
        let size = base.size_after(&edits);
        let last_key = match &self.ops[..] {
            [(key, _)] => Some(key.as_str()),
            _ => None,
        };
        self.limits.check(last_key, record.data.size(), size)?;
        if self.clear {
            let mut data = Entries::empty();
            data.edit(&edits, size);
            record.data = data;
        } else {
            record.data.edit(&edits, size);
        }
        Ok(())
    }
}

/// Adds to the current value.
pub(crate) fn add(key: &str, current: Option<&Value>, by: i64) -> Result<i64, Error> {
    let current = match current {
        None | Some(Value::Nil) => 0,
        Some(Value::Int(number)) => *number,
        Some(other) => return Err(not_an(key, "whole number", other)),
    };
    current.checked_add(by).ok_or_else(|| {
        Error::new(
            ErrorKind::Value,
            format!(
                "the whole number under the session key `{}` would leave the range of i64: use a smaller number",
                Shown(key)
            ),
        )
    })
}

/// Adds elements to a stored array, or begins one.
pub(crate) fn append(
    key: &str,
    current: Option<&[u8]>,
    items: &[Value],
) -> Result<StoredValue, Error> {
    match current {
        Some(bytes) if !StoredValue::is_array(bytes) => {
            Err(not_an(key, "array", &Value::decode(bytes)?))
        }
        array => Ok(StoredValue::appended(array, items)),
    }
}

fn not_an(key: &str, expected: &str, found: &Value) -> Error {
    Error::new(
        ErrorKind::Value,
        format!(
            "expected {} {expected} under the session key `{}`, found {}",
            if expected == "array" { "an" } else { "a" },
            Shown(key),
            found.kind()
        ),
    )
}

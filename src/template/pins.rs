//! The values that a view has lent to a template.

use std::cell::OnceCell;

use elsa::FrozenBTreeMap;
use smallvec::SmallVec;

use crate::error::Error;
use crate::value::Value;

/// The values that a view has handed out as references, by their stored form. They stay in place
/// while the view lives, also if the session changes. Each is kept once, so that reading in a long
/// loop takes no memory.
#[derive(Default)]
pub(super) struct Pins {
    /// Most templates read a few values: those need no allocation.
    first: [OnceCell<(SmallVec<[u8; 32]>, Value)>; 4],
    others: OnceCell<Box<FrozenBTreeMap<Box<[u8]>, Box<Value>>>>,
}

impl Pins {
    /// The value of a stored form.
    #[inline]
    pub(super) fn keep(&self, stored: &[u8]) -> Result<&Value, Error> {
        for cell in &self.first {
            match cell.get() {
                Some((pinned, value)) if **pinned == *stored => return Ok(value),
                Some(_) => {}
                None => {
                    let value = Value::decode(stored)?;
                    return Ok(&cell.get_or_init(|| (stored.into(), value)).1);
                }
            }
        }
        let others = self.others.get_or_init(Box::default);
        match others.get(stored) {
            Some(value) => Ok(value),
            None => Ok(others.insert(stored.into(), Box::new(Value::decode(stored)?))),
        }
    }
}

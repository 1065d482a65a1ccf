//! The values to which a view has returned references.

use std::cell::{Cell, OnceCell};

use elsa::FrozenBTreeMap;
use smallvec::SmallVec;

use crate::error::{Error, ErrorKind};
use crate::value::Value;

/// The memory that a value takes beside its bytes.
const OVERHEAD: usize = 64;

/// The values to which a view has returned references, by their stored form. They stay in place while
/// the view lives, also if the session changes. Equal values are kept once, so that reading in a long
/// loop takes no memory.
#[derive(Default)]
pub(super) struct Pins {
    /// Most templates read a few values: those need no allocation.
    first: [OnceCell<(SmallVec<[u8; 32]>, Value)>; 4],
    others: OnceCell<Box<Others>>,
}

#[derive(Default)]
struct Others {
    values: FrozenBTreeMap<Box<[u8]>, Box<Value>>,
    bytes: Cell<usize>,
}

impl Pins {
    /// Returns the value of a stored form, and keeps it.
    #[inline]
    pub(super) fn keep(
        &self,
        stored: &[u8],
        budget: impl FnOnce() -> usize,
    ) -> Result<&Value, Error> {
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
        if let Some(value) = others.values.get(stored) {
            return Ok(value);
        }
        let (bytes, budget) = (others.bytes.get() + stored.len() + OVERHEAD, budget());
        if bytes > budget {
            return Err(Error::new(
                ErrorKind::Limit,
                format!(
                    "one render read {bytes} bytes of different values from the session, the limit is {budget} bytes: read less often, for instance after a loop instead of in it"
                ),
            ));
        }
        others.bytes.set(bytes);
        let value = Box::new(Value::decode(stored)?);
        Ok(others.values.insert(stored.into(), value))
    }
}

//! Values that a view lent to a template.

use std::cell::OnceCell;

use elsa::FrozenBTreeMap;

use crate::error::Error;
use crate::value::Value;

/// Values that a view lent to a template, by number; they stay where they are while the view lives.
/// Each is kept once, so that reading in a long loop does not grow it.
#[derive(Default)]
pub(crate) struct Pins {
    /// Most templates read a few: those need no allocation.
    first: [OnceCell<(u64, Value)>; 4],
    others: OnceCell<Box<Others>>,
}

type Others = FrozenBTreeMap<u64, Box<Value>>;

impl Pins {
    /// The value that goes by this number, made if it is not there yet.
    #[inline]
    pub(crate) fn keep(
        &self,
        number: u64,
        make: impl FnOnce() -> Result<Value, Error>,
    ) -> Result<&Value, Error> {
        for cell in &self.first {
            match cell.get() {
                Some((pinned, value)) if *pinned == number => return Ok(value),
                Some(_) => {}
                None => {
                    let value = make()?;
                    return Ok(&cell.get_or_init(|| (number, value)).1);
                }
            }
        }
        let others = self.others.get_or_init(Box::default);
        match others.get(&number) {
            Some(value) => Ok(value),
            None => Ok(others.insert(number, Box::new(make()?))),
        }
    }
}

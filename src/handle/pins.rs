//! Values that a view lent to a template.

use std::cell::OnceCell;

use elsa::FrozenBTreeMap;

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
    #[inline]
    pub(super) fn get(&self, number: u64) -> Option<&Value> {
        for cell in &self.first {
            match cell.get() {
                Some((pinned, value)) if *pinned == number => return Some(value),
                Some(_) => {}
                None => return None,
            }
        }
        self.others.get()?.get(&number)
    }

    #[inline]
    pub(super) fn insert(&self, number: u64, value: Value) -> &Value {
        match self.first.iter().find(|cell| cell.get().is_none()) {
            Some(cell) => &cell.get_or_init(|| (number, value)).1,
            None => self
                .others
                .get_or_init(Box::default)
                .insert(number, Box::new(value)),
        }
    }
}

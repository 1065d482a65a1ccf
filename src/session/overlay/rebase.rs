//! The changes of a request over a record that others have changed.

use super::Overlay;
use crate::error::Error;
use crate::limits::{Limits, Size};
use crate::record::{Op, Record};

impl Overlay {
    /// Lays the same changes over another record: what was added stays added.
    pub(in crate::session) fn rebase(
        &self,
        record: Option<&Record>,
        limits: Limits,
        serials: &mut u64,
    ) -> Result<Self, Error> {
        // Only the sum counts: what is removed may come after what is added.
        let unlimited = Limits {
            max_bytes: usize::MAX,
            max_keys: usize::MAX,
        };
        let mut fresh = Self::over(record);
        if self.clear {
            fresh.clear = true;
            fresh.size = Size::default();
        }
        for (key, op) in &self.ops {
            match op {
                Op::Set(value) => {
                    fresh.set(key, value.clone(), record, unlimited, serials)?;
                }
                Op::Remove | Op::Take => {
                    fresh.remove(key, record, serials);
                }
                Op::Increment(by) => {
                    // After a clear there is none such: it would have become a value.
                    let stored = record.map(|record| record.get(key)).transpose()?.flatten();
                    fresh.increment(key, *by, stored.as_ref(), record, unlimited, serials)?;
                }
                Op::Append(items) => {
                    for item in items {
                        fresh.append(key, item.clone(), record, unlimited, serials)?;
                    }
                }
            }
        }
        fresh.make_sure(record);
        limits.check(
            None,
            record.map_or_else(Size::default, Record::size),
            fresh.size,
        )?;
        Ok(fresh)
    }
}

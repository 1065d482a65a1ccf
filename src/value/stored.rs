//! One value in its stored form, by itself.

use std::fmt;
use std::ops::Deref;

use smallvec::SmallVec;

use super::Value;

/// A value in its stored form: what [`Record::raw`](crate::store::Record::raw) gives and
/// [`Value::from_bytes`] reads.
///
/// Forms of up to 32 bytes take no allocation: numbers, flags, dates, short texts.
///
/// ```
/// use liquid_session::Value;
/// use liquid_session::store::StoredValue;
///
/// let stored = StoredValue::from(&Value::from(5));
/// assert_eq!(Value::from_bytes(&stored)?, Value::from(5));
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(PartialEq, Eq)]
pub struct StoredValue(SmallVec<[u8; 32]>);

/// As one piece: the vector's own way goes byte by byte.
impl Clone for StoredValue {
    fn clone(&self) -> Self {
        Self(SmallVec::from_slice(&self.0))
    }
}

impl From<&Value> for StoredValue {
    fn from(value: &Value) -> Self {
        let mut bytes = SmallVec::new();
        value.encode(&mut bytes);
        Self(bytes)
    }
}

impl Deref for StoredValue {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl StoredValue {
    /// A stored array with these elements at its end; an empty one if there is none.
    pub(crate) fn appended(array: Option<&[u8]>, items: &[Value]) -> Self {
        let mut bytes = SmallVec::from_slice(array.unwrap_or(EMPTY));
        for item in items {
            item.encode_sized(&mut bytes);
        }
        Self(bytes)
    }

    /// Whether this is the stored form of an array.
    pub(crate) fn is_array(bytes: &[u8]) -> bool {
        bytes.starts_with(EMPTY)
    }
}

/// An array without elements.
const EMPTY: &[u8] = b"a";

/// Nothing of what a session holds is shown.
impl fmt::Debug for StoredValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoredValue").finish_non_exhaustive()
    }
}

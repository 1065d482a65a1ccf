//! [`StoredValue`]: one value in its stored form.

use std::fmt;
use std::ops::Deref;

use smallvec::SmallVec;

use super::Value;

/// A value in its stored form: what [`Record::raw`](crate::store::Record::raw) returns and
/// [`Value::from_bytes`] reads.
///
/// Up to 32 bytes take no allocation: numbers, booleans, dates, short strings.
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

/// Copies the bytes at once; the vector's own `clone` copies them one by one.
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
    /// A stored array with these elements added at its end. Without an array, one that holds them.
    pub(crate) fn appended(array: Option<&[u8]>, items: &[Value]) -> Self {
        let mut bytes = SmallVec::from_slice(array.unwrap_or(EMPTY));
        for item in items {
            item.encode_sized(&mut bytes);
        }
        Self(bytes)
    }

    /// Whether these bytes are the stored form of an array.
    pub(crate) fn is_array(bytes: &[u8]) -> bool {
        bytes.starts_with(EMPTY)
    }
}

/// The stored form of an empty array.
const EMPTY: &[u8] = b"a";

/// Shows nothing of the value: it may be personal data.
impl fmt::Debug for StoredValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoredValue").finish_non_exhaustive()
    }
}

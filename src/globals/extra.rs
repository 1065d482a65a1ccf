//! The variables that a host adds to its globals.

use liquid_core::model::{KString, Value as LiquidValue};
use liquid_core::{Object, ValueView as _};

/// The variables that [`Bound::with`](super::Bound::with) adds, by name: mostly none, or one for a layout.
#[derive(Default)]
pub(super) struct Extra(Vec<(KString, LiquidValue)>);

impl Extra {
    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(own, _)| own.as_str().cmp(name))
    }

    pub(super) fn insert(&mut self, name: KString, value: LiquidValue) {
        match self.place(&name) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (name, value)),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&LiquidValue> {
        let at = self.place(name).ok()?;
        Some(&self.0.get(at)?.1)
    }

    pub(super) fn contains_key(&self, name: &str) -> bool {
        self.place(name).is_ok()
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = (KString, LiquidValue)> {
        self.0.into_iter()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

/// What [`Bound::with`](super::Bound::with) takes: texts, numbers, booleans and any value of Liquid's.
///
/// ```
/// use liquid_session::globals::IntoGlobal;
///
/// assert_eq!("a".into_global(), liquid::model::Value::scalar("a"));
/// assert_eq!(1.into_global(), liquid::model::Value::scalar(1));
/// ```
pub trait IntoGlobal {
    /// The value as Liquid's own.
    fn into_global(self) -> LiquidValue;
}

impl IntoGlobal for LiquidValue {
    fn into_global(self) -> LiquidValue {
        self
    }
}

macro_rules! into_global {
    ($($type:ty),+) => {
        $(impl IntoGlobal for $type {
            fn into_global(self) -> LiquidValue {
                self.to_value()
            }
        })+
    };
}

into_global!(&str, bool, i32, u32, i64, f64);

/// Moved, like the next: a rendered page on its way into the layout is long.
impl IntoGlobal for String {
    fn into_global(self) -> LiquidValue {
        LiquidValue::scalar(self)
    }
}

impl IntoGlobal for Object {
    fn into_global(self) -> LiquidValue {
        LiquidValue::Object(self)
    }
}

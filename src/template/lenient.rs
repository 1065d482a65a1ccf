//! Globals whose unknown names are nil.

use std::fmt;

use elsa::FrozenMap;
use liquid_core::ValueView;
use liquid_core::model::{
    DisplayCow, KStringCow, ObjectView, ScalarCow, State, Value as LiquidValue,
};

use super::value::NIL;

/// The host's values that a template has read, by name.
#[derive(Default)]
pub(super) struct Nodes<'g>(FrozenMap<String, Box<Node<'g>>>);

/// A value of the host's, and the values that were read below it.
struct Node<'g> {
    value: &'g dyn ValueView,
    below: Nodes<'g>,
}

impl<'g> Nodes<'g> {
    /// Returns the lenient form of a value; nil if there is none.
    pub(super) fn get(&self, name: &str, value: Option<&'g dyn ValueView>) -> &dyn ValueView {
        match (self.0.get(name), value) {
            (Some(node), _) => node,
            (None, None) => &NIL,
            (None, Some(value)) => {
                let below = Nodes::default();
                self.0.insert(name.to_owned(), Box::new(Node { value, below }))
            }
        }
    }
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.as_debug().fmt(f)
    }
}

impl ValueView for Node<'_> {
    fn as_debug(&self) -> &dyn fmt::Debug {
        self.value.as_debug()
    }

    fn render(&self) -> DisplayCow<'_> {
        self.value.render()
    }

    fn source(&self) -> DisplayCow<'_> {
        self.value.source()
    }

    fn type_name(&self) -> &'static str {
        self.value.type_name()
    }

    fn query_state(&self, state: State) -> bool {
        self.value.query_state(state)
    }

    fn to_kstr(&self) -> KStringCow<'_> {
        self.value.to_kstr()
    }

    fn to_value(&self) -> LiquidValue {
        self.value.to_value()
    }

    fn as_scalar(&self) -> Option<ScalarCow<'_>> {
        self.value.as_scalar()
    }

    /// Arrays and scalars too, so that a path below them ends in nil: see `Value`.
    fn as_object(&self) -> Option<&dyn ObjectView> {
        Some(self)
    }

    fn as_state(&self) -> Option<State> {
        self.value.as_state()
    }

    fn is_nil(&self) -> bool {
        self.value.is_nil()
    }
}

impl ObjectView for Node<'_> {
    fn as_value(&self) -> &dyn ValueView {
        self
    }

    fn size(&self) -> i64 {
        if let Some(items) = self.value.as_array() {
            items.size()
        } else if let Some(entries) = self.value.as_object() {
            entries.size()
        } else {
            // In bytes, like the engine's own.
            self.value.to_kstr().len() as i64
        }
    }

    fn keys<'k>(&'k self) -> Box<dyn Iterator<Item = KStringCow<'k>> + 'k> {
        match self.value.as_object() {
            Some(entries) => entries.keys(),
            None => Box::new(std::iter::empty()),
        }
    }

    fn values<'k>(&'k self) -> Box<dyn Iterator<Item = &'k dyn ValueView> + 'k> {
        match self.value.as_object() {
            Some(entries) => entries.values(),
            None => Box::new(std::iter::empty()),
        }
    }

    fn iter<'k>(&'k self) -> Box<dyn Iterator<Item = (KStringCow<'k>, &'k dyn ValueView)> + 'k> {
        match self.value.as_object() {
            Some(entries) => entries.iter(),
            None => Box::new(std::iter::empty()),
        }
    }

    fn contains_key(&self, index: &str) -> bool {
        self.value
            .as_object()
            .is_some_and(|entries| entries.contains_key(index))
    }

    fn get<'s>(&'s self, index: &str) -> Option<&'s dyn ValueView> {
        let found = if let Some(items) = self.value.as_array() {
            match index {
                "first" => items.first(),
                "last" => items.last(),
                _ => index.parse().ok().and_then(|index| items.get(index)),
            }
        } else {
            self.value
                .as_object()
                .and_then(|entries| entries.get(index))
        };
        // The engine then asks for the size.
        if found.is_none() && index == "size" && !self.value.is_nil() {
            return None;
        }
        Some(self.below.get(index, found))
    }
}

//! Globals whose unknown names are nil.

use std::fmt;

use elsa::FrozenMap;
use liquid_core::ValueView;
use liquid_core::model::{
    DisplayCow, KString, KStringCow, ObjectView, ScalarCow, State, Value as LiquidValue,
};

use super::globals::{Bound, Context, layered_view};
use super::value::NIL;
use super::view::{CONTEXT, CURRENT_USER, SESSION};
use crate::value::Value;

/// Bound globals whose unknown variables are nil; made by [`Bound::lenient`].
pub struct Lenient<'g, G: ?Sized> {
    context: LenientContext<'g, G>,
    roots: Nodes<'g>,
    /// Values of this crate, which are lenient by themselves.
    extra: Vec<(KString, Value)>,
}

/// `context` with the host's own fields as lenient ones.
struct LenientContext<'g, G: ?Sized> {
    inner: Context<'g, G>,
    own: Nodes<'g>,
}

impl<'g, G: ObjectView + ?Sized> Lenient<'g, G> {
    pub(super) fn new(bound: Bound<'g, G>) -> Self {
        Self {
            context: LenientContext {
                inner: bound.context,
                own: Nodes::default(),
            },
            roots: Nodes::default(),
            extra: bound
                .extra
                .into_iter()
                .map(|(name, value)| (name, Value::from_view(&*value)))
                .collect(),
        }
    }

    fn added(&self, name: &str) -> Option<&Value> {
        let found = self.extra.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value)
    }

    fn names(&self) -> impl Iterator<Item = KStringCow<'_>> {
        let own = self.context.inner.globals.keys();
        let extra = self.extra.iter().map(|(name, _)| name.as_str().into());
        own.filter(|name| name.as_str() != CONTEXT && self.added(name.as_str()).is_none())
            .chain(extra)
            .chain([KStringCow::from_static(CONTEXT)])
    }

    /// Every name is known: its value may be nil.
    fn has(&self, name: &str) -> bool {
        !self.context.inner.view.answers(name)
    }

    fn member(&self, name: &str) -> Option<&dyn ValueView> {
        if name == CONTEXT {
            return Some(&self.context);
        }
        Some(match self.added(name) {
            Some(value) => value,
            None => self.roots.get(name, self.context.inner.globals.get(name)),
        })
    }
}

impl<G: ObjectView + ?Sized> LenientContext<'_, G> {
    fn names(&self) -> impl Iterator<Item = KStringCow<'_>> {
        self.inner.names()
    }

    fn has(&self, name: &str) -> bool {
        self.inner.has(name)
    }

    fn member(&self, name: &str) -> Option<&dyn ValueView> {
        if name == SESSION {
            return Some(self.inner.session());
        }
        let own = self.inner.own().and_then(|own| own.get(name));
        if own.is_none() && name == CURRENT_USER {
            return self.inner.view.current_user();
        }
        // The engine then asks for the size.
        (own.is_some() || name != "size").then(|| self.own.get(name, own))
    }
}

layered_view!(Lenient);
layered_view!(LenientContext);

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
                self.0
                    .insert(name.to_owned(), Box::new(Node { value, below }))
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

//! Globals whose unknown names are nil.

use std::collections::BTreeMap;
use std::fmt;

use elsa::FrozenMap;
use liquid_core::ValueView;
use liquid_core::model::{
    DisplayCow, KStringCow, ObjectView, ScalarCow, State, Value as LiquidValue,
};

use super::globals::{Bound, Context, layered_view};
use super::value::NIL;
use crate::template::view::{CONTEXT, SESSION};
use crate::value::Value;

/// Bound globals whose unknown variables are nil; made by [`Bound::lenient`].
///
/// ```
/// # use liquid_session::{MemoryStore, ParserBuilderExt as _, SessionConfig, Sessions};
/// # let parser = liquid::ParserBuilder::with_stdlib().sessions().build()?;
/// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
/// # let session = sessions.open(None);
/// let globals = liquid::Object::new();
/// let page = parser.parse("{{ params.tab | default: 'home' }}")?;
/// assert_eq!(page.render(&session.bind(&globals).lenient())?, "home");
/// # Ok::<(), liquid::Error>(())
/// ```
pub struct Lenient<'g, G: ?Sized> {
    context: LenientContext<'g, G>,
    /// Values of ours are lenient by themselves.
    extra: BTreeMap<String, Value>,
    roots: Nodes<'g>,
}

/// `context` with the caller's own fields as lenient ones.
struct LenientContext<'g, G: ?Sized> {
    inner: Context<'g, G>,
    own: Nodes<'g>,
}

/// The caller's values that somebody asked for, by name.
type Nodes<'g> = FrozenMap<String, Box<Node<'g>>>;

/// A caller's value, and what was asked for below it.
struct Node<'g> {
    value: &'g dyn ValueView,
    below: Nodes<'g>,
}

fn node<'n, 'g>(
    nodes: &'n Nodes<'g>,
    name: &str,
    value: Option<&'g dyn ValueView>,
) -> &'n dyn ValueView {
    match (nodes.get(name), value) {
        (Some(node), _) => node,
        (None, None) => &NIL,
        (None, Some(value)) => nodes.insert(
            name.to_owned(),
            Box::new(Node {
                value,
                below: FrozenMap::new(),
            }),
        ),
    }
}

impl<'g, G: ObjectView + ?Sized> Lenient<'g, G> {
    pub(super) fn new(bound: Bound<'g, G>) -> Self {
        Self {
            extra: bound
                .extra
                .into_iter()
                .map(|(name, value)| (name.into_string(), Value::from_view(&*value)))
                .collect(),
            context: LenientContext {
                inner: bound.context,
                own: FrozenMap::new(),
            },
            roots: FrozenMap::new(),
        }
    }
}

layered_view!(Lenient);
layered_view!(LenientContext);

impl<G: ObjectView + ?Sized> ObjectView for Lenient<'_, G> {
    fn as_value(&self) -> &dyn ValueView {
        self
    }

    fn size(&self) -> i64 {
        self.keys().count() as i64
    }

    fn keys<'k>(&'k self) -> Box<dyn Iterator<Item = KStringCow<'k>> + 'k> {
        let own = self.context.inner.globals.keys();
        let extra = self.extra.keys().map(|name| name.as_str().into());
        Box::new(
            own.filter(|name| name.as_str() != CONTEXT && !self.extra.contains_key(name.as_str()))
                .chain(extra)
                .chain([KStringCow::from_static(CONTEXT)]),
        )
    }

    fn values<'k>(&'k self) -> Box<dyn Iterator<Item = &'k dyn ValueView> + 'k> {
        Box::new(self.iter().map(|(_, value)| value))
    }

    fn iter<'k>(&'k self) -> Box<dyn Iterator<Item = (KStringCow<'k>, &'k dyn ValueView)> + 'k> {
        Box::new(self.keys().filter_map(|name| {
            let value = self.get(name.as_str())?;
            Some((name, value))
        }))
    }

    /// Every name is known: its value may be nil.
    fn contains_key(&self, index: &str) -> bool {
        !self.context.inner.view.answers(index)
    }

    fn get<'s>(&'s self, index: &str) -> Option<&'s dyn ValueView> {
        if index == CONTEXT {
            return Some(&self.context);
        }
        if let Some(value) = self.extra.get(index) {
            return Some(value);
        }
        Some(node(
            &self.roots,
            index,
            self.context.inner.globals.get(index),
        ))
    }
}

impl<G: ObjectView + ?Sized> ObjectView for LenientContext<'_, G> {
    fn as_value(&self) -> &dyn ValueView {
        self
    }

    fn size(&self) -> i64 {
        self.inner.size()
    }

    fn keys<'k>(&'k self) -> Box<dyn Iterator<Item = KStringCow<'k>> + 'k> {
        self.inner.keys()
    }

    fn values<'k>(&'k self) -> Box<dyn Iterator<Item = &'k dyn ValueView> + 'k> {
        self.inner.values()
    }

    fn iter<'k>(&'k self) -> Box<dyn Iterator<Item = (KStringCow<'k>, &'k dyn ValueView)> + 'k> {
        self.inner.iter()
    }

    fn contains_key(&self, index: &str) -> bool {
        self.inner.contains_key(index)
    }

    fn get<'s>(&'s self, index: &str) -> Option<&'s dyn ValueView> {
        if index == SESSION {
            return Some(self.inner.session());
        }
        let value = self.inner.own().and_then(|own| own.get(index));
        // The engine then asks for the size.
        if value.is_none() && index == "size" {
            return None;
        }
        Some(node(&self.own, index, value))
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

    /// Arrays and scalars too, for the reason that values of ours do: see there.
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
        Some(node(&self.below, index, found))
    }
}

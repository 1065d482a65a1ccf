//! The runtimes that templates see: unknown names are nil, and lookups follow Ruby's rules.
//!
//! A runtime answers a whole path at once. Nothing here reads a root to look below it: a root may be
//! lazy, and a copy of it is a copy of all that it holds.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;

use liquid_core::model::{KString, KStringCow, KStringRef, ScalarCow};
use liquid_core::runtime::{PartialStore, Registers};
use liquid_core::{Object, Result, Runtime, Value, ValueCow, ValueView};

use super::values::{self, Kind, kind};

/// The name of the host's object, which partials see too.
const CONTEXT: &str = "context";
/// The part of it that `export` sets.
const EXPORTS: &str = "exports";
/// The exported values are stored among the engine's counters, which all partials share.
const EXPORTED: &str = "\0exports";

fn is_text(key: &ScalarCow<'_>, text: &str) -> bool {
    // Only a text borrows: a number would be formatted.
    key.type_name() == "string" && key.to_kstr().as_str() == text
}

/// Reads the member of a value at this path.
fn find<'v>(value: &'v dyn ValueView, path: &[ScalarCow<'_>]) -> Option<ValueCow<'v>> {
    let Some((key, rest)) = path.split_first() else {
        return Some(ValueCow::Borrowed(value));
    };
    match child(value, key)? {
        ValueCow::Borrowed(child) => find(child, rest),
        ValueCow::Owned(child) if rest.is_empty() => Some(ValueCow::Owned(child)),
        ValueCow::Owned(child) => {
            find(&child, rest).map(|found| ValueCow::Owned(found.into_owned()))
        }
    }
}

fn child<'v>(value: &'v dyn ValueView, key: &ScalarCow<'_>) -> Option<ValueCow<'v>> {
    if value.is_nil() {
        return None;
    }
    if let Some(items) = value.as_array() {
        if key.type_name() == "whole number" {
            return items.get(key.to_integer()?).map(ValueCow::Borrowed);
        }
        return match key.to_kstr().as_str() {
            "first" => items.first().map(ValueCow::Borrowed),
            "last" => items.last().map(ValueCow::Borrowed),
            "size" => Some(ValueCow::Owned(Value::scalar(items.size()))),
            // The engine reads `'0'` as a number.
            text => items.get(text.parse().ok()?).map(ValueCow::Borrowed),
        };
    }
    let key = key.to_kstr();
    if let Some(found) = value.as_object().and_then(|object| object.get(&key)) {
        return Some(ValueCow::Borrowed(found));
    }
    command(value, &key).map(ValueCow::Owned)
}

/// `size`, `first` and `last` of a text or an object.
fn command(value: &dyn ValueView, key: &str) -> Option<Value> {
    match (kind(value), key) {
        (Kind::String(text), "size") => Some(Value::scalar(text.chars().count() as i64)),
        (Kind::String(text), "first" | "last") => {
            let mut chars = text.chars();
            let end = if key == "first" {
                chars.next()
            } else {
                chars.next_back()
            };
            Some(Value::scalar(end.map_or_else(String::new, String::from)))
        }
        (Kind::Object(object), "size") => Some(Value::scalar(object.size())),
        (Kind::Object(object), "first") => values::pairs(object).into_iter().next(),
        // As the engine has it: the size of any other scalar is that of its text.
        (Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Date(_), "size") => {
            Some(Value::scalar(value.to_kstr().len() as i64))
        }
        _ => None,
    }
}

/// Implements `get` for all frames: nil for unknown names, owned as in the engine's frames.
fn lenient_get<'r>(runtime: &'r dyn Runtime, path: &[ScalarCow<'_>]) -> Result<ValueCow<'r>> {
    let found = runtime.try_get(path).map(ValueCow::into_owned);
    Ok(ValueCow::Owned(found.unwrap_or_default()))
}

/// Implements methods by calling the parent's.
macro_rules! below {
    ($($name:ident),+) => {
        $(below!(@ $name);)+
    };
    (@ partials) => {
        fn partials(&self) -> &dyn PartialStore {
            self.parent.partials()
        }
    };
    (@ name) => {
        fn name(&self) -> Option<KStringRef<'_>> {
            self.parent.name()
        }
    };
    (@ roots) => {
        fn roots(&self) -> BTreeSet<KStringCow<'_>> {
            self.parent.roots()
        }
    };
    (@ get) => {
        fn get(&self, path: &[ScalarCow<'_>]) -> Result<ValueCow<'_>> {
            lenient_get(self, path)
        }
    };
    (@ set_global) => {
        fn set_global(&self, name: KString, value: Value) -> Option<Value> {
            self.parent.set_global(name, value)
        }
    };
    (@ set_index) => {
        fn set_index(&self, name: KString, value: Value) -> Option<Value> {
            self.parent.set_index(name, value)
        }
    };
    (@ get_index) => {
        fn get_index<'a>(&'a self, name: &str) -> Option<ValueCow<'a>> {
            self.parent.get_index(name)
        }
    };
    (@ registers) => {
        fn registers(&self) -> &Registers {
            self.parent.registers()
        }
    };
}

/// The frame around a template: the engine's runtime, with Ruby's rules for what it does not find.
pub(super) struct Lenient<'r> {
    parent: &'r dyn Runtime,
}

impl<'r> Lenient<'r> {
    pub(super) fn new(parent: &'r dyn Runtime) -> Self {
        Self { parent }
    }

    /// Evaluates `size`, `first` and `last` where the engine finds nothing or counts bytes.
    fn command(
        &self,
        owner: &[ScalarCow<'_>],
        key: &str,
        found: Option<&ValueCow<'_>>,
    ) -> Option<Value> {
        if found.is_some_and(|found| !found.is_nil() && key != "size") {
            return None;
        }
        if key == "size" {
            // An array with a first item needs no copy to be told from a text.
            let mut first = owner.to_vec();
            first.push(ScalarCow::new(0));
            let item = self.parent.try_get(&first);
            if item.is_some_and(|item| !item.is_nil()) {
                return None;
            }
        }
        let owner = self.parent.try_get(owner)?;
        match kind(owner.as_view()) {
            Kind::String(_) => command(owner.as_view(), key),
            // A lazy object answers nil by itself, and is not to be copied.
            Kind::Object(_) if found.is_none() => command(owner.as_view(), key),
            _ => None,
        }
    }
}

impl Runtime for Lenient<'_> {
    fn try_get(&self, path: &[ScalarCow<'_>]) -> Option<ValueCow<'_>> {
        let [root, rest @ ..] = path else {
            return None;
        };
        if let [part, rest @ ..] = rest
            && is_text(part, EXPORTS)
            && is_text(root, CONTEXT)
        {
            let mut exported = vec![ScalarCow::new(EXPORTED)];
            exported.extend(rest.iter().cloned());
            if let Some(found) = self.parent.try_get(&exported) {
                return Some(found);
            }
        }
        let found = self.parent.try_get(path);
        if let [owner @ .., key] = path
            && !owner.is_empty()
            && ["size", "first", "last"]
                .iter()
                .any(|command| is_text(key, command))
            && let Some(value) = self.command(owner, &key.to_kstr(), found.as_ref())
        {
            return Some(ValueCow::Owned(value));
        }
        found
    }

    below!(
        partials, name, roots, get, set_global, set_index, get_index, registers
    );
}

/// A frame of variables that shadow all others.
pub(super) struct Variables<'r> {
    parent: &'r dyn Runtime,
    vars: Vars<'r>,
}

/// Names and values. The last entry of a name is used.
pub(super) type Vars<'r> = Vec<(Cow<'r, str>, ValueCow<'r>)>;

impl<'r> Variables<'r> {
    pub(super) fn new(parent: &'r dyn Runtime, vars: Vars<'r>) -> Self {
        Self { parent, vars }
    }
}

fn find_variable<'v>(vars: &'v Vars<'_>, path: &[ScalarCow<'_>]) -> Option<Option<ValueCow<'v>>> {
    let (root, rest) = path.split_first()?;
    let root = root.to_kstr();
    let var = vars.iter().rev().find(|(name, _)| *name == root.as_str());
    var.map(|(_, value)| find(value.as_view(), rest))
}

impl Runtime for Variables<'_> {
    fn try_get(&self, path: &[ScalarCow<'_>]) -> Option<ValueCow<'_>> {
        find_variable(&self.vars, path).unwrap_or_else(|| self.parent.try_get(path))
    }

    below!(
        partials, name, roots, get, set_global, set_index, get_index, registers
    );
}

/// The frame of a loop's body.
pub(super) struct Loop<'r> {
    pub(super) parent: &'r dyn Runtime,
    pub(super) name: &'r str,
    pub(super) item: &'r dyn ValueView,
    /// `forloop` or `tablerowloop`, and its object.
    pub(super) state: (&'static str, &'r dyn ValueView),
}

impl Runtime for Loop<'_> {
    fn try_get(&self, path: &[ScalarCow<'_>]) -> Option<ValueCow<'_>> {
        let (root, rest) = path.split_first()?;
        let root = root.to_kstr();
        if root.as_str() == self.name {
            find(self.item, rest)
        } else if root.as_str() == self.state.0 {
            find(self.state.1, rest)
        } else {
            self.parent.try_get(path)
        }
    }

    below!(
        partials, name, roots, get, set_global, set_index, get_index, registers
    );
}

/// The frame of a partial of `render` or `function`: its arguments, what it assigns itself, and the
/// host's `context`.
pub(super) struct Isolated<'r> {
    parent: &'r dyn Runtime,
    arguments: Vars<'r>,
    assigned: RefCell<Object>,
    counters: RefCell<Object>,
    registers: Registers,
}

impl<'r> Isolated<'r> {
    pub(super) fn new(parent: &'r dyn Runtime, arguments: Vars<'r>) -> Self {
        Self {
            parent,
            arguments,
            assigned: RefCell::default(),
            counters: RefCell::default(),
            registers: Registers::default(),
        }
    }

    fn find_own(&self, own: &RefCell<Object>, path: &[ScalarCow<'_>]) -> Option<Option<Value>> {
        let (root, rest) = path.split_first()?;
        let own = own.borrow();
        let value = own.get(root.to_kstr().as_str())?;
        Some(find(value, rest).map(ValueCow::into_owned))
    }
}

impl Runtime for Isolated<'_> {
    fn try_get(&self, path: &[ScalarCow<'_>]) -> Option<ValueCow<'_>> {
        if let Some(found) = self.find_own(&self.assigned, path) {
            return found.map(ValueCow::Owned);
        }
        if let Some(found) = find_variable(&self.arguments, path) {
            return found;
        }
        if let Some(found) = self.find_own(&self.counters, path) {
            return found.map(ValueCow::Owned);
        }
        // As it was asked for: a host may know its own question by more than the name.
        if is_text(path.first()?, CONTEXT) {
            return self.parent.try_get(path);
        }
        None
    }

    fn roots(&self) -> BTreeSet<KStringCow<'_>> {
        let arguments = self.arguments.iter();
        arguments
            .map(|(name, _)| KStringCow::from_ref(name))
            .collect()
    }

    fn set_global(&self, name: KString, value: Value) -> Option<Value> {
        self.assigned.borrow_mut().insert(name, value)
    }

    fn set_index(&self, name: KString, value: Value) -> Option<Value> {
        if name == EXPORTED {
            return self.parent.set_index(name, value);
        }
        self.counters.borrow_mut().insert(name, value)
    }

    fn get_index<'a>(&'a self, name: &str) -> Option<ValueCow<'a>> {
        if name == EXPORTED {
            return self.parent.get_index(name);
        }
        let counters = self.counters.borrow();
        counters
            .get(name)
            .map(|value| ValueCow::Owned(value.clone()))
    }

    fn registers(&self) -> &Registers {
        &self.registers
    }

    below!(partials, name, get);
}

/// Sets `context.exports.NAMESPACE.NAME` for the whole render.
pub(super) fn export(runtime: &dyn Runtime, namespace: Option<&str>, name: KString, value: Value) {
    let exported = runtime.get_index(EXPORTED).map(ValueCow::into_owned);
    let mut exported = exported.and_then(Value::into_object).unwrap_or_default();
    match namespace {
        Some(namespace) => {
            let members = exported
                .entry(namespace.to_owned())
                .or_insert_with(|| Value::Object(Object::new()));
            if let Some(members) = members.as_object_mut() {
                members.insert(name, value);
            }
        }
        None => {
            exported.insert(name, value);
        }
    }
    runtime.set_index(EXPORTED.into(), Value::Object(exported));
}

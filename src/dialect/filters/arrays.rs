//! Filters on arrays, and those that take any value.

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::HashSet;

use liquid_core::model::ScalarCow;
use liquid_core::{Error, Result, Value, ValueCow, ValueView};

use super::super::values::{self, Kind, kind};
use super::numbers::Number;
use super::{Call, NIL, text};

/// The items of an input, as Ruby Liquid's array filters see it: arrays in arrays are flat, an object
/// is one item, and so is any other value but nil.
fn items(input: &dyn ValueView) -> Vec<&dyn ValueView> {
    fn flatten<'v>(value: &'v dyn ValueView, into: &mut Vec<&'v dyn ValueView>) {
        match kind(value) {
            Kind::Array(items) => items.values().for_each(|item| flatten(item, into)),
            _ => into.push(value),
        }
    }
    let mut flat = Vec::new();
    if !input.is_nil() {
        flatten(input, &mut flat);
    }
    flat
}

fn array<'v>(items: impl IntoIterator<Item = &'v dyn ValueView>) -> Result<Value> {
    Ok(Value::array(items.into_iter().map(|item| item.to_value())))
}

/// A property of an item; nothing for items that have none at all: nil, booleans, fractions.
fn property<'v>(item: &'v dyn ValueView, property: &dyn ValueView) -> Result<Option<ValueCow<'v>>> {
    let refuse = || {
        Error::with_msg(format!(
            "can't select the property `{}` of a number or a string",
            values::text(property)
        ))
    };
    match (kind(item), kind(property)) {
        (Kind::Object(object), Kind::String(key)) => {
            let found = object.get(&key);
            Ok(Some(found.map_or(ValueCow::Borrowed(&NIL), |found| {
                values::settle(ValueCow::Borrowed(found))
            })))
        }
        (Kind::Object(_), _) => Ok(Some(ValueCow::Borrowed(&NIL))),
        // A part of the text, if it is in it.
        (Kind::String(whole), Kind::String(part)) => Ok(Some(if whole.contains(&*part) {
            ValueCow::Owned(Value::scalar(part.into_owned()))
        } else {
            ValueCow::Borrowed(&NIL)
        })),
        (Kind::String(_) | Kind::Int(_), _) => Err(refuse()),
        _ => Ok(None),
    }
}

/// Why a filter by a property ends early: with nil, as Ruby's.
struct NoProperty;

/// Whether each item has the property of the arguments, one after the other.
fn matches(call: &Call<'_>, item: &dyn ValueView) -> Result<std::result::Result<bool, NoProperty>> {
    let Some(found) = property(item, call.argument(0))? else {
        return Ok(Err(NoProperty));
    };
    Ok(Ok(match call.given(1) {
        Some(target) => values::equal(found.as_view(), target),
        None => values::truthy(found.as_view()),
    }))
}

fn select(call: &Call<'_>, wanted: bool) -> Result<Value> {
    let mut selected = Vec::new();
    for item in items(call.input) {
        match matches(call, item)? {
            Ok(matches) if matches == wanted => selected.push(item),
            Ok(_) => {}
            Err(NoProperty) => return Ok(Value::Nil),
        }
    }
    array(selected)
}

pub(super) fn filter_where(call: &Call<'_>) -> Result<Value> {
    select(call, true)
}

pub(super) fn reject(call: &Call<'_>) -> Result<Value> {
    select(call, false)
}

/// The first match: its place, and the item.
fn first_match<T>(
    call: &Call<'_>,
    found: impl FnOnce(usize, &dyn ValueView) -> T,
    missing: T,
    no_property: T,
) -> Result<T> {
    for (at, item) in items(call.input).into_iter().enumerate() {
        match matches(call, item)? {
            Ok(true) => return Ok(found(at, item)),
            Ok(false) => {}
            Err(NoProperty) => return Ok(no_property),
        }
    }
    Ok(missing)
}

pub(super) fn find(call: &Call<'_>) -> Result<Value> {
    first_match(call, |_, item| item.to_value(), Value::Nil, Value::Nil)
}

pub(super) fn find_index(call: &Call<'_>) -> Result<Value> {
    first_match(
        call,
        |at, _| Value::scalar(at as i64),
        Value::Nil,
        Value::Nil,
    )
}

pub(super) fn has(call: &Call<'_>) -> Result<Value> {
    first_match(
        call,
        |_, _| Value::scalar(true),
        Value::scalar(false),
        Value::Nil,
    )
}

pub(super) fn map(call: &Call<'_>) -> Result<Value> {
    let mut mapped = Vec::new();
    for item in items(call.input) {
        let found = property(item, call.argument(0))?;
        mapped.push(found.map_or(Value::Nil, ValueCow::into_owned));
    }
    Ok(Value::Array(mapped))
}

pub(super) fn compact(call: &Call<'_>) -> Result<Value> {
    let mut kept = Vec::new();
    for item in items(call.input) {
        let nil = match call.given(0) {
            None => item.is_nil(),
            Some(key) => match property(item, key)? {
                Some(found) => found.is_nil(),
                None => return Ok(Value::Nil),
            },
        };
        if !nil {
            kept.push(item);
        }
    }
    array(kept)
}

pub(super) fn concat(call: &Call<'_>) -> Result<Value> {
    let Kind::Array(more) = kind(call.argument(0)) else {
        return Err(values::expected("an array to concat", call.argument(0)));
    };
    array(items(call.input).into_iter().chain(more.values()))
}

pub(super) fn reverse(call: &Call<'_>) -> Result<Value> {
    array(items(call.input).into_iter().rev())
}

pub(super) fn join(call: &Call<'_>) -> Result<Value> {
    let glue = match call.arguments.first() {
        Some(glue) => values::text(glue.as_view()),
        None => " ".into(),
    };
    let items: Vec<_> = items(call.input).into_iter().map(values::text).collect();
    text(items.join(&*glue))
}

pub(super) fn first(call: &Call<'_>) -> Result<Value> {
    Ok(end(call.input, true))
}

pub(super) fn last(call: &Call<'_>) -> Result<Value> {
    Ok(end(call.input, false))
}

fn end(input: &dyn ValueView, first: bool) -> Value {
    match kind(input) {
        Kind::Array(items) => {
            let item = if first { items.first() } else { items.last() };
            item.map_or(Value::Nil, |item| item.to_value())
        }
        Kind::String(text) => {
            let mut chars = text.chars();
            let c = if first {
                chars.next()
            } else {
                chars.next_back()
            };
            Value::scalar(c.map_or_else(String::new, String::from))
        }
        Kind::Object(object) if first => {
            let pair = values::pairs(object).into_iter().next();
            pair.unwrap_or_default()
        }
        _ => Value::Nil,
    }
}

pub(super) fn size(call: &Call<'_>) -> Result<Value> {
    let size = match kind(call.input) {
        Kind::String(text) => text.chars().count() as i64,
        Kind::Array(items) => items.size(),
        Kind::Object(object) => object.size(),
        // As the engine has it; in Ruby a number's size is that of its memory.
        Kind::Int(_) | Kind::Float(_) | Kind::Date(_) | Kind::Bool(_) => {
            values::text(call.input).len() as i64
        }
        Kind::Nil => 0,
    };
    Ok(Value::scalar(size))
}

/// An item, after its key.
type Keyed<'c> = (ValueCow<'c>, &'c dyn ValueView);

/// The key that each item is sorted by; nothing if an item has no property.
fn keyed<'c>(call: &'c Call<'_>) -> Result<Option<Vec<Keyed<'c>>>> {
    let mut keyed = Vec::new();
    for item in items(call.input) {
        let key = match call.given(0) {
            None => ValueCow::Borrowed(item),
            Some(key) => match property(item, key)? {
                Some(key) => key,
                None => return Ok(None),
            },
        };
        keyed.push((key, item));
    }
    Ok(Some(keyed))
}

pub(super) fn sort(call: &Call<'_>) -> Result<Value> {
    let Some(mut keyed) = keyed(call)? else {
        return Ok(Value::Nil);
    };
    check_comparable(&keyed)?;
    let fractions = keyed
        .iter()
        .any(|(key, _)| matches!(kind(key.as_view()), Kind::Float(_)));
    keyed.sort_by(|(left, _), (right, _)| compare(left.as_view(), right.as_view(), fractions));
    array(keyed.into_iter().map(|(_, item)| item))
}

/// Sorting needs an order of all: numbers, texts or dates, and nil.
fn check_comparable(keyed: &[Keyed<'_>]) -> Result<()> {
    let seen: Cell<Option<&str>> = Cell::new(None);
    for (key, _) in keyed {
        let class = match kind(key.as_view()) {
            Kind::Nil => continue,
            Kind::Int(_) | Kind::Float(_) => "numbers",
            Kind::String(_) => "strings",
            Kind::Date(_) => "dates",
            _ if keyed.len() == 1 => continue,
            Kind::Bool(_) => "booleans",
            Kind::Array(_) | Kind::Object(_) => "objects",
        };
        let other = seen.replace(Some(class)).unwrap_or(class);
        if other != class || ["booleans", "objects"].contains(&class) {
            return Err(Error::with_msg(format!(
                "can't sort {other} and {class}: expected only numbers, only strings or only dates"
            )));
        }
    }
    Ok(())
}

/// Nil comes last. With fractions, all numbers are compared as such: whole ones beyond 2^53 would
/// have no order among them otherwise.
fn compare(left: &dyn ValueView, right: &dyn ValueView, fractions: bool) -> Ordering {
    match (kind(left), kind(right)) {
        (Kind::Nil, Kind::Nil) => Ordering::Equal,
        (Kind::Nil, _) => Ordering::Greater,
        (_, Kind::Nil) => Ordering::Less,
        (Kind::Int(left), Kind::Int(right)) if !fractions => left.cmp(&right),
        (Kind::String(left), Kind::String(right)) => left.cmp(&right),
        (Kind::Date(left), Kind::Date(right)) => date_key(&left).cmp(&date_key(&right)),
        (left, right) => {
            let number = |kind: Kind<'_>| kind.number().unwrap_or_default();
            number(left).total_cmp(&number(right))
        }
    }
}

/// Days and moments in one order.
fn date_key(scalar: &ScalarCow<'_>) -> i128 {
    match (scalar.to_date_time(), scalar.to_date()) {
        (Some(moment), _) => moment.unix_timestamp_nanos(),
        (None, Some(date)) => {
            let midnight = date.midnight().assume_utc();
            midnight.unix_timestamp_nanos()
        }
        (None, None) => 0,
    }
}

pub(super) fn sort_natural(call: &Call<'_>) -> Result<Value> {
    let Some(keyed) = keyed(call)? else {
        return Ok(Value::Nil);
    };
    let mut keyed: Vec<_> = keyed
        .into_iter()
        .map(|(key, item)| {
            let folded = values::text(key.as_view()).to_ascii_lowercase();
            (key.is_nil(), folded, item)
        })
        .collect();
    keyed.sort_by(|left, right| (left.0, &left.1).cmp(&(right.0, &right.1)));
    array(keyed.into_iter().map(|(_, _, item)| item))
}

pub(super) fn uniq(call: &Call<'_>) -> Result<Value> {
    let Some(keyed) = keyed(call)? else {
        return Ok(Value::Nil);
    };
    let mut seen = HashSet::new();
    let unique = keyed
        .into_iter()
        .filter(|(key, _)| seen.insert(values::identity(key.as_view())));
    array(unique.map(|(_, item)| item))
}

pub(super) fn sum(call: &Call<'_>) -> Result<Value> {
    let mut sum = Number::Int(0);
    for item in items(call.input) {
        let value = match call.given(0) {
            None => ValueCow::Borrowed(item),
            Some(key) => property(item, key)?.unwrap_or(ValueCow::Borrowed(&NIL)),
        };
        // A property may be an array itself.
        for value in items(value.as_view()) {
            sum = sum.add(Number::of(value))?;
        }
    }
    Ok(sum.value())
}

pub(super) fn default(call: &Call<'_>) -> Result<Value> {
    let allow_false = call.keyword("allow_false").is_some_and(values::truthy);
    let missing = if allow_false {
        call.input.is_nil()
    } else {
        !values::truthy(call.input)
    };
    Ok(if missing || values::is_empty(call.input) {
        match call.arguments.first() {
            Some(default) => default.to_value(),
            None => Value::scalar(""),
        }
    } else {
        call.input.to_value()
    })
}

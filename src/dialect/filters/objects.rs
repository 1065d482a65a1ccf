//! platformOS's filters on arrays and objects. None changes its input.

use liquid_core::model::KString;
use liquid_core::{Object, Result, Value, ValueCow, ValueView};

use super::super::values::{self, Kind, kind};
use super::Call;

/// The items of an array; nil is an empty one.
fn items(value: &dyn ValueView) -> Result<Vec<Value>> {
    match kind(value) {
        Kind::Nil => Ok(Vec::new()),
        Kind::Array(items) => Ok(items.values().map(|item| item.to_value()).collect()),
        _ => Err(values::expected("an array", value)),
    }
}

/// A copy of an object; nil is an empty one.
fn object(value: &dyn ValueView) -> Result<Object> {
    match kind(value) {
        Kind::Nil => Ok(Object::new()),
        Kind::Object(_) => Ok(value.to_value().into_object().unwrap_or_default()),
        _ => Err(values::expected("an object", value)),
    }
}

fn key(value: &dyn ValueView) -> KString {
    KString::from_string(values::text(value).into_owned())
}

pub(super) fn array_add(call: &Call<'_>) -> Result<Value> {
    let mut items = items(call.input)?;
    items.push(call.argument(0).to_value());
    Ok(Value::Array(items))
}

pub(super) fn array_prepend(call: &Call<'_>) -> Result<Value> {
    let mut items = items(call.input)?;
    items.insert(0, call.argument(0).to_value());
    Ok(Value::Array(items))
}

pub(super) fn array_delete(call: &Call<'_>) -> Result<Value> {
    let mut items = items(call.input)?;
    items.retain(|item| !values::equal(item, call.argument(0)));
    Ok(Value::Array(items))
}

pub(super) fn array_delete_at(call: &Call<'_>) -> Result<Value> {
    let mut items = items(call.input)?;
    let index = values::integer(call.argument(0))?;
    let distance = usize::try_from(index.unsigned_abs()).ok();
    let index = distance.and_then(|distance| {
        if index < 0 {
            items.len().checked_sub(distance)
        } else {
            Some(distance)
        }
    });
    if let Some(index) = index.filter(|index| *index < items.len()) {
        items.remove(index);
    }
    Ok(Value::Array(items))
}

pub(super) fn array_compact(call: &Call<'_>) -> Result<Value> {
    let mut items = items(call.input)?;
    items.retain(|item| !values::is_blank(item));
    Ok(Value::Array(items))
}

pub(super) fn array_flatten(call: &Call<'_>) -> Result<Value> {
    fn flatten(items: Vec<Value>, into: &mut Vec<Value>) {
        for item in items {
            match item {
                Value::Array(items) => flatten(items, into),
                other => into.push(other),
            }
        }
    }
    let mut flat = Vec::new();
    flatten(items(call.input)?, &mut flat);
    Ok(Value::Array(flat))
}

fn position(items: &[Value], item: &dyn ValueView) -> Option<usize> {
    items.iter().position(|own| values::equal(own, item))
}

pub(super) fn array_include(call: &Call<'_>) -> Result<Value> {
    let found = position(&items(call.input)?, call.argument(0)).is_some();
    Ok(Value::scalar(found))
}

pub(super) fn is_included(call: &Call<'_>) -> Result<Value> {
    let found = position(&items(call.argument(0))?, call.input).is_some();
    Ok(Value::scalar(found))
}

pub(super) fn array_index_of(call: &Call<'_>) -> Result<Value> {
    let found = position(&items(call.input)?, call.argument(0));
    Ok(found.map_or(Value::Nil, |at| Value::scalar(at as i64)))
}

pub(super) fn array_intersect(call: &Call<'_>) -> Result<Value> {
    let other = items(call.argument(0))?;
    let mut items = items(call.input)?;
    items.retain(|item| position(&other, item).is_some());
    Ok(Value::Array(items))
}

pub(super) fn array_subtract(call: &Call<'_>) -> Result<Value> {
    let other = items(call.argument(0))?;
    let mut items = items(call.input)?;
    items.retain(|item| position(&other, item).is_none());
    Ok(Value::Array(items))
}

pub(super) fn array_limit(call: &Call<'_>) -> Result<Value> {
    let mut items = items(call.input)?;
    let limit = values::integer(call.argument(0))?;
    items.truncate(usize::try_from(limit).unwrap_or_default());
    Ok(Value::Array(items))
}

pub(super) fn add_key(call: &Call<'_>) -> Result<Value> {
    let mut object = object(call.input)?;
    object.insert(key(call.argument(0)), call.argument(1).to_value());
    Ok(Value::Object(object))
}

pub(super) fn delete_key(call: &Call<'_>) -> Result<Value> {
    let mut object = object(call.input)?;
    object.remove(key(call.argument(0)).as_str());
    Ok(Value::Object(object))
}

/// With another object, or with named arguments.
pub(super) fn merge(call: &Call<'_>) -> Result<Value> {
    let mut merged = object(call.input)?;
    let other = object(call.argument(0))?;
    for (key, value) in other {
        merged.insert(key, value);
    }
    for (name, value) in &call.keywords {
        merged.insert(KString::from_ref(name), value.to_value());
    }
    Ok(Value::Object(merged))
}

pub(super) fn values(call: &Call<'_>) -> Result<Value> {
    let mut entries: Vec<_> = object(call.input)?.into_iter().collect();
    entries.sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(Value::array(entries.into_iter().map(|(_, value)| value)))
}

pub(super) fn dig(call: &Call<'_>) -> Result<Value> {
    let mut place: ValueCow<'_> = ValueCow::Borrowed(call.input);
    for key in &call.arguments {
        let found = match kind(place.as_view()) {
            Kind::Object(object) => object.get(&values::text(key.as_view())),
            Kind::Array(items) => match kind(key.as_view()) {
                Kind::Int(index) => items.get(index),
                _ => None,
            },
            _ => None,
        };
        let found = found.map(|found| found.to_value());
        place = ValueCow::Owned(found.unwrap_or_default());
    }
    Ok(place.into_owned())
}

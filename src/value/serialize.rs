//! Any `Serialize` to a [`Value`], with whole and fractional numbers and dates kept apart.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde::ser;

use super::{DATE, DATE_TIME, DAY, EXACT, MOMENT, MOMENT_WITH_FRACTION, Value};
use crate::error::{Error, ErrorKind};

pub(super) fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, Error> {
    value
        .serialize(Serializer { depth: 0 })
        .map_err(|refused| match refused {
            Refused::Value(why) => Error::new(ErrorKind::Value, why),
            Refused::Depth => Error::new(ErrorKind::Limit, refused.to_string()),
        })
}

/// As deep as JSON is read. A session holds less, but this comes before that is known, and goes down a
/// level of the stack with each.
const DEEPEST: usize = 128;

#[derive(Debug)]
enum Refused {
    Value(String),
    Depth,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(why) => f.write_str(why),
            Self::Depth => write!(f, "the value nests deeper than {DEEPEST} levels"),
        }
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self::Value(why.to_string())
    }
}

fn too_large() -> Refused {
    Refused::Value("expected a whole number within i64, found one beyond it".to_owned())
}

struct Serializer {
    /// How many arrays and objects are around what comes.
    depth: usize,
}

impl Serializer {
    fn deeper(self) -> Result<usize, Refused> {
        if self.depth == DEEPEST {
            return Err(Refused::Depth);
        }
        Ok(self.depth + 1)
    }
}

impl ser::Serializer for Serializer {
    type Ok = Value;
    type Error = Refused;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Entries;
    type SerializeStruct = Entries;
    type SerializeStructVariant = Entries;
    fn serialize_bool(self, value: bool) -> Result<Value, Refused> {
        Ok(Value::Bool(value))
    }
    fn serialize_i8(self, value: i8) -> Result<Value, Refused> {
        Ok(value.into())
    }
    fn serialize_i16(self, value: i16) -> Result<Value, Refused> {
        Ok(value.into())
    }
    fn serialize_i32(self, value: i32) -> Result<Value, Refused> {
        Ok(value.into())
    }
    fn serialize_i64(self, value: i64) -> Result<Value, Refused> {
        Ok(value.into())
    }
    fn serialize_i128(self, value: i128) -> Result<Value, Refused> {
        i64::try_from(value)
            .map(Value::Int)
            .map_err(|_| too_large())
    }
    fn serialize_u8(self, value: u8) -> Result<Value, Refused> {
        Ok(value.into())
    }
    fn serialize_u16(self, value: u16) -> Result<Value, Refused> {
        Ok(value.into())
    }
    fn serialize_u32(self, value: u32) -> Result<Value, Refused> {
        Ok(value.into())
    }
    fn serialize_u64(self, value: u64) -> Result<Value, Refused> {
        i64::try_from(value)
            .map(Value::Int)
            .map_err(|_| too_large())
    }
    fn serialize_u128(self, value: u128) -> Result<Value, Refused> {
        i64::try_from(value)
            .map(Value::Int)
            .map_err(|_| too_large())
    }
    fn serialize_f32(self, value: f32) -> Result<Value, Refused> {
        Ok(value.into())
    }
    fn serialize_f64(self, value: f64) -> Result<Value, Refused> {
        Ok(value.into())
    }
    fn serialize_char(self, value: char) -> Result<Value, Refused> {
        Ok(Value::String(value.into()))
    }
    fn serialize_str(self, value: &str) -> Result<Value, Refused> {
        Ok(value.into())
    }
    fn serialize_bytes(self, value: &[u8]) -> Result<Value, Refused> {
        Ok(value.to_vec().into())
    }
    fn serialize_none(self) -> Result<Value, Refused> {
        Ok(Value::Nil)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Refused> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<Value, Refused> {
        Ok(Value::Nil)
    }
    fn serialize_unit_struct(self, _name: &'static str) -> Result<Value, Refused> {
        Ok(Value::Nil)
    }
    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<Value, Refused> {
        Ok(variant.into())
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Value, Refused> {
        let value = value.serialize(self)?;
        match (name, &value) {
            (DATE, Value::String(text)) => time::Date::parse(text, DAY)
                .map(Value::Date)
                .map_err(ser::Error::custom),
            (DATE_TIME, Value::String(text)) => [MOMENT, MOMENT_WITH_FRACTION, EXACT]
                .iter()
                .find_map(|format| time::OffsetDateTime::parse(text, *format).ok())
                .map(Value::DateTime)
                .ok_or_else(|| Refused::Value(format!("expected a date time, found `{text}`"))),
            _ => Ok(value),
        }
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, Refused> {
        let depth = self.deeper()?;
        Ok(tagged(variant, value.serialize(Serializer { depth })?))
    }
    fn serialize_seq(self, _len: Option<usize>) -> Result<Items, Refused> {
        Items::new(self, None)
    }
    fn serialize_tuple(self, _len: usize) -> Result<Items, Refused> {
        Items::new(self, None)
    }
    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Items, Refused> {
        Items::new(self, None)
    }
    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Items, Refused> {
        Items::new(self, Some(variant))
    }
    fn serialize_map(self, _len: Option<usize>) -> Result<Entries, Refused> {
        Entries::new(self, None)
    }
    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Entries, Refused> {
        Entries::new(self, None)
    }
    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Entries, Refused> {
        Entries::new(self, Some(variant))
    }
}

fn tagged(variant: &'static str, value: Value) -> Value {
    Value::Object(BTreeMap::from([(variant.to_owned(), value)]))
}

struct Items {
    items: Vec<Value>,
    variant: Option<&'static str>,
    depth: usize,
}

impl Items {
    fn new(around: Serializer, variant: Option<&'static str>) -> Result<Self, Refused> {
        Ok(Self {
            items: Vec::new(),
            variant,
            depth: around.deeper()?,
        })
    }

    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let value = value.serialize(Serializer { depth: self.depth })?;
        self.items.push(value);
        Ok(())
    }

    fn finish(self) -> Value {
        let items = Value::Array(self.items);
        match self.variant {
            Some(variant) => tagged(variant, items),
            None => items,
        }
    }
}

struct Entries {
    entries: BTreeMap<String, Value>,
    name: Option<String>,
    variant: Option<&'static str>,
    depth: usize,
}

impl Entries {
    fn new(around: Serializer, variant: Option<&'static str>) -> Result<Self, Refused> {
        Ok(Self {
            entries: BTreeMap::new(),
            name: None,
            variant,
            depth: around.deeper()?,
        })
    }

    fn put<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Refused> {
        let value = value.serialize(Serializer { depth: self.depth })?;
        self.entries.insert(name.to_owned(), value);
        Ok(())
    }

    fn finish(self) -> Value {
        let entries = Value::Object(self.entries);
        match self.variant {
            Some(variant) => tagged(variant, entries),
            None => entries,
        }
    }
}

macro_rules! items {
    ($($name:ident :: $method:ident),+) => {
        $(impl ser::$name for Items {
            type Ok = Value;
            type Error = Refused;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
                self.push(value)
            }
            fn end(self) -> Result<Value, Refused> {
                Ok(self.finish())
            }
        })+
    };
}

items!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

macro_rules! fields {
    ($($name:ident),+) => {
        $(impl ser::$name for Entries {
            type Ok = Value;
            type Error = Refused;
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Refused> {
                self.put(name, value)
            }
            fn end(self) -> Result<Value, Refused> {
                Ok(self.finish())
            }
        })+
    };
}

fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Entries {
    type Ok = Value;
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        let name = match key.serialize(Serializer { depth: self.depth })? {
            Value::String(text) => text,
            Value::Int(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            other => {
                return Err(Refused::Value(format!(
                    "expected texts, whole numbers or booleans as names of an object, found a {}",
                    other.kind()
                )));
            }
        };
        self.name = Some(name);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let name = self.name.take().unwrap_or_default();
        self.put(&name, value)
    }

    fn end(self) -> Result<Value, Refused> {
        Ok(self.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    enum Choice {
        Unit,
        One(u8),
        Pair(u8, bool),
        Named { a: f32 },
    }

    fn json(value: &impl Serialize) -> String {
        serde_json::to_string(&to_value(value).unwrap()).unwrap()
    }

    #[test]
    fn shapes_are_those_of_serde_json() {
        let choices = [
            Choice::Unit,
            Choice::One(1),
            Choice::Pair(1, true),
            Choice::Named { a: 0.5 },
        ];
        assert_eq!(json(&choices), serde_json::to_string(&choices).unwrap());
        let map = BTreeMap::from([(1, Some('x')), (2, None)]);
        assert_eq!(json(&map), serde_json::to_string(&map).unwrap());
    }

    #[test]
    fn a_number_beyond_i64_is_refused() {
        let error = to_value(&u64::MAX).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value);
        assert!(error.to_string().contains("beyond"), "{error}");
    }

    #[test]
    fn dates_inside_a_value_keep_their_type() {
        let moment = time::macros::datetime!(2026-01-02 03:04:05.000000006 +01:02:03);
        let value = Value::Array(vec![
            Value::Date(moment.date()),
            Value::DateTime(moment),
            Value::from("2026-01-02"),
        ]);
        assert_eq!(to_value(&value).unwrap(), value);
    }
}

//! [`Value`] and serde: what a value is to any serializer, and what anything that serde can serialize
//! is as a value.
//!
//! `serde_json::to_value` would do for the second, but it turns NaN and infinity into null, dates into
//! strings and whole numbers beyond `i64` into fractions, and overflows the stack on deep nesting.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, ser};
use time::macros::format_description;

use super::Value;
use crate::error::{Error, ErrorKind};

/// The names under which dates are serialized. Only [`ToValue`] looks at them: a `Value` inside a
/// caller's struct keeps its type, and every other serializer writes the text.
const DATE: &str = "$liquid_session::Date";
const DATE_TIME: &str = "$liquid_session::DateTime";

type Format = &'static [time::format_description::BorrowedFormatItem<'static>];

/// Dates as Liquid prints them.
const DAY: Format = format_description!("[year]-[month]-[day]");
const MOMENT: Format = format_description!(
    "[year]-[month]-[day] [hour]:[minute]:[second] [offset_hour sign:mandatory][offset_minute]"
);
const MOMENT_WITH_FRACTION: Format = format_description!(
    "[year]-[month]-[day] [hour]:[minute]:[second].[subsecond] [offset_hour sign:mandatory][offset_minute]"
);
/// Liquid's text drops the seconds of an offset; this format keeps them.
const EXACT: Format = format_description!(
    "[year]-[month]-[day] [hour]:[minute]:[second].[subsecond] [offset_hour sign:mandatory][offset_minute][offset_second]"
);

/// JSON-like: a date is a string, as Liquid prints it.
impl Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nil => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::String(value) => serializer.serialize_str(value),
            Self::Date(date) => {
                let text = date.format(DAY).map_err(ser::Error::custom)?;
                serializer.serialize_newtype_struct(DATE, &text)
            }
            Self::DateTime(moment) => {
                let format = match (moment.offset().seconds_past_minute(), moment.nanosecond()) {
                    (0, 0) => MOMENT,
                    (0, _) => MOMENT_WITH_FRACTION,
                    _ => EXACT,
                };
                let text = moment.format(format).map_err(ser::Error::custom)?;
                serializer.serialize_newtype_struct(DATE_TIME, &text)
            }
            Self::Array(items) => items.serialize(serializer),
            Self::Object(entries) => entries.serialize(serializer),
        }
    }
}

/// Makes a value of anything that serde can serialize.
pub(super) fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, Error> {
    value
        .serialize(ToValue { depth: 0 })
        .map_err(|Refused(error)| error)
}

/// As deep as `serde_json` reads. A session holds less ([`MAX_DEPTH`](crate::limits::MAX_DEPTH)); this
/// bounds the stack while a value is made.
const DEEPEST: usize = 128;

/// The error of this crate, as serde wants it.
#[derive(Debug)]
struct Refused(Error);

impl Refused {
    fn value(problem: impl fmt::Display) -> Self {
        Self(Error::new(ErrorKind::Value, problem.to_string()))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self::value(problem)
    }
}

/// Makes a value, inside of `depth` arrays and objects.
#[derive(Clone, Copy)]
struct ToValue {
    depth: usize,
}

impl ToValue {
    fn deeper(self) -> Result<Self, Refused> {
        if self.depth == DEEPEST {
            return Err(Refused(Error::new(
                ErrorKind::Limit,
                format!(
                    "the value nests deeper than {DEEPEST} levels: store less deeply nested data"
                ),
            )));
        }
        Ok(Self {
            depth: self.depth + 1,
        })
    }

    fn start<C: Default>(self, variant: Option<&'static str>) -> Result<Parts<C>, Refused> {
        Ok(Parts {
            content: C::default(),
            name: String::new(),
            variant,
            inside: self.deeper()?,
        })
    }
}

/// An array or an object of which some elements have been made.
struct Parts<C> {
    content: C,
    /// The name of the entry whose value comes next.
    name: String,
    /// The variant of an enum around it.
    variant: Option<&'static str>,
    inside: ToValue,
}

type Items = Parts<Vec<Value>>;
type Entries = Parts<BTreeMap<String, Value>>;

impl<C: Into<Value>> Parts<C> {
    fn finish(self) -> Value {
        match self.variant {
            Some(variant) => tagged(variant, self.content.into()),
            None => self.content.into(),
        }
    }
}

fn tagged(variant: &str, value: Value) -> Value {
    Value::Object(BTreeMap::from([(variant.to_owned(), value)]))
}

fn whole<N: TryInto<i64>>(number: N) -> Result<Value, Refused> {
    number.try_into().map(Value::Int).map_err(|_| {
        Refused::value(
            "a whole number is too large: found one beyond 64 bits, expected one within `i64`; store it as text",
        )
    })
}

/// The methods of a serializer without type parameters, one a line.
macro_rules! methods {
    ($($name:ident($($arg:tt: $type:ty),*) -> $made:ty => |$this:tt| $make:expr;)+) => {
        $(fn $name(self, $($arg: $type),*) -> Result<$made, Refused> {
            let $this = self;
            $make
        })+
    };
}

impl serde::Serializer for ToValue {
    type Ok = Value;
    type Error = Refused;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Entries;
    type SerializeStruct = Entries;
    type SerializeStructVariant = Entries;

    methods! {
        serialize_bool(value: bool) -> Value => |_| Ok(value.into());
        serialize_i8(value: i8) -> Value => |_| Ok(value.into());
        serialize_i16(value: i16) -> Value => |_| Ok(value.into());
        serialize_i32(value: i32) -> Value => |_| Ok(value.into());
        serialize_i64(value: i64) -> Value => |_| Ok(value.into());
        serialize_i128(value: i128) -> Value => |_| whole(value);
        serialize_u8(value: u8) -> Value => |_| Ok(value.into());
        serialize_u16(value: u16) -> Value => |_| Ok(value.into());
        serialize_u32(value: u32) -> Value => |_| Ok(value.into());
        serialize_u64(value: u64) -> Value => |_| whole(value);
        serialize_u128(value: u128) -> Value => |_| whole(value);
        serialize_f32(value: f32) -> Value => |_| Ok(value.into());
        serialize_f64(value: f64) -> Value => |_| Ok(value.into());
        serialize_char(value: char) -> Value => |_| Ok(String::from(value).into());
        serialize_str(value: &str) -> Value => |_| Ok(value.into());
        serialize_bytes(value: &[u8]) -> Value => |_| Ok(value.to_vec().into());
        serialize_none() -> Value => |_| Ok(Value::Nil);
        serialize_unit() -> Value => |_| Ok(Value::Nil);
        serialize_unit_struct(_: &'static str) -> Value => |_| Ok(Value::Nil);
        serialize_unit_variant(_: &'static str, _: u32, name: &'static str) -> Value => |_| Ok(name.into());
        serialize_seq(_: Option<usize>) -> Items => |this| this.start(None);
        serialize_tuple(_: usize) -> Items => |this| this.start(None);
        serialize_tuple_struct(_: &'static str, _: usize) -> Items => |this| this.start(None);
        serialize_tuple_variant(_: &'static str, _: u32, name: &'static str, _: usize) -> Items => |this| this.start(Some(name));
        serialize_map(_: Option<usize>) -> Entries => |this| this.start(None);
        serialize_struct(_: &'static str, _: usize) -> Entries => |this| this.start(None);
        serialize_struct_variant(_: &'static str, _: u32, name: &'static str, _: usize) -> Entries => |this| this.start(Some(name));
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Refused> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Value, Refused> {
        match (name, value.serialize(self)?) {
            (DATE, Value::String(text)) => time::Date::parse(&text, DAY)
                .map(Value::Date)
                .map_err(Refused::value),
            (DATE_TIME, Value::String(text)) => time::OffsetDateTime::parse(&text, MOMENT)
                .or_else(|_| time::OffsetDateTime::parse(&text, MOMENT_WITH_FRACTION))
                .or_else(|_| time::OffsetDateTime::parse(&text, EXACT))
                .map(Value::DateTime)
                .map_err(Refused::value),
            (_, value) => Ok(value),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, Refused> {
        Ok(tagged(variant, value.serialize(self.deeper()?)?))
    }
}

/// Implements serde's traits for parts of an array or an object.
macro_rules! parts {
    ($parts:ty: $($name:ident::$method:ident($($key:ident)?) => |$this:ident, $value:ident| $add:expr;)+) => {
        $(impl ser::$name for $parts {
            type Ok = Value;
            type Error = Refused;

            fn $method<T: Serialize + ?Sized>(&mut self, $($key: &'static str,)? value: &T) -> Result<(), Refused> {
                let ($this, $value) = (&mut self.content, value.serialize(self.inside)?);
                $add;
                Ok(())
            }

            fn end(self) -> Result<Value, Refused> {
                Ok(self.finish())
            }
        })+
    };
}

parts! { Items:
    SerializeSeq::serialize_element() => |items, value| items.push(value);
    SerializeTuple::serialize_element() => |items, value| items.push(value);
    SerializeTupleStruct::serialize_field() => |items, value| items.push(value);
    SerializeTupleVariant::serialize_field() => |items, value| items.push(value);
}

parts! { Entries:
    SerializeStruct::serialize_field(name) => |entries, value| entries.insert(name.into(), value);
    SerializeStructVariant::serialize_field(name) => |entries, value| entries.insert(name.into(), value);
}

impl ser::SerializeMap for Entries {
    type Ok = Value;
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        self.name = match key.serialize(self.inside)? {
            Value::String(text) => text,
            Value::Int(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            other => {
                return Err(Refused::value(format_args!(
                    "a map can't be stored as an object: found {} as a key, expected strings, whole numbers or booleans",
                    other.kind()
                )));
            }
        };
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let value = value.serialize(self.inside)?;
        self.content.insert(std::mem::take(&mut self.name), value);
        Ok(())
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

    #[derive(Serialize)]
    struct Newtype(Option<char>);

    #[derive(Serialize)]
    struct Tuple(i8, u16);

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
        let rest = (Newtype(Some('ż')), Tuple(-1, 2), (), "text", [true]);
        assert_eq!(json(&rest), serde_json::to_string(&rest).unwrap());
    }

    #[test]
    fn a_number_beyond_i64_is_refused_at_any_depth() {
        let max = i64::MAX as u64;
        assert_eq!(to_value(&max).unwrap(), Value::Int(i64::MAX));
        assert_eq!(
            to_value(&i128::from(i64::MIN)).unwrap(),
            Value::Int(i64::MIN)
        );
        let refused = [
            to_value(&(max + 1)),
            to_value(&[Some(u64::MAX)]),
            to_value(&i128::MIN),
            to_value(&BTreeMap::from([("n", u128::MAX)])),
        ];
        for error in refused.map(Result::unwrap_err) {
            assert_eq!(error.kind(), ErrorKind::Value);
            assert!(error.to_string().contains("beyond 64 bits"), "{error}");
        }
    }

    #[test]
    fn fractions_stay_fractions_also_those_that_json_can_not_write() {
        assert_eq!(to_value(&1.0_f32).unwrap(), Value::Float(1.0));
        let Value::Array(items) = to_value(&[-0.0, f64::NAN, f64::INFINITY]).unwrap() else {
            panic!("an array");
        };
        assert!(matches!(items[0], Value::Float(zero) if zero.is_sign_negative()));
        for item in &items[1..] {
            // Refused when it is stored, by a message that names the key.
            let error = Value::Array(vec![item.clone()]).check("n").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Value);
        }
    }

    #[test]
    fn dates_keep_their_type_also_inside_a_caller_s_struct() {
        #[derive(Serialize)]
        struct Visit {
            at: Value,
            on: Option<Value>,
            text: &'static str,
        }
        let moment = time::macros::datetime!(2026-01-02 03:04:05.000000006 +01:02:03);
        let visit = Visit {
            at: moment.into(),
            on: Some(moment.date().into()),
            text: "2026-01-02",
        };
        let value = to_value(&visit).unwrap();
        assert_eq!(value.get("at"), Some(&Value::DateTime(moment)));
        assert_eq!(value.get("on"), Some(&Value::Date(moment.date())));
        assert_eq!(value.get("text"), Some(&Value::from("2026-01-02")));
    }

    #[test]
    fn nesting_without_end_is_refused_before_the_stack_ends() {
        struct Endless;
        impl Serialize for Endless {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq([Endless])
            }
        }
        let error = to_value(&Endless).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
        assert!(
            error.to_string().contains("deeper than 128 levels"),
            "{error}"
        );
    }

    #[test]
    fn a_key_that_is_no_text_is_refused() {
        let map = BTreeMap::from([(vec![1], 1)]);
        let error = to_value(&map).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value);
        assert!(
            error.to_string().contains("found array as a key"),
            "{error}"
        );
    }
}

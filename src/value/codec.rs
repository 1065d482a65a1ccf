//! The stored form of one value, version 1.
//!
//! A tag byte, then:
//!
//! | tag | value | payload |
//! |---|---|---|
//! | `n` `t` `f` | nil, true, false | none |
//! | `i` | whole number | decimal text |
//! | `d` | fractional number | shortest decimal text that reads back the same |
//! | `s` | string | UTF-8 |
//! | `D` | date | Julian day, decimal text |
//! | `T` | date time | `seconds.nanoseconds.offset`, decimal texts |
//! | `a` | array | per element: length, element |
//! | `o` | object | per entry, by name: length, name, length, value |
//!
//! A length is LEB128. Numbers are text and an array has no count, so that a script on a server (Lua in
//! Redis) can add to a number and append to an array without decoding it.
//! The form is canonical: equal values have equal bytes. Transactions compare the bytes.

use std::collections::BTreeMap;
use std::io::Write;

use super::Value;
use crate::error::{Error, ErrorKind};
use crate::limits::MAX_DEPTH;

impl Value {
    /// Writes the stored form to memory.
    pub(crate) fn encode(&self, out: &mut impl Write) {
        match self {
            Self::Nil => write(out, b"n"),
            Self::Bool(true) => write(out, b"t"),
            Self::Bool(false) => write(out, b"f"),
            Self::Int(number) => {
                write(out, b"i");
                write(out, itoa::Buffer::new().format(*number).as_bytes());
            }
            Self::Float(number) => text(out, format_args!("d{number:?}")),
            Self::String(string) => {
                write(out, b"s");
                write(out, string.as_bytes());
            }
            Self::Date(date) => text(out, format_args!("D{}", date.to_julian_day())),
            Self::DateTime(moment) => text(
                out,
                format_args!(
                    "T{}.{}.{}",
                    moment.unix_timestamp(),
                    moment.nanosecond(),
                    moment.offset().whole_seconds()
                ),
            ),
            Self::Array(items) => {
                write(out, b"a");
                for item in items {
                    item.encode_sized(out);
                }
            }
            Self::Object(entries) => {
                write(out, b"o");
                for (name, value) in entries {
                    length(out, name.len());
                    write(out, name.as_bytes());
                    value.encode_sized(out);
                }
            }
        }
    }

    /// Writes the length of the stored form, then the form, as arrays and objects hold their values.
    pub(crate) fn encode_sized(&self, out: &mut impl Write) {
        length(out, self.encoded_len());
        self.encode(out);
    }

    /// How many bytes [`encode`](Self::encode) writes.
    pub(crate) fn encoded_len(&self) -> usize {
        match self {
            Self::Nil | Self::Bool(_) => 1,
            Self::Int(number) => {
                let digits = number.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 1;
                1 + digits + usize::from(*number < 0)
            }
            Self::String(string) => 1 + string.len(),
            // Rare, so measured by writing them.
            Self::Float(_) | Self::Date(_) | Self::DateTime(_) => {
                let mut out = Vec::with_capacity(32);
                self.encode(&mut out);
                out.len()
            }
            Self::Array(items) => 1 + items.iter().map(Self::sized_len).sum::<usize>(),
            Self::Object(entries) => {
                1 + entries
                    .iter()
                    .map(|(name, value)| length_len(name.len()) + name.len() + value.sized_len())
                    .sum::<usize>()
            }
        }
    }

    /// How many bytes [`encode_sized`](Self::encode_sized) writes.
    pub(crate) fn sized_len(&self) -> usize {
        let len = self.encoded_len();
        length_len(len) + len
    }

    /// Reads a stored form. Any bytes are safe to read.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        decode(bytes, 0).ok_or_else(|| {
            Error::new(
                ErrorKind::Corrupt,
                "a stored session value can't be read: the record is damaged or of a newer version",
            )
        })
    }
}

/// Writes formatted text to memory, which can't fail.
fn text(out: &mut impl Write, number: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(number);
}

/// Writes to memory, which can't fail.
pub(crate) fn write(out: &mut impl Write, bytes: &[u8]) {
    let _ = out.write_all(bytes);
}

fn length(out: &mut impl Write, mut len: usize) {
    while len >= 0x80 {
        write(out, &[len as u8 | 0x80]);
        len >>= 7;
    }
    write(out, &[len as u8]);
}

fn length_len(len: usize) -> usize {
    (usize::BITS - (len | 1).leading_zeros()).div_ceil(7) as usize
}

/// Takes a length, and as many bytes as it says, off the front.
fn take<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let mut len = 0usize;
    for shift in (0..).step_by(7).take(5) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        len |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            // Canonical: no zero byte at the high end.
            if byte == 0 && shift > 0 {
                return None;
            }
            let (taken, tail) = rest.split_at_checked(len)?;
            *rest = tail;
            return Some(taken);
        }
    }
    None
}

fn decode(bytes: &[u8], depth: usize) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    let (&tag, mut rest) = bytes.split_first()?;
    let value = match tag {
        b'n' if rest.is_empty() => Value::Nil,
        b't' if rest.is_empty() => Value::Bool(true),
        b'f' if rest.is_empty() => Value::Bool(false),
        b'i' => Value::Int(whole(rest)?),
        b'd' => Value::Float(utf8(rest)?.parse().ok().filter(|n: &f64| n.is_finite())?),
        b's' => Value::String(utf8(rest)?.to_owned()),
        b'D' => Value::Date(time::Date::from_julian_day(utf8(rest)?.parse().ok()?).ok()?),
        b'T' => Value::DateTime(date_time(utf8(rest)?)?),
        b'a' => {
            let mut items = Vec::new();
            while !rest.is_empty() {
                items.push(decode(take(&mut rest)?, depth + 1)?);
            }
            Value::Array(items)
        }
        b'o' => {
            let mut entries = BTreeMap::new();
            while !rest.is_empty() {
                let name = utf8(take(&mut rest)?)?.to_owned();
                entries.insert(name, decode(take(&mut rest)?, depth + 1)?);
            }
            Value::Object(entries)
        }
        _ => return None,
    };
    Some(value)
}

/// Parses a whole number as [`Value::encode`] writes it. From bytes: it is the most frequent value.
fn whole(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let one_form = match digits {
        [] => false,
        [b'0', ..] => bytes == b"0",
        _ => true,
    };
    // Counted downwards: `i64::MIN` has no positive counterpart.
    let below_zero = digits.iter().try_fold(0i64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_sub(digit)
    })?;
    match (one_form, negative) {
        (false, _) => None,
        (true, true) => Some(below_zero),
        (true, false) => below_zero.checked_neg(),
    }
}

fn utf8(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn date_time(text: &str) -> Option<time::OffsetDateTime> {
    let mut parts = text.split('.');
    let seconds: i64 = parts.next()?.parse().ok()?;
    let nanos: u32 = parts.next()?.parse().ok()?;
    let offset: i32 = parts.next()?.parse().ok()?;
    if parts.next().is_some() {
        return None;
    }
    // The local time is in range wherever the moment was: in UTC it may lie in the year 10000.
    let local = seconds.checked_add(offset.into())?;
    let local = time::OffsetDateTime::from_unix_timestamp(local).ok()?;
    let offset = time::UtcOffset::from_whole_seconds(offset).ok()?;
    Some(local.replace_nanosecond(nanos).ok()?.replace_offset(offset))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Nil),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<f64>()
                .prop_filter("finite", |n| n.is_finite())
                .prop_map(Value::Float),
            ".*".prop_map(Value::String),
            (-9_999i32..=9_999, 1u16..=365).prop_map(|(year, day)| {
                Value::Date(time::Date::from_ordinal_date(year, day).unwrap())
            }),
            (
                -60_000_000_000i64..=250_000_000_000,
                0u32..1_000_000_000,
                -86_000i32..=86_000
            )
                .prop_map(|(seconds, nanos, offset)| {
                    Value::DateTime(
                        time::OffsetDateTime::from_unix_timestamp(seconds)
                            .unwrap()
                            .replace_nanosecond(nanos)
                            .unwrap()
                            .to_offset(time::UtcOffset::from_whole_seconds(offset).unwrap()),
                    )
                }),
        ];
        leaf.prop_recursive(6, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::btree_map(".*", inner, 0..6).prop_map(Value::Object),
            ]
        })
    }

    fn same_bits(a: &Value, b: &Value) -> bool {
        match (a, b) {
            (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
            (Value::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_bits(a, b))
            }
            (Value::Object(a), Value::Object(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .zip(b)
                        .all(|((n, a), (m, b))| n == m && same_bits(a, b))
            }
            (Value::DateTime(a), Value::DateTime(b)) => a == b && a.offset() == b.offset(),
            _ => a == b,
        }
    }

    proptest! {
        #[test]
        fn every_value_comes_back_with_its_type_and_bits(value in values()) {
            let mut bytes = Vec::new();
            value.encode(&mut bytes);
            prop_assert_eq!(bytes.len(), value.encoded_len());
            let back = Value::decode(&bytes).unwrap();
            prop_assert!(same_bits(&value, &back), "{:?} became {:?}", value, back);
        }

        #[test]
        fn every_value_survives_serde(value in values()) {
            let back = Value::from_serialize(&value).unwrap();
            prop_assert!(same_bits(&value, &back), "{:?} became {:?}", value, back);
        }

        #[test]
        fn any_bytes_are_safe_to_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Value::decode(&bytes);
        }

        #[test]
        fn damaged_forms_are_safe_to_read(value in values(), at in any::<usize>(), byte in any::<u8>()) {
            let mut bytes = Vec::new();
            value.encode(&mut bytes);
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = Value::decode(&bytes);
        }
    }

    #[test]
    fn deep_nesting_in_stored_bytes_is_refused() {
        let mut value = Value::Nil;
        for _ in 0..MAX_DEPTH {
            value = Value::Array(vec![value]);
        }
        let mut bytes = Vec::new();
        value.encode(&mut bytes);
        assert_eq!(Value::decode(&bytes).unwrap(), value);
        bytes.clear();
        Value::Array(vec![value]).encode(&mut bytes);
        assert_eq!(
            Value::decode(&bytes).unwrap_err().kind(),
            ErrorKind::Corrupt
        );
    }

    #[test]
    fn a_whole_number_has_one_form() {
        for number in [0, 1, -1, 9, 10, i64::MAX, i64::MIN, i64::MIN + 1] {
            assert_eq!(whole(number.to_string().as_bytes()), Some(number));
        }
        for other in [
            "",
            "-",
            "-0",
            "00",
            "01",
            "+1",
            " 1",
            "1 ",
            "1.0",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999",
            "1e3",
            "\u{660}",
        ] {
            assert_eq!(whole(other.as_bytes()), None, "{other:?}");
        }
    }

    #[test]
    fn the_length_of_a_length() {
        for len in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
            let mut out = Vec::new();
            length(&mut out, len);
            assert_eq!(out.len(), length_len(len), "{len}");
        }
    }
}

//! What goes in comes out.

use std::collections::BTreeMap;

use time::macros::{date, datetime};

use super::bench::{Bench, expect_error};
use super::{Checked, Fresh};
use crate::error::{Error, ErrorKind};
use crate::limits::MAX_DEPTH;
use crate::value::Value;

/// Stores each value alone and all together, and compares bit by bit.
fn keeps(fresh: Fresh<'_>, values: &[Value]) -> Checked {
    let bench = Bench::with(fresh, |config| config.max_bytes(1 << 20))?;
    let names: Vec<_> = (0..values.len()).map(|n| format!("k{n:03}")).collect();
    let all: Vec<_> = names
        .iter()
        .zip(values)
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    let together = bench.begin(&all)?;
    for (name, value) in &all {
        let alone = bench.begin(&[(name, value.clone())])?;
        for cookie in [&alone, &together] {
            let read = bench.open(cookie).get(name)?.unwrap_or_default();
            assert_eq!(&read, value);
            // -0.0 equals 0.0; their bytes differ.
            assert_eq!(read.to_bytes(), value.to_bytes());
        }
    }
    Ok(())
}

fn object(name: &str, value: Value) -> Value {
    Value::Object(BTreeMap::from([(name.to_owned(), value)]))
}

const TEXTS: [&str; 22] = [
    "a",
    "a.b",
    "a b",
    " ",
    "a:b",
    "a/b",
    "../../etc/passwd",
    "a\\b",
    "a\"b'c",
    "a\nb\r\tc",
    "a\0b",
    "*",
    "a*?[b]",
    "{a}",
    "%s%00",
    "ż",
    "\u{1f422}",
    "\u{10ffff}",
    "__proto__",
    "hasOwnProperty",
    "user",
    "version",
];

fn numbered() -> Vec<(String, i64)> {
    (0..200).map(|n| (format!("key_{n}"), n)).collect()
}

cases! { __acceptance_values:
fn every_type_comes_back_as_it_was(fresh: Fresh<'_>) -> Checked {
    keeps(
        fresh,
        &[
            true.into(),
            false.into(),
            0.into(),
            1.5.into(),
            "text".into(),
            "żółw \u{1f422}\n\0\"'\\".into(),
            vec![1, 2, 3].into(),
            Value::Array(vec![Value::Nil, true.into(), "".into(), 0.5.into()]),
            object("a", object("b", vec!["c"].into())),
            object("nothing", Value::Nil),
            date!(2026 - 11 - 23).into(),
            datetime!(2026-11-23 09:07:28 UTC).into(),
        ],
    )
}

fn numbers_keep_their_bits(fresh: Fresh<'_>) -> Checked {
    keeps(
        fresh,
        &[
            i64::MIN.into(),
            i64::MAX.into(),
            // Beyond 2^53 a float has holes.
            ((1_i64 << 53) + 1).into(),
            (-1).into(),
            1.0.into(),
            (-0.0).into(),
            0.0.into(),
            1e300.into(),
            (-1e-300).into(),
            5e-324.into(),
            f64::MAX.into(),
            f64::MIN_POSITIVE.into(),
            0.1.into(),
            (0.1 + 0.2).into(),
        ],
    )
}

fn dates_keep_their_offset(fresh: Fresh<'_>) -> Checked {
    keeps(
        fresh,
        &[
            date!(0001 - 01 - 01).into(),
            date!(9999 - 12 - 31).into(),
            date!(2024 - 02 - 29).into(),
            datetime!(2026-01-02 03:04:05 +05:45).into(),
            datetime!(2026-01-02 03:04:05 -03:30).into(),
            datetime!(2026-01-02 03:04:05.123456789 +14:00).into(),
            // Amsterdam until 1937.
            datetime!(1936-01-02 03:04:05 +00:19:32).into(),
            datetime!(1969-12-31 23:59:59.999 UTC).into(),
        ],
    )
}

fn a_text_that_looks_like_something_else_stays_a_text(fresh: Fresh<'_>) -> Checked {
    keeps(
        fresh,
        &[
            "1",
            "1.0",
            "-0",
            "1e3",
            "true",
            "nil",
            "null",
            "2026-01-02",
            "now",
            "[]",
            "{}",
            "[1,2]",
            "{\"a\":1}",
            "sdark",
            "i-5",
            " ",
            "\n",
        ]
        .map(Value::from),
    )
}

fn nesting_goes_down_to_the_limit(fresh: Fresh<'_>) -> Checked {
    let deep = |levels: usize| {
        (0..levels).fold(Value::from("bottom"), |inner, level| {
            if level % 2 == 0 {
                Value::Array(vec![inner])
            } else {
                object("down", inner)
            }
        })
    };
    keeps(fresh, &[deep(1), deep(2), deep(MAX_DEPTH)])?;
    let bench = Bench::new(fresh)?;
    let too_deep = bench.sessions.open(None).set("a", deep(MAX_DEPTH + 1));
    expect_error(too_deep, ErrorKind::Limit);
    Ok(())
}

/// express-session: names that mean something to the store's own record do no harm.
fn keys_may_be_any_text(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let longest = "k".repeat(128);
    let mut keys: Vec<&str> = TEXTS.to_vec();
    keys.extend([
        "create", "created", "deadline", "id", "ends", "v", "expires", &longest,
    ]);
    let data: Vec<_> = keys.iter().map(|key| (*key, *key)).collect();
    let cookie = bench.begin(&data)?;
    bench.expect(&cookie, &data)?;
    for key in &keys {
        let session = bench.open(&cookie);
        assert_eq!(session.take(key)?, Some((*key).into()));
        session.append(key, 1)?;
        let _ = session.commit()?;
    }
    let data: Vec<_> = keys.iter().map(|key| (*key, vec![1])).collect();
    bench.expect(&cookie, &data)
}

fn names_in_objects_may_be_any_text(fresh: Fresh<'_>) -> Checked {
    let names = TEXTS.iter().chain(&["", "size", "session_id"]);
    let entries = names.map(|name| ((*name).to_owned(), Value::from(*name)));
    keeps(fresh, &[Value::Object(entries.collect())])
}

/// The tag removes a key that it is to set to nothing; Rust code may mean it.
fn empty_values_are_values(fresh: Fresh<'_>) -> Checked {
    let empty: [Value; 3] = [
        "".into(),
        Value::Array(Vec::new()),
        Value::Object(BTreeMap::new()),
    ];
    keeps(fresh, &empty)?;
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("list", Value::Array(Vec::new()))])?;
    let session = bench.open(&cookie);
    assert!(session.contains("list")?);
    session.append("list", 1)?;
    let _ = session.commit()?;
    bench.expect(&cookie, &[("list", vec![1])])
}

fn two_hundred_keys(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::with(fresh, |config| config.max_bytes(1 << 20))?;
    let names = numbered();
    let mut data: Vec<_> = names.iter().map(|(k, n)| (k.as_str(), *n)).collect();
    let cookie = bench.begin(&data)?;
    bench.expect(&cookie, &data)?;
    let session = bench.open(&cookie);
    for (key, value) in &mut data {
        if *value % 2 == 0 {
            *value = -*value;
            session.set(key, *value)?;
        } else {
            session.remove(key)?;
        }
    }
    data.retain(|(_, value)| *value % 2 == 0);
    let _ = session.commit()?;
    bench.expect(&cookie, &data)
}

/// Spring: a large attribute.
fn a_big_value(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::with(fresh, |config| config.max_bytes(4 << 20))?;
    let big = "ż\0".repeat(350_000);
    let cookie = bench.begin(&[("small", "a"), ("big", &big)])?;
    bench.expect(&cookie, &[("small", "a"), ("big", &big)])?;
    let list = Value::Array((0..20_000).map(Value::from).collect());
    let session = bench.open(&cookie);
    session.set("big", list.clone())?;
    let _ = session.commit()?;
    bench.expect(&cookie, &[("small", "a".into()), ("big", list)])
}

/// Spring: putAllOnSingleAttrDoesNotRemoveOld.
fn changes_of_a_big_session_touch_one_key(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::with(fresh, |config| config.max_bytes(1 << 20))?;
    let names = numbered();
    let mut data: BTreeMap<_, _> = names.iter().map(|(k, n)| (k.as_str(), *n)).collect();
    let list = |data: &BTreeMap<_, _>| data.iter().map(|(k, n)| (*k, *n)).collect::<Vec<_>>();
    let cookie = bench.begin(&list(&data))?;
    let one_request = |change: &dyn Fn(&crate::Session) -> Result<(), Error>| {
        let session = bench.open(&cookie);
        change(&session)?;
        session.commit().map(drop)
    };
    one_request(&|session| session.set("key_100", -1))?;
    data.insert("key_100", -1);
    bench.expect(&cookie, &list(&data))?;
    one_request(&|session| session.remove("key_0").map(drop))?;
    data.remove("key_0");
    bench.expect(&cookie, &list(&data))?;
    one_request(&|session| session.increment("key_199", 1).map(drop))?;
    data.insert("key_199", 200);
    bench.expect(&cookie, &list(&data))
}
}

//! Two requests at a time on one session, whose changes meet in a stored form and in the model.

use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Result, Unstructured};
use liquid_session::{SessionConfig, Value};

use super::model::scene::Scene;
use super::model::world::Op;
use super::shelf::Shelf;

/// What the requests do, in order.
#[derive(Debug, Arbitrary)]
pub struct Plan {
    steps: Vec<Step>,
}

#[derive(Debug, Arbitrary)]
struct Step {
    second: bool,
    act: Act,
}

#[derive(Debug, Arbitrary)]
enum Act {
    Set(Key, Any),
    Remove(Key),
    Clear,
    Increment(Key, i16),
    Append(Key, Any),
    Take(Key),
    Discard,
    /// Also begins a new request in its place.
    Commit,
}

impl From<Act> for Op {
    fn from(act: Act) -> Self {
        match act {
            Act::Set(key, value) => Self::Set(key.0, value.0),
            Act::Remove(key) => Self::Remove(key.0),
            Act::Clear => Self::Clear,
            Act::Increment(key, by) => Self::Increment(key.0, by.into()),
            Act::Append(key, item) => Self::Append(key.0, item.0),
            Act::Take(key) => Self::Take(key.0),
            Act::Discard => Self::Discard,
            Act::Commit => Self::Commit,
        }
    }
}

#[derive(Debug)]
struct Key(&'static str);

impl<'a> Arbitrary<'a> for Key {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        const LONG: &str = match str::from_utf8(&[b'k'; 128]) {
            Ok(long) => long,
            Err(_) => unreachable!(),
        };
        if u.ratio(7, 8)? {
            return Ok(Self(u.choose(&["a", "b", "c", "ab", "m:user", "ż"])?));
        }
        Ok(Self(&LONG[..u.int_in_range(1..=128)?]))
    }
}

#[derive(Debug)]
struct Any(Value);

impl<'a> Arbitrary<'a> for Any {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        value(u, 0).map(Self)
    }
}

fn value(u: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    Ok(match u.int_in_range(0..=if depth < 4 { 7 } else { 5 })? {
        0 => Value::Bool(u.arbitrary()?),
        1 => Value::Int(u.arbitrary()?),
        2 => match f64::arbitrary(u)? {
            number if number.is_finite() => Value::Float(number),
            _ => Value::Float(-0.0),
        },
        3 => Value::Int(u.int_in_range(-9..=9)?),
        4 if depth > 0 => Value::Nil,
        4 | 5 => Value::String(u.arbitrary()?),
        6 => {
            let mut items = Vec::new();
            for _ in 0..u.int_in_range(0..=4)? {
                items.push(value(u, depth + 1)?);
            }
            Value::Array(items)
        }
        _ => {
            let mut entries = BTreeMap::new();
            for _ in 0..u.int_in_range(0..=4)? {
                entries.insert(u.arbitrary()?, value(u, depth + 1)?);
            }
            Value::Object(entries)
        }
    })
}

impl Plan {
    /// Plays it.
    pub fn play(self) {
        let shelf = Shelf::default();
        let config = SessionConfig::builder()
            .max_bytes(1 << 24)
            .max_keys(1 << 12);
        let mut scene = Scene::on(shelf.clone(), config);
        // A session to begin with, so that two requests can meet.
        let first = scene.open(None);
        scene.step(first, &Op::Set("a", 1.into()));
        scene.step(first, &Op::Commit);

        let mut handles = [scene.open(Some(0)), scene.open(Some(0))];
        for step in self.steps {
            let handle = &mut handles[usize::from(step.second)];
            let op = step.act.into();
            scene.step(*handle, &op);
            if let Op::Commit = op {
                *handle = scene.open(Some(0));
            }
            let record = shelf.record().expect("nothing ends it");
            let stored = &scene.world.alive(0).expect("nothing ends it").data;
            assert_eq!(record.len(), stored.len());
            for (key, value) in stored {
                assert_eq!(record.raw(key), Some(&*value.to_bytes()), "{key}");
            }
        }
    }
}

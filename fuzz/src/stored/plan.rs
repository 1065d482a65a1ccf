//! Two requests at a time on one session, whose changes meet in a record and in a plain map.

use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Result, Unstructured};
use liquid_session::{Error, Session, SessionConfig, Sessions, Value};

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

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(String);

impl<'a> Arbitrary<'a> for Key {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let short = ["a", "b", "c", "ab", "m:user", "ż"];
        if u.ratio(7, 8)? {
            return Ok(Self((*u.choose(&short)?).to_owned()));
        }
        let long = "k".repeat(u.int_in_range(1..=128)?);
        Ok(Self(long))
    }
}

#[derive(Clone, Debug)]
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

type Map = BTreeMap<String, Value>;

/// What a request did to one key, in order.
#[derive(Clone, Debug)]
enum Done {
    Set(Value),
    Remove,
    Increment(i64),
    Append(Value),
}

/// A request as the model has it.
#[derive(Default)]
struct Request {
    /// What it saw at its first touch.
    seen: Option<Map>,
    clear: bool,
    done: BTreeMap<String, Vec<Done>>,
}

impl Request {
    fn view(&mut self, stored: &Map) -> Map {
        let seen = self.seen.get_or_insert_with(|| stored.clone());
        replay(seen, self.clear, &self.done).expect("it went well before")
    }

    /// `false` if it can't be done to what the request sees.
    fn note(&mut self, key: &str, done: Done) -> bool {
        let mut all = self.done.clone();
        let of_key = all.entry(key.to_owned()).or_default();
        match (of_key.last_mut(), done) {
            // One sum: what it passes on the way counts only for the request itself.
            (Some(Done::Increment(sum)), Done::Increment(by)) => *sum += by,
            (_, done) => {
                if matches!(done, Done::Set(_) | Done::Remove) {
                    of_key.clear();
                }
                of_key.push(done);
            }
        }
        let seen = self.seen.as_ref().expect("it was viewed before");
        let works = replay(seen, self.clear, &all).is_some();
        if works {
            self.done = all;
        }
        works
    }
}

fn replay(map: &Map, clear: bool, done: &BTreeMap<String, Vec<Done>>) -> Option<Map> {
    let mut map = if clear { Map::new() } else { map.clone() };
    for (key, all) in done {
        for one in all {
            match one {
                Done::Set(value) => {
                    map.insert(key.clone(), value.clone());
                }
                Done::Remove => {
                    map.remove(key);
                }
                Done::Increment(by) => {
                    let sum = match map.get(key) {
                        None => *by,
                        Some(Value::Int(number)) => number.checked_add(*by)?,
                        Some(_) => return None,
                    };
                    map.insert(key.clone(), Value::Int(sum));
                }
                Done::Append(item) => match map
                    .entry(key.clone())
                    .or_insert_with(|| Value::Array(Vec::new()))
                {
                    Value::Array(items) => items.push(item.clone()),
                    _ => return None,
                },
            }
        }
    }
    Some(map)
}

struct Scene {
    shelf: Shelf,
    sessions: Sessions,
    cookie: String,
    stored: Map,
}

impl Plan {
    /// Plays it.
    pub fn play(self) {
        let shelf = Shelf::default();
        let config = SessionConfig::builder()
            .max_bytes(1 << 24)
            .max_keys(1 << 12);
        let config = config.build().expect("these are allowed");
        let sessions = Sessions::new(shelf.clone(), config);
        // A session to begin with, so that two requests can meet.
        let first = sessions.open(None);
        first.set("a", 1).expect("it fits");
        let outcome = first.commit().expect("the store works");
        let mut scene = Scene {
            sessions,
            shelf,
            cookie: outcome.secret().expect("it is new").expose(),
            stored: Map::from([("a".to_owned(), Value::Int(1))]),
        };

        let mut handles = [scene.open(), scene.open()];
        for step in self.steps {
            let (session, request) = &mut handles[usize::from(step.second)];
            scene.step(&step.act, session, request);
            let record = scene.shelf.record().expect("nothing ends it");
            assert_eq!(record.len(), scene.stored.len());
            for (key, value) in &scene.stored {
                assert_eq!(record.raw(key), Some(&*value.to_bytes()), "{key}");
            }
        }
    }
}

impl Scene {
    fn open(&self) -> (Session, Request) {
        (self.sessions.open(Some(&self.cookie)), Request::default())
    }

    fn step(&mut self, act: &Act, session: &mut Session, request: &mut Request) {
        match act {
            Act::Commit => return self.commit(session, request),
            Act::Discard => {
                session.discard();
                request.clear = false;
                request.done.clear();
                return;
            }
            _ => {}
        }
        let view = request.view(&self.stored);
        let (done, as_modelled) = match act {
            Act::Set(Key(key), Any(value)) => (
                session.set(key, value),
                request.note(key, Done::Set(value.clone())),
            ),
            Act::Remove(Key(key)) => {
                let there = session.remove(key).expect("the store works");
                assert_eq!(there, view.contains_key(key));
                (Ok(()), !there || request.note(key, Done::Remove))
            }
            Act::Clear => {
                // There is a session: also what this request has not seen goes.
                request.clear = true;
                request.done.clear();
                (session.clear(), true)
            }
            Act::Increment(Key(key), by) => {
                let by = i64::from(*by);
                let counted = session.increment(key, by);
                (counted.map(drop), request.note(key, Done::Increment(by)))
            }
            Act::Append(Key(key), Any(item)) => {
                let done = Done::Append(item.clone());
                (session.append(key, item), request.note(key, done))
            }
            Act::Take(Key(key)) => (self.take(key, session, request, &view), true),
            Act::Discard | Act::Commit => (Ok(()), true),
        };
        assert_eq!(done.is_ok(), as_modelled, "{done:?}");
        let found: Map = session
            .entries()
            .expect("the store works")
            .into_iter()
            .collect();
        let view = request.view(&self.stored);
        assert_eq!(bytes(&found), bytes(&view));
    }

    fn take(
        &mut self,
        key: &str,
        session: &Session,
        request: &mut Request,
        view: &Map,
    ) -> std::result::Result<(), Error> {
        let seen = request.seen.clone().expect("it was viewed before");
        if !view.contains_key(key) || !seen.contains_key(key) {
            // It is the request's own, and in no store.
            let taken = session.take(key)?;
            assert_eq!(taken.as_ref(), view.get(key));
            request.done.remove(key);
            return Ok(());
        }
        // Where others have committed since, what this request did is laid over that first.
        let moved = bytes(&seen) != bytes(&self.stored);
        let taken = session.take(key);
        let now = if moved { &self.stored } else { &seen };
        let Some(mut view) = replay(now, request.clear, &request.done) else {
            assert!(
                taken.is_err(),
                "a change that does not fit was laid over the record"
            );
            return taken.map(drop);
        };
        let here = view.remove(key);
        assert_eq!(
            taken?.map(|v| v.to_bytes()),
            here.as_ref().map(Value::to_bytes)
        );
        request.seen = Some(now.clone());
        request.done.remove(key);
        if now.contains_key(key) && here.is_some() {
            self.stored.remove(key);
        }
        if let Some(seen) = &mut request.seen {
            seen.remove(key);
        }
        Ok(())
    }

    fn commit(&mut self, session: &mut Session, request: &mut Request) {
        let changes = request.clear || !request.done.is_empty();
        let merged = replay(&self.stored, request.clear, &request.done);
        let outcome = session.commit();
        match (&outcome, merged) {
            (Ok(outcome), Some(merged)) => {
                assert!(
                    outcome.secret().is_none(),
                    "a cookie for a session that has one"
                );
                if changes {
                    self.stored = merged;
                }
            }
            (Err(_), None) => {}
            (outcome, merged) => panic!("{outcome:?}, by the model {merged:?}"),
        }
        (*session, *request) = self.open();
    }
}

fn bytes(map: &Map) -> Vec<(&str, Vec<u8>)> {
    map.iter()
        .map(|(key, value)| (key.as_str(), value.to_bytes()))
        .collect()
}

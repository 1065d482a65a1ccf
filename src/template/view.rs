//! The lazy object behind `context.session`.

use std::cell::OnceCell;
use std::fmt;

use liquid_core::model::{DisplayCow, KStringCow, ObjectView, State, Value as LiquidValue};
use liquid_core::{Object, ValueView};

use super::handoff::Answers;
use super::pins::Pins;
use super::value::NIL;
use crate::error::Error;
use crate::session::Session;
use crate::value::Value;

/// The variable that shows the session.
pub(crate) const CONTEXT: &str = "context";
/// The name of the session in it.
pub(crate) const SESSION: &str = "session";
/// The name of the user who is signed in.
pub(crate) const CURRENT_USER: &str = "current_user";

/// `context.session`: reads the session at each access.
pub(crate) struct SessionView<'s> {
    session: &'s Session,
    pins: Pins,
    /// The session ID, once a template has read it.
    id: OnceCell<Value>,
    answers: Answers,
}

impl<'s> SessionView<'s> {
    #[inline]
    pub(crate) fn new(session: &'s Session) -> Self {
        Self {
            session,
            pins: Pins::default(),
            id: OnceCell::new(),
            answers: Answers::default(),
        }
    }

    /// Answers if a name is the question of a tag, and returns whether it was.
    #[inline]
    pub(super) fn answers(&self, name: &str) -> bool {
        self.answers.answer(name, self.session)
    }

    pub(crate) fn session(&self) -> &Session {
        self.session
    }

    fn id(&self) -> Option<&Value> {
        if let Some(id) = self.id.get() {
            return Some(id);
        }
        let id = self.session.id().ok()??;
        Some(self.id.get_or_init(|| Value::String(id.to_string())))
    }

    /// Returns the object behind `context.current_user`: nil if no user is signed in, and nothing if the
    /// read failed. Then the engine fails too.
    pub(super) fn current_user(&self) -> Option<&dyn ValueView> {
        let Some(user) = self.session.user().ok()? else {
            return Some(&NIL);
        };
        let mut stored = Vec::new();
        Value::Object([("id".to_owned(), Value::String(user))].into()).encode(&mut stored);
        let user = self.pins.keep(&stored, || self.session.read_budget());
        Some(user.ok()?)
    }

    fn read(&self, key: &str) -> Result<Option<&Value>, Error> {
        let pin = |stored: Option<&[u8]>| {
            let budget = || self.session.read_budget();
            stored
                .map(|stored| self.pins.keep(stored, budget))
                .transpose()
        };
        self.session.read(key, pin)
    }

    /// Copies the whole session for the engine. If the store failed, the copy is empty; the session
    /// keeps the failure, and the render or the commit reports it.
    fn snapshot(&self) -> Object {
        self.session
            .entries()
            .unwrap_or_default()
            .into_iter()
            .map(|(key, value)| (key.into(), value.to_value()))
            .collect()
    }
}

impl fmt::Debug for SessionView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.session.fmt(f)
    }
}

impl ValueView for SessionView<'_> {
    fn as_debug(&self) -> &dyn fmt::Debug {
        self
    }

    fn render(&self) -> DisplayCow<'_> {
        DisplayCow::Owned(Box::new(self.snapshot().render().to_string()))
    }

    fn source(&self) -> DisplayCow<'_> {
        // In error texts: no keys, no values.
        DisplayCow::Borrowed(&"context.session")
    }

    fn type_name(&self) -> &'static str {
        "object"
    }

    /// Answers whether there is a session without a load.
    fn query_state(&self, state: State) -> bool {
        match state {
            State::Truthy => true,
            State::DefaultValue | State::Empty | State::Blank => {
                self.session.size().unwrap_or_default() == 0
            }
        }
    }

    fn to_kstr(&self) -> KStringCow<'_> {
        KStringCow::from_string(self.render().to_string())
    }

    fn to_value(&self) -> LiquidValue {
        LiquidValue::Object(self.snapshot())
    }

    fn as_object(&self) -> Option<&dyn ObjectView> {
        Some(self)
    }
}

impl ObjectView for SessionView<'_> {
    fn as_value(&self) -> &dyn ValueView {
        self
    }

    fn size(&self) -> i64 {
        self.session.size().unwrap_or_default() as i64
    }

    /// Returns no key: the engine lists them in errors only, and no error may name stored keys.
    fn keys<'k>(&'k self) -> Box<dyn Iterator<Item = KStringCow<'k>> + 'k> {
        Box::new(std::iter::empty())
    }

    fn values<'k>(&'k self) -> Box<dyn Iterator<Item = &'k dyn ValueView> + 'k> {
        Box::new(self.iter().map(|(_, value)| value))
    }

    fn iter<'k>(&'k self) -> Box<dyn Iterator<Item = (KStringCow<'k>, &'k dyn ValueView)> + 'k> {
        let keys = self.session.keys().unwrap_or_default();
        Box::new(keys.into_iter().filter_map(|key| {
            let value = self.read(&key).ok()??;
            Some((KStringCow::from_string(key), value as &dyn ValueView))
        }))
    }

    fn contains_key(&self, index: &str) -> bool {
        self.session.contains(index).unwrap_or_default()
    }

    /// Returns nil for an absent key, and nothing if the read failed: then the engine fails too.
    fn get<'s>(&'s self, index: &str) -> Option<&'s dyn ValueView> {
        match index {
            // The engine then asks for the size, which it knows how to wrap.
            "size" => None,
            "session_id" => Some(self.id().unwrap_or(&NIL)),
            key => match self.read(key) {
                Ok(value) => Some(value.unwrap_or(&NIL)),
                Err(_) => None,
            },
        }
    }
}

//! The lazy object behind `context.session`, and how a tag gets from it to the handle.

use std::cell::{Cell, OnceCell};
use std::fmt;

use liquid_core::model::{DisplayCow, KStringCow, ObjectView, State, Value as LiquidValue};
use liquid_core::{Object, Runtime, ValueView};

use super::pins::Pins;
use super::value::NIL;
use crate::session::Session;
use crate::value::Value;

/// The variable that shows the session.
pub(crate) const CONTEXT: &str = "context";
/// The name of the session in it.
pub(crate) const SESSION: &str = "session";

/// The same name as a tag asks for it. The globals know it by its address, because a template has its
/// names in memory of its own; where something else stands in front of them, it is a name like any other.
static QUESTION: &str = "context";

/// What a tag asks for where that is not enough: of `context`, if something stands in front of the
/// globals, and of the globals, if a variable of the template hides `context`. A template may type it
/// too, and then finds nothing: the view answers only while a tag asks.
const HAND_OFF: &str = "\u{0}session handle";

/// Where the view leaves the handle for the tag that asks. A `ValueView` can't be downcast, and a
/// `Template` builds its runtime itself, so there is no other way from one to the other without a
/// registry of all sessions.
#[derive(Default)]
enum Slot {
    #[default]
    Idle,
    Asked,
    Answered(Session),
}

thread_local! {
    static SLOT: Cell<Slot> = const { Cell::new(Slot::Idle) };
}

/// The session that a template sees as `context.session`, if its `context` is ours.
pub(crate) fn session_in(runtime: &dyn Runtime) -> Option<Session> {
    ask(|| {
        let context = runtime.try_get(&[QUESTION.into()]);
        if let Some(context) = context.as_ref().and_then(|context| context.as_object()) {
            context.contains_key(HAND_OFF);
        }
    })
}

/// The session that a tag of this render has found before, if the template has given the name
/// `context` to something else since.
pub(crate) fn session_found_before(runtime: &dyn Runtime) -> Option<Session> {
    ask(|| {
        runtime.try_get(&[HAND_OFF.into()]);
    })
}

fn ask(question: impl FnOnce()) -> Option<Session> {
    /// What was there before comes back, also if a host's own object renders inside a question, or
    /// panics.
    struct Before(Slot);

    impl Drop for Before {
        fn drop(&mut self) {
            SLOT.set(std::mem::take(&mut self.0));
        }
    }

    let _before = Before(SLOT.replace(Slot::Asked));
    question();
    match SLOT.take() {
        Slot::Answered(session) => Some(session),
        Slot::Idle | Slot::Asked => None,
    }
}

/// `context.session`: reads through to the handle, and keeps what it lent where it is.
pub(crate) struct SessionView<'s> {
    session: &'s Session,
    pins: Pins,
    /// The public handle, once a template asked for it.
    id: OnceCell<Value>,
    /// A tag has the handle already.
    found: Cell<bool>,
}

impl<'s> SessionView<'s> {
    #[inline]
    pub(crate) fn new(session: &'s Session) -> Self {
        Self {
            session,
            pins: Pins::default(),
            id: OnceCell::new(),
            found: Cell::new(false),
        }
    }

    /// Whether this is a tag's question to the globals; then it has the handle.
    #[inline]
    pub(crate) fn answers(&self, key: &str) -> bool {
        (std::ptr::eq(key, QUESTION) || (key == HAND_OFF && self.found.get())) && self.hand_over()
    }

    /// The same for a question to `context`, which nothing hides.
    #[inline]
    pub(crate) fn answers_below(&self, key: &str) -> bool {
        key == HAND_OFF && self.hand_over()
    }

    fn hand_over(&self) -> bool {
        let slot = SLOT.take();
        if matches!(slot, Slot::Asked) {
            self.found.set(true);
            SLOT.set(Slot::Answered(self.session.clone()));
            return true;
        }
        // A host's own object may ask twice.
        let answered = matches!(slot, Slot::Answered(_));
        SLOT.set(slot);
        answered
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

    /// What the engine copies when it takes the session as a whole. A store that failed makes it
    /// empty; the failure stays with the handle, and the commit tells it.
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

    /// Whether there is a session at hand costs no load.
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

    /// None: the engine asks only to list them in an error, and no error tells what is stored.
    fn keys<'k>(&'k self) -> Box<dyn Iterator<Item = KStringCow<'k>> + 'k> {
        Box::new(std::iter::empty())
    }

    fn values<'k>(&'k self) -> Box<dyn Iterator<Item = &'k dyn ValueView> + 'k> {
        Box::new(self.iter().map(|(_, value)| value))
    }

    fn iter<'k>(&'k self) -> Box<dyn Iterator<Item = (KStringCow<'k>, &'k dyn ValueView)> + 'k> {
        let keys = self.session.keys().unwrap_or_default();
        Box::new(keys.into_iter().filter_map(|key| {
            let value = self.session.read(&key, &self.pins).ok()??;
            Some((KStringCow::from_string(key), value as &dyn ValueView))
        }))
    }

    fn contains_key(&self, index: &str) -> bool {
        self.session.contains(index).unwrap_or_default()
    }

    /// Nil for what is absent. Nothing at all only when the store failed: then the engine fails too.
    fn get<'s>(&'s self, index: &str) -> Option<&'s dyn ValueView> {
        match index {
            // The engine then asks for the size, which it knows how to wrap.
            "size" => None,
            "session_id" => Some(self.id().unwrap_or(&NIL)),
            key => match self.session.read(key, &self.pins) {
                Ok(value) => Some(value.unwrap_or(&NIL)),
                Err(_) => None,
            },
        }
    }
}

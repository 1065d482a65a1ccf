//! The hand-off: how a tag finds the session of its template.
//!
//! A tag gets a `&dyn Runtime` that the engine has built, and a `ValueView` can't be downcast. So the
//! tag asks for a variable, and the view leaves the session in a thread-local slot. It answers only
//! while a tag asks: a template that uses one of these names finds nothing.

use std::cell::Cell;

use liquid_core::{Runtime, ValueView as _};

use crate::session::Session;

/// The name of `context` as a tag asks for it. The view knows the question by its address, because a
/// template has its names in memory of its own. A variable that hides `context` hides the question.
static QUESTION: &str = "context";

/// The question in a render whose tags have found the session already; no variable hides it.
const AGAIN: &str = "\u{0}session";

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

/// Returns the session of the template, also if a variable has hidden `context` since a tag found the
/// session.
#[inline]
pub(super) fn session(runtime: &dyn Runtime) -> Option<Session> {
    visible_session(runtime).or_else(|| {
        ask(|| {
            runtime.try_get(&[AGAIN.into()]);
        })
    })
}

/// Returns the session behind the present `context`.
pub(super) fn visible_session(runtime: &dyn Runtime) -> Option<Session> {
    ask(|| {
        let context = runtime.try_get(&[QUESTION.into()]);
        // A partial of `render` has `context` as a variable.
        if let Some(context) = context.as_ref().and_then(|context| context.as_object()) {
            context.contains_key(QUESTION);
        }
    })
}

fn ask(question: impl FnOnce()) -> Option<Session> {
    /// Restores the slot, also if an object of the host's renders during a question, or panics.
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

/// Answers the questions of tags; one for each view.
#[derive(Default)]
pub(super) struct Answers {
    found: Cell<bool>,
}

impl Answers {
    /// Answers if a name is the question of a tag, and returns whether it was.
    #[inline]
    pub(super) fn answer(&self, name: &str, session: &Session) -> bool {
        let asked = std::ptr::eq(name, QUESTION) || (name == AGAIN && self.found.get());
        asked && self.hand_over(session)
    }

    fn hand_over(&self, session: &Session) -> bool {
        let slot = match SLOT.take() {
            Slot::Asked => Slot::Answered(session.clone()),
            other => other,
        };
        // A host's own object may ask twice.
        let answered = matches!(slot, Slot::Answered(_));
        SLOT.set(slot);
        self.found.set(self.found.get() || answered);
        answered
    }
}

//! How a tag finds the session that its template sees as `context.session`.
//!
//! A tag gets a `&dyn Runtime` that the engine has built, and a `ValueView` can't be downcast. So the
//! tag asks for a member of `context`, and the view leaves the session in a thread-local slot. It
//! answers only while a tag asks: a template that uses the name of the question finds nothing.

use std::cell::Cell;

use liquid_core::Runtime;

use super::view::CONTEXT;
use crate::session::Session;

/// The member of `context` that stands for the question.
const QUESTION: &str = "\u{0}session";

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

/// The session that a tag of this render has found, kept in the registers of the runtime.
#[derive(Default)]
struct Found(Option<Session>);

/// The session of the template, also if it has given the name `context` to something else since a
/// tag found the session.
pub(super) fn session(runtime: &dyn Runtime) -> Option<Session> {
    if let Some(session) = &runtime.registers().get_mut::<Found>().0 {
        return Some(session.clone());
    }
    let session = visible_session(runtime)?;
    runtime.registers().get_mut::<Found>().0 = Some(session.clone());
    Some(session)
}

/// The session behind the present `context`.
pub(super) fn visible_session(runtime: &dyn Runtime) -> Option<Session> {
    /// Puts back what was in the slot, also if a host's own object renders in a question, or panics.
    struct Before(Slot);

    impl Drop for Before {
        fn drop(&mut self) {
            SLOT.set(std::mem::take(&mut self.0));
        }
    }

    let _before = Before(SLOT.replace(Slot::Asked));
    runtime.try_get(&[CONTEXT.into(), QUESTION.into()]);
    match SLOT.take() {
        Slot::Answered(session) => Some(session),
        Slot::Idle | Slot::Asked => None,
    }
}

/// Answers if a member of `context` is the question of a tag.
#[inline]
pub(super) fn answer(member: &str, session: &Session) {
    if member == QUESTION {
        let slot = match SLOT.take() {
            Slot::Asked => Slot::Answered(session.clone()),
            other => other,
        };
        SLOT.set(slot);
    }
}

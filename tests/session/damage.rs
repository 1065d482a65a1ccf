//! Records that can't be read: reported, ended, and in the way of nothing else.
#![allow(clippy::unwrap_used)]

use crate::damaging::{Damage, Damaging};
use liquid_session::store::Revoke;
use liquid_session::{
    Answer, ErrorKind, ParserBuilderExt as _, Session, SessionConfig, SessionId, Sessions, Status,
};

fn site() -> (Damaging, Sessions) {
    let store = Damaging::default();
    let sessions = Sessions::new(store.clone(), SessionConfig::default());
    (store, sessions)
}

fn stored(session: &Session) -> (String, SessionId) {
    let secret = session.commit().unwrap().secret().unwrap().expose();
    (secret, session.id().unwrap().unwrap())
}

fn sign_in(sessions: &Sessions) -> (String, SessionId) {
    let session = sessions.open(None);
    session.set("a", 1).unwrap();
    session.set("z", "text").unwrap();
    session.login("alice").unwrap();
    stored(&session)
}

/// Nine sessions of a user, one of them damaged.
fn nine(damage: Damage) -> (Sessions, (String, SessionId), Vec<(String, SessionId)>) {
    let (store, sessions) = site();
    let healthy = (0..8).map(|_| sign_in(&sessions)).collect();
    let damaged = sign_in(&sessions);
    store.set_one(damage, damaged.1);
    (sessions, damaged, healthy)
}

#[test]
fn a_damaged_record_of_a_user_stops_nothing() {
    for damage in [Damage::Record, Damage::NewerForm] {
        let (sessions, _, _) = nine(damage);
        assert_eq!(sessions.user_sessions("alice").unwrap().len(), 8);
        assert_eq!(sessions.revoke("alice", Revoke::All).unwrap(), 9);
        assert_eq!(sessions.revoke("alice", Revoke::All).unwrap(), 0);

        let (sessions, damaged, _) = nine(damage);
        let one = Revoke::One(damaged.1);
        assert_eq!(sessions.revoke("alice", one).unwrap(), 1);
        assert_eq!(sessions.user_sessions("alice").unwrap().len(), 8);
        assert_eq!(sessions.revoke("alice", Revoke::All).unwrap(), 8);

        let (sessions, _, healthy) = nine(damage);
        let kept = sessions.open(Some(&healthy[0].0));
        assert_eq!(kept.revoke_others().unwrap(), 8);
        assert_eq!(sessions.revoke("alice", Revoke::All).unwrap(), 1);

        let (sessions, damaged, _) = nine(damage);
        let session = sessions.open(Some(&damaged.0));
        session.logout().unwrap();
        assert!(session.commit().unwrap().removes_cookie());
        assert_eq!(sessions.revoke("alice", Revoke::All).unwrap(), 8);
    }
}

#[test]
fn a_damaged_value_is_an_error_and_other_keys_can_be_read() {
    for page in [
        "{{ context.session | json }}",
        "{{ context.session.z }}",
        "{% if context.session.z %}yes{% else %}no{% endif %}",
        "{% for pair in context.session %}{{ pair[0] }}{% endfor %}",
        "{% assign s = context.session %}{{ s.a }}",
        "{% session x = context.session.z %}",
    ] {
        let (sessions, damaged, _) = nine(Damage::Value);
        let session = sessions.open(Some(&damaged.0));
        assert_eq!(session.get("a").unwrap(), Some(1.into()));
        let parser = liquid::ParserBuilder::with_stdlib().sessions();
        let template = parser.build().unwrap().parse(page).unwrap();
        let rendered = session.render(&template, &liquid::Object::new());
        // What the engine can't tell at the render shows at the commit.
        let failed = rendered.map(drop).and_then(|()| session.commit().map(drop));
        assert!(failed.is_err(), "{page}");
        let finished = session.finish(Answer::Good);
        assert!(finished.error.is_some(), "{page}");
        let cookie = finished.cookie.unwrap();
        assert!(cookie.removes_cookie(), "{page}");

        // The visitor's next request works.
        let session = sessions.open(Some(&damaged.0));
        assert_eq!(session.get("z").unwrap(), None);
        assert_eq!(sessions.user_sessions("alice").unwrap().len(), 8);
    }
}

#[test]
fn a_session_that_was_mended_meanwhile_is_not_ended() {
    let (store, sessions) = site();
    let (cookie, id) = sign_in(&sessions);
    store.set_one(Damage::Value, id);
    let session = sessions.open(Some(&cookie));
    assert_eq!(session.get("z").unwrap_err().kind(), ErrorKind::Corrupt);
    let other = sessions.open(Some(&cookie));
    other.set("z", "new").unwrap();
    let _ = other.commit().unwrap();
    store.set(Damage::None);
    let finished = session.finish(Answer::Good);
    assert_eq!(finished.error.unwrap().kind(), ErrorKind::Corrupt);
    assert!(finished.cookie.is_none());
    let session = sessions.open(Some(&cookie));
    assert_eq!(session.get("z").unwrap(), Some("new".into()));
}

#[test]
fn a_newer_form_opens_as_no_session_and_stays() {
    let (store, sessions) = site();
    let (cookie, _) = sign_in(&sessions);
    store.set(Damage::NewerForm);
    let session = sessions.open(Some(&cookie));
    assert_eq!(session.get("a").unwrap(), None);
    assert!(session.finish(Answer::Good).error.is_none());
    let session = sessions.open(Some(&cookie));
    session.set("b", 1).unwrap();
    assert_eq!(session.commit().unwrap().status(), Status::Created);
    // Back at the newer program.
    store.set(Damage::None);
    let session = sessions.open(Some(&cookie));
    assert_eq!(session.get("a").unwrap(), Some(1.into()));
}

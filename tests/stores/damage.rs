//! Stored records are damaged byte by byte: nothing panics, no value is ever wrong or silently absent,
//! a damaged session answers with an error once, no other session notices, and revocation gets past it.

use liquid_session::clock::Clock as _;
use liquid_session::clock::ManualClock;
use liquid_session::store::Revoke;
use liquid_session::{Answer, ErrorKind, SessionId, Sessions, Value};

/// A store whose bytes can be changed behind its back.
pub(crate) trait Stand {
    fn open(&self) -> Sessions;

    fn clock(&self) -> &ManualClock;

    /// Changes the stored forms of these sessions. No store is open meanwhile.
    fn change(&self, victims: &[SessionId], change: &mut dyn FnMut(usize, &mut Vec<u8>));
}

/// Where the flags stand. The times before them have no check: a touch changes them in place.
const FLAGS: usize = 27;

const KEYS: [&str; 3] = ["color", "list", "number"];

fn value(key: &str) -> Value {
    match key {
        "color" => "dark".into(),
        "list" => vec!["a", "b"].into(),
        _ => 17.into(),
    }
}

fn begin(sessions: &Sessions, user: &str) -> (String, SessionId) {
    let session = sessions.open(None);
    for key in KEYS {
        session.set(key, value(key)).unwrap();
    }
    session.login(user).unwrap();
    let cookie = session.commit().unwrap().secret().unwrap().expose();
    let id = sessions.open(Some(&cookie)).id().unwrap().unwrap();
    (cookie, id)
}

fn is_whole(sessions: &Sessions, cookie: &str) -> bool {
    let session = sessions.open(Some(cookie));
    KEYS.iter()
        .all(|key| session.get(key).unwrap() == Some(value(key)))
}

/// The kinds of damage at a position of a record.
#[derive(Clone, Copy, Debug)]
enum Damage {
    HighBit,
    LowBit,
    Deleted,
    Cut,
}

impl Damage {
    fn apply(self, record: &mut Vec<u8>, at: usize) {
        match self {
            Self::HighBit => record[at] ^= 0x80,
            Self::LowBit => record[at] ^= 1,
            Self::Deleted => drop(record.remove(at)),
            Self::Cut => record.truncate(at),
        }
    }
}

/// Visits a damaged session twice, and returns how many of its keys could be read.
fn visit(sessions: &Sessions, cookie: &str, context: &str) -> usize {
    let session = sessions.open(Some(cookie));
    let mut sound = 0;
    for key in KEYS {
        match session.get(key) {
            Ok(read) => {
                assert_eq!(read, Some(value(key)), "{context}: `{key}` is wrong");
                sound += 1;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{context}"),
        }
    }
    let finished = session.finish(Answer::Good);
    assert!(sound == KEYS.len() || finished.error.is_some(), "{context}");
    // The visitor's second request works: it begins anew.
    let session = sessions.open(Some(cookie));
    session.set("again", true).unwrap();
    let finished = session.finish(Answer::Good);
    assert!(finished.error.is_none(), "{context}: {:?}", finished.error);
    sound
}

/// Damages more than two thousand sessions, each at one place.
pub(crate) fn every_byte_is_checked(stand: &dyn Stand) {
    let mut cases = 0;
    for damage in [
        Damage::HighBit,
        Damage::LowBit,
        Damage::Deleted,
        Damage::Cut,
    ] {
        let mut some_keys_left = 0;
        for round in 0..13 {
            let user = format!("{damage:?}-{round}");
            let sessions = stand.open();
            let healthy: Vec<_> = (0..4).map(|_| begin(&sessions, &user).0).collect();
            let victims: Vec<_> = (0..40).map(|_| begin(&sessions, &user)).collect();
            drop(sessions);
            let mut places = vec![0; victims.len()];
            let ids: Vec<_> = victims.iter().map(|(_, id)| *id).collect();
            stand.change(&ids, &mut |n, record| {
                // Every position in turn, over the rounds.
                let at = FLAGS + (round * victims.len() + n) % (record.len() - FLAGS);
                damage.apply(record, at);
                places[n] = at;
            });
            let sessions = stand.open();
            sessions.user_sessions(&user).unwrap();
            for (n, (cookie, _)) in victims.iter().enumerate().step_by(2) {
                let sound = visit(&sessions, cookie, &format!("{damage:?} at {}", places[n]));
                assert!(sound < KEYS.len(), "{damage:?} at {}: unnoticed", places[n]);
                some_keys_left += usize::from(sound > 0);
            }
            cases += victims.len();
            assert!(healthy.iter().all(|cookie| is_whole(&sessions, cookie)));
            assert!(sessions.revoke(&user, Revoke::All).unwrap() >= healthy.len());
            for cookie in &healthy {
                assert_eq!(sessions.open(Some(cookie)).id().unwrap(), None);
            }
        }
        let of_values = matches!(damage, Damage::HighBit | Damage::LowBit);
        assert_eq!(some_keys_left > 0, of_values, "{damage:?}");
    }
    assert!(cases >= 2_000);
}

/// A record of a newer form opens as no session, and a newer program finds it as it was.
pub(crate) fn a_newer_form_stays(stand: &dyn Stand) {
    for form in [2, 3, 255] {
        let sessions = stand.open();
        let (jar, id) = begin(&sessions, "ann");
        drop(sessions);
        stand.change(&[id], &mut |_, record| record[0] = form);
        let sessions = stand.open();
        for _ in 0..2 {
            let session = sessions.open(Some(&jar));
            assert_eq!(session.get("color").unwrap(), None);
            assert!(session.finish(Answer::Good).error.is_none());
        }
        sessions.sweep(100).unwrap();
        drop(sessions);
        stand.change(&[id], &mut |_, record| {
            assert_eq!(record[0], form);
            record[0] = 1;
        });
        assert!(is_whole(&stand.open(), &jar));
    }
}

/// After all of them have expired, nothing is left.
pub(crate) fn sweeps_get_past_it(stand: &dyn Stand) {
    let sessions = stand.open();
    let all: Vec<_> = (0..9).map(|_| begin(&sessions, "ann")).collect();
    drop(sessions);
    stand.change(&[all[3].1], &mut |_, record| record.truncate(40));
    let sessions = stand.open();
    stand
        .clock()
        .advance(std::time::Duration::from_secs(400 * 24 * 60 * 60));
    sessions.sweep(100_000).unwrap();
    let mut left = 0;
    let count = &mut |_: &_, _: &_| {
        left += 1;
        true
    };
    sessions.store().scan(stand.clock().now(), count).unwrap();
    assert_eq!(left, 0);
}

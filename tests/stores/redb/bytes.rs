//! Stored records are damaged byte by byte: nothing panics, a damaged session answers with an error
//! once, no other session notices, and revocation and sweep get past it.
//!
//! A record has no checksum, so only damage that breaks its form is noticed for certain, such as bytes
//! with their highest bit flipped. Other damage may turn one value into another one; it must still not
//! panic and not reach another session.

use std::time::Duration;

use liquid_session::clock::Clock as _;
use liquid_session::store::{Record, Revoke};
use liquid_session::{Answer, ErrorKind, SessionId, Sessions, Value};

use redb::ReadableTable as _;

use super::support::{RECORDS, Site, cookie};

/// Where the flags and the session ID stand: damage before it changes times and the version alone.
const FLAGS: usize = 27;
const USER: usize = 44;

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
    let cookie = cookie(&session);
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

/// A visit to a damaged session. Whether a value was wrong.
fn visit(sessions: &Sessions, cookie: &str) -> bool {
    let session = sessions.open(Some(cookie));
    let mut wrong = false;
    for key in KEYS {
        match session.get(key) {
            Ok(read) => wrong |= read != Some(value(key)),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt),
        }
    }
    let _ = session.finish(Answer::Good);
    // The visitor's second request works: it begins anew, or goes on.
    let session = sessions.open(Some(cookie));
    session.set("again", true).unwrap();
    let finished = session.finish(Answer::Good);
    assert!(finished.error.is_none(), "{:?}", finished.error);
    wrong
}

#[test]
fn damage_of_any_byte_is_an_error_once_and_harms_no_other_session() {
    let shared = std::path::Path::new("/dev/shm");
    let mut cases = 0;
    for damage in [
        Damage::HighBit,
        Damage::LowBit,
        Damage::Deleted,
        Damage::Cut,
    ] {
        let mut site = Site::new();
        if let Ok(folder) = tempfile::tempdir_in(shared) {
            site.folder = folder;
        }
        for round in 0..13 {
            let user = format!("ann-{round}");
            let (sessions, store) = site.open();
            let healthy: Vec<_> = (0..4).map(|_| begin(&sessions, &user).0).collect();
            let victims: Vec<_> = (0..40).map(|_| begin(&sessions, &user)).collect();
            drop((sessions, store));
            let mut places = Vec::new();
            change_records(&site, &victims, &mut |n, record| {
                // Every position in turn, over the rounds.
                let span = record.len() - FLAGS;
                let mut at = FLAGS + (round * victims.len() + n) % span;
                if matches!(damage, Damage::HighBit | Damage::LowBit) && at < USER && at > FLAGS {
                    // The session ID: what an index line names is then another session's.
                    at = USER;
                }
                damage.apply(record, at);
                places.push(at);
            });
            let (sessions, store) = site.open();
            let _ = sessions.user_sessions(&user).unwrap();
            for (n, (cookie, _)) in victims.iter().enumerate().step_by(2) {
                let wrong = visit(&sessions, cookie);
                let noticed = matches!(damage, Damage::HighBit);
                assert!(!(wrong && noticed), "{damage:?} at {}", places[n]);
            }
            cases += victims.len();
            assert!(healthy.iter().all(|cookie| is_whole(&sessions, cookie)));
            assert!(sessions.revoke(&user, Revoke::All).unwrap() >= healthy.len());
            assert!(
                healthy
                    .iter()
                    .all(|cookie| { sessions.open(Some(cookie)).id().unwrap().is_none() })
            );
            drop((sessions, store));
        }
        let (sessions, _store) = site.open();
        site.clock.advance(Duration::from_secs(400 * 24 * 60 * 60));
        sessions.sweep(100_000).unwrap();
        let mut left = 0;
        let count = &mut |_: &_, _: &_| {
            left += 1;
            true
        };
        sessions.store().scan(site.clock.now(), count).unwrap();
        assert_eq!(left, 0, "{damage:?}");
    }
    assert!(cases >= 2_000);
}

/// Changes the stored forms of sessions in a file that no store has open, in the order of the keys.
fn change_records(
    site: &Site,
    victims: &[(String, SessionId)],
    change: &mut dyn FnMut(usize, &mut Vec<u8>),
) {
    let database = redb::Database::open(site.path()).unwrap();
    let write = database.begin_write().unwrap();
    {
        let mut records = write.open_table(RECORDS).unwrap();
        let mut changed = Vec::new();
        for line in records.iter().unwrap() {
            let (key, row) = line.unwrap();
            let (filed, trail, record) = row.value();
            let Ok(read) = Record::from_bytes(record) else {
                continue;
            };
            if let Some(n) = victims.iter().position(|(_, id)| *id == read.id()) {
                changed.push((n, *key.value(), filed, trail.to_vec(), record.to_vec()));
            }
        }
        changed.sort_by_key(|(n, ..)| *n);
        for (n, key, filed, trail, mut record) in changed {
            change(n, &mut record);
            records
                .insert(&key, (filed, trail.as_slice(), record.as_slice()))
                .unwrap();
        }
    }
    write.commit().unwrap();
}

#[test]
fn a_newer_form_opens_as_no_session_and_stays() {
    for form in [2, 3, 255] {
        let site = Site::new();
        let (sessions, store) = site.open();
        let (jar, id) = begin(&sessions, "ann");
        drop((sessions, store));
        change_records(&site, &[(jar.clone(), id)], &mut |_, record| {
            record[0] = form
        });
        let (sessions, store) = site.open();
        for _ in 0..2 {
            let session = sessions.open(Some(&jar));
            assert_eq!(session.get("color").unwrap(), None);
            assert!(session.finish(Answer::Good).error.is_none());
        }
        drop((sessions, store));
        // A newer program finds it as it was.
        let database = redb::Database::open(site.path()).unwrap();
        let write = database.begin_write().unwrap();
        {
            let mut records = write.open_table(RECORDS).unwrap();
            let (key, filed, record) = {
                let (key, row) = records.first().unwrap().unwrap();
                let (filed, _, record) = row.value();
                (*key.value(), filed, record.to_vec())
            };
            assert_eq!(record[0], form);
            let mut record = record;
            record[0] = 1;
            records
                .insert(&key, (filed, &[][..], record.as_slice()))
                .unwrap();
        }
        write.commit().unwrap();
        drop(database);
        let (sessions, _store) = site.open();
        assert!(is_whole(&sessions, &jar));
    }
}

//! One record of a user that can't be read, and eight that can: damage stops nothing.

use std::time::Duration;

use liquid_session::store::{Revoke, SessionStore as _, Swap, Swapped};
use liquid_session::{ErrorKind, SessionId, Sessions};

use super::support::{Site, begin, change_record, records};

const MONTH: Duration = Duration::from_secs(31 * 24 * 60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const DAMAGED: u8 = 0;
const NEWER: u8 = 9;

/// The cookies and session IDs; the fourth can't be read.
fn site(form: u8) -> (Site, Vec<(String, SessionId)>) {
    let site = Site::new();
    let (sessions, store) = site.open();
    let all: Vec<_> = (0..9)
        .map(|n| {
            let cookie = begin(&sessions, n, Some("ann"));
            let id = sessions.open(Some(&cookie)).id().unwrap().unwrap();
            (cookie, id)
        })
        .collect();
    drop((sessions, store));
    change_record(&site.path(), all[3].1, |record| record[0] = form);
    (site, all)
}

/// The sessions that still answer.
fn alive(sessions: &Sessions, all: &[(String, SessionId)]) -> usize {
    all.iter()
        .filter(|(cookie, _)| matches!(sessions.open(Some(cookie)).get("n"), Ok(Some(_))))
        .count()
}

#[test]
fn lists_and_scans_skip_it() {
    for (form, kind) in [(DAMAGED, ErrorKind::Corrupt), (NEWER, ErrorKind::NewerForm)] {
        let (site, all) = site(form);
        let (sessions, store) = site.open();
        assert_eq!(sessions.user_sessions("ann").unwrap().len(), 8);
        assert_eq!(records(&store, site.now()).len(), 8);
        assert_eq!(alive(&sessions, &all), 8);
        let lines = store.user_index("ann", site.now()).unwrap();
        let line = lines.iter().find(|line| line.id == all[3].1).unwrap();
        let error = store.load(&line.key, site.now()).unwrap_err();
        assert_eq!(error.kind(), kind);
        let (_, other) = &records(&store, site.now())[0];
        let error = store.swap(&line.key, Swap::Remove(other), site.now());
        assert_eq!(error.unwrap_err().kind(), kind);
    }
}

#[test]
fn a_revocation_ends_it_with_the_others_or_alone() {
    for form in [DAMAGED, NEWER] {
        for (which, left, ended) in [
            (Revoke::All, 0, 9),
            (Revoke::Others(SessionId::from_bytes([0; 16])), 0, 9),
            (Revoke::One(SessionId::from_bytes([0; 16])), 8, 1),
        ] {
            let (site, all) = site(form);
            let (sessions, _store) = site.open();
            let which = match which {
                Revoke::One(_) => Revoke::One(all[3].1),
                which => which,
            };
            assert_eq!(sessions.revoke("ann", which).unwrap(), ended);
            assert_eq!(alive(&sessions, &all), left);
            let error = sessions.open(Some(&all[3].0)).get("n");
            assert_eq!(error.unwrap(), None, "it is still there");
        }
    }
}

#[test]
fn a_logout_ends_it() {
    for form in [DAMAGED, NEWER] {
        let (site, all) = site(form);
        let (sessions, _store) = site.open();
        sessions.open(Some(&all[3].0)).logout().unwrap();
        assert_eq!(sessions.open(Some(&all[3].0)).get("n").unwrap(), None);
        assert_eq!(alive(&sessions, &all), 8);
    }
}

#[test]
fn a_sweep_removes_what_is_damaged_and_leaves_what_is_newer() {
    for (form, swept) in [(DAMAGED, 9), (NEWER, 8)] {
        let (site, all) = site(form);
        let (sessions, store) = site.open();
        site.clock.advance(MONTH);
        assert_eq!(sessions.sweep(100).unwrap(), swept);
        // The newer one is looked at again, and keeps no other from being swept.
        for _ in 0..2 {
            let late = begin(&sessions, 9, None);
            sessions.open(Some(&late)).logout().unwrap();
            site.clock.advance(DAY);
            assert_eq!(sessions.sweep(100).unwrap(), 0);
        }
        let lines = store.user_index("ann", site.now()).unwrap();
        let line = lines.iter().find(|line| line.id == all[3].1).unwrap();
        let unreadable = store.load(&line.key, site.now()).is_err();
        assert_eq!(unreadable, form == NEWER);
    }
}

#[test]
fn what_can_be_read_again_is_not_removed_as_unreadable() {
    let (site, all) = site(DAMAGED);
    let (sessions, store) = site.open();
    for line in store.user_index("ann", site.now()).unwrap() {
        let answer = store.swap(&line.key, Swap::RemoveUnreadable, site.now());
        match answer.unwrap() {
            Swapped::Done => assert_eq!(line.id, all[3].1),
            Swapped::Current(record) => assert_eq!(record.id(), line.id),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(alive(&sessions, &all), 8);
}

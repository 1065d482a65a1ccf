//! Floods of visitors and cookies.

use liquid_session::store::SessionStore as _;
use liquid_session::{ErrorKind, MemoryStore, SessionConfig, Sessions};

use super::*;

#[test]
fn a_flood_of_new_visitors_stops_at_the_capacity_and_hurts_nobody() {
    const CAPACITY: usize = 100;
    let sessions = Sessions::new(
        MemoryStore::with_capacity(CAPACITY),
        SessionConfig::default(),
    );
    let mut cookies = Vec::new();
    for n in 0..5_000 {
        let session = sessions.open(None);
        session.set("n", n).unwrap();
        match session.commit() {
            Ok(outcome) => cookies.push(outcome.secret().unwrap().expose()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Full),
        }
    }
    assert_eq!(cookies.len(), CAPACITY);
    for (n, cookie) in cookies.iter().enumerate() {
        let session = sessions.open(Some(cookie));
        assert_eq!(session.get_as("n").unwrap(), Some(n));
        session.set("still", "here").unwrap();
        assert_eq!(session.commit().unwrap().status(), Status::Changed);
        // A new secret needs no more room.
        session.renew().unwrap();
        let _ = session.commit().unwrap();
    }
    let mut held = 0;
    let now = liquid_session::clock::Timestamp::from_millis(0);
    sessions
        .store()
        .scan(now, &mut |_, record| {
            assert_eq!(record.len(), 2);
            held += 1;
            true
        })
        .unwrap();
    assert_eq!(held, CAPACITY);
}

/// Forged cookies ask the store once each and leave nothing; a forged one is never adopted.
#[test]
fn a_flood_of_forged_cookies_leaves_nothing() {
    let store = Counted::default();
    let sessions = store.sessions();
    for n in 0..5_000 {
        let forged = format!("{n:0>42}A");
        let session = sessions.open(Some(&forged));
        assert_eq!(session.get("a").unwrap(), None);
        assert_eq!(session.commit().unwrap().status(), Status::Unchanged);
    }
    assert_eq!(store.commits(), 0);
    assert_eq!(store.touches(), 0);
    let mut held = 0;
    let now = liquid_session::clock::Timestamp::from_millis(0);
    store
        .scan(now, &mut |_, _| {
            held += 1;
            true
        })
        .unwrap();
    assert_eq!(held, 0);
}

#[cfg(feature = "cookie")]
#[test]
fn huge_cookie_headers_reach_no_store() {
    let store = Counted::default();
    let sessions = store.sessions();
    let name = sessions.config().cookie_name().to_owned();
    let headers = [
        // One value of 1 MiB.
        format!("{name}={}", "A".repeat(1 << 20)),
        // Other cookies in great number, and the session's own many times.
        format!("{}{name}=short", "a=b; ".repeat(200_000)),
        format!("{name}=x; ").repeat(100_000),
        // No cookie at all.
        ";".repeat(1 << 20),
        "=".repeat(1 << 20),
        "\0".repeat(1 << 20),
        "\u{fffd}".repeat(1 << 18),
    ];
    for header in &headers {
        let session = sessions.open_from_headers([header]);
        assert_eq!(session.get("a").unwrap(), None);
    }
    let session = sessions.open_from_headers(headers.iter());
    assert_eq!(session.get("a").unwrap(), None);
    let session = sessions.open_from_headers(std::iter::repeat_n(&headers[0], 100));
    assert_eq!(session.get("a").unwrap(), None);
    assert_eq!(store.calls(), (0, 0, 0));

    // Of several that could be secrets, at most four are looked up.
    let planted: String = (b'A'..=b'Z')
        .map(|letter| format!("{name}={}A; ", char::from(letter).to_string().repeat(42)))
        .collect();
    let session = sessions.open_from_headers([&planted]);
    assert_eq!(session.get("a").unwrap(), None);
    assert_eq!(store.calls(), (4, 0, 0));
}

//! What a visitor or a template can make this crate keep has a limit: 17.

use liquid_session::clock::{Clock as _, ManualClock};
use liquid_session::{
    Error, ErrorKind, MemoryStore, ParserBuilderExt as _, Session, SessionConfig, Sessions,
};

use super::{cookie, files};

/// Runs a template on a session, and gives the text of its failure, at the parser or later.
fn refused(session: &Session, template: &str) -> String {
    let parser = liquid::ParserBuilder::with_stdlib().sessions().build();
    let globals = liquid::object!({ "long": "x".repeat(4000) });
    let rendered = match parser.unwrap().parse(template) {
        Ok(page) => session.render(&page, &globals),
        Err(error) => Err(error.into()),
    };
    rendered.expect_err(template).to_string()
}

#[test]
fn security_17_bytes_keys_key_length_and_depth_of_a_session_are_limited() {
    let config = SessionConfig::builder().max_keys(20).build().unwrap();
    let sessions = Sessions::new(MemoryStore::new(), config);
    let session = sessions.open(None);
    session.set("kept", "as it was").unwrap();

    let nested = |depth| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    for (template, limit) in [
        (
            "{% session kept = long | append: long %}".to_owned(),
            "4096 bytes",
        ),
        (
            "{% for i in (1..100) %}{% assign k = context.session.kept | append: long %}{% session kept = k %}{% endfor %}".to_owned(),
            "4096 bytes",
        ),
        (
            (0..30).map(|n| format!("{{% session k{n} = 1 %}}")).collect(),
            "20",
        ),
        (
            format!("{{% session {} = 1 %}}", "k".repeat(129)),
            "128 bytes",
        ),
        (
            format!("{{% session kept = '{}' | parse_json %}}", nested(33)),
            "32 levels",
        ),
    ] {
        let problem = refused(&session, &template);
        assert!(problem.contains("limit"), "{problem}");
        assert!(problem.contains(limit), "{problem}");
        assert_eq!(session.get("kept").unwrap(), Some("as it was".into()));
        assert_eq!(session.keys().unwrap(), ["kept"], "nothing else was kept");
    }

    // From Rust the same, and at the commit once more: two requests that fit one by one.
    let cookie = cookie(&session);
    let (one, other) = (sessions.open(Some(&cookie)), sessions.open(Some(&cookie)));
    for (session, key) in [(&one, "a"), (&other, "b")] {
        let over = session.set(key, "x".repeat(5000)).unwrap_err();
        assert_eq!(over.kind(), ErrorKind::Limit);
        session.set(key, "x".repeat(3000)).unwrap();
    }
    let _ = one.commit().unwrap();
    assert_eq!(other.commit().unwrap_err().kind(), ErrorKind::Limit);
    assert_eq!(sessions.open(Some(&cookie)).keys().unwrap(), ["a", "kept"]);
}

#[test]
fn security_17_sessions_in_memory_are_limited_and_robots_push_nobody_out() {
    const CAPACITY: usize = 500;
    let clock = ManualClock::new();
    let store = MemoryStore::with_capacity(CAPACITY);
    let sessions = Sessions::new(store, SessionConfig::default()).with_clock(clock.clone());
    let visit = || -> Result<Option<String>, Error> {
        let session = sessions.open(None);
        session.set("filler", "x".repeat(4000))?;
        Ok(session.commit()?.secret().map(|secret| secret.expose()))
    };
    let session = sessions.open(None);
    session.set("cart", "full").unwrap();
    let customer = cookie(&session);

    let mut full = 0;
    for visitor in 0..4 * CAPACITY {
        // Also those that bring a forged secret each.
        let forged = format!("{visitor:0>43}");
        assert_eq!(sessions.open(Some(&forged)).get("cart").unwrap(), None);
        match visit() {
            Ok(_) => assert_eq!(full, 0, "once it is full it stays so"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Full);
                full += 1;
            }
        }
    }
    assert_eq!(full, 3 * CAPACITY + 1, "the customer's session has a place");

    let (mut held, mut bytes) = (0, 0);
    let counted = sessions.store().scan(clock.now(), &mut |_, record| {
        held += 1;
        bytes += record.size();
        true
    });
    counted.unwrap();
    assert_eq!(held, CAPACITY);
    assert!(bytes <= CAPACITY * sessions.config().max_bytes(), "{bytes}");
    let session = sessions.open(Some(&customer));
    assert_eq!(session.get("cart").unwrap(), Some("full".into()));
    session.set("cart", "fuller").unwrap();
    let _ = session.commit().unwrap();

    // What has expired makes room, without a sweep.
    clock.advance(sessions.config().timeout());
    assert!(visit().unwrap().is_some());
}

/// A visitor chooses the keys of a session and the secrets that a store looks up. Keys of a session
/// are sorted, not hashed; secrets are looked up by their SHA-256. Whatever else is a map hashes with
/// a random seed, as `std` does: a faster hasher without one would bring the attack back.
#[test]
fn security_17_no_map_hashes_without_a_random_seed() {
    let files = files("src");
    for path in &files {
        let code = std::fs::read_to_string(path).unwrap();
        for word in [
            "hashbrown::HashMap",
            "hashbrown::HashSet",
            "BuildHasherDefault",
            "with_hasher",
            "FxHash",
            "ahash",
            "fnv",
        ] {
            assert!(!code.contains(word), "{} uses {word}", path.display());
        }
    }
    assert!(!files.is_empty(), "no sources");
}

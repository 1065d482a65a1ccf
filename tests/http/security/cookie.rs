//! The secret and its cookie: 1 to 5.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::COOKIE;
use liquid_session::SessionConfig;
use liquid_session::config::{Environment, SameSite};

use super::{FORGED, secret};
use crate::support::{Answer, Site, Watched};

#[tokio::test]
async fn security_01_a_secret_is_256_random_bits_and_its_name_tells_nothing() {
    let site = Site::new();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..500 {
        let mut browser = site.browser();
        let answer = browser.get("/set/a/1").await;
        let secret = secret(&browser);
        assert_eq!(secret.len(), 43, "256 bits in base64url");
        let alphabet = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        assert!(secret.bytes().all(alphabet), "{secret}");
        assert!(answer.set_cookie().unwrap().starts_with("__Host-sid="));
        assert!(seen.insert(secret), "twice the same secret");
    }
    // Every position varies: no counter, no time, no constant part.
    for position in 0..42 {
        let letters = seen.iter().map(|secret| secret.as_bytes()[position]);
        let letters: std::collections::HashSet<u8> = letters.collect();
        assert!(
            letters.len() > 40,
            "position {position} has {} letters",
            letters.len()
        );
    }
}

#[tokio::test]
async fn security_02_a_foreign_secret_is_never_adopted_whatever_comes_first() {
    for first in [
        "/get/a",
        "/set/a/1",
        "/clear",
        "/take/a",
        "/renew",
        "/increment",
        "/append",
        "/counter",
        "/login/alice",
        "/logout",
        "/size",
        "/id",
        "/transaction",
        "/revoke_others",
    ] {
        let site = Site::new();
        let mut browser = site.browser();
        browser.secret = Some(FORGED.to_owned());
        let answer = browser.get(first).await;
        assert!(
            answer.status.is_success() || answer.status.is_redirection(),
            "{first}"
        );
        for (name, value) in &answer.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            assert!(!value.contains(FORGED), "{first} echoes it in {name}");
        }
        assert!(
            !answer.body.contains(FORGED),
            "{first} echoes it in the page"
        );

        // Whatever was stored is under another secret.
        let mut attacker = site.browser();
        attacker.secret = Some(FORGED.to_owned());
        assert_eq!(attacker.get("/size").await.body, "0", "{first} adopted it");
        assert_eq!(
            attacker.get("/user").await.body,
            "None",
            "{first} adopted it"
        );
    }
}

#[tokio::test]
async fn security_03_a_cookie_that_is_no_secret_reaches_no_store() {
    let site = Site::new();
    let mut browser = site.browser();
    browser.get("/set/a/1").await;
    let good = secret(&browser);
    let calls = site.store.calls();

    let huge = "A".repeat(100_000);
    let values: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        huge.clone().into_bytes(),
        format!("{good}{huge}").into_bytes(),
        good[..42].into(),
        format!("{good}=").into_bytes(),
        format!("{good}A").into_bytes(),
        format!("\"{good}\"").into_bytes(),
        format!("{}%41", &good[..40]).into_bytes(),
        format!("{}+/", &good[..41]).into_bytes(),
        [&good.as_bytes()[..42], b"\xff"].concat(),
        [&good.as_bytes()[..41], "ż".as_bytes()].concat(),
        format!("{} {}", &good[..20], &good[21..]).into_bytes(),
        b"../../../../etc/passwd".to_vec(),
    ];
    for value in values {
        let cookie = [b"__Host-sid=", &value[..]].concat();
        let answer = browser.get_with("/get/a", &[&cookie]).await;
        assert_eq!(answer.body, "None", "{}", value.escape_ascii());
        assert!(answer.set_cookie().is_none());
    }
    // A NUL can't stand in a header of the types used here; other frameworks let it through.
    for with_nul in [
        format!("__Host-sid={}\0", &good[..42]),
        format!("__Host-sid={good}\0"),
    ] {
        assert_eq!(
            site.sessions
                .open_from_headers([with_nul])
                .get("a")
                .unwrap(),
            None
        );
    }
    // To the browser these have no `__Host-` before their name, so a neighbour may set them.
    for space in ["\u{85}", "\u{a0}", "\u{2000}", "\u{3000}"] {
        let planted = format!("{space}__Host-sid={good}");
        let answer = browser.get_with("/get/a", &[planted.as_bytes()]).await;
        assert_eq!(answer.body, "None", "{planted:?}");
    }
    assert_eq!(site.store.calls(), calls, "none of them reached the store");

    // Beside the right one, in any order and header, neither a dead secret nor other text counts.
    let (ours, other) = (format!("__Host-sid={good}"), format!("__Host-sid={FORGED}"));
    let empty = "__Host-sid=".to_owned();
    for [one, two] in [
        [&ours, &other],
        [&other, &ours],
        [&ours, &empty],
        [&empty, &ours],
    ] {
        let both = format!("{one}; {two}");
        let answer = browser.get_with("/get/a", &[both.as_bytes()]).await;
        assert_ne!(answer.body, "None", "{both}");
        let headers = [one.as_bytes(), two.as_bytes()];
        let answer = browser.get_with("/get/a", &headers).await;
        assert_ne!(answer.body, "None", "{both}");
    }

    // A value that is sent twice counts once, and a neighbour's damage is no reason to lose a session.
    for fine in [
        format!("{ours}; {ours}").as_bytes(),
        [b"a=\xff\xfe; ", ours.as_bytes()].concat().as_slice(),
        [b"=; ;;a; ", ours.as_bytes(), b" ; x"].concat().as_slice(),
        format!("__host-sid={FORGED}; {ours}").as_bytes(),
        format!("\u{2000}__Host-sid={FORGED}; {ours}").as_bytes(),
        format!("{}; {ours}", "a=b; ".repeat(5_000)).as_bytes(),
    ] {
        assert!(
            browser
                .get_with("/get/a", &[fine])
                .await
                .body
                .starts_with("Some")
        );
    }
}

#[tokio::test]
async fn security_04_the_secret_comes_from_the_cookie_alone_and_leaves_in_set_cookie_alone() {
    let site = Site::new();
    let mut browser = site.browser();
    let answer = browser.get("/login/alice").await;
    let secret = secret(&browser);
    assert!(!answer.body.contains(&secret));
    for (name, value) in answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "set-cookie")
    {
        assert!(!value.to_str().unwrap().contains(&secret), "{name}");
    }
    let debug = format!("{:?}", answer.headers);
    assert!(
        !debug.contains(&secret),
        "headers that somebody prints: {debug}"
    );

    browser.get("/set/a/1").await;
    for request in [
        Request::get(format!("/get/a?__Host-sid={secret}&sid={secret}")).body(Body::empty()),
        Request::get(format!("/get/a;__Host-sid={secret}")).body(Body::empty()),
        Request::get("/get/a")
            .header("authorization", format!("Bearer {secret}"))
            .body(Body::empty()),
        Request::get("/get/a")
            .header("x-session-id", &secret)
            .body(Body::empty()),
        Request::get("/get/a").body(Body::from(format!("__Host-sid={secret}"))),
        Request::get("/get/a")
            .header(COOKIE, format!("sid={secret}"))
            .body(Body::empty()),
    ] {
        let answer = site.browser().send(request.unwrap()).await;
        assert!(!answer.body.starts_with("Some"), "{}", answer.body);
    }
    for path in ["/id", "/get/a", "/user", "/size"] {
        assert!(!browser.get(path).await.body.contains(&secret), "{path}");
    }
    let session = site.sessions.open(Some(&secret));
    session.get("a").unwrap();
    assert!(!format!("{session:?} {:?}", site.sessions).contains(&secret));
}

#[tokio::test]
async fn security_05_the_cookie_s_attributes_are_explicit() {
    let default = "; HttpOnly; SameSite=Lax; Secure; Path=/";
    let config = SessionConfig::builder;
    for (config, name, attributes) in [
        (config(), "__Host-sid", default),
        (
            config().same_site(SameSite::Strict),
            "__Host-sid",
            "; HttpOnly; SameSite=Strict; Secure; Path=/",
        ),
        (
            config().same_site(SameSite::None),
            "__Host-sid",
            "; HttpOnly; SameSite=None; Secure; Path=/",
        ),
        (
            config().domain("example.com"),
            "__Secure-sid",
            "; HttpOnly; SameSite=Lax; Secure; Path=/; Domain=example.com",
        ),
        (
            config().path("/shop"),
            "__Secure-sid",
            "; HttpOnly; SameSite=Lax; Secure; Path=/shop",
        ),
        (
            config()
                .secure_cookies(false)
                .environment(Environment::Development),
            "sid",
            "; HttpOnly; SameSite=Lax; Path=/",
        ),
        (config().cookie_name("cart"), "cart", default),
    ] {
        let site = Site::with(Watched::new(), config.build().unwrap());
        let mut browser = site.browser();
        let answer = browser.get("/set/a/1").await;
        let secret = secret(&browser);
        // Nothing more: no Max-Age and no Expires, so it ends with the browser.
        assert_eq!(
            answer.set_cookie().unwrap(),
            format!("{name}={secret}{attributes}")
        );
        let answer = browser.get("/logout").await;
        assert_removal(&answer, name, attributes);
    }
    // None never without Secure, in whatever form the settings come.
    let none = SessionConfig::builder()
        .same_site(SameSite::None)
        .environment(Environment::Development)
        .secure_cookies(false);
    assert!(none.build().is_err());

    // Name and value within 4096 bytes.
    let longest = "a".repeat(4096 - 43);
    let site = Site::with(
        Watched::new(),
        config().cookie_name(&longest).build().unwrap(),
    );
    let mut browser = site.browser();
    let answer = browser.get("/set/a/1").await;
    let pair = answer.set_cookie().unwrap().split(';').next().unwrap();
    assert_eq!(pair.len() - "=".len(), 4096);
    assert!(
        config()
            .cookie_name(&format!("{longest}a"))
            .build()
            .is_err()
    );
}

/// The order of attributes has no meaning; which there are has.
#[track_caller]
fn assert_removal(answer: &Answer, name: &str, attributes: &str) {
    let sorted = |text: &str| {
        let mut parts: Vec<String> = text.split("; ").map(str::to_owned).collect();
        parts.sort();
        parts
    };
    let expected = format!("{name}={attributes}; Max-Age=0");
    assert_eq!(sorted(answer.set_cookie().unwrap()), sorted(&expected));
}

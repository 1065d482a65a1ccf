//! The promises 20 to 28 of the security page, one test each.

use std::time::Duration;

use axum::http::header::CACHE_CONTROL;
use liquid_session::config::Environment;
use liquid_session::store::Revoke;
use liquid_session::{
    Answer, Error, ErrorKind, MemoryStore, ParserBuilderExt as _, SessionConfig, Sessions, Status,
};

use crate::support::*;

#[tokio::test]
async fn security_20_an_answer_with_the_cookie_is_never_storable_by_a_shared_cache() {
    let (sessions, _) = site();
    for (handler, expected) in [
        ("public, max-age=3600", "no-store"),
        ("s-maxage=60", "no-store"),
        ("max-age=60", "no-store"),
        ("private=\"set-cookie\", max-age=60", "no-store"),
        ("public, no-store=\"x\"", "no-store"),
        ("public, max-age=60, must-understand, no-store", "no-store"),
        ("private, max-age=60", "private, max-age=60"),
        ("no-store", "no-store"),
        ("", "no-store"),
    ] {
        let response = request(&sessions, &[], move |session, response| {
            session.login("ann").unwrap();
            let headers = response.headers_mut();
            if !handler.is_empty() {
                headers.insert(CACHE_CONTROL, handler.parse().unwrap());
            }
            for name in [
                "cdn-cache-control",
                "surrogate-control",
                "x-accel-expires",
                "cloudflare-cdn-cache-control",
                "edge-control",
                "x-litespeed-cache-control",
            ] {
                headers.insert(name, "max-age=3600".parse().unwrap());
            }
        });
        let response = response.await;
        assert_eq!(set_cookies(&response).len(), 1, "{handler}");
        let found: Vec<_> = response.headers().get_all(CACHE_CONTROL).iter().collect();
        assert_eq!(found, [expected], "{handler}");
        let names = response.headers().keys().map(|name| name.as_str());
        let other: Vec<_> = names.filter(|name| name.contains("-control")).collect();
        assert_eq!(other, ["cache-control"], "{handler}");
        assert!(!response.headers().contains_key("x-accel-expires"));
    }
    // Without the cookie, the handler's word stands.
    let cookie = begin(&sessions, None);
    let response = request(&sessions, &[&cookie], |session, response| {
        session.get("a").unwrap();
        response
            .headers_mut()
            .insert(CACHE_CONTROL, "public".parse().unwrap());
    });
    assert_eq!(response.await.headers()[CACHE_CONTROL], "public");
}

#[test]
fn security_21_logout_ends_the_session_under_a_renewed_secret_too() {
    for by_login in [false, true] {
        for hops in 1..4 {
            let (sessions, clock) = site();
            let first = begin(&sessions, Some("ann"));
            let out = loaded(&sessions, &first);
            let mut last = first;
            for _ in 0..hops {
                let slow = loaded(&sessions, &last);
                if by_login {
                    slow.login("ann").unwrap();
                } else {
                    slow.renew().unwrap();
                }
                last = cookie(&slow);
                clock.advance(Duration::from_secs(15));
            }
            out.logout().unwrap();
            assert!(out.commit().unwrap().removes_cookie());
            assert!(
                !is_alive(&sessions, &last),
                "by login {by_login}, {hops} hops"
            );
            assert!(sessions.user_sessions("ann").unwrap().is_empty());
        }
    }
    // Without a user, only the forwards lead there.
    for hops in 1..4 {
        let (sessions, _) = site();
        let mut last = begin(&sessions, None);
        let out = [loaded(&sessions, &last), sessions.open(Some(&last))];
        for _ in 0..hops {
            last = renewed(&sessions, &last);
        }
        out[hops % 2].logout().unwrap();
        assert!(!is_alive(&sessions, &last), "{hops} hops");
    }
    // Nothing that was staged before comes back, by a rollback or otherwise.
    let (sessions, _) = site();
    let session = loaded(&sessions, &begin(&sessions, Some("ann")));
    session.set("b", 2).unwrap();
    session.login("ann").unwrap();
    let failed = session.transaction(|session| {
        session.logout()?;
        Err::<(), _>(Error::new(ErrorKind::Value, "no"))
    });
    assert!(failed.is_err());
    assert_eq!(session.commit().unwrap().status(), Status::Ended);
    assert!(sessions.user_sessions("ann").unwrap().is_empty());
}

#[tokio::test]
async fn security_22_a_foreign_cookie_beside_the_right_one_locks_no_visitor_out() {
    let (sessions, _) = site();
    let mine = begin(&sessions, None);
    let dead = begin(&sessions, None);
    sessions.open(Some(&dead)).logout().unwrap();
    let forged = "A".repeat(43);
    for cookies in [
        vec![&*dead, &mine],
        vec![&mine, &*dead],
        vec!["", "x", "no secret at all", &mine],
        vec![&forged, &dead, &mine, &mine],
    ] {
        let response = request(&sessions, &cookies, |session, _| {
            assert_eq!(session.get("a").unwrap(), Some(1.into()));
        });
        assert!(set_cookies(&response.await).is_empty());
    }
    // Two that open sessions open none, and neither lives on.
    let other = begin(&sessions, Some("mallory"));
    let response = request(&sessions, &[&mine, &other], |session, _| {
        assert_eq!(session.get("a").unwrap(), None);
        assert_eq!(session.user().unwrap(), None);
    });
    let removals = set_cookies(&response.await);
    assert!(removals.iter().all(|header| header.contains("Max-Age=0")));
    assert_eq!(removals.len(), 1);
    assert!(!is_alive(&sessions, &mine) && !is_alive(&sessions, &other));
}

#[test]
fn security_23_tighter_timeouts_bind_existing_sessions() {
    let minutes = |count: u32| Duration::from_secs(60 * u64::from(count));
    for (idle, absolute, after) in [(15, None, 15), (43_200, Some(60), 60), (15, Some(60), 15)] {
        let clock = liquid_session::clock::ManualClock::new();
        let store = std::sync::Arc::new(MemoryStore::new());
        let open = |config| Sessions::new(store.clone(), config).with_clock(clock.clone());
        let loose = open(SessionConfig::default());
        let cookies: Vec<_> = (0..3).map(|_| begin(&loose, Some("ann"))).collect();
        let mut config = SessionConfig::builder().timeout_minutes(idle);
        if let Some(absolute) = absolute {
            config = config.absolute_timeout_minutes(absolute);
        }
        let tight = open(config.build().unwrap());
        clock.advance(minutes(after) - Duration::from_millis(1));
        assert!(is_alive(&tight, &cookies[0]), "{idle} {absolute:?}");
        clock.advance(Duration::from_millis(1));
        assert!(!is_alive(&tight, &cookies[1]), "{idle} {absolute:?}");
        assert!(tight.user_sessions("ann").unwrap().is_empty());
        // Looser ones come back with a use under them, not by themselves.
        assert!(is_alive(&loose, &cookies[2]));
    }
}

#[test]
fn security_24_text_from_outside_enters_no_error_or_log_unescaped() {
    let evil = "q\n2026-01-01 INFO all is well\r\x1b[31m\u{2028}\u{202e}";
    let (log, _guard) = Log::listen();
    let (sessions, _) = site();
    let session = sessions.open(None);
    let mut texts = Vec::new();
    let mut note = |error: Error| texts.push(format!("{error}"));
    note(session.set(evil, "x".repeat(10_000)).unwrap_err());
    note(session.set(evil, f64::NAN).unwrap_err());
    session.set(evil, "text").unwrap();
    note(session.increment(evil, 1).unwrap_err());
    note(session.append(evil, 1).unwrap_err());
    note(
        session
            .login(format!("{evil}{}", "x".repeat(300)))
            .unwrap_err(),
    );
    let login = liquid_session::Login::new("ann").label(format!("{evil}{}", "x".repeat(300)));
    note(session.login(login).unwrap_err());
    note(SessionConfig::builder().path(evil).build().unwrap_err());
    note(SessionConfig::builder().domain(evil).build().unwrap_err());
    note(
        SessionConfig::builder()
            .cookie_name(evil)
            .build()
            .unwrap_err(),
    );
    note(SessionConfig::from_yaml(&format!("{evil:?}: 1")).unwrap_err());
    session.login(evil).unwrap();
    assert_eq!(session.commit().unwrap().status(), Status::Created);
    sessions.revoke(evil, Revoke::All).unwrap();
    let deny = SessionConfig::builder().sensitive_data(liquid_session::config::SensitiveData::Deny);
    let (strict, _) = site_with(deny.build().unwrap());
    note(
        strict
            .open(None)
            .set(&format!("{evil}password"), "hunter2hunter2")
            .unwrap_err(),
    );
    let lines = log.take();
    for text in texts.iter().map(String::as_str).chain(lines.lines()) {
        for c in ['\n', '\r', '\x1b', '\u{2028}', '\u{202e}'] {
            assert!(!text.contains(c), "{c:?} in {text:?}");
        }
        assert!(!text.starts_with("2026-01-01"), "{text}");
    }
}

#[test]
fn security_25_json_in_a_page_cannot_end_a_script() {
    let parser = liquid::ParserBuilder::with_stdlib()
        .sessions()
        .build()
        .unwrap();
    let (sessions, _) = site();
    let session = sessions.open(None);
    let evil = "</script><!--&\u{2028}\u{2029}";
    session.set("name", evil).unwrap();
    session.set(evil, vec![evil]).unwrap();
    for page in [
        "{{ context.session.name | json }}",
        "{{ context.session | json }}",
        "{{ context.session | to_json }}",
        "{% assign s = context.session %}{{ s | json }}",
    ] {
        let page = parser.parse(page).unwrap();
        let json = session.render(&page, &liquid::Object::new()).unwrap();
        assert!(json.contains("\\u003c/script\\u003e"), "{json}");
        for c in ['<', '>', '&', '\u{2028}', '\u{2029}'] {
            assert!(!json.contains(c), "{c:?} in {json}");
        }
        serde_json::from_str::<serde_json::Value>(&json).unwrap();
    }
}

#[test]
fn security_26_damage_in_one_record_harms_no_other() {
    let (sessions, clock) = site();
    let damaged = begin(&sessions, Some("ann"));
    damage_value(&sessions, &clock);
    let healthy: Vec<_> = (0..8).map(|_| begin(&sessions, Some("ann"))).collect();
    let session = sessions.open(Some(&damaged));
    assert_eq!(session.get("a").unwrap_err().kind(), ErrorKind::Corrupt);
    let finished = session.finish(Answer::Good);
    assert_eq!(finished.error.unwrap().kind(), ErrorKind::Corrupt);
    assert!(finished.cookie.unwrap().removes_cookie());
    // The visitor's next request works.
    assert_eq!(sessions.open(Some(&damaged)).get("a").unwrap(), None);
    assert!(healthy.iter().all(|cookie| is_alive(&sessions, cookie)));
    assert_eq!(sessions.user_sessions("ann").unwrap().len(), 8);
    assert_eq!(sessions.revoke("ann", Revoke::All).unwrap(), 8);
}

#[tokio::test]
async fn security_27_insecure_cookies_need_development() {
    let insecure = || SessionConfig::builder().secure_cookies(false);
    for config in [insecure(), insecure().environment(Environment::Production)] {
        let error = config.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(
            error.to_string().contains("environment: development"),
            "{error}"
        );
    }
    assert!(SessionConfig::from_yaml("secure_cookies: false").is_err());
    let development = insecure().environment(Environment::Development).build();
    for (config, secure) in [
        (development.unwrap(), false),
        (SessionConfig::default(), true),
    ] {
        let (sessions, _) = site_with(config);
        let response = request(&sessions, &[], |session, _| session.set("a", 1).unwrap()).await;
        let cookie = &set_cookies(&response)[0];
        assert_eq!(cookie.contains("; Secure"), secure, "{cookie}");
    }
}

#[test]
fn security_28_an_ended_session_does_nothing_more() {
    for revoked in [false, true] {
        let (sessions, _) = site();
        let stolen = begin(&sessions, Some("ann"));
        let rightful = begin(&sessions, Some("ann"));
        let slow: Vec<_> = (0..6).map(|_| loaded(&sessions, &stolen)).collect();
        if revoked {
            loaded(&sessions, &rightful).revoke_others().unwrap();
        } else {
            sessions.open(Some(&stolen)).logout().unwrap();
        }
        assert_eq!(slow[0].revoke_others().unwrap(), 0);
        assert_eq!(slow[1].take("a").unwrap(), None);
        slow[2].renew().unwrap();
        assert_eq!(slow[2].commit().unwrap().status(), Status::Gone);
        slow[3].set("b", 2).unwrap();
        slow[3].login("ann").unwrap();
        let outcome = slow[3].commit().unwrap();
        assert!(outcome.status() == Status::Gone && outcome.secret().is_none());
        let lost = slow[4]
            .transaction(|session| session.set("b", 2))
            .unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::Gone);
        assert_eq!(slow[5].user_sessions().unwrap().len(), 1);
        assert!(is_alive(&sessions, &rightful));
        assert!(!is_alive(&sessions, &stolen));
    }
}

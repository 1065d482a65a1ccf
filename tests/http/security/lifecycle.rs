//! From the first visit to the end: 6 to 11, and 18.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use liquid_session::SessionConfig;

use crate::support::{Site, Watched};

fn vary(headers: &HeaderMap) -> Vec<&str> {
    let values = headers.get_all("vary").iter();
    values.map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test]
async fn security_06_signing_in_gives_a_new_secret_and_the_old_one_is_dead() {
    for change in ["/login/alice", "/renew"] {
        for site in Site::each() {
            let mut browser = site.browser();
            browser.get("/set/cart/full").await;
            browser.get("/login/alice").await;
            let (old, id) = (browser.clone(), browser.get("/id").await.body);
            let created = site.sessions.user_sessions("alice").unwrap()[0].created;
            site.clock.advance(Duration::from_secs(1));

            // Once more, as for a change that wants the password again.
            let answer = browser.get(change).await;
            assert!(answer.set_cookie().is_some(), "{change}");
            assert_ne!(browser.secret, old.secret);
            assert_eq!(
                old.clone().get("/size").await.body,
                "0",
                "{change}: the old secret opens it"
            );
            assert_eq!(
                browser.get("/get/cart").await.body,
                "Some(String(\"full\"))"
            );
            assert_eq!(browser.get("/id").await.body, id);
            let list = site.sessions.user_sessions("alice").unwrap();
            assert_eq!(list.len(), 1);
            assert_eq!(
                list[0].created, created,
                "{change} made the session younger"
            );
        }
    }
}

#[tokio::test]
async fn security_07_timeouts_end_a_session_on_the_server_at_the_exact_edge() {
    let minute = Duration::from_secs(60);
    let last = Duration::from_millis(1);
    let config = SessionConfig::builder()
        .timeout_minutes(30)
        .build()
        .unwrap();
    let site = Site::with(Watched::new(), config);
    for (idle, alive) in [(30 * minute - last, true), (30 * minute, false)] {
        let mut browser = site.browser();
        browser.get("/set/a/1").await;
        site.clock.advance(idle);
        assert_eq!(
            browser.get("/get/a").await.body != "None",
            alive,
            "idle for {idle:?}"
        );
    }

    let config = SessionConfig::builder()
        .timeout_minutes(30)
        .absolute_timeout_minutes(60);
    let site = Site::with(Watched::new(), config.build().unwrap());
    let mut browser = site.browser();
    browser.get("/set/a/1").await;
    for _ in 0..5 {
        site.clock.advance(10 * minute);
        browser.get("/renew").await;
    }
    site.clock.advance(10 * minute - last);
    assert!(
        browser.get("/get/a").await.body != "None",
        "neither use nor renewal ends it"
    );
    site.clock.advance(last);
    assert!(
        browser.get("/get/a").await.body == "None",
        "neither use nor renewal lengthens it"
    );
}

#[tokio::test]
async fn security_08_signing_out_ends_the_session_and_a_slow_request_brings_nothing_back() {
    for site in Site::each() {
        let mut browser = site.browser();
        browser.get("/login/alice").await;
        let mut slow = browser.clone();
        let slow = tokio::spawn(async move { slow.get("/slow/cart/full").await });
        site.loaded.notified().await;

        let before = browser.clone();
        let answer = browser.get("/logout").await;
        assert!(answer.set_cookie().unwrap().contains("Max-Age=0"));
        assert_eq!(browser.secret, None);
        assert_eq!(site.store.records(), 0);

        site.go_on.notify_one();
        let answer = slow.await.unwrap();
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.set_cookie().is_none(), "no cookie for what is gone");
        assert_eq!(site.store.records(), 0, "under no secret");
        assert_eq!(before.clone().get("/user").await.body, "None");
    }
}

#[tokio::test]
async fn security_08_a_removal_goes_out_whatever_the_status() {
    for site in Site::each() {
        let mut browser = site.browser();
        browser.get("/set/a/1").await;
        let answer = browser.get("/broken/logout").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.set_cookie().unwrap().contains("Max-Age=0"));
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(site.store.records(), 0);

        // Also when what was written afterwards can't be stored.
        browser.get("/set/a/1").await;
        let mut slow = browser.clone();
        let slow = tokio::spawn(async move { slow.get("/logout_then_set").await });
        site.loaded.notified().await;
        site.store.set_down(true);
        site.go_on.notify_one();
        let answer = slow.await.unwrap();
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.set_cookie().unwrap().contains("Max-Age=0"));
    }
}

#[tokio::test]
async fn security_09_a_user_s_sessions_can_be_listed_and_ended() {
    for site in Site::each() {
        let (mut phone, mut laptop, mut other) = (site.browser(), site.browser(), site.browser());
        for browser in [&mut phone, &mut laptop] {
            browser.get("/login/alice").await;
        }
        other.get("/login/bob").await;
        assert_eq!(site.sessions.user_sessions("alice").unwrap().len(), 2);

        assert_eq!(laptop.get("/revoke_others").await.body, "1");
        assert_eq!(phone.get("/user").await.body, "None");
        assert_eq!(laptop.get("/user").await.body, "Some(\"alice\")");

        // By the public handle, which opens nothing itself.
        let list = site.sessions.user_sessions("alice").unwrap();
        let id = list[0].id;
        assert_eq!(list.len(), 1);
        let mut thief = site.browser();
        thief.secret = Some(id.to_string());
        assert_eq!(thief.get("/user").await.body, "None");
        site.sessions
            .revoke("alice", liquid_session::store::Revoke::One(id))
            .unwrap();
        assert_eq!(laptop.get("/user").await.body, "None");
        assert_eq!(other.get("/user").await.body, "Some(\"bob\")");
        site.sessions
            .revoke("bob", liquid_session::store::Revoke::All)
            .unwrap();
        assert_eq!(other.get("/user").await.body, "None");
    }
}

#[tokio::test]
async fn security_10_a_mere_visit_makes_no_record_and_no_cookie() {
    for site in Site::each() {
        let mut browser = site.browser();
        let answer = browser.get("/").await;
        assert_eq!(answer.body, "home");
        assert!(answer.set_cookie().is_none());
        for read in [
            "/get/a", "/size", "/id", "/user", "/take/a", "/clear", "/renew", "/logout",
        ] {
            assert!(browser.get(read).await.set_cookie().is_none(), "{read}");
        }
        assert_eq!(
            site.store.calls(),
            0,
            "without a cookie there is nothing to ask for"
        );

        browser.get("/set/a/1").await;
        let calls = site.store.calls();
        assert_eq!(browser.get("/").await.body, "home");
        assert_eq!(
            site.store.calls(),
            calls,
            "nor with one on a page that leaves the session alone"
        );
        browser.get("/get/a").await;
        assert_eq!(
            site.store.calls(),
            calls + 1,
            "a page that reads loads once and writes nothing"
        );
    }
}

#[tokio::test]
async fn security_11_no_cache_keeps_a_cookie_and_no_cache_mixes_visitors() {
    for site in Site::each() {
        let mut browser = site.browser();
        let answer = browser.get("/").await;
        assert!(vary(&answer.headers).is_empty());
        assert!(!answer.headers.contains_key("cache-control"));

        let answer = browser.get("/get/a").await;
        assert_eq!(
            vary(&answer.headers),
            ["Cookie"],
            "it would differ for another visitor"
        );
        assert!(!answer.headers.contains_key("cache-control"));

        let answer = browser.get("/set/a/1").await;
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(vary(&answer.headers), ["Cookie"]);

        let answer = browser.get("/logout").await;
        assert_eq!(answer.headers["cache-control"], "no-store");

        let answer = browser.get("/own_cache").await;
        assert!(answer.set_cookie().is_some());
        assert_eq!(
            answer.headers["cache-control"], "private, max-age=5",
            "the app's own stays"
        );
        assert_eq!(vary(&answer.headers), ["Accept", "Cookie"]);

        let answer = browser.get("/varies").await;
        assert_eq!(vary(&answer.headers), ["Accept, COOKIE"], "said once");
    }
}

#[tokio::test]
async fn security_18_a_user_s_session_opens_for_nobody_else() {
    for site in Site::each() {
        let mut browser = site.browser();
        browser.get("/login/alice").await;
        browser.get("/set/cart/full").await;
        assert!(
            browser
                .get("/as/alice/get/cart")
                .await
                .body
                .starts_with("Some")
        );
        let answer = browser.get("/as/bob/get/cart").await;
        assert_eq!(answer.body, "None");
        assert!(answer.set_cookie().is_none());
        assert!(
            browser
                .get("/as/alice/get/cart")
                .await
                .body
                .starts_with("Some"),
            "and it is not lost"
        );

        // A session that belongs to nobody yet is open to whoever signs in.
        let mut visitor = site.browser();
        visitor.get("/set/cart/full").await;
        assert!(
            visitor
                .get("/as/bob/get/cart")
                .await
                .body
                .starts_with("Some")
        );
    }
}

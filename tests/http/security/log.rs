//! What the log and the visitor are told: 13 and 16.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use liquid_session::{Error, SessionConfig};
use parking_lot::Mutex;
use tracing::Instrument as _;

use super::{FORGED, secret};
use crate::support::{ADDRESS, Site, Watched};

/// Where the log goes in these tests.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Takes what this thread logs, until the guard goes.
    fn listen() -> (Self, impl Sized) {
        // With one subscriber alone, tracing asks only the thread that meets an event first whether
        // it is wanted, and that may be another test's.
        let second = tracing::Dispatch::new(tracing_subscriber::registry());
        let log = Self::default();
        let subscriber = log.subscriber();
        (log, (tracing::subscriber::set_default(subscriber), second))
    }

    fn subscriber(&self) -> impl tracing::Subscriber + use<> {
        let writer = self.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish()
    }

    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.0.lock())).unwrap()
    }
}

#[tokio::test]
async fn security_13_events_go_to_the_log_with_the_public_handle_only() {
    let (log, _guard) = Log::listen();
    let site = Site::new();
    let mut browser = site.browser();
    let mut all = String::new();
    let mut secrets = vec![FORGED.to_owned()];
    let mut expect = |words: &[&str]| {
        let text = log.take();
        for word in words {
            assert!(text.contains(word), "{word:?} is not in: {text}");
        }
        all.push_str(&text);
    };

    browser.get("/set/sesame/open").await;
    secrets.push(secret(&browser));
    let id = site
        .sessions
        .open(Some(&secret(&browser)))
        .id()
        .unwrap()
        .unwrap()
        .to_string();
    expect(&["INFO liquid_session: session created", &id]);

    browser.get("/login/alice").await;
    secrets.push(secret(&browser));
    expect(&["session renewed", &id]);

    let mut stranger = site.browser();
    stranger.secret = Some(FORGED.to_owned());
    stranger.get("/get/sesame").await;
    expect(&["DEBUG liquid_session: a secret was presented that opens no session"]);

    browser.get("/as/bob/get/sesame").await;
    expect(&["belongs to another user", &id]);

    let mut slow = browser.clone();
    let slow = tokio::spawn(async move { slow.get("/slow/sesame/open").await });
    site.loaded.notified().await;
    browser.get("/logout").await;
    expect(&["session ended by its visitor"]);
    site.go_on.notify_one();
    slow.await.unwrap();
    expect(&["session ended while a request was running", &id]);

    browser.get("/login/alice").await;
    secrets.push(secret(&browser));
    let other = site.sessions.open(None);
    other.login("alice").unwrap();
    let _ = other.commit().unwrap();
    browser.get("/revoke_others").await;
    expect(&["sessions of a user revoked", "count=1"]);

    let session = site.sessions.open(Some(&secret(&browser)));
    let rival = site.sessions.open(Some(&secret(&browser)));
    let mut first = true;
    let counted = session.transaction(|session| {
        session.increment("n", 1)?;
        if std::mem::take(&mut first) {
            rival.increment("n", 1)?;
            let _ = rival.commit()?;
        }
        Ok::<_, Error>(())
    });
    assert!(counted.is_ok());
    expect(&["DEBUG liquid_session: a transaction met a conflict"]);

    site.clock.advance(Duration::from_secs(31 * 24 * 60 * 60));
    site.sessions.sweep(10).unwrap();
    expect(&["expired sessions removed", "count=1"]);

    site.store.set_down(true);
    let mut stranger = site.browser();
    for (browser, path) in [
        (&mut browser.clone(), "/ignores_errors"),
        (&mut browser.clone(), "/get/sesame"),
        (&mut browser, "/logout"),
        (&mut stranger, "/set/a/1"),
    ] {
        assert!(browser.get(path).await.status.is_server_error());
        expect(&["ERROR liquid_session: a session failed", ADDRESS]);
    }

    for secret in secrets {
        assert!(!all.contains(&secret), "a secret is in the log");
    }
    for private in ["sesame", "open\"", "alice", "bob"] {
        assert!(!all.contains(private), "{private:?} is in the log: {all}");
    }
}

/// The one subscriber of the process here: threads for blocking work know no other.
#[tokio::test]
async fn events_of_a_blocking_store_stand_in_the_span_of_their_request() {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.subscriber()).unwrap();
    let site = Site::with(Watched::new().blocking(), SessionConfig::default());
    let request = tracing::info_span!("request", number = 7);
    site.browser().get("/set/a/1").instrument(request).await;
    let text = log.take();
    let line = "INFO request{number=7}: liquid_session: session created";
    assert!(text.contains(line), "{text}");
}

#[tokio::test]
async fn security_16_an_error_tells_the_visitor_nothing() {
    let site = Site::new();
    let mut browser = site.browser();
    browser.get("/set/sesame/open").await;
    let secret = secret(&browser);
    site.store.set_down(true);

    // A handler that shows the error it got: the text is generic.
    let answer = browser.get("/get/sesame").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.body, "the session store can't be reached");
    // One that did not even notice: a page with missing parts does not go out as if it were whole.
    let answer = browser.get("/ignores_errors").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.body, "");
    for (name, value) in &answer.headers {
        let text = format!("{name}: {}", value.to_str().unwrap());
        for private in [ADDRESS, "sesame", &secret] {
            assert!(!text.contains(private), "{text}");
        }
    }
    assert!(answer.set_cookie().is_none(), "an outage signs nobody out");
    let error = answer
        .extensions
        .get::<Error>()
        .expect("the cause, for the host");
    assert!(!error.to_string().contains(ADDRESS));
    let source = std::error::Error::source(error).unwrap();
    assert!(source.to_string().contains(ADDRESS));

    let answer = site.browser().get("/set/a/1").await;
    assert_eq!(
        (answer.status, &*answer.body),
        (StatusCode::SERVICE_UNAVAILABLE, "")
    );
    assert!(answer.set_cookie().is_none());

    // A page that leaves the session alone does not care.
    assert_eq!(browser.get("/").await.body, "home");
    site.store.set_down(false);
    assert_eq!(
        browser.get("/get/sesame").await.body,
        "Some(String(\"open\"))"
    );
}

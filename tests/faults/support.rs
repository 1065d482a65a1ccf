//! A site of one handler behind the real layer, the cookies of its answers, and its log.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{Request, Response};
use liquid_session::clock::ManualClock;
use liquid_session::http::{SessionBody, SessionLayer};
use liquid_session::store::{Loaded, Record, StoreKey, Swap};
use liquid_session::{MemoryStore, Session, SessionConfig, Sessions};
use tower::{ServiceBuilder, ServiceExt as _, service_fn};

pub(crate) fn site() -> (Sessions, ManualClock) {
    site_with(SessionConfig::default())
}

pub(crate) fn site_with(config: SessionConfig) -> (Sessions, ManualClock) {
    let clock = ManualClock::new();
    let sessions = Sessions::new(MemoryStore::new(), config).with_clock(clock.clone());
    (sessions, clock)
}

/// Commits, and gives the cookie that this led to.
pub(crate) fn cookie(session: &Session) -> String {
    session.commit().unwrap().secret().unwrap().expose()
}

/// Begins a session with `a: 1`, for a user or for none.
pub(crate) fn begin(sessions: &Sessions, user: Option<&str>) -> String {
    let session = sessions.open(None);
    session.set("a", 1).unwrap();
    if let Some(user) = user {
        session.login(user).unwrap();
    }
    cookie(&session)
}

pub(crate) fn is_alive(sessions: &Sessions, cookie: &str) -> bool {
    sessions.open(Some(cookie)).id().unwrap().is_some()
}

/// Opens a session and loads it.
pub(crate) fn loaded(sessions: &Sessions, cookie: &str) -> Session {
    let session = sessions.open(Some(cookie));
    assert!(session.id().unwrap().is_some());
    session
}

/// Renews a session in a request of its own.
pub(crate) fn renewed(sessions: &Sessions, secret: &str) -> String {
    let session = loaded(sessions, secret);
    session.renew().unwrap();
    cookie(&session)
}

pub(crate) fn request<W>(
    sessions: &Sessions,
    cookies: &[&str],
    work: W,
) -> impl Future<Output = Response<SessionBody<String>>> + use<W>
where
    W: Fn(&Session, &mut Response<String>) + Clone + Send + 'static,
{
    let layer = SessionLayer::new(sessions.clone()).assume_https();
    let site =
        ServiceBuilder::new()
            .layer(layer)
            .service(service_fn(move |request: Request<String>| {
                let session = request.extensions().get::<Session>().unwrap();
                let mut response = Response::new(String::new());
                work(session, &mut response);
                std::future::ready(Ok::<_, Infallible>(response))
            }));
    let mut request = Request::new(String::new());
    let name = sessions.config().cookie_name();
    let pairs: Vec<_> = cookies
        .iter()
        .map(|value| format!("{name}={value}"))
        .collect();
    if !pairs.is_empty() {
        let header = pairs.join("; ").parse().unwrap();
        request.headers_mut().insert(COOKIE, header);
    }
    async move { site.oneshot(request).await.unwrap() }
}

pub(crate) fn set_cookies<B>(response: &Response<B>) -> Vec<String> {
    let headers = response.headers().get_all(SET_COOKIE).iter();
    headers
        .map(|value| value.to_str().unwrap().to_owned())
        .collect()
}

/// Damages the value under `a` of the only session in a store.
pub(crate) fn damage_value(sessions: &Sessions, clock: &ManualClock) {
    use liquid_session::clock::Clock as _;
    let mut found: Option<(StoreKey, Record)> = None;
    let store = sessions.store();
    let visit = &mut |key: &StoreKey, record: &Record| {
        found = Some((*key, record.clone()));
        true
    };
    store.scan(clock.now(), visit).unwrap();
    let (key, before) = found.unwrap();
    let mut bytes = before.to_bytes();
    let tag = bytes
        .windows(3)
        .rposition(|window| window == b"ai1")
        .unwrap()
        + 1;
    bytes[tag] = b'z';
    let after = Record::from_bytes(&bytes).unwrap();
    let swap = Swap::Replace {
        before: &before,
        after: &after,
    };
    store.swap(&key, swap, clock.now()).unwrap();
    assert!(matches!(
        store.load(&key, clock.now()),
        Ok(Loaded::Found(_))
    ));
}

/// Where the log of a test goes.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Takes what this thread logs, until the guard goes.
    pub(crate) fn listen() -> (Self, impl Sized) {
        // With one subscriber alone, tracing asks only the thread that meets an event first.
        let second = tracing::Dispatch::new(tracing_subscriber::registry());
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, (tracing::subscriber::set_default(subscriber), second))
    }

    pub(crate) fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap()
    }
}

//! Any `Cookie` headers, through `open_from_headers` and through the layer, against a parser of a
//! few lines: one session at most, the store asked only for what has the form of a secret, and no
//! secret taken over from outside.
#![no_main]

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::LazyLock;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{HeaderValue, Request, Response};
use libfuzzer_sys::fuzz_target;
use liquid_session::clock::{ManualClock, Timestamp};
use liquid_session::config::Environment;
use liquid_session::http::SessionLayer;
use liquid_session::store::{
    Change, Committed, Lifetime, Limits, Loaded, Record, SessionStore, StoreKey, Swap, Swapped,
    Touch,
};
use liquid_session::{Error, Session, SessionConfig, SessionId, Sessions};
use tower_layer::Layer as _;
use tower_service::Service;

/// The one session that is alive has the secret of 32 zero bytes, and this is its store key: the shard,
/// and the first 30 bytes of the secret's SHA-256.
const ALIVE: [u8; 32] = [
    0x00, 0x00, 0x66, 0x68, 0x7a, 0xad, 0xf8, 0x62, 0xbd, 0x77, 0x6c, 0x8f, 0xc1, 0x8b, 0x8e, 0x9f,
    0x8e, 0x20, 0x08, 0x97, 0x14, 0x85, 0x6e, 0xe2, 0x33, 0xb3, 0x90, 0x2a, 0x59, 0x1d, 0x0d, 0x5f,
];
const SECRET: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What the store was asked for.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Calls>>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Calls {
    loads: Vec<StoreKey>,
    creates: Vec<StoreKey>,
    changes: Vec<StoreKey>,
}

impl Asked {
    fn take(&self) -> Calls {
        std::mem::take(&mut *self.0.lock().expect("no panic is survived"))
    }
}

impl SessionStore for Asked {
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Loaded, Error> {
        self.0
            .lock()
            .expect("no panic is survived")
            .loads
            .push(*key);
        if *key.as_bytes() != ALIVE {
            return Ok(Loaded::Absent);
        }
        let begin = Change::new(Limits::default(), Lifetime::new(Duration::from_secs(60)))
            .create(SessionId::from_bytes([1; 16]))
            .set("color", &"dark".into());
        let record = begin.created(now)?.expect("it creates a session");
        Ok(Loaded::Found(Arc::new(record)))
    }

    fn commit(
        &self,
        key: &StoreKey,
        change: &Change,
        _loaded: Option<Arc<Record>>,
        now: Timestamp,
    ) -> Result<Committed, Error> {
        let mut calls = self.0.lock().expect("no panic is survived");
        if change.created(now)?.is_some() {
            calls.creates.push(*key);
        } else {
            calls.changes.push(*key);
        }
        Ok(Committed::Stored {
            key: *key,
            merged: false,
        })
    }

    fn swap(&self, _key: &StoreKey, _swap: Swap<'_>, _now: Timestamp) -> Result<Swapped, Error> {
        Ok(Swapped::Done)
    }

    fn touch(&self, _key: &StoreKey, _touch: &Touch<'_>) -> Result<(), Error> {
        Ok(())
    }

    liquid_session_fuzz::nothing_for_operators!();
}

struct Setup {
    asked: Asked,
    sessions: Sessions,
}

/// The cookie is called `__Host-sid` in one, `sid` in the other.
static SETUPS: LazyLock<[Setup; 2]> = LazyLock::new(|| {
    let plain = SessionConfig::builder()
        .secure_cookies(false)
        .environment(Environment::Development)
        .build()
        .expect("these are allowed");
    [SessionConfig::default(), plain].map(|config| {
        let asked = Asked::default();
        let sessions = Sessions::new(asked.clone(), config).with_clock(ManualClock::new());
        Setup { asked, sessions }
    })
});

/// The values of the session's cookie, read as RFC 6265 (5.4) has user agents write them. Other space
/// than that of ASCII is part of the name or the value.
fn values(headers: &[&[u8]], name: &str) -> Vec<String> {
    let mut values = Vec::new();
    for header in headers {
        for pair in String::from_utf8_lossy(header).split(';') {
            if let Some((found, value)) = pair.split_once('=')
                && found.trim_ascii() == name
            {
                values.push(value.trim_ascii().to_owned());
            }
        }
    }
    values
}

/// 43 characters of base64url, of which the last has two bits that must be zero.
fn has_the_form_of_a_secret(text: &str) -> bool {
    let alphabet = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    text.len() == 43
        && text.bytes().all(alphabet)
        && text.ends_with(|c| "AEIMQUYcgkosw048".contains(c))
}

/// What a visitor's request must lead to.
struct Expected {
    /// Of the values in the form of a secret, the first four different ones.
    secrets: Vec<String>,
}

impl Expected {
    fn is_alive(&self) -> bool {
        self.secrets.iter().any(|secret| secret == SECRET)
    }

    fn visit(&self, session: &Session) {
        let color = session.get("color").expect("the store works");
        assert_eq!(color.is_some(), self.is_alive());
        session.set("seen", true).expect("it fits");
        session.set("seen", false).expect("it fits");
    }

    fn check(&self, asked: &Asked, cookie: Option<&str>, name: &str) {
        let calls = asked.take();
        // Of several, each is looked up once.
        assert_eq!(calls.loads.len(), self.secrets.len());
        let loads_it = calls.loads.iter().any(|key| *key.as_bytes() == ALIVE);
        assert_eq!(loads_it, self.is_alive());
        let (creates, changes) = (calls.creates.len(), calls.changes.len());
        if self.is_alive() {
            assert_eq!((creates, changes, cookie), (0, 1, None));
            return;
        }
        assert_eq!((creates, changes), (1, 0));
        // The session that came into being is nobody's but ours.
        assert!(
            !calls.loads.contains(&calls.creates[0]),
            "a secret was adopted"
        );
        let cookie = cookie.expect("a new session needs a cookie");
        let (found, rest) = cookie.split_once('=').expect("a name and a value");
        assert_eq!(found, name);
        let value = rest.split(';').next().expect("there is always one");
        assert!(has_the_form_of_a_secret(value));
        assert!(
            !self.secrets.iter().any(|secret| secret == value),
            "a secret was adopted"
        );
    }
}

thread_local! {
    static EXPECTED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// A page that reads and writes.
struct Page;

impl Service<Request<()>> for Page {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let session = request
            .extensions()
            .get::<Session>()
            .expect("the layer put it there");
        let secrets = EXPECTED.with_borrow(Vec::clone);
        Expected { secrets }.visit(session);
        ready(Ok(Response::new(())))
    }
}

fuzz_target!(|data: &[u8]| {
    let headers: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    for Setup { asked, sessions } in &*SETUPS {
        let name = sessions.config().cookie_name();
        let values = values(&headers, name);
        let mut secrets: Vec<String> = Vec::new();
        for value in values {
            if has_the_form_of_a_secret(&value) && secrets.len() < 4 && !secrets.contains(&value) {
                secrets.push(value);
            }
        }
        let expected = Expected { secrets };

        let session = sessions.open_from_headers(&headers);
        assert_eq!(asked.take(), Calls::default(), "opening asks nothing");
        expected.visit(&session);
        let outcome = session.commit().expect("the store works");
        let cookies = sessions.set_cookies(&outcome);
        assert!(cookies.len() <= 1, "two cookies");
        expected.check(asked, cookies.first().map(String::as_str), name);

        let mut request = Request::new(());
        for header in &headers {
            // What no server lets through.
            let Ok(header) = HeaderValue::from_bytes(header) else {
                return;
            };
            request.headers_mut().append("cookie", header);
        }
        EXPECTED.set(expected.secrets.clone());
        let mut service = SessionLayer::new(sessions.clone())
            .assume_https()
            .layer(Page);
        let mut answer = std::pin::pin!(service.call(request));
        let Poll::Ready(Ok(response)) = answer
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        else {
            panic!("nothing in it waits");
        };
        assert_eq!(response.status(), 200);
        let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
        assert!(cookies.len() <= 1, "two cookies");
        let cookie = cookies
            .first()
            .map(|cookie| cookie.to_str().expect("it is ASCII"));
        expected.check(asked, cookie, name);
    }
});

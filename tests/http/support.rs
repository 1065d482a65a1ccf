//! A small site behind the real layer, a browser that keeps its cookie, and a store that is watched.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread::ThreadId;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http_body_util::BodyExt as _;
use liquid_session::clock::{ManualClock, Timestamp};
use liquid_session::config::SessionConfig;
use liquid_session::http::SessionLayer;
use liquid_session::store::{
    AsyncStore, Change, Committed, IndexLine, Loaded, MemoryStore, Record, SessionStore,
    StoreFuture, StoreKey, Swap, Swapped, Touch,
};
use liquid_session::{Error, ErrorKind, Session, Sessions};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tower::ServiceExt as _;

/// What the broken store says to the log, and to nobody else.
pub(crate) const ADDRESS: &str = "10.0.0.7:6379";

/// A memory store that counts its calls, fails on demand, may call itself a blocking one, and may have
/// an async face.
#[derive(Clone)]
pub(crate) struct Watched {
    inner: Arc<MemoryStore>,
    calls: Arc<AtomicUsize>,
    down: Arc<AtomicBool>,
    swept_on: Arc<Mutex<Option<ThreadId>>>,
    blocks: bool,
    awaited: bool,
}

impl Watched {
    pub(crate) fn new() -> Self {
        Self {
            inner: Arc::new(MemoryStore::new()),
            calls: Arc::default(),
            down: Arc::default(),
            swept_on: Arc::default(),
            blocks: false,
            awaited: false,
        }
    }

    pub(crate) fn blocking(mut self) -> Self {
        self.blocks = true;
        self
    }

    pub(crate) fn awaited(mut self) -> Self {
        (self.blocks, self.awaited) = (true, true);
        self
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// The sessions, without keeping them.
    pub(crate) fn held(&self) -> Weak<MemoryStore> {
        Arc::downgrade(&self.inner)
    }

    /// The thread of the last sweep.
    pub(crate) fn swept_on(&self) -> Option<ThreadId> {
        *self.swept_on.lock()
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    pub(crate) fn records(&self) -> usize {
        let mut records = 0;
        let count = &mut |_: &StoreKey, _: &Record| {
            records += 1;
            true
        };
        self.inner.scan(Timestamp::from_millis(0), count).unwrap();
        records
    }

    fn reach(&self) -> Result<&MemoryStore, Error> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) {
            return Err(Error::with_source(
                ErrorKind::Unavailable,
                "the session store can't be reached",
                format!("connect to {ADDRESS}: refused"),
            ));
        }
        Ok(&self.inner)
    }
}

impl SessionStore for Watched {
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Loaded, Error> {
        self.reach()?.load(key, now)
    }

    fn swap(&self, key: &StoreKey, swap: Swap<'_>, now: Timestamp) -> Result<Swapped, Error> {
        self.reach()?.swap(key, swap, now)
    }

    fn commit(
        &self,
        key: &StoreKey,
        change: &Change,
        loaded: Option<Arc<Record>>,
        now: Timestamp,
    ) -> Result<Committed, Error> {
        self.reach()?.commit(key, change, loaded, now)
    }

    fn touch(&self, key: &StoreKey, touch: &Touch<'_>) -> Result<(), Error> {
        self.reach()?.touch(key, touch)
    }

    fn user_index(&self, user: &str, now: Timestamp) -> Result<Vec<IndexLine>, Error> {
        self.reach()?.user_index(user, now)
    }

    fn sweep(&self, now: Timestamp, max: usize) -> Result<usize, Error> {
        *self.swept_on.lock() = Some(std::thread::current().id());
        self.reach()?.sweep(now, max)
    }

    fn scan(
        &self,
        now: Timestamp,
        visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
    ) -> Result<(), Error> {
        self.reach()?.scan(now, visit)
    }

    fn ping(&self) -> Result<(), Error> {
        self.reach()?.ping()
    }

    fn may_block(&self) -> bool {
        self.blocks
    }

    fn as_async(&self) -> Option<&dyn AsyncStore> {
        self.awaited.then_some(self)
    }
}

impl AsyncStore for Watched {
    fn load<'s>(&'s self, key: &'s StoreKey, now: Timestamp) -> StoreFuture<'s, Loaded> {
        Box::pin(async move {
            yield_now().await;
            SessionStore::load(self, key, now)
        })
    }

    fn swap<'s>(
        &'s self,
        key: &'s StoreKey,
        swap: Swap<'s>,
        now: Timestamp,
    ) -> StoreFuture<'s, Swapped> {
        Box::pin(async move {
            yield_now().await;
            SessionStore::swap(self, key, swap, now)
        })
    }

    fn touch<'s>(&'s self, key: &'s StoreKey, touch: &'s Touch<'s>) -> StoreFuture<'s, ()> {
        Box::pin(async move {
            yield_now().await;
            SessionStore::touch(self, key, touch)
        })
    }
}

/// A handler's error: a page of its own, like that of most sites.
pub(crate) struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match self.0.kind() {
            ErrorKind::NoSession => StatusCode::FORBIDDEN,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, self.0.to_string()).into_response()
    }
}

type Page = Result<String, Failure>;

pub(crate) struct Site {
    pub(crate) sessions: Sessions,
    pub(crate) store: Watched,
    pub(crate) clock: ManualClock,
    /// Lets the slow page go on.
    pub(crate) go_on: Arc<Notify>,
    /// The slow page has loaded its session.
    pub(crate) loaded: Arc<Notify>,
    https: bool,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(Watched::new(), SessionConfig::default())
    }

    pub(crate) fn with(store: Watched, config: SessionConfig) -> Self {
        let clock = ManualClock::new();
        Self {
            sessions: Sessions::new(store.clone(), config).with_clock(clock.clone()),
            store,
            clock,
            go_on: Arc::default(),
            loaded: Arc::default(),
            https: true,
        }
    }

    /// One on a store that never waits, and one on a store that is awaited.
    pub(crate) fn each() -> [Self; 2] {
        [Watched::new(), Watched::new().awaited()]
            .map(|store| Self::with(store, SessionConfig::default()))
    }

    /// The layer has to find out about HTTPS by itself.
    pub(crate) fn without_tls(mut self) -> Self {
        self.https = false;
        self
    }

    pub(crate) fn layer(&self) -> SessionLayer {
        let layer = SessionLayer::new(self.sessions.clone());
        if self.https {
            layer.assume_https()
        } else {
            layer
        }
    }

    pub(crate) fn app(&self) -> Router {
        let (loaded, go_on) = (self.loaded.clone(), self.go_on.clone());
        let (ended, goes_on) = (self.loaded.clone(), self.go_on.clone());
        pages()
            .route(
                "/slow/{key}/{value}",
                get(
                    async move |session: Session, Path((key, value)): Path<(String, String)>| {
                        session.get(&key)?;
                        loaded.notify_one();
                        go_on.notified().await;
                        session.set(&key, value)?;
                        Page::Ok(String::new())
                    },
                ),
            )
            .route(
                "/logout_then_set",
                get(async move |session: Session| {
                    session.logout()?;
                    session.set("a", 1)?;
                    ended.notify_one();
                    goes_on.notified().await;
                    Page::Ok(String::new())
                }),
            )
            .layer(self.layer())
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::on(self.app(), &self.sessions)
    }
}

fn pages() -> Router {
    Router::new()
        .route("/", get(async || "home"))
        .route(
            "/get/{key}",
            get(async |session: Session, Path(key): Path<String>| {
                Page::Ok(format!("{:?}", session.get(&key)?))
            }),
        )
        .route(
            "/set/{key}/{value}",
            get(
                async |session: Session, Path((key, value)): Path<(String, String)>| {
                    session.set(&key, value)?;
                    Page::Ok(String::new())
                },
            ),
        )
        .route(
            "/size",
            get(async |session: Session| Page::Ok(session.keys()?.len().to_string())),
        )
        .route(
            "/increment",
            get(async |session: Session| Page::Ok(session.increment("n", 1)?.to_string())),
        )
        .route(
            "/append",
            get(async |session: Session| {
                session.append("list", 1)?;
                Page::Ok(String::new())
            }),
        )
        .route(
            "/take/{key}",
            get(async |session: Session, Path(key): Path<String>| {
                Page::Ok(format!("{:?}", session.take(&key)?))
            }),
        )
        .route(
            "/clear",
            get(async |session: Session| {
                session.clear()?;
                Page::Ok(String::new())
            }),
        )
        .route(
            "/renew",
            get(async |session: Session| {
                session.renew()?;
                Page::Ok(String::new())
            }),
        )
        .route(
            "/login/{user}",
            get(async |session: Session, Path(user): Path<String>| {
                session.login(&user)?;
                Ok::<_, Failure>(Redirect::to("/"))
            }),
        )
        .route(
            "/logout",
            get(async |session: Session| {
                session.logout()?;
                Ok::<_, Failure>(Redirect::to("/"))
            }),
        )
        .route(
            // Loads the session, lets others run for a while, and goes on.
            "/later/{turns}/{what}",
            get(
                async |session: Session, Path((turns, what)): Path<(usize, String)>| {
                    session.get("cart")?;
                    for _ in 0..turns {
                        tokio::task::yield_now().await;
                    }
                    match &*what {
                        "logout" => session.logout()?,
                        "set" => session.set("late", 1)?,
                        "renew" => session.renew()?,
                        "login" => session.login("alice")?,
                        "renew_twice" => {
                            session.renew()?;
                            let _ = session.commit()?;
                            tokio::task::yield_now().await;
                            session.renew()?;
                        }
                        other => panic!("no such page: {other}"),
                    }
                    Ok::<_, Failure>(Redirect::to("/"))
                },
            ),
        )
        .route(
            "/id",
            get(async |session: Session| Page::Ok(format!("{:?}", session.id()?))),
        )
        .route(
            "/user",
            get(async |session: Session| Page::Ok(format!("{:?}", session.user()?))),
        )
        .route(
            "/as/{user}/get/{key}",
            get(
                async |session: Session, Path((user, key)): Path<(String, String)>| {
                    session.only_for(&user)?;
                    Page::Ok(format!("{:?}", session.get(&key)?))
                },
            ),
        )
        .route(
            "/revoke_others",
            get(async |session: Session| Page::Ok(session.revoke_others()?.to_string())),
        )
        .route(
            "/counter",
            get(async |session: Session| {
                session
                    .render_page(|session| {
                        let n = session.get_as::<u64>("n")?.unwrap_or(0) + 1;
                        // Long enough for others to come between reading and writing.
                        std::thread::yield_now();
                        session.set("n", n)?;
                        Page::Ok(n.to_string())
                    })
                    .await
            }),
        )
        .route(
            "/transaction",
            get(async |session: Session| {
                let (n, _outcome) =
                    session.transaction(|session| Ok::<_, Failure>(session.increment("n", 1)?))?;
                Page::Ok(n.to_string())
            }),
        )
        .route(
            "/own_cache",
            get(async |session: Session| {
                session.set("a", 1)?;
                let headers = [("cache-control", "private, max-age=5"), ("vary", "Accept")];
                Ok::<_, Failure>((headers, ""))
            }),
        )
        .route(
            "/varies",
            get(async |session: Session| {
                session.get("a")?;
                Ok::<_, Failure>(([("vary", "Accept, COOKIE")], ""))
            }),
        )
        .route(
            "/ignores_errors",
            get(async |session: Session| {
                let _ = session.get("a");
                "page"
            }),
        )
        .route(
            "/broken/{what}",
            get(async |session: Session, Path(what): Path<String>| {
                match &*what {
                    "set" => session.set("broken", 1)?,
                    "renew" => session.renew()?,
                    "login" => session.login("alice")?,
                    "logout" => session.logout()?,
                    "counter" => {
                        session
                            .render_page(|session| Ok::<_, Failure>(session.increment("n", 1)?))
                            .await?;
                    }
                    "render" => {
                        session
                            .render_page(|session| {
                                session.set("broken", 1)?;
                                Err::<(), _>(Failure(Error::new(
                                    ErrorKind::Render,
                                    "no such filter",
                                )))
                            })
                            .await?;
                    }
                    other => panic!("no such page: {other}"),
                }
                Ok::<_, Failure>(StatusCode::SERVICE_UNAVAILABLE)
            }),
        )
}

/// Keeps the cookie as browsers do.
#[derive(Clone)]
pub(crate) struct Browser {
    app: Router,
    name: String,
    pub(crate) secret: Option<String>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) extensions: axum::http::Extensions,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn set_cookie(&self) -> Option<&str> {
        let mut all = self.headers.get_all(SET_COOKIE).iter();
        let first = all.next().map(|value| value.to_str().unwrap());
        assert!(all.next().is_none(), "one cookie at most");
        first
    }
}

impl Browser {
    /// A browser on a site of these sessions, over HTTPS.
    pub(crate) fn of(sessions: &Sessions) -> Self {
        let layer = SessionLayer::new(sessions.clone()).assume_https();
        Self::on(pages().layer(layer), sessions)
    }

    /// A browser on another site of these sessions.
    pub(crate) fn on(app: Router, sessions: &Sessions) -> Self {
        Self {
            app,
            name: sessions.config().cookie_name().to_owned(),
            secret: None,
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        let mut request = Request::get(path);
        if let Some(secret) = &self.secret {
            request = request.header(COOKIE, format!("{}={secret}", self.name));
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn send(&mut self, request: Request) -> Answer {
        let response: Result<_, Infallible> = self.app.clone().oneshot(request).await;
        let (parts, body) = response.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let answer = Answer {
            status: parts.status,
            headers: parts.headers,
            extensions: parts.extensions,
            body: String::from_utf8(body.to_vec()).unwrap(),
        };
        if let Some(cookie) = answer.set_cookie() {
            let pair = cookie.split(';').next().unwrap();
            let value = pair.strip_prefix(&format!("{}=", self.name)).unwrap();
            let removed = cookie.contains("Max-Age=0");
            assert_eq!(removed, value.is_empty(), "{cookie}");
            self.secret = (!removed).then(|| value.to_owned());
        }
        answer
    }

    /// Asks with these `Cookie` headers and no others.
    pub(crate) async fn get_with(&mut self, path: &str, cookies: &[&[u8]]) -> Answer {
        let mut request = Request::get(path);
        for cookie in cookies {
            request = request.header(COOKIE, *cookie);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }
}

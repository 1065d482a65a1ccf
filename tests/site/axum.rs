//! `examples/axum.rs` as a program, over HTTP.

use std::net::{SocketAddr, TcpListener as Listener};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use liquid_session::clock::Timestamp;
use liquid_session::config::Environment;
use liquid_session::store::{
    IndexLine, Loaded, MemoryStore, Record, RedbStore, SessionStore, StoreKey, Swap, Swapped, Touch,
};
use liquid_session::{Error, SessionConfig, Sessions};
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::axum_example::serve;
use crate::shop::{Answer, Visitor};

/// The program, on two free ports.
struct Program {
    sessions: Sessions,
    visitors: SocketAddr,
    operators: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Program {
    fn start(store: impl SessionStore) -> Self {
        let config = SessionConfig::builder()
            .environment(Environment::Development)
            .secure_cookies(false);
        let sessions = Sessions::new(store, config.build().unwrap());
        let listen = || {
            let listener = Listener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            (listener.local_addr().unwrap(), listener)
        };
        let ((visitors, site), (operators, operator)) = (listen(), listen());
        let (stop, stopped) = oneshot::channel::<()>();
        let served = sessions.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let site = TcpListener::from_std(site).unwrap();
                let operator = TcpListener::from_std(operator).unwrap();
                let stopped = async {
                    let _ = stopped.await;
                };
                serve(served, site, operator, stopped).await.unwrap();
            });
        });
        Self {
            sessions,
            visitors,
            operators,
            stop,
            thread,
        }
    }

    fn visitor(&self) -> Visitor {
        Visitor::at(self.visitors)
    }

    fn operator(&self) -> Visitor {
        Visitor::at(self.operators)
    }

    /// Lets what was begun be answered, and ends.
    fn stop(self) {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

fn sign_in(visitor: &mut Visitor, name: &str, more: &[(&str, &str)]) -> Answer {
    let answer = visitor.post("/sign-in", &[&[("name", name)], more].concat());
    assert_eq!(answer.status, 303, "{}", answer.body);
    answer
}

fn json_of(answer: &Answer) -> Json {
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

#[test]
fn a_visitor_signs_in_and_out_on_two_devices() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(RedbStore::open(folder.path().join("s.redb")).unwrap());
    let mut phone = program.visitor();
    assert!(phone.get("/").body.contains("Visit 1."));
    let page = phone.get("/").body;
    assert!(
        page.contains("Hello visitor") && page.contains("Visit 2."),
        "{page}"
    );

    let answer = sign_in(&mut phone, "Ann <b>", &[]);
    assert!(!answer.header("set-cookie").unwrap().contains("Max-Age"));
    let page = phone.get("/").body;
    assert!(page.contains("Hello Ann &lt;b&gt;"), "{page}");
    assert!(page.contains("Visit 3."), "the visits stay: {page}");

    let mut laptop = program.visitor();
    let answer = sign_in(&mut laptop, "Ann <b>", &[("remember", "yes")]);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.ends_with("; Max-Age=34560000"), "{cookie}");

    let devices = laptop.get("/devices").body;
    assert_eq!(devices.matches("<li>").count(), 2, "{devices}");
    assert_eq!(devices.matches("(this one)").count(), 1, "{devices}");
    laptop.submit("/sign-out-elsewhere", &[]);
    assert!(phone.get("/").body.contains("Hello visitor"));
    assert!(laptop.get("/").body.contains("Hello Ann"));

    let removal = laptop.post("/sign-out", &[]);
    assert!(removal.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert!(laptop.get("/").body.contains("Hello visitor"));
    program.stop();
}

#[test]
fn a_cart_in_json() {
    let program = Program::start(MemoryStore::new());
    let mut ann = program.visitor();
    assert_eq!(json_of(&ann.get("/api/cart")), json!([]));
    let typed = [("content-type", "application/json")];
    for item in ["\"boots\"", "\"socks\""] {
        assert_eq!(ann.send("POST", "/api/cart", &typed, item).status, 204);
    }
    assert_eq!(json_of(&ann.get("/api/cart")), json!(["boots", "socks"]));
    program.stop();
}

#[test]
fn a_page_that_polls_learns_the_time_that_is_left() {
    let program = Program::start(MemoryStore::new());
    let mut ann = program.visitor();
    assert_eq!(json_of(&ann.get("/api/time-left")), Json::Null);
    sign_in(&mut ann, "ann", &[]);
    let left = json_of(&ann.get("/api/time-left")).as_u64().unwrap();
    let month = 30 * 24 * 60 * 60;
    assert!((month - 60..=month).contains(&left), "{left}");
    program.stop();
}

#[test]
fn an_operator_lists_and_ends_sessions_and_reads_the_counters() {
    let program = Program::start(MemoryStore::new());
    let (mut one, mut other) = (program.visitor(), program.visitor());
    sign_in(&mut one, "ann", &[]);
    sign_in(&mut other, "ann", &[]);
    assert_eq!(one.get("/users/ann").status, 404, "not for visitors");

    let mut operator = program.operator();
    let list = json_of(&operator.get("/users/ann"));
    assert_eq!(list.as_array().unwrap().len(), 2);
    let id = list[0]["session"].as_str().unwrap();
    let end = |operator: &mut Visitor, path: &str| operator.send("DELETE", path, &[], "").body;
    assert_eq!(end(&mut operator, &format!("/users/bob/{id}")), "0");
    assert_eq!(end(&mut operator, &format!("/users/ann/{id}")), "1");
    assert_eq!(end(&mut operator, "/users/ann"), "1");
    assert_eq!(json_of(&operator.get("/users/ann")), json!([]));
    assert!(one.get("/").body.contains("Hello visitor"));
    assert!(other.get("/").body.contains("Hello visitor"));

    let metrics = operator.get("/metrics").body;
    assert!(metrics.contains("\nsession_ended_total 2\n"), "{metrics}");
    assert!(metrics.ends_with("\nsessions 2\n"), "{metrics}");
    program.stop();
}

#[test]
fn a_failure_has_a_page_that_says_nothing() {
    let program = Program::start(MemoryStore::with_capacity(0));
    let answer = program.visitor().get("/");
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body, "<h1>Something went wrong</h1>");
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    program.stop();
}

#[test]
fn a_form_of_another_site_is_refused() {
    let program = Program::start(MemoryStore::new());
    let mut ann = program.visitor();
    let form = ("content-type", "application/x-www-form-urlencoded");
    for (headers, status) in [
        ([form, ("sec-fetch-site", "cross-site")], 403),
        ([form, ("origin", "https://evil.example")], 403),
        ([form, ("sec-fetch-site", "same-origin")], 303),
    ] {
        let answer = ann.send("POST", "/sign-in", &headers, "name=ann");
        assert_eq!(answer.status, status, "{headers:?}");
        assert_eq!(answer.header("set-cookie").is_some(), status == 303);
    }
    program.stop();
}

#[test]
fn pages_are_compressed_and_keep_their_headers() {
    let program = Program::start(MemoryStore::new());
    let mut ann = program.visitor();
    let answer = ann.send("GET", "/", &[("accept-encoding", "identity")], "");
    assert_eq!(answer.header("content-encoding"), None);
    // `ureq` without its gzip leaves the body as it came, which is no text.
    let (status, headers) = ann.head_of("/", &[("accept-encoding", "gzip")]);
    assert_eq!(status, 200);
    assert_eq!(headers["content-encoding"], "gzip");
    let vary = headers.get_all("vary").iter();
    let vary: Vec<_> = vary.map(|value| value.to_str().unwrap()).collect();
    assert!(
        vary.contains(&"Cookie") && vary.contains(&"accept-encoding"),
        "{vary:?}"
    );
    program.stop();
}

#[test]
fn readiness_asks_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.redb");
    let program = Program::start(RedbStore::open(&file).unwrap());
    let mut probe = program.visitor();
    assert_eq!(probe.get("/ready").status, 200);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(probe.get("/ready").status, 503);
    program.stop();
}

/// A store whose loads take a while, and tell when one begins.
struct Slow(MemoryStore, mpsc::Sender<()>);

impl SessionStore for Slow {
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Loaded, Error> {
        let _ = self.1.send(());
        std::thread::sleep(Duration::from_millis(300));
        self.0.load(key, now)
    }

    fn swap(&self, key: &StoreKey, swap: Swap<'_>, now: Timestamp) -> Result<Swapped, Error> {
        self.0.swap(key, swap, now)
    }

    fn touch(&self, key: &StoreKey, touch: &Touch<'_>) -> Result<(), Error> {
        self.0.touch(key, touch)
    }

    fn user_index(&self, user: &str, now: Timestamp) -> Result<Vec<IndexLine>, Error> {
        self.0.user_index(user, now)
    }

    fn sweep(&self, now: Timestamp, max: usize) -> Result<usize, Error> {
        self.0.sweep(now, max)
    }

    fn scan(
        &self,
        now: Timestamp,
        visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
    ) -> Result<(), Error> {
        self.0.scan(now, visit)
    }

    fn ping(&self) -> Result<(), Error> {
        self.0.ping()
    }
}

#[test]
fn what_was_begun_is_answered_before_the_program_ends() {
    let (loading, loads) = mpsc::channel();
    let program = Program::start(Slow(MemoryStore::new(), loading));
    let mut ann = program.visitor();
    ann.get("/");
    let asked = std::thread::spawn(move || ann.get("/"));
    loads.recv().unwrap();
    let sessions = program.sessions.clone();
    program.stop();
    let answer = asked.join().unwrap();
    assert!(answer.body.contains("Visit 2."), "{}", answer.body);
    assert_eq!(sessions.counters().commits, 2, "and committed");
}

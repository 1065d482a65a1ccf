//! `examples/actix.rs` as a program, over HTTP.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use liquid_session::config::Environment;
use liquid_session::store::{MemoryStore, RedbStore, SessionStore};
use liquid_session::{SessionConfig, Sessions};

use crate::actix_example::{page, routes};
use crate::shop::Visitor;

struct Program {
    address: SocketAddr,
    sessions: Sessions,
    handle: ServerHandle,
    thread: JoinHandle<()>,
}

impl Program {
    fn start(store: impl SessionStore, config: SessionConfig) -> Self {
        let sessions = Sessions::new(store, config);
        let shared = Data::new(sessions.clone());
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let page = Data::new(page().unwrap());
                let app = move || {
                    App::new()
                        .app_data(shared.clone())
                        .app_data(page.clone())
                        .configure(routes)
                };
                let server = HttpServer::new(app).workers(1).disable_signals();
                let server = server.bind("127.0.0.1:0").unwrap();
                let address = server.addrs()[0];
                let server = server.run();
                sender.send((address, server.handle())).unwrap();
                server.await.unwrap();
            });
        });
        let (address, handle) = receiver.recv().unwrap();
        Self {
            address,
            sessions,
            handle,
            thread,
        }
    }

    fn visitor(&self) -> Visitor {
        Visitor::at(self.address)
    }

    fn stop(self) {
        actix_web::rt::System::new().block_on(self.handle.stop(true));
        self.thread.join().unwrap();
    }
}

fn development() -> SessionConfig {
    SessionConfig::builder()
        .environment(Environment::Development)
        .secure_cookies(false)
        .build()
        .unwrap()
}

#[test]
fn a_visitor_signs_in_and_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(folder.path().join("s.redb")).unwrap();
    let program = Program::start(store, development());
    let mut ann = program.visitor();
    let first = ann.get("/");
    assert!(
        first.body.contains("Hello visitor: visit 1."),
        "{}",
        first.body
    );
    assert_eq!(first.header("cache-control"), Some("no-store"));
    assert_eq!(first.header("vary"), Some("Cookie"));
    let cookie = first.header("set-cookie").unwrap();
    assert!(
        cookie.ends_with("; HttpOnly; SameSite=Lax; Path=/"),
        "{cookie}"
    );

    let second = ann.get("/");
    assert!(second.body.contains("visit 2."), "{}", second.body);
    assert_eq!(
        second.header("set-cookie"),
        None,
        "no new secret, no cookie"
    );

    let before = ann.cookie.clone();
    assert_eq!(ann.post("/sign-in/ann", &[]).status, 200);
    assert_ne!(ann.cookie, before);
    assert!(ann.get("/").body.contains("Hello ann: visit 3."));
    assert_eq!(program.sessions.user_sessions("ann").unwrap().len(), 1);

    ann.post("/sign-out", &[]);
    assert_eq!(ann.cookie, None);
    assert!(ann.get("/").body.contains("Hello visitor: visit 1."));
    program.stop();
}

#[test]
fn parallel_requests_of_a_visitor_lose_no_visit() {
    let program = Program::start(MemoryStore::new(), development());
    let mut ann = program.visitor();
    ann.get("/");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let mut twin = program.visitor();
            twin.cookie.clone_from(&ann.cookie);
            scope.spawn(move || {
                for _ in 0..5 {
                    assert_eq!(twin.get("/").status, 200);
                }
            });
        }
    });
    assert!(ann.get("/").body.contains("visit 42."));
    program.stop();
}

#[test]
fn a_store_that_fails_gives_an_empty_500() {
    let program = Program::start(MemoryStore::with_capacity(0), development());
    for path in ["/", "/sign-in/ann"] {
        let method = if path == "/" { "GET" } else { "POST" };
        let answer = program.visitor().send(method, path, &[], "");
        assert_eq!((answer.status, &*answer.body), (500, ""), "{path}");
        assert_eq!(answer.header("set-cookie"), None);
    }
    program.stop();
}

#[test]
fn plain_http_in_production_has_no_session() {
    let program = Program::start(MemoryStore::new(), SessionConfig::default());
    let answer = program.visitor().get("/");
    assert_eq!(answer.status, 500, "the page writes");
    assert_eq!(answer.header("set-cookie"), None);
    assert_eq!(program.sessions.count(), Some(0));
    program.stop();
}

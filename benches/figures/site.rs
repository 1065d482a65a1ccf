//! A site over HTTP: what its server works for a page with a session, and without.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use liquid::model::Value;
use liquid_session::http::SessionLayer;
use liquid_session::{MemoryStore, Session, SessionConfig, Sessions};

use crate::pair::{Table, median, nanos, throughputs};
use crate::{cycle, process, templates};

/// How many connections a server keeps busy: it then sleeps as little as one that has work.
const CONNECTIONS: usize = 8;

/// How many servers of each kind a figure is the median of. Where a process has its memory and how its
/// tables hash is drawn when it starts, and stays.
const SERVERS: usize = 15;

/// The address, text and, for the peer, the text in its place.
fn pages() -> [(&'static str, String, String); 4] {
    let read = "{{ context.session.key0 }}";
    let count = |tag: &str, from: &str| {
        format!("{{% {tag} key1 = {from} | plus: 1 %}}{{{{ {from} }}}}{read}")
    };
    let ours = count("session", "context.session.key1");
    let peer = count("assign", "key1");
    let (tiny, products) = (templates::TINY, templates::PRODUCTS);
    [
        ("/tiny", format!("{tiny}{read}"), format!("{tiny}{read}")),
        (
            "/products",
            format!("{products}{read}"),
            format!("{products}{read}"),
        ),
        (
            "/tiny/write",
            format!("{tiny}{ours}"),
            format!("{tiny}{peer}"),
        ),
        (
            "/products/write",
            format!("{products}{ours}"),
            format!("{products}{peer}"),
        ),
    ]
}

/// The pages of a shop, with a session or with what the session would hold among their globals.
fn site(with_session: bool) -> (Router, String) {
    let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    let cookie = cycle::fill(&sessions, 1);
    let session = sessions.open(Some(&cookie));
    session.set("key1", 100_000).unwrap();
    let _ = session.commit().unwrap();

    let mut globals = templates::globals();
    if !with_session {
        let value = liquid::object!({ "key0": "value 0" });
        let context = liquid::object!({ "session": value });
        globals.insert("context".into(), Value::Object(context));
        globals.insert("key1".into(), Value::scalar(100_000));
    }
    let globals = Arc::new(globals);
    let mut routes = Router::new();
    for (path, ours, peer) in pages() {
        let globals = globals.clone();
        let handler = if with_session {
            let page = Arc::new(templates::parse(&ours));
            get(async move |session: Session| Html(session.render(&page, &*globals).unwrap()))
        } else {
            let page = Arc::new(templates::parse(&peer));
            get(async move || Html(page.render(&*globals).unwrap()))
        };
        routes = routes.route(path, handler);
    }
    if with_session {
        routes = routes.layer(SessionLayer::new(sessions).assume_https());
    }
    (routes, cookie)
}

/// Serves in this process, until whoever started it lets go.
pub(crate) fn serve(with_session: bool) {
    let (site, cookie) = site(with_session);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    println!("{} {cookie}", listener.local_addr().unwrap());
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    // One thread: what several cost each other to share the work is nobody's page.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        axum::serve(listener, site).await.unwrap();
    });
}

/// A server in a process of its own.
struct Server {
    process: Child,
    connections: Vec<BufReader<TcpStream>>,
    cookie: String,
}

impl Server {
    fn start(work: &str) -> Self {
        let mut process = process::child(work)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let told: &mut ChildStdout = process.stdout.as_mut().unwrap();
        BufReader::new(told).read_line(&mut line).unwrap();
        let (address, cookie) = line.trim().split_once(' ').unwrap();
        let connections = (0..CONNECTIONS)
            .map(|_| {
                let connection = TcpStream::connect(address).unwrap();
                connection.set_nodelay(true).unwrap();
                BufReader::new(connection)
            })
            .collect();
        Self {
            process,
            connections,
            cookie: cookie.to_owned(),
        }
    }

    /// Asks for a page over every connection, and gives the last answer's body.
    fn visit(&mut self, request: &str) -> String {
        for connection in &mut self.connections {
            connection.get_mut().write_all(request.as_bytes()).unwrap();
        }
        // The last one first, so that we sleep once for all of them. Each answer that somebody on this
        // machine sleeps for costs the server a wake-up, and who is slower would be charged for more:
        // 5.2 of eight were ours, 4.6 the peer's.
        let mut pages = self.connections.iter_mut().rev().map(answer);
        let page = pages.next().unwrap();
        pages.for_each(drop);
        page
    }

    fn request(&self, path: &str) -> String {
        let cookie = &self.cookie;
        format!("GET {path} HTTP/1.1\r\nHost: shop.test\r\nCookie: __Host-sid={cookie}\r\n\r\n")
    }

    /// Nanoseconds that the threads of the server worked so far.
    fn worked(&self) -> f64 {
        let threads = format!("/proc/{}/task", self.process.id());
        std::fs::read_dir(threads)
            .unwrap()
            .map(|thread| {
                let stat = std::fs::read_to_string(thread.unwrap().path().join("schedstat"));
                let stat = stat.unwrap();
                stat.split(' ').next().unwrap().parse::<f64>().unwrap()
            })
            .sum()
    }

    /// Requests for each second of the server's work, over a few milliseconds of it.
    ///
    /// No longer: the same request costs two thirds more while the neighbours of a virtual machine are
    /// busy, and that changes several times a second. Of two long runs one would meet it and the other
    /// not.
    fn rate(&mut self, path: &str, rounds: usize) -> f64 {
        let request = self.request(path);
        let before = self.worked();
        for _ in 0..rounds {
            self.visit(&request);
        }
        // What a thread worked is counted when it goes to sleep.
        std::thread::sleep(Duration::from_millis(1));
        (rounds * CONNECTIONS) as f64 * 1e9 / (self.worked() - before)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The body of one answer, which must be a page.
fn answer(connection: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    let mut head = |line: &mut String| {
        line.clear();
        connection.read_line(line).unwrap();
    };
    head(&mut line);
    assert_eq!(line, "HTTP/1.1 200 OK\r\n");
    let mut length = 0;
    loop {
        head(&mut line);
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

pub(crate) fn run(table: &mut Table) {
    let rows = [
        ("site: 20 products, read", "/products", 15, ">= 0.90"),
        ("site: tiny page, read", "/tiny", 60, ">= 0.80"),
        (
            "site: 20 products, read and write",
            "/products/write",
            15,
            "printed",
        ),
        (
            "site: tiny page, read and write",
            "/tiny/write",
            60,
            "printed",
        ),
    ];
    for (name, path, rounds, target) in rows {
        if !table.wants(name) {
            continue;
        }
        let (mut rates, mut plain, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..SERVERS {
            let (mut ours, mut peer) = (Server::start("ours-site 0"), Server::start("peer-site 0"));
            // They show the same, so both do the work.
            let shown = ours.visit(&ours.request(path));
            assert!(shown.ends_with("value 0"), "{shown}");
            if !path.ends_with("write") {
                assert_eq!(shown, peer.visit(&peer.request(path)));
            }
            // What only the first requests cost is nobody's page either.
            let _ = (ours.rate(path, rounds), peer.rate(path, rounds));
            let (ours, peer, ratio) =
                throughputs(|| ours.rate(path, rounds), || peer.rate(path, rounds));
            rates.push(ours);
            plain.push(peer);
            ratios.push(ratio);
        }
        table.note(
            name,
            nanos(1e9 / median(rates)),
            nanos(1e9 / median(plain)),
            Some(median(ratios)),
            target,
        );
    }
}

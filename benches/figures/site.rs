//! A site over HTTP: what its server works for a page with sessions of ours, of tower-sessions, and
//! without any.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use liquid::model::Value;
use liquid::{Object, Template};
use liquid_session::http::SessionLayer;
use liquid_session::store::RedisStore;
use liquid_session::{MemoryStore, Session, SessionConfig, Sessions};
use tower_sessions_redis_store::fred::prelude::{ClientLike as _, Config, Pool};

use crate::pair::{Table, median, nanos, per_second, throughputs};
use crate::redis::Server as Redis;
use crate::{process, templates};

/// How many connections a server keeps busy: it then sleeps as little as one that has work.
const CONNECTIONS: usize = 8;

/// How many servers of each kind a figure is the median of. Where a process has its memory and how its
/// tables hash is drawn when it starts, and stays.
const SERVERS: usize = 9;

/// The keys of every session.
const KEYS: [&str; 5] = ["key0", "key1", "key2", "key3", "key4"];

/// One page: its text, the keys that it reads, and the counters that it raises.
struct Page {
    path: &'static str,
    text: &'static str,
    reads: &'static [&'static str],
    counts: &'static [&'static str],
}

const PAGES: [Page; 4] = [
    Page {
        path: "/read",
        text: templates::TINY,
        reads: &["key0"],
        counts: &[],
    },
    Page {
        path: "/tiny",
        text: templates::TINY,
        reads: &["key0"],
        counts: &["key1"],
    },
    Page {
        path: "/shop",
        text: templates::PRODUCTS,
        reads: &KEYS,
        counts: &["key1", "key2", "key3"],
    },
    Page {
        path: "/count",
        text: "",
        reads: &[],
        counts: &["key1"],
    },
];

impl Page {
    /// Shows each value, and raises the counters: in the session, or in variables.
    fn template(&self, tag: &str) -> Template {
        let mut text = self.text.to_owned();
        for key in self.counts {
            text += &format!("{{% {tag} {key} = context.session.{key} | plus: 1 %}}");
        }
        for key in self.reads {
            text += &format!("{{{{ context.session.{key} }}}} ");
        }
        if let (true, [key]) = (self.reads.is_empty(), self.counts) {
            text += &format!("{{{{ context.session.{key} }}}}");
        }
        templates::parse(&text)
    }

    fn keys(&self) -> impl Iterator<Item = &'static str> {
        KEYS.into_iter()
            .filter(|key| self.reads.contains(key) || self.counts.contains(key))
    }
}

fn with_session(globals: &Object, values: Object) -> Object {
    let mut globals = globals.clone();
    let context = liquid::object!({ "session": Value::Object(values) });
    globals.insert("context".into(), Value::Object(context));
    globals
}

/// Pages, and a cookie for each connection: they are different visitors.
type Site = (Router, Vec<String>);

/// Sessions of ours. What computes a value from the stored one is exact only in `render_page`; the
/// peer's handlers have no such thing.
fn ours(store: &str) -> Site {
    let sessions = match store {
        "memory" => Sessions::new(MemoryStore::new(), SessionConfig::default()),
        url => Sessions::new(RedisStore::open(url).unwrap(), SessionConfig::default()),
    };
    let begin = |_| {
        let session = sessions.open(None);
        for key in KEYS {
            session.set(key, 100_000).unwrap();
        }
        let cookie = session.commit().unwrap().secret().unwrap().expose();
        format!("__Host-sid={cookie}")
    };
    let cookies = (0..CONNECTIONS).map(begin).collect();
    let globals = Arc::new(templates::globals());
    let mut routes = Router::new();
    for page in PAGES {
        let template = Arc::new(page.template("session"));
        let globals = globals.clone();
        let handler = async move |session: Session| {
            // Every page here reads its session: without this, the first touch would break the first
            // render off.
            session.load().await.unwrap();
            let render = move |session: &Session| session.render(&template, &*globals);
            Html(if page.path == "/count" {
                session.render_page(render).await.unwrap()
            } else {
                render(&session).unwrap()
            })
        };
        routes = routes.route(page.path, get(handler));
    }
    let routes = routes.layer(SessionLayer::new(sessions).assume_https());
    (routes, cookies)
}

/// Sessions of a version of tower-sessions: the handler reads what the page shows, renders, and writes.
macro_rules! peer {
    ($name:ident, $library:ident) => {
        async fn $name(store: impl $library::SessionStore + Clone) -> Site {
            let mut cookies = Vec::new();
            for _ in 0..CONNECTIONS {
                let session = $library::Session::new(None, Arc::new(store.clone()), None);
                for key in KEYS {
                    session.insert(key, 100_000).await.unwrap();
                }
                session.save().await.unwrap();
                cookies.push(format!("id={}", session.id().unwrap()));
            }
            let globals = Arc::new(templates::globals());
            let mut routes = Router::new();
            for page in PAGES {
                let page: &'static Page = Box::leak(Box::new(page));
                let template = Arc::new(page.template("assign"));
                let globals = globals.clone();
                let handler = async move |session: $library::Session| {
                    let mut values = Object::new();
                    for key in page.keys() {
                        let value = session.get::<i64>(key).await.unwrap().unwrap_or(0);
                        values.insert(key.into(), Value::scalar(value));
                    }
                    for key in page.counts {
                        let value = session.get::<i64>(key).await.unwrap().unwrap_or(0) + 1;
                        session.insert(key, value).await.unwrap();
                        values.insert((*key).into(), Value::scalar(value));
                    }
                    Html(template.render(&with_session(&globals, values)).unwrap())
                };
                routes = routes.route(page.path, get(handler));
            }
            let layer = $library::SessionManagerLayer::new(store);
            (routes.layer(layer), cookies)
        }
    };
}

peer!(peer_15, tower_sessions);
peer!(peer_14, tower_sessions_14);

type PeerRedis = tower_sessions_redis_store::RedisStore<Pool>;

async fn peer_redis(url: &str) -> PeerRedis {
    let config = Config::from_url(url).unwrap();
    // As its README does.
    let pool = Pool::new(config, None, None, None, 6).unwrap();
    pool.connect();
    pool.wait_for_connect().await.unwrap();
    PeerRedis::new(pool)
}

async fn peer(store: &str) -> Site {
    match store {
        "memory" => peer_15(tower_sessions::MemoryStore::default()).await,
        url => peer_14(peer_redis(url).await).await,
    }
}

/// Bytes in the server for a session of two small values, of many.
fn bytes(table: &mut Table) {
    const MANY: usize = 20_000;
    let name = "redis: bytes per session with two small values";
    if !table.wants(name) {
        return;
    }
    let Some((one, other)) = Redis::start().zip(Redis::start()) else {
        table.note(name, "no server".into(), "-".into(), None, "<= 1.3");
        return;
    };
    let sessions = Sessions::new(
        RedisStore::open(&one.url()).unwrap(),
        SessionConfig::default(),
    );
    let begin = |n: usize| {
        let session = sessions.open(None);
        session.set("color", "dark").unwrap();
        session.set("visits", n).unwrap();
        let _ = session.commit().unwrap();
    };
    // Scripts and connections are no sessions.
    begin(0);
    let before = one.used_memory();
    (0..MANY).for_each(begin);
    let ours = (one.used_memory() - before) / MANY as f64;

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let theirs = runtime.block_on(async {
        let store = Arc::new(peer_redis(&other.url()).await);
        let before = other.used_memory();
        for n in 0..MANY {
            let session = tower_sessions_14::Session::new(None, store.clone(), None);
            session.insert("color", "dark").await.unwrap();
            session.insert("visits", n).await.unwrap();
            session.save().await.unwrap();
        }
        (other.used_memory() - before) / MANY as f64
    });
    table.note(
        name,
        format!("{ours:.0} B"),
        format!("{theirs:.0} B"),
        Some(ours / theirs),
        "<= 1.3",
    );
}

/// What the session would hold is among the globals.
fn plain() -> Site {
    let values = KEYS.map(|key| (key.into(), Value::scalar(100_000)));
    let globals = Arc::new(with_session(
        &templates::globals(),
        values.into_iter().collect(),
    ));
    let mut routes = Router::new();
    for page in PAGES {
        let template = Arc::new(page.template("assign"));
        let globals = globals.clone();
        let handler = async move || Html(template.render(&*globals).unwrap());
        routes = routes.route(page.path, get(handler));
    }
    (routes, vec!["id=1".to_owned(); CONNECTIONS])
}

/// Serves in this process, until whoever started it lets go.
pub(crate) fn serve(work: &str) {
    let (who, store) = work.split_once(' ').unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    // One thread: what several cost each other to share the work is nobody's page.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (site, cookies) = match who {
            "ours" => ours(store),
            "peer" => peer(store).await,
            _ => plain(),
        };
        let address = listener.local_addr().unwrap();
        println!("{address} {}", cookies.join(" "));
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        axum::serve(listener, site).await.unwrap();
    });
}

/// A connection that is kept alive.
type Connection = BufReader<TcpStream>;

/// A server in a process of its own.
struct Server {
    process: Child,
    address: String,
    cookies: Vec<String>,
    connections: Vec<Connection>,
}

impl Server {
    fn start(who: &str, store: &str) -> Self {
        let mut process = process::child(&format!("site {who} {store}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let told: &mut ChildStdout = process.stdout.as_mut().unwrap();
        BufReader::new(told).read_line(&mut line).unwrap();
        let mut words = line.split_whitespace().map(str::to_owned);
        let mut server = Self {
            process,
            address: words.next().unwrap(),
            cookies: words.collect(),
            connections: Vec::new(),
        };
        server.connections = (0..CONNECTIONS).map(|_| server.connect()).collect();
        server
    }

    fn connect(&self) -> Connection {
        let connection = TcpStream::connect(&self.address).unwrap();
        connection.set_nodelay(true).unwrap();
        BufReader::new(connection)
    }

    /// Asks for a page over every connection, and gives the last answer's body.
    fn visit(&mut self, requests: &[String]) -> String {
        for (connection, request) in self.connections.iter_mut().zip(requests) {
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

    /// A request of each visitor.
    fn requests(&self, path: &str) -> Vec<String> {
        let request = |cookie: &String| {
            format!("GET {path} HTTP/1.1\r\nHost: shop.test\r\nCookie: {cookie}\r\n\r\n")
        };
        self.cookies.iter().map(request).collect()
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

    /// Requests for each second of the server's work, over a few milliseconds of it, and for each
    /// second that has passed.
    ///
    /// No longer: the same request costs two thirds more while the neighbours of a virtual machine are
    /// busy, and that changes several times a second. Of two long runs one would meet it and the other
    /// not.
    fn rates(&mut self, path: &str, rounds: usize) -> (f64, f64) {
        let requests = self.requests(path);
        let (before, start) = (self.worked(), Instant::now());
        for _ in 0..rounds {
            self.visit(&requests);
        }
        let passed = start.elapsed().as_secs_f64();
        // What a thread worked is counted when it goes to sleep.
        std::thread::sleep(Duration::from_millis(1));
        let requests = (rounds * CONNECTIONS) as f64;
        (requests * 1e9 / (self.worked() - before), requests / passed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The body of one answer, which must be a page.
fn answer(connection: &mut Connection) -> String {
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
    for (page, peer, target) in [
        ("/shop", "peer", "<= 0.92"),
        ("/tiny", "peer", "<= 0.83"),
        ("/shop", "plain", "<= 1.10"),
        ("/tiny", "plain", "<= 1.12"),
    ] {
        compare(table, "memory", page, peer, target, "memory");
    }
    bytes(table);
    let wanted = PAGES
        .iter()
        .any(|page| table.wants(&title("redis", page.path, "peer")))
        || CLIENTS.iter().any(|clients| table.wants(&lost(*clients)));
    if !wanted {
        return;
    }
    let Some(redis) = Redis::start() else {
        table.note(
            "site: redis",
            "no server".into(),
            "-".into(),
            None,
            "<= 1.00",
        );
        return;
    };
    for (page, target) in [
        ("/tiny", "<= 0.95"),
        ("/read", "<= 1.00"),
        ("/shop", "<= 1.00"),
    ] {
        compare(table, "redis", page, "peer", target, &redis.url());
    }
    for clients in CLIENTS {
        lost_updates(table, &redis.url(), clients);
    }
}

fn title(store: &str, page: &str, peer: &str) -> String {
    let name = match page {
        "/shop" => "20 products, 5 reads, 3 writes",
        "/tiny" => "tiny page, read and write",
        _ => "tiny page, read",
    };
    let against = if peer == "plain" {
        "no sessions"
    } else {
        "tower-sessions"
    };
    format!("site, {store}: {name}; CPU against {against}")
}

fn compare(
    table: &mut Table,
    store: &str,
    path: &str,
    peer: &str,
    target: &'static str,
    url: &str,
) {
    let name = title(store, path, peer);
    if !table.wants(&name) {
        return;
    }
    let rounds = if path == "/shop" { 15 } else { 60 };
    let (mut costs, mut their_costs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut passed, mut theirs_passed) = (Vec::new(), Vec::new());
    for _ in 0..SERVERS {
        let (mut ours, mut theirs) = (Server::start("ours", url), Server::start(peer, url));
        // They show the same page, so both do the work.
        let (shown, same) = (
            ours.visit(&ours.requests(path)),
            theirs.visit(&theirs.requests(path)),
        );
        assert_eq!(shown.len(), same.len(), "{shown}\n{same}");
        // What only the first requests cost is nobody's page either.
        let _ = (ours.rates(path, rounds), theirs.rates(path, rounds));
        let (mut rates, mut their_rates) = (Vec::new(), Vec::new());
        let (cost, their_cost, ratio) = throughputs(
            || {
                let (worked, wall) = ours.rates(path, rounds);
                rates.push(wall);
                1e9 / worked
            },
            || {
                let (worked, wall) = theirs.rates(path, rounds);
                their_rates.push(wall);
                1e9 / worked
            },
        );
        costs.push(cost);
        their_costs.push(their_cost);
        ratios.push(ratio);
        passed.push(median(rates));
        theirs_passed.push(median(their_rates));
    }
    table.note(
        &name,
        nanos(median(costs)),
        nanos(median(their_costs)),
        Some(median(ratios)),
        target,
    );
    if store == "redis" {
        let (ours, theirs) = (median(passed), median(theirs_passed));
        table.note(
            "  requests a second",
            per_second(ours),
            per_second(theirs),
            Some(ours / theirs),
            "printed",
        );
    }
}

const CLIENTS: [usize; 3] = [2, 8, 64];

fn lost(clients: usize) -> String {
    format!("site, redis: one counter, {clients} clients, lost updates")
}

/// Clients that raise one counter at once: how many of their requests left no trace.
fn lost_updates(table: &mut Table, url: &str, clients: usize) {
    const REQUESTS: usize = 640;
    let name = lost(clients);
    if !table.wants(&name) {
        return;
    }
    let lost = |who: &str| {
        let server = Server::start(who, url);
        let request = &server.requests("/count")[0];
        let count = |connection: &mut Connection| {
            connection.get_mut().write_all(request.as_bytes()).unwrap();
            answer(connection).trim().parse::<usize>().unwrap()
        };
        let before = count(&mut server.connect());
        std::thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| {
                    let mut connection = server.connect();
                    for _ in 0..REQUESTS / clients {
                        count(&mut connection);
                    }
                });
            }
        });
        let counted = count(&mut server.connect()) - before - 1;
        100.0 * (REQUESTS - counted) as f64 / REQUESTS as f64
    };
    let (ours, theirs) = (lost("ours"), lost("peer"));
    assert_eq!(ours, 0.0, "an update was lost");
    table.note(
        &name,
        format!("{ours:.0} %"),
        format!("{theirs:.0} %"),
        None,
        "0 %",
    );
}

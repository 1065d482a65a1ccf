//! The example site over real HTTP, as a visitor with `curl` would see it.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::routing::get;
use liquid_session::store::{MemoryStore, RedbStore};
use liquid_session::{Session, SessionConfig, Sessions};
use tokio::sync::Notify;

use crate::app::options::{Options, Store};
use crate::shop::{Answer, Server, Visitor, copy_of_site, sessions, site};

/// Runs a test on every store that there is here.
fn on_each_store(test: impl Fn(Sessions)) {
    test(sessions(MemoryStore::new()));

    let folder = tempfile::tempdir().unwrap();
    test(sessions(redb(folder.path())));

    #[cfg(feature = "postgres")]
    if let Some(server) = crate::postgres_server::PostgresServer::start(&[]) {
        let arguments = ["storefront", "--store", &server.url()];
        let options = Options::parse(arguments).unwrap().unwrap();
        test(options.sessions().unwrap());
    }

    #[cfg(feature = "redis")]
    if let Some(server) = crate::redis_server::RedisServer::start(&[]) {
        let store = liquid_session::store::RedisStore::open(&server.url()).unwrap();
        test(sessions(store));
    }
}

fn redb(folder: &Path) -> RedbStore {
    RedbStore::open(folder.join("sessions.redb")).unwrap()
}

/// Requests of one visitor over so many connections at once.
fn in_parallel(
    server: &Server,
    visitor: &Visitor,
    connections: usize,
    requests: impl Fn(usize, &mut Visitor) + Sync,
) {
    let requests = &requests;
    std::thread::scope(|scope| {
        for connection in 0..connections {
            let mut twin = visitor.twin(server);
            scope.spawn(move || requests(connection, &mut twin));
        }
    });
}

#[test]
fn a_walk_through_cart_wizard_and_sign_in() {
    on_each_store(|sessions| {
        let server = Server::start(sessions);
        let mut ann = Visitor::of(&server);

        let home = ann.get("/");
        assert_eq!((home.status, home.header("set-cookie")), (200, None));
        assert_eq!(ann.get("/cart").text_of("cart-size"), Some("0"));
        assert_eq!(ann.cookie, None, "nothing is stored by looking");

        let cart = ann.submit("/cart/add", &[("product", "boots")]);
        assert_eq!(cart.flash(), Some("Hiking boots: 1 in your cart."));
        let cart = ann.submit("/cart/add", &[("product", "boots")]);
        assert_eq!(cart.text_of("total"), Some("€258.00"));
        let cart = ann.submit("/cart/add", &[("product", "laces")]);
        assert_eq!(cart.text_of("cart-size"), Some("3"));
        assert_eq!(ann.get("/cart").flash(), None, "a flash shows once");
        let cart = ann.submit("/cart/change", &[("product", "laces"), ("quantity", "3")]);
        assert_eq!(cart.text_of("total"), Some("€268.50"));
        let cart = ann.submit("/cart/remove", &[("product", "boots")]);
        assert_eq!(cart.text_of("total"), Some("€10.50"));

        let step = ann.submit("/wizard", &[("go", "next"), ("name", " ")]);
        assert_eq!(step.flash(), Some("Please fill in your name."));
        ann.submit("/wizard", &[("go", "next"), ("name", "Ann")]);
        ann.submit("/wizard", &[("go", "next"), ("city", "Oslo")]);
        ann.submit("/wizard", &[("go", "back")]);
        let step = ann.submit("/wizard", &[("go", "next"), ("city", "Rome")]);
        assert_eq!(step.text_of("whom"), Some("Ann"));
        assert_eq!(step.text_of("where"), Some("Rome"));

        let before = ann.cookie.clone();
        let account = ann.submit("/sign-in", &[("name", "Ann")]);
        assert_eq!(account.flash(), Some("Welcome, Ann."));
        assert_ne!(ann.cookie, before, "signing in renews the secret");
        assert_eq!(
            account.text_of("cart-size"),
            Some("3"),
            "the cart came along"
        );
        assert!(account.body.contains("<strong>here</strong>"));
        let mut late = Visitor::of(&server);
        late.cookie = before;
        assert_eq!(
            late.get("/session.json").body.trim(),
            "{}",
            "the old one is dead"
        );

        let done = ann.submit("/wizard", &[("go", "next")]);
        assert_eq!(done.flash(), Some("Thank you, Ann. It is on its way."));
        assert_eq!(done.text_of("cart-size"), Some("0"));
        assert!(
            done.body.contains("id=\"empty\""),
            "nothing is left to order"
        );
        let session = ann.get("/session.json").body;
        assert_eq!(
            session.trim(),
            r#"{"user_name":"Ann"}"#,
            "the wizard is empty"
        );
        ann.submit("/cart/add", &[("product", "map")]);
        let again = ann.get("/wizard");
        assert!(
            again.body.contains(r#"name="name" value="""#),
            "{}",
            again.body
        );

        ann.submit("/sign-out", &[]);
        assert_eq!(ann.cookie, None, "signing out removes the cookie");
        server.stop();
    });
}

#[test]
fn preferences_show_at_once_in_the_layout() {
    let server = Server::start(sessions(MemoryStore::new()));
    let mut ann = Visitor::of(&server);
    let home = ann.submit("/preferences", &[("theme", "dark")]);
    assert!(home.body.contains(r#"<html lang="en" data-theme="dark">"#));
    let home = ann.submit("/preferences", &[("theme", "light")]);
    assert!(home.body.contains(r#"<html lang="en" data-theme="light">"#));
    assert_eq!(ann.get("/session.json").body.trim(), "{}");
    server.stop();
}

#[test]
fn searches_are_kept_the_newest_first_and_each_once() {
    let server = Server::start(sessions(MemoryStore::new()));
    let mut ann = Visitor::of(&server);
    for q in ["boots", "a, b", "socks", "boots"] {
        ann.get(&format!("/search?q={}", q.replace(", ", "%2C+")));
    }
    assert_eq!(
        ann.get("/session.json").body.trim(),
        r#"{"searches":["boots","socks","a, b"]}"#
    );
    assert_eq!(
        ann.get("/search?q=WOOL").text_of("found"),
        Some("1 found for “WOOL”.")
    );
    server.stop();
}

/// 200 requests on one cookie over eight connections: none is lost.
#[test]
fn the_counter_is_exact() {
    on_each_store(|sessions| {
        let server = Server::start(sessions);
        let mut ann = Visitor::of(&server);
        ann.submit("/cart/add", &[("product", "map")]);
        in_parallel(&server, &ann, 8, |_, twin| {
            for _ in 0..25 {
                assert_eq!(twin.get("/counter").status, 200);
            }
        });
        let session = ann.get("/session.json").body;
        assert!(session.contains(r#""visits":200}"#), "{session}");
        server.stop();
    });
}

/// Of eight pages that load at once, one shows the message.
#[test]
fn a_flash_shows_on_one_page_only() {
    on_each_store(|sessions| {
        let server = Server::start(sessions);
        let mut ann = Visitor::of(&server);
        ann.post("/cart/add", &[("product", "map")]);
        let shown = std::sync::atomic::AtomicUsize::new(0);
        in_parallel(&server, &ann, 8, |_, twin| {
            if twin.get("/cart").flash().is_some() {
                shown.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        });
        assert_eq!(shown.into_inner(), 1);
        server.stop();
    });
}

/// A route that writes, and waits in the middle until it is told to go on.
struct Slow {
    begun: Arc<Notify>,
    go_on: Arc<Notify>,
}

impl Slow {
    fn start(sessions: Sessions) -> (Server, Self) {
        let slow = Self {
            begun: Arc::default(),
            go_on: Arc::default(),
        };
        let (begun, go_on) = (slow.begun.clone(), slow.go_on.clone());
        let handler = async move |session: Session| {
            let write = |session: &Session| session.set("cart", "from the past");
            write(&session).unwrap();
            begun.notify_one();
            go_on.notified().await;
            write(&session).unwrap();
            "done"
        };
        let server = Server::start_with(&site(), sessions, |routes| {
            routes.route("/slow", get(handler))
        });
        (server, slow)
    }

    fn wait(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(self.begun.notified());
    }
}

#[test]
fn a_request_under_way_is_answered_before_the_server_stops() {
    let (mut server, slow) = Slow::start(sessions(MemoryStore::new()));
    let mut ann = Visitor::of(&server);
    let answer = std::thread::scope(|scope| {
        let answer = scope.spawn(|| ann.get("/slow"));
        slow.wait();
        server.begin_to_stop();
        slow.go_on.notify_one();
        answer.join().unwrap()
    });
    assert_eq!((answer.status, &*answer.body), (200, "done"));
    server.stop();
}

#[test]
fn a_forged_cookie_is_never_echoed() {
    on_each_store(|sessions| {
        let server = Server::start(sessions);
        let secret = "B".repeat(43);
        for path in ["/", "/counter", "/session.json", "/account", "/about"] {
            let mut mallory = Visitor::of(&server);
            mallory.cookie = Some(format!("sid={secret}"));
            let answer = mallory.get(path);
            assert!(!answer.body.contains(&secret), "{path}");
            let set = answer.header("set-cookie").unwrap_or_default();
            assert!(!set.contains(&secret), "{path}");
            assert_eq!(!set.is_empty(), path == "/counter", "{path}");
        }
        let mut mallory = Visitor::of(&server);
        mallory.cookie = Some(format!("sid={secret}"));
        mallory.submit("/sign-in", &[("name", "Mallory")]);
        assert!(!mallory.cookie.unwrap().contains(&secret));
        server.stop();
    });
}

#[test]
fn what_visitors_type_is_escaped() {
    const TYPED: &str = "\"'><script>alert(1)</script>";
    let server = Server::start(sessions(MemoryStore::new()));
    let mut mallory = Visitor::of(&server);
    let cart = mallory.submit("/cart/add", &[("product", "map")]);
    assert_eq!(cart.text_of("cart-size"), Some("1"));
    let mut seen = vec![
        mallory.submit("/sign-in", &[("name", TYPED)]),
        mallory.get("/"),
        mallory.get("/search?q=%22%27%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E"),
        mallory.submit("/wizard", &[("go", "next"), ("name", TYPED)]),
        mallory.submit("/wizard", &[("go", "back")]),
        mallory.submit("/wizard", &[("go", "next"), ("name", TYPED)]),
        mallory.submit("/wizard", &[("go", "next"), ("city", TYPED)]),
        mallory.submit("/wizard", &[("go", "back")]),
        mallory.submit("/wizard", &[("go", "next"), ("city", TYPED)]),
        mallory.submit("/wizard", &[("go", "next")]),
        mallory.submit("/cart/add", &[("product", TYPED)]),
        mallory.submit("/cart/change", &[("product", "map"), ("quantity", TYPED)]),
        mallory.submit("/preferences", &[("theme", TYPED)]),
        mallory.get("/session"),
        mallory.get("/%3Cscript%3E"),
    ];
    seen.push(mallory.get("/account"));
    for page in &seen {
        assert!(!page.body.contains("<script"), "{}", page.body);
        assert!(!page.body.contains("\"'>"), "{}", page.body);
    }
    let shown = |page: &Answer| page.body.contains("&lt;script&gt;alert(1)");
    assert!(
        seen[..10].iter().all(shown),
        "the test looks where it is shown"
    );
    let session = mallory.get("/session.json");
    assert_eq!(session.header("content-type"), Some("application/json"));
    server.stop();
}

/// Whatever a form says, the cart holds products that there are, in numbers that make sense.
#[test]
fn a_cart_takes_no_nonsense() {
    let server = Server::start(sessions(MemoryStore::new()));
    let mut mallory = Visitor::of(&server);
    mallory.submit("/cart/add", &[("product", "map")]);
    for quantity in [
        "-1",
        "21",
        "1.5",
        "[1]",
        "x",
        "",
        "9223372036854775808",
        "null",
    ] {
        mallory.submit(
            "/cart/change",
            &[("product", "map"), ("quantity", quantity)],
        );
    }
    mallory.submit("/cart/add", &[("product", "x\":1,\"y")]);
    mallory.submit("/cart/add", &[]);
    assert_eq!(
        mallory.get("/session.json").body.trim(),
        r#"{"cart":{"map":1}}"#
    );
    for _ in 0..25 {
        mallory.submit("/cart/add", &[("product", "map")]);
    }
    assert_eq!(
        mallory.get("/session.json").body.trim(),
        r#"{"cart":{"map":20}}"#
    );
    server.stop();
}

#[test]
fn an_untouched_page_gets_no_cookie_and_says_so() {
    let server = Server::start(sessions(MemoryStore::new()));
    let mut ann = Visitor::of(&server);
    let page = ann.get("/about");
    for way in ["/products", "/cart", "/counter", "/session"] {
        assert!(page.body.contains(&format!("<a href=\"{way}\">")), "{way}");
    }
    assert!(
        page.text_of("cookie")
            .unwrap()
            .contains("sent no session cookie")
    );
    assert_eq!(page.header("set-cookie"), None);
    assert_eq!(page.header("vary"), None);
    ann.get("/counter");
    let page = ann.get("/about");
    assert!(page.text_of("cookie").unwrap().contains("from earlier"));
    assert_eq!(page.header("vary"), None, "nobody looked at it");
    assert_eq!(ann.get("/").header("vary"), Some("Cookie"));
    server.stop();
}

#[test]
fn visitors_are_apart_and_a_user_ends_other_sessions() {
    on_each_store(|sessions| {
        let server = Server::start(sessions);
        let (mut laptop, mut phone, mut bob) = (
            Visitor::of(&server),
            Visitor::of(&server),
            Visitor::of(&server),
        );
        laptop.submit("/sign-in", &[("name", "Ann")]);
        phone.submit("/sign-in", &[("name", "Ann")]);
        bob.submit("/sign-in", &[("name", "Bob")]);
        laptop.submit("/cart/add", &[("product", "map")]);
        assert_eq!(phone.get("/").text_of("cart-size"), Some("0"));
        let account = phone.get("/account");
        assert_eq!(account.body.matches("<code>").count(), 2);

        let account = phone.submit("/sign-out-elsewhere", &[]);
        assert_eq!(account.flash(), Some("Other places signed out: 1."));
        assert_eq!(account.body.matches("<code>").count(), 1);
        assert_eq!(laptop.get("/session.json").body.trim(), "{}");
        assert_eq!(bob.get("/").text_of("who"), Some("Bob"));
        assert_eq!(phone.get("/").text_of("who"), Some("Ann"));
        server.stop();
    });
}

#[test]
fn a_restart_keeps_the_cart() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(sessions(redb(folder.path())));
    let mut ann = Visitor::of(&server);
    ann.submit("/cart/add", &[("product", "flask")]);
    server.stop();

    let server = Server::start(sessions(redb(folder.path())));
    let cart = ann.twin(&server).get("/cart");
    assert_eq!(cart.text_of("total"), Some("€28.00"));
    server.stop();
}

#[test]
fn an_edited_template_shows_on_reload() {
    let folder = copy_of_site();
    let page = folder.path().join("views/pages/about.liquid");
    let server = Server::start_with(folder.path(), sessions(MemoryStore::new()), |routes| routes);
    let mut author = Visitor::of(&server);
    assert!(author.get("/about").body.contains("without a session"));

    fs::write(&page, "---\nlayout: ''\n---\nedited").unwrap();
    assert_eq!(author.get("/about").body, "edited");

    fs::write(&page, "---\nlayout: ''\n---\nmended again").unwrap();
    assert_eq!(author.get("/about").body, "mended again");
    server.stop();
}

const BROKEN: &str = "---\nlayout: ''\n---\n<b>fine</b>\n{% session = broken";

#[test]
fn a_broken_page_fails_alone_and_the_browser_shows_where() {
    let folder = copy_of_site();
    let views = folder.path().join("views");
    let server = Server::start_with(folder.path(), sessions(MemoryStore::new()), |routes| routes);
    let mut author = Visitor::of(&server);

    fs::write(views.join("pages/about.liquid"), BROKEN).unwrap();
    let broken = author.get("/about");
    assert_eq!(broken.status, 500);
    assert!(
        broken.body.contains("views/pages/about.liquid:5:1"),
        "{}",
        broken.body
    );
    assert!(
        broken.body.contains("{% session = broken"),
        "{}",
        broken.body
    );
    assert_eq!(author.get("/").status, 200, "the others go on");
    assert!(
        server
            .lines()
            .iter()
            .any(|line| line.starts_with("GET /about 500"))
    );

    // A partial fails the pages that use it, and what they show is escaped.
    fs::write(
        views.join("partials/price.liquid"),
        "{{ price | nofilter: '<script>' }}",
    )
    .unwrap();
    let broken = author.get("/products");
    assert_eq!(broken.status, 500);
    assert!(
        broken.body.contains("views/partials/price.liquid"),
        "{}",
        broken.body
    );
    assert!(!broken.body.contains("<script"), "{}", broken.body);
    assert_eq!(author.get("/search").status, 200);

    fs::remove_dir_all(views.join("pages/cart")).unwrap();
    fs::write(views.join("pages/counter.liquid"), "---\nslug: [\n---\n").unwrap();
    assert_eq!(
        author.get("/search").status,
        200,
        "wrong front matter fails alone too"
    );
    server.stop();
}

#[test]
fn in_production_a_broken_page_says_nothing() {
    let folder = copy_of_site();
    fs::write(folder.path().join("views/pages/about.liquid"), BROKEN).unwrap();
    let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    let server = Server::start_with(folder.path(), sessions, |routes| routes);
    let broken = Visitor::of(&server).get("/about");
    assert_eq!(broken.status, 500);
    assert_eq!(
        broken.body,
        "Something went wrong. The server's log says what."
    );
    server.stop();
}

#[test]
fn other_paths_are_not_found_and_health_needs_no_session() {
    let server = Server::start(sessions(MemoryStore::new()));
    let mut ann = Visitor::of(&server);
    assert_eq!(ann.get("/nowhere").status, 404);
    assert_eq!(ann.get("/../config.yml").status, 404);
    let health = ann.get("/healthz");
    assert_eq!((health.status, &*health.body), (200, "ok"));
    server.stop();
}

#[test]
fn health_is_that_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sessions.redb");
    let server = Server::start(sessions(RedbStore::open(&file).unwrap()));
    fs::remove_file(&file).unwrap();
    assert_eq!(Visitor::of(&server).get("/healthz").status, 503);
    server.stop();
}

#[test]
fn what_another_site_posts_changes_nothing() {
    let server = Server::start(sessions(MemoryStore::new()));
    let mut ann = Visitor::of(&server);
    ann.submit("/cart/add", &[("product", "boots")]);
    let form = ("content-type", "application/x-www-form-urlencoded");
    for sender in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
    ] {
        let answer = ann.send("POST", "/sign-in", &[form, sender], "name=Mallory");
        assert_eq!(answer.status, 403, "{sender:?}");
    }
    assert_eq!(ann.get("/cart").text_of("who"), Some("Sign in"));
    server.stop();
}

#[test]
fn a_page_takes_its_methods_only() {
    let server = Server::start(sessions(MemoryStore::new()));
    let mut ann = Visitor::of(&server);
    for path in ["/", "/account", "/products"] {
        let head = ann.ask("HEAD", path);
        assert_eq!((head.status, &*head.body), (200, ""), "{path}");
        assert_eq!(
            head.header("content-type"),
            Some("text/html; charset=utf-8")
        );
    }
    for (method, path, allow) in [
        ("OPTIONS", "/", "GET, HEAD"),
        ("DELETE", "/cart", "GET, HEAD"),
        ("PUT", "/wizard", "GET, HEAD, POST"),
        ("POST", "/products", "GET, HEAD"),
        ("GET", "/cart/add", "POST"),
        ("HEAD", "/cart/add", "POST"),
        ("DELETE", "/account", "GET,HEAD"),
        ("GET", "/sign-in", "POST"),
    ] {
        let answer = ann.ask(method, path);
        assert_eq!(answer.status, 405, "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
    assert_eq!(ann.ask("DELETE", "/nowhere").status, 404);
    assert_eq!(ann.cookie, None);
    server.stop();
}

#[test]
fn an_empty_cart_can_t_be_ordered() {
    let server = Server::start(sessions(MemoryStore::new()));
    let mut ann = Visitor::of(&server);
    assert!(ann.get("/wizard").body.contains("id=\"empty\""));
    ann.submit("/cart/add", &[("product", "map")]);
    ann.submit("/wizard", &[("go", "next"), ("name", "Ann")]);
    ann.submit("/wizard", &[("go", "next"), ("city", "Oslo")]);
    ann.submit("/cart/remove", &[("product", "map")]);
    let refused = ann.submit("/wizard", &[("go", "next")]);
    assert_eq!(refused.flash(), Some("Your cart is empty."));
    // What was typed waits for the next product.
    ann.submit("/cart/add", &[("product", "socks")]);
    assert_eq!(ann.get("/wizard").text_of("whom"), Some("Ann"));
    server.stop();
}

#[test]
fn the_session_page_shows_keys_and_values() {
    let server = Server::start(sessions(MemoryStore::new()));
    let mut ann = Visitor::of(&server);
    let page = ann.get("/session");
    assert!(page.body.contains("id=\"none\""));
    assert_eq!(ann.cookie, None);
    ann.submit("/cart/add", &[("product", "map")]);
    ann.get("/counter");
    let page = ann.get("/session").body;
    assert!(page.contains("<code>{&quot;map&quot;:1}</code>"), "{page}");
    assert!(
        page.contains("<th scope=\"row\"><code>visits</code></th><td><code>1</code></td>"),
        "{page}"
    );
    assert_eq!(page.matches("scope=\"row\"").count(), 2);
    server.stop();
}

/// The loads and commits of a request, as the counters of all requests have moved.
struct Moved<'s>(&'s Sessions, u64, u64);

impl<'s> Moved<'s> {
    fn since_now(sessions: &'s Sessions) -> Self {
        let counters = sessions.counters();
        Self(sessions, counters.loads, counters.commits)
    }

    fn by(&self) -> (u64, u64) {
        let counters = self.0.counters();
        (counters.loads - self.1, counters.commits - self.2)
    }
}

/// The numbers of a strip.
fn numbers(loads: Option<&str>, commits: Option<&str>) -> (u64, u64) {
    (
        loads.unwrap().parse().unwrap(),
        commits.unwrap().parse().unwrap(),
    )
}

fn of_strip(page: &Answer) -> (u64, u64) {
    numbers(page.strip("loads"), page.strip("commits"))
}

#[test]
fn the_strip_shows_what_the_counters_count() {
    on_each_store(|sessions| {
        let server = Server::start(sessions.clone());
        let mut ann = Visitor::of(&server);
        let pages = [
            "/",
            "/about",
            "/cart",
            "/counter",
            "/counter",
            "/session",
            "/account",
            "/search?q=map",
            "/nowhere",
        ];
        for round in 0..2 {
            for path in pages {
                let moved = Moved::since_now(&sessions);
                let page = ann.get(path);
                assert_eq!(of_strip(&page), moved.by(), "{path} in round {round}");
            }
        }
        for (path, form) in [
            ("/cart/add", &[("product", "map")][..]),
            ("/preferences", &[("theme", "dark")]),
            ("/sign-in", &[("name", "Ann")]),
            ("/sign-in", &[("name", "Bob")]),
            ("/wizard", &[("go", "next"), ("name", "Bob")]),
        ] {
            let moved = Moved::since_now(&sessions);
            let answer = ann.post(path, form);
            let by = moved.by();
            let moved = Moved::since_now(&sessions);
            let page = ann.get(answer.header("location").unwrap());
            let before = numbers(page.strip_before("loads"), page.strip_before("commits"));
            assert_eq!(before, by, "{path}");
            assert_eq!(of_strip(&page), moved.by(), "after {path}");
            assert_eq!(
                page.strip_before("request"),
                Some(&*format!("POST {path} 303"))
            );
        }
        server.stop();
    });
}

/// A request that meets another one loads again. The strips have all of it, each its own.
#[test]
fn strips_of_parallel_requests_add_up_to_the_counters() {
    on_each_store(|sessions| {
        let server = Server::start(sessions.clone());
        let mut ann = Visitor::of(&server);
        ann.submit("/cart/add", &[("product", "map")]);
        let (loads, commits) = (AtomicU64::new(0), AtomicU64::new(0));
        let moved = Moved::since_now(&sessions);
        in_parallel(&server, &ann, 8, |_, twin| {
            for _ in 0..10 {
                let (loaded, committed) = of_strip(&twin.get("/counter"));
                assert!(loaded >= 1);
                assert_eq!(committed, 1);
                loads.fetch_add(loaded, Ordering::Relaxed);
                commits.fetch_add(committed, Ordering::Relaxed);
            }
        });
        assert_eq!((loads.into_inner(), commits.into_inner()), moved.by());
        server.stop();
    });
}

#[test]
fn the_strip_shows_cookie_bytes_session_and_keys() {
    let server = Server::start(sessions(MemoryStore::new()));
    let mut ann = Visitor::of(&server);
    let page = ann.get("/");
    assert_eq!(page.strip("request"), Some("GET / 200"));
    assert_eq!(page.strip("cookie"), Some("not sent, none set"));
    assert_eq!(page.strip("bytes"), Some("0 of 4096"));
    assert_eq!(page.strip("session"), Some("none"));
    assert_eq!(page.strip("read"), Some("cart, flash, theme, user_name"));
    assert_eq!(page.strip("written"), Some("nothing"));
    assert_eq!(page.strip_before("request"), None);

    let page = ann.get("/counter");
    assert_eq!(page.strip("cookie"), Some("not sent, new one set"));
    assert_eq!(page.strip("written"), Some("visits"));
    let bytes = page.strip("bytes").unwrap().to_owned();
    assert!(
        bytes != "0 of 4096" && bytes.ends_with(" of 4096"),
        "{bytes}"
    );
    let id = page.strip("session").unwrap().to_owned();
    assert_eq!(id.len(), 36);
    let secret = ann.cookie.clone().unwrap();
    assert!(!page.body.contains(secret.split_once('=').unwrap().1));

    let page = ann.get("/session");
    assert_eq!(page.strip("cookie"), Some("sent, none set"));
    assert_eq!(page.strip("bytes"), Some(&*bytes));
    assert_eq!(page.strip("session"), Some(&*id));
    assert_eq!(page.strip("read"), Some("all keys"));

    let page = ann.submit("/sign-in", &[("name", "Ann")]);
    assert_eq!(page.strip_before("cookie"), Some("sent, new one set"));
    assert_eq!(page.strip_before("written"), Some("flash, user_name"));
    assert_eq!(page.strip("session"), Some(&*id), "the session ID stays");
    let answer = ann.post("/sign-out", &[]);
    assert_eq!(answer.status, 303);
    let lines = server.lines();
    assert!(
        lines.last().unwrap().contains("cookie sent, removed"),
        "{lines:?}"
    );
    server.stop();
}

#[test]
fn each_request_is_a_line_on_the_terminal() {
    let server = Server::start(sessions(MemoryStore::new()));
    let mut ann = Visitor::of(&server);
    ann.get("/style.css");
    ann.post("/cart/add", &[("product", "map")]);
    ann.get("/cart");
    ann.get("/cart/add");
    ann.get("/%1b%0a");
    let lines = server.lines();
    let without_time: Vec<_> = lines
        .iter()
        .map(|line| line.rsplit_once("  ").unwrap().0)
        .collect();
    assert_eq!(
        without_time,
        [
            "GET /style.css 200  session untouched",
            "POST /cart/add 303  0 loads, 1 commit  cookie not sent, new one set  44 of 4096 bytes  reads cart  writes cart, flash",
            "GET /cart 200  1 load, 1 commit  cookie sent, none set  12 of 4096 bytes  reads cart, flash, theme, user_name  writes flash",
            "GET /cart/add 405",
            "GET /%1b%0a 404  1 load, 0 commits  cookie sent, none set  12 of 4096 bytes  reads cart, flash, theme, user_name  writes nothing",
        ]
    );
    server.stop();
}

#[test]
fn in_production_there_is_no_strip() {
    let server = Server::start(Sessions::new(MemoryStore::new(), SessionConfig::default()));
    let page = Visitor::of(&server).get("/");
    assert_eq!(page.status, 200);
    assert!(!page.body.contains("strip\""), "{}", page.body);
    server.stop();
}

#[test]
fn arguments() {
    let parse = |args: &[&str]| Options::parse([&["storefront"], args].concat());
    let options = parse(&[]).unwrap().unwrap();
    assert!(matches!(options.store, Store::Redb(_)));
    assert_eq!(options.config, options.site.join("config.yml"));

    let options = parse(&["--store", "memory", "--port=0", "--config", "a.yml"]);
    let options = options.unwrap().unwrap();
    assert_eq!((options.store, options.port), (Store::Memory, 0));
    assert_eq!(options.config, Path::new("a.yml"));

    let options = parse(&["--store", "redb:a.redb"]).unwrap().unwrap();
    assert_eq!(options.store, Store::Redb("a.redb".into()));
    assert!(parse(&["--help"]).unwrap().is_none());
    for wrong in ["redb:", "memory:1", "disk", ""] {
        assert!(parse(&["--store", wrong]).is_err(), "{wrong}");
    }
    assert!(parse(&["--prot", "1"]).is_err());
}

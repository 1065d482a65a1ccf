//! The example site over real HTTP, as a visitor with `curl` would see it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use axum::routing::get;
use liquid_session::store::{MemoryStore, RedbStore};
use liquid_session::{Session, Sessions};
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
        let reset = ann.submit("/wizard", &[("go", "reset")]);
        assert!(
            reset.body.contains(r#"name="name" value="""#),
            "{}",
            reset.body
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
    let home = ann.submit("/preferences", &[("theme", "dark"), ("language", "pl")]);
    assert!(home.body.contains(r#"<html lang="pl" data-theme="dark">"#));
    assert!(home.body.contains("Koszyk"));
    let home = ann.submit("/preferences", &[("theme", "light"), ("language", "en")]);
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
        mallory.submit("/preferences", &[("theme", TYPED), ("language", TYPED)]),
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

    fs::write(&page, "---\nlayout: ''\n---\n{% session = broken").unwrap();
    let broken = author.get("/about");
    assert_eq!(broken.status, 500);
    assert!(!broken.body.contains("session"), "{}", broken.body);

    fs::write(&page, "---\nlayout: ''\n---\nmended again").unwrap();
    assert_eq!(author.get("/about").body, "mended again");
    server.stop();
}

#[test]
fn other_paths_are_not_found_and_health_needs_no_session() {
    let server = Server::start(sessions(MemoryStore::new()));
    let mut ann = Visitor::of(&server);
    assert_eq!(ann.get("/nowhere").status, 404);
    assert_eq!(ann.get("/cart/add").status, 404, "by POST only");
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

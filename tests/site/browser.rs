//! The example site in a real browser, as a person would walk it.
//!
//! With `SCREENSHOTS=folder`, pictures of it are left there; `docs/cart.png` is the one for the README.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::routing::get;
use axum::serve::Listener;
use liquid_session::http::SessionLayer;
use liquid_session::store::{MemoryStore, RedbStore};
use liquid_session::{Session, SessionConfig, Sessions};
use serde_json::Value as Json;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;

use crate::app::Shop;
use crate::shop::{Server, sessions, site};
use crate::webdriver::{self, Browser, Driver};

/// A browser on one site.
struct Person<'d> {
    browser: Browser<'d>,
    site: String,
}

impl<'d> Person<'d> {
    fn on(driver: &'d Driver, site: String) -> Self {
        let browser = driver.browser();
        Self { browser, site }
    }

    /// A browser that starts again with what it kept in this folder.
    fn again(driver: &'d Driver, site: String, profile: &Path) -> Self {
        let browser = driver.browser_of(profile);
        Self { browser, site }
    }

    fn go(&mut self, path: &str) {
        self.browser.go(&format!("{}{path}", self.site));
    }

    fn choose(&mut self, option: &str) {
        self.browser.click(&format!("option[value={option}]"));
    }

    fn follow(&mut self, selector: &str) {
        self.browser.follow(selector);
    }

    fn text(&self, selector: &str) -> String {
        self.browser.text(selector)
    }

    /// The session cookie; there is no other.
    fn cookie(&self) -> Option<Json> {
        let mut cookies = self.browser.cookies();
        assert!(cookies.len() <= 1, "{cookies:?}");
        cookies.pop()
    }

    fn secret(&self) -> Option<String> {
        Some(self.cookie()?["value"].as_str().unwrap().to_owned())
    }

    fn flash(&self) -> Option<String> {
        let has = self.browser.has(".flash");
        has.then(|| self.text(".flash"))
    }

    fn put_in_cart(&mut self, product: &str) {
        self.go("/products");
        self.follow(&format!("form:has([value={product}]) button"));
    }
}

fn redb(folder: &Path) -> Sessions {
    sessions(RedbStore::open(folder.join("sessions.redb")).unwrap())
}

fn url(server: &Server) -> String {
    format!("http://{}", server.address)
}

#[test]
fn a_person_walks_the_site() {
    if !webdriver::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let driver = Driver::start();
    let server = Server::start(redb(folder.path()));
    let mut ann = Person::on(&driver, url(&server));

    ann.go("/about");
    assert!(ann.text("#cookie").contains("sent no session cookie"));
    ann.go("/");
    assert_eq!(ann.cookie(), None, "a mere visit gets none");

    // Preferences show at once.
    ann.choose("dark");
    ann.follow("main button");
    let background = "return getComputedStyle(document.body).backgroundColor";
    assert_eq!(ann.browser.run(background), "rgb(23, 26, 25)");

    // As the browser sees the cookie, and as a script does not.
    let cookie = ann.cookie().unwrap();
    assert_eq!(cookie["name"], "sid");
    assert_eq!(cookie["httpOnly"], true);
    assert_eq!(cookie["sameSite"], "Lax");
    assert_eq!(cookie["path"], "/");
    assert_eq!(cookie["expiry"], Json::Null, "it ends with the browser");
    assert_eq!(ann.browser.run("return document.cookie"), "");

    // The cart.
    ann.put_in_cart("boots");
    ann.put_in_cart("boots");
    ann.put_in_cart("socks");
    assert_eq!(ann.flash().as_deref(), Some("Wool socks: 1 in your cart."));
    ann.go("/cart");
    assert_eq!(ann.flash(), None, "a message shows once");
    assert_eq!(ann.text("#cart-size"), "3");
    ann.browser.fill("#socks [name=quantity]", "4");
    ann.follow("#socks form[action='/cart/change'] button");
    assert_eq!(ann.text("#total"), "€316.00");
    ann.follow("#boots form[action='/cart/remove'] button");
    assert_eq!(ann.text("#total"), "€58.00");

    // The wizard, there and back.
    ann.go("/wizard");
    ann.browser.fill("[name=name]", "Ann <b>");
    ann.follow("[value=next]");
    ann.browser.fill("[name=city]", "Oslo");
    ann.follow("[value=back]");
    let name = "return document.querySelector('[name=name]').value";
    assert_eq!(ann.browser.run(name), "Ann <b>");
    ann.follow("[value=next]");
    ann.follow("[value=next]");
    assert_eq!(ann.text("#whom"), "Ann <b>");
    assert_eq!(ann.text("#where"), "Oslo");

    // Signing in changes the cookie, and keeps the cart.
    let before = ann.secret();
    ann.go("/account");
    ann.browser.fill("[name=name]", "Ann");
    ann.follow("main button");
    assert_eq!(ann.flash().as_deref(), Some("Welcome, Ann."));
    assert_ne!(ann.secret(), before);
    assert_eq!(ann.text("#cart-size"), "4");

    // Another browser sees nothing of it.
    let mut bob = Person::on(&driver, url(&server));
    bob.go("/cart");
    assert!(bob.browser.has("#empty"));
    assert_eq!(bob.text("#who"), "Sign in");
    drop(bob);

    // The server starts again, on another port: cookies know hosts, not ports.
    server.stop();
    let server = Server::start(redb(folder.path()));
    ann.site = url(&server);
    ann.go("/cart");
    assert_eq!(ann.text("#total"), "€58.00");
    assert_eq!(ann.text("#who"), "Ann");

    // Signing out removes the cookie, and what it led to.
    ann.go("/account");
    ann.follow("form[action='/sign-out'] button");
    assert_eq!(ann.text("h1"), "Sign in");
    assert_eq!(ann.cookie(), None);
    ann.go("/cart");
    assert!(ann.browser.has("#empty"));

    drop(ann);
    server.stop();
}

impl Person<'_> {
    fn number(&self, class: &str) -> u64 {
        self.text(&format!("#strip .{class}")).parse().unwrap()
    }
}

/// A person sees in the strip what the server has counted.
#[test]
fn the_strip_shows_what_the_counters_count() {
    if !webdriver::is_there() {
        return;
    }
    let driver = Driver::start();
    let sessions = sessions(MemoryStore::new());
    let server = Server::start(sessions.clone());
    let mut ann = Person::on(&driver, url(&server));
    for path in [
        "/",
        "/counter",
        "/counter",
        "/products",
        "/session",
        "/about",
        "/nowhere",
    ] {
        let before = sessions.counters();
        ann.go(path);
        let after = sessions.counters();
        assert_eq!(ann.number("loads"), after.loads - before.loads, "{path}");
        assert_eq!(
            ann.number("commits"),
            after.commits - before.commits,
            "{path}"
        );
    }
    assert_eq!(ann.text("#strip .cookie"), "sent, none set");

    ann.go("/account");
    let id = ann.text("#strip .session");
    ann.browser.fill("[name=name]", "Ann");
    ann.follow("main button");
    assert_eq!(
        ann.text(".strip dl:first-child .cookie"),
        "sent, new one set"
    );
    assert_eq!(ann.text("#strip .session"), id, "the session ID stays");
    drop(ann);
    server.stop();
}

/// Sixteen frames of one page ask for the counter at once: none is lost, and no two get one number.
#[test]
fn frames_that_count_at_once_lose_no_visit() {
    if !webdriver::is_there() {
        return;
    }
    let driver = Driver::start();
    let sessions = sessions(MemoryStore::new());
    let server = Server::start(sessions.clone());
    let mut ann = Person::on(&driver, url(&server));
    ann.go("/rush");
    let numbers = "return [...document.querySelectorAll('iframe')]\
        .map(frame => +frame.contentDocument.querySelector('#visits').textContent).sort((a, b) => a - b)";
    let numbers = ann.browser.run(numbers);
    let counted: Vec<_> = numbers
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Json::as_u64)
        .collect();
    assert_eq!(counted, (1..=16).collect::<Vec<_>>());
    ann.go("/counter");
    assert_eq!(ann.text("#visits"), "17");
    drop(ann);
    server.stop();
}

/// In production, over HTTPS: the browser takes the cookie with the strictest of names.
#[test]
fn over_https_the_cookie_is_secure() {
    if !webdriver::is_there() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(Tls::listen());
    let address = listener.local_addr().unwrap();
    let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    let routes = Shop::open(&site(), sessions.clone()).unwrap().routes();
    let routes = routes.layer(SessionLayer::new(sessions).assume_https());
    runtime.spawn(async move { axum::serve(listener, routes).await });

    let driver = Driver::start();
    let mut ann = Person::on(&driver, format!("https://localhost:{}", address.port()));
    ann.put_in_cart("flask");
    assert_eq!(ann.text("#total"), "€28.00");
    let cookie = ann.cookie().unwrap();
    assert_eq!(cookie["name"], "__Host-sid");
    assert_eq!(cookie["secure"], true);
    assert_eq!(cookie["httpOnly"], true);
    assert_eq!(cookie["sameSite"], "Lax");
    assert_eq!(cookie["expiry"], Json::Null);
    ann.go("/cart");
    assert_eq!(ann.text("#cart-size"), "1", "the cookie comes back");
}

/// The example on axum over HTTPS, with a page that waits.
struct Remembering {
    site: String,
    /// The page that waits has loaded its session.
    loaded: mpsc::Receiver<()>,
    go_on: Arc<Notify>,
    _runtime: Runtime,
}

impl Remembering {
    fn start(config: SessionConfig) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(Tls::listen());
        let site = format!(
            "https://localhost:{}",
            listener.local_addr().unwrap().port()
        );
        let go_on = Arc::new(Notify::new());
        let wait = go_on.clone();
        let (has_loaded, loaded) = mpsc::channel();
        let late = async move |session: Session| {
            session.get("visits")?;
            let _ = has_loaded.send(());
            wait.notified().await;
            session.set("late", 1)
        };
        let sessions = Sessions::new(MemoryStore::new(), config);
        let routes = crate::axum_example::site(sessions.clone())
            .unwrap()
            .route("/late", get(late))
            .layer(SessionLayer::new(sessions).assume_https());
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self {
            site,
            loaded,
            go_on,
            _runtime: runtime,
        }
    }
}

fn persistent_cookies() -> SessionConfig {
    let config = SessionConfig::builder().persistent_cookies(true);
    config.build().unwrap()
}

#[test]
fn a_persistent_cookie_survives_a_restart_of_the_browser() {
    if !webdriver::is_there() {
        return;
    }
    let driver = Driver::start();
    for (config, remember, survives) in [
        (SessionConfig::default(), false, false),
        (SessionConfig::default(), true, true),
        (persistent_cookies(), false, true),
    ] {
        let server = Remembering::start(config);
        let profile = tempfile::tempdir().unwrap();
        let mut ann = Person::again(&driver, server.site.clone(), profile.path());
        ann.go("/");
        ann.browser.fill("[name=name]", "ann");
        if remember {
            ann.browser.click("[name=remember]");
        }
        ann.follow("form button");
        assert_eq!(ann.text("h1"), "Hello ann");
        let cookie = ann.cookie().unwrap();
        assert_eq!(cookie["name"], "__Host-sid");
        assert_eq!(
            (&cookie["secure"], &cookie["httpOnly"]),
            (&true.into(), &true.into())
        );
        assert_eq!(
            (&cookie["sameSite"], &cookie["path"]),
            (&"Lax".into(), &"/".into())
        );
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let left = cookie["expiry"].as_u64().map(|expiry| expiry - now);
        let days = left.map(|left| (left + 3600) / (24 * 60 * 60));
        assert_eq!(days, survives.then_some(400), "{cookie}");
        drop(ann);

        let mut ann = Person::again(&driver, server.site.clone(), profile.path());
        ann.go("/");
        let expected = if survives {
            "Hello ann"
        } else {
            "Hello visitor"
        };
        assert_eq!(ann.text("h1"), expected, "remember: {remember}");
        assert_eq!(ann.cookie().unwrap()["value"] == cookie["value"], survives);
    }
}

/// A request that began before the login, and is answered after it.
#[test]
fn a_late_answer_undoes_no_login() {
    if !webdriver::is_there() {
        return;
    }
    let driver = Driver::start();
    let server = Remembering::start(persistent_cookies());
    let mut ann = Person::on(&driver, server.site.clone());
    ann.go("/");
    let answered = |ann: &Person<'_>, name: &str| {
        let start = Instant::now();
        loop {
            let status = ann.browser.run(&format!("return window.{name}"));
            if let Some(status) = status.as_u64() {
                return status;
            }
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "{name} is not answered"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    ann.browser
        .run("fetch('/late').then(answer => window.late = answer.status)");
    server.loaded.recv_timeout(Duration::from_secs(30)).unwrap();
    ann.browser.run(
        "fetch('/sign-in', { method: 'POST', body: new URLSearchParams({ name: 'ann', remember: 'yes' }) })
            .then(answer => window.login = answer.status)",
    );
    assert_eq!(answered(&ann, "login"), 200);
    let signed_in = ann.secret();
    server.go_on.notify_one();
    assert_eq!(answered(&ann, "late"), 200);
    assert_eq!(ann.secret(), signed_in, "no cookie came with it");
    ann.go("/");
    assert_eq!(ann.text("h1"), "Hello ann");
}

/// Nothing sticks out on a phone, whatever people type.
#[test]
fn pages_fit_a_phone() {
    if !webdriver::is_there() {
        return;
    }
    let driver = Driver::start();
    let server = Server::start(sessions(MemoryStore::new()));
    let mut ann = Person::on(&driver, url(&server));
    for product in ["boots", "boots", "socks", "map"] {
        ann.put_in_cart(product);
    }
    ann.go("/account");
    ann.browser.fill("[name=name]", "Ann");
    ann.follow("main button");
    ann.browser.resize(900, 800);
    ann.go("/cart");
    ann.follow("#boots form[action='/cart/change'] button");
    keep_picture(&ann, "for-readme");
    ann.go("/account");
    ann.follow("form[action='/sign-out'] button");
    ann.browser.fill("[name=name]", &"Wide".repeat(10));
    ann.follow("main button");
    for product in ["boots", "socks"] {
        ann.put_in_cart(product);
    }
    ann.go("/search?q=boots");
    ann.go("/search?q=averyveryveryverylongwordthatnobodywouldeverlookforinashop");
    for path in [
        "/",
        "/products",
        "/cart",
        "/wizard",
        "/search",
        "/counter",
        "/rush",
        "/session",
        "/account",
        "/about",
        "/nowhere",
    ] {
        for (name, width, height) in [
            ("desktop", 1280, 900),
            ("phone", 390, 844),
            ("small", 320, 640),
        ] {
            ann.browser.resize(width, height);
            ann.go(path);
            let wide = "return document.documentElement.scrollWidth";
            let wide = ann.browser.run(wide).as_u64().unwrap();
            assert!(wide <= u64::from(width), "{path} is {wide} wide on {width}");
            keep_picture(&ann, &format!("{name}{}", path.replace('/', "-")));
        }
    }
    drop(ann);
    server.stop();
}

fn keep_picture(person: &Person<'_>, name: &str) {
    if let Some(folder) = std::env::var_os("SCREENSHOTS") {
        let file = Path::new(&folder).join(format!("{name}.png"));
        std::fs::write(file, person.browser.screenshot()).unwrap();
    }
}

/// Accepts connections with TLS, for a certificate made on the spot.
struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Tls {
    async fn listen() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, peer) = self.listener.accept().await.unwrap();
            // A browser tries a connection that it then does not use.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

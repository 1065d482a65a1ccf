//! A browser, spoken to in the few words of the WebDriver protocol that the tests need.
//! <https://www.w3.org/TR/webdriver2/>
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value as Json, json};

/// Only to stop what hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether there is a browser on this machine. Without one the test says so and passes, unless
/// `REQUIRE_BROWSER=1` is set.
pub(crate) fn is_there() -> bool {
    let missing = ["chromium", "chromedriver"].into_iter().find(|program| {
        let asked = Command::new(program).arg("--version").output();
        !asked.is_ok_and(|answer| answer.status.success())
    });
    let Some(program) = missing else { return true };
    let required = std::env::var("REQUIRE_BROWSER").is_ok_and(|value| value == "1");
    assert!(!required, "REQUIRE_BROWSER=1, and there is no {program}");
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        // Past the test runner, which swallows what passing tests print.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: there is no {program} on this machine"
        );
    });
    false
}

/// chromedriver, which starts browsers.
pub(crate) struct Driver {
    process: Child,
    agent: ureq::Agent,
    url: String,
}

impl Driver {
    pub(crate) fn start() -> Self {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, port) = line.split_once("started successfully on port ")?;
                Some(port.trim_end_matches('.').to_owned())
            })
            .unwrap();
        Self {
            process,
            agent: ureq::Agent::config_builder()
                .http_status_as_error(false)
                .timeout_global(Some(PATIENCE))
                .build()
                .new_agent(),
            url: format!("http://127.0.0.1:{port}"),
        }
    }

    /// A browser with an empty profile.
    pub(crate) fn browser(&self) -> Browser<'_> {
        let profile = tempfile::tempdir().unwrap();
        let mut browser = self.browser_of(profile.path());
        browser.profile = Some(profile);
        browser
    }

    /// A browser with the profile in a folder, which outlives it.
    pub(crate) fn browser_of(&self, profile: &Path) -> Browser<'_> {
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &format!("--user-data-dir={}", profile.display()),
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            // The certificate of a test is nobody's.
            "acceptInsecureCerts": true,
            "goog:chromeOptions": { "args": arguments },
        }}});
        let begun = self.ask("POST", "/session", Some(wanted));
        let id = begun["sessionId"].as_str().unwrap();
        let mut browser = Browser {
            driver: self,
            path: format!("/session/{id}"),
            profile: None,
        };
        browser.resize(1000, 800);
        browser
    }

    fn ask(&self, method: &str, path: &str, body: Option<Json>) -> Json {
        self.try_to_ask(method, path, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn try_to_ask(&self, method: &str, path: &str, body: Option<Json>) -> Result<Json, Json> {
        let url = format!("{}{path}", self.url);
        let answer = match (method, body) {
            ("POST", body) => self.agent.post(url).send_json(body.unwrap_or(json!({}))),
            ("DELETE", _) => self.agent.delete(url).call(),
            _ => self.agent.get(url).call(),
        };
        let mut answer = answer.unwrap();
        let ok = answer.status().is_success();
        // A screenshot is longer than what is read by default.
        let read = answer.body_mut().with_config().limit(64 << 20).read_json();
        let value = read.map(|mut body: Json| body["value"].take()).unwrap();
        if ok { Ok(value) } else { Err(value) }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One browser, closed when this is dropped.
pub(crate) struct Browser<'d> {
    driver: &'d Driver,
    path: String,
    /// Removed after the browser is closed.
    profile: Option<tempfile::TempDir>,
}

impl Browser<'_> {
    fn ask(&self, method: &str, what: &str, body: Option<Json>) -> Json {
        self.driver
            .ask(method, &format!("{}{what}", self.path), body)
    }

    pub(crate) fn go(&mut self, url: &str) {
        self.ask("POST", "/url", Some(json!({ "url": url })));
    }

    /// The element, as soon as the page has it.
    fn find(&self, selector: &str) -> String {
        let wanted = json!({ "using": "css selector", "value": selector });
        let path = format!("{}/element", self.path);
        let start = Instant::now();
        loop {
            match self.driver.try_to_ask("POST", &path, Some(wanted.clone())) {
                // One entry, whose name is a constant of the standard.
                Ok(element) => {
                    let id = element.as_object().unwrap().values().next().unwrap();
                    return format!("/element/{}", id.as_str().unwrap());
                }
                Err(error) if start.elapsed() > PATIENCE => panic!("{selector}: {error}"),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    pub(crate) fn click(&mut self, selector: &str) {
        let element = self.find(selector);
        self.ask("POST", &format!("{element}/click"), None);
    }

    /// Clicks what leads to another page, and waits for that.
    pub(crate) fn follow(&mut self, selector: &str) {
        self.run("window.left = false");
        self.click(selector);
        let arrived = "return window.left === undefined && document.readyState === 'complete'";
        let script = json!({ "script": arrived, "args": [] });
        let path = format!("{}/execute/sync", self.path);
        let start = Instant::now();
        // Between two pages there is nothing to ask, and that is an error.
        while self.driver.try_to_ask("POST", &path, Some(script.clone())) != Ok(Json::Bool(true)) {
            assert!(start.elapsed() < PATIENCE, "{selector} leads nowhere");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Types into an empty field, or over what is in it.
    pub(crate) fn fill(&mut self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.ask("POST", &format!("{element}/clear"), None);
        let keys = json!({ "text": text });
        self.ask("POST", &format!("{element}/value"), Some(keys));
    }

    /// What a person sees of it.
    pub(crate) fn text(&self, selector: &str) -> String {
        let element = self.find(selector);
        let text = self.ask("GET", &format!("{element}/text"), None);
        text.as_str().unwrap().to_owned()
    }

    pub(crate) fn run(&self, script: &str) -> Json {
        let script = json!({ "script": script, "args": [] });
        self.ask("POST", "/execute/sync", Some(script))
    }

    pub(crate) fn has(&self, selector: &str) -> bool {
        let count = self.run(&format!(
            "return document.querySelectorAll('{selector}').length"
        ));
        count != 0
    }

    /// All cookies of the page, with their attributes.
    pub(crate) fn cookies(&self) -> Vec<Json> {
        let cookies = self.ask("GET", "/cookie", None);
        cookies.as_array().unwrap().clone()
    }

    /// The size of the page's window, as on a screen of this size.
    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        let screen = json!({
            "cmd": "Emulation.setDeviceMetricsOverride",
            "params": { "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 },
        });
        self.ask("POST", "/goog/cdp/execute", Some(screen));
    }

    /// A PNG of what is on the screen.
    pub(crate) fn screenshot(&self) -> Vec<u8> {
        let text = self.ask("GET", "/screenshot", None);
        let text = text.as_str().unwrap();
        let mut picture = vec![0; text.len()];
        let length = BASE64.decode_slice(text, &mut picture).unwrap();
        picture.truncate(length);
        picture
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        let _ = self.driver.try_to_ask("DELETE", &self.path, None);
        drop(self.profile.take());
    }
}

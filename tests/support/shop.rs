//! The example site on a free port, and a visitor without a window.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use liquid_session::store::SessionStore;
use liquid_session::{SessionConfig, Sessions};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::app::Shop;

/// The folder of the example.
pub(crate) fn site() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/site")
}

/// A copy of it, to edit.
pub(crate) fn copy_of_site() -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    copy(&site(), folder.path());
    folder
}

/// Sessions in this store, with the settings of the example.
pub(crate) fn sessions(store: impl SessionStore) -> Sessions {
    let text = fs::read_to_string(site().join("config.yml")).unwrap();
    Sessions::new(store, SessionConfig::from_yaml(&text).unwrap())
}

/// A running site. It stops, and lets go of its store, with [`stop`](Self::stop).
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    lines: Arc<Mutex<Vec<String>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(sessions: Sessions) -> Self {
        Self::start_with(&site(), sessions, |routes| routes)
    }

    /// With other templates, and routes of a test's own.
    pub(crate) fn start_with(
        site: &Path,
        sessions: Sessions,
        more: impl FnOnce(Router) -> Router,
    ) -> Self {
        let shop = Shop::open(site, sessions).unwrap();
        let routes = more(shop.routes());
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let kept = lines.clone();
        let log = Arc::new(move |line: &str| kept.lock().unwrap().push(line.to_owned()));
        let serve = async move {
            let stopped = async {
                let _ = stopped.await;
            };
            shop.serve(routes, listener, log, stopped).await.unwrap();
        };
        Self {
            address,
            lines,
            stop: Some(stop),
            thread: Some(std::thread::spawn(move || runtime.block_on(serve))),
        }
    }

    /// The lines of the terminal since the last call.
    pub(crate) fn lines(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }

    /// Asks it to stop; what is being answered is answered.
    pub(crate) fn begin_to_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub(crate) fn stop(mut self) {
        if self.stop.is_some() {
            self.begin_to_stop();
        }
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A visitor: one connection, and a jar with one cookie.
pub(crate) struct Visitor {
    agent: ureq::Agent,
    address: SocketAddr,
    /// Name and value, as they go into `Cookie`.
    pub(crate) cookie: Option<String>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    headers: ureq::http::HeaderMap,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().unwrap())
    }

    /// The text of the element with this id, which holds no other.
    pub(crate) fn text_of(&self, id: &str) -> Option<&str> {
        let (_, rest) = self.body.split_once(&format!("id=\"{id}\""))?;
        let (_, rest) = rest.split_once('>')?;
        let (text, _) = rest.split_once('<')?;
        Some(text)
    }

    /// A number or a text of the strip below the page.
    pub(crate) fn strip(&self, class: &str) -> Option<&str> {
        let (_, strip) = self.body.split_once("<dl id=\"strip\">")?;
        field(strip, class)
    }

    /// The strip of the request that led here.
    pub(crate) fn strip_before(&self, class: &str) -> Option<&str> {
        let (_, strips) = self.body.split_once("<aside")?;
        let (strip, _) = strips.split_once("<dl id=\"strip\">")?;
        field(strip, class)
    }

    pub(crate) fn flash(&self) -> Option<&str> {
        let (_, rest) = self.body.split_once("role=\"status\">")?;
        Some(rest.split_once("</p>")?.0)
    }
}

fn field<'s>(strip: &'s str, class: &str) -> Option<&'s str> {
    let (_, rest) = strip.split_once(&format!("<dd class=\"{class}\">"))?;
    Some(rest.split_once("</dd>")?.0)
}

impl Visitor {
    pub(crate) fn of(server: &Server) -> Self {
        Self::at(server.address)
    }

    pub(crate) fn at(address: SocketAddr) -> Self {
        Self {
            agent: ureq::Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .timeout_global(Some(Duration::from_secs(120)))
                .build()
                .new_agent(),
            address,
            cookie: None,
        }
    }

    /// Another connection of the same visitor.
    pub(crate) fn twin(&self, server: &Server) -> Self {
        let mut twin = Self::of(server);
        twin.cookie.clone_from(&self.cookie);
        twin
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        let mut request = self.agent.get(format!("http://{}{path}", self.address));
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        self.receive(request.call().unwrap())
    }

    pub(crate) fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        let mut request = self.agent.post(format!("http://{}{path}", self.address));
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        self.receive(request.send_form(form.iter().copied()).unwrap())
    }

    /// Sends any request: method, path, headers and body.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let uri = format!("http://{}{path}", self.address);
        let mut request = ureq::http::Request::builder().method(method).uri(uri);
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.to_owned()).unwrap();
        self.receive(self.agent.run(request).unwrap())
    }

    /// Status and headers alone, of an answer whose body is no text.
    pub(crate) fn head_of(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (u16, ureq::http::HeaderMap) {
        let mut request = self.agent.get(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.call().unwrap();
        (response.status().as_u16(), response.headers().clone())
    }

    /// Sends a request without a body, on a connection of its own: the server closes one whose request it
    /// does not read to the end.
    pub(crate) fn ask(&mut self, method: &str, path: &str) -> Answer {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("connection", "close");
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        let response = self.agent.run(request.body(()).unwrap());
        self.receive(response.unwrap())
    }

    /// Sends a form, and goes where the answer leads.
    pub(crate) fn submit(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        let answer = self.post(path, form);
        assert_eq!(answer.status, 303, "{path}: {}", answer.body);
        self.get(answer.header("location").unwrap())
    }

    fn receive(&mut self, mut response: ureq::http::Response<ureq::Body>) -> Answer {
        for cookie in response.headers().get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let pair = cookie.split(';').next().unwrap();
            self.cookie = (!cookie.contains("Max-Age=0")).then(|| pair.to_owned());
        }
        Answer {
            status: response.status().as_u16(),
            body: response.body_mut().read_to_string().unwrap(),
            headers: response.headers().clone(),
        }
    }
}

//! Shows what each request does with its session: a line on the terminal, and in development a strip
//! below each page.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use liquid_session::config::Environment;
use liquid_session::{Activity, Error, Session, SessionConfig, SessionId};

/// What a handler leaves in its response.
#[derive(Clone)]
pub(crate) struct Seen {
    session: Session,
    /// As the page ended, before its commit.
    page: Activity,
    id: Option<SessionId>,
}

impl Seen {
    /// Looks at a session at the end of a page. It loads none.
    pub(crate) fn at_the_end_of(session: &Session) -> Result<Self, Error> {
        let touched = session.is_accessed();
        Ok(Self {
            page: session.activity(),
            id: if touched { session.id()? } else { None },
            session: session.clone(),
        })
    }
}

/// The error of a page, for its author.
#[derive(Clone)]
pub(crate) struct Failed(pub(crate) String);

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let html = format!(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>This page failed</title>\n\
             <link rel=\"stylesheet\" href=\"/style.css\">\n\
             <main><h1>This page failed</h1><pre class=\"card\" id=\"error\">{}</pre>\n\
             <p>Mend the file and reload. Visitors of a site in production do not see this text.</p></main></html>\n",
            escaped(&self.0)
        );
        (StatusCode::INTERNAL_SERVER_ERROR, Html(html)).into_response()
    }
}

/// One request, for people.
pub(crate) struct Line {
    method: Method,
    path: String,
    status: StatusCode,
    took: Duration,
    loads: u32,
    commits: u32,
    untouched: bool,
    came_with_cookie: bool,
    answer: &'static str,
    bytes: (usize, usize),
    id: Option<SessionId>,
    read: String,
    written: String,
}

/// Takes the line of each request.
pub(crate) type Log = Arc<dyn Fn(&str) + Send + Sync>;

/// The settings, and the requests that were answered with a redirect: the next page of their session
/// shows them.
#[derive(Clone)]
pub(crate) struct Watch {
    config: SessionConfig,
    log: Log,
    redirected: Arc<Mutex<HashMap<SessionId, Line>>>,
}

/// How many redirects are kept for pages that may never be asked for.
const MOST_REDIRECTS: usize = 1_000;

impl Watch {
    pub(crate) fn new(config: SessionConfig, log: Log) -> Self {
        Self {
            config,
            log,
            redirected: Arc::default(),
        }
    }

    fn redirected(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Line>> {
        self.redirected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stands around the session layer, so the commit of the layer and its cookie are known.
pub(crate) async fn watch(State(watch): State<Watch>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let came_with_cookie = has_cookie(request.headers(), watch.config.cookie_name());
    let mut response = next.run(request).await;
    let in_development = watch.config.environment() == Environment::Development;
    let Some(seen) = response.extensions_mut().remove::<Seen>() else {
        let (status, took) = (response.status().as_u16(), began.elapsed().as_millis());
        (watch.log)(&format!(
            "{method} {} {status}  {took} ms",
            path.escape_debug()
        ));
        return match response.extensions_mut().remove::<Failed>() {
            Some(failed) if in_development => failed.into_response(),
            _ => response,
        };
    };
    let done = seen.session.activity();
    let answer = answer(response.headers());
    let line = Line {
        method,
        path,
        status: response.status(),
        took: began.elapsed(),
        loads: done.loads,
        commits: done.commits,
        // A logout without a load is no access, but removes the cookie.
        untouched: !seen.session.is_accessed() && answer == NONE_SET,
        came_with_cookie,
        answer,
        bytes: (seen.page.bytes, watch.config.max_bytes()),
        id: seen.id,
        read: keys(&seen.page.read, seen.page.read_all),
        written: keys(&seen.page.written, seen.page.cleared),
    };
    (watch.log)(&line.to_string());
    if !in_development {
        return response;
    }
    if response.status().is_redirection() {
        let mut redirected = watch.redirected();
        if redirected.len() >= MOST_REDIRECTS {
            redirected.clear();
        }
        redirected.extend(seen.id.map(|id| (id, line)));
    } else if is_page(&response) {
        let before = seen.id.and_then(|id| watch.redirected().remove(&id));
        return with_strip(response, before.as_ref(), &line).await;
    }
    response
}

pub(crate) fn has_cookie(headers: &HeaderMap, name: &str) -> bool {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split("; "))
        .any(|cookie| cookie.split_once('=').is_some_and(|(own, _)| own == name))
}

const NONE_SET: &str = "none set";

/// What the answer does to the cookie. The session's is the only one.
fn answer(headers: &HeaderMap) -> &'static str {
    match headers.get(SET_COOKIE).map(|cookie| cookie.as_bytes()) {
        None => NONE_SET,
        Some(cookie) if cookie.windows(9).any(|part| part == b"Max-Age=0") => "removed",
        Some(_) => "new one set",
    }
}

fn keys(keys: &[String], all: bool) -> String {
    match keys {
        _ if all => "all keys".to_owned(),
        [] => "nothing".to_owned(),
        keys => keys.join(", "),
    }
}

fn is_page(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

async fn with_strip(response: Response, before: Option<&Line>, line: &Line) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(page) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut page = String::from_utf8_lossy(&page).into_owned();
    // A page without a footer gets no strip.
    let footer = "</footer>\n";
    if let Some(end) = page.rfind(footer) {
        page.insert_str(end + footer.len(), &strip(before, line));
        parts.headers.remove(CONTENT_LENGTH);
    }
    Response::from_parts(parts, Body::from(page))
}

fn strip(before: Option<&Line>, line: &Line) -> String {
    let mut html = String::from("<aside class=\"strip\" aria-label=\"What the session did\">\n");
    for (line, is_page) in before
        .map(|line| (line, false))
        .into_iter()
        .chain([(line, true)])
    {
        let request = format!("{} {} {}", line.method, line.path, line.status.as_u16());
        let id = line
            .id
            .map_or_else(|| "none".to_owned(), |id| id.to_string());
        let cookie = if line.came_with_cookie {
            "sent"
        } else {
            "not sent"
        };
        let (bytes, limit) = line.bytes;
        let _ = write!(html, "<dl{}>", if is_page { " id=\"strip\"" } else { "" });
        for (class, name, value) in [
            ("request", "request", request),
            ("loads", "loads", line.loads.to_string()),
            ("commits", "commits", line.commits.to_string()),
            ("cookie", "cookie", format!("{cookie}, {}", line.answer)),
            ("bytes", "bytes", format!("{bytes} of {limit}")),
            ("session", "session ID", id),
            ("read", "reads", line.read.clone()),
            ("written", "writes", line.written.clone()),
        ] {
            let value = escaped(&value);
            let _ = write!(
                html,
                "<div><dt>{name}</dt><dd class=\"{class}\">{value}</dd></div>"
            );
        }
        html.push_str("</dl>\n");
    }
    html.push_str("</aside>\n");
    html
}

pub(crate) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

/// `GET /cart 200  1 load, 0 commits, cookie sent, none set  124 of 4096 bytes  reads cart  writes nothing  3 ms`
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.untouched {
            let (method, path) = (&self.method, self.path.escape_debug());
            let (status, took) = (self.status.as_u16(), self.took.as_millis());
            return write!(f, "{method} {path} {status}  session untouched  {took} ms");
        }
        let plural = |count| if count == 1 { "" } else { "s" };
        let (loads, commits) = (self.loads, self.commits);
        // The path is the visitor's: no character of it may move a cursor or end the line.
        write!(
            f,
            "{} {} {}  {loads} load{}, {commits} commit{}  cookie {}, {}  {} of {} bytes  reads {}  writes {}  {} ms",
            self.method,
            self.path.escape_debug(),
            self.status.as_u16(),
            plural(loads),
            plural(commits),
            if self.came_with_cookie {
                "sent"
            } else {
                "not sent"
            },
            self.answer,
            self.bytes.0,
            self.bytes.1,
            self.read.escape_debug(),
            self.written.escape_debug(),
            self.took.as_millis(),
        )
    }
}

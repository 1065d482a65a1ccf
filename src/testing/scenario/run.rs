//! Plays the requests of a scenario.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use liquid::partials::{InMemorySource, LazyCompiler};

use super::counting::{Counting, Counts};
use super::format::{Entry, File, Page, Request, SetCookie};
use super::parallel::in_every_order;
use super::report::{Found, Place, Played, Report, one_line_less};
use crate::clock::ManualClock;
use crate::config::Environment;
use crate::dialect::{DialectExt as _, translate};
use crate::error::Error;
use crate::session::{Outcome, Session};
use crate::sessions::Sessions;
use crate::store::{Revoke, SessionStore};
use crate::template::ParserBuilderExt as _;
use crate::value::Value;

pub(super) fn run(name: &str, file: &File, store: impl SessionStore) -> Result<Report, Error> {
    let stage = Stage::new(file, store)?;
    let mut player = stage.enter();
    let requests = file.requests.iter().enumerate().map(|(at, entry)| {
        let place = Place {
            file: name,
            index: at + 1,
            line: entry.referenced.line(),
            about: &file.about,
        };
        match &entry.value {
            Entry::Single(request) => Played::single(place, &request.written, player.play(request)),
            Entry::Parallel(parallel) => in_every_order(&stage, &mut player, at, parallel, place),
        }
    });
    Ok(Report::new(requests))
}

/// The source as the parser takes it.
fn in_the_dialect<'s>(file: &File, source: &'s str) -> Cow<'s, str> {
    if file.dialect {
        translate(source)
    } else {
        Cow::Borrowed(source)
    }
}

/// The parser of a scenario without views.
fn parser(file: &File) -> Result<liquid::Parser, Error> {
    let mut partials = InMemorySource::new();
    for (name, source) in &file.partials {
        partials.add(name, in_the_dialect(file, source));
    }
    let mut builder = liquid::ParserBuilder::with_stdlib();
    if file.dialect {
        builder = builder.dialect();
    }
    builder = if file.strict {
        builder.strict_sessions()
    } else {
        builder.sessions()
    };
    // Lazy: a partial that can't be parsed fails the requests that use it, and no other.
    Ok(builder.partials(LazyCompiler::new(partials)).build()?)
}

/// The parts that all courses of a scenario share.
pub(super) struct Stage<'f> {
    pub(super) file: &'f File,
    parser: liquid::Parser,
    store: Arc<dyn SessionStore>,
    pub(super) counts: Arc<Counts>,
}

impl<'f> Stage<'f> {
    fn new(file: &'f File, store: impl SessionStore) -> Result<Self, Error> {
        let parser = match &file.site {
            Some(views) => views.parser(),
            None => parser(file)?,
        };
        let counts = Arc::new(Counts::default());
        let counting = Counting {
            store,
            counts: counts.clone(),
        };
        Ok(Self {
            file,
            parser,
            store: Arc::new(counting),
            counts,
        })
    }

    /// Begins a course of the scenario, with no session.
    pub(super) fn enter(&self) -> Player<'_> {
        let clock = ManualClock::new();
        let config = self.file.sessions.clone();
        Player {
            stage: self,
            sessions: Sessions::assemble(self.store.clone(), config, Arc::new(clock.clone())),
            clock,
            jars: HashMap::new(),
        }
    }
}

/// A course of the scenario: its browsers, its sessions and its clock.
pub(super) struct Player<'s> {
    pub(super) stage: &'s Stage<'s>,
    pub(super) clock: ManualClock,
    sessions: Sessions,
    pub(super) jars: HashMap<&'s str, Jar>,
}

/// The session cookie of a browser.
#[derive(Clone, Default)]
pub(super) struct Jar(Option<String>);

impl Jar {
    pub(super) fn cookie(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Returns the cookie that the browser sends with a request.
    pub(super) fn sent<'c>(&'c self, request: &'c Request) -> Option<&'c str> {
        request.written.cookie.as_deref().or(self.cookie())
    }

    /// Takes the cookie of an answer.
    pub(super) fn keep(&mut self, outcome: &Outcome) -> SetCookie {
        if let Some(secret) = outcome.secret() {
            self.0 = Some(secret.expose());
            SetCookie::Set
        } else if outcome.removes_cookie() {
            self.0 = None;
            SetCookie::Removed
        } else {
            SetCookie::None
        }
    }
}

impl<'s> Player<'s> {
    pub(super) fn play(&mut self, request: &'s Request) -> Found {
        let written = &request.written;
        let browser = written.browser.0.as_str();
        self.clock.advance(written.wait.0);
        self.stage.counts.take();
        let mut jar = self.jar(browser);
        let session = self.open(request, jar.sent(request));
        let answer = self.answer(request, &session);
        let (answer, outcome) = self.end(&session, answer);
        let cookie = outcome.map_or(SetCookie::None, |outcome| jar.keep(&outcome));
        let counts = self.stage.counts.take();
        let stored = self.stored(jar.cookie());
        self.jars.insert(browser, jar);
        Found::new(request, answer, stored, counts, cookie)
    }
    pub(super) fn jar(&self, browser: &str) -> Jar {
        self.jars.get(browser).cloned().unwrap_or_default()
    }

    pub(super) fn open(&self, request: &Request, cookie: Option<&str>) -> Session {
        let https = request.written.https.0;
        if !https && self.sessions.config().environment() == Environment::Production {
            return Session::disabled(
                "plain HTTP has none in production: serve over HTTPS, or set `environment: development`",
            );
        }
        self.sessions.open(cookie)
    }

    pub(super) fn answer(&self, request: &Request, session: &Session) -> Result<String, Error> {
        let written = &request.written;
        if let Some(user) = &written.login {
            session.login(user)?;
        }
        if written.logout {
            session.logout()?;
        }
        if written.renew {
            session.renew()?;
        }
        if let Some(user) = &written.revoke_user {
            self.sessions.revoke(user, Revoke::All)?;
        }
        let staged = session.has_changes();

        let page = match &request.page {
            Page::Source(source) => self.render(request, session, source, None),
            Page::Visit(page) => page.render(session, &written.globals.0),
        };
        let page = page.inspect_err(|_| {
            // The render has discarded its own writes. Those before it go too, as with a response of
            // 500.
            if staged {
                session.discard();
            }
        })?;
        let layout = written.layout.as_ref();
        match layout.and_then(|layout| self.stage.file.layouts.get(&layout.value)) {
            Some(layout) => self
                .render(request, session, layout, Some(one_line_less(&page)))
                .inspect_err(|_| session.discard()),
            None => Ok(page),
        }
    }

    fn render(
        &self,
        request: &Request,
        session: &Session,
        source: &str,
        content: Option<&str>,
    ) -> Result<String, Error> {
        let source = in_the_dialect(self.stage.file, source);
        let template = self.stage.parser.parse(&source)?;
        let mut globals = session.bind(&request.written.globals.0);
        if let Some(content) = content {
            globals = globals.with("content_for_layout", content);
        }
        if request.written.lenient {
            session.render_bound(&template, &globals.lenient())
        } else {
            session.render_bound(&template, &globals)
        }
    }

    /// Commits a request.
    pub(super) fn end(
        &self,
        session: &Session,
        answer: Result<String, Error>,
    ) -> (Result<String, Error>, Option<Outcome>) {
        match session.commit() {
            Ok(outcome) => (answer, Some(outcome)),
            Err(error) => {
                session.discard();
                // A session that this request ended stays ended.
                (answer.and(Err(error)), session.commit().ok())
            }
        }
    }

    /// Returns the stored session that a cookie opens.
    pub(super) fn stored(&self, cookie: Option<&str>) -> Result<BTreeMap<String, Value>, Error> {
        match cookie {
            Some(cookie) => {
                let session = self.sessions.open(Some(cookie));
                Ok(session.entries()?.into_iter().collect())
            }
            None => Ok(BTreeMap::new()),
        }
    }

    /// Ends the sessions of this course, to leave the store to the next one.
    pub(super) fn leave(self) {
        for jar in self.jars.values() {
            // A session that can't be ended does no harm to a later course.
            let _ = self.sessions.open(jar.cookie()).logout();
        }
    }
}

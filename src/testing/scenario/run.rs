//! Plays the requests of a scenario.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use liquid::partials::{InMemorySource, LazyCompiler};

use super::counting::{Counting, Counts};
use super::format::{File, Request, SetCookie};
use super::report::{Found, Played, Report, one_line_less};
use crate::clock::ManualClock;
use crate::config::Environment;
use crate::dialect::{DialectExt as _, translate};
use crate::error::Error;
use crate::session::Session;
use crate::sessions::Sessions;
use crate::store::{Revoke, SessionStore};
use crate::template::ParserBuilderExt as _;
use crate::value::Value;

pub(super) fn run(name: &str, file: &File, store: impl SessionStore) -> Result<Report, Error> {
    let mut player = Player::new(file, store)?;
    let requests = file.requests.iter().enumerate().map(|(at, request)| {
        let found = player.play(request);
        Played::new(name, at + 1, &file.about, &request.written, found)
    });
    Ok(Report::new(requests.collect()))
}

/// The source as the parser takes it.
fn in_the_dialect<'s>(file: &File, source: &'s str) -> Cow<'s, str> {
    if file.dialect {
        translate(source)
    } else {
        Cow::Borrowed(source)
    }
}

struct Player<'f> {
    file: &'f File,
    parser: liquid::Parser,
    clock: ManualClock,
    counts: Arc<Counts>,
    sessions: Sessions,
    /// The cookie of each browser.
    jars: HashMap<&'f str, String>,
}

impl<'f> Player<'f> {
    fn new(file: &'f File, store: impl SessionStore) -> Result<Self, Error> {
        let mut partials = InMemorySource::new();
        for (name, source) in &file.partials {
            partials.add(name, in_the_dialect(file, source));
        }
        let builder = liquid::ParserBuilder::with_stdlib().sessions();
        let builder = if file.dialect {
            builder.dialect()
        } else {
            builder
        };
        // Lazy: a partial that can't be parsed fails the requests that use it, and no other.
        let parser = builder.partials(LazyCompiler::new(partials)).build()?;
        let clock = ManualClock::new();
        let counts = Arc::new(Counts::default());
        let counting = Counting {
            store,
            counts: counts.clone(),
        };
        Ok(Self {
            file,
            parser,
            sessions: Sessions::new(counting, file.sessions.clone()).with_clock(clock.clone()),
            clock,
            counts,
            jars: HashMap::new(),
        })
    }

    fn play(&mut self, request: &'f Request) -> Found {
        let written = &request.written;
        let browser = written.browser.0.as_str();
        self.clock.advance(written.wait.0);
        self.counts.take();
        let session = self.open(request);
        let mut answer = self.answer(request, &session);
        let cookie = self.commit(browser, &session).unwrap_or_else(|error| {
            if answer.is_ok() {
                answer = Err(error);
            }
            session.discard();
            // A session that this request ended stays ended.
            self.commit(browser, &session).unwrap_or(SetCookie::None)
        });
        let (loads, writes) = self.counts.take();
        let (output, error) = match answer {
            Ok(output) => (Some(output), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Found {
            output,
            error,
            session: self.stored(browser),
            loads,
            writes,
            cookie,
        }
    }

    fn open(&self, request: &Request) -> Session {
        let written = &request.written;
        if !written.https.0 && self.sessions.config().environment() == Environment::Production {
            return Session::disabled(
                "plain HTTP has none in production: serve over HTTPS, or set `environment: development`",
            );
        }
        let jar = self.jars.get(written.browser.0.as_str());
        self.sessions
            .open(written.cookie.as_deref().or(jar.map(String::as_str)))
    }

    fn answer(&self, request: &Request, session: &Session) -> Result<String, Error> {
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

        let page = self.render(request, session, &request.page, None);
        let page = page.inspect_err(|_| {
            // The render has discarded its own writes. Those before it go too, as with a response of
            // 500.
            if staged {
                session.discard();
            }
        })?;
        let layout = written.layout.as_ref();
        match layout.and_then(|layout| self.file.layouts.get(&layout.value)) {
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
        let template = self.parser.parse(&in_the_dialect(self.file, source))?;
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

    /// Commits, and puts the cookie into the browser's jar.
    fn commit(&mut self, browser: &'f str, session: &Session) -> Result<SetCookie, Error> {
        let outcome = session.commit()?;
        Ok(if let Some(secret) = outcome.secret() {
            self.jars.insert(browser, secret.expose());
            SetCookie::Set
        } else if outcome.removes_cookie() {
            self.jars.remove(browser);
            SetCookie::Removed
        } else {
            SetCookie::None
        })
    }

    /// Returns the stored session of a browser.
    fn stored(&self, browser: &str) -> Result<BTreeMap<String, Value>, Error> {
        match self.jars.get(browser) {
            Some(cookie) => {
                let session = self.sessions.open(Some(cookie));
                Ok(session.entries()?.into_iter().collect())
            }
            None => Ok(BTreeMap::new()),
        }
    }
}

//! What the cases have in common.

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use super::{Checked, Fresh};
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::config::{SessionConfig, SessionConfigBuilder};
use crate::error::{Error, ErrorKind};
use crate::record::{Change, Lifetime};
use crate::secret::{Secret, SessionId, StoreKey};
use crate::session::{Outcome, Session, Status};
use crate::sessions::Sessions;
use crate::store::{Committed, Loaded, Record, SessionStore};
use crate::value::Value;

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const MILLI: Duration = Duration::from_millis(1);

/// A store under test, with a clock that stands still until it is moved.
pub(super) struct Bench {
    pub(super) store: Arc<dyn SessionStore>,
    pub(super) sessions: Sessions,
    pub(super) clock: ManualClock,
}

impl Bench {
    /// Sessions that end after an hour without use.
    pub(super) fn new(fresh: Fresh<'_>) -> Result<Self, Error> {
        Self::with(fresh, |config| config)
    }

    pub(super) fn with(
        fresh: Fresh<'_>,
        settings: impl FnOnce(SessionConfigBuilder) -> SessionConfigBuilder,
    ) -> Result<Self, Error> {
        let clock = ManualClock::new();
        let store = fresh();
        let config = settings(SessionConfig::builder().timeout_minutes(60)).build()?;
        let sessions = Sessions::assemble(store.clone(), config, Arc::new(clock.clone()));
        Ok(Self {
            store,
            sessions,
            clock,
        })
    }

    /// This store with other settings, as after a restart.
    pub(super) fn limited(
        &self,
        settings: impl FnOnce(SessionConfigBuilder) -> SessionConfigBuilder,
    ) -> Result<Self, Error> {
        let config = settings(SessionConfig::builder().timeout_minutes(60)).build()?;
        let clock = self.clock.clone();
        let store = self.store.clone();
        Ok(Self {
            sessions: Sessions::assemble(store.clone(), config, Arc::new(clock.clone())),
            store,
            clock,
        })
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A request with this cookie.
    pub(super) fn open(&self, cookie: &str) -> Session {
        self.sessions.open(Some(cookie))
    }

    /// A new session with these keys; its cookie.
    pub(super) fn begin<V: Into<Value> + Clone>(
        &self,
        data: &[(&str, V)],
    ) -> Result<String, Error> {
        let session = self.sessions.open(None);
        for (key, value) in data {
            session.set(key, value.clone().into())?;
        }
        cookie(&session.commit()?)
    }

    /// A new session of this user; its cookie and its public handle.
    pub(super) fn sign_in(&self, user: &str) -> Result<(String, SessionId), Error> {
        let session = self.sessions.open(None);
        session.login(user)?;
        let cookie = cookie(&session.commit()?)?;
        let id = self.record(&cookie)?.id();
        Ok((cookie, id))
    }

    /// What is in the store under this cookie, if anything.
    pub(super) fn find(&self, cookie: &str) -> Result<Option<Arc<Record>>, Error> {
        Ok(match self.store.load(&key(cookie)?, self.now())? {
            Loaded::Found(record) => Some(record),
            Loaded::Moved(_) | Loaded::Absent => None,
        })
    }

    /// The record under this cookie, which must be there.
    pub(super) fn record(&self, cookie: &str) -> Result<Arc<Record>, Error> {
        self.find(cookie)?
            .ok_or_else(|| failed("expected a session in the store, found none"))
    }

    pub(super) fn data(&self, cookie: &str) -> Result<BTreeMap<String, Value>, Error> {
        let record = self.record(cookie)?;
        record
            .iter()
            .map(|(key, bytes)| Ok((key.to_owned(), Value::from_bytes(bytes)?)))
            .collect()
    }

    /// Fails unless the session holds exactly this.
    #[track_caller]
    pub(super) fn expect<V: Into<Value> + Clone>(
        &self,
        cookie: &str,
        expected: &[(&str, V)],
    ) -> Result<(), Error> {
        let expected: BTreeMap<String, Value> = expected
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone().into()))
            .collect();
        assert_eq!(self.data(cookie)?, expected);
        Ok(())
    }

    /// How many sessions are alive.
    pub(super) fn count(&self) -> Result<usize, Error> {
        let mut count = 0;
        self.store.scan(self.now(), &mut |_, _| {
            count += 1;
            true
        })?;
        Ok(count)
    }

    /// The public handles of a user's sessions, sorted.
    pub(super) fn list(&self, user: &str) -> Result<Vec<SessionId>, Error> {
        let mut ids: Vec<_> = self
            .sessions
            .user_sessions(user)?
            .iter()
            .map(|info| info.id)
            .collect();
        ids.sort();
        Ok(ids)
    }

    /// The timeouts of the settings.
    pub(super) fn lifetime(&self) -> Lifetime {
        let config = self.sessions.config();
        Lifetime::new(config.timeout()).absolute(config.absolute_timeout())
    }

    /// An empty change, under the settings.
    pub(super) fn change(&self) -> Change {
        Change::new(self.sessions.config().limits(), self.lifetime())
    }

    /// Commits a change of a request that has loaded nothing.
    pub(super) fn commit(&self, cookie: &str, change: &Change) -> Result<Committed, Error> {
        self.store.commit(&key(cookie)?, change, None, self.now())
    }

    /// A store key that nothing uses, for a renewal of this session.
    pub(super) fn new_key(&self, cookie: &str) -> Result<StoreKey, Error> {
        Ok(Secret::generate(Some(key(cookie)?.shard()))?.store_key())
    }

    /// Records a use of the session now, which must be due.
    pub(super) fn touch(&self, cookie: &str) -> Checked {
        let record = self.record(cookie)?;
        self.touch_as(cookie, &record, self.now())
    }

    /// Records a use as a request does that had loaded this record.
    pub(super) fn touch_as(&self, cookie: &str, record: &Record, at: Timestamp) -> Checked {
        let touch = record
            .touch_due(&self.lifetime(), at)
            .ok_or_else(|| failed("expected a use that is due, found none"))?;
        self.store.touch(&key(cookie)?, &touch)
    }

    /// Sweeps, and expects so many removals of a store that does not expire records by itself.
    #[track_caller]
    pub(super) fn sweep(&self, max: usize, expected: usize) -> Checked {
        let swept = self.sessions.sweep(max)?;
        if self.store.expires_by_itself() {
            assert!(swept <= max, "{swept} is more than {max}");
        } else {
            assert_eq!(swept, expected);
        }
        Ok(())
    }

    /// Turns the clock back to a time when nothing had expired, to see how many records were not
    /// removed. A store that expires records by itself may have removed them all, or none.
    #[track_caller]
    pub(super) fn expect_left_at(&self, earlier: Timestamp, expected: usize) -> Checked {
        if !self.store.expires_by_itself() {
            self.clock.set(earlier);
            assert_eq!(self.count()?, expected);
        }
        Ok(())
    }
}

/// Nothing, where the type of the values does not matter.
pub(super) const NOTHING: &[(&str, i64)] = &[];

/// The cookie that a commit asks to be sent.
pub(super) fn cookie(outcome: &Outcome) -> Result<String, Error> {
    outcome
        .secret()
        .map(Secret::expose)
        .ok_or_else(|| failed("expected a secret for the cookie, found none"))
}

/// What the store knows a cookie by.
pub(super) fn key(cookie: &str) -> Result<StoreKey, Error> {
    Secret::parse(cookie)
        .map(|secret| secret.store_key())
        .ok_or_else(|| failed("expected a secret, found something else"))
}

/// A secret that looks like ours and that no store has seen.
pub(super) fn foreign_secret() -> Result<String, Error> {
    Ok(Secret::generate(None)?.expose())
}

/// Fails unless the commit found the session ended, and sends no cookie.
#[track_caller]
pub(super) fn expect_gone(outcome: &Outcome) {
    assert_eq!(outcome.status(), Status::Gone);
    assert!(outcome.secret().is_none(), "a cookie for an ended session");
}

/// Fails unless the changes were merged, and the cookie stays as it is.
#[track_caller]
pub(super) fn expect_merged(outcome: &Outcome) {
    assert_eq!(outcome.status(), Status::Changed);
    assert!(outcome.secret().is_none(), "a cookie of a second renewal");
    assert!(!outcome.removes_cookie());
}

/// Renews the session under this cookie; the new cookie.
pub(super) fn renew(bench: &Bench, old: &str) -> Result<String, Error> {
    let session = bench.open(old);
    session.renew()?;
    cookie(&session.commit()?)
}

/// Signs in a user to the session under this cookie; the new cookie.
pub(super) fn login(bench: &Bench, old: &str, user: &str) -> Result<String, Error> {
    let session = bench.open(old);
    session.login(user)?;
    cookie(&session.commit()?)
}

/// Fails unless this is an error of that kind.
#[track_caller]
pub(super) fn expect_error<T>(result: Result<T, Error>, kind: ErrorKind) {
    assert_eq!(result.err().map(|error| error.kind()), Some(kind));
}

fn failed(what: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, what)
}

/// Eight threads that begin at the same moment; what each of them found.
pub(super) fn together<T: Send>(
    work: impl Fn(usize) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    const THREADS: usize = 8;
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                let (start, work) = (&start, &work);
                scope.spawn(move || {
                    start.wait();
                    work(number)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    })
}

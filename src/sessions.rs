use std::fmt;
use std::sync::Arc;

use crate::clock::{Clock, SystemClock};
use crate::config::SessionConfig;
use crate::error::Error;
use crate::observe::{Counters, Tally};
use crate::secret::Secret;
use crate::session::queue::Queues;
use crate::session::shared::Shared;
use crate::session::{Credential, Session};
use crate::store::{Revoke, SessionInfo, SessionStore};

/// The sessions of an application: the store, the settings and the clock.
///
/// - Make one when the application starts, and keep it. Clones share the store and the counters.
/// - Each request [opens](Self::open) a [`Session`].
///
/// # Example
///
/// ```
/// use liquid_session::{MemoryStore, SessionConfig, Sessions};
///
/// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
///
/// // The first request writes, and gets a cookie.
/// let session = sessions.open(None);
/// session.set("color", "dark")?;
/// let outcome = session.commit()?;
/// let cookie = outcome.secret().expect("a new session").expose();
///
/// // The second comes with it.
/// let session = sessions.open(Some(&cookie));
/// assert_eq!(session.get("color")?, Some("dark".into()));
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone)]
pub struct Sessions {
    shared: Arc<Shared>,
}

impl Sessions {
    /// Creates sessions with a store, settings, and the system's clock.
    pub fn new(store: impl SessionStore, config: SessionConfig) -> Self {
        Self::assemble(Arc::new(store), config, Arc::new(SystemClock))
    }

    pub(crate) fn assemble(
        store: Arc<dyn SessionStore>,
        config: SessionConfig,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                store,
                config,
                clock,
                queues: Queues::default(),
                tally: Tally::default(),
            }),
        }
    }

    /// Replaces the clock, for tests; see [`ManualClock`](crate::clock::ManualClock).
    ///
    /// The counters begin at zero.
    ///
    /// ```
    /// use std::time::Duration;
    /// use liquid_session::clock::ManualClock;
    /// use liquid_session::{MemoryStore, SessionConfig, Sessions};
    ///
    /// let clock = ManualClock::new();
    /// let config = SessionConfig::builder().timeout_minutes(30).build()?;
    /// let sessions = Sessions::new(MemoryStore::new(), config).with_clock(clock.clone());
    /// let session = sessions.open(None);
    /// session.set("cart", "full")?;
    /// let cookie = session.commit()?.secret().unwrap().expose();
    ///
    /// clock.advance(Duration::from_secs(30 * 60));
    /// assert_eq!(sessions.open(Some(&cookie)).get("cart")?, None, "expired");
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        let shared = &self.shared;
        Self::assemble(shared.store.clone(), shared.config.clone(), Arc::new(clock))
    }

    /// Opens the session of a request, by the value of its session cookie.
    ///
    /// - Opening calls no store. The first read or write loads the record.
    /// - Without a cookie, or with a value that is not 43 characters of base64url, the request begins
    ///   without a session.
    /// - A secret that the store does not know is never adopted: a write begins a new session under a
    ///   new secret (OWASP: strict session management).
    /// - With `enabled: false` in the settings, the session is [disabled](Session::disabled).
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let session = sessions.open(Some("chosen-by-an-attacker"));
    /// session.set("a", 1)?;
    /// let outcome = session.commit()?;
    /// assert_ne!(outcome.secret().unwrap().expose(), "chosen-by-an-attacker");
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn open(&self, cookie: Option<&str>) -> Session {
        let secret = cookie.and_then(Secret::parse);
        self.open_with(secret.map_or(Credential::None, Credential::Secret))
    }

    pub(crate) fn open_with(&self, credential: Credential) -> Session {
        if !self.shared.config.is_enabled() {
            return Session::disabled(
                "sessions are switched off in the settings (`enabled: false`)",
            );
        }
        Session::open(self.shared.clone(), credential)
    }

    /// Returns the live sessions of a user.
    ///
    /// Records that can't be read are left out, and counted as
    /// [`unreadable`](crate::Counters::unreadable).
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): the store can't be reached.
    ///
    /// ```
    /// use liquid_session::Login;
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let session = sessions.open(None);
    /// session.login(Login::new("ann").label("Firefox on Linux"))?;
    /// session.commit()?;
    ///
    /// let list = sessions.user_sessions("ann")?;
    /// assert_eq!(list.len(), 1);
    /// assert_eq!(list[0].label, "Firefox on Linux");
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn user_sessions(&self, user: &str) -> Result<Vec<SessionInfo>, Error> {
        self.shared.user_sessions(user)
    }

    /// Ends sessions of a user, and returns how many (ASVS 5.0, 7.4.2, 7.4.3 and 7.5.2).
    ///
    /// - Every session that was signed in before the call is ended, also under a secret that it gets
    ///   by a renewal or a login meanwhile.
    /// - Records that can't be read are removed too.
    ///
    /// # Errors
    ///
    /// Some of the sessions may be ended; the call can be repeated.
    ///
    /// - [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): the store can't be reached.
    ///
    /// ```
    /// use liquid_session::store::Revoke;
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let session = sessions.open(None);
    /// session.login("ann")?;
    /// session.commit()?;
    /// let id = sessions.user_sessions("ann")?[0].id;
    /// assert_eq!(sessions.revoke("ann", Revoke::One(id))?, 1);
    /// assert!(sessions.user_sessions("ann")?.is_empty());
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn revoke(&self, user: &str, which: Revoke) -> Result<usize, Error> {
        self.shared.revoke(user, which, None)
    }

    /// Removes at most `max` expired or damaged sessions, and returns how many. Call it every minute,
    /// from a thread of its own, or spawn `sweep_every` (feature `tower`).
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): the store can't be reached.
    ///
    /// ```
    /// use std::time::Duration;
    /// use liquid_session::clock::ManualClock;
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// let clock = ManualClock::new();
    /// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default())
    ///     .with_clock(clock.clone());
    /// let session = sessions.open(None);
    /// session.set("cart", "full")?;
    /// session.commit()?;
    ///
    /// clock.advance(Duration::from_secs(30 * 24 * 60 * 60));
    /// assert_eq!(sessions.sweep(10_000)?, 1);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn sweep(&self, max: usize) -> Result<usize, Error> {
        let count = self.shared.blocking().sweep(self.shared.now(), max)?;
        if count > 0 {
            self.shared.tally.expired(count);
        }
        Ok(count)
    }

    /// Checks that the store answers: for the readiness of a server.
    ///
    /// It waits as long as the store waits for its disk or network. In async code, call it on a blocking
    /// thread if the store [may block](SessionStore::may_block).
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): the store can't be reached.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let status = if sessions.ping().is_ok() { 200 } else { 503 };
    /// assert_eq!(status, 200);
    /// ```
    pub fn ping(&self) -> Result<(), Error> {
        self.shared.store.ping()
    }

    /// Returns how many sessions the store holds, if the store knows it: for a gauge beside the
    /// [counters](Self::counters). Expired sessions that were not swept yet may be among them.
    ///
    /// `MemoryStore` and `RedbStore` know it. The servers of `RedisStore` and `PostgresStore` would have to read
    /// all sessions.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let session = sessions.open(None);
    /// session.set("color", "dark")?;
    /// session.commit()?;
    /// assert_eq!(sessions.count(), Some(1));
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn count(&self) -> Option<usize> {
        self.shared.store.count()
    }

    /// Reads the counters of these sessions, to export as metrics; see
    /// [`Counters::iter`]. Reading takes no lock.
    pub fn counters(&self) -> Counters {
        self.shared.tally.read()
    }

    #[cfg(feature = "tower")]
    pub(crate) fn tally(&self) -> &Tally {
        &self.shared.tally
    }

    #[cfg(feature = "tower")]
    pub(crate) fn downgrade(&self) -> WeakSessions {
        WeakSessions(Arc::downgrade(&self.shared))
    }

    /// Whether both are clones of one `Sessions`.
    #[cfg(feature = "tower")]
    pub(crate) fn are(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Returns the store.
    pub fn store(&self) -> &dyn SessionStore {
        &*self.shared.store
    }

    /// Returns the settings.
    pub fn config(&self) -> &SessionConfig {
        &self.shared.config
    }
}

/// Sessions that a task does not keep alive.
#[cfg(feature = "tower")]
pub(crate) struct WeakSessions(std::sync::Weak<Shared>);

#[cfg(feature = "tower")]
impl WeakSessions {
    pub(crate) fn upgrade(&self) -> Option<Sessions> {
        let shared = self.0.upgrade()?;
        Some(Sessions { shared })
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("config", &self.shared.config)
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

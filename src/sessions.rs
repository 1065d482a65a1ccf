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

/// All sessions of an application: the store, the settings and the clock.
///
/// Make one when the application starts and keep it; clones are the same sessions. Each request
/// [opens](Self::open) a [`Session`] from it.
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
    /// Sessions in this store, with these settings, by the system's clock.
    ///
    /// ```
    /// use liquid_session::{MemoryStore, SessionConfig, Sessions};
    ///
    /// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// assert!(sessions.config().is_enabled());
    /// ```
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

    /// These sessions with another clock. For tests; see
    /// [`ManualClock`](crate::clock::ManualClock).
    ///
    /// ```
    /// use liquid_session::clock::ManualClock;
    /// use liquid_session::{MemoryStore, SessionConfig, Sessions};
    ///
    /// let clock = ManualClock::new();
    /// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default())
    ///     .with_clock(clock.clone());
    /// ```
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        let shared = &self.shared;
        Self::assemble(shared.store.clone(), shared.config.clone(), Arc::new(clock))
    }

    /// The session of a request: give it the value of the session cookie, or `None` without one.
    ///
    /// It costs nothing: no store call, no hash. A value that is not a secret of ours counts as no
    /// cookie, and a secret that the store does not know is never adopted: a write then begins a new
    /// session under a new secret (OWASP: strict session management).
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

    /// The sessions of a user that are alive.
    ///
    /// # Errors
    ///
    /// What the store says when it can't be reached.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// for session in sessions.user_sessions("u1")? {
    ///     println!("{} since {:?}", session.id, session.created);
    /// }
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn user_sessions(&self, user: &str) -> Result<Vec<SessionInfo>, Error> {
        self.shared.user_sessions(user)
    }

    /// Ends sessions of a user and says how many (ASVS 5.0, 7.4.2, 7.4.3 and 7.5.2).
    ///
    /// # Errors
    ///
    /// What the store says when it can't be reached.
    ///
    /// ```
    /// use liquid_session::store::Revoke;
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let session = sessions.open(None);
    /// session.login("u1")?;
    /// session.commit()?;
    /// let id = sessions.user_sessions("u1")?[0].id;
    /// assert_eq!(sessions.revoke("u1", Revoke::One(id))?, 1);
    /// assert!(sessions.user_sessions("u1")?.is_empty());
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn revoke(&self, user: &str, which: Revoke) -> Result<usize, Error> {
        self.shared.revoke(user, which, None)
    }

    /// Removes at most `max` expired sessions and says how many. Call it every minute or so, from a
    /// thread or a task of its own.
    ///
    /// # Errors
    ///
    /// What the store says when it can't be reached.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// assert_eq!(sessions.sweep(10_000)?, 0);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn sweep(&self, max: usize) -> Result<usize, Error> {
        let count = self.shared.store.sweep(self.shared.now(), max)?;
        if count > 0 {
            self.shared.tally.expired(count);
        }
        Ok(count)
    }

    /// How often things happened to these sessions so far, to export as metrics.
    ///
    /// Reading takes no lock and keeps nobody from counting.
    ///
    /// ```
    /// use std::fmt::Write;
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// # session.set("a", 1)?;
    /// # session.commit()?;
    ///
    /// // As Prometheus reads it, for the handler of `/metrics`.
    /// let counters = sessions.counters();
    /// let mut metrics = String::new();
    /// for (name, count) in [
    ///     ("created", counters.created),
    ///     ("commits", counters.commits),
    ///     ("unknown_secrets", counters.unknown_secrets),
    /// ] {
    ///     writeln!(metrics, "# TYPE session_{name}_total counter")?;
    ///     writeln!(metrics, "session_{name}_total {count}")?;
    /// }
    /// assert!(metrics.contains("\nsession_created_total 1\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn counters(&self) -> Counters {
        self.shared.tally.read()
    }

    /// Whether both are clones of one `Sessions`.
    #[cfg(feature = "tower")]
    pub(crate) fn are(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// The store.
    ///
    /// ```
    /// use liquid_session::store::SessionStore;
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// assert!(!sessions.store().may_block());
    /// ```
    pub fn store(&self) -> &dyn SessionStore {
        &*self.shared.store
    }

    /// The settings.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// assert_eq!(sessions.config().max_bytes(), 4096);
    /// ```
    pub fn config(&self) -> &SessionConfig {
        &self.shared.config
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

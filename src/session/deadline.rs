//! When a session ends, and requests that must not prolong it.

use super::Session;
use super::shared::Shared;
use super::state::{Base, State};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::record::{Record, Touch};

impl Session {
    /// Keeps this request from prolonging the session: for pages that a browser asks for by itself, such
    /// as a poll for news or the time that is left.
    ///
    /// - Neither the last use nor the deadline moves. Changes are stored, and keep the deadline.
    /// - A [`login`](Self::login) in the request prolongs the session even so, and a session that the
    ///   request begins has a deadline like any other.
    /// - It holds for this request, whenever it is called before the commit, and costs no store call.
    ///
    /// ```
    /// use std::time::Duration;
    /// use liquid_session::clock::ManualClock;
    /// use liquid_session::{MemoryStore, SessionConfig, Sessions};
    ///
    /// let clock = ManualClock::new();
    /// let config = SessionConfig::builder().timeout_minutes(30).build()?;
    /// let sessions = Sessions::new(MemoryStore::new(), config).with_clock(clock.clone());
    /// # let session = sessions.open(None);
    /// # session.set("news", 3)?;
    /// # let cookie = session.commit()?.secret().unwrap().expose();
    /// for _ in 0..30 {
    ///     let poll = sessions.open(Some(&cookie));
    ///     poll.dont_prolong();
    ///     assert_eq!(poll.get("news")?, Some(3.into()));
    ///     poll.commit()?;
    ///     clock.advance(Duration::from_secs(60));
    /// }
    /// assert_eq!(sessions.open(Some(&cookie)).get("news")?, None, "half an hour without a use");
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn dont_prolong(&self) {
        self.lock().prolongs = false;
    }

    /// Returns when the session ends if it is not used after this request; `None` without a session.
    ///
    /// - The request itself counts as a use, unless [`dont_prolong`](Self::dont_prolong) was called: a
    ///   page that asks how much time is left should call that.
    /// - A use is recorded at most once per interval, so the deadline is up to a twentieth of the idle
    ///   timeout, and never more than five minutes, earlier than the timeout from now.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): the store can't be reached.
    /// - [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): the record is damaged.
    ///
    /// ```
    /// use std::time::Duration;
    /// use liquid_session::clock::{Clock, ManualClock};
    /// use liquid_session::{MemoryStore, SessionConfig, Sessions};
    ///
    /// let clock = ManualClock::new();
    /// let config = SessionConfig::builder().timeout_minutes(30).build()?;
    /// let sessions = Sessions::new(MemoryStore::new(), config).with_clock(clock.clone());
    /// # let session = sessions.open(None);
    /// # session.set("news", 3)?;
    /// # let cookie = session.commit()?.secret().unwrap().expose();
    /// clock.advance(Duration::from_secs(26 * 60));
    ///
    /// let session = sessions.open(Some(&cookie));
    /// session.dont_prolong();
    /// let left = session.deadline()?.expect("there is a session") - clock.now();
    /// assert!(left < Duration::from_secs(5 * 60), "time for a warning");
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn deadline(&self) -> Result<Option<Timestamp>, Error> {
        let mut state = self.lock();
        state.open(self.shared())?;
        Ok(self.shared().and_then(|shared| state.deadline(shared)))
    }
}

impl State {
    /// Returns the use to record at the end of the request, if one is due.
    pub(super) fn touch_due<'r>(&self, record: &'r Record, shared: &Shared) -> Option<Touch<'r>> {
        if !self.prolongs {
            return None;
        }
        record.touch_due(&shared.lifetime(), shared.now())
    }

    fn deadline(&self, shared: &Shared) -> Option<Timestamp> {
        let (lifetime, now) = (shared.lifetime(), shared.now());
        match (&self.base, self.login.as_deref()) {
            (Base::Loaded(_, record), Some(login)) => {
                Some(lifetime.deadline(login.idle_timeout, record.created().min(now), now))
            }
            (Base::Loaded(_, record), None) => Some(match self.touch_due(record, shared) {
                Some(touch) => touch.deadline,
                None => record.deadline_under(&lifetime, now),
            }),
            (_, login) if self.begins() => {
                let own = login.and_then(|login| login.idle_timeout);
                Some(lifetime.deadline(own, now, now))
            }
            _ => None,
        }
    }
}

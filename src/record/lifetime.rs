//! The lifetime of a session: its timeouts, and the uses that move its deadline.

use std::time::Duration;

use super::Record;
use crate::clock::{Timestamp, millis_of};
use crate::secret::SessionId;

/// A creation or use further in the future was written by a wrong clock, and counts as now.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// The longest interval between two recorded uses.
const LONGEST_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// The timeouts of the settings, from which a [`Change`](crate::store::Change) computes the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lifetime {
    /// The idle timeout, for sessions whose login gave them none.
    pub idle: Duration,
    /// The absolute timeout, if there is one.
    pub absolute: Option<Duration>,
}

impl Lifetime {
    /// Creates timeouts without an absolute one.
    pub const fn new(idle: Duration) -> Self {
        Self {
            idle,
            absolute: None,
        }
    }

    /// Sets the absolute timeout.
    #[must_use]
    pub const fn absolute(mut self, absolute: Option<Duration>) -> Self {
        self.absolute = absolute;
        self
    }

    /// Returns the deadline of a session with this creation and last use.
    pub(crate) fn deadline(
        &self,
        own: Option<Duration>,
        created: Timestamp,
        used: Timestamp,
    ) -> Timestamp {
        let idle = used + own.unwrap_or(self.idle);
        match self.absolute {
            Some(absolute) => idle.min(created + absolute),
            None => idle,
        }
    }
}

/// A use of a session, for [`SessionStore::touch`](crate::store::SessionStore::touch).
///
/// [`Record::touch_due`] makes it. A store passes it to [`Record::touch`], or writes its parts.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Touch<'r> {
    /// When the session was used.
    pub at: Timestamp,
    /// The deadline that goes with the use.
    pub deadline: Timestamp,
    /// The session ID of the record, for the user's index.
    pub id: SessionId,
    /// The user of the record, for the user's index.
    pub user: Option<&'r str>,
}

impl Touch<'_> {
    /// Returns this use without its user, for a store that passes it to another thread and loses no
    /// index lines.
    pub fn without_user(&self) -> Touch<'static> {
        Touch {
            at: self.at,
            deadline: self.deadline,
            id: self.id,
            user: None,
        }
    }
}

impl Record {
    /// Returns the use to record at `now`, if one is due: a twentieth of the idle timeout has passed
    /// since the last recorded use, or five minutes.
    ///
    /// A last use more than five minutes in the future was written by a wrong clock, and is corrected at
    /// once.
    pub fn touch_due(&self, lifetime: &Lifetime, now: Timestamp) -> Option<Touch<'_>> {
        let idle = self.idle_timeout().unwrap_or(lifetime.idle);
        let unused = now.as_millis().saturating_sub(self.last_used.as_millis());
        let twentieth = unused.saturating_mul(20) >= millis_of(idle);
        let due = unused > 0 && (twentieth || unused >= millis_of(LONGEST_INTERVAL));
        (due || self.last_used > now + TOLERANCE).then(|| Touch {
            at: now,
            deadline: lifetime.deadline(self.idle_timeout(), plausible(self.created, now), now),
            id: self.id,
            user: self.user(),
        })
    }

    /// Records a use. The last use never moves back, except from more than five minutes in the future.
    pub fn touch(&mut self, touch: &Touch<'_>) {
        if touch.at > self.last_used || self.last_used > touch.at + TOLERANCE {
            self.last_used = touch.at;
            self.deadline = touch.deadline;
            self.created = plausible(self.created, touch.at);
        }
    }

    /// Returns this record with the later of its own use and that of the stored record. For a store
    /// that replaces a record: a touch may have come between, which keeps the version. A use more than
    /// five minutes after `now` was written by a wrong clock, and is dropped.
    #[must_use]
    pub fn with_later_use(&self, stored: &Self, now: Timestamp) -> Self {
        let mut record = self.clone();
        if stored.last_used > self.last_used && stored.last_used <= now + TOLERANCE {
            record.last_used = stored.last_used;
            record.deadline = stored.deadline;
        }
        record
    }

    /// Gives a new deadline to a session whose timeouts or user have changed, and counts as a use.
    pub(super) fn use_now(&mut self, lifetime: &Lifetime, now: Timestamp) {
        self.created = plausible(self.created, now);
        self.last_used = plausible(self.last_used, now).max(now);
        self.deadline = lifetime.deadline(self.idle_timeout(), self.created, self.last_used);
    }

    /// Returns whether these timeouts end the session at `now`, also before its recorded deadline:
    /// tighter settings bind existing sessions.
    pub(crate) fn ends_under(&self, lifetime: &Lifetime, now: Timestamp) -> bool {
        now >= self.deadline_under(lifetime, now)
    }

    /// Returns the recorded deadline, or an earlier one that these timeouts give.
    pub(crate) fn deadline_under(&self, lifetime: &Lifetime, now: Timestamp) -> Timestamp {
        let (created, used) = (plausible(self.created, now), plausible(self.last_used, now));
        let deadline = lifetime.deadline(self.idle_timeout(), created, used);
        deadline.min(self.deadline)
    }
}

fn plausible(time: Timestamp, now: Timestamp) -> Timestamp {
    if time > now + TOLERANCE { now } else { time }
}

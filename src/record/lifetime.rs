//! When a session ends: its timeouts, and the uses that move its deadline.

use std::time::Duration;

use super::Record;
use crate::clock::Timestamp;
use crate::secret::SessionId;

/// A creation or use that lies further in the future was written by a clock that was wrong: it counts
/// as now.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// The longest time between a use and its record.
const LONGEST_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// The timeouts of the settings.
///
/// ```
/// use std::time::Duration;
/// use liquid_session::store::Lifetime;
///
/// let hour = Lifetime::new(Duration::from_secs(60 * 60));
/// assert_eq!(hour.idle, Duration::from_secs(60 * 60));
/// assert_eq!(hour.absolute, None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lifetime {
    /// How long a session lives after its last use, unless its login said otherwise.
    pub idle: Duration,
    /// How long a session lives after its creation.
    pub absolute: Option<Duration>,
}

impl Lifetime {
    /// An idle timeout, and no absolute one.
    pub const fn new(idle: Duration) -> Self {
        Self {
            idle,
            absolute: None,
        }
    }

    /// Adds an absolute timeout.
    #[must_use]
    pub const fn absolute(mut self, absolute: Option<Duration>) -> Self {
        self.absolute = absolute;
        self
    }

    /// The deadline of a session of this creation and use.
    fn deadline(&self, own: Option<Duration>, created: Timestamp, used: Timestamp) -> Timestamp {
        let idle = used + own.unwrap_or(self.idle);
        match self.absolute {
            Some(absolute) => idle.min(created + absolute),
            None => idle,
        }
    }
}

/// A use of a session, for [`SessionStore::touch`](crate::store::SessionStore::touch).
///
/// Made by [`Record::touch_due`]; a store hands it to [`Record::touch`], or writes its parts.
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
    /// This use without its user: for a store that hands it to another thread, and whose index needs
    /// no line restored.
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
    /// The use to record at `now`, if enough time has passed since the last recorded one: a twentieth
    /// of the idle timeout, never more than five minutes.
    ///
    /// A last use that lies more than five minutes in the future is corrected at once.
    pub fn touch_due(&self, lifetime: &Lifetime, now: Timestamp) -> Option<Touch<'_>> {
        let idle = self.idle_timeout().unwrap_or(lifetime.idle);
        let interval = (idle / 20).min(LONGEST_INTERVAL);
        let unused = now - self.last_used;
        let due = unused > Duration::ZERO && unused >= interval;
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

    /// This record, or with the use of the stored one if that is later. For a store that replaces a
    /// record: a touch changes the use alone, and keeps the version.
    #[must_use]
    pub fn with_later_use(&self, stored: &Self) -> Self {
        let mut record = self.clone();
        if stored.last_used > self.last_used && stored.last_used <= self.last_used + TOLERANCE {
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

    /// Whether these timeouts end the session at `now`, whatever deadline is recorded: tighter
    /// settings bind the sessions that exist.
    pub(crate) fn ends_under(&self, lifetime: &Lifetime, now: Timestamp) -> bool {
        let (created, used) = (plausible(self.created, now), plausible(self.last_used, now));
        now >= lifetime.deadline(self.idle_timeout(), created, used)
    }
}

fn plausible(time: Timestamp, now: Timestamp) -> Timestamp {
    if time > now + TOLERANCE { now } else { time }
}

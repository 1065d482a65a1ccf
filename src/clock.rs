//! The clock of the sessions: the system's, or one that tests move.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A point in time: milliseconds since 1970-01-01 00:00 UTC.
///
/// ```
/// use std::time::Duration;
/// use liquid_session::clock::Timestamp;
///
/// let start = Timestamp::from_millis(1_000);
/// assert_eq!((start + Duration::from_secs(2)).as_millis(), 3_000);
/// assert_eq!(start - Timestamp::from_millis(400), Duration::from_millis(600));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The latest moment: a session with this deadline never ends.
    pub const MAX: Self = Self(u64::MAX);

    /// Makes the moment so many milliseconds after the start of 1970, UTC.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since the start of 1970, UTC.
    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    /// Adds a duration, without its fraction of a millisecond. Saturates.
    fn add(self, after: Duration) -> Self {
        Self(self.0.saturating_add(millis_of(after)))
    }
}

/// Whole milliseconds, without arithmetic in 128 bits: every request counts some.
pub(crate) const fn millis_of(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1_000)
        .saturating_add(duration.subsec_millis() as u64)
}

impl std::ops::Sub for Timestamp {
    type Output = Duration;

    /// Zero if `earlier` is later than `self`.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A source of the time, for [`Sessions::with_clock`](crate::Sessions::with_clock).
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// The clock of the operating system.
///
/// On Linux it reads the coarse clock, which is up to four milliseconds late: a read costs a sixth, and
/// timeouts are minutes.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A system clock before 1970 is wrong; zero at least ends no session.
        Timestamp(u64::try_from(millis()).unwrap_or_default())
    }
}

#[cfg(target_os = "linux")]
fn millis() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    now.tv_sec.saturating_mul(1_000) + now.tv_nsec / 1_000_000
}

#[cfg(not(target_os = "linux"))]
fn millis() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A clock that tests move. Clones share the time.
///
/// ```
/// use std::time::Duration;
/// use liquid_session::clock::ManualClock;
/// use liquid_session::{MemoryStore, SessionConfig, Sessions};
///
/// let clock = ManualClock::new();
/// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default())
///     .with_clock(clock.clone());
/// let session = sessions.open(None);
/// session.set("cart", "full")?;
/// let secret = session.commit()?.secret().unwrap().expose();
///
/// clock.advance(Duration::from_secs(31 * 24 * 60 * 60));
/// assert_eq!(sessions.open(Some(&secret)).get("cart")?, None);
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Makes a clock that stands at 2026-01-01 00:00 UTC.
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_767_225_600_000)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.set(self.now() + by);
    }

    /// Sets the clock to a moment, which may be in the past.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock").field(&self.now()).finish()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

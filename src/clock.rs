//! Where the time comes from.

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
    /// Later than every session.
    pub const MAX: Self = Self(u64::MAX);

    /// So many milliseconds after the start of 1970, UTC.
    ///
    /// ```
    /// # use liquid_session::clock::Timestamp;
    /// assert!(Timestamp::from_millis(5) < Timestamp::from_millis(6));
    /// ```
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the start of 1970, UTC.
    ///
    /// ```
    /// # use liquid_session::clock::Timestamp;
    /// assert_eq!(Timestamp::from_millis(5).as_millis(), 5);
    /// ```
    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    /// Saturates: a timeout of half a million years never ends a session.
    fn add(self, after: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

impl std::ops::Sub for Timestamp {
    type Output = Duration;

    /// Zero when `earlier` is the later of the two.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Tells the time; [`Sessions::with_clock`](crate::Sessions::with_clock) takes one.
///
/// ```
/// use liquid_session::clock::{Clock, Timestamp};
///
/// /// Every session of this program lives in the first second of 1970.
/// struct Stopped;
///
/// impl Clock for Stopped {
///     fn now(&self) -> Timestamp {
///         Timestamp::from_millis(0)
///     }
/// }
/// assert_eq!(Stopped.now().as_millis(), 0);
/// ```
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The clock of the operating system. On Linux the coarse one, which lags up to four milliseconds:
/// timeouts are minutes, and it costs a sixth.
///
/// ```
/// use liquid_session::clock::{Clock, SystemClock, Timestamp};
///
/// assert!(SystemClock.now() > Timestamp::from_millis(0));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A system clock before 1970 is broken; the session rules only ask that time does not run
        // away, and zero keeps that.
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

/// A clock that tests move. Clones are one clock.
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
    /// A clock that stands at 2026-01-01 00:00 UTC.
    ///
    /// ```
    /// use liquid_session::clock::{Clock, ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// assert_eq!(clock.now(), clock.now());
    /// ```
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_767_225_600_000)))
    }

    /// Moves the clock forward.
    ///
    /// ```
    /// use std::time::Duration;
    /// use liquid_session::clock::{Clock, ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let start = clock.now();
    /// clock.advance(Duration::from_secs(1));
    /// assert_eq!(clock.now() - start, Duration::from_secs(1));
    /// ```
    pub fn advance(&self, by: Duration) {
        self.set(self.now() + by);
    }

    /// Puts the clock at a moment, also one that has passed.
    ///
    /// ```
    /// use liquid_session::clock::{Clock, ManualClock, Timestamp};
    ///
    /// let clock = ManualClock::new();
    /// clock.set(Timestamp::from_millis(7));
    /// assert_eq!(clock.now().as_millis(), 7);
    /// ```
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

//! Eight threads that commit while a store fails: they count what was acknowledged, and find it again.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use liquid_session::{Error, ErrorKind, Sessions, Status};

const THREADS: usize = 8;

/// Writes two keys that must match, and gives the cookie.
pub(crate) fn begin(sessions: &Sessions) -> Result<String, Error> {
    let session = sessions.open(None);
    session.set("a", 0)?;
    session.set("b", 0)?;
    let outcome = session.commit()?;
    Ok(outcome.secret().unwrap().expose())
}

/// What one thread knows of its own session and of those that it began.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) cookie: String,
    acknowledged: i64,
    begun: Vec<String>,
    kinds: BTreeSet<String>,
    pub(crate) texts: BTreeSet<String>,
}

impl Tally {
    pub(crate) fn all(sessions: &Sessions) -> Vec<Self> {
        let tally = || Self {
            cookie: recovered(|| begin(sessions)),
            ..Self::default()
        };
        std::iter::repeat_with(tally).take(THREADS).collect()
    }

    fn step(&mut self, sessions: &Sessions, round: usize) -> Result<(), Error> {
        if round % 5 == 4 {
            self.begun.push(begin(sessions)?);
            return Ok(());
        }
        let session = sessions.open(Some(&self.cookie));
        session.increment("a", 1)?;
        session.increment("b", 1)?;
        match session.commit()?.status() {
            Status::Changed => self.acknowledged += 1,
            other => {
                self.kinds.insert(format!("{other:?}"));
            }
        }
        Ok(())
    }

    fn work(&mut self, sessions: &Sessions, stop: &AtomicBool) {
        for round in 0.. {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            if let Err(error) = self.step(sessions, round) {
                self.kinds.insert(format!("{:?}", error.kind()));
                self.texts.insert(error.to_string());
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// Lets all threads commit while the fault happens.
pub(crate) fn under_load<T>(
    sessions: &Sessions,
    tallies: &mut [Tally],
    fault: impl FnOnce() -> T,
) -> T {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for tally in &mut *tallies {
            scope.spawn(|| tally.work(sessions, &stop));
        }
        // Also when the fault panics: the threads must end.
        let _stop = Stop(&stop);
        fault()
    })
}

struct Stop<'s>(&'s AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Counts what is there.
pub(crate) fn check(name: &str, sessions: &Sessions, tallies: &[Tally]) -> i64 {
    let (mut acknowledged, mut found, mut lost) = (0, 0, 0);
    // How many more than expected; one commit less if there is no such session.
    let more = |cookie: &str, expected: i64| {
        let (a, b) = recovered(|| {
            let session = sessions.open(Some(cookie));
            Ok((session.get_as::<i64>("a")?, session.get_as::<i64>("b")?))
        });
        assert_eq!(a, b, "{name}: half of a commit");
        a.unwrap_or(-1) - expected
    };
    for tally in tallies {
        acknowledged += tally.acknowledged;
        let more_than_known = more(&tally.cookie, tally.acknowledged);
        found += tally.acknowledged + more_than_known;
        lost += (-more_than_known).max(0);
        for cookie in &tally.begun {
            acknowledged += 1;
            match more(cookie, 0) {
                0 => found += 1,
                _ => lost += 1,
            }
        }
    }
    // Past the test runner, which swallows what a test prints.
    let _ = writeln!(
        std::io::stderr(),
        "{name}: acknowledged {acknowledged}, found {found}, lost {lost}"
    );
    assert_eq!(lost, 0, "{name}");
    acknowledged
}

/// What a call gives once the store has found its way back.
pub(crate) fn recovered<T>(call: impl Fn() -> Result<T, Error>) -> T {
    let mut last = None;
    for _ in 0..600 {
        match call() {
            Ok(value) => return value,
            Err(error) => last = Some(error),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the store did not find its way back: {last:?}");
}

pub(crate) fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

pub(crate) fn only(tallies: &[Tally], allowed: &[&str]) {
    for tally in tallies {
        for kind in &tally.kinds {
            // A change whose answer was lost with its connection.
            let lost = kind == "Unconfirmed" && allowed.contains(&"Unavailable");
            assert!(
                lost || allowed.contains(&&**kind),
                "{kind}: {:?}",
                tally.texts
            );
        }
        for text in &tally.texts {
            assert!(!text.contains("127.0.0.1"), "an address: {text}");
        }
    }
}

pub(crate) fn seen(tallies: &[Tally], kind: ErrorKind) -> bool {
    let kind = format!("{kind:?}");
    tallies.iter().any(|tally| tally.kinds.contains(&kind))
}

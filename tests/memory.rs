//! Memory that a full store takes: bounded by its capacity, whatever visitors do. Alone in its
//! program, because it measures the process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use liquid_session::clock::ManualClock;
use liquid_session::{Error, Login, MemoryStore, SessionConfig, Sessions};

/// In CI; `MEMORY_CYCLES=10000000` for a long run.
const CYCLES: usize = 200_000;

const CAPACITY: usize = 1_000;

/// How much a store may take beyond what the empty one took, and how much of it after the first tenth.
/// What grows by ten bytes a cycle takes more.
const TOTAL: usize = 2 << 20;
const LATER: usize = 1 << 20;

/// The bytes of memory that this process has.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kibibytes = line
        .and_then(|line| line.split_whitespace().nth(1))
        .unwrap();
    kibibytes.parse::<usize>().unwrap() * 1024
}

/// One visitor: begins, is renewed, and signs out or leaves a short session to expire.
fn cycle(sessions: &Sessions, number: usize) -> Result<(), Error> {
    let session = sessions.open(None);
    session.set("a", number)?;
    let user = format!("user-{}", number % 5_000);
    // One in two has a user; what is left behind has a short timeout.
    let stays = number.is_multiple_of(3);
    let login = Login::new(user).timeout(Duration::from_millis(900));
    if stays || number.is_multiple_of(2) {
        session.login(login)?;
    }
    let mut secret = session.commit()?.secret().map(|secret| secret.expose());
    let renewals = if number.is_multiple_of(10) { 12 } else { 1 };
    for _ in 0..renewals {
        let session = sessions.open(secret.as_deref());
        session.renew()?;
        secret = session.commit()?.secret().map(|secret| secret.expose());
        assert!(secret.is_some(), "the session is gone");
    }
    if !stays {
        sessions.open(secret.as_deref()).logout()?;
    }
    Ok(())
}

#[test]
fn a_full_store_takes_no_more_memory_however_long_it_runs() {
    let cycles = std::env::var("MEMORY_CYCLES").map_or(CYCLES, |cycles| cycles.parse().unwrap());
    let clock = ManualClock::new();
    let store = MemoryStore::with_capacity(CAPACITY);
    let sessions = Sessions::new(store, SessionConfig::default()).with_clock(clock.clone());
    // What the program itself takes when it first runs is not the store's.
    let small = MemoryStore::with_capacity(4);
    let other = Sessions::new(small, SessionConfig::default()).with_clock(clock.clone());
    for number in 0..100 {
        cycle(&other, number).unwrap();
        clock.advance(Duration::from_millis(900));
    }
    drop(other);
    let start = resident();
    let (mut early, mut most) = (start, start);
    for number in 0..cycles {
        cycle(&sessions, number).unwrap();
        // 300 sessions are alive at any time, the others are expired and nothing sweeps.
        clock.advance(Duration::from_millis(1));
        if number == cycles / 10 {
            early = resident();
        }
        if number % 1_000 == 0 {
            most = most.max(resident());
        }
    }
    let end = resident();
    let most = most.max(end).saturating_sub(start);
    println!(
        "{cycles} cycles: {most} bytes at most, {} of them after the first tenth",
        end.saturating_sub(early)
    );
    assert!(most <= TOTAL, "{most} bytes more than when it was empty");
    assert!(
        end.saturating_sub(early) <= LATER,
        "it grows: {early} to {end}"
    );
}

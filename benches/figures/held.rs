//! Many threads and many sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use liquid_session::clock::ManualClock;
use liquid_session::{MemoryStore, SessionConfig, Sessions};

use crate::cycle;
use crate::pair::{Table, median, nanos, per_second, throughputs};

/// Requests per second of two threads, each with its own work.
fn two_threads(work: [&(dyn Fn(u32) + Sync); 2]) -> f64 {
    const REQUESTS: u32 = 20_000;
    let start = Instant::now();
    std::thread::scope(|scope| {
        for work in work {
            scope.spawn(move || (0..REQUESTS).for_each(work));
        }
    });
    f64::from(2 * REQUESTS) / start.elapsed().as_secs_f64()
}

/// Two threads on different sessions of one store, against two that share nothing.
pub(crate) fn threads(table: &mut Table) {
    let name = "two threads on one store, throughput against two stores";
    if !table.wants(name) {
        return;
    }
    let ((one, first), (two, other)) = (cycle::ours(2), cycle::ours(2));
    let second = {
        let session = one.open(None);
        session.set("key0", "value").unwrap();
        session.set("key1", "value").unwrap();
        session.commit().unwrap().secret().unwrap().expose()
    };
    let on_first = |n| cycle::read_and_write(&one, &first, n);
    let on_second = |n| cycle::read_and_write(&one, &second, n);
    let on_other = |n| cycle::read_and_write(&two, &other, n);
    let (shared, apart, ratio) = throughputs(
        || two_threads([&on_first, &on_second]),
        || two_threads([&on_first, &on_other]),
    );
    table.note(
        name,
        per_second(shared),
        per_second(apart),
        Some(ratio),
        ">= 0.88",
    );

    let ((one, first), (two, other)) = (cycle::peer(2), cycle::peer(2));
    let second = {
        let session = cycle::Peer::new(None, one.clone(), None);
        cycle::now(session.insert("key0", "value")).unwrap();
        cycle::now(session.save()).unwrap();
        session.id().unwrap().to_string()
    };
    let on_first = |n| cycle::peer_reads_and_writes(&one, &first, n);
    let on_second = |n| cycle::peer_reads_and_writes(&one, &second, n);
    let on_other = |n| cycle::peer_reads_and_writes(&two, &other, n);
    let (shared, apart, ratio) = throughputs(
        || two_threads([&on_first, &on_second]),
        || two_threads([&on_first, &on_other]),
    );
    table.note(
        "two threads on one store: tower-sessions",
        per_second(shared),
        per_second(apart),
        Some(ratio),
        "printed",
    );
}

/// Opens a session with two small values and gives its cookie.
fn fill(sessions: &Sessions, count: usize) -> Vec<String> {
    (0..count)
        .map(|n| {
            let session = sessions.open(None);
            session.set("key0", "value").unwrap();
            session.set("key1", n as i64).unwrap();
            session.commit().unwrap().secret().unwrap().expose()
        })
        .collect()
}

/// A million sessions held against a thousand, and a sweep among them.
pub(crate) fn million(table: &mut Table) {
    let name = "commit with 1,000,000 sessions held, the same 1,000 used";
    if table.wants(name) {
        let small = Sessions::new(MemoryStore::new(), SessionConfig::default());
        let few = fill(&small, 1_000);
        let large = Sessions::new(
            MemoryStore::with_capacity(2_000_000),
            SessionConfig::default(),
        );
        let many = fill(&large, 1_000_000);
        // Side by side, as what comes from a socket is: only the sessions lie far apart.
        let used: Vec<_> = many.iter().step_by(1_000).cloned().collect();
        let (mut n, mut m) = (0, 0);
        table.pair(
            name,
            "<= 1.3",
            || {
                n += 1;
                cycle::read_and_write(&large, &used[n % 1_000], n as u32);
            },
            || {
                m += 1;
                cycle::read_and_write(&small, &few[m % 1_000], m as u32);
            },
        );
        let (mut n, mut m) = (0, 0);
        table.pair(
            "commit with 1,000,000 sessions held, all used at random",
            "printed",
            || {
                n += 1;
                cycle::read_and_write(&large, &many[n * 2_654_435_761 % 1_000_000], n as u32);
            },
            || {
                m += 1;
                cycle::read_and_write(&small, &few[m % 1_000], m as u32);
            },
        );
    }
    sweep(table);
}

/// What another thread's commits wait while a million expired sessions are swept.
fn sweep(table: &mut Table) {
    let name = "sweep of 1,000,000 among 1,000,000: commits, p99.9";
    if !table.wants(name) {
        return;
    }
    let clock = ManualClock::new();
    let config = SessionConfig::builder()
        .timeout_minutes(60)
        .build()
        .unwrap();
    let mut more = Vec::new();
    let mut worst = Vec::new();
    let (mut calm_shown, mut swept_shown) = (0.0, 0.0);
    for _ in 0..5 {
        let sessions = Sessions::new(MemoryStore::with_capacity(3_000_000), config.clone())
            .with_clock(clock.clone());
        fill(&sessions, 1_000_000);
        clock.advance(Duration::from_secs(30 * 60));
        let cookies = fill(&sessions, 1_000_000);
        clock.advance(Duration::from_secs(31 * 60));

        let calm = latencies(&sessions, &cookies, &AtomicBool::new(true), 100_000);
        let stop = Arc::new(AtomicBool::new(false));
        let swept = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut total = 0;
                while total < 1_000_000 {
                    let swept = sessions.sweep(10_000).unwrap();
                    assert!(swept > 0, "{total} were swept");
                    total += swept;
                }
                stop.store(true, Ordering::SeqCst);
            });
            latencies(&sessions, &cookies, &stop, 0)
        });
        calm_shown = calm.0;
        swept_shown = swept.0;
        more.push(swept.0 - calm.0);
        worst.push(swept.1 - calm.1);
    }
    table.note(
        name,
        nanos(swept_shown),
        nanos(calm_shown),
        None,
        "at most 100 µs more",
    );
    table.note(
        "  more at p99.9, median of 5",
        nanos(median(more)),
        "-".into(),
        None,
        "<= 100 µs",
    );
    table.note(
        "  more at most, median of 5",
        nanos(median(worst)),
        "-".into(),
        None,
        "<= 1 ms",
    );
}

/// The 99.9th percentile and the maximum of what a request takes, until told to stop.
fn latencies(
    sessions: &Sessions,
    cookies: &[String],
    stop: &AtomicBool,
    at_least: usize,
) -> (f64, f64) {
    let mut taken = Vec::new();
    let mut n = 0usize;
    while taken.len() < at_least || !stop.load(Ordering::SeqCst) {
        n += 1;
        let start = Instant::now();
        cycle::read_and_write(sessions, &cookies[n * 7_919 % cookies.len()], n as u32);
        taken.push(start.elapsed().as_nanos() as f64);
    }
    taken.sort_by(f64::total_cmp);
    let at = |part: f64| taken[((taken.len() - 1) as f64 * part) as usize];
    (at(0.999), at(1.0))
}

//! Figures of whole processes: instructions, resident memory. This program runs itself for them.

use std::process::{Command, Stdio};

use liquid_session::{MemoryStore, SessionConfig, Sessions};

use crate::cycle::{Peer, PeerStore, now};
use crate::pair::{Table, median};
use crate::{site, templates};

const CHILD: &str = "FIGURES_CHILD";

/// How many sessions the memory figure holds.
const MANY: usize = 1_000_000;

/// Does a child's work, if this is one.
pub(crate) fn is_child() -> bool {
    let Ok(work) = std::env::var(CHILD) else {
        return false;
    };
    if let Some(site) = work.strip_prefix("site ") {
        site::serve(site);
        return true;
    }
    let mut words = work.split_whitespace();
    let (what, times) = (
        words.next().unwrap(),
        words.next().unwrap().parse().unwrap(),
    );
    match what {
        "ours-tiny" => render(templates::TINY, times, true),
        "peer-tiny" => render(templates::TINY, times, false),
        "ours-products" => render(templates::PRODUCTS, times, true),
        "peer-products" => render(templates::PRODUCTS, times, false),
        "ours-cycle" => {
            let (sessions, cookie) = crate::cycle::ours(2);
            (0..times).for_each(|n| crate::cycle::read_and_write(&sessions, &cookie, n as u32));
        }
        "ours-read" => {
            let (sessions, cookie) = crate::cycle::ours(2);
            (0..times).for_each(|_| crate::cycle::read(&sessions, &cookie));
        }
        "ours-memory" => hold_ours(times),
        "peer-memory" => hold_peers(times),
        other => panic!("no such work: {other}"),
    }
    true
}

/// This program again, to do some work and end.
pub(crate) fn child(work: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(CHILD, work);
    command
}

fn render(template: &str, times: usize, with_session: bool) {
    let template = templates::parse(template);
    let (session, globals) = (templates::session(), templates::globals());
    for _ in 0..times {
        if with_session {
            template.render(&session.bind(&globals)).unwrap();
        } else {
            template.render(&globals).unwrap();
        }
    }
}

/// Instructions per render, of a page that never touches its session.
pub(crate) fn instructions(table: &mut Table) {
    for (name, page, target) in [
        (
            "untouched page of 20 products, instructions",
            "products",
            "<= 1.01",
        ),
        ("untouched tiny page, instructions", "tiny", "printed"),
    ] {
        if !table.wants(name) {
            continue;
        }
        let counted = counted(&format!("ours-{page}")).zip(counted(&format!("peer-{page}")));
        match counted {
            Some((ours, peer)) => table.note(
                name,
                format!("{ours:.0}"),
                format!("{peer:.0}"),
                Some(ours / peer),
                target,
            ),
            None => table.note(name, "no valgrind".into(), "-".into(), None, target),
        }
    }
}

/// What valgrind counts for one more render.
fn counted(work: &str) -> Option<f64> {
    let run = |times: usize| {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe().ok()?)
            .env(CHILD, format!("{work} {times}"))
            .output()
            .ok()?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = told.lines().find(|line| line.contains("Collected :"))?;
        line.rsplit(' ').next()?.parse::<f64>().ok()
    };
    // Each process hashes by a seed of its own, and so counts a little differently.
    let counts: Option<Vec<_>> = (0..15)
        .map(|_| Some((run(200)? - run(50)?) / 150.0))
        .collect();
    counts.map(median)
}

/// The resident set of this process.
fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096.0
}

fn hold_ours(count: usize) {
    let before = resident();
    let sessions = Sessions::new(MemoryStore::with_capacity(count), SessionConfig::default());
    for n in 0..count {
        let session = sessions.open(None);
        session.set("color", "dark").unwrap();
        session.set("visits", n as i64).unwrap();
        let _ = session.commit().unwrap();
    }
    println!("{}", (resident() - before) / count as f64);
}

fn hold_peers(count: usize) {
    let before = resident();
    let store = PeerStore::default();
    for n in 0..count {
        let session = Peer::new(None, store.clone(), None);
        now(session.insert("color", "dark")).unwrap();
        now(session.insert("visits", n)).unwrap();
        now(session.save()).unwrap();
    }
    println!("{}", (resident() - before) / count as f64);
}

/// Bytes per session, of a million.
pub(crate) fn memory(table: &mut Table) {
    let name = "bytes per session, of 1,000,000 with two small values";
    if !table.wants(name) {
        return;
    }
    let held = |who: &str| {
        let measured = (0..3)
            .map(|_| {
                let work = format!("{who}-memory {MANY}");
                let output = child(&work).stderr(Stdio::inherit()).output().unwrap();
                String::from_utf8(output.stdout)
                    .unwrap()
                    .trim()
                    .parse()
                    .unwrap()
            })
            .collect();
        median(measured)
    };
    let (ours, peer) = (held("ours"), held("peer"));
    table.note(
        name,
        format!("{ours:.0} B"),
        format!("{peer:.0} B"),
        Some(ours / peer),
        "<= 0.50",
    );
}

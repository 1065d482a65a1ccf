//! Every scenario of `fixtures/scenarios`, on every store of this crate: as its file expects, and with
//! the results of its snapshot.
#![allow(clippy::unwrap_used)]

#[cfg(feature = "postgres")]
#[path = "../support/postgres_server.rs"]
mod postgres_server;
#[cfg(feature = "postgres")]
#[path = "../support/postgres_store.rs"]
mod postgres_store;
#[cfg(feature = "redis")]
#[path = "../support/redis_server.rs"]
mod redis_server;
#[cfg(feature = "redis")]
#[path = "../support/redis_store.rs"]
mod redis_store;

mod runner;

use std::fmt::Write as _;
use std::path::Path;

use liquid_session::MemoryStore;
use liquid_session::store::SessionStore;
use liquid_session::testing::scenario::{Played, Scenario, SetCookie};

#[test]
fn memory() {
    play(MemoryStore::new);
}

#[cfg(feature = "redb")]
#[test]
fn redb() {
    // One folder for all: a store takes no writes once its file is removed.
    let folder = tempfile::tempdir().unwrap();
    let files = std::cell::Cell::new(0);
    play(|| {
        files.set(files.get() + 1);
        let file = folder.path().join(format!("{}.redb", files.get()));
        liquid_session::store::RedbStore::open(file).unwrap()
    });
}

#[cfg(feature = "postgres")]
#[test]
fn postgres() {
    // The server stops with the last store.
    let _first = postgres_store::Served::new();
    play(postgres_store::Served::new);
}

#[cfg(feature = "redis")]
#[test]
fn redis() {
    play(redis_store::Served::new);
}

#[cfg(feature = "redis")]
#[test]
fn redis_awaited() {
    play(|| redis_store::Served::new().awaited());
}

fn play<S: SessionStore>(store: impl Fn() -> S) {
    insta::with_settings!({
        snapshot_path => "../snapshots",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        // Fails if it finds no file.
        insta::glob!("../../fixtures/scenarios", "**/*.yml", |path| {
            let report = Scenario::from_file(path).unwrap().run(store()).unwrap();
            assert_eq!(report.failed(), 0, "{report}");
            let requests: String = report.requests().iter().map(summary).collect();
            insta::assert_snapshot!("scenario", without_uuids(&requests));
        });
    });
}

/// The result of a request, without what is as usual: no load, no write, no cookie, an empty session.
fn summary(request: &Played) -> String {
    let mut text = format!("#{}", request.index);
    if let Some(orders) = &request.parallel {
        write!(text, "  orders: {}", orders.played).unwrap();
    }
    for (what, count) in [("loads", request.loads), ("writes", request.writes)] {
        if count > 0 {
            write!(text, "  {what}: {count}").unwrap();
        }
    }
    if request.cookie != SetCookie::None {
        write!(text, "  cookie: {}", request.cookie).unwrap();
    }
    text.push('\n');
    for (what, content) in [("output", &request.output), ("error", &request.error)] {
        // As for `expect`, one newline at the end means nothing.
        match content
            .as_ref()
            .map(|text| text.strip_suffix('\n').unwrap_or(text))
            .map(without_frame)
        {
            Some(content) if content.contains('\n') => {
                writeln!(text, "  {what}:").unwrap();
                for line in content.split('\n') {
                    writeln!(text, "  |{line}").unwrap();
                }
            }
            Some(content) if !content.is_empty() => {
                writeln!(text, "  {what}: {content}").unwrap();
            }
            _ => {}
        }
    }
    if !request.session.is_empty() {
        let session = serde_json::to_string(&request.session).unwrap();
        writeln!(text, "  session: {session}").unwrap();
    }
    text
}

/// Cuts a page of the shop down to its `main`: the rest is the same on every page.
fn without_frame(text: &str) -> &str {
    let main = text.split_once("<main>\n");
    let main = main.and_then(|(_, rest)| rest.split_once("\n</main>"));
    main.map_or(text, |(main, _)| main)
}

/// Replaces UUIDs, which are random.
fn without_uuids(text: &str) -> String {
    let mut text = text.to_owned();
    let mut at = 0;
    while at + 36 <= text.len() {
        if text.get(at..at + 36).is_some_and(is_uuid) {
            text.replace_range(at..at + 36, "<uuid>");
        }
        at += 1;
    }
    text
}

fn is_uuid(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok()
}

/// A scenario that was removed or renamed takes its snapshot along.
#[test]
fn every_snapshot_has_its_scenario() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in std::fs::read_dir(root.join("tests/snapshots")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(scenario) = name
            .strip_prefix("scenario@")
            .and_then(|name| name.strip_suffix(".snap"))
        else {
            continue;
        };
        let path = root
            .join("fixtures/scenarios")
            .join(scenario.replace("__", "/"));
        assert!(path.exists(), "{name} has no scenario");
    }
}

/// The page of patterns shows the templates that the scenarios play, all of them and no other.
#[test]
fn the_guide_shows_the_templates_that_are_played() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/guide/patterns.md")).unwrap();
    let mut shown: Vec<_> = page
        .split("```liquid\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect();
    let mut played: Vec<_> = std::fs::read_dir(root.join("fixtures/scenarios/patterns/views"))
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    shown.sort();
    played.sort();
    assert_eq!(shown, played);
}

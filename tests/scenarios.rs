//! Every scenario of `fixtures/scenarios`, on every store of this crate: as its file expects, and the
//! whole result as it was accepted once.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::path::Path;

use liquid_session::MemoryStore;
use liquid_session::store::SessionStore;
use liquid_session::testing::scenario::Scenario;
use serde_json::Value;

/// How many scenarios there are at least: a test that finds none passes for the wrong reason.
const SCENARIOS: usize = 164;

/// How many requests are in them at least.
const REQUESTS: usize = 443;

#[cfg(feature = "redis")]
#[path = "support/redis_server.rs"]
mod redis_server;
#[cfg(feature = "redis")]
#[path = "support/redis_store.rs"]
mod redis_store;

#[test]
fn memory() {
    play(MemoryStore::new);
}

#[cfg(feature = "redb")]
#[test]
fn redb() {
    play(|| {
        let folder = tempfile::tempdir().unwrap();
        liquid_session::store::RedbStore::open(folder.path().join("sessions.redb")).unwrap()
    });
}

#[cfg(feature = "redis")]
#[test]
fn redis() {
    play(redis_store::Served::new);
}

fn play<S: SessionStore>(store: impl Fn() -> S) {
    let (scenarios, requests) = (Cell::new(0), Cell::new(0));
    insta::with_settings!({
        snapshot_path => "snapshots/scenarios",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::glob!("../fixtures/scenarios", "**/*.yml", |path| {
            let path = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(path);
            let report = Scenario::from_file(path).unwrap().run(store()).unwrap();
            assert_eq!(report.failed(), 0, "{report}");
            scenarios.set(scenarios.get() + 1);
            requests.set(requests.get() + report.requests().len());
            insta::assert_json_snapshot!("scenario", without_random(&report.requests(), path));
        });
    });
    assert!(scenarios.get() >= SCENARIOS, "met {}", scenarios.get());
    assert!(requests.get() >= REQUESTS, "met {}", requests.get());
}

/// The result without UUIDs, which are random, and without the path, which is the snapshot's name.
fn without_random(requests: &impl serde::Serialize, path: &Path) -> Value {
    let mut json = serde_json::to_value(requests).unwrap();
    for request in json.as_array_mut().unwrap() {
        let file = request.as_object_mut().unwrap().remove("file");
        assert_eq!(file.unwrap().as_str().unwrap(), path.to_str().unwrap());
    }
    mask(&mut json);
    json
}

fn mask(json: &mut Value) {
    match json {
        Value::String(text) => {
            let found = (0..text.len()).find_map(|at| {
                let part = text.get(at..at + 36)?;
                uuid::Uuid::try_parse(part).is_ok().then(|| part.to_owned())
            });
            if let Some(uuid) = found {
                *text = text.replace(&uuid, "<uuid>");
                mask(json);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Object(entries) => entries.values_mut().for_each(mask),
        _ => {}
    }
}

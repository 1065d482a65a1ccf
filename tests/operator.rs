//! The operator's tool, on a store on disk.
#![cfg(all(feature = "redb", feature = "redis"))]
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use liquid_session::store::RedbStore;
use liquid_session::{SessionConfig, Sessions};
use serde_json::Value;

/// Examples are built before tests run, beside them.
fn tool() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let tool = folder.join("examples/sessions");
    assert!(
        tool.exists(),
        "run all tests, or `cargo build --all-features --examples` first"
    );
    tool
}

fn run(words: &[&str]) -> Output {
    Command::new(tool()).args(words).output().unwrap()
}

fn json(words: &[&str]) -> Value {
    let output = run(words);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn sessions_are_listed_shown_and_ended_by_their_public_handles() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.redb");
    let mut secrets = Vec::new();
    {
        let store = RedbStore::open(&path).unwrap();
        let sessions = Sessions::new(store, SessionConfig::default());
        for user in [Some("ann"), Some("ann"), Some("bob"), None] {
            let session = sessions.open(None);
            session.set("cart", vec!["boots"]).unwrap();
            if let Some(user) = user {
                session.login(user).unwrap();
            }
            secrets.push(session.commit().unwrap().secret().unwrap().expose());
        }
    }
    let store = format!("redb:{}", path.display());

    let list = json(&[&store, "list", "--json"]);
    assert_eq!(list["sessions"], 4);
    assert_eq!(list["users"]["ann"].as_array().unwrap().len(), 2);
    let handle = list["users"]["ann"][0].as_str().unwrap();

    let shown = json(&[&store, "show", handle, "--json"]);
    assert_eq!(shown["user"], "ann");
    assert_eq!(shown["values"]["cart"][0], "boots");
    let text = run(&[&store, "show", handle]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("user: \"ann\""), "{text}");
    for secret in &secrets {
        assert!(!text.contains(secret.as_str()) && !shown.to_string().contains(secret.as_str()));
    }

    assert_eq!(json(&[&store, "revoke", handle, "--json"])["revoked"], 1);
    assert_eq!(run(&[&store, "revoke", handle]).status.code(), Some(1));
    assert_eq!(
        json(&[&store, "revoke-user", "ann", "--json"])["revoked"],
        1
    );
    assert_eq!(json(&[&store, "sweep", "--json"])["swept"], 0);
    let list = json(&[&store, "list", "--json"]);
    assert_eq!(list["sessions"], 2);
    assert!(list["users"].get("ann").is_none());
}

#[test]
fn a_wrong_command_says_what_is_wrong() {
    for (words, problem) in [
        (&[][..], "expected a store"),
        (&["redb:no/such/file", "list"][..], "there is no file"),
        (&["sqlite:x", "list"][..], "expected redb:PATH or redis://"),
    ] {
        let output = run(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(problem), "{words:?}: {told}");
    }
    assert!(!Path::new("no/such/file").exists());
}

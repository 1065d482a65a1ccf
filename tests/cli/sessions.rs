//! `liquid-session sessions`, on a database in a file.

use std::path::PathBuf;

use liquid_session::clock::{Clock, ManualClock, SystemClock};
use liquid_session::store::RedbStore;
use liquid_session::{SessionConfig, Sessions};
use serde_json::{Value as Json, json};

use crate::{Said, run};

/// A file that no application has open.
struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("sessions.redb")
    }

    /// ID and cookie of each new session.
    fn begin(&self, users: &[Option<&str>]) -> Vec<(String, String)> {
        self.begin_at(SystemClock, users)
    }

    fn begin_at(&self, clock: impl Clock, users: &[Option<&str>]) -> Vec<(String, String)> {
        let store = RedbStore::open(self.file()).unwrap();
        let sessions = Sessions::new(store, SessionConfig::default()).with_clock(clock);
        let begin = |user: &Option<&str>| {
            let session = sessions.open(None);
            session.set("color", "dark\u{9b}2J").unwrap();
            if let Some(user) = user {
                session.login(*user).unwrap();
            }
            let cookie = session.commit().unwrap().secret().unwrap().expose();
            (session.id().unwrap().unwrap().to_string(), cookie)
        };
        users.iter().map(begin).collect()
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let store = format!("redb:{}", self.file().display());
        sessions(&[&["--store", store.as_str()], arguments].concat())
    }

    fn json(&self, arguments: &[&str]) -> Json {
        let said = self.run(&[arguments, &["--json"]].concat());
        assert_eq!((said.status, said.err.as_str()), (0, ""));
        assert_eq!(said.out.lines().count(), 1);
        serde_json::from_str(&said.out).unwrap()
    }
}

fn sessions(arguments: &[&str]) -> Said {
    run(["sessions"].into_iter().chain(arguments.iter().copied()))
}

#[test]
fn lists_all_those_of_a_user_and_those_of_nobody() {
    let site = Site::new();
    let begun = site.begin(&[Some("u1"), None, Some("u1"), Some("u2")]);
    let ids = |options: &[&str]| {
        let list = site.json(&[&["list"], options].concat());
        let sessions = list["sessions"].as_array().unwrap().clone();
        let mut ids: Vec<_> = sessions
            .iter()
            .map(|session| session["id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    let begun_as = |numbers: &[usize]| {
        let mut ids: Vec<_> = numbers.iter().map(|at| begun[*at].0.clone()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&[]), begun_as(&[0, 1, 2, 3]));
    assert_eq!(ids(&["--user", "u1"]), begun_as(&[0, 2]));
    assert_eq!(ids(&["--anonymous"]), begun_as(&[1]));
    assert_eq!(ids(&["--older-than", "1h"]), begun_as(&[]));
    assert_eq!(ids(&["--older-than", "0s"]).len(), 4);
    assert_eq!(ids(&["--limit", "3"]).len(), 3);

    let text = site.run(&["list", "--limit", "3"]).out;
    assert_eq!(text.lines().last(), Some("3 of 4 sessions"));
    let text = site.run(&["list", "--anonymous"]).out;
    assert!(
        text.contains(&begun[1].0) && text.contains("not signed in"),
        "{text}"
    );
}

#[test]
fn counts_sessions_users_and_bytes() {
    let site = Site::new();
    site.begin(&[Some("u1"), None, Some("u1"), Some("u2")]);
    let stats = site.json(&["stats"]);
    assert_eq!(
        (&stats["sessions"], &stats["anonymous"]),
        (&json!(4), &json!(1))
    );
    assert_eq!(stats["users"], json!({ "u1": 2, "u2": 1 }));
    assert!(stats["bytes"].as_u64() > stats["largest"].as_u64());
    let text = site.run(&["stats"]).out;
    assert!(
        text.contains("\n       1  not signed in\n       2  user u1\n"),
        "{text}"
    );
}

#[test]
fn shows_a_session_without_its_cookie_and_without_steering_the_terminal() {
    let site = Site::new();
    let begun = site.begin(&[Some("u1"), None]);
    let (id, cookie) = &begun[0];
    let shown = site.json(&["show", id]);
    assert_eq!((&shown["id"], &shown["user"]), (&json!(id), &json!("u1")));
    assert_eq!(shown["data"], json!({ "color": "dark\u{9b}2J" }));

    let text = site.run(&["show", id]).out;
    assert!(text.contains(r#"color = "dark\u{9b}2J""#), "{text}");
    assert!(!text.contains(&**cookie));
    let keys = site.run(&["show", id, "--no-values"]).out;
    assert!(keys.contains("color") && !keys.contains("dark"), "{keys}");
    assert_eq!(
        site.json(&["show", id, "--no-values"])["keys"],
        json!(["color"])
    );
    assert_eq!(site.json(&["show", &begun[1].0])["user"], Json::Null);
}

#[test]
fn ends_one_session_signed_in_or_not_and_no_other() {
    let site = Site::new();
    let begun = site.begin(&[Some("u1"), Some("u1"), None, None]);
    assert_eq!(site.json(&["revoke", &begun[0].0]), json!({ "revoked": 1 }));
    assert_eq!(site.run(&["revoke", &begun[2].0]).out, "1 revoked\n");
    for ended in [&begun[0].0, &begun[2].0] {
        for command in ["show", "revoke"] {
            let said = site.run(&[command, ended]);
            assert_eq!((said.status, said.err.as_str()), (1, ""));
            assert!(said.out.starts_with("there is no session"), "{}", said.out);
        }
    }
    for kept in [&begun[1].0, &begun[3].0] {
        assert_eq!(site.run(&["show", kept]).status, 0);
    }
}

#[test]
fn ends_all_sessions_of_a_user_and_of_nobody_else() {
    let site = Site::new();
    site.begin(&[Some("u1"), Some("u1"), Some("u2"), None]);
    assert_eq!(site.json(&["revoke-user", "u1"]), json!({ "revoked": 2 }));
    for nobody in ["u1", "nobody"] {
        let said = site.run(&["revoke-user", nobody]);
        assert_eq!(said.status, 1);
        assert_eq!(said.out, format!("the user {nobody} has no session\n"));
    }
    let stats = site.json(&["stats"]);
    assert_eq!(
        (&stats["sessions"], &stats["anonymous"]),
        (&json!(2), &json!(1))
    );
}

#[test]
fn sweeps_what_has_expired_and_nothing_else() {
    let site = Site::new();
    // The clock begins long before these tests were written.
    site.begin_at(ManualClock::new(), &[Some("u1"), None, None, None]);
    let kept = site.begin(&[None]);
    assert_eq!(
        site.json(&["sweep", "--limit", "1"]),
        json!({ "removed": 1 })
    );
    assert_eq!(site.json(&["sweep"]), json!({ "removed": 3 }));
    assert_eq!(site.run(&["sweep"]).out, "0 removed\n");
    assert_eq!(site.run(&["show", &kept[0].0]).status, 0);
}

#[test]
fn a_missing_file_stays_missing() {
    let site = Site::new();
    let said = site.run(&["list"]);
    assert_eq!(said.status, 2);
    assert!(said.err.contains("there is no such file"), "{}", said.err);
    assert!(!site.file().exists());
}

#[test]
fn a_file_that_the_application_holds_is_told_so() {
    let site = Site::new();
    let _application = RedbStore::open(site.file()).unwrap();
    let said = site.run(&["list"]);
    assert_eq!((said.status, said.out.as_str()), (2, ""));
    assert!(
        said.err.contains("the running application holds this file"),
        "{}",
        said.err
    );
    assert!(said.err.contains("examples/axum.rs"), "{}", said.err);
    assert!(
        said.err.contains("stop the application first"),
        "{}",
        said.err
    );
}

#[test]
fn wrong_commands_are_told_apart_from_failures() {
    let help = sessions(&["--help"]);
    assert_eq!((help.status, help.err.as_str()), (0, ""));
    assert!(help.out.contains("revoke-user USER"));

    for wrong in [
        &[][..],
        &["list"],
        &["--store", "redb:x"],
        &["--store", "redb:", "list"],
        &["--store", "ftp://host", "list"],
        &["--store", "redb:x", "lists"],
        &["--store", "redb:x", "show"],
        &["--store", "redb:x", "show", "no-uuid"],
        &["--store", "redb:x", "revoke-user"],
        &["--store", "redb:x", "sweep", "--user", "u1"],
        &["--store", "redb:x", "stats", "--limit", "3"],
        &["--store", "redb:x", "list", "--older-than", "soon"],
        &["--store", "redb:x", "list", "more"],
        &["--store", "redb:x", "list", "--wrong"],
        &["--store", "redb:x", "--prefix", "p", "list"],
        &["--store", "redis://host", "--table", "t", "list"],
    ] {
        let said = sessions(wrong);
        assert_eq!((said.status, said.out.as_str()), (2, ""), "{wrong:?}");
        assert!(
            said.err.ends_with("; see --help\n"),
            "{wrong:?}: {}",
            said.err
        );
    }

    for store in ["http://:hunter2@host", "redis://:hunter2@localhost:1"] {
        let said = sessions(&["--store", store, "list"]);
        assert_eq!(said.status, 2);
        assert!(!said.err.contains("hunter2"), "{}", said.err);
    }
}

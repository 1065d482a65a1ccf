//! The operator's tool of `examples/sessions`, on a database in a file.

#[path = "../../examples/sessions/command.rs"]
mod command;

use std::path::PathBuf;
use std::time::Duration;

use liquid_session::clock::ManualClock;
use liquid_session::store::RedbStore;
use liquid_session::{SessionConfig, Sessions};
use serde_json::{Value as Json, json};

/// A file that no application has open, and the time.
struct Site {
    folder: tempfile::TempDir,
    clock: ManualClock,
}

struct Said {
    status: u8,
    out: String,
    err: String,
}

impl Site {
    fn new() -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
        Self { folder, clock }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("sessions.redb")
    }

    /// Handle and cookie of each new session.
    fn begin(&self, users: &[Option<&str>]) -> Vec<(String, String)> {
        let store = RedbStore::open(self.file()).unwrap();
        let sessions =
            Sessions::new(store, SessionConfig::default()).with_clock(self.clock.clone());
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
        run(&[&[store.as_str()], arguments].concat(), &self.clock)
    }

    fn json(&self, arguments: &[&str]) -> Json {
        let said = self.run(&[arguments, &["--json"]].concat());
        assert_eq!((said.status, said.err.as_str()), (0, ""));
        assert_eq!(said.out.lines().count(), 1);
        serde_json::from_str(&said.out).unwrap()
    }
}

fn run(arguments: &[&str], clock: &ManualClock) -> Said {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let status = command::command(arguments, clock.clone(), &mut out, &mut err).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(out), text(err));
    Said { status, out, err }
}

#[test]
fn lists_all_and_those_of_a_user() {
    let site = Site::new();
    let begun = site.begin(&[Some("u1"), None, Some("u1"), Some("u2")]);
    assert_eq!(
        site.json(&["list"]),
        json!({ "sessions": 4, "signed_out": 1, "users": { "u1": 2, "u2": 1 } })
    );
    let list = site.run(&["list"]);
    assert_eq!(
        list.out,
        "4 sessions\n       1  signed out\n       2  user u1\n       1  user u2\n"
    );

    let of_u2 = site.json(&["list", "--user", "u2"]);
    assert_eq!(of_u2["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(of_u2["sessions"][0]["handle"], *begun[3].0);
    let of_u1 = site.run(&["list", "--user", "u1"]).out;
    assert!(of_u1.contains(&begun[0].0) && of_u1.contains(&begun[2].0));
    assert!(of_u1.contains("created 2026-01-01 00:00:00 UTC"), "{of_u1}");
    assert!(of_u1.contains("ends 2026-01-31 00:00:00 UTC"), "{of_u1}");
}

#[test]
fn shows_a_session_without_its_cookie_and_without_steering_the_terminal() {
    let site = Site::new();
    let begun = site.begin(&[Some("u1"), None]);
    let (handle, cookie) = &begun[0];
    let shown = site.json(&["show", handle]);
    assert_eq!(
        (&shown["handle"], &shown["user"]),
        (&json!(handle), &json!("u1"))
    );
    assert_eq!(shown["data"], json!({ "color": "dark\u{9b}2J" }));
    assert_eq!(shown["created"], 1_767_225_600_000_u64);

    let text = site.run(&["show", handle]).out;
    assert!(text.contains(r#"color = "dark\u{9b}2J""#), "{text}");
    assert!(!text.contains(&**cookie));
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
            assert_eq!((said.status, said.out.as_str()), (1, ""));
            assert!(said.err.starts_with("there is no session"), "{}", said.err);
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
    assert_eq!(site.run(&["revoke-user", "u1"]).out, "0 revoked\n");
    assert_eq!(
        site.json(&["list"]),
        json!({ "sessions": 2, "signed_out": 1, "users": { "u2": 1 } })
    );
}

#[test]
fn sweeps_what_has_expired_and_nothing_else() {
    let site = Site::new();
    site.begin(&[Some("u1"), None, None]);
    site.clock.advance(Duration::from_secs(31 * 24 * 60 * 60));
    let kept = site.begin(&[None]);
    assert_eq!(site.json(&["sweep"]), json!({ "removed": 3 }));
    assert_eq!(site.run(&["sweep"]).out, "0 removed\n");
    assert_eq!(site.run(&["show", &kept[0].0]).status, 0);
}

#[test]
fn a_missing_file_stays_missing() {
    let site = Site::new();
    let said = site.run(&["list"]);
    assert_eq!(said.status, 1);
    assert!(said.err.contains("there is no such file"), "{}", said.err);
    assert!(!site.file().exists());
}

#[test]
fn wrong_commands_are_told_apart_from_failures() {
    let clock = ManualClock::new();
    let help = run(&["--help"], &clock);
    assert_eq!((help.status, help.err.as_str()), (0, ""));
    assert!(help.out.contains("revoke-user USER"));

    for wrong in [
        &[][..],
        &["redb:x"],
        &["redb:", "list"],
        &["ftp://host", "list"],
        &["redb:x", "lists"],
        &["redb:x", "show"],
        &["redb:x", "show", "no-uuid"],
        &["redb:x", "revoke-user"],
        &["redb:x", "sweep", "--user", "u1"],
        &["redb:x", "list", "more"],
        &["redb:x", "list", "--wrong"],
    ] {
        let said = run(wrong, &clock);
        assert_eq!((said.status, said.out.as_str()), (2, ""), "{wrong:?}");
        assert!(said.err.ends_with("; see --help\n"), "{}", said.err);
    }

    let said = run(&["http://:hunter2@host", "list"], &clock);
    assert!(!said.err.contains("hunter2"), "{}", said.err);
    #[cfg(not(feature = "redis"))]
    {
        let said = run(&["redis://:hunter2@host", "list"], &clock);
        assert_eq!(said.status, 2);
        assert!(said.err.contains("add `--features redis`"), "{}", said.err);
        assert!(!said.err.contains("hunter2"), "{}", said.err);
    }
}

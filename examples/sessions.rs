//! An operator's look into a store: who has sessions, and an end to them.
//!
//! ```sh
//! cargo run --example sessions --features redb,redis -- redb:sessions.redb list
//! ```
//!
//! It shows public handles only. The secrets are not in the store.

use std::collections::BTreeMap;
use std::process::ExitCode;

use liquid_session::clock::{Clock as _, SystemClock, Timestamp};
use liquid_session::store::{RedbStore, RedisStore, Revoke, SessionStore, StoreKey};
use liquid_session::{Error, SessionId};
use serde_json::{Value, json};

const HELP: &str = "\
usage: sessions STORE COMMAND [--json]

  STORE                redb:PATH or redis://HOST:PORT
  list                 how many sessions there are, and how many each user has
  show HANDLE          one session: times, size, keys with their values
  revoke HANDLE        end one session
  revoke-user USER     end all sessions of a user
  sweep                remove what has expired
  --json               one JSON object instead of text

exit status: 0 done, 1 there is no such session or the store failed, 2 the command is wrong
";

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let json = words.iter().any(|word| word == "--json");
    words.retain(|word| word != "--json");
    if words.iter().any(|word| word == "--help") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [store, command @ ..] = &words[..] else {
        return wrong("expected a store and a command, found none");
    };
    let store = match open(store) {
        Ok(store) => store,
        Err(problem) => return wrong(&problem),
    };
    let answer = match command {
        ["list"] => list(&*store),
        ["show", handle] => with_handle(&*store, handle, |_, shown| Ok(shown)),
        ["revoke", handle] => with_handle(&*store, handle, |key, _| {
            Ok(json!({ "revoked": usize::from(store.destroy(key)?) }))
        }),
        ["revoke-user", user] => store
            .revoke(user, Revoke::All, SystemClock.now())
            .map(|revoked| Some(json!({ "revoked": revoked }))),
        ["sweep"] => store
            .sweep(SystemClock.now(), usize::MAX)
            .map(|swept| Some(json!({ "swept": swept }))),
        other => return wrong(&format!("unknown command `{}`", other.join(" "))),
    };
    match answer {
        Ok(Some(answer)) if json => println!("{answer}"),
        Ok(Some(answer)) => print(&answer, 0),
        Ok(None) => {
            eprintln!("there is no such session: `list` and a user's own list show the handles");
            return ExitCode::FAILURE;
        }
        Err(error) => {
            let cause = std::error::Error::source(&error);
            let cause = cause.map_or_else(String::new, |cause| format!(" ({cause})"));
            eprintln!("{error}{cause}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn wrong(problem: &str) -> ExitCode {
    eprintln!("{problem}\n\n{HELP}");
    ExitCode::from(2)
}

fn open(url: &str) -> Result<Box<dyn SessionStore>, String> {
    match url.strip_prefix("redb:") {
        // A look at a store makes no new one.
        Some(path) if !std::path::Path::new(path).exists() => {
            Err(format!("there is no file {path}"))
        }
        Some(path) => RedbStore::open(path)
            .map(|store| Box::new(store) as _)
            .map_err(|error| format!("{path}: {error}")),
        None if url.starts_with("redis://") => RedisStore::open(url)
            .map(|store| Box::new(store) as _)
            .map_err(|error| error.to_string()),
        None => Err(format!("expected redb:PATH or redis://…, found `{url}`")),
    }
}

/// Counts, and the handles of each user's sessions.
fn list(store: &dyn SessionStore) -> Result<Option<Value>, Error> {
    let mut total = 0;
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut nobody = Vec::new();
    store.scan(SystemClock.now(), &mut |_, record| {
        total += 1;
        let handle = record.id().to_string();
        match record.user() {
            Some(user) => users.entry(user.to_owned()).or_default().push(handle),
            None => nobody.push(handle),
        }
        true
    })?;
    Ok(Some(
        json!({ "sessions": total, "users": users, "signed out": nobody }),
    ))
}

/// Finds a session by its handle and does something with it.
fn with_handle(
    store: &dyn SessionStore,
    handle: &str,
    act: impl FnOnce(&StoreKey, Value) -> Result<Value, Error>,
) -> Result<Option<Value>, Error> {
    let id: SessionId = handle.parse()?;
    let mut found = None;
    store.scan(SystemClock.now(), &mut |key, record| {
        if record.id() != id {
            return true;
        }
        let values: BTreeMap<&str, Value> = record
            .iter()
            .map(|(name, _)| (name, json!(record.get(name).ok().flatten())))
            .collect();
        let shown = json!({
            "handle": id,
            "user": record.user(),
            "created": seconds(record.created()),
            "last used": seconds(record.last_used()),
            "deadline": seconds(record.deadline()),
            "bytes": record.bytes(),
            "values": values,
        });
        found = Some((*key, shown));
        false
    })?;
    found.map(|(key, shown)| act(&key, shown)).transpose()
}

/// Seconds since 1970, as `date -d @…` takes them.
fn seconds(moment: Timestamp) -> u64 {
    moment.as_millis() / 1_000
}

/// JSON as indented lines.
fn print(value: &Value, depth: usize) {
    let Value::Object(entries) = value else {
        return println!("{value}");
    };
    for (name, value) in entries {
        print!("{:indent$}{name}: ", "", indent = depth * 2);
        if value.is_object() {
            println!();
        }
        print(value, depth + 1);
    }
}

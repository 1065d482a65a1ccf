//! The commands, on any store. They name sessions by their session IDs, and never by the keys that a
//! store files them under.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::ffi::OsString;
use std::io::{self, Write};

use lexopt::{Arg, Parser, ValueExt as _};
use liquid_session::clock::{Clock, Timestamp};
use liquid_session::store::{Record, Revoke, SessionStore, StoreKey, Swap, Swapped};
use liquid_session::{Error, SessionConfig, SessionId, Sessions};
use serde_json::{Value as Json, json};
use time::OffsetDateTime;
use time::macros::format_description;

const HELP: &str = "\
Looks after the sessions in a store.

usage: sessions [--json] STORE COMMAND

  STORE              redb:PATH, a file that is there; its application must not be running
                     redis://… or rediss://…, a Redis server

  list               how many sessions there are, and how many of each user
  list --user USER   the sessions of this user
  show HANDLE        one session, with all that it holds
  revoke HANDLE      ends one session
  revoke-user USER   ends all sessions of a user
  sweep              removes what has expired

  --json             one JSON object on standard output; times in milliseconds since 1970
  --help             this text

A HANDLE is the public one, a UUID: `session_id` in templates and logs.

exit status: 0 done, 1 it failed or there is no such session, 2 the command is wrong
";

/// Does what the arguments say, and says the exit status.
pub(crate) fn command<A: Into<OsString>>(
    arguments: impl IntoIterator<Item = A>,
    clock: impl Clock,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let wanted = match Wanted::read(arguments.into_iter().map(Into::into)) {
        Ok(Some(wanted)) => wanted,
        Ok(None) => {
            write!(out, "{HELP}")?;
            return Ok(0);
        }
        Err(problem) => {
            writeln!(err, "{problem}; see --help")?;
            return Ok(2);
        }
    };
    let answer = open(&wanted.store).and_then(|store| {
        let now = clock.now();
        // The deadlines that the records keep are those of the application's settings.
        let sessions = Sessions::new(store, settings()?).with_clock(clock);
        wanted.task.run(&sessions, now)
    });
    match answer {
        Ok(answer) if wanted.json => writeln!(out, "{}", answer.json)?,
        Ok(answer) => {
            for line in answer.lines {
                writeln!(out, "{}", printable(&line))?;
            }
        }
        Err(failure) => {
            say(&*failure, err)?;
            return Ok(1);
        }
    }
    Ok(0)
}

type Failure = Box<dyn StdError + Send + Sync>;

#[derive(Debug)]
struct Wanted {
    store: Place,
    task: Task,
    json: bool,
}

#[derive(Debug)]
enum Place {
    Redb(std::path::PathBuf),
    #[cfg(feature = "redis")]
    Redis(String),
}

#[derive(Debug)]
enum Task {
    Count,
    List(String),
    Show(SessionId),
    Revoke(SessionId),
    RevokeUser(String),
    Sweep,
}

impl Wanted {
    /// `None` for a look at the help.
    fn read(arguments: impl Iterator<Item = OsString>) -> Result<Option<Self>, lexopt::Error> {
        let (mut json, mut user, mut words) = (false, None, Vec::new());
        let mut parser = Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("json") => json = true,
                Arg::Long("user") => user = Some(parser.value()?.string()?),
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                Arg::Value(word) => words.push(word),
                unknown => return Err(unknown.unexpected()),
            }
        }
        let mut words = words.into_iter();
        let store = words.next().ok_or("expected a store, found none")?;
        let store = place(store)?;
        let name = words.next().ok_or("expected a command, found none")?;
        let name = name.string()?;
        if user.is_some() && name != "list" {
            return Err("`--user` belongs to `list`".into());
        }
        let task = match (name.as_str(), user) {
            ("list", None) => Task::Count,
            ("list", Some(user)) => Task::List(user),
            ("show", _) => Task::Show(handle(words.next())?),
            ("revoke", _) => Task::Revoke(handle(words.next())?),
            ("revoke-user", _) => {
                let user = words.next().ok_or("expected a user, found none")?;
                Task::RevokeUser(user.string()?)
            }
            ("sweep", _) => Task::Sweep,
            _ => return Err(format!("unknown command `{}`", printable(&name)).into()),
        };
        match words.next() {
            Some(more) => Err(Arg::Value(more).unexpected()),
            None => Ok(Some(Self { store, task, json })),
        }
    }
}

fn handle(word: Option<OsString>) -> Result<SessionId, lexopt::Error> {
    word.ok_or("expected a handle, found none")?.parse()
}

/// The store's text is in no message: an address may hold a password.
fn place(word: OsString) -> Result<Place, lexopt::Error> {
    let Some(text) = word.to_str() else {
        return Err("expected a store in UTF-8".into());
    };
    match text.split_once(':') {
        Some(("redb", path)) if !path.is_empty() => Ok(Place::Redb(path.into())),
        #[cfg(feature = "redis")]
        Some(("redis" | "rediss", _)) => Ok(Place::Redis(text.to_owned())),
        #[cfg(not(feature = "redis"))]
        Some(("redis" | "rediss", _)) => {
            Err("this build has no Redis: add `--features redis`".into())
        }
        _ => Err("expected a store such as redb:PATH or redis://HOST".into()),
    }
}

fn open(place: &Place) -> Result<Box<dyn SessionStore>, Failure> {
    match *place {
        Place::Redb(ref path) => {
            // The store would create it.
            if !path.try_exists()? {
                return Err(format!("{}: there is no such file", path.display()).into());
            }
            Ok(Box::new(liquid_session::store::RedbStore::open(path)?))
        }
        #[cfg(feature = "redis")]
        Place::Redis(ref url) => Ok(Box::new(liquid_session::store::RedisStore::open(url)?)),
    }
}

/// The tool knows no settings of the application: it leaves ending sessions to their deadlines.
fn settings() -> Result<SessionConfig, Error> {
    SessionConfig::builder().timeout_minutes(u32::MAX).build()
}

/// An answer for programs, and one for people.
struct Answer {
    json: Json,
    lines: Vec<String>,
}

impl Answer {
    fn number(of: &str, count: usize) -> Self {
        Self {
            json: json!({ of: count }),
            lines: vec![format!("{count} {of}")],
        }
    }
}

impl Task {
    fn run(&self, sessions: &Sessions, now: Timestamp) -> Result<Answer, Failure> {
        let store = sessions.store();
        match self {
            Self::Count => Ok(count(store, now)?),
            Self::List(user) => Ok(list(sessions, user)?),
            Self::Show(id) => match find(store, *id, now)? {
                Some((_, record)) => Ok(show(&record)?),
                None => Err(unknown(*id)),
            },
            Self::Revoke(id) => revoke(sessions, *id, now),
            Self::RevokeUser(user) => {
                let ended = sessions.revoke(user, Revoke::All)?;
                Ok(Answer::number("revoked", ended))
            }
            Self::Sweep => Ok(Answer::number("removed", sessions.sweep(usize::MAX)?)),
        }
    }
}

fn count(store: &dyn SessionStore, now: Timestamp) -> Result<Answer, Error> {
    let (mut all, mut users) = (0, BTreeMap::<String, usize>::new());
    store.scan(now, &mut |_, record| {
        all += 1;
        if let Some(user) = record.user() {
            *users.entry(user.to_owned()).or_default() += 1;
        }
        true
    })?;
    let signed_out = all - users.values().sum::<usize>();
    let mut lines = vec![
        format!("{all} sessions"),
        format!("{signed_out:>8}  signed out"),
    ];
    lines.extend(
        users
            .iter()
            .map(|(user, count)| format!("{count:>8}  user {user}")),
    );
    Ok(Answer {
        json: json!({ "sessions": all, "signed_out": signed_out, "users": users }),
        lines,
    })
}

fn list(sessions: &Sessions, user: &str) -> Result<Answer, Error> {
    let mut sessions = sessions.user_sessions(user)?;
    sessions.sort_by_key(|session| (session.created, session.id));
    let json: Vec<_> = sessions
        .iter()
        .map(|session| {
            json!({
                "handle": session.id,
                "created": session.created.as_millis(),
                "last_used": session.last_used.as_millis(),
                "deadline": session.deadline.as_millis(),
            })
        })
        .collect();
    let mut lines = vec![format!("{} sessions of user {user}", sessions.len())];
    lines.extend(sessions.iter().map(|session| {
        format!(
            "{}  created {}  last used {}  ends {}",
            session.id,
            date(session.created),
            date(session.last_used),
            date(session.deadline)
        )
    }));
    Ok(Answer {
        json: json!({ "user": user, "sessions": json }),
        lines,
    })
}

fn show(record: &Record) -> Result<Answer, Error> {
    let mut lines = vec![
        format!("handle     {}", record.id()),
        format!("user       {}", record.user().unwrap_or("(signed out)")),
        format!("created    {}", date(record.created())),
        format!("last used  {}", date(record.last_used())),
        format!("ends       {}", date(record.deadline())),
        format!("holds      {} bytes", record.size()),
    ];
    let mut data = BTreeMap::new();
    for (key, _) in record.iter() {
        if let Some(value) = record.get(key)? {
            let value = json!(value);
            lines.push(format!("  {key} = {value}"));
            data.insert(key, value);
        }
    }
    let json = json!({
        "handle": record.id(),
        "user": record.user(),
        "created": record.created().as_millis(),
        "last_used": record.last_used().as_millis(),
        "deadline": record.deadline().as_millis(),
        "bytes": record.size(),
        "data": data,
    });
    Ok(Answer { json, lines })
}

fn revoke(sessions: &Sessions, id: SessionId, now: Timestamp) -> Result<Answer, Failure> {
    let store = sessions.store();
    // A visitor who signs in or out between the look and the end moves the session: look again.
    for _ in 0..5 {
        let Some((key, record)) = find(store, id, now)? else {
            return Err(unknown(id));
        };
        let ended = match record.user() {
            Some(user) => sessions.revoke(user, Revoke::One(id))? > 0,
            None => store.swap(&key, Swap::Remove(&record), now)? == Swapped::Done,
        };
        if ended {
            return Ok(Answer::number("revoked", 1));
        }
    }
    Err("the session changes too fast to be ended: try again".into())
}

fn find(
    store: &dyn SessionStore,
    id: SessionId,
    now: Timestamp,
) -> Result<Option<(StoreKey, Record)>, Error> {
    let mut found = None;
    store.scan(now, &mut |key, record| {
        if record.id() == id {
            found = Some((*key, record.clone()));
        }
        found.is_none()
    })?;
    Ok(found)
}

fn unknown(id: SessionId) -> Failure {
    format!("there is no session {id}, or it has ended").into()
}

fn date(at: Timestamp) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    i64::try_from(at.as_millis() / 1_000)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|at| at.format(format).ok())
        .unwrap_or_else(|| "never".to_owned())
}

/// Visitors choose what sessions hold: no text of theirs steers the operator's terminal.
fn printable(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars() {
        if c.is_control() {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

fn say(failure: &(dyn StdError + 'static), err: &mut dyn Write) -> io::Result<()> {
    writeln!(err, "{failure}")?;
    let mut cause = failure.source();
    let mut said = failure.to_string();
    while let Some(error) = cause {
        let text = error.to_string();
        if text != said {
            writeln!(err, "  because: {text}")?;
        }
        said = text;
        cause = error.source();
    }
    Ok(())
}

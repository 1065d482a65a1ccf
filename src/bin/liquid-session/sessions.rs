//! `liquid-session sessions`: looks after the sessions in a store. It names sessions by their session
//! IDs, and never by the keys that a store files them under.

use std::collections::BTreeMap;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt as _};
use liquid_session::clock::{Clock as _, SystemClock, Timestamp};
use liquid_session::store::{Record, Revoke, SessionStore, StoreKey, Swap, Swapped};
use liquid_session::{Error, SessionConfig, SessionId, Sessions};
use serde_json::{Value as Json, json};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::terminal::{Terminal, printable};
use crate::{Ended, Failure, stores};

const HELP: &str = "\
Looks after the sessions in a store.

usage: liquid-session sessions --store URL [OPTION…] TASK

  list               the sessions, oldest first, also those of visitors who are not signed in
  show ID            one session, with all that it holds
  revoke ID          ends one session
  revoke-user USER   ends all sessions of a user
  stats              how many sessions there are, of whom, and how large
  sweep              removes what has expired

  --store URL        redb:PATH, a file; its application must not be running
                     redis://…, a Redis server
                     postgres://…, a PostgreSQL database
  --prefix PREFIX    the prefix that the application gives its keys on Redis
  --table TABLE      the application's table on PostgreSQL, if it is not liquid_session
  --user USER        list: the sessions of this user
  --anonymous        list: the sessions of visitors who are not signed in
  --older-than AGE   list: sessions that were not used for this long: 90s, 30m, 12h, 7d
  --limit N          list: at most so many; sweep: removes at most so many
  --no-values        show: the keys without their values
  --json             one JSON object; times in milliseconds since 1970
  --help             this text

An ID is the public one, a UUID: `session_id` in templates and logs.

  liquid-session sessions --store redis://127.0.0.1 --prefix shop list --older-than 7d

exit status: 0  done
             1  there is no such session, or the user has none
             2  the store can't be reached, or the command is wrong
";

#[derive(Default)]
struct Options {
    store: Option<String>,
    prefix: Option<String>,
    table: Option<String>,
    user: Option<String>,
    anonymous: bool,
    older_than: Option<Duration>,
    limit: Option<usize>,
    no_values: bool,
    json: bool,
}

enum Task {
    List,
    Show(SessionId),
    Revoke(SessionId),
    RevokeUser(String),
    Stats,
    Sweep,
}

/// An answer for programs and one for people, and the exit status.
struct Answer {
    json: Json,
    lines: Vec<String>,
    status: u8,
}

pub(crate) fn run(mut arguments: Parser, terminal: &mut Terminal) -> Ended {
    let (mut options, mut words) = (Options::default(), Vec::new());
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => {
                terminal.line(HELP.trim_end())?;
                return Ok(0);
            }
            Arg::Long("store") => options.store = Some(arguments.value()?.string()?),
            Arg::Long("prefix") => options.prefix = Some(arguments.value()?.string()?),
            Arg::Long("table") => options.table = Some(arguments.value()?.string()?),
            Arg::Long("user") => options.user = Some(arguments.value()?.string()?),
            Arg::Long("anonymous") => options.anonymous = true,
            Arg::Long("older-than") => {
                options.older_than = Some(age(&arguments.value()?.string()?)?)
            }
            Arg::Long("limit") => options.limit = Some(arguments.value()?.parse()?),
            Arg::Long("no-values") => options.no_values = true,
            Arg::Long("json") => options.json = true,
            Arg::Value(word) => words.push(word.string()?),
            unknown => return Err(unknown.unexpected().into()),
        }
    }
    let task = Task::read(&words, &options)?;
    let Some(address) = &options.store else {
        return Err(usage("expected `--store URL`, found none"));
    };
    let store = stores::open(address, options.prefix.as_deref(), options.table.as_deref())?;
    terminal.progress("reading the store");
    // The deadlines that the records keep are those of the application's settings: the program leaves
    // ending sessions to them.
    let settings = SessionConfig::builder().timeout_minutes(u32::MAX).build()?;
    let sessions = Sessions::new(store, settings);
    let answer = task.run(&sessions, SystemClock.now(), &options)?;
    if options.json {
        terminal.line(&answer.json.to_string())?;
    } else {
        for line in answer.lines {
            terminal.line(&printable(&line))?;
        }
    }
    Ok(answer.status)
}

fn usage(problem: &str) -> Failure {
    Failure::Usage(problem.to_owned())
}

fn age(text: &str) -> Result<Duration, Failure> {
    let seconds = text.split_at_checked(text.len().saturating_sub(1));
    let seconds = seconds.and_then(|(number, unit)| {
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(unit)
    });
    seconds.map(Duration::from_secs).ok_or_else(|| {
        Failure::Usage(format!(
            "expected an age such as 90s, 30m, 12h or 7d, found `{}`",
            printable(text)
        ))
    })
}

impl Task {
    fn read(words: &[String], options: &Options) -> Result<Self, Failure> {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let task = match words[..] {
            [] => return Err(usage("expected a task such as `list`, found none")),
            ["list"] => Self::List,
            ["show", id] => Self::Show(session_id(id)?),
            ["revoke", id] => Self::Revoke(session_id(id)?),
            ["revoke-user", user] => Self::RevokeUser(user.to_owned()),
            ["stats"] => Self::Stats,
            ["sweep"] => Self::Sweep,
            ["show" | "revoke", ..] => return Err(usage("expected one session ID after the task")),
            ["revoke-user", ..] => return Err(usage("expected one user after `revoke-user`")),
            [task, ..] => {
                return Err(Failure::Usage(format!(
                    "unknown task `{}`, or too many words for it",
                    printable(task)
                )));
            }
        };
        let list = matches!(task, Self::List);
        for (given, belongs, option, to) in [
            (options.user.is_some(), list, "--user", "list"),
            (options.anonymous, list, "--anonymous", "list"),
            (options.older_than.is_some(), list, "--older-than", "list"),
            (
                options.limit.is_some(),
                list || matches!(task, Self::Sweep),
                "--limit",
                "list` and `sweep",
            ),
            (
                options.no_values,
                matches!(task, Self::Show(_)),
                "--no-values",
                "show",
            ),
        ] {
            if given && !belongs {
                return Err(Failure::Usage(format!("`{option}` belongs to `{to}`")));
            }
        }
        Ok(task)
    }

    fn run(&self, sessions: &Sessions, now: Timestamp, options: &Options) -> Result<Answer, Error> {
        let store = sessions.store();
        match self {
            Self::List => list(store, now, options),
            Self::Stats => stats(store, now),
            Self::Show(id) => match find(store, *id, now)? {
                Some((_, record)) => show(&record, options.no_values),
                None => Ok(unknown(*id)),
            },
            Self::Revoke(id) => revoke(sessions, *id, now),
            Self::RevokeUser(user) => {
                let ended = sessions.revoke(user, Revoke::All)?;
                let mut answer = Answer::number("revoked", ended);
                if ended == 0 {
                    answer.lines = vec![format!("the user {user} has no session")];
                    answer.status = 1;
                }
                Ok(answer)
            }
            Self::Sweep => {
                let max = options.limit.unwrap_or(usize::MAX);
                Ok(Answer::number("removed", sessions.sweep(max)?))
            }
        }
    }
}

fn session_id(word: &str) -> Result<SessionId, Failure> {
    word.parse().map_err(|_| {
        Failure::Usage(format!(
            "expected a session ID, which is a UUID, found `{}`",
            printable(word)
        ))
    })
}

impl Answer {
    fn new(json: Json, lines: Vec<String>) -> Self {
        Self {
            json,
            lines,
            status: 0,
        }
    }

    fn number(of: &str, count: usize) -> Self {
        Self::new(json!({ of: count }), vec![format!("{count} {of}")])
    }
}

/// One session of a list.
struct Row {
    id: SessionId,
    user: Option<String>,
    created: Timestamp,
    last_used: Timestamp,
    deadline: Timestamp,
    bytes: usize,
}

fn list(store: &dyn SessionStore, now: Timestamp, options: &Options) -> Result<Answer, Error> {
    let mut rows = Vec::new();
    store.scan(now, &mut |_, record| {
        let user = record.user();
        let wanted = (options.user.is_none() || options.user.as_deref() == user)
            && (!options.anonymous || user.is_none())
            && options
                .older_than
                .is_none_or(|age| now - record.last_used() >= age);
        if wanted {
            rows.push(Row {
                id: record.id(),
                user: user.map(str::to_owned),
                created: record.created(),
                last_used: record.last_used(),
                deadline: record.deadline(),
                bytes: record.size(),
            });
        }
        true
    })?;
    rows.sort_by_key(|row| (row.created, row.id));
    let all = rows.len();
    rows.truncate(options.limit.unwrap_or(usize::MAX));
    let json: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "id": row.id,
                "user": row.user,
                "created": row.created.as_millis(),
                "last_used": row.last_used.as_millis(),
                "deadline": row.deadline.as_millis(),
                "bytes": row.bytes,
            })
        })
        .collect();
    let mut lines: Vec<_> = rows
        .iter()
        .map(|row| {
            let user = match &row.user {
                Some(user) => format!("user {user}"),
                None => "not signed in".to_owned(),
            };
            format!(
                "{}  created {}  last used {}  ends {}  {} bytes  {user}",
                row.id,
                date(row.created),
                date(row.last_used),
                date(row.deadline),
                row.bytes
            )
        })
        .collect();
    lines.push(if rows.len() < all {
        format!("{} of {all} sessions", rows.len())
    } else {
        format!("{all} sessions")
    });
    Ok(Answer::new(json!({ "all": all, "sessions": json }), lines))
}

fn stats(store: &dyn SessionStore, now: Timestamp) -> Result<Answer, Error> {
    let (mut all, mut bytes, mut largest) = (0, 0, 0);
    let mut users = BTreeMap::<String, usize>::new();
    store.scan(now, &mut |_, record| {
        all += 1;
        bytes += record.size();
        largest = largest.max(record.size());
        if let Some(user) = record.user() {
            *users.entry(user.to_owned()).or_default() += 1;
        }
        true
    })?;
    let anonymous = all - users.values().sum::<usize>();
    let mut lines = vec![
        format!("{all} sessions, {bytes} bytes, the largest {largest} bytes"),
        format!("{anonymous:>8}  not signed in"),
    ];
    lines.extend(
        users
            .iter()
            .map(|(user, count)| format!("{count:>8}  user {user}")),
    );
    let json = json!({
        "sessions": all,
        "bytes": bytes,
        "largest": largest,
        "anonymous": anonymous,
        "users": users,
    });
    Ok(Answer::new(json, lines))
}

fn show(record: &Record, no_values: bool) -> Result<Answer, Error> {
    let mut lines = vec![
        format!("session    {}", record.id()),
        format!("user       {}", record.user().unwrap_or("(not signed in)")),
        format!("created    {}", date(record.created())),
        format!("last used  {}", date(record.last_used())),
        format!("ends       {}", date(record.deadline())),
        format!("holds      {} bytes", record.size()),
    ];
    let mut data = BTreeMap::new();
    for (key, _) in record.iter() {
        if no_values {
            lines.push(format!("  {key}"));
            data.insert(key, Json::Null);
        } else if let Some(value) = record.get(key)? {
            let value = json!(value);
            lines.push(format!("  {key} = {value}"));
            data.insert(key, value);
        }
    }
    let mut json = json!({
        "id": record.id(),
        "user": record.user(),
        "created": record.created().as_millis(),
        "last_used": record.last_used().as_millis(),
        "deadline": record.deadline().as_millis(),
        "bytes": record.size(),
    });
    if no_values {
        json["keys"] = json!(data.keys().collect::<Vec<_>>());
    } else {
        json["data"] = json!(data);
    }
    Ok(Answer::new(json, lines))
}

fn revoke(sessions: &Sessions, id: SessionId, now: Timestamp) -> Result<Answer, Error> {
    let store = sessions.store();
    // A visitor who signs in or out between the look and the end moves the session: look again.
    for _ in 0..5 {
        let Some((key, record)) = find(store, id, now)? else {
            return Ok(unknown(id));
        };
        let ended = match record.user() {
            Some(user) => sessions.revoke(user, Revoke::One(id))? > 0,
            None => store.swap(&key, Swap::Remove(&record), now)? == Swapped::Done,
        };
        if ended {
            return Ok(Answer::number("revoked", 1));
        }
    }
    Err(Error::new(
        liquid_session::ErrorKind::Conflict,
        "the session changes too fast to be ended: try again",
    ))
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

fn unknown(id: SessionId) -> Answer {
    let problem = format!("there is no session {id}, or it has ended");
    Answer {
        json: json!({ "error": problem }),
        lines: vec![problem],
        status: 1,
    }
}

fn date(at: Timestamp) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    i64::try_from(at.as_millis() / 1_000)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|at| at.format(format).ok())
        .unwrap_or_else(|| "never".to_owned())
}

//! What the store asks a server.

use ::redis::{Cmd, Value as Reply};

use super::args::{commit_args, time_to_live};
use super::fields::{self, text};
use super::keys::{Keys, Owner};
use super::pool::Pool;
use super::script::{self, Answer, Args, Script, Scripts};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::record::{Change, Op, Record, add, damaged, not_an};
use crate::secret::StoreKey;
use crate::store::Committed;
use crate::value::Value;

/// How often to follow sessions that get other keys while they are read or ended. One that is ended
/// gets no other key, so each round leaves fewer.
const TRIES: usize = 1_000;

pub(super) struct Server {
    pub(super) keys: Keys,
    pub(super) pool: Pool,
    pub(super) scripts: Scripts,
}

impl Server {
    pub(super) fn new(keys: Keys, pool: Pool) -> Self {
        Self {
            keys,
            pool,
            scripts: Scripts::new(),
        }
    }

    pub(super) fn run(&self, command: &Cmd, repeatable: bool) -> Result<Reply, Error> {
        Ok(self.pool.run(command, repeatable)?)
    }

    /// Runs a script by its name, and sends its text to a server that does not know it yet.
    pub(super) fn eval(
        &self,
        script: &Script,
        args: &Args,
        repeatable: bool,
    ) -> Result<Answer, Error> {
        let command = |verb: &str, script: &str| {
            let mut command = ::redis::cmd(verb);
            command.arg(script).arg(args.keys.len());
            command.arg(&args.keys).arg(&args.args);
            command
        };
        let reply = match self.pool.run(&command("EVALSHA", &script.name), repeatable) {
            Err(failure) if failure.is_unknown_script() => {
                self.pool.run(&command("EVAL", script.text), repeatable)
            }
            reply => reply,
        };
        Answer::of(reply?)
    }

    /// Runs a script whose keys hang on who owns the session, which only the server knows: a guess,
    /// and a second run if it was wrong. Whoever signs in meanwhile makes it wrong again.
    pub(super) fn eval_as_owner(
        &self,
        script: &Script,
        args: impl Fn(&Owner) -> Args,
    ) -> Result<Answer, Error> {
        let mut believed = Owner::Nobody;
        for _ in 0..TRIES {
            let mut answer = self.eval(script, &args(&believed), false)?;
            if answer.word != "again" {
                return Ok(answer);
            }
            believed = Owner::parse(&answer.bytes()?).ok_or_else(damaged)?;
        }
        Err(restless())
    }

    pub(super) fn create(
        &self,
        key: &StoreKey,
        record: &Record,
        now: Timestamp,
    ) -> Result<Committed, Error> {
        let owner = Owner::of(record.user());
        let mut args = Args::default()
            .key(self.keys.session(key))
            .key(self.keys.deadlines())
            .key(owner.index(&self.keys))
            .arg(key.as_bytes().as_slice())
            .arg(owner.encode())
            .arg(text(record.deadline().as_millis()))
            .arg(text(time_to_live(record.deadline(), now)));
        for (name, value) in fields::fields(record) {
            args = args.arg(name).arg(value);
        }
        let answer = self.eval(&self.scripts.create, &args, false)?;
        match &*answer.word {
            "stored" => Ok(Committed::Stored {
                taken: Vec::new(),
                version: record.version(),
            }),
            "taken" => Err(met()),
            _ => Err(damaged()),
        }
    }

    pub(super) fn merge(
        &self,
        key: &StoreKey,
        change: &Change,
        now: Timestamp,
    ) -> Result<Committed, Error> {
        let mut answer = self.eval_as_owner(&self.scripts.commit, |owner| {
            commit_args(&self.keys, key, change, now, owner)
        })?;
        match &*answer.word {
            "stored" => {
                let taken = change
                    .ops()
                    .filter(|(_, op)| matches!(op, Op::Take))
                    .zip(answer.list()?)
                    .filter_map(|((key, _), reply)| {
                        let value = script::maybe_bytes(reply).transpose()?;
                        Some(value.and_then(|value| Ok((key.to_owned(), Value::decode(&value)?))))
                    })
                    .collect::<Result<_, Error>>()?;
                let found = answer.number()? as u64;
                Ok(Committed::Stored {
                    taken,
                    version: found + u64::from(change.changes_data()),
                })
            }
            "gone" => Ok(Committed::Gone),
            "conflict" => Ok(Committed::Conflict),
            "taken" => Err(met()),
            "limit" => {
                let [before, after] = [answer.size()?, answer.size()?];
                let mut ops = change.ops();
                let last_key = match (ops.next(), ops.next()) {
                    (Some((key, _)), None) => Some(key),
                    _ => None,
                };
                change.limits.check(last_key, before, after)?;
                Err(damaged())
            }
            "value" => {
                let op = answer.number()?.saturating_sub(1);
                let found = Value::decode(&answer.bytes()?)?;
                match change.ops().nth(op) {
                    Some((key, Op::Increment(by))) => {
                        add(key, Some(&found), *by)?;
                        Err(damaged())
                    }
                    Some((key, Op::Append(_))) => Err(not_an(key, "array", &found)),
                    _ => Err(damaged()),
                }
            }
            "form" => {
                fields::form(&answer.bytes()?)?;
                Err(damaged())
            }
            _ => Err(damaged()),
        }
    }

    /// Runs the script for a user's sessions, whose keys hang on which they are, until it has met
    /// all of them in one step. `each` gets what every run found.
    pub(super) fn eval_for_user(
        &self,
        user: &str,
        now: Timestamp,
        which: &str,
        id: &[u8],
        mut each: impl FnMut(Reply) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut known: Vec<Vec<u8>> = Vec::new();
        for _ in 0..TRIES {
            let mut args = Args::default()
                .key(self.keys.user(user))
                .key(self.keys.deadlines())
                .arg(text(now.as_millis()))
                .arg(user)
                .arg(which)
                .arg(id);
            for member in &known {
                let key = <[u8; 32]>::try_from(&**member).map_err(|_| damaged())?;
                args = args
                    .key(self.keys.session(&StoreKey::from_bytes(key)))
                    .arg(member.as_slice());
            }
            let mut answer = self.eval(&self.scripts.user, &args, which == "list")?;
            let unknown = answer.list()?;
            each(answer.reply()?)?;
            if unknown.is_empty() {
                return Ok(());
            }
            for member in unknown {
                known.push(script::bytes(member)?);
            }
        }
        Err(restless())
    }
}

/// 256 random bits met: somebody feeds us old ones.
fn met() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "a new session got the key of another one: the system's random generator repeats itself",
    )
}

fn restless() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the sessions of a user kept changing while they were read: try again",
    )
}

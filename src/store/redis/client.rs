//! Sends commands to the server that has the key.
//!
//! The `redis` crate repeats nothing here. A command is sent again only if it certainly did not run,
//! or if its connection broke: every command of the store may run twice, and the store judges the
//! answer to the second.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{Cmd, Value as Reply};

#[cfg(feature = "redis-cluster")]
use super::cluster::Cluster;
use super::failure::{Failure, Remedy};
use super::pool::Pool;
use crate::Error;

/// How often a command is sent at most, while the nodes of a cluster send it to each other.
const ATTEMPTS: u32 = 12;

/// How long to wait for a slot that moves, times the number of attempts so far.
const PAUSE: Duration = Duration::from_millis(3);

pub(super) enum Client {
    Single(Arc<Pool>),
    #[cfg(feature = "redis-cluster")]
    Cluster(Box<Cluster>),
}

/// A script and the name that a server gives it, the SHA-1 of its text.
pub(super) struct Script {
    text: &'static str,
    name: String,
}

impl Script {
    pub(super) fn new(text: &'static str) -> Self {
        let name = ::redis::Script::new(text).get_hash().to_owned();
        Self { text, name }
    }
}

pub(super) struct Answer {
    pub(super) reply: Reply,
    /// Whether the command may have run before: the answer to an earlier one was lost.
    pub(super) repeated: bool,
}

impl Client {
    /// Runs a command on a key that changes no session.
    pub(super) fn run(&self, key: &[u8], command: &Cmd) -> Result<Reply, Error> {
        match self.send(key, |_| command.clone()) {
            (Ok(reply), _) => Ok(reply),
            (Err(failure), _) => Err(failure.into_error(false)),
        }
    }

    /// Runs a command that changes the session under a key.
    pub(super) fn change(&self, key: &[u8], command: &Cmd) -> Result<Answer, Error> {
        answer(self.send(key, |_| command.clone()))
    }

    /// Runs a script that changes the session under the first key. All keys share a slot.
    pub(super) fn eval(
        &self,
        script: &Script,
        keys: &[&[u8]],
        args: &[&[u8]],
    ) -> Result<Answer, Error> {
        answer(self.send(keys[0], |by_name| {
            let mut command = match by_name {
                true => ::redis::cmd("EVALSHA").arg(&script.name).to_owned(),
                false => ::redis::cmd("EVAL").arg(script.text).to_owned(),
            };
            command.arg(keys.len()).arg(keys).arg(args);
            command
        }))
    }

    /// The servers that hold sessions.
    pub(super) fn masters(&self) -> Result<Vec<Arc<Pool>>, Error> {
        match self {
            Self::Single(pool) => Ok(vec![pool.clone()]),
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => cluster.masters().map_err(|cause| cause.into_error(false)),
        }
    }

    /// Gives the reply, and whether an earlier answer was lost.
    fn send(&self, key: &[u8], command: impl Fn(bool) -> Cmd) -> (Result<Reply, Failure>, bool) {
        let (mut by_name, mut lost, mut reconnected, mut attempt) = (true, false, false, 0);
        let mut redirect = None;
        loop {
            attempt += 1;
            let (pool, asking) = match redirect.take().map_or_else(|| self.home(key), Ok) {
                Ok(place) => place,
                Err(failure) => return (Err(failure), lost),
            };
            let failure = match pool.send(&command(by_name), asking) {
                Ok(reply) => return (Ok(reply), lost),
                Err(failure) => failure,
            };
            lost |= matches!(failure, Failure::Lost(_));
            #[cfg(feature = "redis-cluster")]
            if let (Self::Cluster(cluster), Failure::Lost(_) | Failure::Connect(_)) =
                (self, &failure)
            {
                cluster.distrust(&pool);
            }
            match failure.remedy() {
                Remedy::SendText if by_name => {
                    by_name = false;
                    redirect = Some((pool, asking));
                }
                Remedy::Wait if attempt < ATTEMPTS => std::thread::sleep(PAUSE * attempt),
                Remedy::Reconnect if !reconnected => reconnected = true,
                #[cfg(feature = "redis-cluster")]
                Remedy::Relocate if !reconnected && matches!(self, Self::Cluster(_)) => {
                    reconnected = true;
                }
                #[cfg(feature = "redis-cluster")]
                Remedy::Redirect { host, port, asking } if attempt < ATTEMPTS => match self {
                    Self::Cluster(cluster) => {
                        let pool = cluster.redirect(&pool, &host, port, asking);
                        redirect = Some((pool, asking));
                    }
                    Self::Single(_) => return (Err(failure), lost),
                },
                _ => return (Err(failure), lost),
            }
        }
    }

    fn home(&self, _key: &[u8]) -> Result<(Arc<Pool>, bool), Failure> {
        match self {
            Self::Single(pool) => Ok((pool.clone(), false)),
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => Ok((cluster.home(_key)?, false)),
        }
    }
}

/// Sends commands that change nothing to one server.
pub(super) fn read(pool: &Pool, commands: &[Cmd]) -> Result<Vec<Reply>, Error> {
    if commands.is_empty() {
        return Ok(Vec::new());
    }
    let packed: Vec<u8> = commands.iter().flat_map(Cmd::get_packed_command).collect();
    pool.read(&packed, commands.len())
        .map_err(|failure| failure.into_error(false))
}

fn answer((result, lost): (Result<Reply, Failure>, bool)) -> Result<Answer, Error> {
    match result {
        Ok(reply) => Ok(Answer {
            reply,
            repeated: lost,
        }),
        Err(failure) => Err(failure.into_error(lost)),
    }
}

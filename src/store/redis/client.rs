//! Sends commands to the server that has the key.
//!
//! The `redis` crate repeats nothing here. A command is sent again only if it certainly did not run,
//! or if its connection broke: every command of the store may run twice, and the store judges the
//! answer to the second.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{Arg, Cmd, Pipeline, Value as Reply};

#[cfg(feature = "redis-cluster")]
use super::cluster::Cluster;
use super::failure::{Failure, Remedy};
use super::server::Server;
use crate::Error;

/// How often a command is sent at most, while the nodes of a cluster send it to each other.
const ATTEMPTS: u32 = 12;

/// How long to wait for a slot that moves, times the number of attempts so far.
const PAUSE: Duration = Duration::from_millis(3);

pub(super) enum Client {
    Single(Arc<Server>),
    #[cfg(feature = "redis-cluster")]
    Cluster(Cluster),
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

    /// A call by name. All keys share a slot; the arguments follow.
    pub(super) fn call(&self, keys: &[&[u8]]) -> Cmd {
        let mut call = Cmd::with_capacity(keys.len() + 8, 512);
        call.arg("EVALSHA").arg(&self.name);
        call.arg(keys.len()).arg(keys);
        call
    }

    /// A call with the text in place of the name.
    fn with_text(&self, call: &Cmd) -> Cmd {
        let mut with_text = ::redis::cmd("EVAL");
        with_text.arg(self.text);
        for arg in call.args_iter().skip(2) {
            if let Arg::Simple(arg) = arg {
                with_text.arg(arg);
            }
        }
        with_text
    }
}

pub(super) struct Answer {
    pub(super) reply: Reply,
    /// Whether the command may have run before: the answer to an earlier one was lost.
    pub(super) repeated: bool,
}

impl Client {
    /// Runs a command on a key that changes no session.
    pub(super) async fn run(&self, key: &[u8], command: &Cmd) -> Result<Reply, Error> {
        let sent = self.send(key, command, None, &mut false).await;
        sent.map_err(|failure| failure.into_error(false))
    }

    /// Runs a command that changes the session under a key: the call of a script, or another.
    pub(super) async fn change(
        &self,
        key: &[u8],
        command: &Cmd,
        script: Option<&Script>,
    ) -> Result<Answer, Error> {
        let mut repeated = false;
        match self.send(key, command, script, &mut repeated).await {
            Ok(reply) => Ok(Answer { reply, repeated }),
            Err(failure) => Err(failure.into_error(repeated)),
        }
    }

    /// The servers that hold sessions.
    pub(super) async fn masters(&self) -> Result<Vec<Arc<Server>>, Error> {
        match self {
            Self::Single(server) => Ok(vec![server.clone()]),
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => {
                let masters = cluster.masters().await;
                masters.map_err(|failure| failure.into_error(false))
            }
        }
    }

    /// Gives the reply; `lost` says whether an answer was lost.
    async fn send(
        &self,
        key: &[u8],
        command: &Cmd,
        script: Option<&Script>,
        lost: &mut bool,
    ) -> Result<Reply, Failure> {
        let (mut reconnected, mut attempt, mut with_text) = (false, 0, None);
        let mut redirect = None;
        loop {
            attempt += 1;
            let (server, asking) = match redirect.take() {
                Some(place) => place,
                None => (self.home(key).await?, false),
            };
            let command = with_text.as_ref().unwrap_or(command);
            let failure = match server.send(command, asking).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            *lost |= matches!(failure, Failure::Lost(_));
            #[cfg(feature = "redis-cluster")]
            if let Self::Cluster(cluster) = self {
                redirect = cluster.follow(&failure, &server);
                if redirect.is_some() && attempt < ATTEMPTS {
                    continue;
                }
            }
            match (failure.remedy(), script) {
                (Remedy::SendText, Some(script)) if with_text.is_none() => {
                    with_text = Some(script.with_text(command));
                    redirect = Some((server, asking));
                }
                (Remedy::Wait, _) if attempt < ATTEMPTS => {
                    tokio::time::sleep(PAUSE * attempt).await;
                }
                (Remedy::Reconnect, _) if !reconnected => reconnected = true,
                (Remedy::Relocate, _) if !reconnected && !matches!(self, Self::Single(_)) => {
                    reconnected = true;
                }
                _ => return Err(failure),
            }
        }
    }

    async fn home(&self, _key: &[u8]) -> Result<Arc<Server>, Failure> {
        match self {
            Self::Single(server) => Ok(server.clone()),
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => cluster.home(_key).await,
        }
    }
}

/// Sends commands that change nothing to one server.
pub(super) async fn read(server: &Arc<Server>, commands: &Pipeline) -> Result<Vec<Reply>, Error> {
    if commands.is_empty() {
        return Ok(Vec::new());
    }
    let replies = server.read(commands).await;
    replies.map_err(|failure| failure.into_error(false))
}

//! Sends commands to the server that has the key.
//!
//! The `redis` crate repeats nothing here. A command is sent again only if it certainly did not run,
//! or if its connection broke: every command of the store may run twice, and the store judges the
//! answer to the second.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{Arg, Cmd, ErrorKind as Kind, ServerErrorKind, Value as Reply};

use super::cluster::Cluster;
use super::failure::Failure;
use super::server::Server;
use crate::Error;

/// How often a command is sent at most, while the nodes of a cluster send it to each other.
const ATTEMPTS: u32 = 12;

/// How long to wait for a slot that moves, times the number of attempts so far.
const PAUSE: Duration = Duration::from_millis(3);

pub(super) enum Client {
    Single(Arc<Server>),
    Cluster(Cluster),
}

/// Where a command goes: to the server that has a key, or to a certain one.
#[derive(Clone, Copy)]
pub(super) enum Place<'p> {
    Key(&'p [u8]),
    Server(&'p Arc<Server>),
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
    /// Runs a command that changes no session.
    pub(super) async fn run(&self, place: Place<'_>, command: &Cmd) -> Result<Reply, Error> {
        let sent = self.send(place, command, None, &mut false).await;
        sent.map_err(|failure| failure.into_error(false))
    }

    /// Runs a command that changes the session under a key: the call of a script, or another.
    pub(super) async fn change(
        &self,
        key: &[u8],
        command: &Cmd,
        script: Option<&Script>,
    ) -> Result<Answer, Error> {
        let (place, mut repeated) = (Place::Key(key), false);
        match self.send(place, command, script, &mut repeated).await {
            Ok(reply) => Ok(Answer { reply, repeated }),
            Err(failure) => Err(failure.into_error(repeated)),
        }
    }

    /// The servers that hold sessions.
    pub(super) async fn masters(&self) -> Result<Vec<Arc<Server>>, Error> {
        match self {
            Self::Single(server) => Ok(vec![server.clone()]),
            Self::Cluster(cluster) => {
                let masters = cluster.masters().await;
                masters.map_err(|failure| failure.into_error(false))
            }
        }
    }

    /// Gives the reply; `lost` says whether an answer was lost.
    async fn send(
        &self,
        place: Place<'_>,
        command: &Cmd,
        script: Option<&Script>,
        lost: &mut bool,
    ) -> Result<Reply, Failure> {
        let (mut attempt, mut reconnected, mut with_text) = (0, false, None);
        let mut reconnect = || !std::mem::replace(&mut reconnected, true);
        let mut redirect = None;
        loop {
            attempt += 1;
            let (server, asking) = match (redirect.take(), place, self) {
                (Some(named), ..) => named,
                (_, Place::Server(server), _) | (.., Self::Single(server)) => {
                    (server.clone(), false)
                }
                (_, Place::Key(key), Self::Cluster(cluster)) => (cluster.home(key).await?, false),
            };
            let command = with_text.as_ref().unwrap_or(command);
            let failure = match server.send(command, asking).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            *lost |= matches!(failure, Failure::Lost(_));
            if let Self::Cluster(cluster) = self {
                redirect = cluster.follow(&failure, &server);
            }
            let again = match &failure {
                _ if redirect.is_some() => attempt < ATTEMPTS,
                // Another node may have the slot by now.
                Failure::Connect(_) => matches!(self, Self::Cluster(_)) && reconnect(),
                Failure::Lost(error) => error.is_connection_dropped() && reconnect(),
                Failure::Refused(error) => match (error.kind(), script) {
                    // It restarted, or its scripts were flushed.
                    (Kind::Server(ServerErrorKind::NoScript), Some(script)) => {
                        redirect = Some((server, asking));
                        with_text.replace(script.with_text(command)).is_none()
                    }
                    // The keys of the command are on two nodes while the slot moves.
                    (Kind::Server(ServerErrorKind::TryAgain), _) => {
                        tokio::time::sleep(PAUSE * attempt).await;
                        attempt < ATTEMPTS
                    }
                    _ => failure.is_elsewhere() && reconnect(),
                },
            };
            if !again {
                return Err(failure);
            }
        }
    }
}

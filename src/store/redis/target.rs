//! Where connections lead.

use std::time::Duration;

use ::redis::{Client, ConnectionLike, RedisError};

#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub(super) connect: Duration,
    pub(super) read: Duration,
    pub(super) write: Duration,
}

pub(super) enum Target {
    Server(Client),
}

impl Target {
    /// A new connection. What it takes to make one, signing in among it, is within the timeout.
    pub(super) fn connect(
        &self,
        timeouts: &Timeouts,
    ) -> Result<Box<dyn ConnectionLike + Send>, RedisError> {
        match self {
            Self::Server(client) => Ok(Box::new(server(client, timeouts)?)),
        }
    }
}

fn server(client: &Client, timeouts: &Timeouts) -> Result<::redis::Connection, RedisError> {
    let connection = client.get_connection_with_timeout(timeouts.connect)?;
    connection.set_read_timeout(Some(timeouts.read))?;
    connection.set_write_timeout(Some(timeouts.write))?;
    Ok(connection)
}

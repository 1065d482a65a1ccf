//! Which node of a cluster has which key.
//!
//! Not the client's own cluster: while it looks for the nodes it gives one error to commands that were
//! sent and to commands that were not, so a change that never ran would not be told from a lost answer.

use std::sync::Arc;

use ::redis::{ErrorKind, RedisError, ServerErrorKind, Value as Reply};
use parking_lot::Mutex;

use super::failure::Failure;
use super::server::Server;

const SLOTS: u16 = 16_384;

const CRC: crc::Crc<u16> = crc::Crc::<u16>::new(&crc::CRC_16_XMODEM);

pub(super) struct Cluster(Mutex<Map>);

struct Map {
    /// Every node that was ever named; the one that failed last comes last.
    nodes: Vec<Arc<Server>>,
    /// Empty if out of date.
    ranges: Ranges,
}

/// The last slot of a range, and its master.
type Ranges = Arc<[(u16, Arc<Server>)]>;

impl Cluster {
    /// A cluster with these nodes, and others.
    pub(super) fn new(nodes: Vec<Arc<Server>>) -> Self {
        let ranges = Ranges::default();
        Self(Mutex::new(Map { nodes, ranges }))
    }

    /// The master of a key.
    pub(super) async fn home(&self, key: &[u8]) -> Result<Arc<Server>, Failure> {
        let (slot, ranges) = (slot(key), self.ranges().await?);
        let at = ranges.partition_point(|(last, _)| *last < slot);
        Ok(ranges.get(at).ok_or_else(no_node)?.1.clone())
    }

    pub(super) async fn masters(&self) -> Result<Vec<Arc<Server>>, Failure> {
        let mut masters: Vec<Arc<Server>> = Vec::new();
        for (_, server) in &*self.ranges().await? {
            if !masters.iter().any(|known| Arc::ptr_eq(known, server)) {
                masters.push(server.clone());
            }
        }
        Ok(masters)
    }

    /// The node with this address. `from` has the settings of all.
    fn node(&self, from: &Server, host: &str, port: u16) -> Arc<Server> {
        let nodes = &mut self.0.lock().nodes;
        let known = nodes.iter().find(|n| n.address() == Some((host, port)));
        let node = known.cloned().unwrap_or_else(|| from.other(host, port));
        if known.is_none() {
            nodes.push(node.clone());
        }
        node
    }

    /// The node that another one names for a slot, and whether it is about to get the slot and has
    /// the key already. After a failure without such a name, the next call looks for the masters.
    pub(super) fn follow(
        &self,
        failure: &Failure,
        from: &Arc<Server>,
    ) -> Option<(Arc<Server>, bool)> {
        let Failure::Refused(error) = failure else {
            self.distrust(|node| Arc::ptr_eq(node, from));
            return None;
        };
        let (host, port) = error.redirect_node()?.0.rsplit_once(':')?;
        // A node that does not know the host of its cluster leaves it empty.
        let host = match host.is_empty() {
            true => from.address()?.0,
            false => host,
        };
        let node = self.node(from, host, port.parse().ok()?);
        let asking = error.kind() == ErrorKind::Server(ServerErrorKind::Ask);
        if !asking {
            // The new master of a slot knows best who has which.
            self.distrust(|other| !Arc::ptr_eq(other, &node));
        }
        Some((node, asking))
    }

    /// Forgets who has which slots. These nodes are asked last.
    fn distrust(&self, is_last: impl Fn(&Arc<Server>) -> bool) {
        let mut map = self.0.lock();
        map.ranges = Ranges::default();
        map.nodes.sort_by_key(is_last);
    }

    /// What is known of the slots; asks the nodes until one answers if that is out of date.
    async fn ranges(&self) -> Result<Ranges, Failure> {
        let nodes = {
            let map = self.0.lock();
            if !map.ranges.is_empty() {
                return Ok(map.ranges.clone());
            }
            map.nodes.clone()
        };
        let mut result = Err(no_node());
        for node in nodes {
            match node.send(::redis::cmd("CLUSTER").arg("SLOTS"), false).await {
                Ok(reply) => {
                    let mut ranges = self.read(&node, reply);
                    ranges.sort_by_key(|(last, _)| *last);
                    let ranges = Ranges::from(ranges);
                    self.0.lock().ranges = ranges.clone();
                    return Ok(ranges);
                }
                Err(failure) => result = Err(failure),
            }
        }
        result
    }

    /// Reads `[[first, last, [host, port, …], …], …]`. A node that does not know its own host leaves
    /// that empty.
    fn read(&self, asked: &Server, reply: Reply) -> Vec<(u16, Arc<Server>)> {
        let range = |range: Vec<Reply>| {
            let [_, Reply::Int(last), Reply::Array(master), ..] = &range[..] else {
                return None;
            };
            let [host, Reply::Int(port), ..] = &master[..] else {
                return None;
            };
            let host = match host {
                Reply::BulkString(host) if !host.is_empty() => std::str::from_utf8(host).ok()?,
                _ => asked.address()?.0,
            };
            let node = self.node(asked, host, u16::try_from(*port).ok()?);
            Some((u16::try_from(*last).ok()?, node))
        };
        let ranges: Vec<Vec<Reply>> = ::redis::from_redis_value(reply).unwrap_or_default();
        ranges.into_iter().filter_map(range).collect()
    }
}

fn no_node() -> Failure {
    let error = (
        ErrorKind::ClusterConnectionNotFound,
        "no node has the slot of the key",
    );
    Failure::Connect(RedisError::from(error))
}

/// The slot of a key: the CRC-16 of what stands in its first braces, or of the whole key.
/// <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>
fn slot(key: &[u8]) -> u16 {
    let tag = key
        .iter()
        .position(|byte| *byte == b'{')
        .map(|open| &key[open + 1..])
        .and_then(|rest| Some(&rest[..rest.iter().position(|byte| *byte == b'}')?]))
        .filter(|tag| !tag.is_empty())
        .unwrap_or(key);
    CRC.checksum(tag) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::slot;

    #[test]
    fn slots_are_those_of_the_server() {
        assert_eq!(slot(b"123456789"), 0x31c3);
        assert_eq!(slot(b"a{123456789}b"), 0x31c3);
        assert_eq!(slot(b"a{123456789}{b}"), 0x31c3);
    }
}

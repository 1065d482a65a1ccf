//! Which node of a cluster has which key.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{ConnectionInfo, ErrorKind, RedisError, Value as Reply};
use parking_lot::Mutex;

use super::failure::Failure;
use super::pool::Pool;
use super::target::{Target, at};

const SLOTS: u16 = 16_384;

pub(super) struct Cluster {
    /// How to sign in to a node; the address is not used.
    settings: ConnectionInfo,
    timeout: Duration,
    /// How many connections each node may have.
    connections: usize,
    map: Mutex<Map>,
}

#[derive(Default)]
struct Map {
    /// Every node that was ever named; the one that failed last comes last.
    nodes: Vec<Node>,
    /// The last slot of a range, and its master. Empty if out of date.
    ranges: Vec<(u16, Arc<Pool>)>,
}

struct Node {
    host: String,
    port: u16,
    pool: Arc<Pool>,
}

impl Cluster {
    /// `seeds` are some of its nodes.
    pub(super) fn new(
        settings: ConnectionInfo,
        seeds: Vec<(String, u16)>,
        timeout: Duration,
        connections: usize,
    ) -> Self {
        let cluster = Self {
            settings,
            timeout,
            connections,
            map: Mutex::default(),
        };
        for (host, port) in seeds {
            cluster.node(&host, port);
        }
        cluster
    }

    /// The master of a key.
    pub(super) fn home(&self, key: &[u8]) -> Result<Arc<Pool>, Failure> {
        let slot = slot(key);
        if self.map.lock().ranges.is_empty() {
            self.refresh()?;
        }
        let map = self.map.lock();
        let at = map.ranges.partition_point(|(last, _)| *last < slot);
        let range = map.ranges.get(at).ok_or_else(no_node)?;
        Ok(range.1.clone())
    }

    pub(super) fn masters(&self) -> Result<Vec<Arc<Pool>>, Failure> {
        if self.map.lock().ranges.is_empty() {
            self.refresh()?;
        }
        let mut masters: Vec<Arc<Pool>> = Vec::new();
        for (_, pool) in &self.map.lock().ranges {
            if !masters.iter().any(|known| Arc::ptr_eq(known, pool)) {
                masters.push(pool.clone());
            }
        }
        Ok(masters)
    }

    pub(super) fn node(&self, host: &str, port: u16) -> Arc<Pool> {
        let mut map = self.map.lock();
        if let Some(node) = map.nodes.iter().find(|n| n.host == host && n.port == port) {
            return node.pool.clone();
        }
        let target = Target::Server(at(&self.settings, host, port));
        let pool = Arc::new(Pool::new(target, self.timeout, self.connections));
        map.nodes.push(Node {
            host: host.to_owned(),
            port,
            pool: pool.clone(),
        });
        pool
    }

    /// The node that another one names for a slot. One that does not know the host of its cluster
    /// leaves it empty.
    pub(super) fn redirect(
        &self,
        from: &Arc<Pool>,
        host: &str,
        port: u16,
        asking: bool,
    ) -> Arc<Pool> {
        let nodes = self.hosts();
        let named = nodes.iter().find(|(_, pool)| Arc::ptr_eq(pool, from));
        let pool = match named {
            Some((known, _)) if host.is_empty() => self.node(known, port),
            _ => self.node(host, port),
        };
        if !asking {
            let mut map = self.map.lock();
            map.ranges.clear();
            // The new master of a slot knows best who has which.
            map.nodes
                .sort_by_key(|node| !Arc::ptr_eq(&node.pool, &pool));
        }
        pool
    }

    /// Looks for the masters again before the next call, because this node failed.
    pub(super) fn distrust(&self, pool: &Arc<Pool>) {
        let mut map = self.map.lock();
        map.ranges.clear();
        map.nodes.sort_by_key(|node| Arc::ptr_eq(&node.pool, pool));
    }

    fn hosts(&self) -> Vec<(String, Arc<Pool>)> {
        let map = self.map.lock();
        let nodes = map.nodes.iter();
        nodes.map(|n| (n.host.clone(), n.pool.clone())).collect()
    }

    /// Asks the nodes which has which slots, until one answers.
    fn refresh(&self) -> Result<(), Failure> {
        let mut result = Err(no_node());
        for (host, pool) in self.hosts() {
            match pool.send(::redis::cmd("CLUSTER").arg("SLOTS"), false) {
                Ok(reply) => {
                    let mut ranges = self.ranges(&host, reply);
                    ranges.sort_by_key(|(last, _)| *last);
                    self.map.lock().ranges = ranges;
                    return Ok(());
                }
                Err(failure) => result = Err(failure),
            }
        }
        result
    }

    /// Reads `[[first, last, [host, port, …], …], …]`. A node that does not know its own host leaves
    /// that empty.
    fn ranges(&self, asked: &str, reply: Reply) -> Vec<(u16, Arc<Pool>)> {
        let Reply::Array(ranges) = reply else {
            return Vec::new();
        };
        let range = |range: &Reply| {
            let Reply::Array(parts) = range else {
                return None;
            };
            let [_, Reply::Int(last), Reply::Array(master), ..] = &parts[..] else {
                return None;
            };
            let [host, Reply::Int(port), ..] = &master[..] else {
                return None;
            };
            let host = match host {
                Reply::BulkString(host) if !host.is_empty() => std::str::from_utf8(host).ok()?,
                _ => asked,
            };
            let pool = self.node(host, u16::try_from(*port).ok()?);
            Some((u16::try_from(*last).ok()?, pool))
        };
        ranges.iter().filter_map(range).collect()
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
    let mut crc = 0u16;
    for byte in tag {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = crc << 1 ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 };
        }
    }
    crc % SLOTS
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

//! The heartbeats of the nodes in Redis. They tell each node between which nodes the partitions are
//! shared. Like the leases, they serve liveness only.

use std::collections::BTreeSet;
use std::time::Duration;

use fred::clients::Client;
use fred::types::scripts::Script;
use thicket_schema::NodesKey;

use super::{NodeName, RedisError};

const BEAT: &str = include_str!("heartbeat.lua");

const END: &str = "#!lua flags=allow-oom
return redis.call('ZREM', KEYS[1], ARGV[1])";

const LIVE: &str = "#!lua flags=no-writes,allow-oom
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')";

/// Writes the heartbeats of one node.
#[derive(Clone, Debug)]
pub struct Heartbeats {
    redis: Client,
    key: NodesKey,
    node: NodeName,
    ttl: Duration,
    beat: Script,
    end: Script,
}

impl Heartbeats {
    /// Creates the heartbeats of `node`. Each says for `ttl` that the node is alive.
    pub fn new(redis: Client, key: NodesKey, node: NodeName, ttl: Duration) -> Self {
        Self { redis, key, node, ttl, beat: Script::from_lua(BEAT), end: Script::from_lua(END) }
    }

    /// Says that this node is alive. Returns the names of the live nodes, among them this one,
    /// without processes of this host that have ended.
    pub async fn beat(&self) -> Result<BTreeSet<String>, RedisError> {
        let arguments = vec![self.node.to_string(), self.ttl.as_millis().to_string()];
        let nodes: Vec<String> =
            self.beat.evalsha_with_reload(&self.redis, vec![self.key.0.clone()], arguments).await?;
        Ok(nodes.into_iter().filter(|node| !self.node.is_dead_local_process(node)).collect())
    }

    /// Removes the heartbeat of this node.
    pub async fn end(&self) -> Result<(), RedisError> {
        let (key, node) = (self.key.0.clone(), self.node.to_string());
        let _: i64 = self.end.evalsha_with_reload(&self.redis, vec![key], vec![node]).await?;
        Ok(())
    }
}

/// Returns the names of the nodes whose heartbeats have not expired.
pub async fn live_nodes(redis: &Client, key: NodesKey) -> Result<Vec<String>, RedisError> {
    Script::from_lua(LIVE).evalsha_with_reload(redis, vec![key.0], Vec::<String>::new()).await
}

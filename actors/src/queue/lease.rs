//! Leases in Redis: liveness only. What makes a takeover safe is the epoch in PostgreSQL.

use std::time::Duration;

use fred::clients::Client;
use fred::types::scripts::Script;

use super::RedisError;

const ACQUIRE: &str = "
local holder = redis.call('GET', KEYS[1])
if not holder then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 2 end
if holder == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) return 1 end
return 0";

const RELEASE: &str = "
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0";

/// Who holds a lease after an attempt to take or renew it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// This node, since just now.
    Acquired,
    /// This node, as before.
    Renewed,
    /// Another node.
    ByAnother,
}

/// Takes, renews and releases leases in the name of one node.
#[derive(Clone, Debug)]
pub struct Leases {
    redis: Client,
    node: String,
    ttl: Duration,
    acquire: Script,
    release: Script,
}

impl Leases {
    /// Leases held by `node` (a name that no other process has) for `ttl` after each renewal.
    pub fn new(redis: Client, node: String, ttl: Duration) -> Self {
        let (acquire, release) = (Script::from_lua(ACQUIRE), Script::from_lua(RELEASE));
        Self { redis, node, ttl, acquire, release }
    }

    /// How long a lease lasts without renewal.
    pub const fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Takes the lease if it is free, renews it if this node holds it.
    pub async fn acquire(&self, key: String) -> Result<Held, RedisError> {
        let arguments = vec![self.node.clone(), self.ttl.as_millis().to_string()];
        let reply: i64 = self.acquire.evalsha_with_reload(&self.redis, vec![key], arguments).await?;
        Ok(match reply {
            2 => Held::Acquired,
            1 => Held::Renewed,
            _ => Held::ByAnother,
        })
    }

    /// Gives the lease back if this node holds it.
    pub async fn release(&self, key: String) -> Result<(), RedisError> {
        let _: i64 =
            self.release.evalsha_with_reload(&self.redis, vec![key], vec![self.node.clone()]).await?;
        Ok(())
    }
}

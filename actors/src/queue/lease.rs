//! Leases in Redis: liveness only. What makes a takeover safe is the epoch in PostgreSQL.

use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::KeysInterface as _;
use fred::types::scripts::Script;

use super::{NodeName, RedisError};
use crate::protocol::lease::Held;

/// Decides as [`crate::protocol::lease::acquire`] does.
const ACQUIRE: &str = include_str!("acquire.lua");

const RELEASE: &str = "#!lua flags=allow-oom
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0";

/// Takes the lease from a holder that is known to be dead.
const INHERIT: &str = "#!lua flags=allow-oom
if redis.call('GET', KEYS[1]) ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 2";

/// Numbers the holders of a lease.
const TENURE: &str = "#!lua flags=allow-oom
local tenure = math.max(tonumber(redis.call('GET', KEYS[1]) or '0') + 1, tonumber(ARGV[1]))
tenure = string.format('%.0f', tenure)
redis.call('SET', KEYS[1], tenure)
return tenure";

/// Takes, renews and releases leases in the name of one node.
#[derive(Clone, Debug)]
pub struct Leases {
    redis: Client,
    node: NodeName,
    ttl: Duration,
    acquire: Script,
    release: Script,
    inherit: Script,
    tenure: Script,
}

impl Leases {
    /// Leases held by `node` for `ttl` after each renewal.
    pub fn new(redis: Client, node: NodeName, ttl: Duration) -> Self {
        let script = Script::from_lua;
        let (acquire, release, inherit) = (script(ACQUIRE), script(RELEASE), script(INHERIT));
        Self { redis, node, ttl, acquire, release, inherit, tenure: Script::from_lua(TENURE) }
    }

    /// How long a lease lasts without renewal.
    pub const fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Takes the lease if it is free, renews it if this node holds it.
    pub async fn acquire(&self, key: String) -> Result<Held, RedisError> {
        let arguments = vec![self.node.to_string(), self.ttl.as_millis().to_string()];
        let reply: i64 = self.acquire.evalsha_with_reload(&self.redis, vec![key.clone()], arguments).await?;
        match Held::from_code(reply) {
            Held::ByAnother => self.inherit(key).await,
            held => Ok(held),
        }
    }

    /// Takes the lease over at once if its holder is a process of this machine that is no more.
    async fn inherit(&self, key: String) -> Result<Held, RedisError> {
        let holder: Option<String> = self.redis.get(key.clone()).await?;
        let Some(holder) = holder.filter(|holder| self.node.outlived(holder)) else {
            return Ok(Held::ByAnother);
        };
        let arguments = vec![self.node.to_string(), self.ttl.as_millis().to_string(), holder];
        let reply: i64 = self.inherit.evalsha_with_reload(&self.redis, vec![key], arguments).await?;
        Ok(Held::from_code(reply))
    }

    /// Begins a new tenure: a number that is greater than that of every earlier holder, and at least `wall_ms`.
    pub async fn begin_tenure(&self, key: String, wall_ms: u64) -> Result<u64, RedisError> {
        self.tenure.evalsha_with_reload(&self.redis, vec![key], vec![wall_ms.to_string()]).await
    }

    /// Gives the lease back if this node holds it.
    pub async fn release(&self, key: String) -> Result<(), RedisError> {
        let _: i64 =
            self.release.evalsha_with_reload(&self.redis, vec![key], vec![self.node.to_string()]).await?;
        Ok(())
    }
}

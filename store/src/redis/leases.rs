//! Leases in Redis. They serve liveness only; the epoch in PostgreSQL makes a takeover safe.

use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::KeysInterface as _;
use fred::types::scripts::Script;

use super::{NodeName, RedisError};
use thicket_protocol::lease::LeaseState;
use thicket_schema::{EpochKey, LeaseKey};

/// Decides as [`thicket_protocol::lease::acquire`] does.
const ACQUIRE: &str = include_str!("acquire.lua");

/// Renews the lease of this node. It takes no lease, not even a free one: a renewal that comes after
/// the release must not bring the lease back.
const RENEW: &str = "#!lua flags=allow-oom
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0";

const RELEASE: &str = "#!lua flags=allow-oom
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0";

/// Takes the lease from a holder whose process has ended. The lease must still name that holder.
const TAKE_FROM_DEAD_HOLDER: &str = "#!lua flags=allow-oom
if redis.call('GET', KEYS[1]) ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 2";

/// Increments the ingress epoch, which numbers the holders of an MQTT subscription.
const INGRESS_EPOCH: &str = "#!lua flags=allow-oom
local ingress_epoch = math.max(tonumber(redis.call('GET', KEYS[1]) or '0') + 1, tonumber(ARGV[1]))
ingress_epoch = string.format('%.0f', ingress_epoch)
redis.call('SET', KEYS[1], ingress_epoch)
return ingress_epoch";

/// Takes, renews and releases leases in the name of one node.
#[derive(Clone, Debug)]
pub struct Leases {
    redis: Client,
    node: NodeName,
    ttl: Duration,
    acquire: Script,
    renew: Script,
    release: Script,
    take_from_dead_holder: Script,
    ingress_epoch: Script,
}

impl Leases {
    /// Creates leases in the name of `node`. A lease lasts for `ttl` after each renewal.
    pub fn new(redis: Client, node: NodeName, ttl: Duration) -> Self {
        let script = Script::from_lua;
        let (acquire, release, take_from_dead_holder) =
            (script(ACQUIRE), script(RELEASE), script(TAKE_FROM_DEAD_HOLDER));
        Self {
            redis,
            node,
            ttl,
            acquire,
            renew: script(RENEW),
            release,
            take_from_dead_holder,
            ingress_epoch: Script::from_lua(INGRESS_EPOCH),
        }
    }

    /// Returns how long a lease lasts without renewal.
    pub const fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Returns the node in whose name leases are taken.
    pub const fn node(&self) -> &NodeName {
        &self.node
    }

    /// Returns the name of the node that holds each lease, `None` if no node holds it.
    pub async fn holders(
        &self,
        leases: impl IntoIterator<Item = LeaseKey>,
    ) -> Result<Vec<Option<String>>, RedisError> {
        lease_holders(&self.redis, leases).await
    }

    /// Takes the lease if it is free. Renews it if this node holds it.
    pub async fn acquire(&self, key: LeaseKey) -> Result<LeaseState, RedisError> {
        let arguments = vec![self.node.to_string(), self.ttl.as_millis().to_string()];
        let reply: i64 =
            self.acquire.evalsha_with_reload(&self.redis, vec![key.0.clone()], arguments).await?;
        match LeaseState::from_code(reply) {
            LeaseState::HeldByOther => self.take_from_dead_holder(key).await,
            held => Ok(held),
        }
    }

    /// Renews the lease. Returns false if this node does not hold it, and takes it then in no case.
    pub async fn renew(&self, key: LeaseKey) -> Result<bool, RedisError> {
        let arguments = vec![self.node.to_string(), self.ttl.as_millis().to_string()];
        let renewed: i64 = self.renew.evalsha_with_reload(&self.redis, vec![key.0], arguments).await?;
        Ok(renewed == 1)
    }

    /// Takes over the lease at once if its holder is a process of this host that has ended.
    async fn take_from_dead_holder(&self, key: LeaseKey) -> Result<LeaseState, RedisError> {
        let holder: Option<String> = self.redis.get(key.0.clone()).await?;
        let Some(holder) = holder.filter(|holder| self.node.is_dead_local_process(holder)) else {
            return Ok(LeaseState::HeldByOther);
        };
        let arguments = vec![self.node.to_string(), self.ttl.as_millis().to_string(), holder];
        let reply: i64 =
            self.take_from_dead_holder.evalsha_with_reload(&self.redis, vec![key.0], arguments).await?;
        Ok(LeaseState::from_code(reply))
    }

    /// Begins a new ingress epoch, greater than that of every earlier holder, and at least
    /// `wall_ms`.
    pub async fn next_ingress_epoch(&self, key: EpochKey, wall_ms: u64) -> Result<u64, RedisError> {
        self.ingress_epoch.evalsha_with_reload(&self.redis, vec![key.0], vec![wall_ms.to_string()]).await
    }

    /// Releases the lease if this node holds it.
    pub async fn release(&self, key: LeaseKey) -> Result<(), RedisError> {
        let _: i64 =
            self.release.evalsha_with_reload(&self.redis, vec![key.0], vec![self.node.to_string()]).await?;
        Ok(())
    }
}

/// Returns the name of the node that holds each lease, `None` if no node holds it.
pub async fn lease_holders(
    redis: &Client,
    leases: impl IntoIterator<Item = LeaseKey>,
) -> Result<Vec<Option<String>>, RedisError> {
    let keys: Vec<String> = leases.into_iter().map(|LeaseKey(key)| key).collect();
    if keys.is_empty() { Ok(Vec::new()) } else { redis.mget(keys).await }
}

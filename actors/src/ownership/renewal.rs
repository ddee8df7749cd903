//! The renewal of leases and the heartbeats, on a thread and a connection of its own: no work of the
//! engine holds them up. The actors that hold the leases take and release them.
//!
//! A renewed lease says that this process lives. It does not say that its arbiters do: see
//! [`Watchdog`](crate::supervision::Watchdog).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use thicket_schema::{LeaseKey, NodesKey};
use thicket_store::complaints;
use thicket_store::redis::{Heartbeats, Leases, NodeName, RedisError, RedisServer, connect_redis};

use super::live_nodes::LiveNodes;
use crate::lamps::HeldLeases;

/// The leases that this node holds, and whether each was lost since it was taken.
type Held = BTreeMap<LeaseKey, bool>;

/// The settings of the thread.
#[derive(Clone, Debug)]
pub struct RenewalOptions {
    /// The Redis of the leases.
    pub server: RedisServer,
    /// The node that holds them.
    pub node: NodeName,
    /// The key of the heartbeats.
    pub nodes: NodesKey,
    /// How long a lease lasts after a renewal, and a heartbeat.
    pub ttl: Duration,
}

/// Renews leases until they are given up, and writes heartbeats between [`Renewal::join`] and
/// [`Renewal::leave`]. Its thread ends when the last clone is dropped.
#[derive(Clone, Debug, Default)]
pub struct Renewal {
    held: Arc<Mutex<Held>>,
    nodes: Arc<LiveNodes>,
}

impl Renewal {
    /// Starts the thread. It renews each lease several times before `ttl` ends, and notes each renewal
    /// in `ages`.
    ///
    /// # Errors
    /// Fails if the system starts no thread.
    pub fn start(options: RenewalOptions, ages: HeldLeases) -> std::io::Result<Self> {
        let renewal = Self::default();
        let (held, nodes) = (Arc::downgrade(&renewal.held), Arc::clone(&renewal.nodes));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new()
            .name("leases".to_owned())
            .spawn(move || runtime.block_on(renew_all(options, held, nodes, ages)))?;
        Ok(renewal)
    }

    /// Says to the other nodes that this one is ready to own partitions.
    pub(crate) fn join(&self) {
        self.nodes.join();
    }

    /// Says to the other nodes that this one owns no partition for much longer. The leases stay
    /// until they are released.
    pub fn leave(&self) {
        self.nodes.leave();
    }

    /// Returns what is known of the live nodes.
    pub(super) fn nodes(&self) -> &Arc<LiveNodes> {
        &self.nodes
    }

    /// Renews a lease that this node has taken, from now on.
    pub(crate) fn keep(&self, key: LeaseKey) {
        lock(&self.held).insert(key, false);
    }

    /// Renews a lease no more.
    pub(crate) fn give_up(&self, key: &LeaseKey) {
        lock(&self.held).remove(key);
    }

    /// Whether this node does not hold the lease, or has lost it since it took it.
    pub(crate) fn is_lost(&self, key: &LeaseKey) -> bool {
        lock(&self.held).get(key).copied().unwrap_or(true)
    }
}

/// Renews the held leases until the last [`Renewal`] is dropped.
async fn renew_all(
    options: RenewalOptions,
    held: Weak<Mutex<Held>>,
    nodes: Arc<LiveNodes>,
    ages: HeldLeases,
) {
    let RenewalOptions { server, node, nodes: key, ttl } = options;
    let redis = connect_redis(server).await;
    let heartbeats = Heartbeats::new(redis.clone(), key, node.clone(), ttl);
    let leases = Leases::new(redis, node, ttl);
    let mut presence = nodes.presence_changes();
    let mut ticks = tokio::time::interval(ttl / 3);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while let Some(held) = held.upgrade() {
        tokio::join!(nodes.beat(&heartbeats), renew_once(&leases, &held, &ages));
        drop(held);
        tokio::select! {
            _ = ticks.tick() => {}
            () = presence.next() => {}
        }
    }
}

async fn renew_once(leases: &Leases, held: &Mutex<Held>, ages: &HeldLeases) {
    let keys: Vec<LeaseKey> =
        lock(held).iter().filter(|(_, is_lost)| !**is_lost).map(|(key, _)| key.clone()).collect();
    let answers: Vec<Result<bool, RedisError>> =
        join_all(keys.iter().map(|key| leases.renew(key.clone()))).await;
    let failed = answers.iter().filter(|answer| answer.is_err()).count();
    if let Some(Err(error)) = answers.iter().find(|answer| answer.is_err()) {
        // This node may still hold the leases. If not, the epochs fence its commits.
        if let Some(repeated) = complaints::due("renew leases", error) {
            tracing::warn!(%error, leases = failed, repeated, "cannot renew leases; retrying");
        }
    }
    let mut held = lock(held);
    for (key, answer) in keys.iter().zip(answers) {
        match (held.get_mut(key), answer) {
            (Some(_), Ok(true)) => ages.renewed(key),
            (Some(is_lost), Ok(false)) => *is_lost = true,
            _ => {}
        }
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use thicket_compose::Redis;
    use thicket_schema::{Keys, PartitionId};
    use thicket_store::redis::{LeaseState, lease_holders};

    use super::*;

    const TTL: Duration = Duration::from_millis(600);

    #[actix_rt::test]
    async fn a_lease_survives_an_arbiter_that_is_busy_for_longer_than_the_lease() {
        let directory = tempfile::tempdir().expect("a directory");
        let redis = Redis::start(directory.path()).expect("a Redis");
        let (client, node) = (connect_redis(&redis.url()).await, NodeName::of_this_process("node"));
        let leases = Leases::new(client.clone(), node.clone(), TTL);
        let ages = HeldLeases::default();
        ages.set_ttl(TTL);
        let options = RenewalOptions {
            server: (&redis.url()).into(),
            node: node.clone(),
            nodes: Keys::default().nodes(),
            ttl: TTL,
        };
        let renewal = Renewal::start(options, ages.clone()).expect("a thread");
        let key = |partition| Keys::default().lease(PartitionId(partition));
        for partition in [1, 2] {
            assert_eq!(leases.acquire(key(partition)).await.expect("an answer"), LeaseState::Acquired);
        }
        renewal.keep(key(1));
        ages.acquired(key(1));
        #[expect(clippy::disallowed_methods, reason = "the arbiter must be busy")]
        std::thread::sleep(5 * TTL);
        let holder = async |partition| {
            lease_holders(&client, [key(partition)]).await.expect("an answer").pop().flatten()
        };
        assert_eq!(holder(1).await, Some(node.to_string()));
        while ages.age() >= TTL {
            tokio::time::sleep(TTL / 10).await;
        }
        assert_eq!(holder(2).await, None, "this lease is not renewed");
        assert!(!renewal.is_lost(&key(1)));

        leases.release(key(1)).await.expect("an answer");
        while !renewal.is_lost(&key(1)) {
            tokio::time::sleep(TTL / 10).await;
        }
        assert_eq!(holder(1).await, None, "a renewal does not bring a released lease back");
    }
}

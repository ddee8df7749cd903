//! The lease of the MQTT subscriptions. One node at a time holds all of them. A new holder fences
//! the writers of earlier holders before it appends an entry.

use std::cell::Cell;
use std::time::Duration;

use actix::Recipient;
use chrono::Utc;
use thicket_schema::{EpochKey, Keys, LeaseKey};
use thicket_store::complaints;
use thicket_store::deployment::{OtherDeployment, check_same};
use thicket_store::postgres::{PostgresPool, StoreError, newest_generation};
use thicket_store::redis::{Client, LeaseState, Leases, RedisError, mark_deployment};
use tokio::sync::{Mutex, watch};

use crate::messages::FenceWriters;
use crate::ownership::Renewal;

/// Time between two tries to acquire a lease that another node holds.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The keys of the subscriptions in Redis.
#[derive(Clone, Debug)]
pub struct SubscriptionKeys {
    /// Their lease.
    pub lease: LeaseKey,
    /// The counter of their ingress epochs.
    pub epoch: EpochKey,
}

impl SubscriptionKeys {
    /// Returns the keys of the deployment's subscriptions.
    pub fn new(keys: &Keys) -> Self {
        Self { lease: keys.ingress_lease(), epoch: keys.ingress_epoch() }
    }
}

/// The stores that a node asks at the begin of its term, before it takes over the logs.
pub(super) struct TermStores {
    pub(super) redis: Client,
    pub(super) keys: Keys,
    /// The name of the deployment.
    pub(super) deployment: String,
    pub(super) pool: PostgresPool,
}

/// Why a term cannot begin now.
#[derive(Debug, thiserror::Error)]
enum TermError {
    #[error("redis: {0}")]
    Redis(#[from] RedisError),
    #[error(transparent)]
    Postgres(#[from] StoreError),
    #[error(transparent)]
    Other(#[from] OtherDeployment),
}

/// Acquires and releases the lease of a subscription, and fences earlier holders.
pub(super) struct SubscriptionLease {
    leases: Leases,
    renewal: Renewal,
    keys: SubscriptionKeys,
    stores: TermStores,
    fence: Recipient<FenceWriters>,
    /// The number of the present term, from 1. A term begins when this node acquires the lease, and ends
    /// when it loses it.
    term: Cell<u64>,
    /// Whether earlier writers have been fenced since this node last acquired the lease.
    writers_fenced: Cell<bool>,
    /// Held by the session that fences the writers, while the sessions of other brokers wait.
    fencing: Mutex<()>,
    /// Number of sessions that have not released the lease.
    holders: Cell<usize>,
}

impl SubscriptionLease {
    /// Creates the lease that this number of sessions share.
    pub(super) const fn new(
        leases: Leases,
        renewal: Renewal,
        keys: SubscriptionKeys,
        stores: TermStores,
        fence: Recipient<FenceWriters>,
        sessions: usize,
    ) -> Self {
        Self {
            leases,
            renewal,
            keys,
            stores,
            fence,
            term: Cell::new(0),
            writers_fenced: Cell::new(false),
            fencing: Mutex::const_new(()),
            holders: Cell::new(sessions),
        }
    }

    /// Returns the time between two checks of the lease.
    pub(super) fn check_interval(&self) -> Duration {
        self.leases.ttl() / 3
    }

    /// Waits until this node holds the lease, or until `stop` is set. Returns the term; `None` if `stop`
    /// is set. Calls `on_wait` once if another node holds the lease.
    pub(super) async fn hold(&self, stop: &mut watch::Receiver<bool>, on_wait: impl FnOnce()) -> Option<u64> {
        let mut on_wait = Some(on_wait);
        loop {
            match self.leases.acquire(self.keys.lease.clone()).await {
                Ok(LeaseState::Renewed) => {
                    self.renewal.keep(self.keys.lease.clone());
                    return Some(self.term.get());
                }
                Ok(LeaseState::Acquired) => {
                    self.renewal.keep(self.keys.lease.clone());
                    self.term.set(self.term.get() + 1);
                    self.writers_fenced.set(false);
                    return Some(self.term.get());
                }
                Ok(LeaseState::HeldByOther) => {
                    if let Some(on_wait) = on_wait.take() {
                        on_wait();
                    }
                }
                Err(error) => {
                    if let Some(repeated) = complaints::due("acquire the subscription", &error) {
                        tracing::warn!(%error, repeated, "cannot acquire the lease of the subscription; retrying");
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(self.check_interval().min(POLL_INTERVAL)) => {}
                _ = stop.wait_for(|&stop| stop) => return None,
            }
        }
    }

    /// Opens every log, so that earlier holders of the subscription cannot append any more. Returns
    /// whether they are fenced.
    pub(super) async fn fence_older_writers(&self) -> bool {
        let _fencing = self.fencing.lock().await;
        if self.writers_fenced.get() {
            return true;
        }
        match self.begin_term().await {
            Ok(fence) => {
                let fenced = self.fence.send(fence).await;
                self.writers_fenced.set(fenced.unwrap_or(false));
            }
            Err(error) => {
                if let Some(repeated) = complaints::due("take over the logs", &error) {
                    tracing::warn!(%error, repeated, "cannot take over the logs; retrying");
                }
            }
        }
        self.writers_fenced.get()
    }

    /// Marks Redis, which may have lost its data since this process started, asks PostgreSQL which
    /// generations it has committed until now, and begins an ingress epoch.
    async fn begin_term(&self) -> Result<FenceWriters, TermError> {
        let TermStores { redis, keys, deployment, pool } = &self.stores;
        let marked = mark_deployment(redis, keys, deployment).await?;
        check_same(keys, Some(&marked), Some(deployment))?;
        let newest_generation = newest_generation(pool).await?;
        let wall_ms = Utc::now().timestamp_millis().cast_unsigned();
        let ingress_epoch = self.leases.next_ingress_epoch(self.keys.epoch.clone(), wall_ms).await?;
        Ok(FenceWriters { ingress_epoch, newest_generation })
    }

    /// Returns false if another node holds the lease, or may have held it since this term began. Also if
    /// this node has acquired it again since then: whoever fences the writers in a new term drops the
    /// pending messages of all brokers, so every session must ask its broker for them again.
    pub(super) fn is_held(&self, term: u64) -> bool {
        let is_lost = self.renewal.is_lost(&self.keys.lease);
        if is_lost && self.writers_fenced.replace(false) {
            tracing::warn!("the lease of the subscription had expired; reconnecting");
        }
        !is_lost && self.term.get() == term
    }

    /// Releases the lease for one session. The last release ends the lease.
    pub(super) async fn release(&self) {
        self.holders.set(self.holders.get().saturating_sub(1));
        if self.holders.get() > 0 {
            return;
        }
        self.renewal.give_up(&self.keys.lease);
        if let Err(error) = self.leases.release(self.keys.lease.clone()).await {
            tracing::warn!(%error, "cannot release the lease of the subscription");
        }
    }
}

#[cfg(test)]
mod tests {
    use thicket_compose::Redis;
    use thicket_store::redis::{NodeName, connect_redis};

    use super::*;
    use crate::lamps::HeldLeases;
    use crate::ownership::RenewalOptions;
    use crate::testing::{disconnected_postgres, record};

    const TTL: Duration = Duration::from_millis(600);
    /// A generous end of each wait.
    const END: Duration = Duration::from_mins(2);

    #[actix_rt::test]
    async fn a_session_reconnects_if_the_lease_was_lost_and_another_session_has_taken_it_again() {
        let directory = tempfile::tempdir().unwrap();
        let redis = Redis::start(directory.path()).unwrap();
        let (client, node) = (connect_redis(&redis.url()).await, NodeName::of_this_process("node"));
        let stores = TermStores {
            redis: client.clone(),
            keys: Keys::default(),
            deployment: "test".to_owned(),
            pool: disconnected_postgres(),
        };
        let leases = Leases::new(client, node.clone(), TTL);
        let keys = SubscriptionKeys::new(&Keys::default());
        let options =
            RenewalOptions { server: (&redis.url()).into(), node, nodes: Keys::default().nodes(), ttl: TTL };
        let renewal = Renewal::start(options, HeldLeases::default()).unwrap();
        let (fence, _fenced) = record(|_| true);
        let lease = SubscriptionLease::new(leases.clone(), renewal, keys.clone(), stores, fence, 2);
        let (_sender, mut stop) = watch::channel(false);

        let first = lease.hold(&mut stop, || ()).await.unwrap();
        let second = lease.hold(&mut stop, || ()).await.unwrap();
        assert_eq!(first, second, "the session of another broker holds it in the same term");
        assert!(lease.is_held(first));

        leases.release(keys.lease).await.unwrap();
        let lost = async {
            while lease.is_held(first) {
                tokio::time::sleep(TTL / 10).await;
            }
        };
        tokio::time::timeout(END, lost).await.unwrap();
        let new = lease.hold(&mut stop, || ()).await.unwrap();
        assert!(lease.is_held(new), "the first session has a new term");
        assert!(!lease.is_held(second), "the second session has not noticed the loss, and must reconnect");
    }
}

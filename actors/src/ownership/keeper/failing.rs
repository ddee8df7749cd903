//! A node whose claims fail leaves its share to the other nodes, and comes back when it can claim
//! again.

use std::time::{Duration, Instant};

use super::PartitionKeeper;
use super::stores::KeeperStores;

/// How long a node stays without its share at least, in lease TTLs: the other nodes have taken its
/// partitions by then. They wait one TTL until the nodes are settled.
const PAUSE: u32 = 4;

/// What is known of the failing claims of this node.
#[derive(Debug, Default)]
pub(super) struct FailingClaims {
    /// Since when PostgreSQL has let this node claim no partition.
    since: Option<Instant>,
    /// Until when this node stays without its share at least.
    paused_until: Option<Instant>,
}

impl FailingClaims {
    /// Notes a claim that has succeeded.
    pub(super) fn end(&mut self) {
        self.since = None;
    }

    /// Notes a claim that has failed. Returns whether claims have failed for the time of a lease.
    fn lasts(&mut self, ttl: Duration, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        now.saturating_duration_since(since) >= ttl
    }

    /// Notes that this node leaves its share to others.
    fn pause(&mut self, ttl: Duration, now: Instant) {
        self.since = None;
        self.paused_until = Some(now + PAUSE * ttl);
    }

    /// Whether this node may take its share again, if PostgreSQL lets it claim.
    fn may_resume(&self, now: Instant) -> bool {
        self.paused_until.is_none_or(|until| now >= until)
    }
}

impl PartitionKeeper {
    /// Notes a claim that has failed. Returns whether this node leaves its share to other nodes. If
    /// there are none, it keeps its leases and tries again.
    pub(super) fn leaves_share(&mut self, now: Instant) -> bool {
        let ttl = self.stores.leases.ttl();
        if !self.failing.lasts(ttl, now) || self.shares.nodes() < 2 {
            return false;
        }
        self.failing.pause(ttl, now);
        if self.stores.renewal.nodes().pause() {
            tracing::warn!(
                "postgresql lets this node claim no partition; other nodes may take its share until it can claim again"
            );
        }
        true
    }

    /// Returns whether this round has to ask PostgreSQL if this node can claim again.
    pub(super) fn is_probe_due(&self, now: Instant) -> bool {
        self.stores.renewal.nodes().is_paused() && self.failing.may_resume(now)
    }
}

/// Begins the heartbeats again if PostgreSQL lets this node claim partitions.
pub(super) async fn probe(stores: &KeeperStores) {
    if stores.can_claim().await {
        stores.renewal.nodes().resume();
        tracing::info!("postgresql lets this node claim partitions again; it takes its share");
    }
}

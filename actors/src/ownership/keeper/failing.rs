//! A node whose claims fail leaves its share to the other nodes, and comes back when it can claim
//! again.

use std::time::Instant;

use super::stores::KeeperStores;
use crate::ownership::shares::Shares;

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
    pub(super) fn note_success(&mut self) {
        self.since = None;
    }

    /// Notes a claim that has failed, and leaves the share of this node to others if claims have
    /// failed for long. Returns whether it does. If there are no other nodes, it keeps its leases and
    /// tries again.
    ///
    /// The claims of all nodes fail if it is PostgreSQL that refuses them. So the node that is first by
    /// name leaves after a lease TTL, and the others wait for two, again after each change of the nodes:
    /// they leave one after another, and the last one stays.
    pub(super) fn note_failure(&mut self, stores: &KeeperStores, shares: &Shares, now: Instant) -> bool {
        let ttl = stores.leases.ttl();
        let since = shares.changed().max(Some(*self.since.get_or_insert(now))).unwrap_or(now);
        let patience = if shares.is_first() { ttl } else { 2 * ttl };
        if now.saturating_duration_since(since) < patience || shares.nodes() < 2 {
            return false;
        }
        self.since = None;
        self.paused_until = Some(now + PAUSE * ttl);
        if stores.renewal.nodes().pause() {
            tracing::warn!(
                "postgresql lets this node claim no partition; other nodes may take its share until it can claim again"
            );
        }
        true
    }

    /// Returns whether this round has to ask PostgreSQL if this node can claim again.
    pub(super) fn is_probe_due(&self, stores: &KeeperStores, now: Instant) -> bool {
        stores.renewal.nodes().is_paused() && self.paused_until.is_none_or(|until| now >= until)
    }
}

/// Begins the heartbeats again if PostgreSQL lets this node claim partitions.
pub(super) async fn probe(stores: &KeeperStores) {
    if stores.can_claim().await {
        stores.renewal.nodes().resume();
        tracing::info!("postgresql lets this node claim partitions again; it takes its share");
    }
}

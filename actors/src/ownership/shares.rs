//! Which partitions this node takes and which it hands over, by the shares of the live nodes. The
//! keeper asks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use thicket_protocol::share::share;
use thicket_schema::PartitionId;

use super::live_nodes::View;

/// Maximum number of partitions that are on their way from this node to others. Each of them is not
/// read for a moment.
const MOVES: usize = 4;

/// A partition that its node does not take is taken by another node after this number of lease
/// TTLs.
const ABANDONED_AFTER: u32 = 3;

/// Time until a node that did not take a partition is given partitions again. A change of the nodes
/// ends it too: the node may have been replaced by a newer build.
const IDLE_FOR: Duration = Duration::from_mins(10);

/// The shares of the nodes, and the partitions that are on their way.
#[derive(Debug)]
pub(super) struct Shares {
    node: String,
    partitions: u16,
    ttl: Duration,
    /// The nodes that `owners` is for.
    nodes: BTreeSet<String>,
    /// When they have changed last; `None` before the first node.
    changed: Option<Instant>,
    /// The node that should own each partition.
    owners: Vec<String>,
    /// Partitions of other nodes without a lease.
    free: BTreeMap<PartitionId, Free>,
    /// Nodes that did not take a partition of their share, and when they may get partitions again.
    idle_until: BTreeMap<String, Instant>,
}

/// A partition without a lease that another node should own.
#[derive(Debug)]
struct Free {
    /// When this was noticed.
    since: Instant,
    /// The node that should have owned it then.
    owner: String,
}

impl Shares {
    /// Creates the shares of a deployment without live nodes.
    pub(super) const fn new(node: String, partitions: u16, ttl: Duration) -> Self {
        Self {
            node,
            partitions,
            ttl,
            nodes: BTreeSet::new(),
            changed: None,
            owners: Vec::new(),
            free: BTreeMap::new(),
            idle_until: BTreeMap::new(),
        }
    }

    /// Computes the shares again if the nodes have changed.
    pub(super) fn update(&mut self, view: &View, now: Instant) {
        self.idle_until.retain(|_, until| now < *until);
        if self.nodes != view.nodes {
            self.nodes.clone_from(&view.nodes);
            self.changed = Some(now);
            self.owners = share(self.partitions, &self.nodes).into_iter().map(str::to_owned).collect();
            let (owners, node) = (&self.owners, &self.node);
            self.free.retain(|partition, _| owners.get(usize::from(partition.0)) != Some(node));
            self.idle_until.clear();
        }
    }

    /// Returns the number of live nodes.
    pub(super) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Returns when the live nodes have changed last.
    pub(super) fn changed(&self) -> Option<Instant> {
        self.changed
    }

    /// Returns whether this node is the first of the live ones by name.
    pub(super) fn is_first(&self) -> bool {
        self.nodes.first() == Some(&self.node)
    }

    /// Returns the number of partitions in the share of this node.
    pub(super) fn assigned(&self) -> usize {
        self.owners.iter().filter(|owner| **owner == self.node).count()
    }

    /// Returns the node that should own a partition; `None` if no node is known yet.
    pub(super) fn owner(&self, partition: PartitionId) -> Option<&str> {
        self.owners.get(usize::from(partition.0)).map(String::as_str)
    }

    /// Whether a partition is in the share of this node.
    pub(super) fn is_own(&self, partition: PartitionId) -> bool {
        self.owner(partition) == Some(&self.node)
    }

    /// Whether this node may take a partition: it is in its share, or the node that should own it
    /// does not take it.
    pub(super) fn may_take(&self, partition: PartitionId, now: Instant) -> bool {
        self.is_own(partition) || self.is_abandoned(partition, now)
    }

    fn is_abandoned(&self, partition: PartitionId, now: Instant) -> bool {
        let free = self.free.get(&partition);
        free.is_some_and(|free| now.saturating_duration_since(free.since) >= ABANDONED_AFTER * self.ttl)
    }

    /// Notes whether a partition of another node has no lease.
    pub(super) fn note_lease(&mut self, partition: PartitionId, is_free: bool, now: Instant) {
        let owner = self.owner(partition).filter(|owner| is_free && *owner != self.node).map(str::to_owned);
        if let Some(owner) = owner {
            self.free.entry(partition).or_insert(Free { since: now, owner });
        } else {
            self.free.remove(&partition);
        }
    }

    /// Forgets which partitions have no lease: without an answer, a node has had no chance to take
    /// them.
    pub(super) fn forget_free(&mut self) {
        self.free.clear();
    }

    /// Notes that this node has taken a partition. Returns the node that should have taken it, if
    /// this is the first partition that it did not take.
    pub(super) fn note_taken(&mut self, partition: PartitionId, now: Instant) -> Option<String> {
        let Free { owner, .. } = self.free.remove(&partition)?;
        // A node that has joined meanwhile has had no time to take it.
        if self.owner(partition) != Some(&owner) {
            return None;
        }
        let is_first = self.idle_until.insert(owner.clone(), now + IDLE_FOR).is_none();
        is_first.then_some(owner)
    }

    /// Returns the partitions to hand over now, among those that this node owns and has not begun to
    /// hand over. `moving` is the number of those that it has begun to hand over.
    pub(super) fn due(
        &self,
        owned: impl Iterator<Item = PartitionId>,
        moving: usize,
        view: &View,
        now: Instant,
    ) -> Vec<PartitionId> {
        if !view.is_settled(self.ttl, now) {
            return Vec::new();
        }
        // The next owner has not taken these yet.
        let on_their_way = self.free.keys().filter(|partition| !self.is_abandoned(**partition, now)).count();
        let may_go = |partition: &PartitionId| {
            self.owner(*partition)
                .is_some_and(|owner| owner != self.node && !self.idle_until.contains_key(owner))
        };
        owned.filter(may_go).take(MOVES.saturating_sub(moving + on_their_way)).collect()
    }
}

#[cfg(test)]
mod tests;

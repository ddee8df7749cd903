//! Whose a partition is: what `queue/lease.rs` and `ownership/keeper.rs` do, and what remains of a process that dies.

use thicket_protocol::lease::{LeaseState, acquire};
use thicket_protocol::progress::Progress;

use crate::action::Action;
use crate::setting::Setting;
use crate::shard::close;
use crate::world::{Node, World};

/// What can happen to a partition's ownership.
pub fn actions(world: &World, partition: usize, possible: &mut Vec<Action>) {
    let lease = world.logs[partition].lease;
    if lease.is_some() {
        possible.push(Action::Expire { partition });
    }
    for (node, it) in world.nodes.iter().enumerate() {
        let shard = &it.shards[partition];
        if shard.claiming {
            possible.extend([true, false].map(|answered| Action::Claim { node, partition, answered }));
            continue;
        }
        let learns = match acquire(lease.as_ref(), &node) {
            LeaseState::Acquired => true,
            LeaseState::Renewed => shard.progress.is_none(),
            LeaseState::HeldByOther => shard.progress.is_some(),
        };
        if learns {
            possible.push(Action::Acquire { node, partition });
        }
    }
}

/// Takes or renews the lease, or learns that it is another's.
pub fn acquire_lease(world: &mut World, node: usize, partition: usize) {
    let log = &mut world.logs[partition];
    let shard = &mut world.nodes[node].shards[partition];
    match acquire(log.lease.as_ref(), &node) {
        LeaseState::Acquired | LeaseState::Renewed => {
            log.lease = Some(node);
            shard.claiming = shard.progress.is_none();
        }
        LeaseState::HeldByOther => close(shard),
    }
}

/// Raises the epoch and begins at the committed position. The lease may be gone by now.
pub fn claim(world: &mut World, node: usize, partition: usize, answered: bool) {
    let table = &mut world.tables[partition];
    table.epoch += 1;
    if !answered {
        return;
    }
    let shard = &mut world.nodes[node].shards[partition];
    shard.claiming = false;
    shard.detector = None;
    shard.progress = Some(Progress::new(table.epoch, table.position));
    // One question is on its way at a time; whoever waits for an answer goes on waiting.
    if shard.asked.is_none() && shard.scored.is_none() {
        shard.asked = Some((table.epoch, table.position));
    }
}

/// A process dies; another starts in its place. What the first has sent may still arrive.
pub fn crash(world: &mut World, node: usize, setting: &Setting) {
    // Where Redis forgets nothing, it knows as much itself.
    let generations = world.tables.iter().map(|table| table.position.generation);
    let newest = generations.max().filter(|_| setting.is_lossy()).unwrap_or(0);
    world.nodes[node] = Node::new(world.logs.len(), newest);
    if world.broker.connected == Some(node) {
        world.broker.connected = None;
    }
    for log in &mut world.logs {
        if log.lease == Some(node) {
            log.lease = None;
        }
    }
}

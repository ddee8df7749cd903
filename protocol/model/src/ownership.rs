//! Who owns a partition: what `ownership/keeper.rs` of actors and `redis/leases.rs` of store do,
//! and what a crash of a process leaves behind.

use thicket_protocol::lease::{LeaseState, acquire};
use thicket_protocol::progress::Progress;

use crate::event::Action;
use crate::setting::Setting;
use crate::shard::close;
use crate::world::{Node, World};

/// Adds the events that concern the ownership of a partition.
pub fn actions(world: &World, partition: usize, possible: &mut Vec<Action>) {
    let lease = world.logs[partition].lease;
    if lease.is_some() {
        possible.push(Action::Expire { partition });
    }
    for (node, process) in world.nodes.iter().enumerate() {
        let shard = &process.shards[partition];
        if shard.claiming {
            possible.extend([true, false].map(|answered| Action::Claim { node, partition, answered }));
            continue;
        }
        let changes_anything = match acquire(lease.as_ref(), &node) {
            LeaseState::Acquired => true,
            LeaseState::Renewed => shard.progress.is_none(),
            LeaseState::HeldByOther => shard.progress.is_some(),
        };
        if changes_anything {
            possible.push(Action::Acquire { node, partition });
        }
    }
}

/// Takes or renews the lease. If another node holds it, this node gives the partition up.
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

/// Raises the epoch and begins at the committed position. The lease may have expired by then.
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
    // One read is in flight at a time. A read from before the claim still waits for its reply.
    if shard.read_request.is_none() && shard.scored.is_none() {
        shard.read_request = Some((table.epoch, table.position));
    }
}

/// Crashes a process and starts another in its place. A late append of the first may still arrive.
pub fn crash(world: &mut World, node: usize, setting: &Setting) {
    // If Redis loses nothing, it knows the newest generation itself.
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

//! Which events are possible in a world, and which world each leads to.

use crate::event::Action;
use crate::setting::{Faults, Setting};
use crate::world::{NODES, World};
use crate::{ingress, ownership, shard};

/// Adds every event that is possible in `world` to `possible`.
pub fn actions(world: &World, setting: &Setting, possible: &mut Vec<Action>) {
    ingress::actions(world, setting, possible);
    for partition in 0..world.logs.len() {
        ownership::actions(world, partition, possible);
        for node in 0..NODES {
            shard::actions(world, node, partition, setting, possible);
        }
    }
    possible.extend((0..NODES).filter(|&node| has_state(world, node)).map(|node| Action::Crash { node }));
    let mut faults_left = world.faults_left;
    possible.retain(|action| {
        let total = faults_left.total;
        action.price(&mut faults_left).is_none_or(|budget| *budget > 0 && total > 0)
    });
}

/// Whether a process has anything to lose. A crash of a process without state changes nothing.
fn has_state(world: &World, node: usize) -> bool {
    let process = &world.nodes[node];
    let owns_or_claims = process.shards.iter().any(|shard| shard.progress.is_some() || shard.claiming);
    owns_or_claims || process.producer.is_some() || process.pending.is_some()
}

/// Returns the world after an event.
#[must_use]
pub fn apply(world: &World, action: Action, setting: &Setting) -> World {
    let mut after = world.clone();
    if let Some(budget) = action.price(&mut after.faults_left) {
        *budget -= 1;
        after.faults_left.total -= 1;
        if after.faults_left.total == 0 {
            // The remaining budgets of the kinds have no effect now. Clear them, so that states
            // that differ only by them become one.
            after.faults_left = Faults::default();
        }
    }
    let world = &mut after;
    match action {
        Action::Connect { node } => ingress::connect(world, node),
        Action::Disconnect => ingress::disconnect(world),
        Action::Deliver { node } => ingress::deliver(world, node, setting),
        Action::Open { node, answered } => ingress::open(world, node, answered, setting),
        Action::Append { node, delivery } => ingress::append(world, node, delivery, setting),
        Action::ArriveLate { partition } => ingress::arrive_late(world, partition, setting),
        Action::Acknowledge { node } => ingress::acknowledge(world, node),
        Action::RestartWriter { node } => ingress::restart(world, node),
        Action::Lose { partition, writes } => ingress::lose(world, partition, writes),
        Action::Crash { node } => ownership::crash(world, node, setting),
        Action::Expire { partition } => world.logs[partition].lease = None,
        Action::Acquire { node, partition } => ownership::acquire_lease(world, node, partition),
        Action::Claim { node, partition, answered } => ownership::claim(world, node, partition, answered),
        Action::ReadAgain { node, partition } => shard::read(world, node, partition),
        Action::Score { node, partition, all } => shard::score(world, node, partition, all, setting),
        Action::AdvanceRead { node, partition } => shard::advance_read(world, node, partition, setting),
        Action::Commit { node, partition, answered } => {
            shard::commit(world, node, partition, answered, setting);
        }
        Action::Refuse { node, partition } => shard::refuse(world, node, partition),
        Action::Save { node, partition } => shard::save(world, node, partition),
        Action::Evict { node, partition } => shard::evict(world, node, partition),
        Action::Trim { node, partition } => shard::trim(world, node, partition, setting),
    }
    after
}

//! The events: which are possible in a world, and what each leads to.

use std::fmt;

use crate::setting::{Faults, Setting};
use crate::world::{NODES, World};
use crate::{ingress, ownership, shard};

/// What becomes of a request and its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Both arrive.
    Answered,
    /// The request arrives, the reply does not.
    Unanswered,
    /// The request is given up for lost, and arrives later.
    Late,
}

/// An event at a node, of a partition, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each says what it is when it is printed")]
pub enum Action {
    Connect { node: usize },
    Disconnect,
    Deliver { node: usize },
    Open { node: usize, answered: bool },
    Append { node: usize, fate: Fate },
    ArriveLate { partition: usize },
    Acknowledge { node: usize },
    RestartWriter { node: usize },
    Crash { node: usize },
    Expire { partition: usize },
    Acquire { node: usize, partition: usize },
    Claim { node: usize, partition: usize, answered: bool },
    AskAgain { node: usize, partition: usize },
    Answer { node: usize, partition: usize, all: bool },
    TakeUp { node: usize, partition: usize },
    Commit { node: usize, partition: usize, answered: bool },
    Refuse { node: usize, partition: usize },
    Save { node: usize, partition: usize },
    Retire { node: usize, partition: usize },
    Trim { node: usize, partition: usize },
    Lose { partition: usize, writes: usize },
}

impl Action {
    /// Whether something goes wrong. Everything else happens sooner or later.
    pub fn is_fault(&self) -> bool {
        match self {
            Self::Open { answered, .. } | Self::Claim { answered, .. } | Self::Commit { answered, .. } => {
                !answered
            }
            Self::Append { fate, .. } => *fate != Fate::Answered,
            Self::Disconnect
            | Self::ArriveLate { .. }
            | Self::RestartWriter { .. }
            | Self::Crash { .. }
            | Self::Expire { .. }
            | Self::Refuse { .. }
            | Self::Retire { .. }
            | Self::Lose { .. } => true,
            _ => false,
        }
    }

    /// What it takes from what may still go wrong. An append that is late was paid for when it was sent.
    fn price<'a>(&self, left: &'a mut Faults) -> Option<&'a mut u8> {
        match self {
            _ if !self.is_fault() => None,
            Self::Open { .. } => Some(&mut left.lost_opens),
            Self::Claim { .. } => Some(&mut left.lost_claims),
            Self::Commit { .. } => Some(&mut left.lost_commits),
            Self::Append { fate: Fate::Late, .. } => Some(&mut left.late_appends),
            Self::Append { .. } => Some(&mut left.lost_appends),
            Self::Disconnect => Some(&mut left.disconnects),
            Self::RestartWriter { .. } => Some(&mut left.restarts),
            Self::Crash { .. } => Some(&mut left.crashes),
            Self::Expire { .. } => Some(&mut left.expiries),
            Self::Refuse { .. } => Some(&mut left.refusals),
            Self::Retire { .. } => Some(&mut left.retirements),
            Self::Lose { .. } => Some(&mut left.losses),
            _ => None,
        }
    }
}

/// Everything that can happen next.
pub fn actions(world: &World, setting: &Setting, possible: &mut Vec<Action>) {
    ingress::actions(world, setting, possible);
    for partition in 0..world.logs.len() {
        ownership::actions(world, partition, possible);
        for node in 0..NODES {
            shard::actions(world, node, partition, setting, possible);
        }
    }
    possible.extend((0..NODES).filter(|&node| has_lived(world, node)).map(|node| Action::Crash { node }));
    let mut left = world.left;
    possible.retain(|action| {
        let in_all = left.in_all;
        action.price(&mut left).is_none_or(|left| *left > 0 && in_all > 0)
    });
}

/// To crash a process that has done nothing changes nothing.
fn has_lived(world: &World, node: usize) -> bool {
    let it = &world.nodes[node];
    let at_work = it.shards.iter().any(|shard| shard.progress.is_some() || shard.claiming);
    at_work || it.producer.is_some() || it.pending.is_some()
}

/// The world after an event.
#[must_use]
pub fn apply(world: &World, action: Action, setting: &Setting) -> World {
    let mut after = world.clone();
    if let Some(left) = action.price(&mut after.left) {
        *left -= 1;
        after.left.in_all -= 1;
        if after.left.in_all == 0 {
            // Which faults there were makes no difference any more.
            after.left = Faults::default();
        }
    }
    let world = &mut after;
    match action {
        Action::Connect { node } => ingress::connect(world, node),
        Action::Disconnect => ingress::disconnect(world),
        Action::Deliver { node } => ingress::deliver(world, node, setting),
        Action::Open { node, answered } => ingress::open(world, node, answered, setting),
        Action::Append { node, fate } => ingress::append(world, node, fate, setting),
        Action::ArriveLate { partition } => ingress::arrive_late(world, partition, setting),
        Action::Acknowledge { node } => ingress::acknowledge(world, node),
        Action::RestartWriter { node } => ingress::restart(world, node),
        Action::Lose { partition, writes } => ingress::lose(world, partition, writes),
        Action::Crash { node } => ownership::crash(world, node, setting),
        Action::Expire { partition } => world.logs[partition].lease = None,
        Action::Acquire { node, partition } => ownership::acquire_lease(world, node, partition),
        Action::Claim { node, partition, answered } => ownership::claim(world, node, partition, answered),
        Action::AskAgain { node, partition } => shard::ask(world, node, partition),
        Action::Answer { node, partition, all } => shard::score(world, node, partition, all, setting),
        Action::TakeUp { node, partition } => shard::advance_read(world, node, partition, setting),
        Action::Commit { node, partition, answered } => {
            shard::commit(world, node, partition, answered, setting);
        }
        Action::Refuse { node, partition } => shard::refuse(world, node, partition),
        Action::Save { node, partition } => shard::save(world, node, partition),
        Action::Retire { node, partition } => shard::retire(world, node, partition),
        Action::Trim { node, partition } => shard::trim(world, node, partition, setting),
    }
    after
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = |answered: bool| if answered { "" } else { "; the reply is lost" };
        let how_much = |all: bool| if all { "all of it" } else { "one entry" };
        match *self {
            Self::Connect { node } => write!(f, "node {node} connects to the broker"),
            Self::Disconnect => write!(f, "the connection to the broker breaks"),
            Self::Deliver { node } => write!(f, "the broker delivers a message to node {node}"),
            Self::Open { node, answered } => {
                write!(f, "node {node} takes over the log's writing end{}", lost(answered))
            }
            Self::Append { node, fate } => {
                let fate = match fate {
                    Fate::Answered => "",
                    Fate::Unanswered => "; the reply is lost",
                    Fate::Late => "; nothing is heard of it",
                };
                write!(f, "node {node} appends its message{fate}")
            }
            Self::ArriveLate { partition } => {
                write!(f, "an append that was given up for lost reaches log {partition}")
            }
            Self::Acknowledge { node } => write!(f, "node {node} acknowledges its message"),
            Self::RestartWriter { node } => {
                write!(f, "the queue writer of node {node} panics and starts anew")
            }
            Self::Crash { node } => write!(f, "node {node} dies; another process takes its place"),
            Self::Expire { partition } => write!(f, "the lease of partition {partition} runs out"),
            Self::Acquire { node, partition } => {
                write!(f, "node {node} asks for the lease of partition {partition}")
            }
            Self::Claim { node, partition, answered } => {
                let lost = lost(answered);
                write!(f, "node {node} claims partition {partition} under a new epoch{lost}")
            }
            Self::AskAgain { node, partition } => {
                write!(f, "node {node} asks log {partition} anew, from where it stands now")
            }
            Self::Answer { node, partition, all } => {
                write!(
                    f,
                    "log {partition} answers node {node}, which scores what it reads: {}",
                    how_much(all)
                )
            }
            Self::TakeUp { node, partition } => {
                write!(f, "node {node} sends partition {partition}'s outcomes to its writer")
            }
            Self::Commit { node, partition, answered } => {
                write!(f, "node {node} commits to partition {partition}{}", lost(answered))
            }
            Self::Refuse { node, partition } => {
                write!(f, "node {node}'s writer hands back what it has of partition {partition}")
            }
            Self::Save { node, partition } => {
                write!(f, "node {node} writes partition {partition}'s checkpoint")
            }
            Self::Retire { node, partition } => {
                write!(f, "node {node} retires partition {partition}'s detector")
            }
            Self::Trim { node, partition } => write!(f, "node {node} trims log {partition}"),
            Self::Lose { partition, writes } => {
                write!(f, "redis forgets the latest {writes} writes to log {partition}")
            }
        }
    }
}

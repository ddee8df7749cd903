//! The events that can happen in a world, and what each costs of the fault budget.

use std::fmt;

use crate::setting::Faults;

/// What becomes of a request and its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// Both arrive.
    Answered,
    /// The request arrives, the reply is lost.
    Unanswered,
    /// The sender gives the request up as lost, and the request arrives later.
    Late,
}

/// An event at a node, of a partition, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the Display text of each variant describes it")]
pub enum Action {
    Connect { node: usize },
    Disconnect,
    Deliver { node: usize },
    Open { node: usize, answered: bool },
    Append { node: usize, delivery: Delivery },
    ArriveLate { partition: usize },
    Acknowledge { node: usize },
    RestartWriter { node: usize },
    Crash { node: usize },
    Expire { partition: usize },
    Acquire { node: usize, partition: usize },
    Claim { node: usize, partition: usize, answered: bool },
    ReadAgain { node: usize, partition: usize },
    Score { node: usize, partition: usize, all: bool },
    AdvanceRead { node: usize, partition: usize },
    Commit { node: usize, partition: usize, answered: bool },
    Refuse { node: usize, partition: usize },
    Save { node: usize, partition: usize },
    Evict { node: usize, partition: usize },
    Trim { node: usize, partition: usize },
    Lose { partition: usize, writes: usize },
}

impl Action {
    /// Whether the event is a fault. Every other event happens sooner or later.
    pub fn is_fault(&self) -> bool {
        match self {
            Self::Open { answered, .. } | Self::Claim { answered, .. } | Self::Commit { answered, .. } => {
                !answered
            }
            Self::Append { delivery, .. } => *delivery != Delivery::Answered,
            Self::Disconnect
            | Self::ArriveLate { .. }
            | Self::RestartWriter { .. }
            | Self::Crash { .. }
            | Self::Expire { .. }
            | Self::Refuse { .. }
            | Self::Evict { .. }
            | Self::Lose { .. } => true,
            _ => false,
        }
    }

    /// Returns the budget that the event takes one from, or `None` if the event is free. The
    /// arrival of a late append is free: the append paid when it was sent.
    pub fn price<'a>(&self, faults_left: &'a mut Faults) -> Option<&'a mut u8> {
        match self {
            _ if !self.is_fault() => None,
            Self::Open { .. } => Some(&mut faults_left.lost_opens),
            Self::Claim { .. } => Some(&mut faults_left.lost_claims),
            Self::Commit { .. } => Some(&mut faults_left.lost_commits),
            Self::Append { delivery: Delivery::Late, .. } => Some(&mut faults_left.late_appends),
            Self::Append { .. } => Some(&mut faults_left.lost_appends),
            Self::Disconnect => Some(&mut faults_left.disconnects),
            Self::RestartWriter { .. } => Some(&mut faults_left.restarts),
            Self::Crash { .. } => Some(&mut faults_left.crashes),
            Self::Expire { .. } => Some(&mut faults_left.expiries),
            Self::Refuse { .. } => Some(&mut faults_left.refusals),
            Self::Evict { .. } => Some(&mut faults_left.evictions),
            Self::Lose { .. } => Some(&mut faults_left.losses),
            _ => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reply = |answered: bool| if answered { "" } else { "; the reply is lost" };
        match *self {
            Self::Connect { node } => write!(f, "node {node} connects to the broker"),
            Self::Disconnect => write!(f, "the connection to the broker breaks"),
            Self::Deliver { node } => write!(f, "the broker delivers a message to node {node}"),
            Self::Open { node, answered } => {
                write!(f, "node {node} opens a new generation of the log{}", reply(answered))
            }
            Self::Append { node, delivery } => {
                let outcome = match delivery {
                    Delivery::Answered => "",
                    Delivery::Unanswered => "; the reply is lost",
                    Delivery::Late => "; the request is delayed, and given up as lost",
                };
                write!(f, "node {node} appends its message{outcome}")
            }
            Self::ArriveLate { partition } => {
                write!(f, "an append that was given up as lost arrives at log {partition}")
            }
            Self::Acknowledge { node } => write!(f, "node {node} acknowledges its message"),
            Self::RestartWriter { node } => {
                write!(f, "the queue writer of node {node} panics and restarts")
            }
            Self::Crash { node } => write!(f, "node {node} crashes; another process takes its place"),
            Self::Expire { partition } => write!(f, "the lease of partition {partition} expires"),
            Self::Acquire { node, partition } => {
                write!(f, "node {node} asks for the lease of partition {partition}")
            }
            Self::Claim { node, partition, answered } => {
                let outcome = reply(answered);
                write!(f, "node {node} claims partition {partition} under a new epoch{outcome}")
            }
            Self::ReadAgain { node, partition } => {
                write!(f, "node {node} reads log {partition} again, from its current position")
            }
            Self::Score { node, partition, all } => {
                let entries = if all { "all entries" } else { "one entry" };
                write!(f, "node {node} receives and scores {entries} of log {partition}")
            }
            Self::AdvanceRead { node, partition } => {
                write!(f, "node {node} sends a batch of partition {partition} to its database writer")
            }
            Self::Commit { node, partition, answered } => {
                write!(f, "node {node} commits to partition {partition}{}", reply(answered))
            }
            Self::Refuse { node, partition } => {
                write!(f, "node {node}'s database writer returns its batches of partition {partition}")
            }
            Self::Save { node, partition } => {
                write!(f, "node {node} saves the checkpoint of partition {partition}")
            }
            Self::Evict { node, partition } => {
                write!(f, "node {node} evicts the detector of partition {partition}")
            }
            Self::Trim { node, partition } => write!(f, "node {node} trims log {partition}"),
            Self::Lose { partition, writes } => {
                write!(f, "redis forgets the latest {writes} writes to log {partition}")
            }
        }
    }
}

//! From the broker into the log: what `source/` and `queue/` of actors do, and the scripts
//! `open.lua` and `append.lua` of store. Each message is flushed by itself.

use thicket_protocol::log::{self, Appended, Writer};
use thicket_schema::Position;

use crate::event::{Action, Delivery};
use crate::ownership::crash;
use crate::setting::{Rule, Setting};
use crate::world::{Appender, Entry, LateAppend, NODES, Pending, Stored, World};

/// The log of the model is never full. A full log only delays appends, and the test of the script
/// covers it.
const NO_BOUND: u64 = u64::MAX;
/// Maximum number of writes that Redis forgets at once.
const MOST_FORGOTTEN: usize = 3;

/// Adds the events between broker and log.
pub fn actions(world: &World, setting: &Setting, possible: &mut Vec<Action>) {
    let broker = &world.broker;
    // If Redis forgets an entry and the process that wrote it is gone, nobody can notice the loss.
    // Worlds in which the writer stays therefore keep the subscription at node 0.
    let may_connect = if setting.writer_stays { 1 } else { NODES };
    match broker.connected {
        None => possible.extend((0..may_connect).map(|node| Action::Connect { node })),
        Some(node) => {
            possible.push(Action::Disconnect);
            if world.nodes[node].pending.is_none() && broker.delivered < setting.readings {
                possible.push(Action::Deliver { node });
            }
        }
    }
    for (node, process) in world.nodes.iter().enumerate() {
        if process.producer.is_some() {
            possible.push(Action::RestartWriter { node });
        }
        let Some(pending) = process.pending else { continue };
        let partition = world.partition_of(pending.reading);
        if pending.appended {
            possible.push(Action::Acknowledge { node });
        } else if process.appenders[partition].is_some() {
            possible.push(Action::Append { node, delivery: Delivery::Answered });
            possible.push(Action::Append { node, delivery: Delivery::Unanswered });
            if world.logs[partition].late_append.is_none() {
                possible.push(Action::Append { node, delivery: Delivery::Late });
            }
        } else {
            possible.extend([true, false].map(|answered| Action::Open { node, answered }));
        }
    }
    for (partition, log) in world.logs.iter().enumerate() {
        if log.late_append.is_some() {
            possible.push(Action::ArriveLate { partition });
        }
        possible.extend((1..=log.before.len()).map(|writes| Action::Lose { partition, writes }));
    }
}

/// Connects a node. The broker delivers again from the first message that is not acknowledged.
pub fn connect(world: &mut World, node: usize) {
    world.broker.connected = Some(node);
    world.broker.delivered = world.broker.acknowledged;
}

/// Breaks the connection. A pending message cannot be acknowledged any more.
pub fn disconnect(world: &mut World) {
    if let Some(node) = world.broker.connected.take()
        && let Some(pending) = &mut world.nodes[node].pending
    {
        pending.stale = true;
    }
}

/// Delivers the next message.
pub fn deliver(world: &mut World, node: usize, setting: &Setting) {
    world.broker.delivered += 1;
    let reading = world.broker.delivered;
    world.nodes[node].pending = Some(Pending { reading, stale: false, appended: false, placed: 0 });
    if !setting.keeps(Rule::AcknowledgeAfterAppend) {
        world.broker.acknowledged = reading;
    }
}

/// Opens a new generation of the log that the pending message belongs to.
pub fn open(world: &mut World, node: usize, answered: bool, setting: &Setting) {
    let Some(pending) = world.nodes[node].pending else { return };
    let partition = world.partition_of(pending.reading);
    open_after(world, node, partition, Position::default(), answered, setting);
}

fn open_after(
    world: &mut World,
    node: usize,
    partition: usize,
    acknowledged: Position,
    answered: bool,
    setting: &Setting,
) {
    if setting.is_lossy() {
        // If Redis may forget, only the clock keeps generations apart. Otherwise the clock may
        // stand still.
        world.clock += 1;
    }
    let producer = *world.nodes[node].producer.get_or_insert_with(|| {
        world.producers += 1;
        world.producers
    });
    let earliest = log::earliest_generation(world.clock, world.nodes[node].newest_generation, acknowledged);
    keep_undo(world, partition);
    let stored = &mut world.logs[partition].stored;
    let before = stored.writer.map(|writer| writer.generation);
    let generation = log::open(before, stored.last, earliest);
    stored.writer = Some(Writer { producer, sequence: 0, generation });
    let predecessor = log::predecessor(stored.last, acknowledged);
    if answered {
        world.nodes[node].appenders[partition] = Some(Appender { generation, sequence: 0, predecessor });
    }
}

/// Tries to append the pending message.
pub fn append(world: &mut World, node: usize, delivery: Delivery, setting: &Setting) {
    let process = &world.nodes[node];
    let (Some(pending), Some(producer)) = (process.pending, process.producer) else { return };
    let partition = world.partition_of(pending.reading);
    let Some(appender) = process.appenders[partition] else { return };
    let stored = world.logs[partition].stored.writer.map_or(0, |writer| writer.sequence);
    let last = if setting.keeps(Rule::AppendOnce) { appender.sequence } else { stored };
    let sequence = last + 1;
    let Appender { generation, predecessor, .. } = appender;
    let request = LateAppend { producer, sequence, generation, reading: pending.reading, predecessor };
    if delivery == Delivery::Late {
        world.logs[partition].late_append = Some(request);
        return;
    }
    let appended = execute(world, partition, request, setting);
    if delivery == Delivery::Unanswered {
        return;
    }
    match appended {
        Appended::Now | Appended::Before => {
            let predecessor = Position { generation, n: sequence };
            let process = &mut world.nodes[node];
            process.appenders[partition] = Some(Appender { generation, sequence, predecessor });
            if let Some(pending) = &mut process.pending {
                pending.appended = true;
            }
        }
        Appended::Full => {}
        Appended::Fenced => crash(world, node, setting),
        Appended::Lost => {
            world.nodes[node].appenders[partition] = None;
            open_after(world, node, partition, predecessor, true, setting);
        }
    }
}

/// Executes the append that its sender had given up as lost.
pub fn arrive_late(world: &mut World, partition: usize, setting: &Setting) {
    if let Some(request) = world.logs[partition].late_append.take() {
        execute(world, partition, request, setting);
    }
}

/// Does what `append.lua` does.
fn execute(world: &mut World, partition: usize, request: LateAppend, setting: &Setting) -> Appended {
    let LateAppend { producer, sequence, generation, reading, predecessor } = request;
    let stored = &world.logs[partition].stored;
    let length = stored.entries.len() as u64;
    let current = stored.writer.map_or(generation, |writer| writer.generation);
    let named = if setting.keeps(Rule::AppendsNameTheirGeneration) { generation } else { current };
    let entry = Writer { producer, sequence, generation: named };
    let appended = log::append(stored.writer.as_ref(), length, NO_BOUND, &entry);
    if appended != Appended::Now {
        return appended;
    }
    keep_undo(world, partition);
    let log = &mut world.logs[partition];
    let Some(writer) = &mut log.stored.writer else { return Appended::Lost };
    writer.sequence = sequence;
    let at = Position { generation: writer.generation, n: sequence };
    log.stored.entries.push(Entry { at, reading, predecessor });
    log.stored.last = at;
    if !log.ever.contains(&(reading, at)) {
        log.ever.push((reading, at));
    }
    for process in &mut world.nodes {
        if let Some(pending) = &mut process.pending
            && process.producer == Some(producer)
            && pending.reading == reading
            && process.appenders[partition].is_some_and(|appender| appender.generation == generation)
        {
            pending.placed += 1;
            if pending.placed > 1 && !setting.is_lossy() {
                world.wrong = Some("one delivery is in the log twice");
            }
        }
    }
    appended
}

/// Keeps the state of a log before a write, if Redis may still lose writes.
fn keep_undo(world: &mut World, partition: usize) {
    let log = &mut world.logs[partition];
    if world.faults_left.losses > 0 && world.faults_left.total > 0 {
        log.before.insert(0, log.stored.clone());
        log.before.truncate(MOST_FORGOTTEN);
    } else {
        log.before.clear();
    }
}

/// Takes a log back to its state before the latest `writes` writes.
pub fn lose(world: &mut World, partition: usize, writes: usize) {
    let log = &mut world.logs[partition];
    let before: Stored = log.before.swap_remove(writes - 1);
    log.stored = before;
    for log in &mut world.logs {
        log.before.clear();
    }
}

/// Acknowledges the pending message, unless its connection is gone.
pub fn acknowledge(world: &mut World, node: usize) {
    if let Some(pending) = world.nodes[node].pending.take()
        && !pending.stale
    {
        world.broker.acknowledged = world.broker.acknowledged.max(pending.reading);
    }
}

/// Restarts the queue writer. It keeps only the name of its process. The node disconnects, so that
/// the broker delivers again.
pub fn restart(world: &mut World, node: usize) {
    if world.broker.connected == Some(node) {
        world.broker.connected = None;
    }
    let process = &mut world.nodes[node];
    process.pending = None;
    process.appenders.fill(None);
}

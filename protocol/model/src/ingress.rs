//! From the broker into the log: what `source/ingress.rs`, `queue/writer.rs` and the two scripts of `queue/` do. Messages are flushed one by one.

use thicket_protocol::log::{self, Appended, Writer};
use thicket_schema::Position;

use crate::action::{Action, Fate};
use crate::ownership::crash;
use crate::setting::{Rule, Setting};
use crate::world::{Appender, Entry, LateAppend, NODES, Pending, Stored, World};

/// The log is never full: that is a matter of patience, and the script's test covers it.
const NO_BOUND: u64 = u64::MAX;
/// Writes that Redis may forget at once.
const MOST_FORGOTTEN: usize = 3;

/// What can happen between broker and log.
pub fn actions(world: &World, setting: &Setting, possible: &mut Vec<Action>) {
    let broker = &world.broker;
    // What is lost together with the only one who knew of it cannot be noticed: there the subscription stays where it is.
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
    for (node, it) in world.nodes.iter().enumerate() {
        if it.producer.is_some() {
            possible.push(Action::RestartWriter { node });
        }
        let Some(pending) = it.pending else { continue };
        let partition = world.partition_of(pending.reading);
        if pending.appended {
            possible.push(Action::Acknowledge { node });
        } else if it.appenders[partition].is_some() {
            possible.push(Action::Append { node, fate: Fate::Answered });
            possible.push(Action::Append { node, fate: Fate::Unanswered });
            if world.logs[partition].late.is_none() {
                possible.push(Action::Append { node, fate: Fate::Late });
            }
        } else {
            possible.extend([true, false].map(|answered| Action::Open { node, answered }));
        }
    }
    for (partition, log) in world.logs.iter().enumerate() {
        if log.late.is_some() {
            possible.push(Action::ArriveLate { partition });
        }
        possible.extend((1..=log.before.len()).map(|writes| Action::Lose { partition, writes }));
    }
}

/// The broker begins again after what was acknowledged.
pub fn connect(world: &mut World, node: usize) {
    world.broker.connected = Some(node);
    world.broker.delivered = world.broker.acknowledged;
}

/// What is on its way will not be acknowledged any more.
pub fn disconnect(world: &mut World) {
    if let Some(node) = world.broker.connected.take()
        && let Some(pending) = &mut world.nodes[node].pending
    {
        pending.stale = true;
    }
}

/// The next message.
pub fn deliver(world: &mut World, node: usize, setting: &Setting) {
    world.broker.delivered += 1;
    let reading = world.broker.delivered;
    world.nodes[node].pending = Some(Pending { reading, stale: false, appended: false, placed: 0 });
    if !setting.keeps(Rule::AcknowledgeAfterAppend) {
        world.broker.acknowledged = reading;
    }
}

/// Takes over the writing end of the log that the pending message belongs to.
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
        // Where Redis forgets, only the clock keeps generations apart; where it does not, the clock may stand still.
        world.clock += 1;
    }
    let producer = *world.nodes[node].producer.get_or_insert_with(|| {
        world.nonces += 1;
        world.nonces
    });
    let earliest = log::earliest_generation(world.clock, world.nodes[node].newest_generation, acknowledged);
    remember(world, partition);
    let stored = &mut world.logs[partition].stored;
    let before = stored.writer.map(|writer| writer.generation);
    let generation = log::open(before, stored.last, earliest);
    stored.writer = Some(Writer { producer, sequence: 0, generation });
    let predecessor = log::predecessor(stored.last, acknowledged);
    if answered {
        world.nodes[node].appenders[partition] = Some(Appender { generation, n: 0, predecessor });
    }
}

/// Tries to append the pending message.
pub fn append(world: &mut World, node: usize, fate: Fate, setting: &Setting) {
    let it = &world.nodes[node];
    let (Some(pending), Some(producer)) = (it.pending, it.producer) else { return };
    let partition = world.partition_of(pending.reading);
    let Some(appender) = it.appenders[partition] else { return };
    let stored_n = world.logs[partition].stored.writer.map_or(0, |writer| writer.sequence);
    let n = if setting.keeps(Rule::AppendOnce) { appender.n + 1 } else { stored_n + 1 };
    let Appender { generation, predecessor, .. } = appender;
    let request = LateAppend { producer, n, generation, reading: pending.reading, predecessor };
    if fate == Fate::Late {
        world.logs[partition].late = Some(request);
        return;
    }
    let appended = execute(world, partition, request, setting);
    if fate == Fate::Unanswered {
        return;
    }
    match appended {
        Appended::Now | Appended::Before => {
            let predecessor = Position { generation, n };
            let it = &mut world.nodes[node];
            it.appenders[partition] = Some(Appender { generation, n, predecessor });
            if let Some(pending) = &mut it.pending {
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

/// A request that was given up for lost.
pub fn arrive_late(world: &mut World, partition: usize, setting: &Setting) {
    if let Some(request) = world.logs[partition].late.take() {
        execute(world, partition, request, setting);
    }
}

/// What the script does.
fn execute(world: &mut World, partition: usize, request: LateAppend, setting: &Setting) -> Appended {
    let LateAppend { producer, n, generation, reading, predecessor } = request;
    let stored = &world.logs[partition].stored;
    let length = stored.entries.len() as u64;
    let of_now = stored.writer.map_or(generation, |writer| writer.generation);
    let named = if setting.keeps(Rule::AppendsNameTheirGeneration) { generation } else { of_now };
    let entry = Writer { producer, sequence: n, generation: named };
    let appended = log::append(stored.writer.as_ref(), length, NO_BOUND, &entry);
    if appended != Appended::Now {
        return appended;
    }
    remember(world, partition);
    let log = &mut world.logs[partition];
    let Some(writer) = &mut log.stored.writer else { return Appended::Lost };
    writer.sequence = n;
    let at = Position { generation: writer.generation, n };
    log.stored.entries.push(Entry { at, reading, predecessor });
    log.stored.last = at;
    if !log.ever.contains(&(reading, at)) {
        log.ever.push((reading, at));
    }
    for it in &mut world.nodes {
        if let Some(pending) = &mut it.pending
            && it.producer == Some(producer)
            && pending.reading == reading
            && it.appenders[partition].is_some_and(|appender| appender.generation == generation)
        {
            pending.placed += 1;
            if pending.placed > 1 && !setting.is_lossy() {
                world.wrong = Some("one delivery is in the log twice");
            }
        }
    }
    appended
}

/// Where Redis may lose writes, what was before each of them is kept.
fn remember(world: &mut World, partition: usize) {
    let log = &mut world.logs[partition];
    if world.left.losses > 0 && world.left.in_all > 0 {
        log.before.insert(0, log.stored.clone());
        log.before.truncate(MOST_FORGOTTEN);
    } else {
        log.before.clear();
    }
}

/// Redis is what it was so many writes ago.
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

/// The actor that writes the log forgets everything but its process's name, and has the broker deliver again.
pub fn restart(world: &mut World, node: usize) {
    if world.broker.connected == Some(node) {
        world.broker.connected = None;
    }
    let it = &mut world.nodes[node];
    it.pending = None;
    it.appenders.fill(None);
}

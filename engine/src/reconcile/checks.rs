//! The checks between the ledger and the stores. Pure.

use std::collections::BTreeMap;

use serde::Serialize;
use thicket_schema::postgres::Ledger;
use thicket_store::postgres::{PartitionLedger, SensorRows};
use thicket_store::redis::InFlight;

use super::redis::RedisState;
use super::snapshot::{Snapshot, complete_partitions};
use crate::backlog;
use crate::format::count;
use crate::losses::Loss;
use crate::time_arg;

/// The results of all checks.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Whether every check passes.
    pub(super) balances: bool,
    /// The time of PostgreSQL's snapshot.
    pub(super) at: String,
    /// The time of the oldest rows that were read; `None` if all rows were read.
    pub(super) since: Option<String>,
    pub(super) checks: Vec<Check>,
    /// Records that wait in the logs, by partition.
    pub(super) in_flight: BTreeMap<i32, InFlight>,
    /// Known losses. The ledger does not miss them: a lost record was never delivered from the log.
    pub(super) losses: Vec<Loss>,
}

/// The result of one check.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    /// What was compared.
    pub(super) compared: String,
    /// Every difference. Empty if the check passes.
    pub(super) differences: Vec<String>,
}

/// The rows of a partition.
#[derive(Clone, Copy, Debug, Default)]
struct PartitionRows {
    scored: i64,
    unscored: i64,
    poison: i64,
    late: i64,
}

/// Runs all checks.
pub(super) fn check(snapshot: &Snapshot, redis: &RedisState) -> Report {
    let mut stored: BTreeMap<i32, PartitionRows> = BTreeMap::new();
    for counts in snapshot.sensors.values() {
        let Some(partition) = counts.partition else { continue };
        let of_partition = stored.entry(partition).or_default();
        of_partition.scored += counts.scored;
        of_partition.unscored += counts.unscored;
        of_partition.poison += counts.poison;
        of_partition.late += counts.late;
    }
    let ledgers = &snapshot.ledgers;
    let mut checks = vec![deliveries(ledgers)];
    if snapshot.since.is_none() {
        let of = |partition: i32| stored.get(&partition).copied().unwrap_or_default();
        checks.push(rows("scored rows", ledgers, scored_stored, |p| of(p).scored));
        let unscored = |ledger: &Ledger| ledger.unscored - ledger.expired_unscored;
        checks.push(rows("unscored rows", ledgers, unscored, |p| of(p).unscored));
        checks.push(rows("late rows", ledgers, |l| l.late - l.expired_late, |p| of(p).late));
        checks.push(rows("poison rows", ledgers, |l| l.poison - l.expired_poison, |p| of(p).poison));
    }
    checks.push(dead_letters(snapshot));
    checks.push(kinds(snapshot));
    checks.push(sequences(snapshot));
    checks.push(references(snapshot));
    checks.push(ends(ledgers, redis));
    checks.push(ids(snapshot));
    checks.push(checkpoints(redis));
    Report {
        balances: checks.iter().all(|check| check.differences.is_empty()),
        at: time_arg::show(snapshot.at),
        since: snapshot.since.map(time_arg::show),
        checks,
        in_flight: redis.in_flight.clone(),
        losses: snapshot.losses.clone(),
    }
}

/// Scored rows that `readings` must have now.
const fn scored_stored(ledger: &Ledger) -> i64 {
    let expired_without_score = ledger.expired_unscored + ledger.expired_poison + ledger.expired_late;
    ledger.scored - (ledger.expired - expired_without_score)
}

fn deliveries(ledgers: &[PartitionLedger]) -> Check {
    let differences = ledgers.iter().filter(|row| row.ledger.unaccounted() != 0).map(|row| {
        let (delivered, unaccounted) = (row.ledger.delivered, row.ledger.unaccounted());
        let accounted = delivered - unaccounted;
        format!("partition {:02}: {delivered} delivered, {accounted} accounted for", row.partition)
    });
    Check {
        name: "ledger",
        compared: format!(
            "{} delivered = scored + unscored + poison + late + duplicates + dead letters, in {}",
            ledgers.iter().map(|row| row.ledger.delivered).sum::<i64>(),
            count(ledgers.len() as u64, "partition")
        ),
        differences: differences.collect(),
    }
}

/// Compares the rows of one kind: `expected` by the ledger, and `stored` in a partition.
fn rows(
    name: &'static str,
    ledgers: &[PartitionLedger],
    expected: impl Fn(&Ledger) -> i64,
    stored: impl Fn(i32) -> i64,
) -> Check {
    let differences = ledgers.iter().filter_map(|PartitionLedger { partition, ledger, .. }| {
        let (stored, expected) = (stored(*partition), expected(ledger));
        (stored != expected)
            .then(|| format!("partition {partition:02}: {stored} stored, {expected} by the ledger"))
    });
    let differences = differences.collect();
    let total: i64 = ledgers.iter().map(|row| expected(&row.ledger)).sum();
    Check { name, compared: format!("{total} by the ledger"), differences }
}

fn dead_letters(snapshot: &Snapshot) -> Check {
    let differences = snapshot.ledgers.iter().filter_map(|PartitionLedger { partition, ledger, .. }| {
        let stored = snapshot.dead_letters.get(partition).copied().unwrap_or_default();
        (stored != ledger.dead_letters_stored()).then(|| {
            format!(
                "partition {partition:02}: {stored} stored, {} deleted and {} only counted, {} by the ledger",
                ledger.dead_letters_deleted, ledger.dead_letters_unstored, ledger.dead_letters
            )
        })
    });
    let total: Ledger = snapshot.ledgers.iter().map(|row| row.ledger).sum();
    Check {
        name: "dead letters",
        compared: format!(
            "{} by the ledger, of which {} were deleted and {} only counted",
            total.dead_letters, total.dead_letters_deleted, total.dead_letters_unstored
        ),
        differences: differences.collect(),
    }
}

/// Checks that the id of each sensor and field set is that of its name or names, so no other one
/// can have rows under it.
fn ids(snapshot: &Snapshot) -> Check {
    Check {
        name: "ids",
        compared: "each sensor and field set has the id of its name or names".to_owned(),
        differences: snapshot.misnamed.clone(),
    }
}

/// Checks the rows of each sensor.
fn each_sensor(
    name: &'static str,
    compared: String,
    snapshot: &Snapshot,
    difference_of: impl Fn(&SensorRows) -> Option<String>,
) -> Check {
    let differences = snapshot.sensors.values().filter_map(|counts| {
        let difference = difference_of(counts)?;
        let name = counts.name.clone().unwrap_or_else(|| format!("number {}", counts.sensor));
        Some(format!("sensor {name}: {difference}"))
    });
    Check { name, compared, differences: differences.collect() }
}

fn kinds(snapshot: &Snapshot) -> Check {
    let all: i64 = snapshot.sensors.values().map(SensorRows::all).sum();
    let compared = format!("{} either scored, or unscored, or poison, or late", count(all, "row"));
    each_sensor("kinds", compared, snapshot, |counts| {
        (counts.other > 0).then(|| format!("{} of no kind", count(counts.other, "row")))
    })
}

/// A sensor's seqs begin with 1, unless retention has dropped rows of its partition.
fn sequences(snapshot: &Snapshot) -> Check {
    let complete = complete_partitions(snapshot.since, &snapshot.ledgers);
    let begins_with_one =
        |counts: &SensorRows| counts.partition.is_some_and(|partition| complete.contains(&partition));
    let compared = format!("seq of {} without a gap", count(snapshot.sensors.len() as u64, "sensor"));
    each_sensor("sequences", compared, snapshot, |counts| {
        let first = counts.first?;
        if counts.breaks > 0 {
            let last = counts.last.unwrap_or(first);
            return Some(format!("gaps or repetitions between seq {first} and {last}: {}", counts.breaks));
        }
        (begins_with_one(counts) && first != 1)
            .then(|| format!("begins with seq {first}, and nothing has expired"))
    })
}

fn references(snapshot: &Snapshot) -> Check {
    let compared = "every row has its sensor, its fields, and, if it has a seq, its configuration".to_owned();
    each_sensor("references", compared, snapshot, |counts| {
        let lacks = [
            (if counts.name.is_none() { counts.all() } else { 0 }, "without a row in sensors"),
            (counts.no_field_set, "without a field set"),
            (counts.no_config, "without a configuration"),
        ];
        let words: Vec<String> = lacks
            .into_iter()
            .filter(|(lacking, _)| *lacking > 0)
            .map(|(lacking, what)| format!("{} {what}", count(lacking, "row")))
            .collect();
        (!words.is_empty()).then(|| words.join(", "))
    })
}

/// A log that ends before its committed position has lost its tail.
fn ends(ledgers: &[PartitionLedger], redis: &RedisState) -> Check {
    let differences = ledgers.iter().filter_map(|ledger| {
        let position = ledger.position;
        let end = redis.ends.get(&ledger.partition).copied().flatten();
        if position <= end.unwrap_or_default() {
            return None;
        }
        let end = end.map_or_else(|| "there is no log".to_owned(), |end| format!("the log ends at {end}"));
        Some(format!("partition {:02}: {position} is committed, but {end}", ledger.partition))
    });
    let uncommitted = redis.in_flight.values().fold(InFlight::ZERO, |sum, partition| sum.and(*partition));
    Check {
        name: "logs",
        compared: format!("no log ends before its position; in flight: {}", backlog::words(uncommitted)),
        differences: differences.collect(),
    }
}

fn checkpoints(redis: &RedisState) -> Check {
    let differences = redis.ahead.iter().map(|ahead| {
        let rows = ahead.rows.map_or_else(|| "there are none".to_owned(), |seq| format!("they end at {seq}"));
        format!("sensor {}: its checkpoint is of seq {}, of the rows {rows}", ahead.sensor, ahead.checkpoint)
    });
    Check {
        name: "checkpoints",
        compared: format!("{} not ahead of the rows", count(redis.checkpoints as u64, "checkpoint")),
        differences: differences.collect(),
    }
}

#[cfg(test)]
mod tests;

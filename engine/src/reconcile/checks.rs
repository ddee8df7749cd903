//! What must hold. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ledger::Ledger;
use super::redis::Later;
use super::rows::SensorRows;
use super::snapshot::Snapshot;
use crate::format::count;
use crate::in_flight::InFlight;
use crate::losses::Loss;
use crate::time_arg;

/// What was found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Whether every check holds.
    pub(super) balances: bool,
    /// The moment that PostgreSQL was seen at.
    pub(super) at: String,
    /// Where the rows that were read begin, if not at the first.
    pub(super) since: Option<String>,
    pub(super) checks: Vec<Check>,
    /// Records that wait in the logs, by partition.
    pub(super) in_flight: BTreeMap<i32, InFlight>,
    /// Known losses. They are nothing that the ledger could miss: what was lost was never delivered from the log.
    pub(super) losses: Vec<Loss>,
}

/// One thing that must hold.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    /// What was compared.
    pub(super) compared: String,
    /// Where it does not hold.
    pub(super) differences: Vec<String>,
}

/// The rows of a partition.
#[derive(Debug, Default)]
struct Sums {
    scored: i64,
    poison: i64,
    late: i64,
}

/// Compares everything.
pub(super) fn check(snapshot: &Snapshot, later: &Later) -> Report {
    let mut sums: BTreeMap<i32, Sums> = BTreeMap::new();
    for rows in snapshot.sensors.values() {
        let Some(partition) = rows.partition else { continue };
        let sums = sums.entry(partition).or_default();
        sums.scored += rows.scored;
        sums.poison += rows.poison;
        sums.late += rows.late;
    }
    let ledgers = &snapshot.ledgers;
    let mut checks = vec![deliveries(ledgers)];
    if snapshot.since.is_none() {
        let of = |partition: i32| sums.get(&partition);
        checks.push(rows(
            "scored rows",
            ledgers,
            |l| l.scored - l.expired_scored(),
            |p| of(p).map_or(0, |s| s.scored),
        ));
        checks.push(rows("late rows", ledgers, |l| l.late - l.expired_late, |p| of(p).map_or(0, |s| s.late)));
        checks.push(rows(
            "poison rows",
            ledgers,
            |l| l.poison - l.expired_poison,
            |p| of(p).map_or(0, |s| s.poison),
        ));
    }
    checks.push(letters(ledgers));
    checks.push(kinds(snapshot));
    checks.push(sequences(snapshot));
    checks.push(references(snapshot));
    checks.push(ends(ledgers, later));
    checks.push(checkpoints(later));
    Report {
        balances: checks.iter().all(|check| check.differences.is_empty()),
        at: time_arg::show(snapshot.at),
        since: snapshot.since.map(|since| time_arg::show(since.to_datetime())),
        checks,
        in_flight: later.in_flight.clone(),
        losses: snapshot.losses.clone(),
    }
}

fn deliveries(ledgers: &[Ledger]) -> Check {
    let fates = |l: &Ledger| l.scored + l.poison + l.late + l.duplicates + l.dead_letters;
    let differences = ledgers.iter().filter(|l| l.delivered != fates(l)).map(|l| {
        format!("partition {:02}: {} delivered, {} accounted for", l.partition, l.delivered, fates(l))
    });
    Check {
        name: "ledger",
        compared: format!(
            "{} delivered = scored + poison + late + duplicates + dead letters, in {}",
            ledgers.iter().map(|l| l.delivered).sum::<i64>(),
            count(ledgers.len() as u64, "partition")
        ),
        differences: differences.collect(),
    }
}

fn rows(
    name: &'static str,
    ledgers: &[Ledger],
    expected: impl Fn(&Ledger) -> i64,
    found: impl Fn(i32) -> i64,
) -> Check {
    let differences = ledgers.iter().filter(|l| found(l.partition) != expected(l)).map(|l| {
        format!("partition {:02}: {} stored, {} by the ledger", l.partition, found(l.partition), expected(l))
    });
    let total: i64 = ledgers.iter().map(&expected).sum();
    Check { name, compared: format!("{total} by the ledger"), differences: differences.collect() }
}

fn letters(ledgers: &[Ledger]) -> Check {
    let differences = ledgers.iter().filter(|l| l.letters + l.dropped_letters != l.dead_letters).map(|l| {
        format!(
            "partition {:02}: {} stored and {} dropped, {} by the ledger",
            l.partition, l.letters, l.dropped_letters, l.dead_letters
        )
    });
    let total: i64 = ledgers.iter().map(|l| l.dead_letters).sum();
    let dropped: i64 = ledgers.iter().map(|l| l.dropped_letters).sum();
    Check {
        name: "dead letters",
        compared: format!("{total} by the ledger, of which {dropped} were dropped"),
        differences: differences.collect(),
    }
}

/// A check on each sensor's rows.
fn sensors(
    name: &'static str,
    compared: String,
    snapshot: &Snapshot,
    difference: impl Fn(&SensorRows) -> Option<String>,
) -> Check {
    let differences = snapshot.sensors.values().filter_map(|rows| {
        let difference = difference(rows)?;
        let name = rows.name.clone().unwrap_or_else(|| format!("number {}", rows.sensor));
        Some(format!("sensor {name}: {difference}"))
    });
    Check { name, compared, differences: differences.collect() }
}

fn kinds(snapshot: &Snapshot) -> Check {
    let all: i64 = snapshot.sensors.values().map(SensorRows::all).sum();
    sensors("kinds", format!("{} either scored, or poison, or late", count(all, "row")), snapshot, |rows| {
        (rows.other > 0).then(|| format!("{} of no kind", count(rows.other, "row")))
    })
}

/// Where rows were dropped, nobody knows any more where a sensor's numbers began.
fn sequences(snapshot: &Snapshot) -> Check {
    let expired: BTreeMap<i32, i64> = snapshot.ledgers.iter().map(|l| (l.partition, l.expired)).collect();
    let from_one = |rows: &SensorRows| {
        let expired = rows.partition.and_then(|partition| expired.get(&partition));
        snapshot.since.is_none() && expired == Some(&0)
    };
    let compared = format!("seq of {} without a gap", count(snapshot.sensors.len() as u64, "sensor"));
    sensors("sequences", compared, snapshot, |rows| {
        let first = rows.first?;
        if rows.breaks > 0 {
            let last = rows.last.unwrap_or(first);
            return Some(format!("gaps or repetitions between seq {first} and {last}: {}", rows.breaks));
        }
        (from_one(rows) && first != 1).then(|| format!("begins with seq {first}, and nothing has expired"))
    })
}

fn references(snapshot: &Snapshot) -> Check {
    let compared = "every row has its sensor, its fields, and, if scored, its configuration".to_owned();
    sensors("references", compared, snapshot, |rows| {
        let lacks = [
            (if rows.name.is_none() { rows.all() } else { 0 }, "without a row in sensors"),
            (rows.no_field_set, "without a field set"),
            (rows.no_config, "without a configuration"),
        ];
        let words: Vec<String> = lacks
            .into_iter()
            .filter(|(rows, _)| *rows > 0)
            .map(|(rows, what)| format!("{} {what}", count(rows, "row")))
            .collect();
        (!words.is_empty()).then(|| words.join(", "))
    })
}

/// A log that ends before what was committed of it has lost its tail.
fn ends(ledgers: &[Ledger], later: &Later) -> Check {
    let differences = ledgers.iter().filter_map(|ledger| {
        let position = ledger.position();
        let end = later.ends.get(&ledger.partition).copied().flatten();
        if position <= end.unwrap_or_default() {
            return None;
        }
        let end = end.map_or_else(|| "there is no log".to_owned(), |end| format!("the log ends at {end}"));
        Some(format!("partition {:02}: {position} is committed, but {end}", ledger.partition))
    });
    let waiting = later.in_flight.values().fold(InFlight::NOTHING, |all, one| all.and(*one));
    Check {
        name: "logs",
        compared: format!("no log ends before its position; in flight: {}", waiting.words()),
        differences: differences.collect(),
    }
}

fn checkpoints(later: &Later) -> Check {
    let differences = later.ahead.iter().map(|ahead| {
        let rows = ahead.rows.map_or_else(|| "there are none".to_owned(), |seq| format!("they end at {seq}"));
        format!("sensor {}: its checkpoint is of seq {}, of the rows {rows}", ahead.sensor, ahead.checkpoint)
    });
    Check {
        name: "checkpoints",
        compared: format!("{} not ahead of the rows", count(later.checkpoints as u64, "checkpoint")),
        differences: differences.collect(),
    }
}

#[cfg(test)]
mod tests;

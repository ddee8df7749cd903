//! Turns score outcomes into a batch of rows, in the order of the log. Pure.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use thicket_schema::postgres::ReadingRow;
use thicket_schema::{Control, DeadLetter, Flag, Reading, Reason, Timestamp};
use thicket_store::postgres::{
    ClockUpdate, CommitBatch, LateReading, LoggedRow, SeenSensor, anomaly_row, scored_row,
};

use super::collect::{Content, LogRange, RecordSlot, SensorBatch};
use super::scoring::ScoredBatch;
use crate::messages::ScoreOutcome;
use crate::time_order::Place;

/// Creates the batch that commits a range of the log. `scored` has the outcomes of each batch in
/// `sensors`, in the same order.
pub(super) fn assemble(range: LogRange, sensors: &[SensorBatch], scored: &[ScoredBatch]) -> CommitBatch {
    let mut batch = CommitBatch::new(range.partition, range.epoch, range.from);
    batch.to = range.to;
    batch.applied_labels.extend(range.applied);
    (batch.reset, batch.forgotten) = (range.reset, range.forgotten);
    batch.losses = range.losses;
    let is_record = |slot: &&RecordSlot| !matches!(slot.content, Content::Control(_));
    batch.delivered = range.slots.iter().filter(is_record).count() as u64;
    let mut seen = BTreeSet::new();
    let (mut events, mut places_of_events) = (Vec::new(), BTreeMap::new());
    for slot in range.slots {
        batch.received.push(slot.received);
        let (sensor, index) = match &slot.content {
            Content::DeadLetter(dead_letter) => {
                batch.dead_letters.push(slot.dead_letter(dead_letter.clone()));
                continue;
            }
            Content::Control(Control::Detectors(json)) => {
                batch.detectors = Some(json.clone());
                continue;
            }
            // Its effect is in `range`.
            Content::Control(_) => continue,
            Content::Reading { sensor, index } => (*sensor, *index),
        };
        let ScoredBatch { outcomes, places, config, clock, .. } = &scored[sensor];
        let place = places[index];
        let reading = at_place(&sensors[sensor].readings[index], place);
        let reading = reading.as_ref();
        if let Some(state) = clock.state {
            let received = Timestamp(slot.received);
            let since = (clock.late_from == Some(index)).then_some(received);
            let behind_micros = slot.received.saturating_sub(reading.ts.0);
            let update = ClockUpdate { state, since, received, behind_micros };
            let earlier = batch.clocks.insert(reading.sensor.id(), update);
            if let Some(update) = batch.clocks.get_mut(&reading.sensor.id()) {
                update.since = update.since.or(earlier.and_then(|earlier| earlier.since));
            }
        }
        match &outcomes[index] {
            ScoreOutcome::Rejected { reason, detail } => {
                batch.dead_letters.push(slot.dead_letter(rejected(reading, *reason, detail)));
                continue;
            }
            ScoreOutcome::Duplicate => {
                batch.duplicates += 1;
                continue;
            }
            ScoreOutcome::Conflict => {
                batch.dead_letters.push(slot.dead_letter(conflict(reading)));
                continue;
            }
            ScoreOutcome::NotNewer => batch.late.push(LateReading {
                reading: reading.clone(),
                shifted: place.shifted,
                position: slot.position,
                received: slot.received,
                redelivered: slot.redelivered,
            }),
            ScoreOutcome::Poison => {
                batch.poison += 1;
                let row = ReadingRow::unscored(reading, Flag::Poison.bit());
                batch.rows.push(LoggedRow { position: slot.position, row: placed(row, place) });
            }
            ScoreOutcome::Scored(detection) => {
                batch.unscored += u64::from(detection.marks.unscored);
                batch.configs.entry(config.identity).or_insert_with(|| config.config.to_json());
                let row = scored_row(reading, detection, config.identity);
                batch.rows.push(LoggedRow { position: slot.position, row: placed(row, place) });
                if let Some(event) = &detection.event {
                    let id = reading.sensor.id();
                    let place = *places_of_events.entry((id, event.started)).or_insert(events.len());
                    if place == events.len() {
                        events.push((id, event));
                    } else {
                        events[place] = (id, event);
                    }
                }
            }
        }
        if seen.insert((reading.sensor.id(), reading.fields.id())) {
            let (sensor, fields) = (reading.sensor.clone(), reading.fields.clone());
            batch.sensors.push(SeenSensor { sensor, fields, first_seen: reading.ts });
        }
    }
    for (sensor, scored) in sensors.iter().zip(scored) {
        if sensor.partition != range.partition {
            continue;
        }
        batch.clock_changes.extend(&scored.clock.changes);
        if let Some(report) = &scored.fields {
            batch.fields.insert(sensor.sensor.id(), report.clone());
        }
    }
    // In the order of the log, also if the clock of a sensor goes back: notifications have this
    // order.
    batch.anomalies = events.into_iter().map(|(sensor, event)| anomaly_row(sensor, event)).collect();
    batch
}

/// Returns a reading at the time at which it is stored.
fn at_place(reading: &Reading, place: Place) -> Cow<'_, Reading> {
    if place.shifted {
        Cow::Owned(Reading { ts: place.ts, ..reading.clone() })
    } else {
        Cow::Borrowed(reading)
    }
}

/// Adds the place of a reading to its row.
fn placed(row: ReadingRow, place: Place) -> ReadingRow {
    let shifted = if place.shifted { Flag::Shifted.bit() } else { 0 };
    ReadingRow { flags: row.flags | shifted, era: place.era, ..row }
}

/// Returns the dead letter of a reading whose time another reading has.
fn conflict(reading: &Reading) -> DeadLetter {
    let detail = format!("{} has another reading at {}", reading.sensor, reading.ts);
    DeadLetter::of_reading(reading, Reason::TimestampConflict, &detail)
}

/// Returns the dead letter of a reading that its detector rejects.
fn rejected(reading: &Reading, reason: Reason, detail: &str) -> DeadLetter {
    let detail = format!("the detector of {} at {}: {detail}", reading.sensor, reading.ts);
    DeadLetter::of_reading(reading, reason, &detail)
}

#[cfg(test)]
mod tests;

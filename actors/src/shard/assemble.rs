//! Turns score outcomes into a batch of rows, in the order of the log. Pure.

use std::collections::{BTreeMap, BTreeSet};

use thicket_schema::postgres::ReadingRow;
use thicket_schema::{Control, DeadLetter, Flag, Reading, Reason};
use thicket_store::postgres::{CommitBatch, LateReading, LoggedRow, SeenSensor, anomaly_row, scored_row};

use super::collect::{Content, LogRange, RecordSlot, SensorBatch};
use super::scoring::ScoredBatch;
use crate::messages::ScoreOutcome;

/// Creates the batch that commits a range of the log. `scored` has the outcomes of each batch in
/// `sensors`, in the same order.
pub(super) fn assemble(range: LogRange, sensors: &[SensorBatch], scored: &[ScoredBatch]) -> CommitBatch {
    let mut batch = CommitBatch::new(range.partition, range.epoch, range.from);
    batch.to = range.to;
    batch.applied_labels.extend(range.applied);
    batch.losses = range.losses;
    let is_record = |slot: &&RecordSlot| !matches!(slot.content, Content::Control(_));
    batch.delivered = range.slots.iter().filter(is_record).count() as u64;
    let mut seen = BTreeSet::new();
    let mut events = BTreeMap::new();
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
            // A label. Its effect is in `range.applied`.
            Content::Control(_) => continue,
            Content::Reading { sensor, index } => (*sensor, *index),
        };
        let reading = &sensors[sensor].readings[index];
        let ScoredBatch { outcomes, config, .. } = &scored[sensor];
        match &outcomes[index] {
            ScoreOutcome::Rejected { reason, detail } => {
                batch.dead_letters.push(slot.dead_letter(rejected(reading, *reason, detail)));
                continue;
            }
            ScoreOutcome::NotNewer => batch.late.push(LateReading {
                reading: reading.clone(),
                position: slot.position,
                received: slot.received,
                redelivered: slot.redelivered,
            }),
            ScoreOutcome::Poison => {
                batch.poison += 1;
                let row = ReadingRow::unscored(reading, Flag::Poison.bit());
                batch.rows.push(LoggedRow { position: slot.position, row });
            }
            ScoreOutcome::Scored(detection) => {
                batch.unscored += u64::from(detection.marks.unscored);
                batch.configs.entry(config.identity).or_insert_with(|| config.config.to_json());
                let row = scored_row(reading, detection, config.identity);
                batch.rows.push(LoggedRow { position: slot.position, row });
                if let Some(event) = &detection.event {
                    events.insert((reading.sensor.id(), event.started), event.clone());
                }
            }
        }
        if seen.insert((reading.sensor.id(), reading.fields.id())) {
            let (sensor, fields) = (reading.sensor.clone(), reading.fields.clone());
            batch.sensors.push(SeenSensor { sensor, fields, first_seen: reading.ts });
        }
    }
    for (sensor, scored) in
        sensors.iter().zip(scored).filter(|(sensor, _)| sensor.partition == batch.partition)
    {
        if let Some(report) = &scored.fields {
            batch.fields.insert(sensor.sensor.id(), report.clone());
        }
    }
    batch.anomalies = events.iter().map(|((sensor, _), event)| anomaly_row(*sensor, event)).collect();
    batch
}

/// Returns the dead letter of a reading that its detector rejects.
fn rejected(reading: &Reading, reason: Reason, detail: &str) -> DeadLetter {
    let detail = format!("the detector of {} at {}: {detail}", reading.sensor, reading.ts);
    DeadLetter::of_reading(reading, reason, &detail)
}

#[cfg(test)]
mod tests;

//! QuarantineList in, a batch of rows out, in the order of the log. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use thicket_schema::{Control, DeadLetter, Reading, Reason, flags};

use super::work::{Content, SensorBatch, RecordSlot, LogRange};
use thicket_detector::NamedConfig;
use crate::messages::Verdict;
use thicket_store::postgres::{CommitBatch, EventRow, LateReading, ScoredReading, SeenSensor};

/// The verdicts of one job and the configuration they were made with.
#[derive(Debug)]
pub(super) struct ScoredBatch {
    pub(super) verdicts: Vec<Verdict>,
    pub(super) config: Arc<NamedConfig>,
}

/// What a range of the log commits.
pub(super) fn assemble(range: LogRange, jobs: &[SensorBatch], judged: &[ScoredBatch]) -> CommitBatch {
    let mut batch = CommitBatch::new(range.partition, range.epoch, range.from);
    batch.to = range.to;
    batch.heard.extend(range.heard);
    batch.losses = range.losses;
    let is_record = |slot: &&RecordSlot| !matches!(slot.content, Content::Control(_));
    batch.delivered = range.slots.iter().filter(is_record).count() as u64;
    let mut seen = BTreeSet::new();
    let mut events = BTreeMap::new();
    for slot in range.slots {
        batch.received.push(slot.received);
        let (job, index) = match &slot.content {
            Content::Letter(letter) => {
                let row = slot.letter_row(letter.clone());
                batch.letters.push(row);
                continue;
            }
            Content::Control(Control::Detectors(json)) => {
                batch.detectors = Some(json.clone());
                continue;
            }
            // Its effect is in `heard`.
            Content::Control(_) => continue,
            Content::Reading { job, index } => (*job, *index),
        };
        let reading = &jobs[job].readings[index];
        match &judged[job].verdicts[index] {
            Verdict::Rejected { reason, detail } => {
                batch.letters.push(slot.letter_row(rejected(reading, *reason, detail)));
                continue;
            }
            Verdict::NotNewer => batch.offered.push(LateReading {
                reading: reading.clone(),
                place: slot.place,
                received: slot.received,
                redelivered: slot.redelivered,
            }),
            Verdict::Poison => {
                batch.poison += 1;
                batch.rows.push_unscored(reading, slot.place, flags::POISON);
            }
            Verdict::Scored(detection) => {
                let scored = ScoredReading {
                    seq: detection.seq,
                    score: detection.score,
                    grade: detection.grade,
                    confidence: detection.confidence,
                    onset: detection.onset,
                    anomaly: detection.anomaly,
                    marks: detection.marks,
                    config: judged[job].config.identity,
                };
                let config = &judged[job].config;
                batch.configs.entry(config.identity).or_insert_with(|| config.config.to_json());
                batch.rows.push_scored(reading, slot.place, scored);
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
    batch.events =
        events.into_iter().map(|((sensor, _), event)| EventRow { sensor: sensor.0, event }).collect();
    batch
}

fn rejected(reading: &Reading, reason: Reason, detail: &str) -> DeadLetter {
    let detail = format!("the detector of {} at {}: {detail}", reading.sensor, reading.ts);
    DeadLetter::of_reading(reading, reason, &detail)
}

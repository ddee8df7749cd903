//! What happens when a message is confirmed: the ledger and the counters.

use std::{path::Path, sync::atomic::Ordering::Relaxed};

use super::super::{
    Progress,
    feed::{Content, Feed, Message},
};
use crate::{
    audio::FIELDS,
    ledger::{Disposition, LedgerError, LedgerWriter, SensorRecord},
    scenario::Scenario,
    time,
};

/// Keeps the books of a replay.
pub(super) struct Recorder {
    ledger: Option<LedgerWriter>,
    /// Readings confirmed since the clock was last noted.
    since_clock: u64,
}

impl Recorder {
    /// Creates the ledger, if one is wanted, and introduces all sensors in it.
    pub(super) fn new(path: Option<&Path>, scenario: &Scenario, feed: &Feed) -> Result<Self, LedgerError> {
        let mut ledger = path.map(LedgerWriter::create).transpose()?;
        if let Some(ledger) = &mut ledger {
            for (index, sensor) in scenario.sensors().iter().enumerate() {
                ledger.sensor(&SensorRecord {
                    index: index as u32,
                    period_micros: scenario.period_micros(),
                    name: sensor.name.clone(),
                    topic: feed.topic(index).to_string(),
                    fields: FIELDS.map(str::to_owned).to_vec(),
                })?;
            }
            ledger.clock(time::now())?;
            ledger.flush()?;
        }
        Ok(Self { ledger, since_clock: 0 })
    }

    pub(super) fn record(&mut self, message: &Message, progress: &Progress) -> Result<(), LedgerError> {
        match &message.content {
            Content::Readings { disposition, sensor, readings } => {
                if let Some(ledger) = &mut self.ledger {
                    let readings = readings.iter().map(|reading| (reading.ts, reading.values.as_slice()));
                    ledger.message(*disposition, *sensor as u32, readings)?;
                }
                if *disposition != Disposition::Late {
                    progress.event_time.fetch_max(message.due, Relaxed);
                }
                progress.published.fetch_add(readings.len() as u64, Relaxed);
                self.since_clock += readings.len() as u64;
            }
            Content::Malformed => {
                if let Some(ledger) = &mut self.ledger {
                    ledger.malformed(&message.topic, &message.payload)?;
                }
                progress.malformed.fetch_add(1, Relaxed);
            }
        }
        if let Some(ledger) = &mut self.ledger {
            for label in &message.labels {
                ledger.label(label)?;
            }
        }
        progress.events.fetch_add(message.events_ended, Relaxed);
        Ok(())
    }

    /// Notes the time and hands everything to the operating system; called about once a second.
    pub(super) fn flush(&mut self) -> Result<(), LedgerError> {
        let Some(ledger) = &mut self.ledger else { return Ok(()) };
        if self.since_clock > 0 {
            ledger.clock(time::now())?;
            self.since_clock = 0;
        }
        ledger.flush()
    }

    pub(super) fn finish(mut self) -> Result<(), LedgerError> {
        self.flush()
    }
}

//! Records confirmed messages: in the manifest and in the counters.

use std::{path::Path, sync::atomic::Ordering::Relaxed};

use crate::{
    audio::FIELDS,
    manifest::{Disposition, ManifestError, ManifestWriter, SensorRecord},
    replay::{
        feed::{Content, Feed, Message},
        progress::Progress,
    },
    scenario::Scenario,
    time,
};

/// Writes the manifest and updates the counters of a replay.
pub(super) struct Recorder {
    manifest: Option<ManifestWriter>,
    /// Readings confirmed since the clock was last written.
    since_clock: u64,
}

impl Recorder {
    /// Creates the manifest at `path`, if any, and writes the descriptions of all sensors.
    pub(super) fn new(path: Option<&Path>, scenario: &Scenario, feed: &Feed) -> Result<Self, ManifestError> {
        let mut manifest = path.map(ManifestWriter::create).transpose()?;
        if let Some(manifest) = &mut manifest {
            for index in 0..scenario.sensors().len() {
                manifest.sensor(&SensorRecord {
                    index: index as u32,
                    period_micros: scenario.period_micros(),
                    name: feed.name(index).to_owned(),
                    topic: feed.topic(index).to_string(),
                    fields: FIELDS.map(str::to_owned).to_vec(),
                })?;
            }
            manifest.clock(time::now())?;
            manifest.flush()?;
        }
        Ok(Self { manifest, since_clock: 0 })
    }

    /// Records a confirmed message.
    pub(super) fn record(&mut self, message: &Message, progress: &Progress) -> Result<(), ManifestError> {
        match &message.content {
            Content::Readings { disposition, sensor, readings } => {
                if let Some(manifest) = &mut self.manifest {
                    let readings = readings.iter().map(|reading| (reading.ts, reading.values.as_slice()));
                    manifest.message(*disposition, *sensor as u32, readings)?;
                }
                if *disposition != Disposition::Late {
                    progress.event_time.fetch_max(message.due, Relaxed);
                }
                progress.published.fetch_add(readings.len() as u64, Relaxed);
                self.since_clock += readings.len() as u64;
            }
            Content::Malformed => {
                if let Some(manifest) = &mut self.manifest {
                    manifest.malformed(&message.topic, &message.payload)?;
                }
                progress.malformed.fetch_add(1, Relaxed);
            }
        }
        if let Some(manifest) = &mut self.manifest {
            for event in &message.events_begun {
                manifest.event(event)?;
            }
        }
        progress.events.fetch_add(message.events_ended, Relaxed);
        Ok(())
    }

    /// Writes the clock if readings were confirmed since the last one, and hands everything to the
    /// operating system. The session calls this about once a second.
    pub(super) fn flush(&mut self) -> Result<(), ManifestError> {
        let Some(manifest) = &mut self.manifest else { return Ok(()) };
        if self.since_clock > 0 {
            manifest.clock(time::now())?;
            self.since_clock = 0;
        }
        manifest.flush()
    }

    pub(super) fn finish(mut self) -> Result<(), ManifestError> {
        self.flush()
    }
}

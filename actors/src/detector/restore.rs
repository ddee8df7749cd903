//! Restores a detector from its checkpoint and the replay of the rows after it. Pure: takes facts
//! that were already read, and returns the detector and the result of the replay.

use std::collections::BTreeMap;
use std::sync::Arc;

use thicket_detector::{Detector, NamedConfig};
use thicket_schema::SensorName;
use thicket_store::postgres::{AppliedLabel, StoredReading};

use crate::messages::{History, Restored};

/// The facts that a restore needs.
#[derive(Debug)]
pub struct RestoreFacts<'a> {
    /// The sensor.
    pub sensor: &'a SensorName,
    /// Its present configuration.
    pub config: &'a NamedConfig,
    /// Its checkpoint and its rows.
    pub history: &'a History,
}

/// Restores the detector of a sensor whose history is one page. Its state is bit-identical to that
/// of a detector that never left memory: every row is replayed with the configuration that it was
/// scored with.
///
/// If the shape of the detector has changed, the detector first learns from the last rows of the
/// old shape. A detector in memory does the same: a change of shape drops it, and the next reading
/// restores it.
pub fn restore(facts: &RestoreFacts<'_>) -> (Detector, Restored) {
    let mut restoration = Restoration::begin(facts);
    restoration.replay(&facts.history.replay, &facts.history.configs);
    restoration.finish(facts.config)
}

/// A restore in progress. Its rows come page by page. The result does not depend on where a page
/// ends.
#[derive(Debug)]
pub(super) struct Restoration {
    detector: Detector,
    /// The identity of the configuration that the detector has now.
    current: u64,
    labels: Vec<AppliedLabel>,
    has_scored_row: bool,
    restored: Restored,
}

impl Restoration {
    /// Begins a restore: the detector before the replay. The first page of the history must have
    /// the first scored row, if there is one.
    pub(super) fn begin(facts: &RestoreFacts<'_>) -> Self {
        let RestoreFacts { sensor, config, history } = *facts;
        // A detector keeps some settings from its first row on, whatever the configuration is now.
        let first_scored_with = history.replay.iter().find_map(|row| history.configs.get(&row.config?));
        let first = first_scored_with.map_or(config, |first| first.as_ref());
        let (detector, unusable) = initial_detector(sensor, first, history);
        let replayed = history.rebuild_from.len() as u64;
        Self {
            restored: Restored { seq: detector.seq(), replayed, mismatches: 0, unusable },
            detector,
            current: first.identity,
            labels: labels_since_reset(history),
            has_scored_row: false,
        }
    }

    /// Replays the next rows.
    pub(super) fn replay(&mut self, rows: &[StoredReading], configs: &BTreeMap<u64, Arc<NamedConfig>>) {
        for row in rows {
            apply_labels(&mut self.detector, &self.labels);
            if let Some(identity) = row.config.filter(|&identity| identity != self.current)
                && let Some(scored_with) = configs.get(&identity)
            {
                self.detector.reconfigure(&scored_with.config);
                self.current = identity;
            }
            self.has_scored_row |= row.seq.is_some();
            self.restored.mismatches += u64::from(!replay(&mut self.detector, row));
        }
        self.restored.replayed += rows.len() as u64;
        self.restored.seq = self.detector.seq();
    }

    /// Returns the result of the rows that are replayed.
    pub(super) const fn so_far(&self) -> Restored {
        self.restored
    }

    /// Ends the restore: the detector has its present configuration.
    pub(super) fn finish(self, config: &NamedConfig) -> (Detector, Restored) {
        let Self { mut detector, labels, has_scored_row, restored, .. } = self;
        apply_labels(&mut detector, &labels);
        detector.reconfigure(&config.config);
        if has_scored_row {
            // It was committed with the replayed rows.
            detector.take_fields_report();
        }
        (detector, restored)
    }
}

/// Returns the labels of the detector that began at the last reset. A label that the detector before
/// it applied after its last reading has the seq of the reset.
fn labels_since_reset(history: &History) -> Vec<AppliedLabel> {
    let mut labels = history.labels.clone();
    labels.retain(|applied| history.reset.is_none_or(|reset| applied.seq > reset.seq));
    labels
}

/// Applies the labels that belong to the detector's present seq, and that it has not applied.
fn apply_labels(detector: &mut Detector, labels: &[AppliedLabel]) {
    let seq = detector.seq();
    let first = labels.partition_point(|applied| applied.seq < seq);
    for applied in labels[first..].iter().take_while(|applied| applied.seq == seq) {
        if applied.number > detector.labels() {
            detector.label_again(applied.started.0, applied.label, applied.number);
        }
    }
}

/// Returns the detector before the replay, and whether its checkpoint could not be used.
fn initial_detector(sensor: &SensorName, config: &NamedConfig, history: &History) -> (Detector, bool) {
    let (name, config) = (sensor.as_str(), &config.config);
    if let Some(last) = history.rebuild_from.iter().rev().find_map(|row| row.seq) {
        let learn = history.rebuild_from.iter().filter(|row| row.seq.is_some());
        let learn = learn.map(|row| (row.ts.0, row.fields.names(), row.values.as_slice()));
        let mut detector = Detector::rebuild(name, config, last, learn);
        if let Some(newest) = history.rebuild_from.last() {
            detector.skip(newest.ts.0);
        }
        return (detector, false);
    }
    let Some(checkpoint) = &history.checkpoint else {
        if let Some(reset) = &history.reset {
            return (Detector::resume(name, config, reset.seq, Some(reset.newest.0)), false);
        }
        // Retention may have dropped earlier rows. The seq continues; the detector does not know
        // those rows.
        let first = history.replay.iter().find_map(|row| row.seq).unwrap_or(1);
        return (Detector::resume(name, config, first.saturating_sub(1), None), false);
    };
    match Detector::restore(name, config, &checkpoint.state) {
        Ok(detector) => (detector, false),
        Err(error) => {
            tracing::error!(%sensor, %error, "cannot restore the detector from its checkpoint");
            let newest = checkpoint.newest.map(|ts| ts.0);
            (Detector::resume(name, config, checkpoint.seq, newest), true)
        }
    }
}

/// Replays a stored row. Returns false if the seq or the bits of the score differ from the stored
/// ones.
fn replay(detector: &mut Detector, row: &StoredReading) -> bool {
    let Some(seq) = row.seq else {
        detector.skip(row.ts.0);
        return true;
    };
    match detector.apply(row.ts.0, row.fields.names(), &row.values) {
        Ok(detection) => {
            let score = (!detection.marks.unscored).then_some(detection.score);
            detection.seq == seq && score.map(f64::to_bits) == row.score.map(f64::to_bits)
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests;

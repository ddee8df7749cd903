//! Restores a detector from its checkpoint and the replay of the rows after it. Pure: takes facts
//! that were already read, and returns the detector and the result of the replay.

use thicket_detector::{Detector, NamedConfig};
use thicket_schema::SensorName;
use thicket_store::postgres::StoredReading;

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

/// Restores the detector of a sensor. Its state is bit-identical to that of a detector that never
/// left memory: every row is replayed with the configuration that it was scored with.
///
/// If the shape of the detector has changed, the detector first learns from the last rows of the
/// old shape. A detector in memory does the same: a change of shape drops it, and the next reading
/// restores it.
pub fn restore(facts: &RestoreFacts<'_>) -> (Detector, Restored) {
    let RestoreFacts { sensor, config, history } = *facts;
    // A detector keeps some settings from its first row on, whatever the configuration is now.
    let first_scored_with = history.replay.iter().find_map(|row| history.configs.get(&row.config?));
    let first = first_scored_with.map_or(config, |first| first.as_ref());
    let (mut detector, unusable) = initial_detector(sensor, first, history);
    let mut current = first.identity;
    let mut mismatches = 0;
    for row in &history.replay {
        apply_labels(&mut detector, history);
        if let Some(identity) = row.config.filter(|&identity| identity != current)
            && let Some(scored_with) = history.configs.get(&identity)
        {
            detector.reconfigure(&scored_with.config);
            current = identity;
        }
        mismatches += u64::from(!replay(&mut detector, row));
    }
    apply_labels(&mut detector, history);
    detector.reconfigure(&config.config);
    if history.replay.iter().any(|row| row.seq.is_some()) {
        // It was committed with the replayed rows.
        detector.take_fields_report();
    }
    let replayed = (history.rebuild_from.len() + history.replay.len()) as u64;
    let restored = Restored { seq: detector.seq(), replayed, mismatches, unusable };
    (detector, restored)
}

/// Applies the labels that belong to the detector's present seq, and that it has not applied.
fn apply_labels(detector: &mut Detector, history: &History) {
    let seq = detector.seq();
    let first = history.labels.partition_point(|applied| applied.seq < seq);
    for applied in history.labels[first..].iter().take_while(|applied| applied.seq == seq) {
        if applied.number > detector.labels() {
            detector.label(applied.started.0, applied.label);
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

//! Between checkpoints the rows are the log: a detector is its checkpoint plus the rows after it, applied again. Pure:
//! facts that were already read come in, a detector and what was found come out.

use thicket_detector::{Detector, NamedConfig};
use thicket_schema::SensorName;
use thicket_store::postgres::StoredReading;

use crate::messages::{History, Restored};

/// What a restore starts from.
#[derive(Debug)]
pub struct RestoreFacts<'a> {
    /// Which sensor.
    pub sensor: &'a SensorName,
    /// How it is configured now.
    pub config: &'a NamedConfig,
    /// What the stores know.
    pub history: &'a History,
}

/// Rebuilds a sensor's detector. Its state is bit-identical to one that was never away: every row is applied with the configuration that
/// it was made with.
///
/// Where the configuration now shapes the state otherwise than before, the detector learns from the rows before that. It would have done
/// so undisturbed, since such a change drops the detector.
pub fn restore(facts: &RestoreFacts<'_>) -> (Detector, Restored) {
    let RestoreFacts { sensor, config, history } = *facts;
    // Some settings are those that a detector began with: its first row says which.
    let made_with = history.replay.iter().find_map(|row| history.configs.get(&row.config?));
    let first = made_with.map_or(config, |first| first.as_ref());
    let (mut detector, unusable) = beginning(sensor, first, history);
    let mut at = first.identity;
    let mut mismatches = 0;
    for row in &history.replay {
        apply_labels(&mut detector, history);
        if let Some(made_with) = row.config.filter(|&made_with| made_with != at)
            && let Some(then) = history.configs.get(&made_with)
        {
            detector.reconfigure(&then.config);
            at = made_with;
        }
        mismatches += u64::from(!apply_again(&mut detector, row));
    }
    apply_labels(&mut detector, history);
    detector.reconfigure(&config.config);
    let replayed = (history.rebuild_from.len() + history.replay.len()) as u64;
    let restored = Restored { seq: detector.seq(), replayed, mismatches, unusable };
    (detector, restored)
}

/// Applies the labels that the detector applied after as many readings as it has now. Applying a label twice
/// changes nothing.
fn apply_labels(detector: &mut Detector, history: &History) {
    let seq = detector.seq();
    let first = history.labels.partition_point(|applied| applied.seq < seq);
    for applied in history.labels[first..].iter().take_while(|applied| applied.seq == seq) {
        detector.label(applied.started.0, applied.label);
    }
}

/// The detector before the rows that are applied again, and whether the checkpoint was of no use to it.
fn beginning(sensor: &SensorName, config: &NamedConfig, history: &History) -> (Detector, bool) {
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
        // Rows before these may have been dropped: the numbering goes on, and what they taught is gone.
        let first = history.replay.iter().find_map(|row| row.seq).unwrap_or(1);
        return (Detector::resume(name, config, first.saturating_sub(1), None), false);
    };
    match Detector::restore(name, config, &checkpoint.state) {
        Ok(detector) => (detector, false),
        Err(error) => {
            tracing::error!(%sensor, %error, "the detector in the checkpoint cannot be used");
            let newest = checkpoint.newest.map(|ts| ts.0);
            (Detector::resume(name, config, checkpoint.seq, newest), true)
        }
    }
}

/// Applies a stored row again; false if the outcome is not, bit for bit, what was stored.
fn apply_again(detector: &mut Detector, row: &StoredReading) -> bool {
    let Some(seq) = row.seq else {
        detector.skip(row.ts.0);
        return true;
    };
    match detector.apply(row.ts.0, row.fields.names(), &row.values) {
        Ok(detection) => {
            detection.seq == seq && Some(detection.score.to_bits()) == row.score.map(f64::to_bits)
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests;

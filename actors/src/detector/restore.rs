//! Between checkpoints the rows are the log: a detector is its checkpoint plus the rows after it, applied again. Pure:
//! facts that were already read come in, a detector and what was found come out.

use thicket_detector::{Detector, DetectorConfig, RestoreError};
use thicket_schema::SensorName;

use crate::messages::{History, Restored, StoredReading};

/// What a restore starts from.
#[derive(Debug)]
pub struct RestoreFacts<'a> {
    /// Which sensor.
    pub sensor: &'a SensorName,
    /// How it is configured now.
    pub config: &'a DetectorConfig,
    /// What the stores know.
    pub history: &'a History,
}

/// Rebuilds a sensor's detector. Its state is bit-identical to one that was never away.
///
/// A checkpoint or rows of another configuration only hand over the sensor's seq and newest timestamp: the detector then
/// learns anew, and it would have done so undisturbed, since a configuration takes effect by a restart.
pub fn restore(facts: &RestoreFacts<'_>) -> (Detector, Restored) {
    let RestoreFacts { sensor, config, history } = *facts;
    let fingerprint = config.fingerprint();
    let foreign = |row: &StoredReading| row.config.is_some_and(|row_config| row_config != fingerprint);
    let own_from = history.rows.iter().rposition(foreign).map_or(0, |last_foreign| last_foreign + 1);
    let (before, own) = history.rows.split_at(own_from);

    let mut detector = match &history.checkpoint {
        Some(checkpoint) if before.is_empty() => {
            match Detector::restore(sensor.as_str(), config, &checkpoint.state) {
                Ok(detector) => detector,
                Err(error) => {
                    if !matches!(error, RestoreError::ConfigChanged { .. }) {
                        tracing::error!(%sensor, %error, "the checkpoint cannot be used; the detector learns anew");
                    }
                    Detector::resume(
                        sensor.as_str(),
                        config,
                        checkpoint.seq,
                        checkpoint.newest.map(|ts| ts.0),
                    )
                }
            }
        }
        checkpoint => {
            let seq_before = before.iter().rev().find_map(|row| row.seq);
            let seq = seq_before.or(checkpoint.as_ref().map(|checkpoint| checkpoint.seq)).unwrap_or(0);
            let newest = before
                .last()
                .map(|row| row.ts.0)
                .or(checkpoint.as_ref().and_then(|c| c.newest.map(|ts| ts.0)));
            Detector::resume(sensor.as_str(), config, seq, newest)
        }
    };
    let mut mismatches = 0;
    for row in own {
        mismatches += u64::from(!apply_again(&mut detector, row));
    }
    let restored = Restored { seq: detector.seq(), replayed: own.len() as u64, mismatches };
    (detector, restored)
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

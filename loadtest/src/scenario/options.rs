//! What a scenario is made from.

/// The parameters of a scenario; with the same data set, the same options give the same readings.
#[derive(Clone, Debug, PartialEq)]
pub struct ScenarioOptions {
    /// Number of sensors, 1 to 1,000,000.
    pub sensors: u32,
    /// Everything random derives from it.
    pub seed: u64,
    /// Time of frame 0, in µs since the Unix epoch. Shifts the timestamps, never the values.
    pub start_micros: i64,
    /// Mean number of labelled events per sensor and hour, 0 to 60.
    pub events_per_hour: f64,
    /// No event begins before this frame: detectors get past their warm-up undisturbed.
    pub quiet_frames: u64,
    /// Events are this many dB above the place's usual level, from (lowest) to (highest).
    pub salience_db: (f64, f64),
}

impl Default for ScenarioOptions {
    fn default() -> Self {
        Self {
            sensors: 20,
            seed: 1,
            // 2026-01-01T00:00:00Z
            start_micros: 1_767_225_600_000_000,
            events_per_hour: 4.0,
            quiet_frames: 900,
            salience_db: (8.0, 20.0),
        }
    }
}

/// Why a scenario cannot be made.
#[derive(Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// Out of range.
    #[error("a scenario has 1 to 1000000 sensors, not {0}")]
    BadSensors(u32),
    /// Out of range.
    #[error("events per hour must lie between 0 and 60, not {0}")]
    BadEventRate(f64),
    /// Not a range.
    #[error("salience must be a range of decibels from low to high within -20..60, not {0}..{1}")]
    BadSalience(f64, f64),
}

impl ScenarioOptions {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        if !(1..=1_000_000).contains(&self.sensors) {
            return Err(ScenarioError::BadSensors(self.sensors));
        }
        if !(0.0..=60.0).contains(&self.events_per_hour) {
            return Err(ScenarioError::BadEventRate(self.events_per_hour));
        }
        let (low, high) = self.salience_db;
        let possible = -20.0..=60.0;
        if !(possible.contains(&low) && possible.contains(&high) && low <= high) {
            return Err(ScenarioError::BadSalience(low, high));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked() {
        let defaults = ScenarioOptions::default();
        assert_eq!(defaults.validate(), Ok(()));
        let refusal = |options: ScenarioOptions| options.validate().unwrap_err();
        assert_eq!(refusal(ScenarioOptions { sensors: 0, ..defaults.clone() }), ScenarioError::BadSensors(0));
        assert!(matches!(
            refusal(ScenarioOptions { events_per_hour: f64::NAN, ..defaults.clone() }),
            ScenarioError::BadEventRate(_)
        ));
        assert_eq!(
            refusal(ScenarioOptions { salience_db: (9.0, 3.0), ..defaults }),
            ScenarioError::BadSalience(9.0, 3.0)
        );
    }
}

//! The parameters of a scenario.

/// The parameters of a scenario. With the same data set, the same options give the same readings.
#[derive(Clone, Debug, PartialEq)]
pub struct ScenarioOptions {
    /// Number of sensors, 1 to 1,000,000.
    pub sensors: u32,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Event time of frame 0, in µs since the Unix epoch. It changes only the timestamps of
    /// readings.
    pub start_micros: i64,
    /// Mean number of labelled events per sensor and hour, 0 to 60.
    pub events_per_hour: f64,
    /// The frame before which no event begins, so that detectors warm up on everyday sound.
    pub quiet_frames: u64,
    /// The level of events above the usual level of the place, in dB: lowest and highest.
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
    /// The number of sensors is out of range.
    #[error("a scenario has 1 to 1000000 sensors, not {0}")]
    BadSensors(u32),
    /// The number of events per hour is out of range.
    #[error("events per hour must lie between 0 and 60, not {0}")]
    BadEventRate(f64),
    /// The salience is not a range, or out of range.
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

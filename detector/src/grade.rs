//! From surprise to a grade that means the same on every sensor, and the threshold that says what is an anomaly.

/// The grade of a rarity (−log10 of the share of readings that are as rare): 0 to 1, monotone.
pub(crate) fn grade(rarity: f64) -> f64 {
    rarity / (1.0 + rarity)
}

/// How rare a reading must be for so many false alarms a week.
pub(crate) fn threshold(alarms_per_week: f64, readings_per_week: f64) -> f64 {
    libm::log10(readings_per_week / alarms_per_week).max(LEAST_THRESHOLD)
}

/// How rare readings must stay for an anomaly to go on: a good deal less than for it to begin.
pub(crate) fn lasting(threshold: f64) -> f64 {
    (LASTING_PART * threshold).min(MOST_LASTING)
}

/// However many alarms are asked for, a reading as common as one in 30 is none.
const LEAST_THRESHOLD: f64 = 1.5;
const LASTING_PART: f64 = 0.75;
const MOST_LASTING: f64 = 2.0;

/// The share of readings of a settled sensor that surprise as much, as −log10.
///
/// A surprise is the mean of figures that are each as rare as they say. They agree only in part, so their mean is rarer than it says.
/// Measured on stationary series of many kinds, which hardly differ (docs/detection.md has the table): with moving means, one reading in ten
/// surprises by 0.7, one in a hundred by 1.2, one in a thousand by 1.7; without, by 0.9, 1.6 and 2.3.
pub(crate) fn rarity(surprise: f64, with_means: bool) -> f64 {
    if with_means { (surprise / 0.7).max(2.0 * surprise - 0.4) } else { 1.2 * surprise }
}

/// How far a grade can be trusted that rests on so many past readings, and on so many of the sensor's fields.
pub(crate) fn confidence(past: u64, warm_up: u32, known: usize, fields: usize) -> f64 {
    let past = past as f64;
    past / (past + f64::from(warm_up) / 2.0) * known as f64 / fields as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grade_is_monotone_and_below_one() {
        assert_eq!(grade(0.0), 0.0);
        assert_eq!(grade(4.0), 0.8);
        assert!(grade(300.0) < 1.0);
    }

    #[test]
    fn the_threshold_is_a_rate_of_alarms() {
        assert_eq!(threshold(1.0, 604_800.0), libm::log10(604_800.0));
        assert_eq!(threshold(604_800.0, 604_800.0), LEAST_THRESHOLD);
        assert!(lasting(threshold(1.0, 168.0)) < threshold(1.0, 168.0));
    }

    #[test]
    fn confidence_begins_at_a_half_and_falls_with_what_is_missing() {
        assert_eq!(confidence(0, 256, 1, 1), 0.0);
        assert_eq!(confidence(128, 256, 1, 1), 0.5);
        assert!(confidence(100_000, 256, 2, 2) > 0.99);
        assert!(confidence(100_000, 256, 1, 2) < 0.5);
    }
}

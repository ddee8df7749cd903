//! From surprise to a grade with the same meaning on every sensor, and to the threshold from which
//! a reading is an anomaly.
//!
//! A *rarity* is −log10 of the share of readings that are at least as rare.

/// Returns the grade of a rarity: 0 to 1, monotone.
pub(crate) fn grade_of(rarity: f64) -> f64 {
    rarity / (1.0 + rarity)
}

/// Returns the rarity from which a reading is an anomaly, if one in this many readings may be one.
pub(crate) fn rarity_threshold(one_in: f64) -> f64 {
    libm::log10(one_in).max(LEAST_THRESHOLD)
}

/// Returns the rarity from which a reading continues an open anomaly. It is well below the
/// threshold at which one begins.
pub(crate) fn lasting_threshold(threshold: f64) -> f64 {
    (LASTING_PART * threshold).min(MOST_LASTING)
}

/// Lower bound of the threshold: a reading as common as one in 30 is no anomaly, however many
/// alarms are asked for.
const LEAST_THRESHOLD: f64 = 1.5;
const LASTING_PART: f64 = 0.75;
const MOST_LASTING: f64 = 2.0;

/// Returns the rarity of a surprise: −log10 of the share of a settled sensor's readings that
/// surprise at least as much.
///
/// A surprise combines several rarities. They agree only in part, so a high surprise is rarer
/// than its value says. The conversion was measured on stationary series of many kinds, which
/// hardly differ (docs/detection.md has the table). With moving means, one reading in ten reaches a
/// surprise of 0.75, one in a hundred 1.25, one in a thousand 1.75. Without moving means, the values
/// are 0.9, 1.6 and 2.3.
pub(crate) fn rarity_of(surprise: f64, with_means: bool) -> f64 {
    if with_means { (surprise / 0.75).max(2.0 * surprise - 0.5) } else { 1.2 * surprise }
}

/// Returns the surprise of a rarity: the inverse of [`rarity_of`].
pub(crate) fn surprise_of(rarity: f64, with_means: bool) -> f64 {
    if with_means { (0.75 * rarity).min(0.5 * (rarity + 0.5)) } else { rarity / 1.2 }
}

/// Returns how far a grade can be trusted, 0 to 1. It grows with the number of past readings, and
/// falls with each of the sensor's `fields` that is not among the `known` ones.
pub(crate) fn confidence(past: u64, warm_up: u32, known: usize, fields: usize) -> f64 {
    let past = past as f64;
    past / (past + f64::from(warm_up) / 2.0) * known as f64 / fields as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grade_is_monotone_and_below_one() {
        assert_eq!(grade_of(0.0), 0.0);
        assert_eq!(grade_of(4.0), 0.8);
        assert!(grade_of(300.0) < 1.0);
    }

    #[test]
    fn a_rarity_has_one_surprise() {
        for (rarity, with_means) in [(0.0, true), (0.9, true), (1.0, true), (4.0, true), (2.5, false)] {
            let back = rarity_of(surprise_of(rarity, with_means), with_means);
            assert!((back - rarity).abs() < 1e-12, "{rarity} {back}");
        }
    }

    #[test]
    fn the_threshold_is_a_rate_of_alarms() {
        assert_eq!(rarity_threshold(604_800.0), libm::log10(604_800.0));
        assert_eq!(rarity_threshold(1.0), LEAST_THRESHOLD);
        assert!(lasting_threshold(rarity_threshold(168.0)) < rarity_threshold(168.0));
    }

    #[test]
    fn confidence_begins_at_a_half_and_falls_with_missing_fields() {
        assert_eq!(confidence(0, 256, 1, 1), 0.0);
        assert_eq!(confidence(128, 256, 1, 1), 0.5);
        assert!(confidence(100_000, 256, 2, 2) > 0.99);
        assert!(confidence(100_000, 256, 1, 2) < 0.5);
    }
}

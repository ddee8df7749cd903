//! Caution: readings are unusual again and again, but no alarm is raised. They may be the beginning
//! of an anomaly, so the forecasts learn them slowly.
//!
//! The pasts of the measures must stay honest meanwhile. If they learnt the measures of forecasts that
//! learn slowly, every tail would get longer, and spikes would drown in it after some years. Therefore
//! a copy of the forecasts learns every reading, and the pasts learn the measures of this copy. When
//! caution ends without an alarm, the copy takes the place of the forecasts.

use serde::{Deserialize, Serialize};

/// Readings that the mean rarity reaches back.
const REACH: f64 = 20.0;
/// The mean of the rarities of usual readings: log₁₀ e.
const USUAL_MEAN: f64 = core::f64::consts::LOG10_E;
/// Caution holds while the mean is at least this. It is 0.43 ± 0.07 for independent usual readings.
const HIGH: f64 = 0.9;
/// A rarity counts at most as this much: a single outlier is no reason for caution.
const GREATEST: f64 = 4.0;
/// Readings after which caution ends. What has lasted so long without an alarm is learnt.
const LONGEST: u32 = 4_096;

/// How much of a reading is learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LearningPace {
    /// All parts learn it.
    Full,
    /// The forecasts learn few of these readings; the other parts learn it.
    Cautious,
    /// An anomaly is open: the forest and the forecasts learn few of these readings, and the pasts
    /// none.
    Slow,
}

/// Whether the last readings are unusual on average.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Caution {
    mean: f64,
    /// Readings in a row for which the mean was high and caution was allowed.
    lasted: u32,
}

impl Default for Caution {
    fn default() -> Self {
        Self { mean: USUAL_MEAN, lasted: 0 }
    }
}

impl Caution {
    /// Counts the next reading. Returns whether caution holds for it. `is_allowed` is what the
    /// [guard](crate::guard::Regime::allows_caution) says.
    pub(crate) fn holds(&mut self, is_allowed: bool) -> bool {
        self.lasted = if is_allowed && self.mean >= HIGH { self.lasted.saturating_add(1) } else { 0 };
        (1..=LONGEST).contains(&self.lasted)
    }

    /// Adds the rarity of a reading to the mean.
    pub(crate) fn observe(&mut self, rarity: f64) {
        self.mean += (rarity.min(GREATEST) - self.mean) / REACH;
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.mean.is_finite()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Observes readings of this rarity. Returns for how many of them caution held.
    fn cautious(caution: &mut Caution, rarity: f64, readings: u32, is_allowed: bool) -> u32 {
        (0..readings).fold(0, |count, _| {
            let holds = caution.holds(is_allowed);
            caution.observe(rarity);
            count + u32::from(holds)
        })
    }

    #[test]
    fn an_outlier_is_no_reason_and_many_unusual_readings_are() {
        let mut caution = Caution::default();
        assert_eq!(cautious(&mut caution, 9.0, 1, true) + cautious(&mut caution, 0.4, 100, true), 0);
        let held = cautious(&mut caution, 1.5, 100, true);
        assert!((70..90).contains(&held), "{held}");
        let held = cautious(&mut caution, 0.4, 100, true);
        assert!((10..20).contains(&held), "{held}");
    }

    #[test]
    fn it_ends_after_a_while_and_begins_again_only_after_usual_readings() {
        let mut caution = Caution::default();
        assert_eq!(cautious(&mut caution, 2.0, 3 * LONGEST, true), LONGEST);
        cautious(&mut caution, 0.4, 100, true);
        assert!(cautious(&mut caution, 2.0, 100, true) > 70);
    }

    #[test]
    fn it_does_not_hold_in_an_anomaly() {
        assert_eq!(cautious(&mut Caution::default(), 4.0, 100, false), 0);
    }
}

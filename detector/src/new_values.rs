//! How rare is a value that a field has never had? That depends on how often new values came before,
//! and on how far they were from the known ones.

use serde::{Deserialize, Serialize};

use crate::durations::rarity_of_share;

/// A step below this part of the field's greatest value is noise.
const FLOOR: f64 = 1e-3;
/// A step by this part of the field's greatest value is a small one. Greater steps are rarer.
const SMALL_STEP: f64 = 1e-2;
/// Decades above a small step that a step away from a signal of exactly 0 counts for. Such a signal
/// has no scale.
const STEP_FROM_ZERO: f64 = 2.0;
/// What a decade of the step's size adds then.
const DECADE_FROM_ZERO: f64 = 1.0 / 16.0;
/// Decades of the greatest step that is told from greater ones.
const MOST_DECADES: f64 = 300.0;
/// A step counts as one if at least this part of it is no noise.
const NO_NOISE: f64 = 0.5;
/// Steps to new values that are kept, the greatest ones.
const MOST_STEPS: usize = 8;
/// The step from the nearest known value to a new one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// In the field's own unit.
    size: f64,
    /// Decades above a small step.
    decades: f64,
    /// The part of it that is no noise, 0 to 1.
    part: f64,
}

/// The steps to new values so far.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct NewValues {
    count: u32,
    /// The sizes of the greatest steps, the greatest first.
    greatest: Vec<f64>,
}

impl Step {
    /// Measures the step from the known values to a new one. Returns `None` if there is no known value.
    pub(crate) fn measure(known: impl Iterator<Item = f64> + Clone, value: f64) -> Option<Self> {
        let size = known.clone().map(|known| (known - value).abs().min(f64::MAX)).reduce(f64::min)?;
        let scale = known.map(f64::abs).fold(0.0, f64::max);
        if scale > 0.0 {
            let of_scale = (size / scale).min(f64::MAX);
            let floors = of_scale / FLOOR;
            let decades = libm::log10(1.0 + of_scale / SMALL_STEP).min(MOST_DECADES);
            return Some(Self { size, decades, part: 1.0 - 1.0 / (1.0 + floors * floors) });
        }
        let decades = (STEP_FROM_ZERO + DECADE_FROM_ZERO * libm::log10(size)).max(0.0);
        Some(Self { size, decades, part: 1.0 })
    }
}

impl NewValues {
    /// Returns the rarity of a step among `readings` past ones. A step that is greater than all before
    /// is rarer the greater it is. That counts less the more new values are known.
    pub(crate) fn rarity(&self, step: Option<Step>, readings: u64) -> f64 {
        let Some(Step { size, decades, part }) = step else { return 0.0 };
        let greater = self.greatest.iter().filter(|&&known| known >= size).count() as u64;
        // Of the steps that are not kept, some were as great.
        let greater = if greater == MOST_STEPS as u64 { u64::from(self.count) } else { greater };
        let beyond_all = if greater == 0 { decades / f64::from(self.count.max(1)) } else { 0.0 };
        part * (rarity_of_share(greater, readings) + beyond_all)
    }

    /// Learns a step. One within the noise floor says nothing about steps.
    pub(crate) fn learn(&mut self, step: Option<Step>) {
        let Some(Step { size, .. }) = step.filter(|step| step.part >= NO_NOISE) else { return };
        self.count = self.count.saturating_add(1);
        let at = self.greatest.partition_point(|&known| known > size);
        if at < MOST_STEPS {
            self.greatest.insert(at, size);
            self.greatest.truncate(MOST_STEPS);
        }
    }

    /// Returns whether every part is within its bound.
    pub(crate) fn is_sound(&self) -> bool {
        self.greatest.len() <= MOST_STEPS && self.greatest.iter().all(|size| *size >= 0.0)
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.greatest.capacity() * size_of::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(known: &[f64], value: f64) -> Option<Step> {
        Step::measure(known.iter().copied(), value)
    }

    #[test]
    fn a_greater_step_is_rarer_and_one_like_those_before_is_as_rare_as_they_are() {
        let mut new_values = NewValues::default();
        let rarity = |new_values: &NewValues, value| new_values.rarity(step(&[100.0], value), 9_999);
        assert_eq!(new_values.rarity(step(&[], 5.0), 10), 0.0, "the first value is no step");
        let rarities = [100.000_1, 101.0, 110.0, 200.0, 1e9, 1e300].map(|value| rarity(&new_values, value));
        assert!(rarities.is_sorted_by(|a, b| a < b), "{rarities:?}");
        assert!(rarities[0] < 0.01 && (4.0..4.5).contains(&rarities[1]), "{rarities:?}");
        (0..9).for_each(|_| new_values.learn(step(&[100.0], 90.0)));
        assert!((2.9..3.0).contains(&rarity(&new_values, 108.0)), "nine steps were as great");
        assert!(rarity(&new_values, 300.0) < rarities[3]);
    }

    #[test]
    fn a_step_away_from_zero_has_no_scale() {
        let rarities =
            [1e-300, 1e-9, 1.0, 1e12].map(|value| NewValues::default().rarity(step(&[0.0], value), 999));
        assert!(rarities.is_sorted() && rarities[1] > 4.0 && rarities[3] < 6.0, "{rarities:?}");
    }
}

//! How rare is a value among all past values of a measure? A bounded sketch of the whole past, and
//! its tail.
//!
//! The past is a histogram with bins of fixed width. It grows only upwards, to the greatest value
//! seen. It never forgets, so a tail that builds up over months stays known (of all changes that
//! were tried, forgetting cost the most detections). Up to a high quantile u, the tail probability
//! is counted. Beyond u there are too few values to count. There, the excess over u is modelled as
//! exponential, with the mean excess e of the past values:
//!
//! ```text
//! P(M > m) = q · exp(−(m − u) / e),   q = the share of values above u
//! −log10 P = −log10 q + 0.434 · (m − u) / e
//! ```
//!
//! This is the peaks-over-threshold method with shape 0, as in SPOT (Siffer et al., KDD 2017), over
//! the whole past. The share q is chosen so that e rests on [`ENOUGH`] values: the longer the past,
//! the farther out the tail begins.

use serde::{Deserialize, Serialize};

/// Bins per unit of the measure.
const BINS_PER_UNIT: f64 = 16.0;

/// Width of a bin.
const WIDTH: f64 = 1.0 / BINS_PER_UNIT;

/// Maximum number of bins. Greater values fall into the last bin.
const MAX_BINS: usize = 512;

/// Minimum share of values in the tail.
const LEAST_TAIL: f64 = 1e-5;

/// Maximum share of values in the tail. It applies while the past is short.
const YOUNG_TAIL: f64 = 0.2;

/// Number of values that the mean excess should rest on.
const ENOUGH: f64 = 50.0;

/// Lower bound of the mean excess. Without it, each tiny change of a measure that hardly varies
/// would be extremely rare.
const LEAST_EXCESS: f64 = 0.05;

/// Counts of all past values of a measure that is never negative.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Tail {
    counts: Vec<u32>,
    total: u64,
}

impl Tail {
    /// Returns the share of values in the tail.
    fn share(&self) -> f64 {
        (ENOUGH / self.total as f64).clamp(LEAST_TAIL, YOUNG_TAIL)
    }

    /// Returns the rarity as [`rarity`](Self::rarity) does, for values whose tail should be
    /// exponential with a mean of log10 e: each unit is a factor of ten. The mean excess is blended
    /// with that value, which weighs as much as `prior` past values.
    pub(crate) fn rarity_with_prior(&self, value: f64, prior: f64) -> f64 {
        if self.total == 0 {
            return value;
        }
        if let Some(rarity) = self.counted_rarity(value) {
            return rarity;
        }
        let share = self.share();
        let wanted = share * self.total as f64;
        let (quantile, excess) = self.split(wanted);
        let blended = (excess * wanted + core::f64::consts::LOG10_E * prior) / (wanted + prior);
        -libm::log10(share) + core::f64::consts::LOG10_E * (value - quantile) / blended
    }

    /// Returns the number of past values.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Adds a value to the past.
    pub(crate) fn learn(&mut self, value: f64) {
        let (bin, _) = bin_of(value);
        if bin >= self.counts.len() {
            self.counts.reserve_exact(bin + 1 - self.counts.len());
            self.counts.resize(bin + 1, 0);
        }
        if self.counts[bin] == u32::MAX {
            self.halve();
        }
        self.counts[bin] += 1;
        self.total += 1;
    }

    /// Returns −log10 of the probability that a value drawn from the past is at least this great; 0
    /// without a past.
    pub(crate) fn rarity(&self, value: f64) -> f64 {
        if self.total == 0 {
            return 0.0;
        }
        if let Some(rarity) = self.counted_rarity(value) {
            return rarity;
        }
        let share = self.share();
        let (quantile, excess) = self.split(share * self.total as f64);
        let (bin, within) = bin_of(value);
        let clamped = (bin as f64 + within) * WIDTH;
        -libm::log10(share) + core::f64::consts::LOG10_E * (clamped - quantile) / excess.max(LEAST_EXCESS)
    }

    /// Returns the rarity of a value as it is counted, or `None` for a value in the tail.
    fn counted_rarity(&self, value: f64) -> Option<f64> {
        let total = self.total as f64;
        let (bin, within) = bin_of(value);
        let count = self.count_from(bin, within);
        (count >= self.share() * total).then(|| -libm::log10((count / total).min(1.0)))
    }

    /// Returns the value above which `wanted` of the past values lie, and their mean excess over
    /// it.
    fn split(&self, wanted: f64) -> (f64, f64) {
        let mut above = 0.0;
        let mut moment = 0.0;
        for (bin, &count) in self.counts.iter().enumerate().rev() {
            let count = f64::from(count);
            if above + count < wanted {
                above += count;
                moment += count * (bin as f64 + 0.5);
                continue;
            }
            // The quantile lies within this bin. Its values are taken as evenly spread.
            let taken = wanted - above;
            let reach = taken / count;
            let quantile = (bin + 1) as f64 - reach;
            moment += taken * ((bin + 1) as f64 - 0.5 * reach);
            return (quantile * WIDTH, (moment / wanted - quantile) * WIDTH);
        }
        (0.0, 0.0)
    }

    /// Returns how many past values are at least as great as the position `within` (0 to 1) of a
    /// `bin`.
    fn count_from(&self, bin: usize, within: f64) -> f64 {
        let own = self.counts.get(bin).map_or(0.0, |&count| f64::from(count) * (1.0 - within));
        let above: u64 = self.counts.iter().skip(bin + 1).map(|&count| u64::from(count)).sum();
        own + above as f64
    }

    /// Halves all counts when one of them is full. The shape of the past stays.
    fn halve(&mut self) {
        for count in &mut self.counts {
            *count /= 2;
        }
        self.total = self.counts.iter().map(|&count| u64::from(count)).sum();
    }

    /// Returns whether the past is consistent. A restored snapshot is checked with it.
    pub(crate) fn is_sound(&self) -> bool {
        let total: u64 = self.counts.iter().map(|&count| u64::from(count)).sum();
        self.counts.len() <= MAX_BINS && total == self.total
    }

    /// Returns the memory on the heap, in bytes.
    pub(crate) fn memory_usage(&self) -> usize {
        self.counts.capacity() * size_of::<u32>()
    }
}

/// Returns the bin of a value, and the value's position within it, 0 to 1.
fn bin_of(value: f64) -> (usize, f64) {
    let bins = value.max(0.0) * BINS_PER_UNIT;
    let bin = (bins as usize).min(MAX_BINS - 1);
    (bin, (bins - bin as f64).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns `count` values, exponential with mean 1, in an order that looks random.
    fn exponential(count: u64) -> impl Iterator<Item = f64> {
        (0..count).map(move |i| -libm::log((((i * 7_919) % count) as f64 + 0.5) / count as f64))
    }

    #[test]
    fn an_exponential_tail_is_estimated_well_far_beyond_the_past_values() {
        let mut tail = Tail::default();
        exponential(20_000).for_each(|value| tail.learn(value));
        for rarity in [0.5, 1.0, 2.0, 3.0, 4.0, 8.0, 12.0] {
            let value = rarity / core::f64::consts::LOG10_E;
            let estimated = tail.rarity(value);
            assert!((estimated - rarity).abs() < 0.12 * rarity + 0.05, "{rarity} estimated as {estimated}");
        }
    }

    #[test]
    fn memory_is_bounded_for_any_values() {
        let mut tail = Tail::default();
        for value in [0.0, 1e300, f64::MAX, 3.0] {
            for _ in 0..1_000 {
                tail.learn(value);
            }
        }
        assert!(tail.memory_usage() <= MAX_BINS * size_of::<u32>());
        assert!(tail.is_sound());
    }

    #[test]
    fn a_tiny_change_of_a_constant_measure_is_not_extreme() {
        let mut tail = Tail::default();
        (0..5_000).for_each(|_| tail.learn(2.0));
        assert!(tail.rarity(2.01) < 3.0, "{}", tail.rarity(2.01));
    }

    proptest! {
        #[test]
        fn a_value_in_the_tail_is_fitted_and_another_is_counted(values in proptest::collection::vec(0.0..12.0_f64, 20..600), value in 0.0..14.0_f64) {
            let mut tail = Tail::default();
            for &value in &values {
                tail.learn(value);
            }
            let share = tail.share();
            let (quantile, excess) = tail.split(share * tail.total() as f64);
            let (bin, within) = bin_of(value);
            let counted = -libm::log10(tail.count_from(bin, within) / tail.total() as f64);
            let slope = core::f64::consts::LOG10_E / excess.max(LEAST_EXCESS);
            let fitted = -libm::log10(share) + slope * (value - quantile);
            let expected = if value > quantile { fitted } else { counted };
            prop_assert!((tail.rarity(value) - expected).abs() < 1e-6, "{} beside {}", value, quantile);
        }

        #[test]
        fn a_greater_value_is_rarer(values in proptest::collection::vec(0.0..12.0_f64, 1..300), mut asked in proptest::collection::vec(0.0..40.0_f64, 2)) {
            let mut tail = Tail::default();
            for &value in &values {
                tail.learn(value);
            }
            asked.sort_by(f64::total_cmp);
            let [low, high] = [tail.rarity(asked[0]), tail.rarity(asked[1])];
            prop_assert!(low >= 0.0 && high.is_finite());
            prop_assert!(low <= high + 0.35, "{} then {}", low, high);
        }
    }
}

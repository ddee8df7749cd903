//! The past of a measure that may have a sign.
//!
//! A size can be usual upwards and rare downwards: a tank is filled fast and emptied slowly. So a value
//! is compared with the past values of its own sign. A measure that is as often positive as negative has
//! the rarities of its sizes.

use serde::{Deserialize, Serialize};

use crate::tail::Tail;

/// While a sign has fewer values than this, the signs are not told apart.
const ENOUGH_OF_A_SIGN: u64 = 100;

/// All past values of a measure: their sizes, and those of each sign.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct SignedTail {
    sizes: Tail,
    /// `None` if the measure is never negative.
    signs: Option<Signs>,
}

/// The sizes of the past values of each sign.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
struct Signs {
    positive: Tail,
    negative: Tail,
}

impl SignedTail {
    /// Creates an empty past of a measure with or without a sign.
    pub(crate) fn new(has_sign: bool) -> Self {
        Self { sizes: Tail::default(), signs: has_sign.then(Signs::default) }
    }

    /// Returns whether the measure has a sign.
    pub(crate) fn has_sign(&self) -> bool {
        self.signs.is_some()
    }

    /// Adds a value to the past.
    pub(crate) fn learn(&mut self, value: f64) {
        let size = value.abs();
        self.sizes.learn(size);
        if let Some(Signs { positive, negative }) = &mut self.signs {
            if value < 0.0 { negative } else { positive }.learn(size);
        }
    }

    /// Returns −log10 of the probability that a value drawn from the past is at least as rare; 0 without
    /// a past. If the signs are told apart, that is twice the probability of a value with this sign and
    /// at least this size.
    pub(crate) fn rarity(&self, value: f64) -> f64 {
        let size = value.abs();
        match &self.signs {
            Some(Signs { positive, negative })
                if positive.total().min(negative.total()) >= ENOUGH_OF_A_SIGN =>
            {
                let of_sign = if value < 0.0 { negative } else { positive };
                let share = of_sign.total() as f64 / (positive.total() + negative.total()) as f64;
                (of_sign.rarity(size) - libm::log10(2.0 * share)).max(0.0)
            }
            _ => self.sizes.rarity(size),
        }
    }

    /// Returns the number of past values.
    pub(crate) fn total(&self) -> u64 {
        self.sizes.total()
    }

    /// Returns whether the past is consistent. A restored snapshot is checked with it.
    pub(crate) fn is_sound(&self) -> bool {
        let of_signs = |Signs { positive, negative }: &Signs| positive.is_sound() && negative.is_sound();
        self.sizes.is_sound() && self.signs.as_ref().is_none_or(of_signs)
    }

    /// Returns the memory on the heap, in bytes.
    pub(crate) fn memory_usage(&self) -> usize {
        let of_signs =
            |Signs { positive, negative }: &Signs| positive.memory_usage() + negative.memory_usage();
        self.sizes.memory_usage() + self.signs.as_ref().map_or(0, of_signs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns `count` values, exponential with mean 1, in an order that looks random.
    fn exponential(count: u64) -> impl Iterator<Item = f64> {
        (0..count).map(move |i| -libm::log((((i * 7_919) % count) as f64 + 0.5) / count as f64))
    }

    #[test]
    fn a_size_that_is_usual_with_one_sign_is_rare_with_the_other() {
        let mut tail = SignedTail::new(true);
        for (i, size) in exponential(20_000).enumerate() {
            tail.learn(if i % 2 == 0 { 4.0 * size } else { -size });
        }
        let (up, down) = (tail.rarity(8.0), tail.rarity(-8.0));
        assert!((up - 0.87).abs() < 0.1 && (down - 3.5).abs() < 0.5, "{up} {down}");
    }

    #[test]
    fn signs_are_told_apart_once_both_are_known() {
        let (mut tail, mut sizes) = (SignedTail::new(true), Tail::default());
        for (i, size) in exponential(2_000).enumerate() {
            tail.learn(if i % 40 == 0 { -size } else { size });
            sizes.learn(size);
        }
        assert_eq!(tail.rarity(-3.0), sizes.rarity(3.0), "50 values of a sign say nothing");
        exponential(60).for_each(|size| tail.learn(-size));
        assert!(tail.rarity(-3.0) > sizes.rarity(3.0) + 0.5, "{}", tail.rarity(-3.0));
        assert!(tail.is_sound());
    }

    #[test]
    fn alike_signs_are_as_rare_as_their_sizes() {
        let (mut tail, mut sizes) = (SignedTail::new(true), Tail::default());
        for (i, size) in exponential(50_000).enumerate() {
            tail.learn(if (i / 3) % 2 == 0 { size } else { -size });
            sizes.learn(size);
        }
        for value in [0.5, -2.0, 5.0, -9.0] {
            let (found, expected) = (tail.rarity(value), sizes.rarity(value.abs()));
            assert!((found - expected).abs() < 0.2 * expected, "{value}: {found} beside {expected}");
        }
    }

    #[test]
    fn a_measure_without_a_sign_has_the_rarities_of_its_sizes() {
        let (mut tail, mut sizes) = (SignedTail::new(false), Tail::default());
        for size in exponential(2_000) {
            tail.learn(size);
            sizes.learn(size);
        }
        assert_eq!(
            [0.5, 3.0, 9.0].map(|value| tail.rarity(value)),
            [0.5, 3.0, 9.0].map(|value| sizes.rarity(value))
        );
        assert_eq!(tail.memory_usage(), sizes.memory_usage());
    }
}

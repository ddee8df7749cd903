//! The random numbers of one tree: `SplitMix64`, with eight bytes of state.
//!
//! Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014. It passes
//! `BigCrush`. Its state is one word, which a snapshot stores, and its output is the same on every
//! platform.

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// A `SplitMix64` generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rng {
    state: u64,
}

impl Rng {
    /// Continues the sequence of a generator from its saved state.
    pub(crate) fn from_state(state: u64) -> Self {
        Self { state }
    }

    /// Returns the whole state.
    pub(crate) fn state(self) -> u64 {
        self.state
    }

    /// Returns the generators for the trees of a forest. The seed is mixed first, so that
    /// neighbouring seeds have no generator in common.
    pub(crate) fn for_trees(seed: u64) -> impl Iterator<Item = Self> {
        let mut seeder = Self { state: mix(seed ^ 0x5252_4346_5f72_7321) };
        core::iter::repeat_with(move || Self { state: seeder.next() })
    }

    /// Returns the generator for the choice of the points, which is independent of those of the
    /// trees.
    pub(crate) fn for_sampling(seed: u64) -> Self {
        Self { state: mix(seed ^ 0x7361_6d70_6c69_6e67) }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mix(self.state)
    }

    /// Returns a number in `[0, 1)`, uniform over the multiples of 2⁻⁵³.
    #[inline(always)]
    pub(crate) fn uniform(&mut self) -> f64 {
        self.skip(1);
        to_uniform(mix(self.state))
    }

    /// Skips the next `numbers` numbers.
    #[inline(always)]
    pub(crate) fn skip(&mut self, numbers: u64) {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA.wrapping_mul(numbers));
    }
}

#[inline(always)]
fn to_uniform(bits: u64) -> f64 {
    (bits >> 11) as i64 as f64 * (1.0 / (1_u64 << 53) as f64)
}

#[inline(always)]
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn gives_the_published_sequence() {
        let mut rng = Rng::from_state(1_234_567);
        let drawn: Vec<u64> = (0..3).map(|_| rng.next()).collect();
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn continues_from_a_saved_state() {
        let mut rng = Rng::from_state(7);
        rng.next();
        let mut saved = Rng::from_state(rng.state());
        assert_eq!(rng.uniform().to_bits(), saved.uniform().to_bits());
    }

    #[test]
    fn uniform_stays_below_one() {
        let mut rng = Rng::from_state(99);
        let drawn: Vec<f64> = (0..10_000).map(|_| rng.uniform()).collect();
        assert!(drawn.iter().all(|u| (0.0..1.0).contains(u)));
        let mean = drawn.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "mean {mean}");
    }

    #[test]
    fn neighbouring_seeds_share_no_tree() {
        let mut states: Vec<u64> =
            (0..100).flat_map(|seed| Rng::for_trees(seed).take(100).map(Rng::state)).collect();
        states.sort_unstable();
        states.dedup();
        assert_eq!(states.len(), 10_000);
    }
}

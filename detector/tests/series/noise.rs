//! Deterministic noise. The benchmarks in `bench/` and `nab/` include this file too.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};

/// A small deterministic generator. Equal seeds give equal numbers on every machine.
#[derive(Clone)]
pub(crate) struct Noise(SplitMix64);

impl Noise {
    /// Creates a generator that starts at `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(SplitMix64::seed_from_u64(seed))
    }

    /// Returns a number that is uniform in [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns a number with mean 0 and standard deviation 1, almost normal: the sum of 12 uniform
    /// numbers.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

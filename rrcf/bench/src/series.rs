//! The data for both forests: a daily wave with noise and spikes, continuous or quantised.

use std::f64::consts::TAU;

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// Points per wave: a day in steps of five minutes.
const PERIOD: f64 = 288.0;
const NOISE: f64 = 0.15;
const SPIKE: f64 = 8.0;
const SPIKE_PROBABILITY: f64 = 0.005;
/// Number of points for which a quantised value stays the same.
const HELD: u64 = 3;

/// The resolution of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Full resolution: two points are hardly ever equal.
    Cont,
    /// Rounded to tenths and held for three points, like a slow digital sensor: many points are
    /// equal.
    Quant,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Cont, Self::Quant];

    /// Returns the name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cont => "cont",
            Self::Quant => "quant",
        }
    }
}

/// The number of values in a point of the trees: `sN` is one field with a shingle of N, `mN` is N
/// fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The name in tables.
    pub name: &'static str,
    /// Number of values of a raw point.
    pub fields: usize,
    /// Number of consecutive points that make one point of the trees.
    pub shingle: usize,
}

impl Shape {
    /// All shapes that are measured.
    pub const ALL: [Self; 6] = [
        Self { name: "s1", fields: 1, shingle: 1 },
        Self { name: "s4", fields: 1, shingle: 4 },
        Self { name: "s8", fields: 1, shingle: 8 },
        Self { name: "s16", fields: 1, shingle: 16 },
        Self { name: "s32", fields: 1, shingle: 32 },
        Self { name: "m8", fields: 8, shingle: 1 },
    ];
}

/// An endless series: 20 + 5 sin(2πt / 288) + N(0, 0.15), where one value in 200 is a spike of ±8.
/// Every field has its own phase and noise.
#[derive(Clone, Debug)]
pub struct Series {
    kind: Kind,
    phases: Vec<f64>,
    random: SplitMix64,
    step: u64,
    held: Vec<f32>,
}

impl Series {
    /// Creates a series of points with `fields` values. The same seed gives the same series.
    pub fn new(kind: Kind, fields: usize, seed: u64) -> Self {
        let mut random = SplitMix64::seed_from_u64(seed);
        let phases = (0..fields).map(|_| uniform(&mut random) * PERIOD).collect();
        Self { kind, phases, random, step: 0, held: Vec::new() }
    }

    /// Returns a series that continues from here with different noise.
    #[must_use]
    pub fn fork(&self, seed: u64) -> Self {
        Self { random: SplitMix64::seed_from_u64(seed), ..self.clone() }
    }

    fn value(&mut self, field: usize) -> f32 {
        let angle = (self.step as f64 + self.phases[field]) / PERIOD * TAU;
        let spike = match uniform(&mut self.random) {
            chance if chance < SPIKE_PROBABILITY / 2.0 => SPIKE,
            chance if chance < SPIKE_PROBABILITY => -SPIKE,
            _ => 0.0,
        };
        let value = 20.0 + 5.0 * libm::sin(angle) + NOISE * normal(&mut self.random) + spike;
        match self.kind {
            Kind::Cont => value as f32,
            Kind::Quant => (libm::round(value * 10.0) / 10.0) as f32,
        }
    }
}

impl Iterator for Series {
    type Item = Vec<f32>;

    fn next(&mut self) -> Option<Vec<f32>> {
        if self.kind == Kind::Cont || self.step.is_multiple_of(HELD) {
            self.held = (0..self.phases.len()).map(|field| self.value(field)).collect();
        }
        self.step += 1;
        Some(self.held.clone())
    }
}

/// Returns a number uniform in [0, 1).
fn uniform(random: &mut SplitMix64) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Returns a standard normal number, by the method of Box and Muller.
fn normal(random: &mut SplitMix64) -> f64 {
    let radius = libm::sqrt(-2.0 * libm::log(1.0 - uniform(random)));
    radius * libm::cos(TAU * uniform(random))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(kind: Kind, fields: usize, seed: u64) -> Vec<Vec<f32>> {
        Series::new(kind, fields, seed).take(2_000).collect()
    }

    #[test]
    fn same_seed_same_series() {
        assert_eq!(points(Kind::Cont, 8, 7), points(Kind::Cont, 8, 7));
        assert_ne!(points(Kind::Cont, 8, 7), points(Kind::Cont, 8, 8));
    }

    #[test]
    fn a_fork_goes_on_in_phase_with_another_noise() {
        let mut series = Series::new(Kind::Cont, 1, 7);
        let mut fork = series.fork(8);
        let (mut near, mut equal) = (0, 0);
        for _ in 0..1_000 {
            let (ours, theirs) = (series.next().unwrap()[0], fork.next().unwrap()[0]);
            near += usize::from((ours - theirs).abs() < 1.5);
            equal += usize::from(ours.to_bits() == theirs.to_bits());
        }
        assert!(near > 950 && equal < 10, "{near} near, {equal} equal");
    }

    #[test]
    fn quantised_values_are_tenths_that_stay_for_three_points() {
        for held in points(Kind::Quant, 2, 7).chunks_exact(3) {
            assert!(held.iter().all(|point| *point == held[0]), "{held:?}");
            let tenths = held[0][0] * 10.0;
            assert!((tenths - tenths.round()).abs() < 1e-4, "{tenths}");
        }
    }

    #[test]
    fn about_one_value_in_200_is_a_spike() {
        let spikes = points(Kind::Cont, 8, 7)
            .windows(2)
            .map(|pair| pair[0].iter().zip(&pair[1]).filter(|(a, b)| *b - *a > 4.0).count())
            .sum::<usize>();
        // Each spike rises once, whether it points up or down.
        assert!((40..130).contains(&spikes), "{spikes} in 16,000");
    }
}

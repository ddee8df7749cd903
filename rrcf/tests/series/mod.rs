//! Series that several tests feed to a forest.

#![allow(unreachable_pub, dead_code, reason = "compiled into several programs that each use a part")]

use rrcf_rs::{Forest, Score};

/// Returns a generator of pseudo-random numbers in `[0, 1)`.
pub fn noise_from(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(2) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 16_777_216.0
    }
}

/// Returns a series with noise, a period and a few outliers.
pub fn series(seed: u64, points: usize, dimensions: usize) -> Vec<Vec<f32>> {
    let mut noise = noise_from(seed);
    let mut value = |n: usize, d: usize| {
        let phase = ((n + 17 * d) % 48) as f32 / 48.0;
        let outlier = if n % 131 == 130 { 9.0 } else { 0.0 };
        20.0 + 12.0 * phase * (1.0 - phase) + noise() + outlier
    };
    (0..points).map(|n| (0..dimensions).map(|d| value(n, d)).collect()).collect()
}

/// Inserts all points and returns their scores.
pub fn scores(forest: &mut Forest, points: &[Vec<f32>]) -> Vec<Score> {
    points.iter().map(|point| forest.update(point).expect("the series is finite")).collect()
}

/// The score of a point that is alone: at the root of every tree.
pub const ALONE: Score = Score {
    codisp: 0.0,
    displacement: 0.0,
    depth: 0.0,
    log_codisp: 0.0,
    log_displacement: 0.0,
    inverse_depth: 1.0,
};

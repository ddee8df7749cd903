//! The kinds of calm series on which the general map from surprise to rarity was fitted.

use core::f64::consts::TAU;

use crate::series::{DAY, HOUR, Noise};

/// A kind of series that has no anomalies.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) fields: &'static str,
    /// Returns the values at a time, in microseconds since 1970.
    pub(crate) values: fn(&mut Past, i64, &mut Noise) -> Vec<f64>,
}

/// What a series keeps between readings: its last values or its last noise, the newest first.
pub(crate) type Past = [f64; 4];

pub(super) static KINDS: [Kind; 16] = [
    Kind { name: "normal", fields: "a", values: |_, _, noise| vec![noise.normal()] },
    Kind { name: "exponential", fields: "a", values: |_, _, noise| vec![exponential(noise)] },
    Kind {
        name: "quantised: round(3 × normal)",
        fields: "a",
        values: |_, _, noise| vec![(3.0 * noise.normal()).round()],
    },
    Kind {
        name: "AR(1), φ = 0.8",
        fields: "a",
        values: |past, _, noise| autoregression(past, [0.8, 0.0], noise),
    },
    Kind {
        name: "daily wave of 10 σ, normal noise",
        fields: "a",
        values: |_, at, noise| vec![wave(at, DAY) + noise.normal()],
    },
    Kind {
        name: "three fields of different units",
        fields: "a b c",
        values: |_, _, noise| vec![noise.normal(), 1e6 + 1e3 * noise.normal(), 1e-6 * noise.normal()],
    },
    Kind { name: "uniform", fields: "a", values: |_, _, noise| vec![noise.uniform()] },
    Kind {
        name: "Laplace",
        fields: "a",
        values: |_, _, noise| vec![(noise.uniform() - 0.5).signum() * exponential(noise)],
    },
    Kind { name: "log-normal", fields: "a", values: |_, _, noise| vec![libm::exp(noise.normal())] },
    Kind {
        name: "Student's t, 3 degrees of freedom",
        fields: "a",
        values: |_, _, noise| vec![student(noise)],
    },
    Kind {
        name: "AR(1), φ = 0.95",
        fields: "a",
        values: |past, _, noise| autoregression(past, [0.95, 0.0], noise),
    },
    Kind {
        name: "AR(2), φ = 1.2 and −0.5",
        fields: "a",
        values: |past, _, noise| autoregression(past, [1.2, -0.5], noise),
    },
    Kind {
        name: "MA(4), equal weights",
        fields: "a",
        values: |past, _, noise| {
            push(past, noise.normal());
            vec![past.iter().sum()]
        },
    },
    Kind {
        name: "hourly wave of 10 σ, normal noise",
        fields: "a",
        values: |_, at, noise| vec![wave(at, HOUR) + noise.normal()],
    },
    Kind {
        name: "eight fields, normal",
        fields: "a b c d e f g h",
        values: |_, _, noise| (0..8).map(|_| noise.normal()).collect(),
    },
    Kind {
        name: "13 fields, normal",
        fields: "a b c d e f g h i j k l m",
        values: |_, _, noise| (0..13).map(|_| noise.normal()).collect(),
    },
];

/// Returns a number that is exponential with mean 1.
pub(super) fn exponential(noise: &mut Noise) -> f64 {
    -libm::log(1.0 - noise.uniform())
}

/// Returns a number from Student's t distribution with 3 degrees of freedom. Its variance is finite,
/// its third moment is not.
fn student(noise: &mut Noise) -> f64 {
    let squares = (0..3).map(|_| noise.normal()).map(|normal| normal * normal);
    let mean = squares.sum::<f64>() / 3.0;
    noise.normal() / mean.sqrt()
}

/// Returns the next value of an autoregression with normal noise.
pub(super) fn autoregression(past: &mut Past, coefficients: [f64; 2], noise: &mut Noise) -> Vec<f64> {
    let expected: f64 = coefficients.iter().zip(&*past).map(|(a, b)| a * b).sum();
    push(past, expected + noise.normal());
    vec![past[0]]
}

/// Returns a sine wave with an amplitude of 10.
pub(super) fn wave(at: i64, period: i64) -> f64 {
    10.0 * libm::sin(TAU * at as f64 / period as f64)
}

pub(super) fn push(past: &mut Past, newest: f64) {
    past.rotate_right(1);
    past[0] = newest;
}

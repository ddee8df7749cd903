//! Kinds of calm series on which no part of the detector was fitted: counts, cycles, calendars, noise
//! that comes in bursts, long memories, bounds, and fields that depend on one another.

use core::f64::consts::TAU;

use super::kinds::{Kind, Past, autoregression, exponential, push, wave};
use crate::series::{DAY, HOUR, Noise};

pub(super) static OTHERS: [Kind; 32] = [
    Kind {
        name: "counts: Poisson, mean 0.05",
        fields: "a",
        values: |_, _, noise| vec![poisson(0.05, noise)],
    },
    Kind { name: "counts: Poisson, mean 3", fields: "a", values: |_, _, noise| vec![poisson(3.0, noise)] },
    Kind {
        name: "counts: Poisson, mean 1 to 39 by the time of day",
        fields: "a",
        values: |_, at, noise| vec![poisson(20.0 + 1.9 * wave(at, DAY), noise)],
    },
    Kind {
        name: "counts: Poisson, its mean 3 × product of two exponentials",
        fields: "a",
        values: |_, _, noise| {
            let mean = 3.0 * exponential(noise) * exponential(noise);
            vec![poisson(mean, noise)]
        },
    },
    Kind {
        name: "zero, but one reading in a hundred exponential",
        fields: "a",
        values: |_, _, noise| vec![seldom(0.01, noise)],
    },
    Kind {
        name: "zero, but one reading in five exponential",
        fields: "a",
        values: |_, _, noise| vec![seldom(0.2, noise)],
    },
    Kind {
        name: "normal, spikes of 15 σ about once a day",
        fields: "a",
        values: |_, _, noise| {
            let spike = if noise.uniform() < 1.0 / 1_440.0 { 15.0 } else { 0.0 };
            vec![noise.normal() + spike]
        },
    },
    Kind {
        name: "normal, six bursts a day of 20 readings on average",
        fields: "a",
        values: |past, _, noise| {
            if past[0] > 0.0 {
                past[0] -= 1.0;
            } else if noise.uniform() < 1.0 / 240.0 {
                past[0] = (20.0 * exponential(noise)).ceil();
            }
            vec![if past[0] > 0.0 { 8.0 + 2.0 * noise.normal() } else { noise.normal() }]
        },
    },
    Kind {
        name: "two modes, 40 readings each on average",
        fields: "a",
        values: |past, _, noise| {
            if noise.uniform() < 1.0 / 40.0 {
                past[0] = 1.0 - past[0];
            }
            vec![10.0 * past[0] + noise.normal()]
        },
    },
    Kind { name: "a compressor's cycle", fields: "a", values: |past, _, noise| vec![cycle(past, noise)] },
    Kind {
        name: "a compressor's cycle, rounded to tenths",
        fields: "a",
        values: |past, _, noise| vec![tenths(cycle(past, noise))],
    },
    Kind {
        name: "a wave of about 50 minutes",
        fields: "a",
        values: |past, _, noise| {
            past[0] += TAU / 50.0 * (1.0 + 0.1 * noise.normal());
            vec![10.0 * libm::sin(past[0]) + 0.5 * noise.normal()]
        },
    },
    Kind {
        name: "working hours, five days a week",
        fields: "a",
        values: |_, at, noise| {
            let is_busy = at.div_euclid(DAY).rem_euclid(7) < 5 && (8.0..18.0).contains(&hour(at));
            vec![if is_busy { 50.0 + 5.0 * noise.normal() } else { 10.0 + noise.normal() }]
        },
    },
    Kind {
        name: "eight steps a day",
        fields: "a",
        values: |_, at, noise| vec![libm::floor(hour(at) / 3.0) + 0.05 * noise.normal()],
    },
    Kind {
        name: "a heating with a night setback, tenths",
        fields: "a",
        values: |past, at, noise| {
            let target = if (6.0..22.0).contains(&hour(at)) { 21.0 } else { 17.0 };
            past[0] += (target - past[0]) / 30.0 + 0.05 * noise.normal();
            vec![tenths(past[0])]
        },
    },
    Kind {
        name: "solar power under clouds",
        fields: "a",
        values: |past, at, noise| {
            past[0] = 0.97 * past[0] + 0.24 * noise.normal();
            let clear = 1.0 / (1.0 + libm::exp(-2.0 * past[0]));
            vec![10.0 * (-wave(at, DAY)).max(0.0) * clear]
        },
    },
    Kind {
        name: "noise in proportion to a daily level",
        fields: "a",
        values: |_, at, noise| vec![(1.2 + wave(at, DAY) / 10.0) * (10.0 + 2.0 * noise.normal())],
    },
    Kind {
        name: "a room, tenths",
        fields: "a",
        values: |past, at, noise| {
            past[0] = 0.999 * past[0] + 0.02 * noise.normal();
            vec![tenths(20.0 + past[0] + 0.3 * wave(at, DAY) + 0.03 * noise.normal())]
        },
    },
    Kind {
        name: "GARCH(1, 1), α = 0.1, β = 0.85",
        fields: "a",
        values: |past, _, noise| garch(past, [0.05, 0.1, 0.85], noise),
    },
    Kind {
        name: "GARCH(1, 1), α = 0.25, β = 0.73",
        fields: "a",
        values: |past, _, noise| garch(past, [0.02, 0.25, 0.73], noise),
    },
    Kind {
        name: "the exponential of AR(1), φ = 0.9",
        fields: "a",
        values: |past, _, noise| vec![libm::exp(0.43 * autoregression(past, [0.9, 0.0], noise)[0])],
    },
    Kind {
        name: "random walk",
        fields: "a",
        values: |past, _, noise| autoregression(past, [1.0, 0.0], noise),
    },
    Kind {
        name: "a sum of four AR(1), φ = 0.5 to 0.9995",
        fields: "a",
        values: |past, _, noise| {
            for (value, (phi, size)) in past.iter_mut().zip(TIME_SCALES) {
                *value = phi * *value + size * noise.normal();
            }
            vec![past.iter().sum()]
        },
    },
    Kind {
        name: "a load between 0 and 100 %",
        fields: "a",
        values: |past, _, noise| {
            let load = 60.0 + 8.0 * autoregression(past, [0.9, 0.0], noise)[0];
            vec![load.clamp(0.0, 100.0)]
        },
    },
    Kind {
        name: "a direction, 0 to 360°",
        fields: "a",
        values: |past, _, noise| {
            past[0] = (past[0] + 10.0 * noise.normal()).rem_euclid(360.0);
            vec![past[0]]
        },
    },
    Kind {
        name: "two probes of one value",
        fields: "a b",
        values: |_, _, noise| {
            let value = noise.normal();
            vec![value, value + 0.1 * noise.normal()]
        },
    },
    Kind {
        name: "four fields that follow one another",
        fields: "a b c d",
        values: |past, _, noise| {
            push(past, 0.9 * past[0] + noise.normal());
            let error = [0.0, 0.3, 0.3, 0.3];
            past.iter().zip(error).map(|(value, error)| value + error * noise.normal()).collect()
        },
    },
    Kind { name: "weather: three fields, tenths", fields: "a b c", values: weather },
    Kind {
        name: "ten fields, exponential",
        fields: "a b c d e f g h i j",
        values: |_, _, noise| (0..10).map(|_| exponential(noise)).collect(),
    },
    Kind {
        name: "20 fields, log-normal",
        fields: "a b c d e f g h i j k l m n o p q r s t",
        values: |_, _, noise| (0..20).map(|_| libm::exp(noise.normal())).collect(),
    },
    Kind {
        name: "ten counts, mean 0.02 to 20",
        fields: "a b c d e f g h i j",
        values: |_, _, noise| MEANS.iter().map(|&mean| poisson(mean, noise)).collect(),
    },
    Kind {
        name: "ten fields in proportion to one load",
        fields: "a b c d e f g h i j",
        values: |past, _, noise| {
            let load = libm::exp(0.3 * autoregression(past, [0.95, 0.0], noise)[0]);
            (1..=10).map(|size| load * f64::from(size) * (1.0 + 0.1 * noise.normal())).collect()
        },
    },
];

/// Coefficients and sizes of the noise of a sum of autoregressions.
const TIME_SCALES: [(f64, f64); 4] = [(0.5, 1.0), (0.95, 0.3), (0.995, 0.1), (0.9995, 0.03)];

/// The means of ten counts.
const MEANS: [f64; 10] = [0.02, 0.05, 0.1, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0];

/// Returns the hour of the day, 0 to 24.
fn hour(at: i64) -> f64 {
    at.rem_euclid(DAY) as f64 / HOUR as f64
}

fn tenths(value: f64) -> f64 {
    (10.0 * value).round() / 10.0
}

/// Returns a number from a Poisson distribution: the arrivals within `mean` units of time, if those
/// between two arrivals are exponential with mean 1.
fn poisson(mean: f64, noise: &mut Noise) -> f64 {
    let (mut arrivals, mut time) = (0.0, exponential(noise));
    while time < mean {
        arrivals += 1.0;
        time += exponential(noise);
    }
    arrivals
}

/// Returns a number that is exponential with mean 10 in this share of the cases, and otherwise 0.
fn seldom(share: f64, noise: &mut Noise) -> f64 {
    if noise.uniform() < share { 10.0 * exponential(noise) } else { 0.0 }
}

/// Returns the next temperature of a room that is cooled from 8 to 2 and then warms up again.
fn cycle(past: &mut Past, noise: &mut Noise) -> f64 {
    let [temperature, is_cooling, ..] = past;
    if *temperature > 8.0 {
        *is_cooling = 1.0;
    } else if *temperature < 2.0 {
        *is_cooling = 0.0;
    }
    *temperature += if *is_cooling > 0.0 { -0.35 } else { 0.2 } + 0.03 * noise.normal();
    *temperature + 0.05 * noise.normal()
}

/// Returns the next value of a series of noise whose variance is ω + α × the last square + β × the last
/// variance.
fn garch(past: &mut Past, [omega, alpha, beta]: [f64; 3], noise: &mut Noise) -> Vec<f64> {
    let [value, variance, ..] = past;
    *variance = omega + alpha * *value * *value + beta * *variance;
    *value = variance.sqrt() * noise.normal();
    vec![*value]
}

/// Returns temperature, humidity and pressure.
fn weather(past: &mut Past, at: i64, noise: &mut Noise) -> Vec<f64> {
    let [warmth, pressure, ..] = past;
    *warmth = 0.999 * *warmth + 0.05 * noise.normal();
    *pressure = 0.9995 * *pressure + 0.09 * noise.normal();
    let temperature = 15.0 + *warmth + 0.5 * wave(at, DAY);
    let humidity = 60.0 - 2.0 * (temperature - 15.0) + 0.5 * noise.normal();
    let temperature = temperature + 0.05 * noise.normal();
    [temperature, humidity.clamp(0.0, 100.0), 1_013.0 + *pressure].map(tenths).to_vec()
}

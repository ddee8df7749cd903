//! The inputs to start with: forests of all kinds, at several times of their life.

use rrcf_rs::{Forest, Sampling};

/// The limit byte for 64 MiB.
const ROOMY: u8 = 26;

/// Returns snapshots of both formats, each after its limit byte.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![format_1()];
    let samplings = [Sampling::SlidingWindow, Sampling::Reservoir, Sampling::TimeDecayed { rate: 0.05 }];
    // Dimensions, trees, window, shingle.
    let shapes = [
        (1, 1, 1, 1),
        (1, 2, 12, 1),
        (2, 2, 9, 3),
        (3, 1, 5, 1),
        (1, 2, 60, 2),
        (1, 1, 300, 1),
        (2, 1, 40, 8),
    ];
    for sampling in samplings {
        for (dimensions, trees, window, shingle) in shapes {
            let builder = Forest::builder(dimensions).trees(trees).window(window).shingle(shingle);
            let mut forest =
                builder.seed(9).sampling(sampling).build().expect("the sizes are within the limits");
            seeds.push(input(&forest));
            for n in 0..2 * (window + shingle) {
                let point: Vec<f32> =
                    (0..dimensions).map(|d| ((n * n + 7 * d) % 23) as f32 * 0.3 - 2.0).collect();
                forest.update(&point).expect("the point is finite");
                if n == 1 || n == window / 2 {
                    seeds.push(input(&forest));
                }
            }
            seeds.push(input(&forest));
            let weights: Vec<f32> = (0..dimensions).map(|d| 1.0 / (d + 1) as f32).collect();
            forest.set_weights(&weights).expect("the weights are above zero");
            for n in 0..window / 3 {
                let nearest = forest
                    .neighbours(&vec![n as f32; dimensions], 1)
                    .expect("the point has the right length");
                forest.remove(&nearest[0].point).expect("the point has the right length");
            }
            seeds.push(input(&forest));
            forest.resize(window + 7).expect("the window is within the limits");
            forest.update(&vec![0.5; dimensions]).expect("the point is finite");
            seeds.push(input(&forest));
        }
    }
    seeds
}

fn input(forest: &Forest) -> Vec<u8> {
    let mut input = vec![ROOMY];
    input.extend(forest.snapshot());
    input
}

/// Returns the snapshot of format 1 that the tests of the crate use.
fn format_1() -> Vec<u8> {
    let digits = include_str!("../../src/snapshot/format-1.hex").trim();
    let byte =
        |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("the file has hexadecimal digits");
    std::iter::once(ROOMY).chain((0..digits.len()).step_by(2).map(byte)).collect()
}

//! The forests of `rrcf-rs` that are measured.

use rrcf_rs::{Forest, Sampling};

use crate::contest::{Contestant, Mode, Size};

/// Builds an empty forest.
pub fn build(size: Size, mode: Mode, seed: u64) -> Forest {
    Forest::builder(size.fields)
        .trees(size.trees)
        .window(size.window)
        .shingle(size.shingle)
        .seed(seed)
        .sampling(sampling(mode, size.window))
        .build()
        .expect("sizes within the limits")
}

fn sampling(mode: Mode, window: usize) -> Sampling {
    match mode {
        Mode::Fifo => Sampling::SlidingWindow,
        Mode::Decay => Sampling::TimeDecayed { rate: 0.1 / window as f64 },
    }
}

impl Contestant for Forest {
    fn step(&mut self, point: &[f32]) -> f64 {
        self.update(point).expect("a finite point of the right length").codisp
    }
}

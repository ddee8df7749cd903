//! The forest of one sensor and the scales of its fields: a row of values in, three measures and their causes out.

use rrcf_rs::{Forest, Score};

use crate::scale::{OPENING, Scale};

/// Weights are renewed when one of them is off by more than this factor.
const STALE: f32 = 1.125;

/// A forest over the scaled fields of a sensor.
pub(crate) struct Model {
    pub(crate) scales: Vec<Scale>,
    pub(crate) weights: Vec<f32>,
    pub(crate) forest: Forest,
    point: Vec<f32>,
    by_lag: Vec<f64>,
    contributions: Vec<f64>,
}

impl Model {
    /// Fixes the fields' scales by the first rows, which follow each other in `rows`, and feeds them to the forest.
    pub(crate) fn open(mut forest: Forest, rows: &[f64]) -> Result<(Self, Score), rrcf_rs::Error> {
        let fields = forest.dimensions();
        let columns =
            (0..fields).map(|field| rows.iter().skip(field).step_by(fields).copied().collect::<Vec<_>>());
        let scales: Vec<Scale> = columns.map(|column| Scale::open(&column)).collect();
        let weights: Vec<f32> = scales.iter().map(Scale::weight).collect();
        forest.set_weights(&weights)?;
        let mut model = Self::new(forest, scales, weights);
        let mut score = Score::default();
        for row in rows.chunks_exact(fields) {
            score = model.score(row)?;
        }
        Ok((model, score))
    }

    /// Puts a model together from its parts.
    pub(crate) fn new(forest: Forest, scales: Vec<Scale>, weights: Vec<f32>) -> Self {
        let fields = scales.len();
        let by_lag = vec![0.0; fields * forest.shingle()];
        Self { scales, weights, forest, point: vec![0.0; fields], by_lag, contributions: vec![0.0; fields] }
    }

    /// Scores a row as the newest point of the forest, and learns it. `seq` counts the rows, this one included.
    pub(crate) fn update(&mut self, row: &[f64], seq: u64) -> Result<Score, rrcf_rs::Error> {
        let score = self.score(row)?;
        let memory = (self.forest.window() as u64).max(OPENING as u64);
        let rate = 1.0 / seq.min(memory) as f64;
        for (scale, &value) in self.scales.iter_mut().zip(row) {
            scale.learn(value, rate);
        }
        self.renew_weights()?;
        Ok(score)
    }

    /// Each field's part in the last score, over all lags; sums to 1, or to 0 where nothing stood out.
    pub(crate) fn contributions(&self) -> &[f64] {
        &self.contributions
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.forest.memory_usage()
            + self.scales.capacity() * size_of::<Scale>()
            + (self.weights.capacity() + self.point.capacity()) * size_of::<f32>()
            + (self.by_lag.capacity() + self.contributions.capacity()) * size_of::<f64>()
    }

    fn score(&mut self, row: &[f64]) -> Result<Score, rrcf_rs::Error> {
        for ((at, scale), &value) in self.point.iter_mut().zip(&mut self.scales).zip(row) {
            *at = scale.pass(value);
        }
        let score = self.forest.update_attributed(&self.point, &mut self.by_lag)?;
        self.contributions.fill(0.0);
        for lag in self.by_lag.chunks_exact(self.scales.len()) {
            for (sum, part) in self.contributions.iter_mut().zip(lag) {
                *sum += part;
            }
        }
        Ok(score)
    }

    /// Gives the forest the fields' present weights once they have moved enough to matter.
    fn renew_weights(&mut self) -> Result<(), rrcf_rs::Error> {
        let stale = self.scales.iter().zip(&self.weights).any(|(scale, &old)| {
            let new = scale.weight();
            new > old * STALE || new * STALE < old
        });
        if stale {
            for (weight, scale) in self.weights.iter_mut().zip(&self.scales) {
                *weight = scale.weight();
            }
            self.forest.set_weights(&self.weights)?;
        }
        Ok(())
    }
}

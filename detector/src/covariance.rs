//! The running covariance of the fields' residuals or of their values, and what it makes of a vector
//! of them: its length, which is Hotelling's T², and its product with the inverse.

use serde::{Deserialize, Serialize};

/// Fields that are compared. The time of a reading grows with their square.
const MAX_FIELDS: usize = 64;
/// A number beyond this size counts as this great.
const CLIP: f64 = 6.0;
/// The factors are renewed after this many learnt readings.
const RENEWAL: u32 = 32;
/// Lower bound of a squared factor.
const LEAST: f64 = 1e-6;

/// The covariance of up to [`MAX_FIELDS`] numbers, whose usual size is 1.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Covariance {
    size: usize,
    /// Part of the identity in the covariance that is inverted. It bounds the weight of a combination
    /// that has hardly varied so far.
    shrinkage: f64,
    /// Lower triangle, row by row.
    lower: Vec<f64>,
    /// Learnt readings until the factors are renewed.
    due: u32,
    /// Cholesky factor of the shrunk covariance: lower triangle, row by row.
    factor: Vec<f64>,
    #[serde(skip)]
    solved: Vec<f64>,
}

impl Covariance {
    /// Creates the covariance of the independent numbers of this many fields. `shrinkage` is the part
    /// of the identity in the covariance that is inverted.
    pub(crate) fn new(fields: usize, shrinkage: f64) -> Self {
        let size = fields.min(MAX_FIELDS);
        let identity =
            (0..size).flat_map(|row| (0..=row).map(move |column| f64::from(u8::from(row == column))));
        let lower: Vec<f64> = identity.collect();
        Self { size, shrinkage, factor: lower.clone(), lower, due: 0, solved: Vec::new() }
    }

    /// Returns T² of the numbers: their squared length in units of what is usual for them together.
    pub(crate) fn squared_distance(&mut self, numbers: impl Iterator<Item = f64>) -> f64 {
        self.solved.clear();
        let mut begin = 0;
        let mut sum = 0.0;
        for (row, number) in numbers.take(self.size).enumerate() {
            let factors = &self.factor[begin..=begin + row];
            let known: f64 = factors.iter().zip(&self.solved).map(|(a, b)| a * b).sum();
            let solved = (number - known) / factors[row];
            sum += solved * solved;
            self.solved.push(solved);
            begin += row + 1;
        }
        sum
    }

    /// Returns the product of the inverse of the covariance and a vector.
    pub(crate) fn solve(&mut self, numbers: impl Iterator<Item = f64>) -> &[f64] {
        self.squared_distance(numbers);
        let mut begin = self.factor.len();
        for row in (0..self.size).rev() {
            begin -= row + 1;
            let factors = &self.factor[begin..=begin + row];
            let solved = self.solved[row] / factors[row];
            self.solved[row] = solved;
            for (above, factor) in self.solved[..row].iter_mut().zip(factors) {
                *above -= factor * solved;
            }
        }
        &self.solved
    }

    /// Returns the diagonal of the inverse of the covariance.
    pub(crate) fn inverse_diagonal(&self) -> Vec<f64> {
        // The squared lengths of the columns of the factor's inverse.
        let mut column = vec![0.0; self.size];
        let of_column = |first: usize| {
            let mut begin = first * (first + 1) / 2;
            let mut sum = 0.0;
            for row in first..self.size {
                let factors = &self.factor[begin + first..=begin + row];
                let known: f64 = factors.iter().zip(&column[first..row]).map(|(a, b)| a * b).sum();
                let own = (f64::from(u8::from(row == first)) - known) / factors[row - first];
                column[row] = own;
                sum += own * own;
                begin += row + 1;
            }
            sum
        };
        (0..self.size).map(of_column).collect()
    }

    /// Returns the number of fields that are compared.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Learns a reading's numbers. `rate` is its weight in the running covariance. Returns whether the
    /// inverse is renewed.
    pub(crate) fn learn(&mut self, numbers: &[f64], rate: f64) -> bool {
        let mut cells = self.lower.iter_mut();
        for row in 0..self.size {
            let own = numbers[row].clamp(-CLIP, CLIP);
            for (cell, other) in cells.by_ref().take(row + 1).zip(numbers) {
                *cell += rate * (own * other.clamp(-CLIP, CLIP) - *cell);
            }
        }
        let is_due = self.due == 0;
        if is_due {
            self.renew();
            self.due = RENEWAL;
        }
        self.due -= 1;
        is_due
    }

    /// Takes over the covariances of the fields that stay. `sources` has the index of each field in
    /// `known`.
    pub(crate) fn take_over(&mut self, known: &Self, sources: &[Option<usize>]) {
        let begin = |row: usize| row * (row + 1) / 2;
        for row in 0..self.size {
            for column in 0..=row {
                if let (Some(own), Some(other)) = (sources[row], sources[column])
                    && own.max(other) < known.size
                {
                    let cell = begin(own.max(other)) + own.min(other);
                    self.lower[begin(row) + column] = known.lower[cell];
                }
            }
        }
        self.renew();
    }

    /// Computes the Cholesky factor of the shrunk covariance.
    fn renew(&mut self) {
        let begin = |row: usize| row * (row + 1) / 2;
        self.factor.clone_from(&self.lower);
        for row in 0..self.size {
            for column in 0..=row {
                let (own, other) = (begin(row), begin(column));
                let shrunk = (1.0 - self.shrinkage) * self.lower[own + column];
                let known: f64 = (0..column).map(|k| self.factor[own + k] * self.factor[other + k]).sum();
                self.factor[own + column] = if row == column {
                    (shrunk + self.shrinkage - known).max(LEAST).sqrt()
                } else {
                    (shrunk - known) / self.factor[other + column]
                };
            }
        }
    }

    /// Returns whether this covariance fits a sensor with this many fields. A restored snapshot is
    /// checked with it.
    pub(crate) fn is_sound(&self, fields: usize) -> bool {
        // First, so that nothing below overflows.
        if self.size != fields.min(MAX_FIELDS) || !(0.0..1.0).contains(&self.shrinkage) {
            return false;
        }
        let cells = self.size * (self.size + 1) / 2;
        let diagonal = (0..self.size).map(|row| row * (row + 1) / 2 + row);
        self.lower.len() == cells
            && self.factor.len() == cells
            && self.lower.iter().chain(&self.factor).all(|number| number.is_finite())
            && diagonal.into_iter().all(|cell| self.factor[cell] > 0.0)
    }

    pub(crate) fn memory_usage(&self) -> usize {
        (self.lower.capacity() + self.factor.capacity() + self.solved.capacity()) * size_of::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(covariance: &mut Covariance, residuals: [f64; 2]) -> f64 {
        covariance.squared_distance(residuals.into_iter())
    }

    /// Residuals with a variance of 1 and a correlation of 0.8.
    fn learnt() -> Covariance {
        let mut covariance = Covariance::new(2, 0.05);
        let mut noise = crate::noise::Noise::new(7);
        for _ in 0..20_000 {
            let [own, other] = [noise.normal(), noise.normal()];
            covariance.learn(&[own, 0.8 * own + 0.6 * other], 0.001);
        }
        covariance
    }

    #[test]
    fn before_it_has_learnt_the_distance_is_the_length() {
        assert!((distance(&mut Covariance::new(2, 0.05), [3.0, 4.0]) - 25.0).abs() < 1e-9);
    }

    #[test]
    fn residuals_that_go_apart_are_farther_than_those_that_go_together() {
        let mut covariance = learnt();
        // With the shrinkage, the correlation is 0.76: T² = (x² − 2 · 0.76 x y + y²) / (1 − 0.76²).
        let expected = |x: f64, y: f64| (x * x - 1.52 * x * y + y * y) / (1.0 - 0.76 * 0.76);
        for [x, y] in [[2.0, 2.0], [2.0, -2.0]] {
            let found = distance(&mut covariance, [x, y]);
            assert!((found / expected(x, y) - 1.0).abs() < 0.1, "{x} {y}: {found}");
        }
    }

    #[test]
    fn the_covariance_of_the_fields_that_stay_is_taken_over() {
        let known = learnt();
        let mut covariance = Covariance::new(3, 0.05);
        covariance.take_over(&known, &[Some(1), None, Some(0)]);
        let apart = covariance.squared_distance([2.0, 0.0, -2.0].into_iter());
        let together = covariance.squared_distance([2.0, 0.0, 2.0].into_iter());
        assert!(apart > 5.0 * together, "{apart} {together}");
        assert!(covariance.is_sound(3) && !covariance.is_sound(2));
    }
}

//! What the values of a sensor's fields say of one another: each value beside the one that the
//! other fields make likely.
//!
//! A motor draws a quarter more current than its load explains: each value is usual by itself, and so
//! is its course. Here each value is compared with its linear regression on the values of all other
//! fields in the same reading. The regressions come from one running
//! covariance of the fields' standard scores: with P the inverse of the covariance and z the scores,
//! the error of field i is (P z)ᵢ / Pᵢᵢ.

use serde::{Deserialize, Serialize};

use crate::covariance::Covariance;

/// Shrinkage of the covariance of the values.
const SHRINKAGE: f64 = 0.1;
/// An error beyond this many usual ones counts as this many when it is learnt.
const CLIP: f64 = 6.0;
/// Lower bound of an error's usual size, as a part of the field's standard deviation. Below it there
/// is only rounding.
const LEAST: f64 = 1e-3;

/// The regression of each field on all others.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Relations {
    covariance: Covariance,
    /// The diagonal of the inverse of the covariance.
    precisions: Vec<f64>,
    /// The mean square of each field's error.
    powers: Vec<f64>,
    /// Standard scores of the last reading.
    #[serde(skip)]
    scores: Vec<f64>,
    /// Errors of the last reading, in standard deviations of the fields.
    #[serde(skip)]
    errors: Vec<f64>,
}

impl Relations {
    /// Creates the relations of this many independent fields, at most 64 of which are compared.
    pub(crate) fn new(fields: usize) -> Self {
        let covariance = Covariance::new(fields, SHRINKAGE);
        let precisions = covariance.inverse_diagonal();
        let powers = vec![0.0; precisions.len()];
        Self { covariance, precisions, powers, ..Self::default() }
    }

    /// Compares a reading with the regressions. `scores` are the standard scores of its fields.
    pub(crate) fn observe(&mut self, scores: impl Iterator<Item = f64>) {
        self.scores.clear();
        self.scores.extend(scores);
        self.errors.clear();
        let solved = self.covariance.solve(self.scores.iter().copied());
        self.errors.extend(solved.iter().zip(&self.precisions).map(|(solved, precision)| solved / precision));
    }

    /// Returns the sizes of the last reading's errors, in units of what is usual for each field.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = f64> {
        self.errors.iter().zip(&self.powers).map(|(error, power)| (error / power.sqrt().max(LEAST)).abs())
    }

    /// Learns the last observed reading. `rate` is its weight in the running covariance.
    pub(crate) fn learn(&mut self, rate: f64) {
        for (power, &error) in self.powers.iter_mut().zip(&self.errors) {
            let reach = CLIP * power.sqrt();
            let error = if reach > 0.0 { error.clamp(-reach, reach) } else { error };
            *power += rate * (error * error - *power);
        }
        if self.covariance.learn(&self.scores, rate) {
            self.precisions = self.covariance.inverse_diagonal();
        }
    }

    /// Takes over what is known of the fields that stay. `sources` has the index of each field in
    /// `known`.
    pub(crate) fn take_over(&mut self, known: &Self, sources: &[Option<usize>]) {
        self.covariance.take_over(&known.covariance, sources);
        self.precisions = self.covariance.inverse_diagonal();
        for (own, source) in self.powers.iter_mut().zip(sources) {
            if let Some(other) = source.and_then(|index| known.powers.get(index)) {
                *own = *other;
            }
        }
    }

    /// Returns whether these are consistent relations of this many fields. A restored snapshot is
    /// checked with it.
    pub(crate) fn is_sound(&self, fields: usize) -> bool {
        self.covariance.is_sound(fields)
            && self.precisions.len() == self.covariance.size()
            && self.powers.len() == self.covariance.size()
            && self.precisions.iter().all(|precision| precision.is_finite() && *precision > 0.0)
            && self.powers.iter().all(|power| power.is_finite() && *power >= 0.0)
    }

    /// Returns the memory on the heap, in bytes.
    pub(crate) fn memory_usage(&self) -> usize {
        let numbers = [&self.precisions, &self.powers, &self.scores, &self.errors].map(Vec::capacity);
        self.covariance.memory_usage() + numbers.iter().sum::<usize>() * size_of::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Noise;

    /// Relations that have learnt a field, one that follows it, and one that has nothing to do with
    /// both.
    fn learnt() -> Relations {
        let mut relations = Relations::new(3);
        let mut noise = Noise::new(3);
        for _ in 0..20_000 {
            let [load, own, other] = [noise.normal(), noise.normal(), noise.normal()];
            relations.observe([load, 0.95 * load + 0.31 * own, other].into_iter());
            relations.learn(0.001);
        }
        relations
    }

    fn sizes(relations: &mut Relations, scores: [f64; 3]) -> Vec<f64> {
        relations.observe(scores.into_iter());
        relations.sizes().collect()
    }

    #[test]
    fn usual_values_that_do_not_belong_together_are_far_off() {
        let mut relations = learnt();
        let [together, apart] =
            [[1.5, 1.45, 0.3], [1.5, -1.5, 0.3]].map(|scores| sizes(&mut relations, scores));
        assert!(together.iter().all(|size| *size < 1.0), "{together:?}");
        assert!(apart[0] > 6.0 && apart[1] > 6.0 && apart[2] < 1.0, "{apart:?}");
    }

    #[test]
    fn a_field_without_relations_is_off_by_its_own_value() {
        let far = sizes(&mut learnt(), [0.2, 0.1, 4.0]);
        assert!((far[2] - 4.0).abs() < 0.3 && far[0] < 1.0, "{far:?}");
    }

    #[test]
    fn relations_of_fields_that_stay_are_taken_over() {
        let known = learnt();
        let mut relations = Relations::new(3);
        // The first two fields change places, and the third is new.
        relations.take_over(&known, &[Some(1), Some(0), None]);
        assert!(relations.is_sound(3));
        let [together, apart] = [1.45, -1.45].map(|follower| sizes(&mut relations, [follower, 1.5, 0.0]));
        assert!(together[0] < 1.0 && together[1] < 1.0, "{together:?}");
        assert!(apart[0] > 6.0 && apart[1] > 6.0, "{apart:?}");
    }

    #[test]
    fn at_most_64_fields_are_compared() {
        let mut relations = Relations::new(100);
        relations.observe((0..100).map(f64::from));
        relations.learn(0.1);
        assert_eq!(relations.sizes().count(), 64);
        assert!(relations.is_sound(100));
        assert!(!relations.is_sound(63));
    }
}

//! Queries that leave the forest unchanged.

use alloc::vec::Vec;

use crate::eight::{Baseline, LANES};
use crate::error::Error;
use crate::forest::{Forest, check_length};
use crate::lanes::Probe;
use crate::score::{Score, Tally};
use crate::tree::{Arrival, Work};

/// A point that the forest holds, as returned by [`Forest::neighbours`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Neighbour {
    /// The values of the point; the fields of the oldest point of the shingle come first.
    pub point: Vec<f32>,
    /// The weighted distance: the sum of weight × difference over all dimensions. Cuts use the same
    /// measure.
    pub distance: f64,
    /// The number of points of this value that the forest holds.
    pub count: u32,
}

impl Forest {
    /// Scores a point as [`update`](Forest::update) would if no point had to leave for it. Leaves
    /// the forest unchanged.
    ///
    /// The score depends only on the point and on the state of the forest. Two equal queries give
    /// equal answers.
    ///
    /// # Errors
    ///
    /// Returns [`Error::WrongLength`] or [`Error::NotFinite`].
    pub fn score(&self, point: &[f32]) -> Result<Score, Error> {
        self.check(point)?;
        let Some(shingle) = self.window.shingle_with(&self.store, point) else { return Ok(Score::default()) };
        let mut probe = Probe::new(shingle.len());
        probe.set(&shingle);
        let duplicate = self.trees[0].duplicate(&shingle, &self.pool, &self.store);
        let arrival =
            Arrival { probe: &probe, slot: 0, duplicate, weights: &self.wide_weights, attribute: false };
        let mut work = Work::new(shingle.len());
        let mut tally = Tally::new();
        for tree in &self.trees {
            // SAFETY: the tree, the pool, the store and the weights are those of this forest, and the
            // buffers have the width of the shingle.
            #[allow(unsafe_code, reason = "the trees read their boxes and points without checks")]
            let placement = unsafe {
                if shingle.len() <= LANES {
                    tree.look::<Baseline, 1>(&arrival, &self.pool, &self.store, &mut work)
                } else {
                    tree.look::<Baseline, 0>(&arrival, &self.pool, &self.store, &mut work)
                }
            };
            tally.add(&placement);
        }
        Ok(tally.score())
    }

    /// Returns at most `count` distinct points that are near to `point`, nearest first.
    ///
    /// Every tree proposes the points in the bucket where `point` would go, at most sixteen. The
    /// result holds the nearest of all proposed points. The search is not exact: it misses a near
    /// point if every tree has cut it off. More trees make this less likely.
    ///
    /// # Errors
    ///
    /// Returns [`Error::WrongLength`] or [`Error::NotFinite`].
    pub fn neighbours(&self, point: &[f32], count: usize) -> Result<Vec<Neighbour>, Error> {
        self.check(point)?;
        let Some(shingle) = self.window.shingle_with(&self.store, point) else { return Ok(Vec::new()) };
        let mut slots: Vec<u32> =
            self.trees.iter().flat_map(|tree| tree.slots_in_bucket_of(&shingle, &self.pool)).collect();
        slots.sort_unstable();
        slots.dedup();
        let mut found: Vec<Neighbour> =
            slots.into_iter().map(|slot| self.neighbour(&shingle, slot)).collect();
        found.sort_by(|a, b| {
            let values =
                || a.point.iter().zip(&b.point).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne());
            a.distance.total_cmp(&b.distance).then_with(|| values().unwrap_or(core::cmp::Ordering::Equal))
        });
        found.truncate(count);
        Ok(found)
    }

    /// Returns all distinct points that the forest holds, each with its count. The order is
    /// arbitrary; a restored forest may have another order. The fields of the oldest point of a
    /// shingle come first.
    pub fn points(&self) -> impl Iterator<Item = (&[f32], u32)> {
        let slots = (0..self.store.slots()).map(|slot| (slot, self.store.count(slot)));
        slots.filter(|&(_, count)| count > 0).map(|(slot, count)| (self.store.point(slot), count))
    }

    fn neighbour(&self, point: &[f32], slot: u32) -> Neighbour {
        let values = self.store.point(slot).to_vec();
        Neighbour { point: values, distance: self.distance(point, slot), count: self.store.count(slot) }
    }

    /// Fills in the missing values of a point, given as NaN, and returns how many were missing.
    ///
    /// Every tree leads the point down by the known values. Where a missing value would decide, the
    /// point goes to the side with more points. Each tree so finds one candidate. Candidates that
    /// differ much in the known values are wrong, so only the nearer half of them is used. The
    /// result is the median of their values. A forest without points fills in zeros.
    ///
    /// ```
    /// use rrcf_rs::Forest;
    ///
    /// let mut forest = Forest::builder(2).trees(30).build()?;
    /// for n in 0..300_u16 {
    ///     let load = f32::from(n % 24);
    ///     forest.update(&[load, 10.0 * load])?;
    /// }
    /// let mut point = [7.0, f32::NAN];
    /// assert_eq!(forest.impute(&mut point)?, 1);
    /// assert!((point[1] - 70.0).abs() < 30.0);
    /// forest.update(&point)?;
    /// # Ok::<(), rrcf_rs::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`Error::WrongLength`], or [`Error::NotFinite`] if a value is infinite.
    pub fn impute(&self, point: &mut [f32]) -> Result<usize, Error> {
        check_length("point", point.len(), self.dimensions())?;
        if let Some(dimension) = point.iter().position(|value| value.is_infinite()) {
            return Err(Error::NotFinite { dimension });
        }
        let missing: Vec<usize> = (0..point.len()).filter(|&dimension| point[dimension].is_nan()).collect();
        if missing.is_empty() {
            return Ok(0);
        }
        let shingle = self.window.shingle_with(&self.store, point).filter(|_| !self.is_empty());
        let guesses = shingle.map_or_else(Vec::new, |shingle| self.likely(&shingle));
        let newest = self.store.width() - point.len();
        for &dimension in &missing {
            let mut values: Vec<f32> =
                guesses.iter().map(|&slot| self.store.point(slot)[newest + dimension]).collect();
            values.sort_by(f32::total_cmp);
            point[dimension] = values.get(values.len() / 2).copied().unwrap_or(0.0);
        }
        Ok(missing.len())
    }

    /// Returns the slots of the points that the trees find for a point with missing values: the
    /// half that is nearest in the known values, and all others at the same distance.
    fn likely(&self, point: &[f32]) -> Vec<u32> {
        let found = self.trees.iter().map(|tree| tree.likely(point, &self.pool, &self.store));
        let mut found: Vec<(f64, u32)> = found.map(|slot| (self.distance(point, slot), slot)).collect();
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        let farthest = found[(found.len() - 1) / 2].0;
        found.into_iter().take_while(|&(distance, _)| distance <= farthest).map(|(_, slot)| slot).collect()
    }

    /// Returns the weighted distance between a point and the point at a slot, over the known values
    /// only.
    fn distance(&self, point: &[f32], slot: u32) -> f64 {
        let terms = point.iter().zip(self.store.point(slot)).zip(&self.wide_weights);
        terms
            .filter(|((value, _), _)| !value.is_nan())
            .map(|((&a, &b), &weight)| f64::from(weight) * (f64::from(a) - f64::from(b)).abs())
            .fold(0.0, |sum, term| sum + term)
    }
}

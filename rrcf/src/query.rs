//! Questions to a forest that leave it as it is.

use alloc::vec::Vec;

use crate::eight::{Baseline, LANES};
use crate::error::Error;
use crate::forest::{Forest, check_length};
use crate::lanes::Probe;
use crate::score::{Score, Tally};
use crate::tree::{Arrival, Work};

/// A point that the forest holds, as an answer to [`Forest::neighbours`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Neighbour {
    /// Its values: the fields of the oldest point of the shingle first.
    pub point: Vec<f32>,
    /// Its weighted distance: the sum over all dimensions of weight × difference, which is what cuts measure by.
    pub distance: f64,
    /// How many points of this value the forest holds.
    pub count: u32,
}

impl Forest {
    /// Scores a point as [`update`](Forest::update) would if it came next and nothing had to leave for it, and leaves the forest as it is.
    ///
    /// The score is a function of the point and the forest's state: asked twice, the answer is the same.
    ///
    /// # Errors
    ///
    /// [`Error::WrongLength`] or [`Error::NotFinite`].
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
            let placement = if shingle.len() <= LANES {
                tree.look::<Baseline, 1>(&arrival, &self.pool, &self.store, &mut work)
            } else {
                tree.look::<Baseline, 0>(&arrival, &self.pool, &self.store, &mut work)
            };
            tally.add(&placement);
        }
        Ok(tally.score())
    }

    /// Finds points near to one that might come next, nearest first: at most `count` different ones.
    ///
    /// Every tree offers the points that it has cut off together with it, sixteen at most, and the nearest of all these are the answer.
    /// That is not an exact search: a near point that chance has cut off in every tree is missed. The more trees, the less likely.
    ///
    /// # Errors
    ///
    /// [`Error::WrongLength`] or [`Error::NotFinite`].
    pub fn neighbours(&self, point: &[f32], count: usize) -> Result<Vec<Neighbour>, Error> {
        self.check(point)?;
        let Some(shingle) = self.window.shingle_with(&self.store, point) else { return Ok(Vec::new()) };
        let mut slots: Vec<u32> =
            self.trees.iter().flat_map(|tree| tree.company(&shingle, &self.pool)).collect();
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

    /// All different points that the forest holds, with how many there are of each, in no particular order: that of a restored forest may
    /// be another. The fields of the oldest point of a shingle come first.
    pub fn points(&self) -> impl Iterator<Item = (&[f32], u32)> {
        let slots = (0..self.store.slots()).map(|slot| (slot, self.store.count(slot)));
        slots.filter(|&(_, count)| count > 0).map(|(slot, count)| (self.store.point(slot), count))
    }

    fn neighbour(&self, point: &[f32], slot: u32) -> Neighbour {
        let values = self.store.point(slot).to_vec();
        Neighbour { point: values, distance: self.distance(point, slot), count: self.store.count(slot) }
    }

    /// Fills in the missing values of a point, given as NaN, and returns how many there were.
    ///
    /// Every tree leads the point down by the values that are there, and to the side with more points where a missing one would
    /// have to decide. Where that went wrong, the point found there differs in what is known: of the nearer half of the points found, the
    /// median is filled in. A forest without points fills in zeros.
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
    /// [`Error::WrongLength`], or [`Error::NotFinite`] if a value is infinite.
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

    /// The slots of what the trees take a point with gaps for: of all found, the half that is nearest in the values that are there, and what
    /// is as near.
    fn likely(&self, point: &[f32]) -> Vec<u32> {
        let found = self.trees.iter().map(|tree| tree.likely(point, &self.pool, &self.store));
        let mut found: Vec<(f64, u32)> = found.map(|slot| (self.distance(point, slot), slot)).collect();
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        let farthest = found[(found.len() - 1) / 2].0;
        found.into_iter().take_while(|&(distance, _)| distance <= farthest).map(|(_, slot)| slot).collect()
    }

    /// The weighted distance of a point from the one at a slot, as far as its values are known.
    fn distance(&self, point: &[f32], slot: u32) -> f64 {
        let terms = point.iter().zip(self.store.point(slot)).zip(&self.wide_weights);
        terms
            .filter(|((value, _), _)| !value.is_nan())
            .map(|((&a, &b), &weight)| f64::from(weight) * (f64::from(a) - f64::from(b)).abs())
            .fold(0.0, |sum, term| sum + term)
    }
}

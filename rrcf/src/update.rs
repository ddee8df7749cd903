//! Taking a new point: which point leaves, and whether the new one stays.

use crate::error::Error;
use crate::forest::{Forest, check_length};
use crate::pass::{Leaving, Pass};
use crate::reservoir::Admission;
use crate::score::Score;
use crate::window::Window;

impl Forest {
    /// Inserts a point and scores it among the points held, itself included.
    ///
    /// As long as fewer points than the shingle have come, all parts of the score are zero. A point
    /// that the [sample](crate::Sampling) does not take is scored as if it were taken.
    ///
    /// # Errors
    ///
    /// Returns [`Error::WrongLength`] or [`Error::NotFinite`], and leaves the forest unchanged.
    pub fn update(&mut self, point: &[f32]) -> Result<Score, Error> {
        self.check(point)?;
        Ok(self.take_in(point, true, false, &mut |_, _| {}))
    }

    /// Does the same as [`update`](Forest::update), and also tells which dimensions the score comes
    /// from.
    ///
    /// `contributions` has one value per dimension of the trees, `dimensions * shingle` in all. The
    /// fields of the oldest point of the shingle come first, the fields of the new point last. The
    /// values are not negative and sum to 1, or are all zero if the score is zero. Each tree
    /// credits its collusive displacement to the dimension of the cut between the displaced subtree
    /// and its sibling.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`update`](Forest::update), and [`Error::WrongLength`] for
    /// `contributions`. Leaves the forest and `contributions` unchanged.
    pub fn update_attributed(&mut self, point: &[f32], contributions: &mut [f64]) -> Result<Score, Error> {
        self.attribute(point, true, contributions)
    }

    /// Scores a point and uses it in the following shingles, but does not let the sample take it.
    /// Use this for points that are known to be wrong, such as those of a broken sensor.
    ///
    /// `contributions` is filled as by [`update_attributed`](Forest::update_attributed). A sliding
    /// window holds the last points in any case, so it inserts the point.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`update_attributed`](Forest::update_attributed).
    pub fn observe(&mut self, point: &[f32], contributions: &mut [f64]) -> Result<Score, Error> {
        self.attribute(point, false, contributions)
    }

    fn attribute(&mut self, point: &[f32], learn: bool, contributions: &mut [f64]) -> Result<Score, Error> {
        self.check(point)?;
        check_length("contributions", contributions.len(), self.store.width())?;
        contributions.fill(0.0);
        let mut total = 0.0;
        let score = self.take_in(point, learn, true, &mut |dimension, codisp| {
            contributions[dimension] += codisp;
            total += codisp;
        });
        if total > 0.0 {
            for contribution in contributions {
                *contribution /= total;
            }
        }
        Ok(score)
    }

    /// Inserts a valid point. Calls `credit` once per tree, with the dimension that the collusive
    /// displacement comes from and its value.
    fn take_in(
        &mut self,
        point: &[f32],
        learn: bool,
        attribute: bool,
        credit: &mut impl FnMut(usize, f64),
    ) -> Score {
        let Some((pass, key)) = self.plan(point, learn, attribute) else { return Score::default() };
        let (score, duplicate) = self.run_pass(pass, credit);
        if let Some(slot) = pass.staying {
            self.keep(slot, duplicate, key);
        }
        score
    }

    /// Decides what happens to the new point and to the points held, and counts the leaving point
    /// out of the store. Returns the pass and the key of the new point, or `None` if there is no
    /// full shingle yet.
    fn plan(&mut self, point: &[f32], learn: bool, attribute: bool) -> Option<(Pass, f64)> {
        let Self { window, store, pool, trees, leaving, coming, .. } = self;
        let (mut pass, mut key) =
            (Pass { leaving: Leaving::NoPoint, staying: None, shared_slots: false, attribute }, 0.0);
        match window {
            Window::Sliding(ring) => {
                if ring.len() == ring.window() {
                    let slot = ring.slot(0);
                    if ring.is_gone(slot) {
                        ring.set_gone(slot, false);
                    } else {
                        leaving.set(store.point(slot));
                        let stands = match store.count(slot) {
                            0 => trees[0].duplicate(store.point(slot), pool, store).unwrap_or(slot),
                            _ => slot,
                        };
                        pass.leaving = Leaving::new(store.leave(stands), stands);
                    }
                }
                ring.push(store, point);
                let newest = ring.len().checked_sub(1)?;
                let slot = ring.slot(newest);
                coming.set(store.point(slot));
                pass.staying = Some(slot);
            }
            Window::Sampled(reservoir) => {
                if !reservoir.push(point) {
                    return None;
                }
                coming.set(reservoir.recent());
                pass.shared_slots = true;
                if !learn {
                    return Some((pass, key));
                }
                key = reservoir.draw();
                let free = match reservoir.offer(key) {
                    Admission::Refused => return Some((pass, key)),
                    Admission::Room => None,
                    Admission::Instead(slot) => {
                        leaving.set(store.point(slot));
                        pass.leaving = Leaving::new(store.leave(slot), slot);
                        pass.leaving.leaf()
                    }
                };
                let slot = free.unwrap_or_else(|| reservoir.free_slot(store.places()));
                let places = store.places().max(slot as usize + 1);
                store.extend(places, reservoir.window() + 1);
                store.write(slot as usize, reservoir.recent());
                pass.staying = Some(slot);
            }
        }
        Some((pass, key))
    }

    /// Counts the point in `coming` into the store and the window. The point stands at `slot`, or
    /// shares the slot `duplicate` of an equal point in a sample.
    fn keep(&mut self, slot: u32, duplicate: Option<u32>, key: f64) {
        match (&mut self.window, duplicate) {
            (Window::Sliding(_), _) => self.store.enter(slot, duplicate),
            (Window::Sampled(reservoir), None) => {
                self.store.enter(slot, None);
                reservoir.add(key, slot);
            }
            (Window::Sampled(reservoir), Some(duplicate)) => {
                self.store.enter(duplicate, Some(duplicate));
                reservoir.add(key, duplicate);
                reservoir.release(slot);
            }
        }
    }
}

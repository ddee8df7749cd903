//! A point comes: what leaves, what stays, and the pass over all trees.

#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
use crate::eight::Avx2;
use crate::eight::{Baseline, Eight, LANES};
use crate::forest::check_length;
use crate::reservoir::Verdict;
use crate::score::Tally;
use crate::tree::{Arrival, Departure, TOGETHER, Tree, Work, descend};
use crate::window::Window;
use crate::{Error, Forest, Score};

/// Who leaves the trees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Leaving {
    Nobody,
    /// The point in `leaving`, of whose value there are others.
    One,
    /// The point in `leaving`, the last of its value, and with it the leaf of this slot.
    Last(u32),
}

impl Leaving {
    /// For a point for whose value `slot` stands.
    pub(crate) fn new(last: bool, slot: u32) -> Self {
        if last { Self::Last(slot) } else { Self::One }
    }

    /// The slot of the leaf that goes.
    fn leaf(self) -> Option<u32> {
        if let Self::Last(slot) = self { Some(slot) } else { None }
    }
}

/// What a pass does with the points at hand.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    leaving: Leaving,
    /// Where the point in `coming` stands if it stays; nothing if it is only looked at.
    pub(crate) staying: Option<u32>,
    /// Whether the slot of an equal point stands for the new one too, instead of the other way round.
    shared_slots: bool,
    /// Whether credit is to be given to dimensions.
    attribute: bool,
}

impl Forest {
    /// Takes in a point and scores it among the points held, itself included.
    ///
    /// Until as many points have come as the shingle is long there is nothing to score: the score is zero in all parts. A point that the
    /// [sample](crate::Sampling) does not take in is scored as if it were.
    ///
    /// # Errors
    ///
    /// [`Error::WrongLength`] or [`Error::NotFinite`]; the forest is then unchanged.
    pub fn update(&mut self, point: &[f32]) -> Result<Score, Error> {
        self.check(point)?;
        Ok(self.take_in(point, true, false, &mut |_, _| {}))
    }

    /// Does what [`update`](Forest::update) does and also says which dimensions the score comes from.
    ///
    /// `contributions` has one value per dimension of the trees, `dimensions * shingle`: the fields of the oldest point of the shingle come
    /// first, those of the point just given last. They are zero or more and sum to 1, or are all zero where the score is. Each tree
    /// credits its collusive displacement to the dimension of the cut that parts the displaced subtree from its sibling.
    ///
    /// # Errors
    ///
    /// Those of [`update`](Forest::update), and [`Error::WrongLength`] for `contributions`; the forest and `contributions` are then
    /// unchanged.
    pub fn update_attributed(&mut self, point: &[f32], contributions: &mut [f64]) -> Result<Score, Error> {
        self.attribute(point, true, contributions)
    }

    /// Lets a point pass: it is scored, and is part of the shingles to come, but the sample does not take it in. For points that are
    /// known to be wrong, such as those of a sensor that is broken.
    ///
    /// `contributions` are those of [`update_attributed`](Forest::update_attributed). A sliding window holds what came, whatever it is:
    /// there, the point is taken in.
    ///
    /// # Errors
    ///
    /// Those of [`update_attributed`](Forest::update_attributed).
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

    /// Takes in a valid point. `credit` hears, tree by tree, the collusive displacement and the dimension it comes from.
    fn take_in(
        &mut self,
        point: &[f32],
        learn: bool,
        attribute: bool,
        credit: &mut impl FnMut(usize, f64),
    ) -> Score {
        let Some((step, key)) = self.step(point, learn, attribute) else { return Score::default() };
        let (score, twin) = self.pass(step, credit);
        if let Some(slot) = step.staying {
            self.keep(slot, twin, key);
        }
        score
    }

    /// Decides what becomes of a point and of those held, and counts out who leaves. Nothing if there is no shingle yet.
    fn step(&mut self, point: &[f32], learn: bool, attribute: bool) -> Option<(Step, f64)> {
        let Self { window, store, pool, trees, leaving, coming, .. } = self;
        let (mut step, mut key) =
            (Step { leaving: Leaving::Nobody, staying: None, shared_slots: false, attribute }, 0.0);
        match window {
            Window::Sliding(ring) => {
                if ring.len() == ring.window() {
                    let slot = ring.slot(0);
                    if ring.is_gone(slot) {
                        ring.set_gone(slot, false);
                    } else {
                        leaving.set(store.point(slot));
                        let stands = match store.count(slot) {
                            0 => trees[0].twin(store.point(slot), pool, store).unwrap_or(slot),
                            _ => slot,
                        };
                        step.leaving = Leaving::new(store.leave(stands), stands);
                    }
                }
                ring.push(store, point);
                let newest = ring.len().checked_sub(1)?;
                let slot = ring.slot(newest);
                coming.set(store.point(slot));
                step.staying = Some(slot);
            }
            Window::Sampled(reservoir) => {
                if !reservoir.push(point) {
                    return None;
                }
                coming.set(reservoir.recent());
                step.shared_slots = true;
                if !learn {
                    return Some((step, key));
                }
                key = reservoir.draw();
                let free = match reservoir.offer(key) {
                    Verdict::Refused => return Some((step, key)),
                    Verdict::Room => None,
                    Verdict::Instead(slot) => {
                        leaving.set(store.point(slot));
                        step.leaving = Leaving::new(store.leave(slot), slot);
                        step.leaving.leaf()
                    }
                };
                let slot = free.unwrap_or_else(|| reservoir.free_slot(store.places()));
                let places = store.places().max(slot as usize + 1);
                store.extend(places, reservoir.window() + 1);
                store.write(slot as usize, reservoir.recent());
                step.staying = Some(slot);
            }
        }
        Some((step, key))
    }

    /// Counts the point in `coming` in. Its place is `slot`, if not `twin` has one for it.
    fn keep(&mut self, slot: u32, twin: Option<u32>, key: f64) {
        match (&mut self.window, twin) {
            (Window::Sliding(_), _) => self.store.enter(slot, twin),
            (Window::Sampled(reservoir), None) => {
                self.store.enter(slot, None);
                reservoir.add(key, slot);
            }
            (Window::Sampled(reservoir), Some(twin)) => {
                self.store.enter(twin, Some(twin));
                reservoir.add(key, twin);
                reservoir.release(slot);
            }
        }
    }

    /// Takes the point in `leaving` out of all trees.
    pub(crate) fn let_go(&mut self, leaving: Leaving) {
        let leaf = leaving.leaf();
        let held = self.store.len() as u32;
        for tree in &mut self.trees {
            let ways = &mut self.work.ways;
            descend::<-1>(core::slice::from_mut(tree), ways, self.leaving.point(), held);
            let departure = Departure { probe: &self.leaving, leaf };
            if self.store.width() <= LANES {
                tree.forget::<Baseline, true>(&departure, &mut ways[0], &mut self.pool, &self.store);
            } else {
                tree.forget::<Baseline, false>(&departure, &mut ways[0], &mut self.pool, &self.store);
            }
        }
    }

    /// Takes the point in `leaving` out of all trees and the one in `coming` in, as the step says. Returns the score of the latter,
    /// and the slot that stands for its value so far.
    pub(crate) fn pass(&mut self, step: Step, credit: &mut impl FnMut(usize, f64)) -> (Score, Option<u32>) {
        #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
        if self.wide_registers {
            // SAFETY: the processor has been asked whether it has these.
            #[allow(unsafe_code, reason = "wide registers save a fifth of an update")]
            return unsafe { self.pass_wide(step, credit) };
        }
        self.pass_with::<Baseline>(step, credit)
    }

    /// The same for processors with AVX2 and the bit operations that came with it.
    #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn pass_wide(&mut self, step: Step, credit: &mut impl FnMut(usize, f64)) -> (Score, Option<u32>) {
        self.pass_with::<Avx2>(step, credit)
    }

    #[inline(always)]
    fn pass_with<V: Eight>(
        &mut self,
        step: Step,
        credit: &mut impl FnMut(usize, f64),
    ) -> (Score, Option<u32>) {
        if self.store.width() <= LANES {
            self.pass_through::<V, true>(step, credit)
        } else {
            self.pass_through::<V, false>(step, credit)
        }
    }

    #[inline(always)]
    fn pass_through<V: Eight, const NARROW: bool>(
        &mut self,
        step: Step,
        credit: &mut impl FnMut(usize, f64),
    ) -> (Score, Option<u32>) {
        let Self { store, pool, trees, wide_weights: weights, leaving, coming, work, .. } = self;
        let store = &*store;
        let departure = Departure { probe: leaving, leaf: step.leaving.leaf() };
        let slot = step.staying.unwrap_or(0);
        let mut arrival = Arrival { probe: coming, slot, twin: None, weights, attribute: step.attribute };
        let held = store.len() as u32;
        let Work { ways, aside } = work;
        let mut tally = Tally::new();
        let mut groups = trees.chunks_mut(TOGETHER).enumerate().peekable();
        while let Some((group, trees)) = groups.next() {
            if let Some((_, next)) = groups.peek() {
                next.iter().for_each(Tree::prefetch_nodes);
            }
            if step.leaving != Leaving::Nobody {
                descend::<-1>(trees, ways, departure.probe.point(), held);
                trees.iter().zip(ways.iter()).for_each(|(tree, way)| tree.prefetch(way, pool));
                for (tree, way) in trees.iter_mut().zip(ways.iter_mut()) {
                    tree.forget::<V, NARROW>(&departure, way, pool, store);
                }
            }
            if group == 0 {
                // All trees hold the same points.
                arrival.twin = trees[0].twin(arrival.probe.point(), pool, store);
                if let (Some(twin), true) = (arrival.twin, step.shared_slots) {
                    arrival.slot = twin;
                }
            }
            if step.staying.is_some() {
                descend::<1>(trees, ways, arrival.probe.point(), held);
                trees.iter().zip(ways.iter()).for_each(|(tree, way)| tree.prefetch(way, pool));
                for (tree, way) in trees.iter_mut().zip(ways.iter()) {
                    let placement = tree.insert::<V, NARROW>(&arrival, way, pool, store, aside);
                    credit(placement.dimension as usize, placement.codisp);
                    tally.add(&placement);
                }
            } else {
                descend::<0>(trees, ways, arrival.probe.point(), held);
                trees.iter().zip(ways.iter()).for_each(|(tree, way)| tree.prefetch(way, pool));
                for (tree, way) in trees.iter_mut().zip(ways.iter()) {
                    let placement = tree.place::<V, NARROW>(&arrival, way, pool, store, aside);
                    credit(placement.dimension as usize, placement.codisp);
                    tally.add(&placement);
                }
            }
        }
        (tally.score(), arrival.twin)
    }
}

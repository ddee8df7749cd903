//! The pass over all trees that removes one point and inserts another.

#![allow(unsafe_code, reason = "the trees read their boxes and points without checks")]

use core::marker::PhantomData;

#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
use crate::eight::Avx2;
use crate::eight::{Baseline, Eight, Job, LANES};
use crate::forest::Forest;
use crate::score::{Score, Tally};
use crate::store::Store;
use crate::tree::{Arrival, Aside, Departure, Nest, Placement, Pool, TOGETHER, Tree, Ways, Work, descend};

/// The point that leaves the trees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Leaving {
    NoPoint,
    /// The point in `leaving`; equal points stay.
    One,
    /// The point in `leaving`, the last of its value. The leaf of this slot leaves with it.
    Last(u32),
}

impl Leaving {
    /// Creates this for a point whose value is represented by `slot`.
    pub(crate) fn new(last: bool, slot: u32) -> Self {
        if last { Self::Last(slot) } else { Self::One }
    }

    /// Returns the slot of the leaf that leaves with the point.
    pub(crate) fn leaf(self) -> Option<u32> {
        if let Self::Last(slot) = self { Some(slot) } else { None }
    }
}

/// What a pass does with the points in `leaving` and `coming`.
#[derive(Clone, Copy)]
pub(crate) struct Pass {
    pub(crate) leaving: Leaving,
    /// The slot of the point in `coming` if it stays, or `None` if it is only scored.
    pub(crate) staying: Option<u32>,
    /// Whether the slot of an equal point represents the new point too, instead of the other way
    /// round.
    pub(crate) shared_slots: bool,
    /// Whether the pass credits the collusive displacement to dimensions.
    pub(crate) attribute: bool,
}

impl Forest {
    /// Removes the point in `leaving` from all trees.
    pub(crate) fn let_go(&mut self, leaving: Leaving) {
        let Self { store, pool, trees, leaving: probe, work, .. } = self;
        let departure = Departure { probe, leaf: leaving.leaf() };
        let held = store.len() as u32;
        for trees in trees.chunks_mut(TOGETHER) {
            let ways = &mut work.ways;
            // SAFETY: a probe of a forest has its width.
            unsafe { descend::<-1>(trees, ways, departure.probe.point(), held) };
            Forget::<Baseline, 0> { trees, ways, departure: &departure, pool, store, kind: PhantomData }
                .run();
        }
    }

    /// Removes the point in `leaving` from all trees and inserts the one in `coming`, as `pass`
    /// says. Returns the score of the new point, and the slot that represented its value before.
    pub(crate) fn run_pass(
        &mut self,
        pass: Pass,
        credit: &mut impl FnMut(usize, f64),
    ) -> (Score, Option<u32>) {
        #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
        if self.wide_registers {
            // SAFETY: `wide_registers` is set only after the processor has been asked for these
            // features.
            return unsafe { self.run_pass_wide(pass, credit) };
        }
        self.run_pass_with::<Baseline>(pass, credit)
    }

    /// Does the same on processors with AVX2 and the bit operations that came with it.
    #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn run_pass_wide(&mut self, pass: Pass, credit: &mut impl FnMut(usize, f64)) -> (Score, Option<u32>) {
        self.run_pass_with::<Avx2>(pass, credit)
    }

    /// Does the same with the vectors `V`. From here on, `EIGHTS` is the number of vectors that a
    /// point takes if specialised code exists for that number, and 0 otherwise. Loops with a length
    /// known at compile time take a quarter less time.
    #[inline(always)]
    fn run_pass_with<V: Eight>(
        &mut self,
        pass: Pass,
        credit: &mut impl FnMut(usize, f64),
    ) -> (Score, Option<u32>) {
        match self.store.width().div_ceil(LANES) {
            1 => self.run_pass_through::<V, 1>(pass, credit),
            2 if V::WIDE => self.run_pass_through::<V, 2>(pass, credit),
            3 if V::WIDE => self.run_pass_through::<V, 3>(pass, credit),
            4 if V::WIDE => self.run_pass_through::<V, 4>(pass, credit),
            _ => self.run_pass_through::<V, 0>(pass, credit),
        }
    }

    #[inline(always)]
    fn run_pass_through<V: Eight, const EIGHTS: usize>(
        &mut self,
        pass: Pass,
        credit: &mut impl FnMut(usize, f64),
    ) -> (Score, Option<u32>) {
        let Self { store, pool, trees, wide_weights: weights, leaving, coming, work, .. } = self;
        let store = &*store;
        let departure = Departure { probe: leaving, leaf: pass.leaving.leaf() };
        let slot = pass.staying.unwrap_or(0);
        let mut arrival =
            Arrival { probe: coming, slot, duplicate: None, weights, attribute: pass.attribute };
        let held = store.len() as u32;
        let Work { ways, aside } = work;
        let mut tally = Tally::new();
        // An estimate of the nodes per tree, the same for every tree, so that the processor
        // predicts the end of the loop.
        let nodes = pool.boxes_held() / trees.len() * 9 / 8 + 2;
        let mut groups = trees.chunks_mut(TOGETHER).enumerate().peekable();
        while let Some((group, trees)) = groups.next() {
            if let Some((_, next)) = groups.peek() {
                next.iter().for_each(|tree| tree.prefetch_nodes(nodes));
            }
            if pass.leaving != Leaving::NoPoint {
                V::apart(Descend::<-1> { trees, ways, point: departure.probe.point(), held });
                prefetch(trees, ways, pool);
                let departure = &departure;
                V::apart(Forget::<V, EIGHTS> { trees, ways, departure, pool, store, kind: PhantomData });
            }
            let point = arrival.probe.point();
            if pass.staying.is_some() {
                V::apart(Descend::<1> { trees, ways, point, held });
            } else {
                V::apart(Descend::<0> { trees, ways, point, held });
            }
            prefetch(trees, ways, pool);
            if group == 0 {
                // All trees hold the same points.
                arrival.duplicate = ways.way(0).duplicate(point, pool, store);
                if let (Some(duplicate), true) = (arrival.duplicate, pass.shared_slots) {
                    arrival.slot = duplicate;
                }
            }
            if arrival.duplicate.is_none() && store.is_large() {
                prefetch_points(trees.len(), ways, pool, store);
            }
            let mut room = [Placement::AT_ROOT; TOGETHER];
            let (placements, arrival, kind) = (&mut room[..trees.len()], &arrival, PhantomData);
            if pass.staying.is_some() {
                V::apart(Insert::<V, EIGHTS> { trees, ways, arrival, pool, store, aside, placements, kind });
            } else {
                V::apart(Place::<V, EIGHTS> { trees, ways, arrival, pool, store, aside, placements, kind });
            }
            for placement in &room[..trees.len()] {
                credit(placement.dimension as usize, placement.codisp);
                tally.add(placement);
            }
        }
        (tally.score(), arrival.duplicate)
    }
}

/// Prefetches the memory that is needed after a descent.
#[inline(always)]
fn prefetch(trees: &[Tree], ways: &Ways, pool: &Pool) {
    for (number, tree) in trees.iter().enumerate() {
        tree.prefetch(&ways.way(number), pool);
    }
}

/// Prefetches the points in the buckets where some ways end.
#[inline(always)]
fn prefetch_points(trees: usize, ways: &Ways, pool: &Pool, store: &Store) {
    for number in 0..trees {
        ways.way(number).prefetch_points(pool, store);
    }
}

// Only `let_go` and `run_pass_through` make the jobs below, from the parts of one forest as `tree`
// asks for them. The probes, the buffers and the weights of a forest have the width of its store,
// `EIGHTS` is 0 or chosen by this width, and the ways are those of the point that has just descended
// the same trees.

/// A point descends some trees: see [`descend`].
struct Descend<'a, const CHANGE: i32> {
    trees: &'a mut [Tree],
    ways: &'a mut Ways,
    point: &'a [f32],
    held: u32,
}

impl<const CHANGE: i32> Job for Descend<'_, CHANGE> {
    #[inline(always)]
    fn run(self) {
        // SAFETY: the trees and the point are parts of one forest.
        unsafe { descend::<CHANGE>(self.trees, self.ways, self.point, self.held) };
    }
}

/// Some trees forget a point that has descended them.
struct Forget<'a, V, const EIGHTS: usize> {
    trees: &'a mut [Tree],
    ways: &'a Ways,
    departure: &'a Departure<'a>,
    pool: &'a mut Pool,
    store: &'a Store,
    kind: PhantomData<V>,
}

impl<V: Eight, const EIGHTS: usize> Job for Forget<'_, V, EIGHTS> {
    #[inline(always)]
    fn run(self) {
        let Self { trees, ways, departure, pool, store, .. } = self;
        let mut left = [0; TOGETHER];
        for (number, tree) in trees.iter_mut().enumerate() {
            // SAFETY: all are parts of one forest. A leaf departs with the last point of its value,
            // which every tree holds, so its way ends there.
            left[number] = unsafe { tree.forget(departure, ways.way(number), pool) };
        }
        if departure.leaf.is_some() {
            for (number, tree) in trees.iter().enumerate() {
                let way = ways.way(number).first(left[number]);
                // SAFETY: all are parts of one forest, and these nodes of the way remain.
                unsafe { tree.shrink::<V, EIGHTS>(departure.probe, pool, store, &way) };
            }
        }
    }
}

/// Some trees insert a point that has descended them.
struct Insert<'a, V, const EIGHTS: usize> {
    trees: &'a mut [Tree],
    ways: &'a Ways,
    arrival: &'a Arrival<'a>,
    pool: &'a mut Pool,
    store: &'a Store,
    aside: &'a mut Aside,
    placements: &'a mut [Placement],
    kind: PhantomData<V>,
}

impl<V: Eight, const EIGHTS: usize> Job for Insert<'_, V, EIGHTS> {
    #[inline(always)]
    fn run(self) {
        let Self { trees, ways, arrival, pool, store, aside, placements, .. } = self;
        let mut nest = Nest::EMPTY;
        for ((number, tree), placement) in trees.iter_mut().enumerate().zip(placements) {
            let way = ways.way(number);
            nest.enter::<V, EIGHTS>(arrival, &way, pool, store, aside);
            // SAFETY: all are parts of one forest, and the nest is that of this way.
            *placement = unsafe { tree.insert::<V, EIGHTS>(arrival, (&way, &nest), pool, store, aside) };
        }
    }
}

/// Some trees score a point that has descended them, without inserting it.
struct Place<'a, V, const EIGHTS: usize> {
    trees: &'a mut [Tree],
    ways: &'a Ways,
    arrival: &'a Arrival<'a>,
    pool: &'a Pool,
    store: &'a Store,
    aside: &'a mut Aside,
    placements: &'a mut [Placement],
    kind: PhantomData<V>,
}

impl<V: Eight, const EIGHTS: usize> Job for Place<'_, V, EIGHTS> {
    #[inline(always)]
    fn run(self) {
        let Self { trees, ways, arrival, pool, store, aside, placements, .. } = self;
        let mut nest = Nest::EMPTY;
        for ((number, tree), placement) in trees.iter_mut().enumerate().zip(placements) {
            let way = ways.way(number);
            nest.enter::<V, EIGHTS>(arrival, &way, pool, store, aside);
            // SAFETY: all are parts of one forest, and the nest is that of this way.
            *placement = unsafe { tree.place::<V, EIGHTS>(arrival, (&way, &nest), pool, store, aside) };
        }
    }
}

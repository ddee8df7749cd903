//! The pass over all trees that takes a point out and another one in.

use core::marker::PhantomData;

#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
use crate::eight::Avx2;
use crate::eight::{Baseline, Eight, Job, LANES};
use crate::forest::Forest;
use crate::score::{Score, Tally};
use crate::store::Store;
use crate::tree::{Arrival, Aside, Departure, Nest, Placement, Pool, TOGETHER, Tree, Ways, Work, descend};

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
    pub(crate) fn leaf(self) -> Option<u32> {
        if let Self::Last(slot) = self { Some(slot) } else { None }
    }
}

/// What a pass does with the points at hand.
#[derive(Clone, Copy)]
pub(crate) struct Pass {
    pub(crate) leaving: Leaving,
    /// Where the point in `coming` stands if it stays; nothing if it is only looked at.
    pub(crate) staying: Option<u32>,
    /// Whether the slot of an equal point stands for the new one too, instead of the other way round.
    pub(crate) shared_slots: bool,
    /// Whether credit is to be given to dimensions.
    pub(crate) attribute: bool,
}

impl Forest {
    /// Takes the point in `leaving` out of all trees.
    pub(crate) fn let_go(&mut self, leaving: Leaving) {
        let Self { store, pool, trees, leaving: probe, work, .. } = self;
        let departure = Departure { probe, leaf: leaving.leaf() };
        let held = store.len() as u32;
        for trees in trees.chunks_mut(TOGETHER) {
            let ways = &mut work.ways;
            descend::<-1>(trees, ways, departure.probe.point(), held);
            Forget::<Baseline, 0> { trees, ways, departure: &departure, pool, store, kind: PhantomData }
                .run();
        }
    }

    /// Takes the point in `leaving` out of all trees and the one in `coming` in, as the step says. Returns the score of the latter,
    /// and the slot that stands for its value so far.
    pub(crate) fn run_pass(
        &mut self,
        pass: Pass,
        credit: &mut impl FnMut(usize, f64),
    ) -> (Score, Option<u32>) {
        #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
        if self.wide_registers {
            // SAFETY: the processor has been asked whether it has these.
            #[allow(unsafe_code, reason = "wide registers save a fifth of an update")]
            return unsafe { self.run_pass_wide(pass, credit) };
        }
        self.run_pass_with::<Baseline>(pass, credit)
    }

    /// The same for processors with AVX2 and the bit operations that came with it.
    #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn run_pass_wide(&mut self, pass: Pass, credit: &mut impl FnMut(usize, f64)) -> (Score, Option<u32>) {
        self.run_pass_with::<Avx2>(pass, credit)
    }

    /// The same with vectors of a kind. From here on, `EIGHTS` is how many of them a point takes, if there is code of its own for so many,
    /// and else 0: loops whose end the compiler knows take a quarter less time.
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
        // About as many as a tree has, and as many for every tree: a loop whose end can be foreseen.
        let nodes = pool.boxes_held() / trees.len() * 9 / 8 + 2;
        let mut groups = trees.chunks_mut(TOGETHER).enumerate().peekable();
        while let Some((group, trees)) = groups.next() {
            if let Some((_, next)) = groups.peek() {
                next.iter().for_each(|tree| tree.prefetch_nodes(nodes));
            }
            if pass.leaving != Leaving::Nobody {
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

/// Lets the processor fetch what is needed after a descent.
#[inline(always)]
fn prefetch(trees: &[Tree], ways: &Ways, pool: &Pool) {
    for (number, tree) in trees.iter().enumerate() {
        tree.prefetch(&ways.way(number), pool);
    }
}

/// Lets the processor fetch the points in the buckets that some ways end in.
#[inline(always)]
fn prefetch_points(trees: usize, ways: &Ways, pool: &Pool, store: &Store) {
    for number in 0..trees {
        ways.way(number).prefetch_points(pool, store);
    }
}

/// A point goes down some trees: see [`descend`].
struct Descend<'a, const CHANGE: i32> {
    trees: &'a mut [Tree],
    ways: &'a mut Ways,
    point: &'a [f32],
    held: u32,
}

impl<const CHANGE: i32> Job for Descend<'_, CHANGE> {
    #[inline(always)]
    fn run(self) {
        descend::<CHANGE>(self.trees, self.ways, self.point, self.held);
    }
}

/// Some trees forget a point that has gone down them.
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
            left[number] = tree.forget(departure, ways.way(number), pool);
        }
        if departure.leaf.is_some() {
            for (number, tree) in trees.iter().enumerate() {
                let way = ways.way(number).first(left[number]);
                tree.shrink::<V, EIGHTS>(departure.probe, pool, store, &way);
            }
        }
    }
}

/// A point that has gone down some trees comes into them.
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
            *placement = tree.insert::<V, EIGHTS>(arrival, (&way, &nest), pool, store, aside);
        }
    }
}

/// A point that has gone down some trees is only looked at.
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
            *placement = tree.place::<V, EIGHTS>(arrival, (&way, &nest), pool, store, aside);
        }
    }
}

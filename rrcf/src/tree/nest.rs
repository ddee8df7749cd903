//! The way of a point through a bucket, down to a leaf.

#![allow(unsafe_code, reason = "the leaves of a bucket are read without checks")]

use super::arrival::Arrival;
use super::bucket::CAPACITY;
use super::descend::Way;
use super::link::Link;
use super::placement::better;
use super::pool::Pool;
use super::view::View;
use super::work::Aside;
use crate::eight::Eight;
use crate::lanes::Probe;
use crate::store::Store;

/// The nested stretches of a bucket's leaves that a point passes on its way to a leaf.
#[derive(Clone)]
pub(crate) struct Nest {
    /// Number of gaps passed. The stretch at this depth is a single leaf.
    pub(super) depth: usize,
    levels: [Level; CAPACITY],
    /// Number of points in the stretch at each depth.
    masses: [u32; CAPACITY],
    /// The largest displacement per point down to each depth, including the point itself.
    codisps: [f64; CAPACITY],
}

/// The stretch at one depth.
#[derive(Clone, Copy)]
struct Level {
    /// First and last leaf of the stretch.
    first: u8,
    last: u8,
    /// The gap that divides the stretch.
    gap: u8,
    /// Pads the struct to four bytes.
    _spare: u8,
}

impl Nest {
    pub(crate) const EMPTY: Self = Self {
        depth: 0,
        levels: [Level { first: 0, last: 0, gap: 0, _spare: 0 }; CAPACITY],
        masses: [0; CAPACITY],
        codisps: [0.0; CAPACITY],
    };

    /// Follows the way of a point through the bucket where its way through the nodes ends. Does
    /// nothing in an empty tree.
    #[inline(always)]
    pub(crate) fn enter<V: Eight, const EIGHTS: usize>(
        &mut self,
        arrival: &Arrival,
        way: &Way,
        pool: &Pool,
        store: &Store,
        aside: &mut Aside,
    ) {
        if way.end != Link::NOTHING {
            let bucket = pool.view(way.end, &mut aside.leaf);
            self.follow::<V, EIGHTS>(&bucket, arrival.probe, way, store);
        }
    }

    #[inline(always)]
    fn follow<V: Eight, const EIGHTS: usize>(
        &mut self,
        bucket: &View,
        probe: &Probe,
        way: &Way,
        store: &Store,
    ) {
        // Computes the side of the point at every cut, also at cuts that are not on its way, so
        // that no step waits for a comparison.
        let mut descent = bucket.levels.descent(bucket.len, bucket.sides::<V, EIGHTS>(probe));
        let (mut first, mut last) = (0, bucket.len - 1);
        let distinct = store.all_distinct();
        let mass_of = |first: usize, last: usize| {
            // SAFETY: a bucket has at most `CAPACITY` leaves, and a descent goes down to a gap of at
            // most `CAPACITY`, where the left stretch ends.
            if distinct { (last - first + 1) as u32 } else { unsafe { bucket.mass(first, last, store) } }
        };
        let mut mass = mass_of(first, last);
        let mut codisp = way.codisp;
        if way.nodes > 0 {
            codisp = better(codisp, way.mass - mass - 1, mass + 1);
        }
        let mut depth = 0;
        loop {
            let step = descent.step();
            let gap = step.map_or(0, |(gap, _)| gap);
            self.levels[depth % CAPACITY] =
                Level { first: first as u8, last: last as u8, gap: gap as u8, _spare: 0 };
            self.masses[depth % CAPACITY] = mass;
            self.codisps[depth % CAPACITY] = codisp;
            let Some((gap, right)) = step else { break };
            first = if right { gap + 1 } else { first };
            last = if right { last } else { gap };
            let above = mass;
            mass = mass_of(first, last);
            codisp = better(codisp, above - mass, mass + 1);
            depth += 1;
        }
        self.depth = depth;
    }

    /// Returns the first and the last leaf of the stretch at a depth.
    #[inline(always)]
    pub(super) fn stretch(&self, depth: usize) -> (usize, usize) {
        let Level { first, last, .. } = self.levels[depth % CAPACITY];
        (usize::from(first), usize::from(last))
    }

    /// Returns the leaf where the way ends.
    #[inline(always)]
    pub(super) fn leaf(&self) -> usize {
        self.stretch(self.depth).0
    }

    #[inline(always)]
    pub(super) fn gap(&self, depth: usize) -> usize {
        usize::from(self.levels[depth % CAPACITY].gap)
    }

    #[inline(always)]
    pub(super) fn mass(&self, depth: usize) -> u32 {
        self.masses[depth % CAPACITY]
    }

    #[inline(always)]
    pub(super) fn codisp(&self, depth: usize) -> f64 {
        self.codisps[depth % CAPACITY]
    }
}

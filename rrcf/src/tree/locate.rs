//! Finding the place of a point in a tree.

#![allow(unsafe_code, reason = "buckets and boxes are read and written without checks")]

use super::arrival::Arrival;
use super::bucket::CAPACITY;
use super::descend::Way;
use super::link::Link;
use super::nest::Nest;
use super::nodes::Tree;
use super::placement::{Placement, better};
use super::pool::Pool;
use super::view::View;
use super::work::{Aside, Boxes, Work};
use crate::eight::Eight;
use crate::lanes::{Cut, Probe};
use crate::rng::Rng;
use crate::store::Store;

/// The place of a point.
pub(super) enum Spot {
    /// The root of an empty tree.
    Root,
    /// The leaf at the end of the way, whose points are equal to this one.
    Leaf,
    /// Above the node with this index in the path. The cut separates the point from everything
    /// below.
    Node(usize, Cut),
    /// Above the stretch of the bucket at this depth. The cut separates the point from that
    /// stretch.
    Bucket(usize, Cut),
}

impl Tree {
    /// Returns the placement that a point would have if it were inserted. Its way is known, and the
    /// nodes on the way do not count it.
    ///
    /// # Safety
    ///
    /// The tree and all arguments must be [parts of one forest](super).
    #[inline(always)]
    pub(crate) unsafe fn place<V: Eight, const EIGHTS: usize>(
        &mut self,
        arrival: &Arrival,
        way: (&Way, &Nest),
        pool: &Pool,
        store: &Store,
        aside: &mut Aside,
    ) -> Placement {
        let mut rng = self.rng;
        // SAFETY: the caller promises parts of one forest.
        let (_, placement) =
            unsafe { self.find::<V, EIGHTS, false>(arrival, way, pool, store, aside, &mut rng) };
        self.rng = rng;
        placement
    }

    /// Does the same for a query: it finds the way itself and keeps the random numbers of the tree.
    ///
    /// # Panics
    ///
    /// Panics if the point does not have the width of the store.
    ///
    /// # Safety
    ///
    /// The tree and all arguments must be [parts of one forest](super), except for the width of the
    /// point, which is checked.
    pub(crate) unsafe fn look<V: Eight, const EIGHTS: usize>(
        &self,
        arrival: &Arrival,
        pool: &Pool,
        store: &Store,
        work: &mut Work,
    ) -> Placement {
        let Work { ways, aside } = work;
        let point = arrival.probe.point();
        assert_eq!(point.len(), store.width(), "the point has the width of the forest");
        // SAFETY: the point has the width of the forest, as was just checked.
        unsafe { self.walk(point, store.len() as u32, ways, 0) };
        let (way, mut nest) = (ways.way(0), Nest::EMPTY);
        nest.enter::<V, EIGHTS>(arrival, &way, pool, store, aside);
        let mut rng = self.rng;
        // SAFETY: the caller promises parts of one forest, and way and nest are those of the point.
        unsafe { self.find::<V, EIGHTS, false>(arrival, (&way, &nest), pool, store, aside, &mut rng).1 }
    }

    /// Returns the place of a point whose way is known, and its placement. `COUNTED` tells whether
    /// the nodes on the way count it already.
    ///
    /// # Safety
    ///
    /// The tree and all arguments must be [parts of one forest](super).
    #[inline(always)]
    pub(super) unsafe fn find<V: Eight, const EIGHTS: usize, const COUNTED: bool>(
        &self,
        arrival: &Arrival,
        (way, nest): (&Way, &Nest),
        mut boxes_above: impl BoxesAbove,
        store: &Store,
        aside: &mut Aside,
        rng: &mut Rng,
    ) -> (Spot, Placement) {
        if way.end == Link::NOTHING {
            return (Spot::Root, Placement::AT_ROOT);
        }
        let Aside { leaf, boxes } = aside;
        let spot = if arrival.duplicate.is_some() {
            Spot::Leaf
        } else {
            let bucket = boxes_above.pool().view(way.end, leaf);
            // SAFETY: the caller promises parts of one forest. So the way leads to this bucket of the
            // tree and the nest to a leaf of it, for which the boxes are run before they are used.
            unsafe {
                boxes.run::<V, EIGHTS>(&bucket, nest.leaf(), store);
                self.locate::<V, EIGHTS>(arrival, way, nest, &mut boxes_above, boxes, rng)
            }
        };
        let mut placement = self.placement::<COUNTED>(&spot, way, nest);
        if arrival.attribute {
            let bucket = boxes_above.pool().view(way.end, leaf);
            placement.dimension = self.origin::<COUNTED>(&spot, way, nest, &bucket);
        }
        (spot, placement)
    }

    /// Finds the place of a point that has no equal. If the point stays, all boxes on its way grow
    /// to contain it.
    ///
    /// The search begins at the uppermost box that does not contain the point. At each subtree it
    /// draws a cut through the box grown by the point. If the cut falls between the old box and the
    /// point, it separates the two and the search ends. Otherwise the existing cut stays. This
    /// makes the tree a sample of the same distribution as a tree built from scratch (Guha et al.
    /// 2016, theorem 3).
    ///
    /// # Safety
    ///
    /// The tree and all arguments must be [parts of one forest](super). [`Boxes::run`] must have run
    /// for the bucket of the nest with the same `EIGHTS`.
    #[inline(always)]
    unsafe fn locate<V: Eight, const EIGHTS: usize>(
        &self,
        arrival: &Arrival,
        way: &Way,
        nest: &Nest,
        boxes_above: &mut impl BoxesAbove,
        boxes: &mut Boxes,
        rng: &mut Rng,
    ) -> Spot {
        let (probe, weights) = (arrival.probe, arrival.weights);
        let mut depth = 0;
        while depth < nest.depth {
            let (first, last) = nest.stretch(depth);
            // SAFETY: the boxes have run for this bucket, and a nest has stretches of it.
            if probe.outside::<V, EIGHTS>(unsafe { boxes.fit::<V, EIGHTS>(first, last) }) {
                break;
            }
            depth += 1;
        }
        if depth == 0 {
            let mut outside = way.nodes;
            while outside > 0 {
                // SAFETY: the pool is that of the forest, so it has the box of every node.
                let bounds = unsafe { boxes_above.pool().bounds(self.nodes[way.node(outside - 1)].bounds) };
                if !probe.outside::<V, EIGHTS>(bounds) {
                    break;
                }
                outside -= 1;
            }
            let mut hit = None;
            for i in outside..way.nodes {
                let index = self.nodes[way.node(i)].bounds;
                // SAFETY: as above.
                let bounds = unsafe { boxes_above.pool().bounds(index) };
                // SAFETY: the weights are those of the forest and have whole eights (`padded`).
                let ranges = unsafe { probe.ranges::<V, EIGHTS>(bounds, weights) };
                let at = rng.uniform() * ranges.total;
                if at < ranges.excess {
                    hit = Some((i, ranges.wide, at));
                    break;
                }
                // SAFETY: as above; the point has the width of the forest.
                unsafe { boxes_above.take_in::<V, EIGHTS>(index, probe) };
            }
            if let Some((i, wide, at)) = hit {
                // SAFETY: as above.
                let bounds = unsafe { boxes_above.pool().bounds(self.nodes[way.node(i)].bounds) };
                // SAFETY: as above.
                return Spot::Node(i, unsafe { probe.cut::<V, EIGHTS>(bounds, weights, wide, at) });
            }
        }
        // The depth of the separating cut cannot be predicted. So this draws a cut at every stretch
        // and ignores the draws below the first separating one.
        let (mut hits, mut wide, mut draws) = (0_u32, 0_u32, [0.0; CAPACITY]);
        let mut ahead = *rng;
        for i in depth..=nest.depth {
            if EIGHTS != 1 && hits != 0 {
                // With many dimensions, the ignored draws cost more than a mispredicted branch.
                // `boxes` then still holds the box of this stretch.
                break;
            }
            let (first, last) = nest.stretch(i);
            // SAFETY: the boxes have run for this bucket, and a nest has stretches of it. The weights
            // have whole eights.
            let ranges = unsafe {
                let fitted = boxes.fit::<V, EIGHTS>(first, last);
                probe.ranges::<V, EIGHTS>(fitted, weights)
            };
            let at = ahead.uniform() * ranges.total;
            draws[i % CAPACITY] = at;
            hits |= u32::from(at < ranges.excess) << i;
            wide |= u32::from(ranges.wide) << i;
        }
        let hit = (hits | 1 << nest.depth).trailing_zeros() as usize % CAPACITY;
        rng.skip((hit - depth) as u64 + 1);
        let (first, last) = nest.stretch(hit);
        // SAFETY: as above.
        let cut = unsafe {
            let fitted = boxes.fit_again::<V, EIGHTS>(first, last);
            probe.cut::<V, EIGHTS>(fitted, weights, wide >> hit & 1 == 1, draws[hit])
        };
        Spot::Bucket(hit, cut)
    }

    /// Returns the placement at the end of the path from the root to the point, the point included.
    #[inline(always)]
    fn placement<const COUNTED: bool>(&self, spot: &Spot, way: &Way, nest: &Nest) -> Placement {
        let (codisp, depth, displacement) = match *spot {
            Spot::Root => return Placement::AT_ROOT,
            Spot::Leaf => return at_leaf(way, nest),
            Spot::Bucket(depth, _) => (nest.codisp(depth), way.nodes + depth, nest.mass(depth)),
            Spot::Node(above, _) => {
                let (mut codisp, mut mass) = (0.0, 0);
                for index in way.path().take(above + 1) {
                    let subtree = self.nodes[index].mass + u32::from(!COUNTED);
                    codisp = better(codisp, mass.max(subtree) - subtree, subtree);
                    mass = subtree;
                }
                (codisp, above, mass - 1)
            }
        };
        let codisp = better(codisp, displacement, 1);
        Placement { codisp, depth: depth as u32 + 1, displacement, dimension: 0 }
    }

    /// Returns the dimension of the cut with the collusive displacement, the one nearest to the
    /// root if there are several. Call it before the point is inserted. `COUNTED` tells whether the
    /// nodes on the way count the point already.
    fn origin<const COUNTED: bool>(&self, spot: &Spot, way: &Way, nest: &Nest, bucket: &View) -> u32 {
        let (nodes, depth) = match *spot {
            Spot::Root => return 0,
            Spot::Leaf => (way.nodes, Some(nest.depth)),
            Spot::Node(above, _) => (above + 1, None),
            Spot::Bucket(depth, _) => (way.nodes, Some(depth)),
        };
        let mut trail = Trail { best: 0.0, from: 0, mass: 0, dimension: 0 };
        for index in way.path().take(nodes) {
            let node = &self.nodes[index];
            trail.step(node.mass + u32::from(!COUNTED), node.dimension);
        }
        for i in 0..depth.map_or(0, |depth| depth + 1) {
            // SAFETY: a nest has gaps up to `CAPACITY`.
            let dimension =
                if i < nest.depth { (unsafe { bucket.dimension(nest.gap(i)) }) as u32 } else { 0 };
            trail.step(nest.mass(i) + 1, dimension);
        }
        if let Spot::Node(_, cut) | Spot::Bucket(_, cut) = spot {
            trail.dimension = cut.dimension as u32;
            trail.step(1, 0);
        }
        trail.from
    }
}

/// Returns the placement in a leaf whose points are equal to the new one.
#[inline(always)]
fn at_leaf(way: &Way, nest: &Nest) -> Placement {
    let leaf = nest.mass(nest.depth);
    let displacement = match nest.depth {
        0 if way.nodes == 0 => 0,
        0 => way.mass - leaf - 1,
        depth => nest.mass(depth - 1) - leaf,
    };
    Placement {
        codisp: nest.codisp(nest.depth),
        depth: (way.nodes + nest.depth) as u32,
        displacement,
        dimension: 0,
    }
}

/// A walk along a path that finds the step with the largest displacement per point.
struct Trail {
    best: f64,
    /// The dimension of the cut at the best step.
    from: u32,
    /// The mass of the last subtree.
    mass: u32,
    /// The dimension of the last subtree's cut.
    dimension: u32,
}

impl Trail {
    /// Steps into a subtree with `subtree` points, whose own cut is in `dimension`.
    fn step(&mut self, subtree: u32, dimension: u32) {
        let ratio = better(self.best, self.mass.saturating_sub(subtree), subtree);
        if ratio > self.best {
            (self.best, self.from) = (ratio, self.dimension);
        }
        (self.mass, self.dimension) = (subtree, dimension);
    }
}

/// The boxes of the nodes on a point's way.
pub(super) trait BoxesAbove {
    fn pool(&self) -> &Pool;

    /// Grows the box with this index to contain the point, if the point stays in the tree.
    ///
    /// # Safety
    ///
    /// [`Pool::add_box`] must have added the box to the pool. The point must have the width of the
    /// pool, and `EIGHTS` must be the number of its eights, or 0.
    unsafe fn take_in<V: Eight, const EIGHTS: usize>(&mut self, index: u32, probe: &Probe);
}

/// For a point that is inserted.
impl BoxesAbove for &mut Pool {
    #[inline(always)]
    fn pool(&self) -> &Pool {
        self
    }

    #[inline(always)]
    unsafe fn take_in<V: Eight, const EIGHTS: usize>(&mut self, index: u32, probe: &Probe) {
        let lo = self.start(index);
        // SAFETY: the caller promises that the box is in the pool, and that the point is as wide as
        // its bounds. `Pool::new_box` leaves space for whole eights after the last box.
        unsafe { probe.grow::<V, EIGHTS>(self.boxes_mut(), lo, lo + probe.point().len()) };
    }
}

/// For a point that is only scored.
impl BoxesAbove for &Pool {
    #[inline(always)]
    fn pool(&self) -> &Pool {
        self
    }

    #[inline(always)]
    unsafe fn take_in<V: Eight, const EIGHTS: usize>(&mut self, _: u32, _: &Probe) {}
}

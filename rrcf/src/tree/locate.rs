//! Finding the place where a point belongs.

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

/// Where a point belongs.
pub(super) enum Spot {
    /// In an empty tree.
    Root,
    /// In the leaf where the way ends, whose points are equal to it.
    Leaf,
    /// Above the node of this index in the path, parted from all below by the cut.
    Node(usize, Cut),
    /// Above the stretch of the bucket at this depth.
    Bucket(usize, Cut),
}

impl Tree {
    /// Says where a point would come to lie if it were inserted. Its way is known, and the nodes have not counted it.
    #[inline(always)]
    pub(crate) fn place<V: Eight, const EIGHTS: usize>(
        &mut self,
        arrival: &Arrival,
        way: (&Way, &Nest),
        pool: &Pool,
        store: &Store,
        aside: &mut Aside,
    ) -> Placement {
        let mut rng = self.rng;
        let (_, placement) = self.find::<V, EIGHTS, false>(arrival, way, pool, store, aside, &mut rng);
        self.rng = rng;
        placement
    }

    /// The same for one who only asks, and moves no random numbers on.
    pub(crate) fn look<V: Eight, const EIGHTS: usize>(
        &self,
        arrival: &Arrival,
        pool: &Pool,
        store: &Store,
        work: &mut Work,
    ) -> Placement {
        let Work { ways, aside } = work;
        self.walk(arrival.probe.point(), store.len() as u32, ways, 0);
        let (way, mut nest) = (ways.way(0), Nest::EMPTY);
        nest.enter::<V, EIGHTS>(arrival, &way, pool, store, aside);
        let mut rng = self.rng;
        self.find::<V, EIGHTS, false>(arrival, (&way, &nest), pool, store, aside, &mut rng).1
    }

    /// Finds the place of a point whose way is known, and what that says about the point. `COUNTED` tells whether the nodes on the way
    /// have counted it already.
    #[inline(always)]
    pub(super) fn find<V: Eight, const EIGHTS: usize, const COUNTED: bool>(
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
            boxes.run::<V, EIGHTS>(&bucket, nest.leaf(), store);
            self.locate::<V, EIGHTS>(arrival, way, nest, &mut boxes_above, boxes, rng)
        };
        let mut placement = self.placement::<COUNTED>(&spot, way, nest);
        if arrival.attribute {
            let bucket = boxes_above.pool().view(way.end, leaf);
            placement.dimension = self.origin::<COUNTED>(&spot, way, nest, &bucket);
        }
        (spot, placement)
    }

    /// Finds the place for a point that is like no other. If it is to stay, all boxes on its way take it in.
    ///
    /// From the uppermost box on that does not contain the point, a cut through the box grown by the point is drawn at every
    /// subtree; where the cut falls between the old box and the point, it parts the two and the way ends. Otherwise the cut that is
    /// already there stays, which is what makes the tree a sample of the same distribution as one built anew (Guha et al. 2016,
    /// theorem 3).
    #[inline(always)]
    fn locate<V: Eight, const EIGHTS: usize>(
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
            if probe.outside::<V, EIGHTS>(boxes.fit::<V, EIGHTS>(first, last)) {
                break;
            }
            depth += 1;
        }
        if depth == 0 {
            let mut outside = way.nodes;
            while outside > 0 {
                let bounds = boxes_above.pool().bounds(self.nodes[way.node(outside - 1)].bounds);
                if !probe.outside::<V, EIGHTS>(bounds) {
                    break;
                }
                outside -= 1;
            }
            let mut hit = None;
            for i in outside..way.nodes {
                let index = self.nodes[way.node(i)].bounds;
                let bounds = boxes_above.pool().bounds(index);
                let ranges = probe.ranges::<V, EIGHTS>(bounds, weights);
                let at = rng.uniform() * ranges.total;
                if at < ranges.excess {
                    hit = Some((i, ranges.wide, at));
                    break;
                }
                boxes_above.take_in::<V, EIGHTS>(index, probe);
            }
            if let Some((i, wide, at)) = hit {
                let bounds = boxes_above.pool().bounds(self.nodes[way.node(i)].bounds);
                return Spot::Node(i, probe.cut::<V, EIGHTS>(bounds, weights, wide, at));
            }
        }
        // Where a cut will part the point from the others nobody can foresee. So cuts are drawn for all stretches, and what was drawn
        // below the first that does is as if it had not been.
        let (mut hits, mut wide, mut draws) = (0_u32, 0_u32, [0.0; CAPACITY]);
        let mut ahead = *rng;
        for i in depth..=nest.depth {
            if EIGHTS != 1 && hits != 0 {
                // Of many dimensions, what would be in vain costs more than not to foresee. The box is then still at hand.
                break;
            }
            let (first, last) = nest.stretch(i);
            let ranges = probe.ranges::<V, EIGHTS>(boxes.fit::<V, EIGHTS>(first, last), weights);
            let at = ahead.uniform() * ranges.total;
            draws[i % CAPACITY] = at;
            hits |= u32::from(at < ranges.excess) << i;
            wide |= u32::from(ranges.wide) << i;
        }
        let hit = (hits | 1 << nest.depth).trailing_zeros() as usize % CAPACITY;
        rng.skip((hit - depth) as u64 + 1);
        let (first, last) = nest.stretch(hit);
        let fitted = boxes.fit_again::<V, EIGHTS>(first, last);
        Spot::Bucket(hit, probe.cut::<V, EIGHTS>(fitted, weights, wide >> hit & 1 == 1, draws[hit]))
    }

    /// The way from the root to the point, with the point counted in.
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

    /// The dimension of the cut where the collusive displacement is attained: that nearest to the root, if there are several. To be
    /// asked before the point is put into its place; `COUNTED` says whether the nodes on the way count it already.
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
            let dimension = if i < nest.depth { bucket.dimension(nest.gap(i)) as u32 } else { 0 };
            trail.step(nest.mass(i) + 1, dimension);
        }
        if let Spot::Node(_, cut) | Spot::Bucket(_, cut) = spot {
            trail.dimension = cut.dimension as u32;
            trail.step(1, 0);
        }
        trail.from
    }
}

/// The way from the root to a leaf whose points are equal to the new one.
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

/// A path in search of the step with the largest displacement per point.
struct Trail {
    best: f64,
    /// The dimension of the cut at the best step.
    from: u32,
    /// Mass of the last subtree.
    mass: u32,
    /// Dimension of its cut.
    dimension: u32,
}

impl Trail {
    /// Goes on into a subtree of so many points that is itself cut in this dimension.
    fn step(&mut self, subtree: u32, dimension: u32) {
        let ratio = better(self.best, self.mass.saturating_sub(subtree), subtree);
        if ratio > self.best {
            (self.best, self.from) = (ratio, self.dimension);
        }
        (self.mass, self.dimension) = (subtree, dimension);
    }
}

/// The boxes of the nodes that a point comes by.
pub(super) trait BoxesAbove {
    fn pool(&self) -> &Pool;

    /// The point has come by this box, and stays below.
    fn take_in<V: Eight, const EIGHTS: usize>(&mut self, index: u32, probe: &Probe);
}

/// Of a point that comes in.
impl BoxesAbove for &mut Pool {
    #[inline(always)]
    fn pool(&self) -> &Pool {
        self
    }

    #[inline(always)]
    fn take_in<V: Eight, const EIGHTS: usize>(&mut self, index: u32, probe: &Probe) {
        let lo = self.start(index);
        probe.grow::<V, EIGHTS>(self.boxes_mut(), lo, lo + probe.point().len());
    }
}

/// Of a point that is only looked at.
impl BoxesAbove for &Pool {
    #[inline(always)]
    fn pool(&self) -> &Pool {
        self
    }

    #[inline(always)]
    fn take_in<V: Eight, const EIGHTS: usize>(&mut self, _: u32, _: &Probe) {}
}

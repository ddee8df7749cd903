//! Finding the place where a point belongs, and putting it there.

use super::bucket::{Bucket, Opening};
use super::descend::{Nest, Way};
use super::placement::better;
use super::pool::Inserted;
use super::view::View;
use super::work::{Aside, Boxes, Work};
use super::{Link, Node, Placement, Pool, Tree};
use crate::eight::{Baseline, Eight};
use crate::lanes::{Boxed, Cut, Probe, chunks, store as write};
use crate::rng::Rng;
use crate::store::Store;

/// A point on its way into the trees.
pub(crate) struct Arrival<'a> {
    pub(crate) probe: &'a Probe,
    /// The slot where it stands, if it is to stay.
    pub(crate) slot: u32,
    /// The slot that stands for its value now, if there is one.
    pub(crate) twin: Option<u32>,
    /// Weights of the dimensions, with zeros behind the last.
    pub(crate) weights: &'a [f32],
    /// Whether it is to be said which dimension the collusive displacement comes from.
    pub(crate) attribute: bool,
}

/// Where a point belongs that is like no other.
enum Spot {
    /// Above the node of this index in the path, parted from all below by the cut.
    Node(usize, Cut),
    /// Above the stretch of the bucket at this depth.
    Bucket(usize, Cut),
}

impl Tree {
    /// Inserts a point whose way through the nodes is known, and says where it came to lie.
    #[inline(always)]
    pub(crate) fn insert<V: Eight, const NARROW: bool>(
        &mut self,
        arrival: &Arrival,
        way: &Way,
        pool: &mut Pool,
        store: &Store,
        work: &mut Aside,
    ) -> Placement {
        let Aside { nest, leaf, boxes } = work;
        if way.end == Link::NOTHING {
            self.root = Link::to_leaf(arrival.slot);
            return Placement::AT_ROOT;
        }
        let bucket = pool.view(way.end, leaf);
        nest.follow::<V, NARROW>(&bucket, arrival.probe, way, store);
        if arrival.twin.is_some() {
            let mut placement = at_leaf(way, nest);
            if arrival.attribute {
                placement.dimension = self.origin::<true>(None, way, nest, &bucket);
            }
            let link = pool.rename(way.end, nest.leaf(), arrival.slot);
            if link != way.end {
                self.replace_child(way.last(), way.end, link);
            }
            return placement;
        }
        let len = bucket.len;
        boxes.run::<V, NARROW>(&bucket, nest.leaf(), store);
        let mut rng = self.rng;
        let spot = self.locate::<V, NARROW>(arrival, way, nest, &mut *pool, boxes, &mut rng);
        self.rng = rng;
        let dimension = if arrival.attribute {
            let bucket = pool.view(way.end, leaf);
            self.origin::<true>(Some(&spot), way, nest, &bucket)
        } else {
            0
        };
        match spot {
            Spot::Node(above, cut) => self.part(above, cut, arrival, way, pool, store),
            Spot::Bucket(depth, cut) => {
                let opening = Opening {
                    stretch: nest.stretch(depth),
                    level: depth,
                    right: arrival.probe.point()[cut.dimension] > cut.value,
                    cut: (cut.dimension, cut.value),
                    slot: arrival.slot,
                };
                let link = match pool.insert_leaf(way.end, len, &opening) {
                    Inserted::At(link) => link,
                    Inserted::TooLarge(bucket) => {
                        let fitted = boxes.fit::<V, NARROW>(0, len - 1);
                        self.split(&bucket, nest.mass(0) + 1, arrival.probe, pool, fitted)
                    }
                };
                if link != way.end {
                    self.replace_child(way.last(), way.end, link);
                }
            }
        }
        Placement { dimension, ..self.placement::<true>(&spot, way, nest) }
    }

    /// Says where a point would come to lie if it were inserted.
    #[inline(always)]
    pub(crate) fn place<V: Eight, const NARROW: bool>(
        &mut self,
        arrival: &Arrival,
        way: &Way,
        pool: &mut Pool,
        store: &Store,
        work: &mut Aside,
    ) -> Placement {
        let mut rng = self.rng;
        let placement = self.place_with::<V, NARROW>(arrival, way, &mut rng, pool, store, work);
        self.rng = rng;
        placement
    }

    /// The same for one who only asks, and moves no random numbers on.
    pub(crate) fn look<V: Eight, const NARROW: bool>(
        &self,
        arrival: &Arrival,
        pool: &Pool,
        store: &Store,
        work: &mut Work,
    ) -> Placement {
        let Work { ways: [way, ..], aside } = work;
        self.walk(arrival.probe.point(), store.len() as u32, way);
        self.place_with::<V, NARROW>(arrival, way, &mut self.rng.clone(), pool, store, aside)
    }

    #[inline(always)]
    fn place_with<V: Eight, const NARROW: bool>(
        &self,
        arrival: &Arrival,
        way: &Way,
        rng: &mut Rng,
        pool: &Pool,
        store: &Store,
        work: &mut Aside,
    ) -> Placement {
        let Aside { nest, leaf, boxes } = work;
        if way.end == Link::NOTHING {
            return Placement::AT_ROOT;
        }
        let bucket = pool.view(way.end, leaf);
        nest.follow::<V, NARROW>(&bucket, arrival.probe, way, store);
        if arrival.twin.is_some() {
            let mut placement = at_leaf(way, nest);
            if arrival.attribute {
                placement.dimension = self.origin::<false>(None, way, nest, &bucket);
            }
            return placement;
        }
        boxes.run::<V, NARROW>(&bucket, nest.leaf(), store);
        let spot = self.locate::<V, NARROW>(arrival, way, nest, pool, boxes, rng);
        let mut placement = self.placement::<false>(&spot, way, nest);
        if arrival.attribute {
            let bucket = pool.view(way.end, leaf);
            placement.dimension = self.origin::<false>(Some(&spot), way, nest, &bucket);
        }
        placement
    }

    /// Finds the place for a point that is like no other. If it is to stay, all boxes on its way take it in.
    ///
    /// From the uppermost box on that does not contain the point, a cut through the box grown by the point is drawn at every
    /// subtree; where the cut falls between the old box and the point, it parts the two and the way ends. Otherwise the cut that is
    /// already there stays, which is what makes the tree a sample of the same distribution as one built anew (Guha et al. 2016,
    /// theorem 3).
    #[inline(always)]
    fn locate<V: Eight, const NARROW: bool>(
        &self,
        arrival: &Arrival,
        way: &Way,
        nest: &Nest,
        mut boxes_above: impl BoxesAbove,
        boxes: &mut Boxes,
        rng: &mut Rng,
    ) -> Spot {
        let (probe, weights) = (arrival.probe, arrival.weights);
        let mut depth = 0;
        while depth < nest.depth {
            let (first, last) = nest.stretch(depth);
            if probe.outside::<V, NARROW>(boxes.fit::<V, NARROW>(first, last)) {
                break;
            }
            depth += 1;
        }
        if depth == 0 {
            let path = way.nodes();
            let mut outside = path.len();
            while outside > 0 {
                let bounds = boxes_above.pool().bounds(self.nodes[path[outside - 1] as usize].bounds);
                if !probe.outside::<V, NARROW>(bounds) {
                    break;
                }
                outside -= 1;
            }
            for (i, &index) in path.iter().enumerate().skip(outside) {
                let node = &self.nodes[index as usize];
                let bounds = boxes_above.pool().bounds(node.bounds);
                let ranges = probe.ranges::<V, NARROW>(bounds, weights);
                let drawn = rng.uniform() * ranges.total;
                if drawn < ranges.excess {
                    let cut = probe.cut::<V, NARROW>(bounds, weights, ranges, drawn);
                    return Spot::Node(i, cut);
                }
                boxes_above.take_in::<V, NARROW>(node.bounds, probe);
            }
        }
        loop {
            let (first, last) = nest.stretch(depth);
            let fitted = boxes.fit::<V, NARROW>(first, last);
            let ranges = probe.ranges::<V, NARROW>(fitted, weights);
            let drawn = rng.uniform() * ranges.total;
            if drawn < ranges.excess || depth == nest.depth {
                return Spot::Bucket(depth, probe.cut::<V, NARROW>(fitted, weights, ranges, drawn));
            }
            depth += 1;
        }
    }

    /// The way from the root to a new leaf, with the point counted in.
    #[inline(always)]
    fn placement<const STAY: bool>(&self, spot: &Spot, way: &Way, nest: &Nest) -> Placement {
        let (codisp, depth, displacement) = match *spot {
            Spot::Bucket(depth, _) => (nest.codisp(depth), way.nodes + depth, nest.mass(depth)),
            Spot::Node(above, _) => {
                let path = way.nodes();
                let mut codisp = 0.0;
                let mut node = &self.nodes[path[0] as usize];
                for (i, &index) in path.iter().enumerate().take(above + 1).skip(1) {
                    let next = &self.nodes[index as usize];
                    // A point that stays has been counted in as far as above the new node.
                    let subtree = next.mass + u32::from(!STAY || i == above);
                    codisp = better(codisp, node.mass + u32::from(!STAY) - subtree, subtree);
                    node = next;
                }
                (codisp, above, self.nodes[path[above] as usize].mass)
            }
        };
        Placement {
            codisp: better(codisp, displacement, 1),
            depth: depth as u32 + 1,
            displacement,
            dimension: 0,
        }
    }

    /// The dimension of the cut where the collusive displacement is attained: that nearest to the root, if there are several. To be
    /// asked before the point is put into its place; `COUNTED` says whether the nodes on the way count it already.
    fn origin<const COUNTED: bool>(&self, spot: Option<&Spot>, way: &Way, nest: &Nest, bucket: &View) -> u32 {
        let path = way.nodes();
        let (nodes, depth) = match spot {
            Some(&Spot::Node(above, _)) => (above + 1, None),
            Some(&Spot::Bucket(depth, _)) => (path.len(), Some(depth)),
            None => (path.len(), Some(nest.depth)),
        };
        let mut trail = Trail { best: 0.0, from: 0, mass: 0, dimension: 0 };
        for &index in &path[..nodes] {
            let node = &self.nodes[index as usize];
            trail.step(node.mass + u32::from(!COUNTED), node.dimension);
        }
        for i in 0..depth.map_or(0, |depth| depth + 1) {
            let dimension = if i < nest.depth { bucket.dimension(nest.gap(i)) as u32 } else { 0 };
            trail.step(nest.mass(i) + 1, dimension);
        }
        match spot {
            Some(Spot::Node(_, cut) | Spot::Bucket(_, cut)) => {
                trail.dimension = cut.dimension as u32;
                trail.step(1, 0);
            }
            None => {}
        }
        trail.from
    }

    /// Hangs a new node into the path that parts the point from all below.
    fn part(&mut self, above: usize, cut: Cut, arrival: &Arrival, way: &Way, pool: &mut Pool, store: &Store) {
        // The point does not come by here after all.
        for &index in &way.nodes()[above..] {
            self.nodes[index as usize].mass -= 1;
        }
        let (probe, width) = (arrival.probe, store.width());
        let path = way.nodes();
        let below = path[above];
        let right = probe.point()[cut.dimension] > cut.value;
        let (old, leaf) = (Link::to_node(below), Link::to_leaf(arrival.slot));
        let bounds = pool.add_box();
        let (from, to) = (pool.start(self.nodes[below as usize].bounds), pool.start(bounds));
        pool.boxes_mut().copy_within(from..from + 2 * width, to);
        probe.grow::<Baseline, false>(pool.boxes_mut(), to, to + width);
        let node = self.add_node(Node {
            cut: cut.value,
            dimension: cut.dimension as u32,
            children: if right { [old, leaf] } else { [leaf, old] },
            mass: self.nodes[below as usize].mass + 1,
            bounds,
        });
        self.replace_child(above.checked_sub(1).map(|parent| path[parent]), old, Link::to_node(node));
    }

    /// Makes a node of a bucket that has grown too large. `bounds` is the box around it without the new point.
    #[inline(always)]
    fn split<V: Eight>(
        &mut self,
        bucket: &Bucket,
        mass: u32,
        probe: &Probe,
        pool: &mut Pool,
        bounds: impl Boxed<V>,
    ) -> Link {
        let index = pool.add_box();
        let (lo, width) = (pool.start(index), probe.point().len());
        for at in chunks::<false>(width) {
            let (lower, upper) = (bounds.lower(at), bounds.upper(at));
            write(pool.boxes_mut(), lo + at, lower, width - at);
            write(pool.boxes_mut(), lo + width + at, upper, width - at);
        }
        probe.grow::<V, false>(pool.boxes_mut(), lo, lo + width);
        self.node_of(bucket, mass, index, pool)
    }

    #[inline(never)]
    fn node_of(&mut self, bucket: &Bucket, mass: u32, bounds: u32, pool: &mut Pool) -> Link {
        let (left, (dimension, cut), right) = bucket.split();
        let children = [pool.add(&left), pool.add(&right)];
        Link::to_node(self.add_node(Node { cut, dimension: u32::from(dimension), children, mass, bounds }))
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
trait BoxesAbove {
    fn pool(&self) -> &Pool;

    /// The point has come by this box, and stays below.
    fn take_in<V: Eight, const NARROW: bool>(&mut self, index: u32, probe: &Probe);
}

/// Of a point that comes in.
impl BoxesAbove for &mut Pool {
    #[inline(always)]
    fn pool(&self) -> &Pool {
        self
    }

    #[inline(always)]
    fn take_in<V: Eight, const NARROW: bool>(&mut self, index: u32, probe: &Probe) {
        let lo = self.start(index);
        probe.grow::<V, NARROW>(self.boxes_mut(), lo, lo + probe.point().len());
    }
}

/// Of a point that is only looked at.
impl BoxesAbove for &Pool {
    #[inline(always)]
    fn pool(&self) -> &Pool {
        self
    }

    #[inline(always)]
    fn take_in<V: Eight, const NARROW: bool>(&mut self, _: u32, _: &Probe) {}
}

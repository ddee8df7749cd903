//! Inserting a point into a tree.

#![allow(unsafe_code, reason = "boxes are written in whole eights, without checks")]

use super::arrival::Arrival;
use super::bucket::{Bucket, Opening};
use super::descend::Way;
use super::link::Link;
use super::locate::Spot;
use super::nest::Nest;
use super::nodes::{Node, Tree};
use super::placement::Placement;
use super::pool::{Inserted, Pool};
use super::work::Aside;
use crate::eight::{Baseline, Eight};
use crate::lanes::{Boxed, Cut, Probe, chunks, store as write};
use crate::store::Store;

impl Tree {
    /// Inserts a point and returns its placement. Its way is known, and the nodes on the way count
    /// it already.
    ///
    /// # Safety
    ///
    /// The tree and all arguments must be [parts of one forest](super).
    #[inline(always)]
    pub(crate) unsafe fn insert<V: Eight, const EIGHTS: usize>(
        &mut self,
        arrival: &Arrival,
        (way, nest): (&Way, &Nest),
        pool: &mut Pool,
        store: &Store,
        aside: &mut Aside,
    ) -> Placement {
        let mut rng = self.rng;
        // SAFETY: the caller promises parts of one forest.
        let (spot, placement) =
            unsafe { self.find::<V, EIGHTS, true>(arrival, (way, nest), &mut *pool, store, aside, &mut rng) };
        self.rng = rng;
        let link = match spot {
            Spot::Root => Link::to_leaf(arrival.slot),
            // SAFETY: the way leads to this bucket, and the nest to its leaf.
            Spot::Leaf => unsafe { pool.rename(way.end, nest.leaf(), arrival.slot) },
            Spot::Node(above, cut) => {
                // SAFETY: the caller promises parts of one forest.
                unsafe { self.part(above, cut, arrival, way, pool, store) };
                return placement;
            }
            Spot::Bucket(depth, cut) => {
                let (first, last) = nest.stretch(0);
                let opening = Opening {
                    stretch: nest.stretch(depth),
                    level: depth,
                    right: arrival.probe.point()[cut.dimension] > cut.value,
                    cut: (cut.dimension, cut.value),
                    slot: arrival.slot,
                };
                // SAFETY: the way leads to this bucket, which has the leaves and stretches of the nest.
                match unsafe { pool.insert_leaf(way.end, last + 1, &opening) } {
                    Inserted::At(link) => link,
                    Inserted::TooLarge(bucket) => {
                        // SAFETY: `find` has run the boxes for this bucket. The caller promises
                        // parts of one forest, so the box and the point have the width of the pool.
                        unsafe {
                            let fitted = aside.boxes.fit::<V, EIGHTS>(first, last);
                            self.split(&bucket, nest.mass(0) + 1, arrival.probe, pool, fitted)
                        }
                    }
                }
            }
        };
        if link != way.end {
            self.replace_child(way.last(), way.end, link);
        }
        placement
    }

    /// Inserts a node into the path that separates the point from everything below.
    ///
    /// # Safety
    ///
    /// The tree and all arguments must be [parts of one forest](super).
    unsafe fn part(
        &mut self,
        above: usize,
        cut: Cut,
        arrival: &Arrival,
        way: &Way,
        pool: &mut Pool,
        store: &Store,
    ) {
        // The nodes below are not on the point's path after all.
        for index in way.path().skip(above) {
            self.nodes[index].mass -= 1;
        }
        let (probe, width) = (arrival.probe, store.width());
        let below = way.node(above);
        let right = probe.point()[cut.dimension] > cut.value;
        let (old, leaf) = (Link::to_node(below as u32), Link::to_leaf(arrival.slot));
        let bounds = pool.add_box();
        let (from, to) = (pool.start(self.nodes[below].bounds), pool.start(bounds));
        pool.boxes_mut().copy_within(from..from + 2 * width, to);
        // SAFETY: the box was added to the pool, and the point has the width of the pool.
        unsafe { probe.grow::<Baseline, 0>(pool.boxes_mut(), to, to + width) };
        let node = self.add_node(Node {
            cut: cut.value,
            dimension: cut.dimension as u32,
            children: if right { [old, leaf] } else { [leaf, old] },
            mass: self.nodes[below].mass + 1,
            bounds,
        });
        self.replace_child(above.checked_sub(1).map(|parent| way.node(parent)), old, Link::to_node(node));
    }

    /// Turns a bucket that has grown too large into a node. `bounds` is the box of the bucket
    /// without the new point.
    ///
    /// # Safety
    ///
    /// The point and the box must have the width of the pool.
    #[inline(always)]
    unsafe fn split<V: Eight>(
        &mut self,
        bucket: &Bucket,
        mass: u32,
        probe: &Probe,
        pool: &mut Pool,
        bounds: impl Boxed<V>,
    ) -> Link {
        let index = pool.add_box();
        let (lo, width) = (pool.start(index), probe.point().len());
        for at in chunks::<0>(width) {
            let (lower, upper) = (bounds.lower(at), bounds.upper(at));
            // SAFETY: the box was added to the pool, and has the width of the point.
            unsafe {
                write(pool.boxes_mut(), lo + at, lower, width - at);
                write(pool.boxes_mut(), lo + width + at, upper, width - at);
            }
        }
        // SAFETY: as above.
        unsafe { probe.grow::<V, 0>(pool.boxes_mut(), lo, lo + width) };
        self.node_of(bucket, mass, index, pool)
    }

    #[inline(never)]
    fn node_of(&mut self, bucket: &Bucket, mass: u32, bounds: u32, pool: &mut Pool) -> Link {
        let (left, (dimension, cut), right) = bucket.split();
        let children = [pool.add(&left), pool.add(&right)];
        Link::to_node(self.add_node(Node { cut, dimension: u32::from(dimension), children, mass, bounds }))
    }
}

//! The plain algorithm: linked nodes, and boxes that are computed from the points whenever they are
//! needed.
//!
//! It shares only the random numbers and the arithmetic on a single box with the forest, so the
//! results must be equal bit for bit.

use crate::Forest;
use crate::eight::{Baseline, LANES};
use crate::lanes::{Bounds, Probe, padded};
use crate::rng::Rng;

/// Trees that hold the same points.
pub(super) struct Oracle {
    pub(super) trees: Vec<PlainTree>,
    held: Vec<Vec<f32>>,
}

pub(super) struct Expected {
    pub(super) codisp: f64,
    pub(super) displacement: f64,
    pub(super) depth: f64,
    pub(super) contributions: Vec<f64>,
}

pub(super) struct PlainTree {
    rng: Rng,
    root: Option<Box<Plain>>,
    weights: Vec<f32>,
}

enum Plain {
    /// The values of the points, and their number.
    Leaf(Vec<f32>, u32),
    Node {
        dimension: usize,
        cut: f32,
        children: [Box<Plain>; 2],
    },
}

/// A path from the root. Each step has the mass of the subtree, the mass of its sibling, and the
/// dimension of the cut between them.
type Path = Vec<(u32, u32, usize)>;

impl Oracle {
    pub(super) fn new(forest: &Forest) -> Self {
        let weights = &forest.wide_weights;
        let plain = |rng: Rng| PlainTree { rng, root: None, weights: weights.clone() };
        Self { trees: forest.trees.iter().map(|tree| plain(tree.rng())).collect(), held: Vec::new() }
    }

    pub(super) fn update(&mut self, point: &[f32], window: usize) -> Expected {
        let point: Vec<f32> = point.iter().map(|value| value + 0.0).collect();
        let leaving = (self.held.len() == window).then(|| self.held.remove(0));
        self.held.push(point.clone());
        let mut expected =
            Expected { codisp: 0.0, displacement: 0.0, depth: 0.0, contributions: vec![0.0; point.len()] };
        for tree in &mut self.trees {
            if let Some(leaving) = &leaving {
                tree.root = tree.root.take().and_then(|root| forget(root, leaving));
            }
            let path = tree.insert(&point);
            let (mut codisp, mut dimension) = (0.0, 0);
            for &(subtree, sibling, cut) in &path {
                let ratio = f64::from(sibling) / f64::from(subtree);
                if ratio > codisp {
                    (codisp, dimension) = (ratio, cut);
                }
            }
            expected.codisp += codisp;
            expected.contributions[dimension] += codisp;
            expected.displacement += path.last().map_or(0.0, |&(_, sibling, _)| f64::from(sibling));
            expected.depth += path.len() as f64;
        }
        let total = expected.codisp;
        let trees = self.trees.len() as f64;
        expected.codisp /= trees;
        expected.displacement /= trees;
        expected.depth /= trees;
        if total > 0.0 {
            expected.contributions.iter_mut().for_each(|contribution| *contribution /= total);
        }
        expected
    }
}

impl PlainTree {
    fn insert(&mut self, point: &[f32]) -> Path {
        let mut probe = Probe::new(point.len());
        probe.set(point);
        let Some(root) = self.root.take() else {
            self.root = Some(Box::new(Plain::Leaf(point.to_vec(), 1)));
            return Path::new();
        };
        let (root, path) = self.insert_below(root, &probe);
        self.root = Some(root);
        path
    }

    fn insert_below(&mut self, here: Box<Plain>, probe: &Probe) -> (Box<Plain>, Path) {
        let point = probe.point();
        if let Plain::Leaf(values, count) = &*here
            && values == point
        {
            return (Box::new(Plain::Leaf(point.to_vec(), count + 1)), Path::new());
        }
        let (values, width) = (bounds(&here), padded(point.len()));
        // SAFETY: the bounds are padded.
        #[allow(unsafe_code, reason = "a box of the test")]
        let bounds = unsafe { Bounds::new(&values, 0, width) };
        let outside = (0..point.len()).any(|d| point[d] < values[d] || point[d] > values[width + d]);
        if outside {
            // SAFETY: the weights are padded.
            #[allow(unsafe_code, reason = "weights of the test")]
            let ranges = unsafe { probe.ranges::<Baseline, 0>(bounds, &self.weights) };
            let drawn = self.rng.uniform() * ranges.total;
            if drawn < ranges.excess || matches!(*here, Plain::Leaf(..)) {
                // SAFETY: the weights are padded.
                #[allow(unsafe_code, reason = "weights of the test")]
                let cut = unsafe { probe.cut::<Baseline, 0>(bounds, &self.weights, ranges.wide, drawn) };
                let path = vec![(1, mass(&here), cut.dimension)];
                let leaf = Box::new(Plain::Leaf(point.to_vec(), 1));
                let children = if point[cut.dimension] > cut.value { [here, leaf] } else { [leaf, here] };
                let node = Plain::Node { dimension: cut.dimension, cut: cut.value, children };
                return (Box::new(node), path);
            }
        }
        let Plain::Node { dimension, cut, children: [left, right] } = *here else {
            unreachable!("a cut separates the point from a leaf of other values")
        };
        let is_right = point[dimension] > cut;
        let (below, beside) = if is_right { (right, left) } else { (left, right) };
        let (below, further) = self.insert_below(below, probe);
        let mut path = vec![(mass(&below), mass(&beside), dimension)];
        path.extend(further);
        let children = if is_right { [beside, below] } else { [below, beside] };
        (Box::new(Plain::Node { dimension, cut, children }), path)
    }

    /// Returns the dimension and the value of all cuts in pre-order.
    pub(super) fn cuts(&self) -> Vec<(u16, f32)> {
        let mut cuts = Vec::new();
        let mut ahead: Vec<&Plain> = self.root.iter().map(|root| &**root).collect();
        while let Some(here) = ahead.pop() {
            if let Plain::Node { dimension, cut, children: [left, right] } = here {
                cuts.push((*dimension as u16, *cut));
                ahead.extend([&**right, &**left]);
            }
        }
        cuts
    }

    /// Returns the distinct points from left to right.
    pub(super) fn points(&self) -> Vec<&[f32]> {
        self.root
            .as_ref()
            .map_or_else(Vec::new, |root| leaves(root).into_iter().map(|(point, _)| point).collect())
    }
}

#[allow(clippy::boxed_local, reason = "the node comes from a box and returns to one")]
fn forget(here: Box<Plain>, point: &[f32]) -> Option<Box<Plain>> {
    match *here {
        Plain::Leaf(values, count) => {
            assert_eq!(values, point, "the cuts lead to every point");
            (count > 1).then(|| Box::new(Plain::Leaf(values, count - 1)))
        }
        Plain::Node { dimension, cut, children: [left, right] } => {
            let (below, beside, is_right) =
                if point[dimension] > cut { (right, left, true) } else { (left, right, false) };
            let Some(below) = forget(below, point) else { return Some(beside) };
            let children = if is_right { [beside, below] } else { [below, beside] };
            Some(Box::new(Plain::Node { dimension, cut, children }))
        }
    }
}

fn leaves(here: &Plain) -> Vec<(&[f32], u32)> {
    match here {
        Plain::Leaf(values, count) => vec![(values, *count)],
        Plain::Node { children: [left, right], .. } => [leaves(left), leaves(right)].concat(),
    }
}

fn mass(here: &Plain) -> u32 {
    leaves(here).iter().map(|&(_, count)| count).sum()
}

/// Returns the box around all points below: `lo` from index 0 on, `hi` from the padded width on.
fn bounds(here: &Plain) -> Vec<f32> {
    let all = leaves(here);
    let width = all[0].0.len();
    let side = |pick: fn(f32, f32) -> f32, d: usize| all.iter().map(|(values, _)| values[d]).reduce(pick);
    let mut bounds = vec![0.0; 2 * padded(width) + LANES];
    for d in 0..width {
        bounds[d] = side(f32::min, d).unwrap_or(0.0);
        bounds[padded(width) + d] = side(f32::max, d).unwrap_or(0.0);
    }
    bounds
}

//! The structure of trees, compared with what brute force says it must be.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::{Link, NONE, Placement, Target, Tree};
use crate::Forest;
use crate::points::Points;
use crate::rng::Rng;

/// Checks all invariants of a tree that holds the points at `slots`, oldest first. Where points leave in the order they came,
/// every leaf must name its newest point.
pub(crate) fn check(tree: &Tree, points: &Points, slots: &[usize], in_order: bool) {
    let mut nodes = 0;
    let mut found = Vec::new();
    check_subtree(tree, points, slots, tree.root, NONE, &mut nodes, &mut found);
    let leaves = found.len();
    let mut held: Vec<usize> = found.into_iter().flatten().collect();
    held.sort_unstable();
    let mut expected = slots.to_vec();
    expected.sort_unstable();
    assert_eq!(held, expected, "every point stands in one leaf");
    assert_eq!(nodes + chain(tree.free_node, |n| tree.nodes[n].parent), tree.nodes.len());
    assert_eq!(leaves + chain(tree.free_leaf, |n| tree.leaves[n].parent), tree.leaves.len());
    assert_eq!(tree.distinct(), leaves);
    for &slot in slots {
        let leaf = &tree.leaves[tree.leaf_of[slot] as usize];
        let newest = slots.iter().rfind(|&&other| points.point(other) == points.point(slot)).unwrap();
        assert!(!in_order || leaf.slot as usize == *newest, "a leaf names its newest point");
        assert_eq!(points.point(leaf.slot as usize), points.point(slot), "equal points share a leaf");
    }
}

/// Length of a chain of free places.
fn chain(mut at: u32, next: impl Fn(usize) -> u32) -> usize {
    let mut length = 0;
    while at != NONE {
        length += 1;
        at = next(at as usize);
    }
    length
}

/// Checks a subtree against the points that stand in it, and adds these to `leaves`, leaf by leaf.
fn check_subtree(
    tree: &Tree,
    points: &Points,
    slots: &[usize],
    link: Link,
    parent: u32,
    nodes: &mut usize,
    leaves: &mut Vec<Vec<usize>>,
) {
    match link.target() {
        Target::Nothing => assert!(slots.is_empty() && parent == NONE),
        Target::Leaf(index) => {
            let leaf = &tree.leaves[index];
            let held: Vec<usize> =
                slots.iter().copied().filter(|&slot| tree.leaf_of[slot] as usize == index).collect();
            assert_eq!(leaf.parent, parent);
            assert_eq!(leaf.mass as usize, held.len());
            assert!(!held.is_empty());
            leaves.push(held);
        }
        Target::Node(index) => {
            *nodes += 1;
            let node = &tree.nodes[index];
            assert_eq!(node.parent, parent);
            let dimension = node.dimension as usize;
            let before = leaves.len();
            check_subtree(tree, points, slots, node.children[0], index as u32, nodes, leaves);
            let middle = leaves.len();
            check_subtree(tree, points, slots, node.children[1], index as u32, nodes, leaves);
            let of = |leaves: &[Vec<usize>]| leaves.iter().flatten().copied().collect::<Vec<usize>>();
            let (left, right) = (of(&leaves[before..middle]), of(&leaves[middle..]));
            assert!(left.iter().all(|&slot| points.point(slot)[dimension] <= node.cut));
            assert!(right.iter().all(|&slot| points.point(slot)[dimension] > node.cut));
            assert_eq!(node.mass as usize, left.len() + right.len());
            let (lo, hi) = tree.bounds(link, points);
            for d in 0..points.width() {
                let values = || left.iter().chain(&right).map(|&slot| points.point(slot)[d]);
                assert_eq!(lo[d].to_bits(), values().fold(f32::INFINITY, f32::min).to_bits());
                assert_eq!(hi[d].to_bits(), values().fold(f32::NEG_INFINITY, f32::max).to_bits());
            }
        }
    }
}

/// Computes from the structure alone what an insertion must have said about the point at `slot`.
fn brute_placement(tree: &Tree, points: &Points, slots: &[usize], slot: usize) -> (f64, usize, u32, u32) {
    let count = |link: Link| slots.iter().filter(|&&slot| holds(tree, link, slot)).count();
    let (mut codisp, mut dimension, mut displacement, mut depth) = (0.0, 0, 0, 0);
    let mut here = tree.root;
    while let Target::Node(index) = here.target() {
        let node = &tree.nodes[index];
        let side = usize::from(!holds(tree, node.children[0], slot));
        here = node.children[side];
        let (subtree, sibling) = (count(here), count(node.children[1 - side]));
        if sibling as f64 / subtree as f64 > codisp {
            codisp = sibling as f64 / subtree as f64;
            dimension = node.dimension as usize;
        }
        displacement = sibling as u32;
        depth += 1;
    }
    assert!(dimension < points.width());
    (codisp, dimension, displacement, depth)
}

fn holds(tree: &Tree, link: Link, slot: usize) -> bool {
    match link.target() {
        Target::Nothing => false,
        Target::Leaf(index) => tree.leaf_of[slot] as usize == index,
        Target::Node(index) => tree.nodes[index].children.iter().any(|&child| holds(tree, child, slot)),
    }
}

fn check_placement(tree: &Tree, points: &Points, slots: &[usize], placement: &Placement) {
    let (codisp, dimension, displacement, depth) =
        brute_placement(tree, points, slots, slots[slots.len() - 1]);
    assert_eq!(placement.codisp().to_bits(), codisp.to_bits());
    assert_eq!(placement.dimension(), dimension);
    assert_eq!((placement.displacement(), placement.depth()), (displacement, depth));
}

/// Series of a kind each: quantised, neighbours an ulp apart, denormals, large offsets, extremes, and everything at once.
pub(crate) fn values() -> impl Strategy<Value = Vec<f32>> {
    let neighbours = |base: f32| (0_u32..6).prop_map(move |ulps| f32::from_bits(base.to_bits() + ulps));
    let extremes = prop::sample::select(vec![f32::MAX, f32::MIN, f32::MAX.next_down(), 0.0, -0.0, 1.0]);
    let denormals = (-5_i32..5).prop_map(|n| f32::from_bits(n.unsigned_abs()) * n.signum() as f32);
    let quantised = (-3_i8..3).prop_map(|n| f32::from(n) * 0.1);
    let anything = prop_oneof![
        quantised.clone(),
        neighbours(48.08),
        neighbours(1.7e9),
        denormals.clone(),
        extremes.clone(),
        -1e3_f32..1e3
    ];
    let series = |value: BoxedStrategy<f32>| prop::collection::vec(value, 1..200);
    prop_oneof![
        series(quantised.boxed()),
        series(neighbours(48.08).boxed()),
        series(neighbours(1.7e9).boxed()),
        series(denormals.boxed()),
        series(extremes.boxed()),
        series((-1e3_f32..1e3).boxed()),
        series(anything.boxed()),
    ]
}

pub(crate) fn check_forest(forest: &Forest) {
    let slots: Vec<usize> = (0..forest.len()).map(|age| forest.points.slot(age)).collect();
    for tree in &forest.trees {
        check(tree, &forest.points, &slots, true);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_sliding_window_keeps_every_invariant(
        values in values(),
        dimensions in 1_usize..4,
        shingle in 1_usize..4,
        window in prop_oneof![Just(1_usize), Just(2), 3_usize..40],
        seed: u64,
    ) {
        let mut forest =
            Forest::builder(dimensions).trees(2).window(window).shingle(shingle).seed(seed).build().unwrap();
        for point in values.chunks_exact(dimensions) {
            let score = forest.update(point).unwrap();
            prop_assert!(score.codisp.is_finite() && score.codisp >= 0.0);
            check_forest(&forest);
        }
    }

    #[test]
    fn points_may_leave_in_any_order(
        values in values(),
        choices in prop::collection::vec((0_usize..4, any::<prop::sample::Index>()), 200),
        dimensions in 1_usize..4,
        oldest_first: bool,
        seed: u64,
    ) {
        let mut points = Points::new(dimensions, 1, 200);
        let mut tree = Tree::new(Rng::from_state(seed));
        let mut slots = VecDeque::new();
        let weights = vec![1.0; dimensions];
        for (point, (forgets, index)) in values.chunks_exact(dimensions).zip(choices) {
            points.push(point);
            slots.push_back(points.slot(points.len() - 1));
            let placement = tree.insert(slots[slots.len() - 1], &points, &weights);
            slots.make_contiguous();
            check(&tree, &points, slots.as_slices().0, oldest_first);
            check_placement(&tree, &points, slots.as_slices().0, &placement);
            for _ in 0..forgets.min(slots.len()).saturating_sub(1) {
                let at = if oldest_first { 0 } else { index.index(slots.len()) };
                let slot = slots.remove(at).unwrap();
                let point = points.point(slot).to_vec();
                tree.forget(slot, &point, &points);
                slots.make_contiguous();
                check(&tree, &points, slots.as_slices().0, oldest_first);
            }
        }
        while let Some(slot) = slots.pop_front() {
            let point = points.point(slot).to_vec();
            tree.forget(slot, &point, &points);
        }
        check(&tree, &points, &[], oldest_first);
    }
}

#[test]
fn a_ramp_of_many_points_keeps_its_depth_logarithmic() {
    let mut forest = Forest::builder(1).trees(20).window(4_096).seed(1).build().unwrap();
    let mut depth = 0.0;
    for n in 0..8_192_u16 {
        depth += forest.update(&[f32::from(n)]).unwrap().depth;
    }
    assert!(depth / 8_192.0 < 30.0, "mean depth {}", depth / 8_192.0);
}

//! Compares the structure of trees with what brute force computes.

mod oracle;

use proptest::prelude::*;

use super::bucket::CAPACITY;
use super::link::Link;
use super::nodes::NONE;
use super::pool::LeafRecord;
use super::{Arrival, Layout, Pool, Tree, Work};
use crate::eight::Baseline;
use crate::lanes::Probe;
use crate::store::Store;
use crate::window::Window;
use crate::{Forest, Sampling};

/// The parts found on a walk through a tree.
#[derive(Default)]
struct Found {
    nodes: usize,
    boxes: Vec<u32>,
    small: usize,
    large: usize,
    leaves: Vec<u32>,
}

/// Checks all invariants of all trees of a forest, and that the pool has no lost boxes or records.
pub(crate) fn check_forest(forest: &Forest) {
    let (pool, store) = (&forest.pool, &forest.store);
    check_counts(forest);
    let mut all = Found::default();
    for tree in &forest.trees {
        let mut found = Found::default();
        check_subtree(tree, pool, store, tree.root, &mut found);
        let mut free = 0;
        let mut next = tree.free_node;
        while next != NONE {
            free += 1;
            next = tree.nodes[next as usize].bounds;
        }
        assert_eq!(found.nodes + free + 1, tree.nodes.len(), "every node is in the tree or free");
        found.leaves.sort_unstable();
        let standing: Vec<u32> = store.standing().collect();
        assert_eq!(found.leaves, standing, "every value has one leaf");
        all.boxes.append(&mut found.boxes);
        all.small += found.small;
        all.large += found.large;
    }
    let (boxes, free_boxes, free_records, bytes) = pool.census();
    assert_eq!(all.boxes.len() + free_boxes, boxes, "every box belongs to a node or is free");
    all.boxes.sort_unstable();
    all.boxes.dedup();
    assert_eq!(all.boxes.len() + free_boxes, boxes, "no box belongs to two nodes");
    let [small, large] = pool.record_sizes();
    let used = (all.small + free_records[0]) * small + (all.large + free_records[1]) * large;
    assert_eq!(used, bytes, "every record is a bucket or free");
}

/// Checks the counts of the store against the points that the window holds.
fn check_counts(forest: &Forest) {
    let store = &forest.store;
    let slots: Vec<u32> = match &forest.window {
        Window::Sliding(ring) => ring.slots().collect(),
        Window::Sampled(reservoir) => reservoir.held().iter().map(|held| held.slot).collect(),
    };
    assert_eq!(store.len(), slots.len());
    assert_eq!(store.distinct(), store.standing().count());
    for stands in store.standing() {
        let mut equal = slots.iter().filter(|&&slot| store.point(slot) == store.point(stands));
        assert_eq!(store.count(stands) as usize, equal.clone().count());
        if let Window::Sliding(_) = forest.window {
            assert_eq!(equal.next_back(), Some(&stands), "the newest stands for all of its value");
        }
    }
}

/// Checks a subtree, and returns the slots of its leaves from left to right.
fn check_subtree(tree: &Tree, pool: &Pool, store: &Store, link: Link, found: &mut Found) -> Vec<u32> {
    if link == Link::NOTHING {
        assert_eq!(store.len(), 0);
        return Vec::new();
    }
    let mass = |slots: &[u32]| slots.iter().map(|&slot| store.count(slot)).sum::<u32>();
    let parts = |left: &[u32], right: &[u32], dimension: usize, cut: f32| {
        assert!(left.iter().all(|&slot| store.point(slot)[dimension] <= cut));
        assert!(right.iter().all(|&slot| store.point(slot)[dimension] > cut));
    };
    if link.is_node() {
        let node = &tree.nodes[link.node()];
        found.nodes += 1;
        found.boxes.push(node.bounds);
        let left = check_subtree(tree, pool, store, node.children[0], found);
        let right = check_subtree(tree, pool, store, node.children[1], found);
        parts(&left, &right, node.dimension as usize, node.cut);
        let both = [left, right].concat();
        assert_eq!(node.mass, mass(&both));
        assert!(node.mass > CAPACITY as u32, "so few points are a bucket");
        let lo = pool.start(node.bounds);
        for d in 0..store.width() {
            let values = || both.iter().map(|&slot| store.point(slot)[d]);
            let (least, greatest) = (pool.boxes()[lo + d], pool.boxes()[lo + store.width() + d]);
            assert_eq!(least.to_bits(), values().fold(f32::INFINITY, f32::min).to_bits());
            assert_eq!(greatest.to_bits(), values().fold(f32::NEG_INFINITY, f32::max).to_bits());
        }
        return both;
    }
    let mut leaf = LeafRecord::new();
    let bucket = pool.view(link, &mut leaf);
    if !link.is_leaf() {
        assert!(bucket.len >= 2, "a single leaf needs no bucket");
        if link.large() { found.large += 1 } else { found.small += 1 }
    }
    let bucket = bucket.unpack();
    for step in bucket.walk() {
        if let super::bucket::Step::Gap { gap, first, last } = step {
            let (left, right) = (&bucket.slots[first..=gap], &bucket.slots[gap + 1..=last]);
            parts(left, right, usize::from(bucket.dimensions[gap]), bucket.cuts[gap]);
        }
    }
    found.leaves.extend(&bucket.slots[..bucket.len]);
    bucket.slots[..bucket.len].to_vec()
}

/// Several kinds of series: quantised, neighbours an ulp apart, denormals, large offsets, extremes,
/// and a mixture of all.
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
    let series = |value: BoxedStrategy<f32>| prop::collection::vec(value, 1..300);
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

pub(crate) fn samplings() -> impl Strategy<Value = Sampling> {
    prop_oneof![
        3 => Just(Sampling::SlidingWindow),
        1 => Just(Sampling::Reservoir),
        1 => (0.0_f64..0.5).prop_map(|rate| Sampling::TimeDecayed { rate: rate.max(1e-6) }),
    ]
}

/// Sizes of windows: the smallest ones, and some around the size of a bucket.
pub(crate) fn windows() -> impl Strategy<Value = usize> {
    prop_oneof![1 => Just(1_usize), 1 => Just(2), 6 => 3_usize..80]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_invariant_holds_after_every_point(
        values in values(),
        dimensions in 1_usize..4,
        shingle in prop_oneof![4 => 1_usize..4, 1 => prop::sample::select(vec![9_usize, 12])],
        window in windows(),
        sampling in samplings(),
        seed: u64,
    ) {
        let builder = Forest::builder(dimensions).trees(2).window(window).shingle(shingle).seed(seed);
        let mut forest = builder.sampling(sampling).build().unwrap();
        for point in values.chunks_exact(dimensions) {
            let score = forest.update(point).unwrap();
            prop_assert!(score.codisp.is_finite() && score.codisp >= 0.0);
            check_forest(&forest);
        }
    }

    #[test]
    fn points_may_be_taken_out_in_any_order(
        values in values(),
        choices in prop::collection::vec((0_usize..4, any::<prop::sample::Index>()), 300),
        dimensions in 1_usize..4,
        window in windows(),
        sampling in samplings(),
        seed: u64,
    ) {
        let builder = Forest::builder(dimensions).trees(2).window(window).seed(seed);
        let mut forest = builder.sampling(sampling).build().unwrap();
        let mut held: Vec<Vec<f32>> = Vec::new();
        for (point, (removals, index)) in values.chunks_exact(dimensions).zip(choices) {
            forest.update(point).unwrap();
            held.push(point.to_vec());
            for _ in 0..removals.saturating_sub(1) {
                let at = index.index(held.len());
                let before = forest.len();
                let removed = forest.remove(&held[at]).unwrap();
                prop_assert_eq!(forest.len() + usize::from(removed), before);
                check_forest(&forest);
            }
        }
        for point in held.iter().rev() {
            forest.remove(point).unwrap();
            while forest.remove(point).unwrap() {}
        }
        prop_assert!(forest.is_empty());
        check_forest(&forest);
    }

    #[test]
    fn a_window_may_change_its_size_at_any_time(
        values in values(),
        sizes in prop::collection::vec(windows(), 1..6),
        dimensions in 1_usize..3,
        shingle in 1_usize..4,
        sampling in samplings(),
        seed: u64,
    ) {
        let builder = Forest::builder(dimensions).trees(2).window(20).shingle(shingle).seed(seed);
        let mut forest = builder.sampling(sampling).build().unwrap();
        let points: Vec<&[f32]> = values.chunks_exact(dimensions).collect();
        for (part, &size) in points.chunks(points.len().div_ceil(sizes.len()).max(1)).zip(&sizes) {
            for point in part {
                forest.update(point).unwrap();
            }
            let before = forest.len();
            forest.resize(size).unwrap();
            prop_assert_eq!(forest.window(), size);
            prop_assert_eq!(forest.len(), before.min(size));
            check_forest(&forest);
            let restored = Forest::restore(&forest.snapshot()).unwrap();
            check_forest(&restored);
        }
    }

    #[test]
    fn a_tree_is_what_the_plain_algorithm_makes_of_it(
        values in values(),
        dimensions in 1_usize..4,
        shingle in prop_oneof![4 => 1_usize..4, 1 => prop::sample::select(vec![9_usize, 12])],
        window in windows(),
        weight in prop::sample::select(vec![1.0_f32, 0.01, 300.0]),
        seed: u64,
    ) {
        let mut forest =
            Forest::builder(dimensions).trees(3).window(window).shingle(shingle).seed(seed).build().unwrap();
        let weights: Vec<f32> = (0..dimensions).map(|d| if d == 0 { 1.0 } else { weight }).collect();
        forest.set_weights(&weights).unwrap();
        let mut oracle = oracle::Oracle::new(&forest);
        let width = dimensions * shingle;
        let mut series = Vec::new();
        let mut contributions = vec![0.0; width];
        for point in values.chunks_exact(dimensions) {
            series.extend_from_slice(point);
            let asked = forest.score(point).unwrap();
            let full = forest.len() == window;
            let score = forest.update_attributed(point, &mut contributions).unwrap();
            if series.len() < width {
                continue;
            }
            let expected = oracle.update(&series[series.len() - width..], window);
            prop_assert_eq!(score.codisp.to_bits(), expected.codisp.to_bits());
            prop_assert_eq!(score.depth.to_bits(), expected.depth.to_bits());
            prop_assert_eq!(score.displacement.to_bits(), expected.displacement.to_bits());
            prop_assert_eq!(&contributions, &expected.contributions);
            prop_assert!(full || asked == score, "asking is what taking in will say");
            let mut layout = Layout::default();
            for (tree, plain) in forest.trees.iter().zip(&oracle.trees) {
                tree.lay_out(&forest.pool, &forest.store, &mut layout);
                prop_assert_eq!(plain.cuts(), layout.dimensions.iter().copied().zip(layout.cuts.iter().copied()).collect::<Vec<_>>());
                let points: Vec<&[f32]> = layout.slots.iter().map(|&slot| forest.store.point(slot)).collect();
                prop_assert_eq!(plain.points(), points);
            }
        }
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
    check_forest(&forest);
}

#[test]
fn a_way_may_be_longer_than_foreseen() {
    // Every point is far beyond all earlier ones, so a cut near the root separates it from them.
    let mut forest = Forest::builder(1).trees(5).window(300).seed(1).build().unwrap();
    let mut value = 1e-30_f32;
    for _ in 0..240 {
        forest.update(&[value]).unwrap();
        value *= 1.7;
    }
    assert!(forest.score(&[1e-30]).unwrap().depth > 60.0);
    check_forest(&forest);
}

#[test]
fn wide_and_narrow_registers_give_the_same_bits() {
    for (dimensions, shingle, sampling) in [
        (1, 8, Sampling::SlidingWindow),
        (3, 1, Sampling::SlidingWindow),
        (13, 1, Sampling::TimeDecayed { rate: 0.01 }),
        (5, 4, Sampling::Reservoir),
    ] {
        let builder = Forest::builder(dimensions).trees(9).window(120).shingle(shingle).seed(2);
        let mut wide = builder.sampling(sampling).build().unwrap();
        let mut narrow = wide.clone();
        narrow.wide_registers = false;
        for n in 0..600_u16 {
            let point: Vec<f32> = (0..dimensions)
                .map(|d| f32::from(n % 47) * 0.37 + f32::from(n * 31 % 101) * (d + 1) as f32)
                .collect();
            assert_eq!(wide.update(&point).unwrap(), narrow.update(&point).unwrap());
        }
        assert_eq!(wide.snapshot(), narrow.snapshot());
    }
}

#[test]
fn a_tree_refuses_a_point_of_another_width_before_reading_it() {
    for (dimensions, shingle) in [(2, 1), (3, 4)] {
        let mut forest = Forest::builder(dimensions).trees(1).window(100).shingle(shingle).build().unwrap();
        for n in 0..200_u16 {
            let point: Vec<f32> = (0..dimensions).map(|d| f32::from(n * 31 % 101) + d as f32).collect();
            forest.update(&point).unwrap();
        }
        let Forest { trees, pool, store, wide_weights: weights, .. } = &forest;
        let (tree, width) = (&trees[0], store.width());
        assert!(tree.root.is_node(), "the way begins with nodes, whose cuts read the point");
        for wrong in [0, 1, width - 1, width + 1, 2 * width] {
            let point = vec![1.0; wrong].into_boxed_slice();
            let mut probe = Probe::new(wrong);
            probe.set(&point);
            let arrival = Arrival { probe: &probe, slot: 0, duplicate: None, weights, attribute: false };
            let mut work = Work::new(width);
            let refused = [
                // SAFETY: all arguments but the point are parts of the forest.
                #[allow(unsafe_code, reason = "the width is what this test is about")]
                refusal(|| unsafe { tree.look::<Baseline, 0>(&arrival, pool, store, &mut work) }),
                refusal(|| tree.duplicate(&point, pool, store)),
                refusal(|| tree.slots_in_bucket_of(&point, pool)),
                refusal(|| tree.clone().rename(&point, 0, &mut pool.clone())),
            ];
            for message in refused {
                assert!(message.contains("the point has the width of the forest"), "{wrong}: {message}");
            }
        }
    }
}

/// Returns the message of a panic.
fn refusal<T>(ask: impl FnOnce() -> T) -> String {
    let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(ask));
    let panic = answer.err().expect("a refusal");
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

use proptest::prelude::*;

use super::{Bounds, Cut, Probe, Ranges, padded};
use crate::eight::{Baseline, LANES};

/// A box and a point, laid out as in a forest, followed by the values of a neighbour.
struct Scene {
    values: Vec<f32>,
    probe: Probe,
    weights: Vec<f32>,
    width: usize,
}

impl Scene {
    fn new(lo: &[f32], hi: &[f32], point: &[f32], weights: &[f32]) -> Self {
        let width = point.len();
        let mut values = [lo, hi].concat();
        values.extend([f32::MIN, f32::MAX].iter().cycle().take(LANES));
        let mut probe = Probe::new(width);
        probe.set(point);
        let mut weights = weights.to_vec();
        weights.resize(padded(width), 0.0);
        Self { values, probe, weights, width }
    }

    fn bounds(&self) -> Bounds<'_> {
        // SAFETY: the scene pads its values.
        unsafe { Bounds::new(&self.values, 0, self.width) }
    }

    fn contains(&self) -> bool {
        !self.probe.outside::<Baseline, 0>(self.bounds())
    }

    fn touches(&self) -> bool {
        self.probe.touches::<Baseline, 0>(self.bounds())
    }

    fn ranges(&self) -> Ranges {
        // SAFETY: the scene pads its weights.
        unsafe { self.probe.ranges::<Baseline, 0>(self.bounds(), &self.weights) }
    }

    fn cut(&self, at: f64) -> Cut {
        // SAFETY: the scene pads its weights.
        unsafe { self.probe.cut::<Baseline, 0>(self.bounds(), &self.weights, self.ranges().wide, at) }
    }

    fn grow(&mut self) {
        // SAFETY: the scene pads its values.
        unsafe { self.probe.grow::<Baseline, 0>(&mut self.values, 0, self.width) };
    }
}

/// Values that are hard for floating-point arithmetic: neighbours, denormals, extremes, large
/// offsets.
fn value() -> impl Strategy<Value = f32> {
    prop_oneof![
        (-4_i8..4).prop_map(f32::from),
        (0_u32..4).prop_map(|ulps| f32::from_bits(48.08_f32.to_bits() + ulps)),
        (0_u32..4).prop_map(f32::from_bits),
        (0_u32..4).prop_map(|ulps| -f32::from_bits(ulps) + 0.0),
        (0_u32..4).prop_map(|ulps| f32::from_bits(1.7e9_f32.to_bits() + ulps)),
        Just(f32::MAX),
        Just(f32::MIN),
        Just(f32::MAX.next_down()),
        -1e3_f32..1e3,
    ]
}

/// A box and a point with a width in the given range.
fn box_and_point(widths: std::ops::Range<usize>) -> impl Strategy<Value = (Vec<f32>, Vec<f32>, Vec<f32>)> {
    prop::collection::vec((value(), value(), value()), widths).prop_map(|sides| {
        let lo = sides.iter().map(|(a, b, _)| a.min(*b)).collect();
        let hi = sides.iter().map(|(a, b, _)| a.max(*b)).collect();
        let point = sides.iter().map(|(_, _, p)| *p).collect();
        (lo, hi, point)
    })
}

fn separates(cut: Cut, lo: &[f32], hi: &[f32], point: &[f32]) -> bool {
    let (lo, hi, value) = (lo[cut.dimension], hi[cut.dimension], point[cut.dimension]);
    (value <= cut.value && cut.value < lo) || (hi <= cut.value && cut.value < value)
}

proptest! {
    #[test]
    fn a_cut_separates_strictly_wherever_it_is_drawn(
        (lo, hi, point) in box_and_point(1..20),
        weight in prop::sample::select(vec![1.0, 1e-3, f32::MIN_POSITIVE, f32::MAX]),
        at in 0.0..1.0_f64,
    ) {
        let scene = Scene::new(&lo, &hi, &point, &vec![weight; point.len()]);
        let Ranges { excess, total, .. } = scene.ranges();
        // A range of a larger order of magnitude may absorb a tiny gap, but not the other way
        // round.
        prop_assert!(!scene.contains() || excess == 0.0);
        prop_assert!(scene.contains() || excess > 0.0 || total > 1e-25);
        prop_assert!(total.is_finite() && excess <= total);
        if excess > 0.0 {
            for at in [0.0, at, 1.0_f64.next_down(), 1.0, 1.5] {
                let cut = scene.cut(at * excess);
                prop_assert!(separates(cut, &lo, &hi, &point), "{:?} at {}", cut, at);
            }
        }
    }

    #[test]
    fn ranges_are_what_their_definition_says((lo, hi, point) in box_and_point(1..40)) {
        let weights: Vec<f32> = (1..=point.len()).map(|weight| weight as f32).collect();
        let mut scene = Scene::new(&lo, &hi, &point, &weights);
        let measured = scene.ranges();
        scene.grow();
        let sum = |lo: &[f32], hi: &[f32]| -> f64 {
            (0..lo.len()).map(|d| f64::from(weights[d]) * (f64::from(hi[d]) - f64::from(lo[d]))).sum()
        };
        let (before, after) = (sum(&lo, &hi), sum(&scene.values[..lo.len()], &scene.values[lo.len()..2 * lo.len()]));
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-5 * after;
        prop_assert!(close(measured.total, after) && close(measured.excess, after - before));
    }

    #[test]
    fn a_grown_box_contains_and_touches_the_point((lo, hi, point) in box_and_point(1..20)) {
        let mut scene = Scene::new(&lo, &hi, &point, &vec![1.0; point.len()]);
        let outside = !scene.contains();
        let behind = scene.values[2 * point.len()..].to_vec();
        scene.grow();
        prop_assert!(scene.contains());
        prop_assert!(!outside || scene.touches());
        prop_assert_eq!(&scene.values[2 * point.len()..], behind, "neighbours stay as they are");
    }
}

#[test]
fn a_gap_of_one_ulp_has_exactly_one_cut() {
    let (low, high) = (48.08_f32, 48.08_f32.next_up());
    for at in [0.0, 0.3, 0.999_999, 1.0] {
        let gap = f64::from(high) - f64::from(low);
        let up = Scene::new(&[low], &[low], &[high], &[1.0]).cut(at * gap);
        let down = Scene::new(&[high], &[high], &[low], &[1.0]).cut(at * gap);
        assert_eq!((up.value, down.value), (low, low));
    }
}

#[test]
fn the_widest_range_does_not_overflow() {
    let scene = Scene::new(&[f32::MIN; 5], &[f32::MIN; 5], &[f32::MAX; 5], &[f32::MAX; 5]);
    let measured = scene.ranges();
    assert!(measured.total.is_finite());
    assert!(measured.excess > 1e77);
}

#[test]
fn rounding_in_many_dimensions_ends_in_the_last_gap_not_beyond() {
    let width = 60_000;
    let lo = vec![0.0; width];
    let point: Vec<f32> = (0..width).map(|d| if d % 3 == 2 { 0.0 } else { 0.1 + d as f32 * 1e-7 }).collect();
    let scene = Scene::new(&lo, &lo, &point, &vec![1.0; width]);
    let excess = scene.ranges().excess;
    let cut = scene.cut(excess * (1.0 + 1e-3));
    assert_eq!(cut.dimension, width - 2 - usize::from((width - 1) % 3 != 2));
    assert!(separates(cut, &lo, &lo, &point));
}

#[test]
fn cuts_fall_in_proportion_to_weight_and_gap() {
    let weights = [1.0, 4.0, 1.0];
    let (lo, hi, point) = ([0.0, 0.0, 0.0], [1.0, 1.0, 9.0], [3.0, -0.5, 5.0]);
    let scene = Scene::new(&lo, &hi, &point, &weights);
    let excess = scene.ranges().excess;
    let steps = 1_000;
    let cuts: Vec<Cut> =
        (0..steps).map(|step| scene.cut(excess * f64::from(step) / f64::from(steps))).collect();
    assert_eq!(cuts.iter().filter(|cut| cut.dimension == 0).count(), 500);
    assert_eq!(cuts.iter().filter(|cut| cut.dimension == 1).count(), 500);
    let below_two = cuts.iter().filter(|cut| cut.dimension == 0 && cut.value < 2.0).count();
    assert_eq!(below_two, 250, "uniform over the gap from 1 to 3");
}

use super::{Cut, Ranges, contains, cut_between, grow, merge, ranges, touches};
use proptest::prelude::*;

/// Values that are hard on arithmetic: neighbours, denormals, extremes, large offsets.
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

/// A box and a point, as wide as asked for.
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
        (lo, hi, point) in box_and_point(1..10),
        weight in prop::sample::select(vec![1.0, 1e-3, f64::from(f32::MIN_POSITIVE), f64::from(f32::MAX)]),
        at in 0.0..1.0_f64,
    ) {
        let weights = vec![weight; point.len()];
        let Ranges { excess, total } = ranges(&lo, &hi, &point, &weights);
        prop_assert_eq!(contains(&lo, &hi, &point), excess == 0.0);
        prop_assert!(total.is_finite() && excess <= total);
        if excess > 0.0 {
            for at in [0.0, at, 1.0_f64.next_down(), 1.0, 1.5] {
                let cut = cut_between(&lo, &hi, &point, &weights, at * excess);
                prop_assert!(separates(cut, &lo, &hi, &point), "{:?} at {}", cut, at);
            }
        }
    }

    #[test]
    fn ranges_are_what_their_definition_says((lo, hi, point) in box_and_point(1..40)) {
        let weights: Vec<f64> = (1..=point.len()).map(|weight| weight as f64).collect();
        let measured = ranges(&lo, &hi, &point, &weights);
        let mut grown = (lo.clone(), hi.clone());
        grow(&mut grown.0, &mut grown.1, &point);
        let sum = |lo: &[f32], hi: &[f32]| -> f64 {
            (0..lo.len()).map(|d| weights[d] * (f64::from(hi[d]) - f64::from(lo[d]))).sum()
        };
        let (before, after) = (sum(&lo, &hi), sum(&grown.0, &grown.1));
        prop_assert!((measured.total - after).abs() <= 1e-12 * after);
        prop_assert!((measured.excess - (after - before)).abs() <= 1e-12 * after);
    }

    #[test]
    fn a_grown_box_contains_and_touches_the_point((lo, hi, point) in box_and_point(1..20)) {
        let outside = !contains(&lo, &hi, &point);
        let (mut lo, mut hi) = (lo, hi);
        grow(&mut lo, &mut hi, &point);
        prop_assert!(contains(&lo, &hi, &point));
        prop_assert!(!outside || touches(&lo, &hi, &point));
    }

    #[test]
    fn merging_says_whether_it_changed_the_box(
        (lo, hi, point) in box_and_point(1..20),
    ) {
        let mut own = (point.clone(), point.clone());
        let changed = merge(&mut own.0, &mut own.1, (&lo, &hi), (&point, &point));
        prop_assert_eq!(changed, own != (point.clone(), point.clone()));
        let mut grown = (lo.clone(), hi.clone());
        grow(&mut grown.0, &mut grown.1, &point);
        prop_assert_eq!(&own, &grown);
        prop_assert!(!merge(&mut own.0, &mut own.1, (&lo, &hi), (&point, &point)));
    }
}

#[test]
fn a_gap_of_one_ulp_has_exactly_one_cut() {
    let (low, high) = (48.08_f32, 48.08_f32.next_up());
    for at in [0.0, 0.3, 0.999_999, 1.0] {
        let gap = f64::from(high) - f64::from(low);
        let up = cut_between(&[low], &[low], &[high], &[1.0], at * gap);
        let down = cut_between(&[high], &[high], &[low], &[1.0], at * gap);
        assert_eq!((up.value, down.value), (low, low));
    }
}

#[test]
fn the_widest_range_does_not_overflow() {
    let measured = ranges(&[f32::MIN; 5], &[f32::MIN; 5], &[f32::MAX; 5], &[f64::from(f32::MAX); 5]);
    assert!(measured.total.is_finite());
    assert!(measured.excess > 1e77);
}

#[test]
fn rounding_in_many_dimensions_ends_in_the_last_gap_not_beyond() {
    let width = 60_000;
    let lo = vec![0.0; width];
    let point: Vec<f32> = (0..width).map(|d| if d % 3 == 2 { 0.0 } else { 0.1 + d as f32 * 1e-7 }).collect();
    let weights = vec![1.0; width];
    let excess = ranges(&lo, &lo, &point, &weights).excess;
    let cut = cut_between(&lo, &lo, &point, &weights, excess * (1.0 + 1e-9));
    assert_eq!(cut.dimension, width - 2 - usize::from((width - 1) % 3 != 2));
    assert!(separates(cut, &lo, &lo, &point));
}

#[test]
fn cuts_fall_in_proportion_to_weight_and_gap() {
    let weights = [1.0, 4.0, 1.0];
    let (lo, hi, point) = ([0.0, 0.0, 0.0], [1.0, 1.0, 9.0], [3.0, -0.5, 5.0]);
    let excess = ranges(&lo, &hi, &point, &weights).excess;
    let steps = 1_000;
    let cuts: Vec<Cut> = (0..steps)
        .map(|step| cut_between(&lo, &hi, &point, &weights, excess * f64::from(step) / f64::from(steps)))
        .collect();
    assert_eq!(cuts.iter().filter(|cut| cut.dimension == 0).count(), 500);
    assert_eq!(cuts.iter().filter(|cut| cut.dimension == 1).count(), 500);
    let below_two = cuts.iter().filter(|cut| cut.dimension == 0 && cut.value < 2.0).count();
    assert_eq!(below_two, 250, "uniform over the gap from 1 to 3");
}

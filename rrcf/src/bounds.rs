//! Arithmetic on bounding boxes: the inner loops of the forest.
//!
//! A box is a pair of slices, `lo` and `hi`, of equal length; a single point `p` is the box `(p, p)`. Sums are formed in `f64`,
//! because ranges of `f32` overflow (`f32::MAX - f32::MIN`), and in four lanes of fixed order, so that wider or narrower vector
//! registers give the same bits.

const LANES: usize = 4;

/// Weighted sums of ranges of a box that is about to take in a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ranges {
    /// By how much the point would make the box grow.
    pub(crate) excess: f64,
    /// The box with the point.
    pub(crate) total: f64,
}

/// A cut: points with `value` or less at `dimension` lie on the left side, all others on the right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cut {
    pub(crate) dimension: usize,
    pub(crate) value: f32,
}

/// Whether the point lies in the box.
pub(crate) fn contains(lo: &[f32], hi: &[f32], point: &[f32]) -> bool {
    let mut outside = false;
    for ((&lo, &hi), &value) in lo.iter().zip(hi).zip(point) {
        outside |= value < lo;
        outside |= value > hi;
    }
    !outside
}

/// Whether the point lies on the boundary of the box in at least one dimension.
pub(crate) fn touches(lo: &[f32], hi: &[f32], point: &[f32]) -> bool {
    let mut touching = false;
    for ((&lo, &hi), &value) in lo.iter().zip(hi).zip(point) {
        touching |= value <= lo;
        touching |= value >= hi;
    }
    touching
}

/// Makes the box just large enough to contain the point.
pub(crate) fn grow(lo: &mut [f32], hi: &mut [f32], point: &[f32]) {
    for ((lo, hi), &value) in lo.iter_mut().zip(hi).zip(point) {
        *lo = if value < *lo { value } else { *lo };
        *hi = if value > *hi { value } else { *hi };
    }
}

/// Replaces a box by the smallest one around two others. Returns whether that changed it.
pub(crate) fn merge(lo: &mut [f32], hi: &mut [f32], one: (&[f32], &[f32]), other: (&[f32], &[f32])) -> bool {
    let mut changed = false;
    for ((lo, &a), &b) in lo.iter_mut().zip(one.0).zip(other.0) {
        let least = if a < b { a } else { b };
        changed |= least.to_bits() != lo.to_bits();
        *lo = least;
    }
    for ((hi, &a), &b) in hi.iter_mut().zip(one.1).zip(other.1) {
        let most = if a > b { a } else { b };
        changed |= most.to_bits() != hi.to_bits();
        *hi = most;
    }
    changed
}

/// The ranges of the box before and after it takes in the point, weighted.
pub(crate) fn ranges(lo: &[f32], hi: &[f32], point: &[f32], weights: &[f64]) -> Ranges {
    let mut excess = [0.0; LANES];
    let mut inside = [0.0; LANES];
    let (lo_chunks, lo_rest) = lo.as_chunks::<LANES>();
    let (hi_chunks, hi_rest) = hi.as_chunks::<LANES>();
    let (point_chunks, point_rest) = point.as_chunks::<LANES>();
    let (weight_chunks, weight_rest) = weights.as_chunks::<LANES>();
    for (((lo, hi), point), weight) in lo_chunks.iter().zip(hi_chunks).zip(point_chunks).zip(weight_chunks) {
        for lane in 0..LANES {
            excess[lane] += weight[lane] * overhang(lo[lane], hi[lane], point[lane]);
            inside[lane] += weight[lane] * (f64::from(hi[lane]) - f64::from(lo[lane]));
        }
    }
    for (lane, (((&lo, &hi), &value), &weight)) in
        lo_rest.iter().zip(hi_rest).zip(point_rest).zip(weight_rest).enumerate()
    {
        excess[lane] += weight * overhang(lo, hi, value);
        inside[lane] += weight * (f64::from(hi) - f64::from(lo));
    }
    let excess = (excess[0] + excess[2]) + (excess[1] + excess[3]);
    let inside = (inside[0] + inside[2]) + (inside[1] + inside[3]);
    Ranges { excess, total: inside + excess }
}

/// How far the value lies outside the interval; 0 inside.
fn overhang(lo: f32, hi: f32, value: f32) -> f64 {
    let below = f64::from(lo) - f64::from(value);
    let above = f64::from(value) - f64::from(hi);
    let outside = if below > above { below } else { above };
    if outside > 0.0 { outside } else { 0.0 }
}

/// The cut at offset `at` of the gaps between the box and a point outside of it, laid end to end.
///
/// With `at` uniform in `[0, excess)` the cut is uniform over the gaps, each in proportion to its weight. It separates strictly:
/// everything on the left is at most `value`, everything on the right is above it, even where the gap is a single ulp.
pub(crate) fn cut_between(lo: &[f32], hi: &[f32], point: &[f32], weights: &[f64], mut at: f64) -> Cut {
    // Rounding may leave `at` a hair beyond the last gap: then the cut is the last value of that gap.
    let mut last = Cut { dimension: 0, value: lo[0] };
    for (dimension, (((&lo, &hi), &value), &weight)) in lo.iter().zip(hi).zip(point).zip(weights).enumerate()
    {
        let (start, end) = if value < lo {
            (value, lo)
        } else if value > hi {
            (hi, value)
        } else {
            continue;
        };
        let length = weight * (f64::from(end) - f64::from(start));
        if at < length {
            return Cut { dimension, value: round_down(f64::from(start) + at / weight, start, end) };
        }
        at -= length;
        last = Cut { dimension, value: end.next_down() };
    }
    last
}

/// The largest `f32` at most `real`, kept in `[start, end)`. Rounding down keeps every `f32` on the side of the real cut.
fn round_down(real: f64, start: f32, end: f32) -> f32 {
    let nearest = real as f32;
    let down = if f64::from(nearest) > real { nearest.next_down() } else { nearest };
    if down < start {
        start
    } else if down >= end {
        end.next_down()
    } else {
        down
    }
}

#[cfg(test)]
mod tests;

//! Arithmetic on bounding boxes: the inner loops of the forest.
//!
//! A box is `lo` and `hi`, each with one value per dimension. All loops handle eight dimensions at
//! a time, and read eight values even if fewer dimensions are left. The surplus values belong to a
//! neighbour and are masked.

#![allow(
    unsafe_code,
    reason = "the bounds hold by construction, and checking them costs a seventh of an update"
)]

use alloc::vec;
use alloc::vec::Vec;

use crate::eight::{Eight, LANES};
use crate::growth::heap_bytes;

/// Rounds the number of dimensions up to whole lanes. Every vector of values has this much space
/// after its last value.
pub(crate) fn padded(width: usize) -> usize {
    width.next_multiple_of(LANES)
}

/// Points of up to this many eights have specialised code.
pub(crate) const MOST_EIGHTS: usize = 4;

/// Returns the first dimension of each eight: `EIGHTS` of them, or as many as `width` needs if
/// `EIGHTS` is 0.
#[inline(always)]
pub(crate) fn chunks<const EIGHTS: usize>(width: usize) -> impl Iterator<Item = usize> {
    check!(EIGHTS == 0 || width.div_ceil(LANES) == EIGHTS);
    (0..if EIGHTS > 0 { EIGHTS } else { width.div_ceil(LANES) }).map(|chunk| chunk * LANES)
}

/// Reads the lanes that begin at `at`. This is the innermost access of the forest; checking it
/// would cost a seventh of an update.
///
/// # Safety
///
/// `at + LANES` must not exceed the number of values. All values that are read in lanes have
/// `LANES` values of space after the last (`Store::extend`, `Pool::new_box`, `padded`), so this
/// holds if `at` is the place of the first dimension of an eight, in a slot or box that exists.
#[inline(always)]
pub(crate) unsafe fn load<V: Eight>(values: &[f32], at: usize) -> V {
    check!(at + LANES <= values.len());
    // SAFETY: the caller promises that the lanes are within the values.
    V::load(unsafe { &*values.as_ptr().add(at).cast() })
}

/// Prefetches the cache line of the value at index `at`, which may be beyond the end.
#[inline(always)]
pub(crate) fn prefetch<T>(values: &[T], at: usize) {
    #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
    #[allow(unused_unsafe, reason = "the intrinsic is unsafe with some compilers")]
    // SAFETY: prefetching reads nothing and cannot fault.
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().wrapping_add(at).cast());
    }
    #[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
    let _ = (values, at);
}

/// Writes the first `count` lanes.
///
/// # Safety
///
/// As for [`load`], if `count` is at least [`LANES`].
#[inline(always)]
pub(crate) unsafe fn store<V: Eight>(values: &mut [f32], at: usize, lanes: V, count: usize) {
    if count >= LANES {
        check!(at + LANES <= values.len());
        // SAFETY: the caller promises that the lanes are within the values.
        lanes.store(unsafe { &mut *values.as_mut_ptr().add(at).cast() });
    } else {
        for (value, lane) in values[at..at + count].iter_mut().zip(lanes.to_array()) {
            *value = lane;
        }
    }
}

/// A point prepared for comparison with many boxes.
#[derive(Clone, Default)]
pub(crate) struct Probe {
    width: usize,
    values: Vec<f32>,
    /// The point in the forms that comparisons need, eight dimensions at a time.
    eights: Vec<Eights>,
    /// A copy of the first element; narrow points have no others.
    first: Eights,
}

/// Eight values of a point in the forms that comparisons need.
#[derive(Clone, Copy, Default)]
struct Eights {
    values: [f32; LANES],
    /// The values; in the lanes after the last dimension, a value that is below no bound.
    low: [f32; LANES],
    /// The values; in the lanes after the last dimension, a value that is above no bound.
    high: [f32; LANES],
    /// All ones in the lanes of the values, zeros in the lanes after them.
    real: [f32; LANES],
}

impl Probe {
    pub(crate) fn new(width: usize) -> Self {
        let eights_at = |at: usize| {
            let lanes =
                |real: f32, behind: f32| core::array::from_fn(|i| if at + i < width { real } else { behind });
            Eights {
                values: [0.0; LANES],
                low: lanes(0.0, f32::INFINITY),
                high: lanes(0.0, f32::NEG_INFINITY),
                real: lanes(f32::from_bits(u32::MAX), 0.0),
            }
        };
        let eights: Vec<Eights> = chunks::<0>(width).map(eights_at).collect();
        Self { width, values: vec![0.0; width], first: eights.first().copied().unwrap_or_default(), eights }
    }

    pub(crate) fn set(&mut self, point: &[f32]) {
        self.values.copy_from_slice(point);
        for (some, eights) in point.chunks(LANES).zip(&mut self.eights) {
            for values in [&mut eights.values, &mut eights.low, &mut eights.high] {
                values[..some.len()].copy_from_slice(some);
            }
        }
        self.first = self.eights.first().copied().unwrap_or_default();
    }

    #[inline(always)]
    pub(crate) fn point(&self) -> &[f32] {
        &self.values
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        heap_bytes(&self.values) + heap_bytes(&self.eights)
    }

    /// Returns the eight values from index `at` on. `at` is a multiple of eight.
    #[inline(always)]
    fn eights<const EIGHTS: usize>(&self, at: usize) -> &Eights {
        if EIGHTS == 1 { &self.first } else { &self.eights[at / LANES] }
    }

    /// Returns the values of a point of at most eight dimensions.
    #[inline(always)]
    pub(crate) fn narrow<V: Eight>(&self) -> V {
        V::load(&self.first.values)
    }

    /// Returns whether the point lies outside of the box.
    #[inline(always)]
    pub(crate) fn outside<V: Eight, const EIGHTS: usize>(&self, bounds: impl Boxed<V>) -> bool {
        let mut outside = 0;
        for at in chunks::<EIGHTS>(self.width) {
            let eights = self.eights::<EIGHTS>(at);
            let below = V::load(&eights.low).less(bounds.lower(at));
            let above = bounds.upper(at).less(V::load(&eights.high));
            outside |= below.or(above).mask();
        }
        outside != 0
    }

    /// Returns whether the point lies on the boundary of the box or outside of it in at least one
    /// dimension.
    #[inline(always)]
    pub(crate) fn touches<V: Eight, const EIGHTS: usize>(&self, bounds: impl Boxed<V>) -> bool {
        let mut touching = 0;
        for at in chunks::<EIGHTS>(self.width) {
            let eights = self.eights::<EIGHTS>(at);
            let below = V::load(&eights.low).at_most(bounds.lower(at));
            let above = bounds.upper(at).at_most(V::load(&eights.high));
            touching |= below.or(above).mask();
        }
        touching != 0
    }

    /// Grows the box at `lo` and `hi` in `values` just enough to contain the point.
    ///
    /// # Safety
    ///
    /// `values` must have the lower bounds of a box from `lo` on and the upper ones from `hi` on,
    /// each in as many eights as the point has.
    #[inline(always)]
    pub(crate) unsafe fn grow<V: Eight, const EIGHTS: usize>(
        &self,
        values: &mut [f32],
        lo: usize,
        hi: usize,
    ) {
        for at in chunks::<EIGHTS>(self.width) {
            let eights = self.eights::<EIGHTS>(at);
            // The values after the last dimension stay as they are.
            // SAFETY: the caller promises that the box is there.
            unsafe {
                let lower = V::load(&eights.low).min(load(values, lo + at));
                let upper = V::load(&eights.high).max(load(values, hi + at));
                store(values, lo + at, lower, LANES);
                store(values, hi + at, upper, LANES);
            }
        }
    }

    /// Replaces eight dimensions of the box at `lo` and `hi` in `values`, from dimension `at` on.
    /// Returns whether this changed the box.
    ///
    /// # Safety
    ///
    /// `values` must have eight lower bounds from `lo + at` on and eight upper ones from `hi + at`
    /// on.
    #[inline(always)]
    pub(crate) unsafe fn replace<V: Eight, const EIGHTS: usize>(
        &self,
        values: &mut [f32],
        (lo, hi): (usize, usize),
        at: usize,
        (lower, upper): (V, V),
    ) -> bool {
        let real = V::load(&self.eights::<EIGHTS>(at).real);
        // SAFETY: the caller promises that the bounds are there.
        let (old_lower, old_upper): (V, V) = unsafe { (load(values, lo + at), load(values, hi + at)) };
        let (lower, upper) = (V::choose(real, lower, old_lower), V::choose(real, upper, old_upper));
        // SAFETY: as above.
        unsafe {
            store(values, lo + at, lower, LANES);
            store(values, hi + at, upper, LANES);
        }
        old_lower.differs(lower).or(old_upper.differs(upper)).mask() != 0
    }

    /// Returns the weighted ranges of the box before and after it contains the point. `weights` has
    /// zeros after the last dimension.
    ///
    /// # Safety
    ///
    /// `weights` must have as many whole eights as the point.
    #[inline(always)]
    pub(crate) unsafe fn ranges<V: Eight, const EIGHTS: usize>(
        &self,
        bounds: impl Boxed<V>,
        weights: &[f32],
    ) -> Ranges {
        let zero = V::splat(0.0);
        let (mut excess, mut inside) = (zero, zero);
        for at in chunks::<EIGHTS>(self.width) {
            let eights = self.eights::<EIGHTS>(at);
            let (lo, hi, point) = (bounds.lower(at), bounds.upper(at), V::load(&eights.values));
            // SAFETY: the caller promises that the weights have whole eights.
            let weights = unsafe { load::<V>(weights, at) };
            let overhang = weights.mul(lo.sub(point).max(point.sub(hi)).max(zero));
            let range = weights.mul(hi.sub(lo).and(V::load(&eights.real)));
            (excess, inside) =
                if at == 0 { (overhang, range) } else { (excess.add(overhang), inside.add(range)) };
        }
        let (excess, inside) = (excess.sum(), inside.sum());
        let total = inside + excess;
        if total.to_bits().wrapping_sub(LEAST.to_bits() + 1) < MOST.to_bits() - LEAST.to_bits() - 1 {
            return Ranges { excess: f64::from(excess), total: f64::from(total), wide: false };
        }
        self.wide_ranges::<V>(bounds, weights)
    }

    /// Does the same in `f64`, for sums that overflow or underflow in `f32`.
    #[cold]
    #[inline(never)]
    fn wide_ranges<V: Eight>(&self, bounds: impl Boxed<V>, weights: &[f32]) -> Ranges {
        let (mut excess, mut inside) = (0.0, 0.0);
        for at in chunks::<0>(self.width) {
            let (lo, hi) = (bounds.lower(at).to_array(), bounds.upper(at).to_array());
            for (i, &value) in self.point()[at..].iter().take(LANES).enumerate() {
                let (lo, hi, value) = (f64::from(lo[i]), f64::from(hi[i]), f64::from(value));
                let weight = f64::from(weights[at + i]);
                excess += weight * (lo - value).max(value - hi).max(0.0);
                inside += weight * (hi - lo);
            }
        }
        Ranges { excess, total: inside + excess, wide: true }
    }

    /// Returns the cut at offset `at` of the gaps between the box and the point outside of it, laid
    /// end to end.
    ///
    /// If `at` is uniform in `[0, excess)`, the cut is uniform over the gaps, each in proportion to
    /// its weight. It separates strictly: everything on the left is at most `value`, everything on
    /// the right is above it, even if the gap is a single ulp.
    ///
    /// # Safety
    ///
    /// As for [`Probe::ranges`].
    #[inline(always)]
    pub(crate) unsafe fn cut<V: Eight, const EIGHTS: usize>(
        &self,
        bounds: impl Boxed<V>,
        weights: &[f32],
        wide: bool,
        mut at: f64,
    ) -> Cut {
        let mut last = Gap { dimension: 0, start: 0.0, end: 0.0, weight: 1.0 };
        for chunk in chunks::<EIGHTS>(self.width) {
            let (lo, hi) = (bounds.lower(chunk), bounds.upper(chunk));
            let eights = self.eights::<EIGHTS>(chunk);
            let (low, high) = (V::load(&eights.low), V::load(&eights.high));
            let below = low.less(lo);
            let starts = V::choose(below, low, hi);
            let ends = V::choose(below, lo, high);
            let gaps = starts.less(ends).mask();
            if gaps == 0 {
                continue;
            }
            let (starts, ends) = (starts.to_array(), ends.to_array());
            let lengths: [f64; LANES] = if wide {
                let length =
                    |i: usize| f64::from(weights[chunk + i]) * (f64::from(ends[i]) - f64::from(starts[i]));
                core::array::from_fn(|i| length(i).max(0.0))
            } else {
                let length = V::load(&ends).sub(V::load(&starts)).max(V::splat(0.0));
                // SAFETY: the caller promises that the weights have whole eights.
                unsafe { load::<V>(weights, chunk) }.mul(length).to_array().map(f64::from)
            };
            // The gap that is hit is random, so a branch on it would be mispredicted. This checks
            // all gaps without a branch.
            let mut hits = 0_u32;
            let mut offsets = [0.0; LANES];
            for i in 0..LANES {
                offsets[i] = at;
                hits |= u32::from(at < lengths[i]) << i;
                at -= lengths[i];
            }
            hits &= gaps;
            let found = hits != 0;
            let which = if found { hits.trailing_zeros() } else { gaps.ilog2() } as usize % LANES;
            let weight = f64::from(weights[chunk + which]);
            let (start, end) = (starts[which], ends[which]);
            last = Gap { dimension: chunk + which, start, end, weight };
            if found {
                let real = f64::from(last.start) + offsets[which] / last.weight;
                return Cut { dimension: last.dimension, value: round_down(real, last.start, last.end) };
            }
        }
        // Rounding can move `at` slightly beyond the last gap. The cut is then the last value of
        // that gap.
        Cut { dimension: last.dimension, value: last.end.next_down() + 0.0 }
    }
}

/// A box, in memory or in registers.
pub(crate) trait Boxed<V: Eight>: Copy {
    /// Returns eight lower bounds, from index `at` on.
    fn lower(&self, at: usize) -> V;

    /// Returns eight upper bounds, from index `at` on.
    fn upper(&self, at: usize) -> V;
}

/// Eight dimensions of a box, in registers.
#[derive(Clone, Copy)]
pub(crate) struct InRegisters<V> {
    pub(crate) lo: V,
    pub(crate) hi: V,
}

impl<V: Eight> Boxed<V> for InRegisters<V> {
    #[inline(always)]
    fn lower(&self, _: usize) -> V {
        self.lo
    }

    #[inline(always)]
    fn upper(&self, _: usize) -> V {
        self.hi
    }
}

/// A box within a slice of values.
#[derive(Clone, Copy)]
pub(crate) struct Bounds<'a> {
    values: &'a [f32],
    /// Index of the first lower bound.
    lo: usize,
    /// Index of the first upper bound.
    hi: usize,
}

impl<'a> Bounds<'a> {
    /// Returns the box whose lower bounds begin at `lo` and whose upper bounds begin at `hi`.
    ///
    /// # Safety
    ///
    /// `values` must have both, each in as many eights as every point has that is compared with the
    /// box: no index from outside of these eights is asked for.
    #[inline(always)]
    pub(crate) unsafe fn new(values: &'a [f32], lo: usize, hi: usize) -> Self {
        Self { values, lo, hi }
    }
}

impl<V: Eight> Boxed<V> for Bounds<'_> {
    #[inline(always)]
    fn lower(&self, at: usize) -> V {
        // SAFETY: `new` was promised that the bounds are there.
        unsafe { load(self.values, self.lo + at) }
    }

    #[inline(always)]
    fn upper(&self, at: usize) -> V {
        // SAFETY: as in `lower`.
        unsafe { load(self.values, self.hi + at) }
    }
}

/// The interval between a box and a point outside of it, in one dimension.
struct Gap {
    dimension: usize,
    start: f32,
    end: f32,
    weight: f64,
}

/// Sums of ranges between these two limits are formed in `f32`.
const LEAST: f32 = 1e-25;
const MOST: f32 = 1e35;

/// Weighted sums of ranges, for a box and a point that it is about to contain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ranges {
    /// The growth of the box if it contains the point.
    pub(crate) excess: f64,
    /// The size of the box with the point.
    pub(crate) total: f64,
    /// Whether the sums are outside of the limits for `f32`.
    pub(crate) wide: bool,
}

/// A cut: points with at most `value` in `dimension` lie on the left side, all others on the right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cut {
    pub(crate) dimension: usize,
    pub(crate) value: f32,
}

/// Returns the largest `f32` that is at most `real`, limited to `[start, end)`. Rounding down keeps
/// every `f32` on the same side as the exact cut does.
#[inline(always)]
fn round_down(real: f64, start: f32, end: f32) -> f32 {
    let nearest = real as f32;
    // Whether `nearest` is above `real` is random, so the next value down is computed without a
    // branch. The bits of a finite number grow with its magnitude. A zero that is above `real` has
    // the negative sign of `real`.
    let above = u32::from(f64::from(nearest) > real).wrapping_neg();
    let towards_below = (nearest.to_bits() >> 31 << 1).wrapping_sub(1);
    let down = f32::from_bits(nearest.to_bits().wrapping_add(towards_below & above)) + 0.0;
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

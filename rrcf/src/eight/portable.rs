//! Eight numbers as an array.

use super::vector::{Eight, Job, LANES};

/// Eight numbers for any processor.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(core::array::from_fn(|i| f(self.0[i], other.0[i])))
    }

    #[inline(always)]
    fn compare(self, other: Self, f: impl Fn(f32, f32) -> bool) -> Self {
        self.zip(other, |a, b| f32::from_bits(if f(a, b) { u32::MAX } else { 0 }))
    }
}

impl Eight for Portable {
    #[inline(never)]
    fn apart(job: impl Job) {
        job.run();
    }

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    fn load(lanes: &[f32; LANES]) -> Self {
        Self(*lanes)
    }

    #[inline(always)]
    fn store(self, lanes: &mut [f32; LANES]) {
        *lanes = self.0;
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn less(self, other: Self) -> Self {
        self.compare(other, |a, b| a < b)
    }

    #[inline(always)]
    fn at_most(self, other: Self) -> Self {
        self.compare(other, |a, b| a <= b)
    }

    #[inline(always)]
    #[allow(clippy::float_cmp, reason = "the comparison is exact on purpose")]
    fn differs(self, other: Self) -> Self {
        self.compare(other, |a, b| a != b)
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        self.zip(other, |a, b| f32::from_bits(a.to_bits() | b.to_bits()))
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        self.zip(other, |a, b| f32::from_bits(a.to_bits() & b.to_bits()))
    }

    #[inline(always)]
    fn choose(held: Self, yes: Self, no: Self) -> Self {
        let bits = |i: usize| {
            let held = held.0[i].to_bits();
            (yes.0[i].to_bits() & held) | (no.0[i].to_bits() & !held)
        };
        Self(core::array::from_fn(|i| f32::from_bits(bits(i))))
    }

    #[inline(always)]
    fn mask(self) -> u32 {
        self.0.iter().enumerate().fold(0, |mask, (i, lane)| mask | (lane.to_bits() >> 31) << i)
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        let four: [f32; 4] = core::array::from_fn(|i| self.0[i] + self.0[i + 4]);
        (four[0] + four[2]) + (four[1] + four[3])
    }
}

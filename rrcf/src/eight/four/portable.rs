//! Four numbers as an array.

/// Four integers of 32 bits.
#[derive(Clone, Copy)]
pub(crate) struct Four([u32; 4]);

impl Four {
    #[inline(always)]
    pub(crate) fn new(numbers: [u32; 4]) -> Self {
        Self(numbers)
    }

    #[inline(always)]
    pub(crate) fn to_array(self) -> [u32; 4] {
        self.0
    }

    /// Returns all ones in the lanes whose uppermost bit is set, and zeros in the others.
    #[inline(always)]
    pub(crate) fn sign(self) -> Self {
        Self(self.0.map(|number| ((number as i32) >> 31) as u32))
    }

    /// Returns whether the uppermost bit of any lane is set.
    #[inline(always)]
    pub(crate) fn any_sign(self) -> bool {
        self.0.iter().any(|number| number >> 31 == 1)
    }

    #[inline(always)]
    pub(crate) fn half(self) -> Self {
        Self(self.0.map(|number| number >> 1))
    }

    #[inline(always)]
    pub(crate) fn add(self, other: Self) -> Self {
        self.zip(other, u32::wrapping_add)
    }

    #[inline(always)]
    pub(crate) fn sub(self, other: Self) -> Self {
        self.zip(other, u32::wrapping_sub)
    }

    #[inline(always)]
    pub(crate) fn and(self, other: Self) -> Self {
        self.zip(other, |one, other| one & other)
    }

    /// Returns `yes` in the lanes where the mask is all ones, and `no` where it is all zeros.
    #[inline(always)]
    pub(crate) fn choose(mask: Self, yes: Self, no: Self) -> Self {
        Self(core::array::from_fn(|i| (yes.0[i] & mask.0[i]) | (no.0[i] & !mask.0[i])))
    }

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(u32, u32) -> u32) -> Self {
        Self(core::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

/// Four quotients.
#[derive(Clone, Copy)]
pub(crate) struct Quotients([f64; 4]);

impl Quotients {
    #[inline(always)]
    pub(crate) fn zero() -> Self {
        Self([0.0; 4])
    }

    #[inline(always)]
    pub(crate) fn to_array(self) -> [f64; 4] {
        self.0
    }

    /// Returns in each lane the greater of this quotient and `dividends / divisors`. All numbers
    /// must be below 2³¹.
    #[inline(always)]
    pub(crate) fn or_greater(self, dividends: Four, divisors: Four) -> Self {
        Self(core::array::from_fn(|i| {
            let quotient = f64::from(dividends.0[i] as i32) / f64::from(divisors.0[i] as i32);
            if quotient > self.0[i] { quotient } else { self.0[i] }
        }))
    }
}

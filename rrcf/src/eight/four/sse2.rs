//! Four numbers in one SSE2 register. Every `x86_64` has SSE2.

#![allow(
    unsafe_code,
    unused_unsafe,
    reason = "intrinsics are unsafe with some compilers; every x86_64 has SSE2"
)]

use core::arch::x86_64::{
    __m128d, __m128i, _mm_add_epi32, _mm_and_si128, _mm_andnot_si128, _mm_castsi128_ps, _mm_cvtepi32_pd,
    _mm_div_pd, _mm_max_pd, _mm_movemask_ps, _mm_or_si128, _mm_set_epi32, _mm_setzero_pd, _mm_srai_epi32,
    _mm_srli_epi32, _mm_storeu_pd, _mm_storeu_si128, _mm_sub_epi32, _mm_unpackhi_epi64,
};

/// Four integers of 32 bits.
#[derive(Clone, Copy)]
pub(crate) struct Four(__m128i);

impl Four {
    #[inline(always)]
    pub(crate) fn new([a, b, c, d]: [u32; 4]) -> Self {
        // SAFETY: SSE2 is part of x86_64.
        Self(unsafe { _mm_set_epi32(d as i32, c as i32, b as i32, a as i32) })
    }

    #[inline(always)]
    pub(crate) fn to_array(self) -> [u32; 4] {
        let mut numbers = [0; 4];
        // SAFETY: SSE2 is part of x86_64.
        unsafe { _mm_storeu_si128((&raw mut numbers).cast(), self.0) };
        numbers
    }

    /// Returns all ones in the lanes whose uppermost bit is set, and zeros in the others.
    #[inline(always)]
    pub(crate) fn sign(self) -> Self {
        // SAFETY: SSE2 is part of x86_64.
        Self(unsafe { _mm_srai_epi32::<31>(self.0) })
    }

    /// Returns whether the uppermost bit of any lane is set.
    #[inline(always)]
    pub(crate) fn any_sign(self) -> bool {
        // SAFETY: SSE2 is part of x86_64.
        unsafe { _mm_movemask_ps(_mm_castsi128_ps(self.0)) != 0 }
    }

    #[inline(always)]
    pub(crate) fn half(self) -> Self {
        // SAFETY: SSE2 is part of x86_64.
        Self(unsafe { _mm_srli_epi32::<1>(self.0) })
    }

    #[inline(always)]
    pub(crate) fn add(self, other: Self) -> Self {
        // SAFETY: SSE2 is part of x86_64.
        Self(unsafe { _mm_add_epi32(self.0, other.0) })
    }

    #[inline(always)]
    pub(crate) fn sub(self, other: Self) -> Self {
        // SAFETY: SSE2 is part of x86_64.
        Self(unsafe { _mm_sub_epi32(self.0, other.0) })
    }

    #[inline(always)]
    pub(crate) fn and(self, other: Self) -> Self {
        // SAFETY: SSE2 is part of x86_64.
        Self(unsafe { _mm_and_si128(self.0, other.0) })
    }

    /// Returns `yes` in the lanes where the mask is all ones, and `no` where it is all zeros.
    #[inline(always)]
    pub(crate) fn choose(mask: Self, yes: Self, no: Self) -> Self {
        // SAFETY: SSE2 is part of x86_64.
        Self(unsafe { _mm_or_si128(_mm_and_si128(mask.0, yes.0), _mm_andnot_si128(mask.0, no.0)) })
    }
}

/// Four quotients.
#[derive(Clone, Copy)]
pub(crate) struct Quotients(__m128d, __m128d);

impl Quotients {
    #[inline(always)]
    pub(crate) fn zero() -> Self {
        // SAFETY: SSE2 is part of x86_64.
        unsafe { Self(_mm_setzero_pd(), _mm_setzero_pd()) }
    }

    #[inline(always)]
    pub(crate) fn to_array(self) -> [f64; 4] {
        let mut numbers = [0.0; 4];
        let (low, high) = numbers.split_at_mut(2);
        // SAFETY: SSE2 is part of x86_64.
        unsafe {
            _mm_storeu_pd(low.as_mut_ptr(), self.0);
            _mm_storeu_pd(high.as_mut_ptr(), self.1);
        }
        numbers
    }

    /// Returns in each lane the greater of this quotient and `dividends / divisors`. All numbers
    /// must be below 2³¹.
    #[inline(always)]
    pub(crate) fn or_greater(self, dividends: Four, divisors: Four) -> Self {
        // SAFETY: SSE2 is part of x86_64.
        unsafe {
            let low = _mm_div_pd(_mm_cvtepi32_pd(dividends.0), _mm_cvtepi32_pd(divisors.0));
            let upper = |four: __m128i| _mm_cvtepi32_pd(_mm_unpackhi_epi64(four, four));
            let high = _mm_div_pd(upper(dividends.0), upper(divisors.0));
            Self(_mm_max_pd(low, self.0), _mm_max_pd(high, self.1))
        }
    }
}

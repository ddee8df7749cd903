//! Eight numbers in two SSE2 registers. Every `x86_64` has SSE2.

#![allow(
    unsafe_code,
    unused_unsafe,
    reason = "intrinsics are unsafe with some compilers; every x86_64 has SSE2"
)]

use core::arch::x86_64::{
    __m128, _mm_add_ps, _mm_add_ss, _mm_and_ps, _mm_andnot_ps, _mm_cmple_ps, _mm_cmplt_ps, _mm_cmpneq_ps,
    _mm_cvtss_f32, _mm_loadu_ps, _mm_max_ps, _mm_min_ps, _mm_movehl_ps, _mm_movemask_ps, _mm_mul_ps,
    _mm_or_ps, _mm_set1_ps, _mm_shuffle_ps, _mm_storeu_ps, _mm_sub_ps,
};

use super::vector::{Eight, Job, LANES};

/// Eight numbers for any `x86_64`.
#[derive(Clone, Copy)]
pub(crate) struct Sse2(__m128, __m128);

macro_rules! both {
    ($name:ident, $intrinsic:ident) => {
        #[inline(always)]
        fn $name(self, other: Self) -> Self {
            // SAFETY: SSE2 is part of x86_64.
            unsafe { Self($intrinsic(self.0, other.0), $intrinsic(self.1, other.1)) }
        }
    };
}

impl Eight for Sse2 {
    #[inline(never)]
    fn apart(job: impl Job) {
        job.run();
    }

    both!(min, _mm_min_ps);
    both!(max, _mm_max_ps);
    both!(sub, _mm_sub_ps);
    both!(add, _mm_add_ps);
    both!(mul, _mm_mul_ps);
    both!(less, _mm_cmplt_ps);
    both!(at_most, _mm_cmple_ps);
    both!(differs, _mm_cmpneq_ps);
    both!(or, _mm_or_ps);
    both!(and, _mm_and_ps);

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: SSE2 is part of x86_64.
        unsafe { Self(_mm_set1_ps(value), _mm_set1_ps(value)) }
    }

    #[inline(always)]
    fn load(lanes: &[f32; LANES]) -> Self {
        // SAFETY: SSE2 is part of x86_64; both reads are within the array and need no alignment.
        unsafe { Self(_mm_loadu_ps(lanes.as_ptr()), _mm_loadu_ps(lanes.as_ptr().add(4))) }
    }

    #[inline(always)]
    fn store(self, lanes: &mut [f32; LANES]) {
        // SAFETY: SSE2 is part of x86_64; both writes are within the array and need no alignment.
        unsafe {
            _mm_storeu_ps(lanes.as_mut_ptr(), self.0);
            _mm_storeu_ps(lanes.as_mut_ptr().add(4), self.1);
        }
    }

    #[inline(always)]
    fn choose(held: Self, yes: Self, no: Self) -> Self {
        // SAFETY: SSE2 is part of x86_64.
        unsafe {
            Self(
                _mm_or_ps(_mm_and_ps(held.0, yes.0), _mm_andnot_ps(held.0, no.0)),
                _mm_or_ps(_mm_and_ps(held.1, yes.1), _mm_andnot_ps(held.1, no.1)),
            )
        }
    }

    #[inline(always)]
    fn mask(self) -> u32 {
        // SAFETY: SSE2 is part of x86_64.
        unsafe { (_mm_movemask_ps(self.0) | _mm_movemask_ps(self.1) << 4) as u32 }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: SSE2 is part of x86_64.
        unsafe {
            let four = _mm_add_ps(self.0, self.1);
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }
}

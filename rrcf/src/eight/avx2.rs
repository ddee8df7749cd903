//! Eight numbers in one AVX2 register. Use it only if the processor has AVX2.

#![allow(unsafe_code, unused_unsafe, reason = "intrinsics are unsafe if the target may lack AVX2")]

use core::arch::x86_64::{
    __m256, _CMP_GT_OQ, _CMP_LE_OQ, _CMP_LT_OQ, _CMP_NEQ_UQ, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32,
    _mm_loadl_epi64, _mm_movehl_ps, _mm_shuffle_ps, _mm256_add_ps, _mm256_and_ps, _mm256_blendv_ps,
    _mm256_castps256_ps128, _mm256_cmp_ps, _mm256_cvtepu8_epi32, _mm256_extractf128_ps, _mm256_loadu_ps,
    _mm256_max_ps, _mm256_min_ps, _mm256_movemask_ps, _mm256_mul_ps, _mm256_or_ps, _mm256_permutevar8x32_ps,
    _mm256_set1_ps, _mm256_storeu_ps, _mm256_sub_ps,
};

use super::vector::{Eight, Job, LANES};

/// Eight numbers for processors with AVX2. A forest uses it only after detecting AVX2.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256);

macro_rules! one {
    ($name:ident, $self:ident, $other:ident, $result:expr) => {
        #[inline(always)]
        fn $name($self, $other: Self) -> Self {
            // SAFETY: the processor has AVX2.
            unsafe { Self($result) }
        }
    };
}

/// Does some work with AVX2 and the bit operations that came with it.
#[inline(never)]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn apart(job: impl Job) {
    job.run();
}

impl Eight for Avx2 {
    const WIDE: bool = true;

    #[inline(always)]
    fn apart(job: impl Job) {
        // SAFETY: the processor has AVX2 and the other features, which are detected together.
        unsafe { apart(job) }
    }

    one!(min, self, other, _mm256_min_ps(self.0, other.0));
    one!(max, self, other, _mm256_max_ps(self.0, other.0));
    one!(sub, self, other, _mm256_sub_ps(self.0, other.0));
    one!(add, self, other, _mm256_add_ps(self.0, other.0));
    one!(mul, self, other, _mm256_mul_ps(self.0, other.0));
    one!(less, self, other, _mm256_cmp_ps::<_CMP_LT_OQ>(self.0, other.0));
    one!(at_most, self, other, _mm256_cmp_ps::<_CMP_LE_OQ>(self.0, other.0));
    one!(differs, self, other, _mm256_cmp_ps::<_CMP_NEQ_UQ>(self.0, other.0));
    one!(and, self, other, _mm256_and_ps(self.0, other.0));
    one!(or, self, other, _mm256_or_ps(self.0, other.0));

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: the processor has AVX2.
        unsafe { Self(_mm256_set1_ps(value)) }
    }

    #[inline(always)]
    fn load(lanes: &[f32; LANES]) -> Self {
        // SAFETY: the processor has AVX2; the load reads exactly the array and needs no alignment.
        unsafe { Self(_mm256_loadu_ps(lanes.as_ptr())) }
    }

    #[inline(always)]
    fn store(self, lanes: &mut [f32; LANES]) {
        // SAFETY: the processor has AVX2; the store writes exactly the array and needs no
        // alignment.
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn choose(held: Self, yes: Self, no: Self) -> Self {
        // SAFETY: the processor has AVX2.
        unsafe { Self(_mm256_blendv_ps(no.0, yes.0, held.0)) }
    }

    #[inline(always)]
    fn mask(self) -> u32 {
        // SAFETY: the processor has AVX2.
        unsafe { _mm256_movemask_ps(self.0) as u32 }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: the processor has AVX2.
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    #[inline(always)]
    fn sides<const C: usize>(self, dimensions: &[u8; C], cuts: &[[u8; 4]; C]) -> u32 {
        let mut sides = 0;
        for first in (0..C).step_by(LANES) {
            let (Some(dimensions), Some(cuts)) =
                (dimensions[first..].first_chunk::<LANES>(), cuts[first..].first_chunk::<LANES>())
            else {
                unreachable!("the number of cuts is a multiple of eight")
            };
            // SAFETY: the processor has AVX2; the loads read eight bytes and eight times four
            // bytes, and need no alignment.
            let greater = unsafe {
                let dimensions = _mm256_cvtepu8_epi32(_mm_loadl_epi64(dimensions.as_ptr().cast()));
                let values = _mm256_permutevar8x32_ps(self.0, dimensions);
                let cuts = _mm256_loadu_ps(cuts.as_ptr().cast());
                _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(values, cuts)) as u32
            };
            sides |= greater << first;
        }
        sides
    }
}

//! Eight `f32` at a time, and a few operations on small arrays of numbers: what the inner loops of the forest are made of.
//!
//! Every operation rounds as the same operation on single numbers does, and [`Eight::sum`] adds in a fixed order, so that all
//! implementations give the same bits. `x86_64` has two: SSE2, which is part of it, and AVX2, which a forest uses where the processor
//! has it. All other processors have the portable one, which compilers turn into vector instructions where there are some.

#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
mod avx2;
mod four;
#[cfg(any(test, not(all(target_arch = "x86_64", target_feature = "sse2"))))]
mod portable;
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
mod sse2;

#[cfg(test)]
mod tests;

#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
pub(crate) use avx2::Avx2;
pub(crate) use four::{Four, Quotients};
#[cfg(any(test, not(all(target_arch = "x86_64", target_feature = "sse2"))))]
pub(crate) use portable::Portable;
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
pub(crate) use sse2::Sse2;

/// The implementation that every processor of this kind can run.
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
pub(crate) type Baseline = Sse2;
#[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
pub(crate) type Baseline = Portable;

/// Numbers in an [`Eight`].
pub(crate) const LANES: usize = 8;

/// Some work that is worth a function of its own: see [`Eight::apart`].
pub(crate) trait Job {
    /// Does it. To be inlined, always.
    fn run(self);
}

/// Eight numbers. Comparisons give all ones or all zeros per lane.
pub(crate) trait Eight: Copy {
    /// Whether more than eight dimensions are worth code of their own.
    const WIDE: bool = false;

    fn splat(value: f32) -> Self;
    fn load(lanes: &[f32; LANES]) -> Self;
    fn store(self, lanes: &mut [f32; LANES]);
    fn min(self, other: Self) -> Self;
    fn max(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn add(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn less(self, other: Self) -> Self;
    fn at_most(self, other: Self) -> Self;
    fn differs(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    /// `yes` where the comparison held, `no` elsewhere.
    fn choose(held: Self, yes: Self, no: Self) -> Self;
    /// A bit per lane: whether the comparison held.
    fn mask(self) -> u32;
    /// The sum of all lanes: halves first, then quarters, then pairs.
    fn sum(self) -> f32;

    /// Does some work in a function of its own, compiled for the processors that these numbers are for.
    ///
    /// All inner loops are inlined into whoever chose the kind of numbers. Without some borders, that is one function of
    /// thousands of lines, in which nothing is left in a register.
    fn apart(job: impl Job);

    /// For every cut a bit: whether the point's value in the dimension of the same index is greater. Dimensions at or beyond eight give any
    /// bit.
    #[inline(always)]
    fn sides<const C: usize>(self, dimensions: &[u8; C], cuts: &[[u8; 4]; C]) -> u32 {
        let point = self.to_array();
        let mut sides = 0;
        for i in 0..C {
            let value = point[usize::from(dimensions[i]) % LANES];
            sides |= u32::from(value > f32::from_le_bytes(cuts[i])) << i;
        }
        sides
    }

    #[inline(always)]
    fn to_array(self) -> [f32; LANES] {
        let mut lanes = [0.0; LANES];
        self.store(&mut lanes);
        lanes
    }
}

/// Whether a test wants a processor without wide registers: `RRCF_LANES=plain`. Detection asks the processor itself, so nothing outside of
/// this process could hide them from it.
#[cfg(feature = "__plain-lanes")]
fn plain_lanes_wanted() -> bool {
    static WANTED: std::sync::LazyLock<bool> =
        std::sync::LazyLock::new(|| std::env::var_os("RRCF_LANES").is_some_and(|lanes| lanes == "plain"));
    *WANTED
}

/// Whether the processor has registers of eight lanes, and the bit operations that came with them. Only `std` can ask.
pub(crate) fn wide_registers() -> bool {
    #[cfg(feature = "__plain-lanes")]
    if plain_lanes_wanted() {
        return false;
    }
    #[cfg(all(feature = "std", target_arch = "x86_64", target_feature = "sse2"))]
    return std::arch::is_x86_feature_detected!("avx2")
        && std::arch::is_x86_feature_detected!("bmi1")
        && std::arch::is_x86_feature_detected!("bmi2")
        && std::arch::is_x86_feature_detected!("lzcnt")
        && std::arch::is_x86_feature_detected!("popcnt");
    #[cfg(not(all(feature = "std", target_arch = "x86_64", target_feature = "sse2")))]
    false
}

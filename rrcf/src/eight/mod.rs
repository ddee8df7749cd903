//! Vectors of eight `f32`, and a few operations on small integer arrays: the parts of the forest's
//! inner loops.
//!
//! Every operation rounds like the same operation on single numbers, and [`Eight::sum`] adds in a
//! fixed order. So all implementations give the same bits. `x86_64` has two of them: SSE2, which
//! every `x86_64` has, and AVX2, which a forest uses if the processor has it. All other processors
//! use the portable one, which the compiler turns into vector instructions where it can.

#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
mod avx2;
mod four;
#[cfg(any(test, not(all(target_arch = "x86_64", target_feature = "sse2"))))]
mod portable;
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
mod sse2;
mod vector;

#[cfg(test)]
mod tests;

#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
pub(crate) use avx2::Avx2;
pub(crate) use four::{Four, Quotients};
#[cfg(any(test, not(all(target_arch = "x86_64", target_feature = "sse2"))))]
pub(crate) use portable::Portable;
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
pub(crate) use sse2::Sse2;
pub(crate) use vector::{Eight, Job, LANES};

/// The implementation that every processor of the target can run.
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
pub(crate) type Baseline = Sse2;
#[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
pub(crate) type Baseline = Portable;

/// Returns whether a test asks for a processor without wide registers, with `RRCF_LANES=plain`. The
/// detection asks the processor itself, so nothing outside of this process can hide the registers.
#[cfg(feature = "__plain-lanes")]
fn plain_lanes_wanted() -> bool {
    static WANTED: std::sync::LazyLock<bool> =
        std::sync::LazyLock::new(|| std::env::var_os("RRCF_LANES").is_some_and(|lanes| lanes == "plain"));
    *WANTED
}

/// Returns whether the processor has registers of eight lanes and the bit operations that came with
/// them. Detection needs `std`.
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

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

/// The implementation that every processor of this kind can run.
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
pub(crate) type Baseline = Sse2;
#[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
pub(crate) type Baseline = Portable;

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

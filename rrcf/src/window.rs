//! The points that a forest holds: a sliding window or a sample.

use alloc::vec::Vec;

use crate::builder::{ForestBuilder, Sampling};
use crate::reservoir::Reservoir;
use crate::ring::Ring;
use crate::rng::Rng;
use crate::store::Store;

/// The points that a forest holds.
#[derive(Clone, Debug)]
pub(crate) enum Window {
    /// The last points.
    Sliding(Ring),
    /// A sample of all points.
    Sampled(Reservoir),
}

impl Window {
    pub(crate) fn new(config: &ForestBuilder) -> Self {
        let ForestBuilder { dimensions, shingle, window, seed, .. } = *config;
        let rate = match config.sampling {
            Sampling::SlidingWindow => return Self::Sliding(Ring::new(dimensions, shingle, window)),
            Sampling::Reservoir => 0.0,
            Sampling::TimeDecayed { rate } => rate,
        };
        Self::Sampled(Reservoir::new(dimensions, shingle, window, rate, Rng::for_sampling(seed)))
    }

    pub(crate) fn store(&self) -> Store {
        match self {
            Self::Sliding(ring) => ring.store(),
            Self::Sampled(reservoir) => reservoir.store(),
        }
    }

    /// Returns the largest number of slots.
    pub(crate) fn slots(&self) -> usize {
        match self {
            Self::Sliding(ring) => ring.capacity(),
            Self::Sampled(reservoir) => reservoir.window() + 1,
        }
    }

    pub(crate) fn sampling(&self) -> Sampling {
        match self {
            Self::Sliding(_) => Sampling::SlidingWindow,
            Self::Sampled(reservoir) if reservoir.rate() > 0.0 => {
                Sampling::TimeDecayed { rate: reservoir.rate() }
            }
            Self::Sampled(_) => Sampling::Reservoir,
        }
    }

    pub(crate) fn dimensions(&self) -> usize {
        match self {
            Self::Sliding(ring) => ring.dimensions(),
            Self::Sampled(reservoir) => reservoir.dimensions(),
        }
    }

    pub(crate) fn shingle(&self) -> usize {
        match self {
            Self::Sliding(ring) => ring.shingle(),
            Self::Sampled(reservoir) => reservoir.shingle(),
        }
    }

    /// Returns the largest number of points held.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Sliding(ring) => ring.window(),
            Self::Sampled(reservoir) => reservoir.window(),
        }
    }

    /// Returns the number of raw points received so far.
    pub(crate) fn pushed(&self) -> u64 {
        match self {
            Self::Sliding(ring) => ring.pushed(),
            Self::Sampled(reservoir) => reservoir.pushed(),
        }
    }

    /// Returns the shingle that would end in `point` if it came next, or `None` if too few points
    /// have come.
    pub(crate) fn shingle_with(&self, store: &Store, point: &[f32]) -> Option<Vec<f32>> {
        let before = self.shingle() - 1;
        if self.pushed() < before as u64 {
            return None;
        }
        let mut shingle = Vec::with_capacity(store.width());
        match self {
            Self::Sliding(ring) => {
                let skipped = ring.raw_len() - before;
                ring.raw(store).skip(skipped).for_each(|raw| shingle.extend_from_slice(raw));
            }
            Self::Sampled(reservoir) => {
                shingle.extend_from_slice(&reservoir.recent()[reservoir.dimensions()..]);
            }
        }
        shingle.extend(point.iter().map(|value| value + 0.0));
        Some(shingle)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Sliding(ring) => ring.heap_bytes(),
            Self::Sampled(reservoir) => reservoir.heap_bytes(),
        }
    }
}

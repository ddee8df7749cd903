//! The inputs of a recipe: sampling rate, length and randomness.

use crate::random::{Key, Stream};

/// The inputs of a recipe.
pub(in crate::synth) struct Studio {
    /// Samples per second.
    pub(super) rate: f64,
    /// The number of samples to render.
    pub(super) samples: usize,
    /// Random numbers that are the same for every clip of a recording.
    pub(super) recording: Stream,
    /// Random numbers that differ from clip to clip.
    pub(super) slice: Stream,
}

impl Studio {
    pub(in crate::synth) fn new(rate: u32, samples: usize, recording: Key, slice: Key) -> Self {
        Self { rate: f64::from(rate), samples, recording: recording.stream(), slice: slice.stream() }
    }

    /// Renders the clip sample by sample. Passes the time in seconds and the random numbers of the
    /// clip to `next`.
    pub(super) fn render(self, mut next: impl FnMut(f64, &mut Stream) -> f32) -> Vec<f32> {
        let Self { rate, samples, mut slice, .. } = self;
        (0..samples).map(|n| next(n as f64 / rate, &mut slice)).collect()
    }
}

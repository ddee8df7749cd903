//! Computes spectral frames from samples by Welch's method: the power spectra of overlapping
//! windows are summed into the bands.
//!
//! The shape of a frame's spectrum comes from the windows whose centres lie in the frame. Its power
//! comes from the samples themselves: the bands are scaled so that they sum to the frame's mean
//! square.

use std::{collections::HashMap, f64::consts::TAU, sync::Arc};

use rustfft::{Fft, FftPlannerScalar, num_complex::Complex};

use super::{
    bands::{self, BANDS},
    frame::SpectralFrame,
    wav::Sound,
};

/// The share of a frame that the last one must fill to count as a frame.
const NEARLY_FULL: f64 = 0.9;

/// Cuts sounds into frames and analyses them. Reuses its tables for sounds of the same sampling
/// rate.
pub struct Analyser {
    frame_seconds: f64,
    /// The scalar planner: the results of the SIMD planners depend on the machine.
    planner: FftPlannerScalar<f64>,
    tables: HashMap<u32, Arc<Table>>,
}

/// The values that depend only on the sampling rate.
struct Table {
    fft: Arc<dyn Fft<f64>>,
    /// A Hann window.
    window: Vec<f64>,
    /// The bins up to half the sampling rate.
    bins: Vec<Bin>,
}

/// A bin of the spectrum.
struct Bin {
    /// Centre frequency in Hz.
    frequency: f64,
    /// A-weighting as a factor on power.
    a_weight: f64,
    /// The one or two bands that the bin overlaps, with the overlapping share of its width.
    shares: [(usize, f64); 2],
}

impl Analyser {
    /// Returns an analyser for frames of `frame_seconds` seconds.
    pub fn new(frame_seconds: f64) -> Self {
        Self { frame_seconds, planner: FftPlannerScalar::new(), tables: HashMap::new() }
    }

    /// Returns the whole frames of a sound. A sound shorter than a frame gives one frame, padded
    /// with silence. The rest of a longer sound is ignored unless it nearly fills a frame.
    pub fn frames(&mut self, sound: &Sound) -> Vec<SpectralFrame> {
        let table = self.table(sound.rate);
        let length = ((self.frame_seconds * f64::from(sound.rate)).round() as usize).max(1);
        let nearly = (NEARLY_FULL * length as f64) as usize;
        let count = ((sound.samples.len() + length - nearly) / length).max(1);
        (0..count).map(|index| table.frame(sound, index * length, length)).collect()
    }

    fn table(&mut self, rate: u32) -> Arc<Table> {
        let planner = &mut self.planner;
        Arc::clone(self.tables.entry(rate).or_insert_with(|| Arc::new(Table::new(rate, planner))))
    }
}

impl Table {
    /// Uses windows of 0.12 to 0.24 s. Their bins are narrow enough for the lowest octave band, and
    /// several windows fit into a second.
    fn new(rate: u32, planner: &mut FftPlannerScalar<f64>) -> Self {
        let size = ((0.12 * f64::from(rate)) as usize).next_power_of_two();
        let window = (0..size).map(|n| 0.5 - 0.5 * libm::cos(TAU * n as f64 / size as f64)).collect();
        let width = f64::from(rate) / size as f64;
        let edges = bands::band_edges();
        let bins = (0..=size / 2).map(|n| Bin::new(n as f64 * width, width, &edges)).collect();
        Self { fft: planner.plan_fft_forward(size), window, bins }
    }

    fn frame(&self, sound: &Sound, start: usize, length: usize) -> SpectralFrame {
        let samples = &sound.samples[start..(start + length).min(sound.samples.len())];
        let mean_square = samples.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>() / length as f64;
        let mut frame = SpectralFrame::SILENT;
        if mean_square == 0.0 {
            return frame;
        }

        let spectrum = self.spectrum(&sound.samples, start, samples.len());
        let in_bands: f64 =
            spectrum.iter().zip(&self.bins).map(|(power, bin)| power * bin.total_share()).sum();
        // No window contains a click at the end of the samples. A click has a flat spectrum.
        let (spectrum, in_bands) = if in_bands > 0.0 {
            (spectrum, in_bands)
        } else {
            (vec![1.0; self.bins.len()], self.flat_total())
        };
        let scale = mean_square / in_bands;
        for (power, bin) in spectrum.iter().zip(&self.bins) {
            for (band, share) in bin.shares {
                let power = power * scale * share;
                frame.power[band] += power;
                frame.weighted[band] += power * bin.a_weight;
                frame.moment[band] += power * bin.frequency;
            }
        }
        let rate = zero_crossings(samples) as f64 * f64::from(sound.rate) / length as f64;
        frame.crossings = mean_square * rate * rate;
        let peak = samples.iter().fold(0.0f32, |peak, x| peak.max(x.abs()));
        frame.peak = f64::from(peak) * f64::from(peak);
        frame
    }

    /// Returns the power in all bands of a spectrum with power 1 in every bin.
    fn flat_total(&self) -> f64 {
        self.bins.iter().map(Bin::total_share).sum()
    }

    /// Returns the summed power spectra of the windows whose centres lie in the frame, per bin.
    fn spectrum(&self, samples: &[f32], start: usize, length: usize) -> Vec<f64> {
        let size = self.window.len();
        let hop = size / 2;
        let mut sum = vec![0.0; self.bins.len()];
        let mut buffer = vec![Complex::new(0.0, 0.0); size];
        let mut scratch = vec![Complex::new(0.0, 0.0); self.fft.get_inplace_scratch_len()];
        if samples.len() < size {
            // The sound is shorter than a window: use one window over the whole sound.
            self.load_windows(&mut buffer, samples, None);
            self.fft.process_with_scratch(&mut buffer, &mut scratch);
            add_powers(&mut sum, &buffer);
            return sum;
        }
        let last = samples.len() - size;
        let mut offsets = (0..=last)
            .step_by(hop)
            .filter(|offset| (start..start + length).contains(&(offset + hop)))
            .peekable();
        if offsets.peek().is_none() {
            // A frame shorter than half a window may contain no centre. Use the window nearest to
            // its middle.
            let nearest = (start + length / 2).saturating_sub(hop).min(last);
            self.load_windows(&mut buffer, &samples[nearest..nearest + size], None);
            self.fft.process_with_scratch(&mut buffer, &mut scratch);
            add_powers(&mut sum, &buffer);
        }
        while let Some(first) = offsets.next() {
            let second = offsets.next().map(|offset| &samples[offset..offset + size]);
            self.load_windows(&mut buffer, &samples[first..first + size], second);
            self.fft.process_with_scratch(&mut buffer, &mut scratch);
            add_powers(&mut sum, &buffer);
        }
        sum
    }

    /// Loads two windows of samples as the real and the imaginary part of one complex window. A
    /// single transform then gives the sum of both power spectra.
    fn load_windows(&self, buffer: &mut [Complex<f64>], first: &[f32], second: Option<&[f32]>) {
        buffer.fill(Complex::new(0.0, 0.0));
        // The window function is stretched over the length of a short sound.
        let stretch = self.window.len() as f64 / first.len() as f64;
        for (n, sample) in first.iter().enumerate() {
            buffer[n].re = f64::from(*sample) * self.window[(n as f64 * stretch) as usize];
        }
        for (n, sample) in second.into_iter().flatten().enumerate() {
            buffer[n].im = f64::from(*sample) * self.window[n];
        }
    }
}

/// Adds the power spectra of two real windows `x` and `y` to `sum`. With `Z` the transform of
/// `x + i·y`, `|X_k|² + |Y_k|² = (|Z_k|² + |Z_{N−k}|²) / 2`.
fn add_powers(sum: &mut [f64], transform: &[Complex<f64>]) {
    let size = transform.len();
    for (k, power) in sum.iter_mut().enumerate() {
        *power += f64::midpoint(transform[k].norm_sqr(), transform[(size - k) % size].norm_sqr());
    }
}

impl Bin {
    fn new(frequency: f64, width: f64, edges: &[f64; BANDS + 1]) -> Self {
        let (low, high) = (frequency - width / 2.0, frequency + width / 2.0);
        let mut shares = [(0, 0.0); 2];
        let mut used = 0;
        for band in 0..BANDS {
            let overlap = high.min(edges[band + 1]) - low.max(edges[band]);
            if overlap > 0.0 && used < 2 {
                shares[used] = (band, overlap / width);
                used += 1;
            }
        }
        Self { frequency, a_weight: bands::a_weight(frequency), shares }
    }

    fn total_share(&self) -> f64 {
        self.shares[0].1 + self.shares[1].1
    }
}

fn zero_crossings(samples: &[f32]) -> usize {
    samples.windows(2).filter(|pair| (pair[0] < 0.0) != (pair[1] < 0.0)).count()
}

#[cfg(test)]
mod tests;

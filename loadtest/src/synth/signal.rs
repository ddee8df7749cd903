//! Building blocks of the recipes: oscillators, noises and filters.
//!
//! Sines come from a table computed with `libm`, so a seed gives the same samples on every machine.

use std::{f64::consts::TAU, sync::LazyLock};

use crate::random::Stream;

const TABLE_BITS: u32 = 12;
const TABLE_SIZE: usize = 1 << TABLE_BITS;

static SINE: LazyLock<Vec<f32>> = LazyLock::new(|| {
    (0..=TABLE_SIZE).map(|n| libm::sin(n as f64 * TAU / TABLE_SIZE as f64) as f32).collect()
});

/// A sine oscillator whose frequency may change from sample to sample.
#[derive(Clone, Debug)]
pub(super) struct Sine {
    /// The phase in turns, `0 <= turns < 1`.
    turns: f64,
    rate: f64,
}

impl Sine {
    pub(super) fn new(rate: f64, turns: f64) -> Self {
        Self { turns: turns - turns.floor(), rate }
    }

    /// Returns the next sample at this frequency in Hz.
    pub(super) fn next(&mut self, frequency: f64) -> f32 {
        self.turns += frequency / self.rate;
        self.turns -= self.turns.floor();
        let position = self.turns * TABLE_SIZE as f64;
        let index = (position as usize).min(TABLE_SIZE - 1);
        let (left, right) = (SINE[index], SINE[index + 1]);
        left + (right - left) * (position - index as f64) as f32
    }
}

/// A tone with overtones. Partial n has n times the pitch and the n-th amplitude. Partials above
/// 0.45 of the sampling rate are silent.
#[derive(Clone, Debug)]
pub(super) struct Partials {
    sines: Vec<(f64, f32, Sine)>,
    rate: f64,
}

impl Partials {
    pub(super) fn new(rate: f64, amplitudes: &[f32], random: &mut Stream) -> Self {
        let sines = amplitudes
            .iter()
            .enumerate()
            .map(|(n, &amplitude)| ((n + 1) as f64, amplitude, Sine::new(rate, random.unit())))
            .collect();
        Self { sines, rate }
    }

    pub(super) fn next(&mut self, pitch: f64) -> f32 {
        let limit = 0.45 * self.rate;
        self.sines
            .iter_mut()
            .filter(|(multiple, ..)| multiple * pitch < limit)
            .map(|(multiple, amplitude, sine)| *amplitude * sine.next(*multiple * pitch))
            .sum()
    }
}

/// Returns a sample of noise with equal power per Hz and variance 1.
pub(super) fn white(random: &mut Stream) -> f32 {
    random.gauss() as f32
}

/// Noise with equal power per octave and variance near 1 (the economy form of Paul Kellett's
/// filter).
#[derive(Clone, Debug, Default)]
pub(super) struct Pink([f32; 3]);

impl Pink {
    pub(super) fn next(&mut self, random: &mut Stream) -> f32 {
        let noise = white(random);
        let [slow, middle, fast] = &mut self.0;
        *slow = 0.997_65 * *slow + noise * 0.099_046;
        *middle = 0.963 * *middle + noise * 0.296_516_4;
        *fast = 0.57 * *fast + noise * 1.052_691_3;
        0.38 * (*slow + *middle + *fast + noise * 0.1848)
    }
}

/// A second-order filter section (Robert Bristow-Johnson's audio cookbook).
#[derive(Clone, Debug)]
pub(super) struct Filter {
    feed_forward: [f32; 3],
    feed_back: [f32; 2],
    state: [f32; 2],
}

impl Filter {
    /// Returns a filter that passes a band around `centre` Hz. A higher `quality` means a narrower
    /// band. The gain at the centre is 1.
    pub(super) fn band(rate: f64, centre: f64, quality: f64) -> Self {
        let (cosine, alpha) = Self::angle(rate, centre, quality);
        Self::normalised([alpha, 0.0, -alpha], [1.0 + alpha, -2.0 * cosine, 1.0 - alpha])
    }

    /// Returns a filter that passes frequencies below `corner` Hz.
    pub(super) fn low(rate: f64, corner: f64) -> Self {
        let (cosine, alpha) = Self::angle(rate, corner, std::f64::consts::FRAC_1_SQRT_2);
        let edge = (1.0 - cosine) / 2.0;
        Self::normalised([edge, 2.0 * edge, edge], [1.0 + alpha, -2.0 * cosine, 1.0 - alpha])
    }

    /// Returns a filter that passes frequencies above `corner` Hz.
    pub(super) fn high(rate: f64, corner: f64) -> Self {
        let (cosine, alpha) = Self::angle(rate, corner, std::f64::consts::FRAC_1_SQRT_2);
        let edge = f64::midpoint(1.0, cosine);
        Self::normalised([edge, -2.0 * edge, edge], [1.0 + alpha, -2.0 * cosine, 1.0 - alpha])
    }

    fn angle(rate: f64, frequency: f64, quality: f64) -> (f64, f64) {
        let omega = TAU * frequency.min(0.45 * rate) / rate;
        (libm::cos(omega), libm::sin(omega) / (2.0 * quality))
    }

    fn normalised(forward: [f64; 3], back: [f64; 3]) -> Self {
        Self {
            feed_forward: forward.map(|x| (x / back[0]) as f32),
            feed_back: [(back[1] / back[0]) as f32, (back[2] / back[0]) as f32],
            state: [0.0; 2],
        }
    }

    /// Filters one sample (transposed direct form II).
    pub(super) fn next(&mut self, input: f32) -> f32 {
        let output = self.feed_forward[0] * input + self.state[0];
        self.state[0] = self.feed_forward[1] * input - self.feed_back[0] * output + self.state[1];
        self.state[1] = self.feed_forward[2] * input - self.feed_back[1] * output;
        output
    }
}

/// A pulse that jumps to a level when struck, and falls by 60 dB within a given time.
#[derive(Clone, Debug)]
pub(super) struct Decay {
    level: f32,
    factor: f32,
}

impl Decay {
    pub(super) fn new(rate: f64, seconds: f64) -> Self {
        Self { level: 0.0, factor: libm::exp(-6.907_755 / (seconds * rate)) as f32 }
    }

    pub(super) fn strike(&mut self, level: f32) {
        self.level = level;
    }

    pub(super) fn next(&mut self) -> f32 {
        let level = self.level;
        self.level = if level < 1e-6 { 0.0 } else { level * self.factor };
        level
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Key;

    const RATE: f64 = 22_050.0;

    fn rms(samples: &[f32]) -> f32 {
        (samples.iter().map(|x| x * x).sum::<f32>() / samples.len() as f32).sqrt()
    }

    #[test]
    fn the_sine_table_is_a_sine() {
        let mut sine = Sine::new(RATE, 0.0);
        for n in 1..2_000 {
            let expected = (f64::from(n) * 440.0 / RATE * TAU).sin() as f32;
            let sample = sine.next(440.0);
            assert!((sample - expected).abs() < 2e-5, "sample {n}: {sample}, expected {expected}");
        }
    }

    #[test]
    fn a_band_filter_passes_its_centre_and_stops_the_rest() {
        let through = |frequency: f64| {
            let mut filter = Filter::band(RATE, 1_000.0, 5.0);
            let mut sine = Sine::new(RATE, 0.0);
            let samples: Vec<f32> = (0..22_050).map(|_| filter.next(sine.next(frequency))).collect();
            rms(&samples[4_000..]) * std::f32::consts::SQRT_2
        };
        assert!((through(1_000.0) - 1.0).abs() < 0.01);
        assert!(through(100.0) < 0.05 && through(8_000.0) < 0.05);
    }

    #[test]
    fn low_and_high_filters_lose_three_decibels_at_the_corner() {
        for (filter, away) in [(Filter::low(RATE, 1_000.0), 8_000.0), (Filter::high(RATE, 1_000.0), 100.0)] {
            let through = |frequency: f64| {
                let (mut filter, mut sine) = (filter.clone(), Sine::new(RATE, 0.0));
                let samples: Vec<f32> = (0..22_050).map(|_| filter.next(sine.next(frequency))).collect();
                rms(&samples[4_000..]) * std::f32::consts::SQRT_2
            };
            assert!((through(1_000.0) - std::f32::consts::FRAC_1_SQRT_2).abs() < 0.01);
            assert!(through(away) < 0.03);
        }
    }

    #[test]
    fn noises_have_unit_power() {
        let mut random = Key::root(5, "noise").stream();
        let mut pink = Pink::default();
        let samples: Vec<f32> = (0..200_000).map(|_| pink.next(&mut random)).collect();
        assert!((0.7..1.4).contains(&rms(&samples)), "pink {}", rms(&samples));
    }

    #[test]
    fn a_decay_falls_by_sixty_decibels_in_its_time() {
        let mut decay = Decay::new(RATE, 0.1);
        decay.strike(1.0);
        let last = (0..=2_205).map(|_| decay.next()).last().unwrap();
        assert!((last - 0.001).abs() < 2e-5, "{last}");
    }
}

//! The intermediate between sound and features: what a frame's sound holds per frequency band.
//!
//! Sounds of different sources are incoherent, so their powers add, band by band. Everything a feature needs is kept in a
//! form that adds as well, which makes the mixture of two frames as exact as the assumption of incoherence:
//!
//! | quantity | kept as | of a mixture |
//! |---|---|---|
//! | band powers | mean square per band | sum |
//! | A-weighted level | A-weighted mean square per band | sum |
//! | centroid | Σ f·P per band | sum, over the sum of P |
//! | flatness | from the band powers | that of the mixed spectrum |
//! | zero crossings | P·N², N crossings per second | sum, over the sum of P: Rice's formula says N² = 4·Σf²P/ΣP, so the mean square of the parts' rates, weighted by power, is the rate of the whole |
//! | peak | squared peak | sum: peaks of unrelated sources seldom coincide, so the truth lies between the larger and the sum of both, as this does |

use super::bands::BANDS;

/// The spectrum of one frame of sound and what adds along with it. Powers are mean squares over the frame; 1 is the
/// reference the samples were scaled to (full scale for a file, 0 dB SPL for a sensor).
#[derive(Clone, Debug, PartialEq)]
pub struct SpectralFrame {
    /// Power per band.
    pub power: [f64; BANDS],
    /// A-weighted power per band.
    pub weighted: [f64; BANDS],
    /// Σ frequency × power per band, in Hz.
    pub moment: [f64; BANDS],
    /// Total power × (zero crossings per second)².
    pub crossings: f64,
    /// The square of the largest absolute sample.
    pub peak: f64,
}

impl SpectralFrame {
    /// Silence.
    pub const SILENT: Self =
        Self { power: [0.0; BANDS], weighted: [0.0; BANDS], moment: [0.0; BANDS], crossings: 0.0, peak: 0.0 };

    /// The power over all bands.
    pub fn total_power(&self) -> f64 {
        self.power.iter().sum()
    }

    /// The A-weighted power over all bands: `10·log10` of it is the frame's A-weighted level.
    pub fn weighted_power(&self) -> f64 {
        self.weighted.iter().sum()
    }

    /// Adds another frame, heard at the same time, `gain` times (in power) as loud as it was recorded.
    pub fn add(&mut self, other: &Self, gain: f64) {
        for band in 0..BANDS {
            self.power[band] += gain * other.power[band];
            self.weighted[band] += gain * other.weighted[band];
            self.moment[band] += gain * other.moment[band];
        }
        self.crossings += gain * other.crossings;
        self.peak += gain * other.peak;
    }

    /// Multiplies a band's power.
    pub fn scale_band(&mut self, band: usize, gain: f64) {
        self.power[band] *= gain;
        self.weighted[band] *= gain;
        self.moment[band] *= gain;
    }

    /// The frame, `gain` times (in power) as loud.
    #[must_use]
    pub fn scaled(&self, gain: f64) -> Self {
        let mut frame = Self::SILENT;
        frame.add(self, gain);
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(band: usize, power: f64) -> SpectralFrame {
        let mut frame = SpectralFrame::SILENT;
        frame.power[band] = power;
        frame.weighted[band] = power / 2.0;
        frame.moment[band] = power * 100.0;
        frame.crossings = power * 40_000.0;
        frame.peak = 2.0 * power;
        frame
    }

    #[test]
    fn powers_add_and_gains_scale() {
        let mut mixture = frame(3, 1.0);
        mixture.add(&frame(3, 1.0), 2.0);
        mixture.add(&frame(5, 1.0), 0.5);
        assert_eq!(mixture.power[3], 3.0);
        assert_eq!(mixture.total_power(), 3.5);
        assert_eq!(mixture.weighted_power(), 1.75);
        assert_eq!(mixture.peak, 7.0);
        assert_eq!(frame(3, 1.0).scaled(3.0), frame(3, 3.0));
    }

    #[test]
    fn scaling_a_band_leaves_the_others() {
        let mut mixture = frame(3, 1.0);
        mixture.add(&frame(5, 1.0), 1.0);
        mixture.scale_band(3, 4.0);
        assert_eq!((mixture.power[3], mixture.weighted[3], mixture.moment[3]), (4.0, 2.0, 400.0));
        assert_eq!(mixture.power[5], 1.0);
    }
}

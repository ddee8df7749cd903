//! The spectral frame, which stands between samples and features: the power of a frame's sound per
//! frequency band.
//!
//! Sounds of different sources are incoherent, so their powers add up in each band. A frame keeps
//! everything that a feature needs in a form that adds up too. So a mixture of two frames is as
//! exact as the assumption of incoherence:
//!
//! | quantity | stored as | in a mixture |
//! |---|---|---|
//! | band powers | mean square per band | sum |
//! | A-weighted level | A-weighted mean square per band | sum |
//! | centroid | Σ f·P per band | sum, divided by the sum of P |
//! | flatness | from the band powers | from the mixed band powers |
//! | zero crossings | P·N², with N crossings per second | sum, divided by the sum of P (1) |
//! | peak | squared peak | sum (2) |
//!
//! 1. Rice's formula says N² = 4·Σf²P/ΣP. So the rate of the mixture is the root of the mean square
//!    of the rates, weighted by power.
//! 2. The peaks of independent sources seldom coincide. So the true peak lies between the larger
//!    peak and the sum of both peaks, and so does this estimate.

use super::bands::BANDS;

/// The spectrum of one frame of sound, and the quantities that add up with it. Powers are mean
/// squares over the frame. Power 1 is the reference level: full scale for a file, 0 dB SPL for a
/// sensor.
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

    /// Returns the power over all bands.
    pub fn total_power(&self) -> f64 {
        self.power.iter().sum()
    }

    /// Returns the A-weighted power over all bands. The A-weighted level is `10·log10` of it.
    pub fn weighted_power(&self) -> f64 {
        self.weighted.iter().sum()
    }

    /// Adds another frame that sounds at the same time, with its power multiplied by `gain`.
    pub fn add(&mut self, other: &Self, gain: f64) {
        for band in 0..BANDS {
            self.power[band] += gain * other.power[band];
            self.weighted[band] += gain * other.weighted[band];
            self.moment[band] += gain * other.moment[band];
        }
        self.crossings += gain * other.crossings;
        self.peak += gain * other.peak;
    }

    /// Multiplies the power of a band by `gain`.
    pub fn scale_band(&mut self, band: usize, gain: f64) {
        self.power[band] *= gain;
        self.weighted[band] *= gain;
        self.moment[band] *= gain;
    }

    /// Returns the frame with its power multiplied by `gain`.
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

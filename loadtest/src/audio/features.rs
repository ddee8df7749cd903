//! Computes the fields of a reading from a spectral frame.

use std::sync::LazyLock;

use super::{
    bands::{self, BANDS, OCTAVES},
    frame::SpectralFrame,
};

/// The fields of a reading, sorted by name, as they are stored.
///
/// | field | unit | meaning |
/// |---|---|---|
/// | `band_63_db` … `band_8000_db` | dB | level of the octave band, unweighted |
/// | `centroid_hz` | Hz | centroid of the power spectrum |
/// | `flatness` | 0..1 | geometric over arithmetic mean of the spectral density: 0 tone, 1 noise |
/// | `laeq_db` | dB(A) | A-weighted equivalent level of the frame |
/// | `peak_db` | dB | largest sample |
/// | `zcr` | 0..1 | zero crossings per sample at [`SENSOR_RATE_HZ`] |
pub const FIELDS: [&str; 13] = [
    "band_1000_db",
    "band_125_db",
    "band_2000_db",
    "band_250_db",
    "band_4000_db",
    "band_500_db",
    "band_63_db",
    "band_8000_db",
    "centroid_hz",
    "flatness",
    "laeq_db",
    "peak_db",
    "zcr",
];

/// The octave (index into [`bands::OCTAVE_CENTRES`]) of each of the first eight fields.
const OCTAVE_OF_FIELD: [usize; OCTAVES] = [4, 1, 5, 2, 6, 3, 0, 7];

/// The sampling rate of the sensors in Hz, on which the zero-crossing rate is based.
pub const SENSOR_RATE_HZ: f64 = 22_050.0;

/// The lowest level in dB, which silence has.
const FLOOR_DB: f64 = -120.0;

/// The widths of the bands in Hz.
static WIDTHS: LazyLock<[f64; BANDS]> = LazyLock::new(|| {
    let edges = bands::band_edges();
    std::array::from_fn(|band| edges[band + 1] - edges[band])
});

/// The values of a reading, in the order of [`FIELDS`], rounded to the resolution of such a sensor:
/// 0.01 dB, 0.1 Hz, 0.0001.
pub type Features = [f64; FIELDS.len()];

/// Computes the features of a frame. Adds `calibration_db` to all levels.
pub fn features(frame: &SpectralFrame, calibration_db: f64) -> Features {
    let total = frame.total_power();
    let mut values = [0.0; FIELDS.len()];
    for (value, octave) in values.iter_mut().zip(OCTAVE_OF_FIELD) {
        *value = level(frame.power[bands::of_octave(octave)].iter().sum(), calibration_db);
    }
    values[8] = if total > 0.0 { round(frame.moment.iter().sum::<f64>() / total, 10.0) } else { 0.0 };
    values[9] = round(flatness(&frame.power), 1e4);
    values[10] = level(frame.weighted_power(), calibration_db);
    values[11] = level(frame.peak, calibration_db);
    let crossings_per_second = if total > 0.0 { (frame.crossings / total).sqrt() } else { 0.0 };
    values[12] = round((crossings_per_second / SENSOR_RATE_HZ).min(1.0), 1e4);
    values
}

fn level(power: f64, calibration_db: f64) -> f64 {
    let decibels = if power > 0.0 { 10.0 * libm::log10(power) + calibration_db } else { FLOOR_DB };
    round(decibels.max(FLOOR_DB), 100.0)
}

/// Returns the geometric over the arithmetic mean of the power density, from 45 Hz to 11 kHz. The
/// density is taken as constant within each band, so the weight of a band is its width. The density
/// of an empty band counts as 100 dB below the mean.
fn flatness(power: &[f64; BANDS]) -> f64 {
    let inner = 1..BANDS - 1;
    let total: f64 = power[inner.clone()].iter().sum();
    let width: f64 = WIDTHS[inner.clone()].iter().sum();
    if total <= 0.0 {
        return 0.0;
    }
    let mean = total / width;
    let logs: f64 =
        inner.map(|band| WIDTHS[band] * libm::log((power[band] / WIDTHS[band] / mean).max(1e-10))).sum();
    libm::exp(logs / width).min(1.0)
}

fn round(value: f64, steps: f64) -> f64 {
    let rounded = (value * steps).round() / steps;
    // Adding 0 turns −0 into 0: both are equal, but their texts differ.
    rounded + 0.0
}

#[cfg(test)]
mod tests;

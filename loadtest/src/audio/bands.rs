//! The frequency axis: 24 third-octave bands, which form the eight octave bands from 63 Hz to 8
//! kHz, one band below and one above. And the A-weighting, which weighs frequencies like the human
//! ear.

/// Number of bands: `below | 24 third octaves | above`.
pub const BANDS: usize = 26;

/// Number of octave bands in a reading.
pub const OCTAVES: usize = 8;

/// Nominal centres of the octave bands in Hz.
pub const OCTAVE_CENTRES: [u32; OCTAVES] = [63, 125, 250, 500, 1_000, 2_000, 4_000, 8_000];

/// Lowest frequency of the band below the third octaves. Lower frequencies are infrasound and are
/// ignored.
const FLOOR_HZ: f64 = 10.0;
/// Highest frequency of the band above the third octaves.
const CEILING_HZ: f64 = 20_000.0;

/// Returns the edges of the bands in Hz, ascending. Band n lies between edge n and edge n + 1.
///
/// The third octaves are those of IEC 61260 (base ten): the lower edge of the band k steps above
/// the one at 1 kHz is `1000 · 10^((2k − 1)/20)` Hz.
pub fn band_edges() -> [f64; BANDS + 1] {
    let mut edges = [FLOOR_HZ; BANDS + 1];
    for (n, edge) in edges.iter_mut().enumerate().skip(1) {
        // The third octave at 50 Hz is 13 steps below the one at 1 kHz.
        let step = n as f64 - 1.0 - 13.0;
        *edge = 1_000.0 * libm::pow(10.0, (2.0 * step - 1.0) / 20.0);
    }
    edges[BANDS] = CEILING_HZ;
    edges
}

/// Returns the three bands that form an octave band.
pub fn of_octave(octave: usize) -> std::ops::Range<usize> {
    1 + 3 * octave..4 + 3 * octave
}

/// Returns the A-weighting of a frequency in Hz as a factor on power (IEC 61672-1, appendix E): 1
/// at 1 kHz.
pub fn a_weight(frequency: f64) -> f64 {
    let f2 = frequency * frequency;
    let high = 12_194.0 * 12_194.0;
    let response = high * f2 * f2
        / ((f2 + 20.6 * 20.6) * ((f2 + 107.7 * 107.7) * (f2 + 737.9 * 737.9)).sqrt() * (f2 + high));
    // +2.00 dB makes the response 0 dB at 1 kHz.
    response * response * 1.584_893_192_461_113_5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weighting_agrees_with_the_table_of_the_standard() {
        // IEC 61672-1, table 3: design goals at the exact base-ten frequencies.
        for (exponent, decibels) in [
            (-14, -34.6),
            (-13, -30.2),
            (-12, -26.2),
            (-10, -19.1),
            (-9, -16.1),
            (-7, -10.9),
            (-6, -8.6),
            (-3, -3.2),
            (0, 0.0),
            (3, 1.2),
            (4, 1.3),
            (6, 1.0),
            (9, -1.1),
            (10, -2.5),
            (12, -6.6),
            (13, -9.3),
        ] {
            let frequency = 1_000.0 * 10f64.powf(f64::from(exponent) / 10.0);
            let weight = 10.0 * a_weight(frequency).log10();
            // The values of the table are rounded to tenths.
            assert!(
                (weight - decibels).abs() < 0.0501,
                "{frequency:.1} Hz: {weight:.3} dB, expected {decibels}"
            );
        }
    }

    #[test]
    fn octave_bands_are_centred_and_an_octave_wide() {
        let edges = band_edges();
        for (octave, &centre) in OCTAVE_CENTRES.iter().enumerate() {
            let bands = of_octave(octave);
            let (low, high) = (edges[bands.start], edges[bands.end]);
            // A base-ten octave is 10^0.3 wide, 0.24 % short of 2.
            assert!((high / low - 1.995_262).abs() < 1e-5);
            assert!(((low * high).sqrt() / f64::from(centre) - 1.0).abs() < 0.01, "{centre}");
        }
    }

    #[test]
    fn edges_ascend() {
        let edges = band_edges();
        assert!(edges.windows(2).all(|pair| pair[0] < pair[1]));
        assert!((edges[1] - 44.668).abs() < 1e-3 && (edges[25] - 11_220.18).abs() < 0.01, "{edges:?}");
    }
}

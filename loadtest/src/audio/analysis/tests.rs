use super::*;
use crate::{
    audio::features::{FIELDS, SENSOR_RATE_HZ, features},
    random::Key,
};

fn tone(rate: u32, frequency: f64, amplitude: f64, seconds: f64) -> Sound {
    let samples = (0..(seconds * f64::from(rate)) as usize)
        .map(|n| (amplitude * (n as f64 / f64::from(rate) * frequency * TAU + 0.1).sin()) as f32)
        .collect();
    Sound { rate, samples }
}

fn noise(rate: u32, seconds: f64, seed: u64) -> Sound {
    let mut random = Key::root(seed, "noise").stream();
    let samples = (0..(seconds * f64::from(rate)) as usize).map(|_| 0.1 * random.gauss() as f32).collect();
    Sound { rate, samples }
}

fn feature(frame: &SpectralFrame, field: &str) -> f64 {
    let index = FIELDS.iter().position(|name| *name == field).unwrap();
    features(frame, 0.0)[index]
}

#[test]
fn a_tone_has_its_level_frequency_and_crossings() {
    for rate in [16_000, 22_050, 44_100, 48_000] {
        for frequency in [63.0, 250.0, 1_000.0, 3_141.0, 6_311.0] {
            let frames = Analyser::new(1.0).frames(&tone(rate, frequency, 0.5, 3.0));
            assert_eq!(frames.len(), 3);
            for frame in &frames {
                let context = format!("{frequency} Hz at {rate} Hz");
                let level = 10.0 * (0.125f64).log10();
                let a_level = level + 10.0 * bands::a_weight(frequency).log10();
                assert!((10.0 * frame.total_power().log10() - level).abs() < 0.01, "{context}");
                assert!(
                    (feature(frame, "laeq_db") - a_level).abs() < 0.3,
                    "{context}: {}",
                    feature(frame, "laeq_db")
                );
                assert!((feature(frame, "peak_db") + 6.02).abs() < 0.05, "{context}");
                let centroid = feature(frame, "centroid_hz");
                assert!((centroid / frequency - 1.0).abs() < 0.01, "{context}: {centroid}");
                let crossings = 2.0 * frequency / SENSOR_RATE_HZ;
                assert!(
                    (feature(frame, "zcr") - crossings).abs() < 2e-4,
                    "{context}: {}",
                    feature(frame, "zcr")
                );
                assert!(feature(frame, "flatness") < 0.01, "{context}: {}", feature(frame, "flatness"));
            }
        }
    }
}

#[test]
fn a_tone_sounds_in_its_octave_band_alone() {
    for (octave, centre) in bands::OCTAVE_CENTRES.into_iter().enumerate() {
        let frame = &Analyser::new(1.0).frames(&tone(44_100, f64::from(centre), 0.5, 1.0))[0];
        for (other, other_centre) in bands::OCTAVE_CENTRES.into_iter().enumerate() {
            let level = feature(frame, &format!("band_{other_centre}_db"));
            if other == octave {
                assert!((level + 9.03).abs() < 0.1, "{centre}: {level}");
            } else {
                assert!(level < -45.0, "{centre} leaks {level} dB into {other_centre}");
            }
        }
    }
}

#[test]
fn white_noise_is_flat_and_crosses_zero_every_other_sample() {
    let frame = &Analyser::new(4.0).frames(&noise(22_050, 4.0, 1))[0];
    assert!(feature(frame, "flatness") > 0.97, "{}", feature(frame, "flatness"));
    // Independent samples change sign with probability one half.
    assert!((feature(frame, "zcr") - 0.5).abs() < 0.01, "{}", feature(frame, "zcr"));
    assert!((feature(frame, "centroid_hz") / (22_050.0 / 4.0) - 1.0).abs() < 0.02);
    // Each octave has twice the power of the octave below it: +3 dB.
    for pair in bands::OCTAVE_CENTRES[1..7].windows(2) {
        let rise =
            feature(frame, &format!("band_{}_db", pair[1])) - feature(frame, &format!("band_{}_db", pair[0]));
        assert!((rise - 3.0).abs() < 0.6, "{pair:?}: {rise}");
    }
}

#[test]
fn the_same_sound_at_another_rate_has_the_same_features() {
    let mut spectra = [22_050, 44_100, 48_000].map(|rate| {
        let mut mix = tone(rate, 400.0, 0.3, 2.0);
        for (sample, other) in mix.samples.iter_mut().zip(tone(rate, 2_500.0, 0.1, 2.0).samples) {
            *sample += other;
        }
        features(&Analyser::new(1.0).frames(&mix)[1], 0.0)
    });
    let reference = spectra[0];
    for values in &mut spectra[1..] {
        for (field, (value, expected)) in
            FIELDS.iter().zip(values.iter().zip(reference)).filter(|(f, _)| !f.starts_with("band"))
        {
            assert!(
                (value - expected).abs() < 0.02 * expected.abs() + 0.02,
                "{field}: {value}, expected {expected}"
            );
        }
    }
}

#[test]
fn mixing_spectra_agrees_with_mixing_samples() {
    let rate = 22_050;
    let (mut hum, hiss) = (noise(rate, 1.0, 5), noise(rate, 1.0, 2));
    let mut held = 0.0;
    for sample in &mut hum.samples {
        held += 0.05 * (*sample - held);
        *sample = 6.0 * held;
    }
    let mixed = Sound { rate, samples: hum.samples.iter().zip(&hiss.samples).map(|(a, b)| a + b).collect() };
    let mut analyser = Analyser::new(1.0);
    let truth = features(&analyser.frames(&mixed)[0], 0.0);
    let mut sum = analyser.frames(&hum)[0].clone();
    sum.add(&analyser.frames(&hiss)[0], 1.0);
    let mixture = features(&sum, 0.0);
    for ((field, truth), mixture) in FIELDS.iter().zip(truth).zip(mixture) {
        // Sampling makes Rice's formula slightly inexact, and the sum of peaks is an estimate. The
        // other features are exact up to random scatter.
        let tolerance = match *field {
            "zcr" => 0.1 * truth,
            "peak_db" => 3.0,
            "centroid_hz" => 0.05 * truth,
            "flatness" => 0.05,
            _ => 0.5,
        };
        assert!((truth - mixture).abs() < tolerance, "{field}: {mixture}, samples say {truth}");
    }
}

#[test]
fn power_is_exactly_that_of_the_samples() {
    let sound = noise(22_050, 4.0, 3);
    let frames = Analyser::new(1.0).frames(&sound);
    let mean_square = |samples: &[f32]| {
        samples.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>() / samples.len() as f64
    };
    for (frame, samples) in frames.iter().zip(sound.samples.chunks_exact(22_050)) {
        assert!((frame.total_power() / mean_square(samples) - 1.0).abs() < 1e-9);
    }
}

#[test]
fn frames_are_counted_sensibly() {
    let count = |seconds: f64, frame: f64| Analyser::new(frame).frames(&noise(8_000, seconds, 4)).len();
    assert_eq!([count(4.0, 1.0), count(3.95, 1.0), count(3.5, 1.0), count(0.3, 1.0)], [4, 4, 3, 1]);
    assert_eq!([count(4.0, 0.125), count(4.0, 4.0)], [32, 1]);
}

#[test]
fn a_short_click_is_spread_over_its_frame() {
    let mut samples = vec![0.0f32; 400];
    samples[399] = 0.8;
    let frame = &Analyser::new(1.0).frames(&Sound { rate: 8_000, samples })[0];
    assert!((frame.total_power() - 0.64 / 8_000.0).abs() < 1e-9);
    assert!((frame.peak - 0.64).abs() < 1e-6);
}

#[test]
fn silence_has_no_power() {
    let frame = &Analyser::new(1.0).frames(&Sound { rate: 8_000, samples: vec![0.0; 8_000] })[0];
    assert_eq!(*frame, SpectralFrame::SILENT);
}

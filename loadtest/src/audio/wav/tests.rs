use std::io::Cursor;

use hound::{WavSpec, WavWriter};

use super::*;

/// Returns a WAV file in the given format with the given interleaved samples (−1..1).
fn file(bits: u16, format: SampleFormat, channels: u16, rate: u32, samples: &[f32]) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let spec = WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format: format };
    let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
    for &sample in samples {
        if format == SampleFormat::Float {
            writer.write_sample(sample).unwrap();
        } else {
            let full_scale = (1i64 << (bits - 1)) as f64;
            let value = (f64::from(sample) * full_scale).round().clamp(-full_scale, full_scale - 1.0);
            writer.write_sample(value as i32).unwrap();
        }
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

fn read_bytes(bytes: Vec<u8>) -> Result<Sound, WavError> {
    decode(WavReader::new(Cursor::new(bytes))?)
}

fn sine(samples: usize) -> Vec<f32> {
    // Whole periods, so that the mean is zero.
    (0..samples).map(|n| 0.8 * (n as f32 / samples as f32 * std::f32::consts::TAU * 4.0).sin()).collect()
}

fn assert_close(sound: &Sound, expected: &[f32], tolerance: f32) {
    assert_eq!(sound.samples.len(), expected.len());
    for (n, (got, want)) in sound.samples.iter().zip(expected).enumerate() {
        assert!((got - want).abs() <= tolerance, "sample {n}: {got}, expected {want}");
    }
}

#[test]
fn every_sample_format_comes_back() {
    let wave = sine(400);
    for (bits, format) in [
        (8, SampleFormat::Int),
        (16, SampleFormat::Int),
        (24, SampleFormat::Int),
        (32, SampleFormat::Int),
        (32, SampleFormat::Float),
    ] {
        // Half a quantisation step, and the effect of removing the mean of the rounding errors.
        let tolerance =
            if format == SampleFormat::Float { 1e-6 } else { 1.2 / (1i64 << (bits - 1)) as f32 + 1e-6 };
        for rate in [8_000, 11_025, 44_100, 192_000] {
            let sound = read_bytes(file(bits, format, 1, rate, &wave)).unwrap();
            assert_eq!(sound.rate, rate);
            assert_close(&sound, &wave, tolerance);
        }
    }
}

#[test]
fn channels_are_averaged() {
    let wave = sine(400);
    let stereo: Vec<f32> = wave.iter().flat_map(|&x| [x, 0.0]).collect();
    let expected: Vec<f32> = wave.iter().map(|x| x / 2.0).collect();
    assert_close(&read_bytes(file(16, SampleFormat::Int, 2, 44_100, &stereo)).unwrap(), &expected, 1e-4);
    let six: Vec<f32> = wave.iter().flat_map(|&x| [x; 6]).collect();
    assert_close(&read_bytes(file(24, SampleFormat::Int, 6, 48_000, &six)).unwrap(), &wave, 1e-5);
}

#[test]
fn both_the_plain_and_the_extensible_header_are_understood() {
    // hound writes 24-bit files as WAVE_FORMAT_EXTENSIBLE. The format tag is at byte 20.
    let extensible = file(24, SampleFormat::Int, 2, 44_100, &sine(80));
    assert_eq!(extensible[20..22], [0xfe, 0xff]);
    read_bytes(extensible).unwrap();

    let plain = plain_header(16, 1, &sine(80));
    assert_eq!(plain[20..22], [1, 0]);
    assert_close(&read_bytes(plain).unwrap(), &sine(80), 1e-4);
    assert_close(&read_bytes(plain_header(24, 2, &sine(80))).unwrap(), &sine(80), 1e-6);
}

/// Returns a PCM file with the plain format chunk of 16 bytes, and the same samples in every
/// channel.
fn plain_header(bits: u16, channels: u16, samples: &[f32]) -> Vec<u8> {
    let block = channels * bits / 8;
    let mut data = Vec::new();
    for &sample in samples {
        let value = (f64::from(sample) * f64::from(1u32 << (bits - 1))).round() as i32;
        for _ in 0..channels {
            data.extend_from_slice(&value.to_le_bytes()[..usize::from(bits / 8)]);
        }
    }
    let mut bytes = b"RIFF".to_vec();
    bytes.extend_from_slice(&(36 + data.len() as u32).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0");
    bytes.extend_from_slice(&channels.to_le_bytes());
    bytes.extend_from_slice(&44_100u32.to_le_bytes());
    bytes.extend_from_slice(&(44_100 * u32::from(block)).to_le_bytes());
    bytes.extend_from_slice(&block.to_le_bytes());
    bytes.extend_from_slice(&bits.to_le_bytes());
    bytes.extend_from_slice(b"data");
    bytes.extend_from_slice(&(data.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&data);
    bytes
}

#[test]
fn an_offset_is_taken_off() {
    let wave = sine(400);
    let raised: Vec<f32> = wave.iter().map(|x| 0.5 * x + 0.3).collect();
    let expected: Vec<f32> = wave.iter().map(|x| 0.5 * x).collect();
    assert_close(&read_bytes(file(16, SampleFormat::Int, 1, 8_000, &raised)).unwrap(), &expected, 1e-4);
}

#[test]
fn unusable_files_say_why() {
    let refusal = |bytes: Vec<u8>| read_bytes(bytes).unwrap_err();
    assert!(matches!(refusal(file(16, SampleFormat::Int, 1, 8_000, &[])), WavError::Empty));
    assert!(matches!(refusal(file(16, SampleFormat::Int, 1, 3, &[0.0])), WavError::BadRate(3)));
    assert!(matches!(refusal(file(32, SampleFormat::Float, 1, 8_000, &[f32::NAN])), WavError::NotFinite));
    assert!(matches!(refusal(b"ID3 this is an mp3".to_vec()), WavError::Unreadable(_)));
    assert!(matches!(refusal(Vec::new()), WavError::Unreadable(_)));
    let mut adpcm = plain_header(16, 1, &[0.5; 40]);
    adpcm[20] = 2;
    assert!(matches!(refusal(adpcm), WavError::Unreadable(_)));
    let mut cut = file(16, SampleFormat::Int, 1, 8_000, &[0.5; 40]);
    cut.truncate(cut.len() - 20);
    assert!(matches!(refusal(cut), WavError::Unreadable(_)));
}

//! Renders a planned clip: the sound of its recipe over the sound of the street, at the salience of
//! the clip.

use super::{
    plan::ClipPlan,
    recipes::{self, studio::Studio},
};

/// The root mean square of a clip before limiting, as a fraction of full scale.
const LEVEL: f32 = 0.12;
/// No sample exceeds this fraction of full scale.
const CEILING: f32 = 0.98;

/// Renders a clip as 16-bit samples.
pub(super) fn mix(clip: &ClipPlan, rate: u32) -> Vec<i16> {
    let samples = (clip.seconds * f64::from(rate)).round() as usize;
    let mut sound = recipes::render(
        clip.class,
        Studio::new(rate, samples, clip.recording_key.at(1_000), clip.slice_key.at(1)),
    );
    let bed =
        recipes::street::bed(Studio::new(rate, samples, clip.recording_key.at(1_001), clip.slice_key.at(2)));

    let over_bed_db = if clip.salience == 1 {
        clip.recording_key.at(1_002).between(14.0, 24.0)
    } else {
        clip.recording_key.at(1_002).between(-2.0, 6.0)
    };
    let sound_gain = LEVEL / rms(&sound).max(1e-9);
    let bed_gain = LEVEL / rms(&bed).max(1e-9) * libm::pow(10.0, -over_bed_db / 20.0) as f32;
    for (sample, under) in sound.iter_mut().zip(&bed) {
        *sample = *sample * sound_gain + under * bed_gain;
    }

    let peak = sound.iter().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
    let gain = if peak > CEILING { CEILING / peak } else { 1.0 };
    sound.iter().map(|sample| (sample * gain * 32_767.0).round() as i16).collect()
}

fn rms(samples: &[f32]) -> f32 {
    (samples.iter().map(|x| f64::from(x * x)).sum::<f64>() / samples.len().max(1) as f64).sqrt() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::plan;

    #[test]
    fn clips_are_loud_enough_and_never_clip() {
        for clip in plan::plan_clips(3, 3) {
            let samples = mix(&clip, 16_000);
            assert_eq!(samples.len(), (clip.seconds * 16_000.0).round() as usize);
            let peak = samples.iter().map(|x| x.unsigned_abs()).max().unwrap();
            assert!((1_500..=32_200).contains(&peak), "{}: peak {peak}", clip.file_name());
        }
    }
}

//! One procedural recipe per sound class: what makes a siren a siren, in a few oscillators, noises and filters.
//!
//! - [`machines`]: air conditioner, drilling, engine idling, jackhammer
//! - [`signals`]: car horn, gun shot, siren
//! - [`voices`]: children playing, dog bark, street music
//! - [`street`]: the street bed under every clip
//!
//! A recipe draws its character (pitch, colour, tempo) from the recording's randomness and its course (onsets, noise) from
//! the slice's, so that the clips of one recording are kin, as they are in the genuine data set.

mod machines;
mod signals;
pub(super) mod street;
mod voices;

use crate::{
    random::{Key, Stream},
    sound_class::SoundClass,
};

/// What a recipe works with.
pub(super) struct Studio {
    /// Samples per second.
    rate: f64,
    /// How many samples to render.
    samples: usize,
    /// The same for every clip of a recording.
    recording: Stream,
    /// Differs from clip to clip.
    slice: Stream,
}

impl Studio {
    pub(super) fn new(rate: u32, samples: usize, recording: Key, slice: Key) -> Self {
        Self { rate: f64::from(rate), samples, recording: recording.stream(), slice: slice.stream() }
    }

    /// Renders the clip sample by sample; the closure gets the time in seconds and the slice's randomness.
    fn render(self, mut next: impl FnMut(f64, &mut Stream) -> f32) -> Vec<f32> {
        let Self { rate, samples, mut slice, .. } = self;
        (0..samples).map(|n| next(n as f64 / rate, &mut slice)).collect()
    }
}

/// Renders a clip of the class at no particular level: the mixer sets it.
pub(super) fn render(class: SoundClass, studio: Studio) -> Vec<f32> {
    match class {
        SoundClass::AirConditioner => machines::air_conditioner(studio),
        SoundClass::CarHorn => signals::car_horn(studio),
        SoundClass::ChildrenPlaying => voices::children_playing(studio),
        SoundClass::DogBark => voices::dog_bark(studio),
        SoundClass::Drilling => machines::drilling(studio),
        SoundClass::EngineIdling => machines::engine_idling(studio),
        SoundClass::GunShot => signals::gun_shot(studio),
        SoundClass::Jackhammer => machines::jackhammer(studio),
        SoundClass::Siren => signals::siren(studio),
        SoundClass::StreetMusic => voices::street_music(studio),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 22_050;

    fn clip(class: SoundClass, slice: u64) -> Vec<f32> {
        let recording = Key::root(11, class.name());
        render(class, Studio::new(RATE, 2 * RATE as usize, recording, recording.at(slice)))
    }

    #[test]
    fn every_recipe_renders_finite_sound_of_the_asked_length() {
        for class in SoundClass::ALL {
            for slice in 0..4 {
                let samples = clip(class, slice);
                assert_eq!(samples.len(), 2 * RATE as usize, "{class}");
                assert!(samples.iter().all(|x| x.is_finite()), "{class}");
                let power = samples.iter().map(|x| x * x).sum::<f32>() / samples.len() as f32;
                assert!(power > 1e-6, "{class} {slice} is silent: {power}");
            }
        }
    }

    #[test]
    fn slices_of_a_recording_differ() {
        for class in SoundClass::ALL {
            assert_ne!(clip(class, 1), clip(class, 2), "{class}");
            assert_eq!(clip(class, 1), clip(class, 1), "{class}");
        }
    }
}

//! One procedural recipe per sound class, made of a few oscillators, noises and filters.
//!
//! - [`machines`]: air conditioner, drilling, engine idling, jackhammer
//! - [`signals`]: car horn, gun shot, siren
//! - [`voices`]: children playing, dog bark, street music
//! - [`street`]: the sound of the street in every clip
//! - [`studio`]: the inputs of a recipe
//!
//! A recipe takes its character (pitch, colour, tempo) from the random numbers of the recording,
//! and its course (onsets, noise) from those of the clip. So the clips of a recording sound
//! similar, as in the genuine data set.

mod machines;
mod signals;
pub(super) mod street;
pub(super) mod studio;
mod voices;

use studio::Studio;

use crate::sound_class::SoundClass;

/// Renders a clip of the class. The level is arbitrary: the mixer sets it.
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
    use crate::random::Key;

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

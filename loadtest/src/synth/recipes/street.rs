//! The sound of the street in every clip: distant traffic.

use super::studio::Studio;
use crate::synth::signal::{Filter, Pink, white};

/// Renders the rumble of distant traffic, which swells and fades, over a quiet hiss of wind and
/// microphone.
pub(in crate::synth) fn bed(mut studio: Studio) -> Vec<f32> {
    let (rate, recording) = (studio.rate, &mut studio.recording);
    let mut rumble = Filter::low(rate, recording.between(250.0, 900.0));
    let hiss = recording.between(0.005, 0.03) as f32;
    let swell = recording.between(0.1, 0.4) as f32;
    let (mut level, mut target, mut until) = (1.0f32, 1.0f32, 0.0);
    let mut pink = Pink::default();
    studio.render(move |time, slice| {
        if time >= until {
            until = time + slice.between(0.5, 2.0);
            target = 1.0 + swell * slice.gauss() as f32;
        }
        level += (target - level) * (1.5 / rate) as f32;
        level * rumble.next(pink.next(slice)) + hiss * white(slice)
    })
}

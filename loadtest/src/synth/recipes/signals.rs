//! Loud, short sounds: car horn, gun shot and siren.

use super::studio::Studio;
use crate::{
    random::Stream,
    synth::signal::{Decay, Filter, Partials, Sine, white},
};

/// Renders a car horn: two reeds a third apart, in one to three blasts.
pub(super) fn car_horn(mut studio: Studio) -> Vec<f32> {
    let (rate, recording) = (studio.rate, &mut studio.recording);
    let low = recording.between(380.0, 460.0);
    let high = low * recording.between(1.18, 1.30);
    let reed = [0.5, 0.5, 0.45, 0.4, 0.3, 0.25, 0.15, 0.1, 0.06];
    let mut first = Partials::new(rate, &reed, recording);
    let mut second = Partials::new(rate, &reed, recording);
    let length = studio.samples as f64 / rate;
    let blasts = blast_spans(length, &mut studio.slice);
    let mut loudness = 0.0f32;
    studio.render(move |time, _| {
        let target = if blasts.iter().any(|&(from, to)| (from..to).contains(&time)) { 1.0 } else { 0.0 };
        // A reed needs about ten milliseconds to start and to stop.
        loudness += (target - loudness) * (100.0 / rate) as f32;
        loudness * (first.next(low) + second.next(high))
    })
}

/// Returns the beginnings and ends of one to three blasts, in seconds. The first begins at 0.
fn blast_spans(length: f64, slice: &mut Stream) -> Vec<(f64, f64)> {
    let count = 1 + slice.choice(3);
    let share = length / count as f64;
    (0..count)
        .map(|n| {
            let from = n as f64 * share;
            (from, from + share * slice.between(0.6, 0.92))
        })
        .collect()
}

/// Renders a gun shot: a crack of 5 ms, a tail of 0.3 to 0.9 s, and two echoes from the houses.
pub(super) fn gun_shot(mut studio: Studio) -> Vec<f32> {
    let (rate, recording) = (studio.rate, &mut studio.recording);
    let mut muzzle = Filter::low(rate, recording.between(1_500.0, 4_000.0));
    let mut boom = Filter::band(rate, recording.between(90.0, 220.0), 0.8);
    let mut crack = Decay::new(rate, 0.005);
    let mut tail = Decay::new(rate, recording.between(0.3, 0.9));
    let shot = studio.slice.between(0.01, 0.06);
    let echoes = [studio.slice.between(0.08, 0.2), studio.slice.between(0.22, 0.4)];
    let mut due = vec![(shot + echoes[1], 0.1f32), (shot + echoes[0], 0.2), (shot, 1.0)];
    studio.render(move |time, slice| {
        if due.last().is_some_and(|&(when, _)| time >= when) {
            let (_, level) = due.pop().unwrap_or_default();
            crack.strike(level);
            let rest = tail.next();
            tail.strike(rest + 0.35 * level);
        }
        let noise = white(slice);
        let rest = tail.next() * noise;
        3.0 * crack.next() * noise + muzzle.next(rest) + 2.0 * boom.next(rest)
    })
}

/// Renders a siren between 0.5 and 1.5 kHz: a slow wail, a quick yelp, or two alternating tones.
pub(super) fn siren(mut studio: Studio) -> Vec<f32> {
    let (rate, recording) = (studio.rate, &mut studio.recording);
    let low = recording.between(450.0, 700.0);
    let high = low * recording.between(1.5, 2.3);
    let style = recording.choice(3);
    let sweeps = match style {
        0 => recording.between(0.25, 0.5),
        1 => recording.between(2.5, 4.0),
        _ => recording.between(0.6, 1.0),
    };
    let mut horn = Partials::new(rate, &[0.6, 0.35, 0.25, 0.12, 0.08, 0.04], recording);
    let mut street = Filter::band(rate, 1_100.0, 0.7);
    let mut sweep = Sine::new(rate, studio.slice.unit());
    studio.render(move |_, slice| {
        let turn = f64::from(sweep.next(sweeps));
        let turn = if style == 2 { turn.signum() } else { turn };
        let pitch = f64::midpoint(low, high) + (high - low) / 2.0 * turn;
        let sound = horn.next(pitch);
        sound + 0.1 * street.next(sound + 0.2 * white(slice))
    })
}

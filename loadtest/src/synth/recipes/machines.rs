//! Machines: air conditioner, drill, engine and jackhammer.

use super::studio::Studio;
use crate::synth::signal::{Decay, Filter, Partials, Pink, Sine, white};

/// Renders mains hum and fan blades over the noise of air.
pub(super) fn air_conditioner(mut studio: Studio) -> Vec<f32> {
    let (rate, recording) = (studio.rate, &mut studio.recording);
    let blades = recording.between(85.0, 190.0);
    let mains = if recording.unit() < 0.5 { 100.0 } else { 120.0 };
    let rush = recording.between(0.5, 1.0) as f32;
    let mut air = Filter::low(rate, recording.between(700.0, 2_200.0));
    let mut hum = Partials::new(rate, &[0.5, 0.25, 0.12, 0.06], recording);
    let mut fan = Partials::new(rate, &[0.5, 0.3, 0.2, 0.1, 0.05], recording);
    let mut wobble = Sine::new(rate, studio.slice.unit());
    let mut pink = Pink::default();
    studio.render(move |_, slice| {
        let pitch = blades * (1.0 + 0.004 * f64::from(wobble.next(0.7)));
        0.4 * hum.next(mains) + 0.5 * fan.next(pitch) + rush * air.next(pink.next(slice))
    })
}

/// Renders a masonry drill: blows at 50 to 100 Hz, which ring in the bit, and the whine of the
/// motor.
pub(super) fn drilling(mut studio: Studio) -> Vec<f32> {
    let (rate, recording) = (studio.rate, &mut studio.recording);
    let blows = recording.between(50.0, 100.0);
    let whine = recording.between(420.0, 900.0);
    let mut bit = Filter::band(rate, recording.between(2_000.0, 4_000.0), 2.5);
    let mut body = Filter::band(rate, recording.between(700.0, 1_300.0), 2.0);
    let mut motor = Partials::new(rate, &[0.5, 0.4, 0.3, 0.25, 0.2, 0.1], recording);
    let mut blow = Decay::new(rate, 0.012);
    let mut load = Sine::new(rate, studio.slice.unit());
    let mut phase = 0.0;
    studio.render(move |_, slice| {
        let strain = 1.0 + 0.05 * f64::from(load.next(0.6));
        phase += blows * strain / rate;
        if phase >= 1.0 {
            phase -= 1.0;
            blow.strike(0.8 + 0.4 * slice.unit() as f32);
        }
        let strike = blow.next() * white(slice);
        2.0 * bit.next(strike) + 1.2 * body.next(strike) + 0.25 * motor.next(whine * strain)
    })
}

/// Renders an idling diesel engine: irregular firings at 22 to 40 Hz through a soft exhaust.
pub(super) fn engine_idling(mut studio: Studio) -> Vec<f32> {
    let (rate, recording) = (studio.rate, &mut studio.recording);
    let firings = recording.between(22.0, 40.0);
    let mut exhaust = Filter::band(rate, recording.between(80.0, 200.0), 1.2);
    let mut valves = Filter::band(rate, recording.between(900.0, 2_400.0), 1.0);
    let mut block = Partials::new(rate, &[0.5, 0.45, 0.3, 0.25, 0.18, 0.12, 0.08, 0.05], recording);
    let mut stroke = Decay::new(rate, 0.05);
    let (mut phase, mut unsteady) = (0.0, 1.0);
    studio.render(move |_, slice| {
        phase += firings * unsteady / rate;
        if phase >= 1.0 {
            phase -= 1.0;
            unsteady = 1.0 + 0.02 * slice.gauss();
            stroke.strike(0.7 + 0.3 * slice.unit() as f32);
        }
        let burst = stroke.next() * white(slice);
        0.6 * block.next(firings) + 1.6 * exhaust.next(burst) + 0.3 * valves.next(burst)
    })
}

/// Renders a pneumatic hammer: 12 to 25 hard blows per second on stone.
pub(super) fn jackhammer(mut studio: Studio) -> Vec<f32> {
    let (rate, recording) = (studio.rate, &mut studio.recording);
    let blows = recording.between(12.0, 25.0);
    let mut chisel = Filter::band(rate, recording.between(1_500.0, 3_000.0), 1.5);
    let mut stone = Filter::band(rate, recording.between(250.0, 600.0), 1.0);
    let mut air = Filter::high(rate, recording.between(3_000.0, 5_000.0));
    let mut blow = Decay::new(rate, recording.between(0.04, 0.07));
    let mut phase = studio.slice.unit();
    let mut unsteady = 1.0;
    studio.render(move |_, slice| {
        phase += blows * unsteady / rate;
        if phase >= 1.0 {
            phase -= 1.0;
            unsteady = 1.0 + 0.03 * slice.gauss();
            blow.strike(0.8 + 0.3 * slice.unit() as f32);
        }
        let noise = white(slice);
        let strike = blow.next() * noise;
        1.8 * chisel.next(strike) + 1.5 * stone.next(strike) + 0.06 * air.next(noise)
    })
}

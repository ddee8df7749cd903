//! Voices and music: children, a dog, a street musician.

use super::studio::Studio;
use crate::{
    random::Stream,
    synth::signal::{Decay, Filter, Partials, white},
};

/// A child: syllables of gliding pitch, filtered by the formant of a vowel.
struct Child {
    voice: Partials,
    formant: Filter,
    loudness: f32,
    target: f32,
    pitch: f64,
    glide: f64,
    until: f64,
}

impl Child {
    fn new(rate: f64, recording: &mut Stream) -> Self {
        Self {
            voice: Partials::new(rate, &[0.5, 0.45, 0.35, 0.3, 0.2, 0.15, 0.1], recording),
            formant: Filter::band(rate, recording.between(700.0, 2_400.0), 1.2),
            loudness: 0.0,
            target: 0.0,
            pitch: recording.between(280.0, 520.0),
            glide: 0.0,
            until: 0.0,
        }
    }

    /// Starts the next syllable or pause, which lasts 0.1 to 0.3 s.
    fn next_syllable(&mut self, time: f64, slice: &mut Stream) {
        self.until = time + slice.between(0.1, 0.3);
        let silent = slice.unit() < 0.4;
        self.target = if silent { 0.0 } else { slice.between(0.2, 1.0) as f32 };
        self.pitch = (self.pitch * slice.between(0.8, 1.28)).clamp(250.0, 800.0);
        self.glide = slice.between(-300.0, 300.0);
    }

    fn next(&mut self, time: f64, rate: f64, slice: &mut Stream) -> f32 {
        if time >= self.until {
            self.next_syllable(time, slice);
        }
        self.pitch = (self.pitch + self.glide / rate).clamp(220.0, 900.0);
        self.loudness += (self.target - self.loudness) * (40.0 / rate) as f32;
        let voiced = self.voice.next(self.pitch) + 0.15 * white(slice);
        self.loudness * (0.4 * voiced + self.formant.next(voiced))
    }
}

/// Renders a playground: three or four children at once.
pub(super) fn children_playing(mut studio: Studio) -> Vec<f32> {
    let rate = studio.rate;
    let count = 3 + studio.recording.choice(2);
    let mut children: Vec<Child> = (0..count).map(|_| Child::new(rate, &mut studio.recording)).collect();
    studio.render(move |time, slice| children.iter_mut().map(|child| child.next(time, rate, slice)).sum())
}

/// Renders barks with falling pitch, at irregular intervals.
pub(super) fn dog_bark(mut studio: Studio) -> Vec<f32> {
    let (rate, recording) = (studio.rate, &mut studio.recording);
    let pitch = recording.between(260.0, 620.0);
    let pause = recording.between(0.25, 0.6);
    let mut throat = Filter::band(rate, recording.between(600.0, 1_400.0), 1.5);
    let mut voice = Partials::new(rate, &[0.4, 0.5, 0.45, 0.3, 0.2, 0.1], recording);
    let mut bark = Decay::new(rate, recording.between(0.14, 0.3));
    let mut due = studio.slice.between(0.0, 0.1);
    let mut loudness = 0.0f32;
    studio.render(move |time, slice| {
        if time >= due {
            bark.strike(0.7 + 0.5 * slice.unit() as f32);
            due = time + pause * slice.between(0.8, 2.0);
        }
        let strength = bark.next();
        loudness += (strength - loudness) * (400.0 / rate) as f32;
        let sound = voice.next(pitch * (0.7 + 0.6 * f64::from(strength))) + 0.5 * white(slice);
        loudness * (0.3 * sound + 1.5 * throat.next(sound))
    })
}

/// The steps of a minor pentatonic scale over two octaves, as frequency ratios.
const SCALE: [f64; 10] = [1.0, 1.189, 1.335, 1.498, 1.782, 2.0, 2.378, 2.670, 2.997, 3.564];
/// The chords of the bars: for each, the scale step of its root.
const CHORDS: [usize; 4] = [0, 3, 2, 4];

/// Renders a street musician: a plucked melody over a sustained chord that changes with each bar.
pub(super) fn street_music(mut studio: Studio) -> Vec<f32> {
    let (rate, recording) = (studio.rate, &mut studio.recording);
    let beat = 60.0 / recording.between(84.0, 138.0) / 2.0;
    let tonic = recording.between(150.0, 260.0);
    let mut melody = Partials::new(rate, &[0.6, 0.35, 0.2, 0.15, 0.08, 0.04], recording);
    let mut chord =
        [1.0, 1.498, 2.378].map(|ratio| (ratio, Partials::new(rate, &[0.4, 0.25, 0.12, 0.06], recording)));
    let mut pluck = Decay::new(rate, 4.0 * beat);
    let first_bar = studio.slice.choice(CHORDS.len());
    let (mut due, mut beats, mut note) = (0.0, 0, tonic);
    studio.render(move |time, slice| {
        if time >= due {
            due += beat;
            beats += 1;
            if slice.unit() < 0.8 {
                note = tonic * SCALE[slice.choice(SCALE.len())] * 2.0;
                pluck.strike(slice.between(0.5, 1.0) as f32);
            }
        }
        let root = tonic * SCALE[CHORDS[(first_bar + beats / 8) % CHORDS.len()]];
        let harmony: f32 = chord.iter_mut().map(|(ratio, voice)| voice.next(root * *ratio)).sum();
        pluck.next() * melody.next(note) + 0.25 * harmony + 0.01 * white(slice)
    })
}

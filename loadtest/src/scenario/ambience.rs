//! The everyday sound of a place: steady sources that swell and fade, passing vehicles, the rhythm
//! of the day, and the random scatter of a measurement.

use std::{f64::consts::TAU, sync::LazyLock};

use crate::{
    audio::{
        Clip, Library, SpectralFrame,
        bands::{self, BANDS},
    },
    random::Key,
    sound_class::SoundClass,
};

/// The everyday sound of one place.
pub(super) struct Ambience {
    key: Key,
    frame_seconds: f64,
    /// The usual A-weighted level in dB SPL.
    level_db: f64,
    /// The constant error of the microphone, in dB.
    calibration_db: f64,
    /// Half the difference between the loudest and the quietest hour, in dB.
    day_swing_db: f64,
    /// The time of day at which the scenario begins, as a fraction of a day.
    day_phase: f64,
    sources: Vec<Source>,
    traffic: Option<Traffic>,
}

/// A steady source. It fades from clip to clip within a few clips of its class.
struct Source {
    key: Key,
    class: SoundClass,
    /// Indices into the class's clips.
    clips: Vec<usize>,
    /// Level relative to the level of the place.
    relative_db: f64,
    /// Seconds from one clip to the next.
    stay: f64,
}

/// Passing vehicles: an everyday sound that is short.
struct Traffic {
    key: Key,
    class: SoundClass,
    /// The seconds in which at most one vehicle passes.
    span: f64,
}

impl Ambience {
    pub(super) fn new(key: Key, library: &Library) -> Self {
        let classes: Vec<SoundClass> =
            SoundClass::AMBIENT.into_iter().filter(|&class| !library.clips(class).is_empty()).collect();
        let first = key.at(1).choice(classes.len());
        let mut sources: Vec<Source> = [0.0, key.at(2).between(-10.0, -3.0), key.at(3).between(-15.0, -8.0)]
            .into_iter()
            .enumerate()
            .map(|(n, relative_db)| {
                let class = classes[(first + n) % classes.len()];
                Source::new(key.at(10 + n as u64), class, relative_db, library)
            })
            .collect();
        // Relative to the sum of all sources, so that their mixture has the level of the place.
        let sum_db = 10.0 * libm::log10(sources.iter().map(|source| power(source.relative_db)).sum());
        for source in &mut sources {
            source.relative_db -= sum_db;
        }
        let vehicles = [SoundClass::EngineIdling, classes[first]];
        let traffic = vehicles
            .into_iter()
            .find(|&class| !library.clips(class).is_empty())
            .map(|class| Traffic { key: key.at(20), class, span: key.at(21).between(40.0, 90.0) });
        Self {
            key,
            frame_seconds: library.frame_seconds(),
            level_db: key.at(4).between(48.0, 64.0),
            calibration_db: 0.5 * key.at(5).gauss(),
            day_swing_db: key.at(6).between(1.5, 4.0),
            day_phase: key.at(7).unit(),
            sources,
            traffic,
        }
    }

    pub(super) fn calibration_db(&self) -> f64 {
        self.calibration_db
    }

    /// Returns the usual level of the place around a frame, in dB SPL. The level of an event is
    /// relative to it.
    pub(super) fn level_db(&self, frame: u64) -> f64 {
        let time = frame as f64 * self.frame_seconds;
        let day = libm::cos(TAU * (time / 86_400.0 + self.day_phase));
        self.level_db + self.day_swing_db * day + self.key.at(8).drift(time / 1_800.0)
    }

    /// Returns the sound in a frame. Power 1 is 0 dB SPL.
    pub(super) fn frame(&self, library: &Library, frame: u64) -> SpectralFrame {
        let time = frame as f64 * self.frame_seconds;
        let level_db = self.level_db(frame);
        // The microphone's own noise is always present.
        let mut sound = SELF_NOISE.clone();
        for source in &self.sources {
            source.add_to(&mut sound, library, level_db, frame, time);
        }
        if let Some(traffic) = &self.traffic {
            traffic.add_to(&mut sound, library, level_db, frame, time);
        }
        sound
    }

    /// Adds the random scatter of a measurement. The power of noise of bandwidth B, measured for T
    /// seconds, has a relative standard deviation of `1/√(B·T)`.
    pub(super) fn measure(&self, sound: &mut SpectralFrame, frame: u64) {
        let mut random = self.key.at(9).at(frame).stream();
        for (band, deviation) in DEVIATIONS.iter().enumerate() {
            let deviation = deviation / self.frame_seconds.sqrt();
            sound.scale_band(band, (1.0 + deviation * random.gauss()).max(0.05));
        }
        sound.peak *= (1.0 + 0.15 * random.gauss()).max(0.3);
        sound.crossings *= (1.0 + 0.02 * random.gauss()).max(0.5);
    }
}

impl Source {
    fn new(key: Key, class: SoundClass, relative_db: f64, library: &Library) -> Self {
        let count = library.clips(class).len();
        let clips = (0..count.min(4) as u64).map(|n| key.at(1).at(n).choice(count)).collect();
        Self { key, class, clips, relative_db, stay: key.at(2).between(40.0, 150.0) }
    }

    fn add_to(&self, sound: &mut SpectralFrame, library: &Library, level_db: f64, frame: u64, time: f64) {
        let wander = 1.8 * self.key.at(3).drift(time / 700.0)
            + 1.3 * self.key.at(4).drift(time / 45.0)
            + 0.6 * self.key.at(5).at(frame).gauss();
        let gain = power(level_db + self.relative_db + wander);
        let stage = time / self.stay;
        let part = stage - stage.floor();
        let weight = part * part * (3.0 - 2.0 * part);
        for (step, share) in [(0, 1.0 - weight), (1, weight)] {
            let clip = self.clip(library, stage as u64 + step);
            let moment = self.key.at(6).at(frame).choice(clip.frames.len());
            sound.add(&clip.frames[moment], gain * share / clip.weighted_power);
        }
    }

    fn clip<'a>(&self, library: &'a Library, stage: u64) -> &'a Clip {
        let choice = self.key.at(7).at(stage).choice(self.clips.len());
        &library.clips(self.class)[self.clips[choice]]
    }
}

impl Traffic {
    fn add_to(&self, sound: &mut SpectralFrame, library: &Library, level_db: f64, frame: u64, time: f64) {
        let key = self.key.at((time / self.span) as u64);
        if key.at(1).unit() > 0.6 {
            return;
        }
        let into_span = time % self.span;
        let closest = self.span * key.at(2).between(0.3, 0.7);
        let half_width = self.span.min(60.0) * key.at(3).between(0.08, 0.2);
        let distance = (into_span - closest) / half_width;
        if distance.abs() >= 1.0 {
            return;
        }
        let bell = libm::cos(distance * TAU / 4.0);
        let loudest_db = level_db + key.at(4).between(-3.0, 6.0);
        let clips = library.clips(self.class);
        let clip = &clips[key.at(5).choice(clips.len())];
        let moment = self.key.at(6).at(frame).choice(clip.frames.len());
        sound.add(&clip.frames[moment], bell * bell * power(loudest_db) / clip.weighted_power);
    }
}

/// Converts decibels to a power ratio.
pub(super) fn power(decibels: f64) -> f64 {
    libm::exp(decibels * (std::f64::consts::LN_10 / 10.0))
}

/// White noise of about 22 dB(A), like that of a small MEMS microphone.
static SELF_NOISE: LazyLock<SpectralFrame> = LazyLock::new(|| {
    let edges = bands::band_edges();
    let mut noise = SpectralFrame::SILENT;
    for band in 0..BANDS - 1 {
        let (low, high) = (edges[band], edges[band + 1]);
        let centre = (low * high).sqrt();
        noise.power[band] = 0.016 * (high - low);
        noise.weighted[band] = noise.power[band] * bands::a_weight(centre);
        noise.moment[band] = noise.power[band] * f64::midpoint(low, high);
    }
    // Half of all pairs of independent samples cross zero.
    noise.crossings = noise.total_power() * 11_025.0 * 11_025.0;
    noise.peak = 12.0 * noise.total_power();
    noise
});

/// Relative standard deviation of each band's power over one second.
static DEVIATIONS: LazyLock<[f64; BANDS]> = LazyLock::new(|| {
    let edges = bands::band_edges();
    std::array::from_fn(|band| 1.0 / (edges[band + 1] - edges[band]).sqrt())
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tests::shared_library;

    #[test]
    fn the_usual_level_is_the_mean_level() {
        let library = shared_library();
        for sensor in 0..6 {
            let ambience = Ambience::new(Key::root(1, "ambience").at(sensor), &library);
            let excess: f64 = (0..3_000)
                .map(|frame| {
                    let sound = ambience.frame(&library, frame);
                    10.0 * sound.weighted_power().log10() - ambience.level_db(frame)
                })
                .sum::<f64>()
                / 3_000.0;
            assert!(excess.abs() < 2.0, "sensor {sensor}: {excess} dB off");
        }
    }

    #[test]
    fn self_noise_is_about_22_decibels() {
        let level = 10.0 * SELF_NOISE.weighted_power().log10();
        assert!((level - 22.0).abs() < 1.0, "{level}");
    }
}

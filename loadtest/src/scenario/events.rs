//! Unusual events, such as a siren, a drill or a shot. A detector is evaluated by them.
//!
//! The time of a sensor after the quiet beginning is divided into slots. A random half of the slots
//! contain one event each. So the event in a frame can be computed without the frames before it.

use super::{ambience::power, options::ScenarioOptions};
use crate::{
    audio::{Clip, Library, SpectralFrame},
    random::Key,
    sound_class::SoundClass,
};

/// The share of slots that hold an event.
const OCCUPANCY: f64 = 0.5;

/// A labelled event of one sensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// The class of the sound.
    pub class: SoundClass,
    /// The first frame of the event.
    pub first_frame: u64,
    /// The last frame of the event.
    pub last_frame: u64,
    /// The level above the usual level of the place, in dB.
    pub salience_db: f64,
    clip: usize,
    key: Key,
}

/// The times and classes of the events of one sensor.
pub(super) struct Incidents {
    key: Key,
    quiet_frames: u64,
    /// The length of a slot in frames; `None`: there are no events.
    slot_frames: Option<u64>,
    salience_db: (f64, f64),
    frame_seconds: f64,
    classes: Vec<SoundClass>,
}

impl Incidents {
    pub(super) fn new(key: Key, library: &Library, options: &ScenarioOptions) -> Self {
        let frame_seconds = library.frame_seconds();
        let slot_seconds = 3_600.0 * OCCUPANCY / options.events_per_hour;
        let slot_frames = slot_seconds.is_finite().then(|| ((slot_seconds / frame_seconds) as u64).max(20));
        let classes =
            SoundClass::EVENTS.into_iter().filter(|&class| !library.clips(class).is_empty()).collect();
        let (quiet_frames, salience_db) = (options.quiet_frames, options.salience_db);
        Self { key, quiet_frames, slot_frames, salience_db, frame_seconds, classes }
    }

    /// Returns the event in a frame, if any.
    pub(super) fn at(&self, library: &Library, frame: u64) -> Option<Event> {
        let slot = frame.checked_sub(self.quiet_frames)? / self.slot_frames?;
        self.in_slot(library, slot).filter(|event| (event.first_frame..=event.last_frame).contains(&frame))
    }

    /// Returns all events, in order.
    pub(super) fn all<'a>(&'a self, library: &'a Library) -> impl Iterator<Item = Event> + 'a {
        let slots = if self.slot_frames.is_some() { 0..u64::MAX } else { 0..0 };
        slots.filter_map(|slot| self.in_slot(library, slot))
    }

    /// Returns the event in a slot, if any.
    fn in_slot(&self, library: &Library, slot: u64) -> Option<Event> {
        let slot_frames = self.slot_frames?;
        let key = self.key.at(slot);
        if key.at(1).unit() >= OCCUPANCY {
            return None;
        }
        let class = self.classes[key.at(2).choice(self.classes.len())];
        let (shortest, longest) = duration_range(class);
        let frames = (key.at(3).between(shortest, longest) / self.frame_seconds).round() as u64;
        let frames = frames.clamp(1, slot_frames / 2);
        // A quiet margin at both ends of the slot separates events.
        let margin = slot_frames / 20;
        let room = slot_frames - frames - 2 * margin;
        let start =
            self.quiet_frames + slot * slot_frames + margin + key.at(4).choice(room as usize + 1) as u64;
        Some(Event {
            class,
            first_frame: start,
            last_frame: start + frames - 1,
            salience_db: key.at(5).between(self.salience_db.0, self.salience_db.1),
            clip: choose_clip(library.clips(class), key.at(6)),
            key: key.at(7),
        })
    }
}

/// Returns the shortest and the longest duration of an event of the class, in seconds.
fn duration_range(class: SoundClass) -> (f64, f64) {
    match class {
        SoundClass::GunShot => (3.0, 8.0),
        SoundClass::CarHorn => (4.0, 10.0),
        SoundClass::DogBark => (6.0, 20.0),
        SoundClass::Drilling => (8.0, 30.0),
        _ => (10.0, 40.0),
    }
}

/// Returns the share of an event's frames in which it is heard.
fn density(class: SoundClass) -> f64 {
    match class {
        SoundClass::GunShot => 0.6,
        SoundClass::CarHorn | SoundClass::DogBark => 0.85,
        _ => 1.0,
    }
}

/// Returns the index of a random clip, one with the sound in the foreground if there is one.
fn choose_clip(clips: &[Clip], key: Key) -> usize {
    let foreground: Vec<usize> = (0..clips.len()).filter(|&index| clips[index].foreground).collect();
    if foreground.is_empty() { key.choice(clips.len()) } else { foreground[key.choice(foreground.len())] }
}

impl Event {
    /// Adds the sound of the event in a frame. `usual_db` is the usual level of the place.
    pub(super) fn add_to(&self, sound: &mut SpectralFrame, library: &Library, usual_db: f64, frame: u64) {
        let since = frame - self.first_frame;
        let edge = frame == self.first_frame || frame == self.last_frame;
        if !edge && self.key.at(1).at(since).unit() >= density(self.class) {
            return;
        }
        let clip = &library.clips(self.class)[self.clip];
        let moment = &clip.frames[(since % clip.frames.len() as u64) as usize];
        let level_db = usual_db + self.salience_db + 0.7 * self.key.at(2).at(since).gauss();
        sound.add(moment, self.envelope(since) * power(level_db) / clip.weighted_power);
    }

    /// Returns the gain of a frame. A siren comes nearer and goes away; other events have constant
    /// gain.
    fn envelope(&self, since: u64) -> f64 {
        if self.class != SoundClass::Siren {
            return 1.0;
        }
        let length = (self.last_frame - self.first_frame + 1) as f64;
        let bell = libm::sin(std::f64::consts::PI * (since as f64 + 0.5) / length);
        0.1 + 1.2 * bell * bell
    }
}

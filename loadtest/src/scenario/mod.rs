//! A city of microphones: what each sensor reads at each moment, and when something out of the ordinary happens.
//!
//! - [`options`]: how many sensors, which seed, since when
//! - `ambience`: what a place sounds like every day
//! - [`events`]: what happens there once in a while; these are the labels
//! - [`csv`]: the scenario as files, to work on detection without servers
//!
//! A reading is a pure function of (data set, seed, sensor, frame index). Nothing is remembered from frame to frame, so a
//! scenario has no end, can be entered anywhere and gives a sensor the same readings whatever the number of sensors. Only
//! the timestamps depend on the start: frame n of a sensor lies n periods after it, plus a phase of the sensor's own, so that
//! a city does not report in one burst per second.

mod ambience;
pub mod csv_files;
pub mod events;
pub mod options;

use std::sync::Arc;

use ambience::Ambience;
pub use events::Event;
use events::Incidents;
pub use options::{ScenarioError, ScenarioOptions};

use crate::{
    audio::{FIELDS, Features, Library, features::features},
    random::Key,
};

/// Where the city's microphones stand.
const DISTRICTS: [&str; 12] = [
    "harbour",
    "old-town",
    "station",
    "market",
    "university",
    "hospital",
    "stadium",
    "park",
    "airport",
    "mill",
    "bridge",
    "hillside",
];

/// An endless, reproducible course of readings over a number of sensors.
pub struct Scenario {
    library: Arc<Library>,
    options: ScenarioOptions,
    period_micros: i64,
    sensors: Vec<Sensor>,
    /// Sensor indices in the order in which they report within a period.
    order: Vec<usize>,
}

/// A sensor of the scenario.
pub struct Sensor {
    /// `city/<district>/microphone-NN`
    pub name: String,
    /// How long after the beginning of a period it reports, in µs.
    pub phase_micros: i64,
    ambience: Ambience,
    incidents: Incidents,
}

/// One reading of the scenario.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Index into [`Scenario::sensors`].
    pub sensor: usize,
    /// Counted from 0.
    pub frame: u64,
    /// Event time in µs since the Unix epoch.
    pub ts: i64,
    /// In the order of [`FIELDS`].
    pub values: Features,
}

impl Scenario {
    /// Sets up the sensors.
    pub fn new(library: Arc<Library>, options: ScenarioOptions) -> Result<Self, ScenarioError> {
        options.validate()?;
        // Whole milliseconds, so that timestamps stay short and a frame index maps to its time without rounding.
        let period_micros = (library.frame_seconds() * 1e3).round() as i64 * 1_000;
        let sensors: Vec<Sensor> = (0..options.sensors as usize)
            .map(|index| Sensor::new(index, &library, &options, period_micros))
            .collect();
        let mut order: Vec<usize> = (0..sensors.len()).collect();
        order.sort_by_key(|&index| (sensors[index].phase_micros, index));
        Ok(Self { library, options, period_micros, sensors, order })
    }

    /// The options it was made with.
    pub fn options(&self) -> &ScenarioOptions {
        &self.options
    }

    /// The sensors, by index.
    pub fn sensors(&self) -> &[Sensor] {
        &self.sensors
    }

    /// Time between two readings of a sensor, in µs.
    pub fn period_micros(&self) -> i64 {
        self.period_micros
    }

    /// When a sensor takes a frame, in µs since the Unix epoch.
    pub fn timestamp(&self, sensor: usize, frame: u64) -> i64 {
        self.options.start_micros + frame as i64 * self.period_micros + self.sensors[sensor].phase_micros
    }

    /// What a sensor reads.
    pub fn reading(&self, sensor: usize, frame: u64) -> Reading {
        self.observe(sensor, frame).0
    }

    /// What a sensor reads, and the event it hears, if any.
    pub fn observe(&self, sensor: usize, frame: u64) -> (Reading, Option<Event>) {
        let place = &self.sensors[sensor];
        let mut sound = place.ambience.frame(&self.library, frame);
        let event = place.incidents.at(&self.library, frame);
        if let Some(event) = event {
            event.add_to(&mut sound, &self.library, place.ambience.level_db(frame), frame);
        }
        place.ambience.measure(&mut sound, frame);
        let values = features(&sound, place.ambience.calibration_db());
        (Reading { sensor, frame, ts: self.timestamp(sensor, frame), values }, event)
    }

    /// The event that a sensor hears at a frame, if any.
    pub fn event_at(&self, sensor: usize, frame: u64) -> Option<Event> {
        self.sensors[sensor].incidents.at(&self.library, frame)
    }

    /// All events of a sensor, in order, without end (unless the scenario has none).
    pub fn events(&self, sensor: usize) -> impl Iterator<Item = Event> + '_ {
        self.sensors[sensor].incidents.all(&self.library)
    }

    /// Readings of all sensors in the order of their timestamps, from a frame on, without end. Nothing is computed ahead.
    pub fn readings(&self, from_frame: u64) -> impl Iterator<Item = Reading> + '_ {
        (from_frame..)
            .flat_map(move |frame| self.order.iter().map(move |&sensor| self.reading(sensor, frame)))
    }

    /// The sensors in the order in which they report within a period.
    pub fn reporting_order(&self) -> &[usize] {
        &self.order
    }

    /// The names of a reading's values.
    pub fn fields(&self) -> &'static [&'static str] {
        &FIELDS
    }
}

impl Sensor {
    fn new(index: usize, library: &Library, options: &ScenarioOptions, period_micros: i64) -> Self {
        let key = Key::root(options.seed, "scenario").at(index as u64);
        let district = DISTRICTS[index % DISTRICTS.len()];
        let phase_millis = key.at(1).choice((period_micros / 1_000) as usize);
        Self {
            name: format!("city/{district}/microphone-{:02}", index / DISTRICTS.len() + 1),
            phase_micros: phase_millis as i64 * 1_000,
            ambience: Ambience::new(key.at(2), library),
            incidents: Incidents::new(key.at(3), library, options),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;

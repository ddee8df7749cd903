//! A city of microphones: the readings of each sensor, and the unusual events that it hears.
//!
//! - [`options`]: the parameters of a scenario
//! - `ambience`: the everyday sound of a place
//! - [`events`]: the unusual events of a place, which are the labels
//! - [`csv_files`]: writes a scenario as CSV files, to work on detection without servers
//!
//! A reading is a pure function of data set, seed, sensor and frame index. No state passes from
//! frame to frame. So a scenario has no end, any frame can be computed directly, and a sensor has
//! the same readings whatever the number of sensors. Only the timestamps depend on the start: frame
//! n of a sensor is n periods after it, plus the phase of the sensor. The phases spread the sensors
//! of a city over the period.

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

/// The districts in which the microphones stand.
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

/// An endless, reproducible sequence of readings of several sensors.
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
    /// Time from the beginning of a period to the sensor's report, in µs.
    pub phase_micros: i64,
    ambience: Ambience,
    incidents: Incidents,
}

/// One reading of the scenario.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Index into [`Scenario::sensors`].
    pub sensor: usize,
    /// The frame, counted from 0.
    pub frame: u64,
    /// Event time in µs since the Unix epoch.
    pub ts: i64,
    /// The values, in the order of [`FIELDS`].
    pub values: Features,
}

impl Scenario {
    /// Sets up the sensors.
    pub fn new(library: Arc<Library>, options: ScenarioOptions) -> Result<Self, ScenarioError> {
        options.validate()?;
        // A period of whole milliseconds keeps timestamps short, and no frame's time needs
        // rounding.
        let period_micros = (library.frame_seconds() * 1e3).round() as i64 * 1_000;
        let sensors: Vec<Sensor> = (0..options.sensors as usize)
            .map(|index| Sensor::new(index, &library, &options, period_micros))
            .collect();
        let mut order: Vec<usize> = (0..sensors.len()).collect();
        order.sort_by_key(|&index| (sensors[index].phase_micros, index));
        Ok(Self { library, options, period_micros, sensors, order })
    }

    /// Returns the options of the scenario.
    pub fn options(&self) -> &ScenarioOptions {
        &self.options
    }

    /// Returns the sensors, by index.
    pub fn sensors(&self) -> &[Sensor] {
        &self.sensors
    }

    /// Returns the time between two readings of a sensor, in µs.
    pub fn period_micros(&self) -> i64 {
        self.period_micros
    }

    /// Returns the event time of a sensor's frame, in µs since the Unix epoch.
    pub fn timestamp(&self, sensor: usize, frame: u64) -> i64 {
        self.options.start_micros + frame as i64 * self.period_micros + self.sensors[sensor].phase_micros
    }

    /// Returns the reading of a sensor's frame.
    pub fn reading(&self, sensor: usize, frame: u64) -> Reading {
        self.observe(sensor, frame).0
    }

    /// Returns the reading of a sensor's frame, and the event that the sensor hears in it, if any.
    pub fn observe(&self, sensor: usize, frame: u64) -> (Reading, Option<Event>) {
        let microphone = &self.sensors[sensor];
        let mut sound = microphone.ambience.frame(&self.library, frame);
        let event = microphone.incidents.at(&self.library, frame);
        if let Some(event) = event {
            event.add_to(&mut sound, &self.library, microphone.ambience.level_db(frame), frame);
        }
        microphone.ambience.measure(&mut sound, frame);
        let values = features(&sound, microphone.ambience.calibration_db());
        (Reading { sensor, frame, ts: self.timestamp(sensor, frame), values }, event)
    }

    /// Returns the event that a sensor hears in a frame, if any.
    pub fn event_at(&self, sensor: usize, frame: u64) -> Option<Event> {
        self.sensors[sensor].incidents.at(&self.library, frame)
    }

    /// Returns all events of a sensor, in order. There is no end, unless the scenario has no
    /// events.
    pub fn events(&self, sensor: usize) -> impl Iterator<Item = Event> + '_ {
        self.sensors[sensor].incidents.all(&self.library)
    }

    /// Returns the readings of all sensors from a frame on, in the order of their timestamps,
    /// without end. Computes each reading when it is taken.
    pub fn readings(&self, from_frame: u64) -> impl Iterator<Item = Reading> + '_ {
        (from_frame..)
            .flat_map(move |frame| self.order.iter().map(move |&sensor| self.reading(sensor, frame)))
    }

    /// Returns the sensors in the order in which they report within a period.
    pub fn reporting_order(&self) -> &[usize] {
        &self.order
    }

    /// Returns the names of a reading's values.
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

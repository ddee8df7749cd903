//! The course of a field over its last readings: what a one-step forecast and the forest do not
//! see.
//!
//! Two views of the same readings give four measures.
//!
//! 1. *Coarse forecast.* Blocks of four readings are averaged. An autoregression over the last four
//!    blocks forecasts the mean of the next block. Slow courses, such as a wave that stops, hardly
//!    show from one reading to the next, but show from block to block.
//! 2. *Discord.* The last 16 readings, without their mean, are compared with a bounded dictionary of
//!    past windows, the leaders. The measure is the distance to the nearest leader, in units of the
//!    field's spread. A window that is far from all leaders becomes a leader itself, in the place of
//!    the leader whose loss costs least. Other windows move their nearest leader a little. So the
//!    dictionary holds the usual shapes, however often each one comes (leader clustering, Hartigan
//!    1975).
//!
//! The windows are not divided by their own spread: on fields with flat stretches, that would
//! compare noise with noise.
//!
//! A reading costs 0.25 µs, and up to 1.6 µs while many windows become leaders. A field takes about
//! 2.8 KB.

mod coarse;
mod discord;

use serde::{Deserialize, Serialize};

use coarse::Coarse;
use discord::Discord;

/// Upper bound of a coordinate's size, so that its square is finite.
const GREATEST: f64 = 1e100;

/// Number of measures: the coarse residual, its moving mean, its moving power, and the discord.
pub(crate) const COURSE_MEASURES: usize = 4;

/// The course of one field, in coordinates.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Course {
    coarse: Coarse,
    discord: Discord,
}

impl Course {
    /// Creates a course that starts at a field's first coordinate.
    pub(crate) fn new(coordinate: f64) -> Self {
        Self { coarse: Coarse::new(coordinate), discord: Discord::default() }
    }

    /// Forgets the last readings, because a silence separates them from the next one.
    pub(crate) fn restart(&mut self) {
        self.coarse.restart();
        self.discord.restart();
    }

    /// Compares the field's next coordinate, a finite number, with the past. `spread` is the
    /// field's own spread, 0 while it is constant.
    /// Returns [`COURSE_MEASURES`] measures of up to about 30. They are logarithms, so that an
    /// exponential tail fits them. The first two have the sign of what they measure.
    pub(crate) fn observe(&mut self, coordinate: f64, spread: f64) -> [f64; COURSE_MEASURES] {
        let coordinate = coordinate.clamp(-GREATEST, GREATEST);
        self.coarse.observe(coordinate, spread);
        self.discord.observe(coordinate, spread);
        let [residual, drift, unrest] = self.coarse.measures();
        [residual, drift, unrest, self.discord.measure()]
    }

    /// Learns the last observed reading. `rate` is its weight in the running means.
    pub(crate) fn learn(&mut self, rate: f64) {
        self.coarse.learn(rate);
        self.discord.learn(rate);
    }

    /// Returns whether the course is consistent. A restored snapshot is checked with it.
    pub(crate) fn is_sound(&self) -> bool {
        self.coarse.is_sound() && self.discord.is_sound()
    }

    /// Returns the memory on the heap, in bytes.
    pub(crate) fn memory_usage(&self) -> usize {
        self.discord.memory_usage()
    }
}

#[cfg(test)]
mod tests;

//! How long something has lasted so far: a histogram of durations with bins that double, and what lasts
//! for far more readings than before.

use serde::{Deserialize, Serialize};

/// Bins of the histogram. Bin b counts the durations of 2^b to 2^(b + 1) milliseconds; the last bin,
/// from 17 years on, counts the longer ones too.
const BINS: usize = 40;
/// What a doubling beyond the most extreme duration adds to the rarity, from the second one on.
const PER_DOUBLING: f64 = 0.5;
/// What all doublings add at most.
const MOST_BEYOND: f64 = 2.0;
/// What all doublings of a number of readings add at most.
const MOST_BEYOND_IN_READINGS: f64 = 1.0;
/// Microseconds of the shortest duration that is told from shorter ones.
const SHORTEST: u64 = 1_000;

/// Durations, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Durations {
    count: u64,
    shortest: u64,
    longest: u64,
    /// Only as many bins as the longest duration needs.
    bins: Vec<u16>,
}

impl Durations {
    /// Returns the number of durations.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Adds a duration.
    pub(crate) fn add(&mut self, duration: u64) {
        let bin = bin_of(duration);
        if self.bins.len() <= bin {
            self.bins.reserve_exact(bin + 1 - self.bins.len());
            self.bins.resize(bin + 1, 0);
        }
        if self.bins[bin] == u16::MAX {
            // The shares of the bins stay.
            self.bins.iter_mut().for_each(|count| *count /= 2);
            self.count = self.bins.iter().map(|&count| u64::from(count)).sum();
        }
        self.bins[bin] += 1;
        self.count += 1;
        self.shortest = if self.shortest == 0 { duration } else { self.shortest.min(duration) }.max(1);
        self.longest = self.longest.max(duration);
    }

    /// Returns how many times a duration is the longest one, in doublings; below 0 if it is shorter.
    pub(crate) fn doublings(&self, duration: u64) -> f64 {
        libm::log2(duration.max(1) as f64 / self.longest.max(1) as f64)
    }

    /// Returns the rarity of a duration that is at least this long. Beyond the longest one, it
    /// grows with each doubling.
    pub(crate) fn rarity_of_long(&self, duration: u64) -> f64 {
        let at_least: u64 = self.bins.iter().skip(bin_of(duration)).map(|&count| u64::from(count)).sum();
        self.rarity(self.doublings(duration), at_least)
    }

    /// Returns the rarity of a duration that is at most this long. Below the shortest one, it
    /// grows with each halving.
    pub(crate) fn rarity_of_short(&self, duration: u64) -> f64 {
        let halvings = libm::log2(self.shortest.max(1) as f64 / duration.max(1) as f64);
        let at_most: u64 = self.bins.iter().take(bin_of(duration) + 1).map(|&count| u64::from(count)).sum();
        self.rarity(halvings, at_most)
    }

    /// `beyond` is the distance from the most extreme duration, below 0 if `alike` durations were as
    /// extreme.
    fn rarity(&self, beyond: f64, alike: u64) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        if beyond <= 0.0 {
            return rarity_of_share(alike, self.count);
        }
        rarity_of_share(0, self.count) * beyond.min(1.0)
            + (PER_DOUBLING * (beyond - 1.0)).clamp(0.0, MOST_BEYOND)
    }

    /// Returns whether every part is within its bound.
    pub(crate) fn is_sound(&self) -> bool {
        self.bins.len() <= BINS
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.bins.capacity() * size_of::<u16>()
    }
}

/// Returns −log10 of a share, by the rule of succession: something that has not happened in n readings
/// is as rare as one in n + 1.
pub(crate) fn rarity_of_share(times: u64, of: u64) -> f64 {
    libm::log10((of + 1) as f64 / (times + 1) as f64).max(0.0)
}

/// Returns what it adds to a rarity that something lasts for so many readings, by the doublings from twice
/// the `usual` number on.
pub(crate) fn beyond(readings: u32, usual: u32) -> f64 {
    let doublings = libm::log2(f64::from(readings) / f64::from(usual)) - 1.0;
    (PER_DOUBLING * doublings).clamp(0.0, MOST_BEYOND_IN_READINGS)
}

fn bin_of(duration: u64) -> usize {
    (duration / SHORTEST).max(1).ilog2().min(BINS as u32 - 1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000_000;

    #[test]
    fn a_duration_beyond_all_others_is_rarer_the_farther_it_is() {
        let mut durations = Durations::default();
        assert_eq!(durations.rarity_of_long(MINUTE), 0.0);
        (0..99).for_each(|i| durations.add((10 + i % 5) * MINUTE));
        assert!(durations.rarity_of_long(10 * MINUTE) < 0.2 && durations.rarity_of_short(13 * MINUTE) < 0.2);
        let long = [15, 28, 56].map(|minutes| durations.rarity_of_long(minutes * MINUTE));
        assert!(long[0] < 0.3 && (long[1] - 2.0).abs() < 0.01 && (long[2] - 2.5).abs() < 0.01, "{long:?}");
        let short = [5, 1].map(|minutes| durations.rarity_of_short(minutes * MINUTE));
        assert!((short[0] - 2.0).abs() < 0.01 && short[1] > 3.0, "{short:?}");
    }

    #[test]
    fn memory_is_bounded() {
        let mut durations = Durations::default();
        for i in 0..200_000_u64 {
            durations.add(if i % 3 == 0 { MINUTE } else { u64::MAX >> (i % 60) });
        }
        assert!(durations.is_sound() && durations.memory_usage() <= 2 * BINS);
        assert!(durations.rarity_of_long(MINUTE) < 0.5);
    }
}

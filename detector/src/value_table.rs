//! The distinct values of a field that takes few of them: how often each one comes, how long it
//! stays, and which one follows which. The memory is bounded, to 2 KB: the least frequent value and
//! the least frequent pair make room for a new one, as in Space-Saving (Metwally, Agrawal and El
//! Abbadi, ICDT 2005).

use serde::{Deserialize, Serialize};

use crate::durations::Durations;

/// Values that a table holds.
pub(crate) const MOST_VALUES: usize = 12;
/// Pairs of successive values that a table holds.
const MOST_PAIRS: usize = 32;

/// The known values of one field.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct ValueTable {
    values: Vec<KnownValue>,
    pairs: Vec<Pair>,
    /// Readings that were learnt, those of forgotten values too.
    readings: u64,
    /// Learnt readings whose value differs from the one before.
    moves: u64,
    /// Arrivals at values that have been forgotten.
    forgotten: u64,
}

/// What is known of one value.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct KnownValue {
    pub(crate) value: f64,
    /// Readings with this value.
    pub(crate) readings: u64,
    /// Arrivals at this value.
    pub(crate) visits: u64,
    /// Stays that have ended, and whose length is known.
    pub(crate) stays: Durations,
}

/// How often one value has followed another one. Both are indices.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
struct Pair {
    from: u8,
    to: u8,
    count: u32,
}

impl ValueTable {
    /// Returns the number of readings that were learnt.
    pub(crate) fn readings(&self) -> u64 {
        self.readings
    }

    /// Returns the number of learnt readings whose value differs from the one before.
    pub(crate) fn moves(&self) -> u64 {
        self.moves
    }

    /// Returns the known values, each at the place that it was given first.
    pub(crate) fn values(&self) -> &[KnownValue] {
        &self.values
    }

    /// Returns the index of a value, or `None` if it is unknown.
    #[allow(clippy::float_cmp, reason = "a known value is one that has come before, to the bit")]
    pub(crate) fn find(&self, value: f64) -> Option<usize> {
        self.values.iter().position(|known| known.value == value)
    }

    /// Returns the index of the most frequent value, or `None` if there is no value.
    pub(crate) fn dominant(&self) -> Option<usize> {
        (0..self.values.len()).rev().max_by_key(|&index| self.values[index].readings)
    }

    /// Returns the number of arrivals at values that are as rare as this one.
    pub(crate) fn visits_as_rare(&self, index: usize) -> u64 {
        let most = self.values[index].visits;
        let as_rare = self.values.iter().map(|known| known.visits).filter(|&visits| visits <= most);
        as_rare.sum::<u64>() + self.forgotten
    }

    /// Returns the share of all learnt readings that have a value.
    pub(crate) fn share(&self, index: usize) -> f64 {
        self.values[index].readings as f64 / self.readings.max(1) as f64
    }

    /// Returns how often the value `to` has followed the value `from`.
    pub(crate) fn followed(&self, from: usize, to: usize) -> u64 {
        let is_pair = |pair: &&Pair| (usize::from(pair.from), usize::from(pair.to)) == (from, to);
        self.pairs.iter().find(is_pair).map_or(0, |pair| u64::from(pair.count))
    }

    /// Returns how often another value has followed a value.
    pub(crate) fn left(&self, from: usize) -> u64 {
        self.pairs
            .iter()
            .filter(|pair| usize::from(pair.from) == from)
            .map(|pair| u64::from(pair.count))
            .sum()
    }

    /// Learns an arrival at a value. `from` is the index of the value before it, if that is known.
    /// Returns the index of the value.
    pub(crate) fn arrive(&mut self, value: f64, from: Option<usize>) -> usize {
        let to = self.find(value).unwrap_or_else(|| self.add(value, from));
        self.values[to].visits += 1;
        if let Some(from) = from {
            self.moves += 1;
            self.count_pair(from as u8, to as u8);
        }
        to
    }

    /// Learns a reading with a known value.
    pub(crate) fn count(&mut self, index: usize) {
        self.readings += 1;
        self.values[index].readings += 1;
    }

    /// Learns that a stay at a value has ended. Its length is in microseconds.
    pub(crate) fn end_stay(&mut self, index: usize, length: u64) {
        self.values[index].stays.add(length);
    }

    /// Returns whether every part is within its bound.
    pub(crate) fn is_sound(&self) -> bool {
        let values = self.values.len();
        let is_value_sound = |known: &KnownValue| known.stays.is_sound() && known.value.is_finite();
        let is_pair_sound = |pair: &Pair| usize::from(pair.from) < values && usize::from(pair.to) < values;
        values <= MOST_VALUES
            && self.pairs.len() <= MOST_PAIRS
            && self.values.iter().all(is_value_sound)
            && self.pairs.iter().all(is_pair_sound)
    }

    pub(crate) fn memory_usage(&self) -> usize {
        let stays = self.values.iter().map(|known| known.stays.memory_usage());
        stays.sum::<usize>()
            + self.values.capacity() * size_of::<KnownValue>()
            + self.pairs.capacity() * size_of::<Pair>()
    }

    /// Adds a value. If the table is full, the least frequent one is forgotten, except for `kept`.
    fn add(&mut self, value: f64, kept: Option<usize>) -> usize {
        let known = KnownValue { value, ..KnownValue::default() };
        if self.values.len() < MOST_VALUES {
            self.values.reserve_exact(1);
            self.values.push(known);
            return self.values.len() - 1;
        }
        let candidates = (0..MOST_VALUES).filter(|&index| Some(index) != kept);
        let index = candidates.min_by_key(|&index| self.values[index].readings).unwrap_or(0);
        self.forgotten += self.values[index].visits;
        self.values[index] = known;
        self.pairs.retain(|pair| usize::from(pair.from) != index && usize::from(pair.to) != index);
        index
    }

    fn count_pair(&mut self, from: u8, to: u8) {
        if let Some(pair) = self.pairs.iter_mut().find(|pair| (pair.from, pair.to) == (from, to)) {
            pair.count = pair.count.saturating_add(1);
        } else if self.pairs.len() < MOST_PAIRS {
            self.pairs.reserve_exact(1);
            self.pairs.push(Pair { from, to, count: 1 });
        } else if let Some(rarest) = self.pairs.iter_mut().min_by_key(|pair| pair.count) {
            // The new pair inherits the count, so that a frequent pair never looks rare.
            *rarest = Pair { from, to, count: rarest.count.saturating_add(1) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn values_pairs_and_stays_are_counted() {
        let mut table = ValueTable::default();
        let closed = table.arrive(0.0, None);
        table.count(closed);
        let open = table.arrive(1.0, Some(closed));
        table.count(open);
        table.end_stay(closed, 60 * SECOND);
        assert_eq!(table.arrive(-0.0, Some(open)), closed, "zero has no sign here");
        assert_eq!((table.followed(closed, open), table.followed(open, closed), table.left(open)), (1, 1, 1));
        assert_eq!((table.readings(), table.moves(), table.share(open)), (2, 2, 0.5));
        let known = &table.values()[closed];
        assert_eq!(known.stays.count(), 1);
    }

    #[test]
    fn memory_is_bounded_and_frequent_values_are_kept() {
        let mut table = ValueTable::default();
        for i in 0..10_000 {
            let value = if i % 2 == 0 { 0.5 } else { f64::from(i) };
            let index = table.arrive(value, table.find(0.5));
            table.count(index);
            table.end_stay(index, u64::MAX >> (i % 60));
        }
        assert!(table.is_sound());
        assert!(table.memory_usage() <= 2_048, "{}", table.memory_usage());
        assert_eq!(table.values()[table.find(0.5).unwrap()].readings, 5_000);
        assert_eq!(table.dominant(), table.find(0.5));
    }
}

//! Causes: which field makes a reading unusual, in which direction, and which value was expected.

use serde::{Deserialize, Serialize};

/// One field's share of an anomaly.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Cause {
    /// The field's name.
    pub field: String,
    /// The field's share of the score, 0 to 1. The shares of all fields sum to 1.
    pub share: f64,
    /// Value of the reading; for a counter, its growth per second. NaN if the reading lacked the
    /// field, and for a counter that has fallen to less than half.
    pub actual: f64,
    /// Median of the field's values that the forest holds for similar circumstances: a similar time
    /// of day, and similar values of the other fields.
    pub expected: f64,
    /// 5th percentile of the same values.
    pub low: f64,
    /// 95th percentile of the same values.
    pub high: f64,
    /// Where `actual` lies, compared with `low` and `high`.
    pub direction: Direction,
    /// Whether the field is a counter, so that the values are its growth per second.
    pub is_counter: bool,
    /// How many readings in a row have had this value, if the reading is unusual because that is far more
    /// than before; else 0.
    pub repeated: u32,
    /// How many readings in a row have not had the value at which the field rests, if the reading is
    /// unusual because that is far more than before; else 0. `expected`, `low` and `high` are then that
    /// value.
    pub away: u32,
}

impl Cause {
    /// Says that the field has been away from the value at which it rests for so many readings.
    pub(crate) fn be_away(&mut self, rest: f64, readings: u32) {
        self.away = readings;
        (self.low, self.expected, self.high) = (rest, rest, rest);
        self.direction = Direction::of(self.actual, rest, rest);
    }
}

/// Where a value lies, compared with the expected band.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Above the band.
    High,
    /// Below the band.
    Low,
    /// Within the band. Unusual is its combination with other fields, or its course over time.
    Within,
}

impl Direction {
    /// Compares a value with the band that was expected of it. NaN is within.
    pub fn of(actual: f64, low: f64, high: f64) -> Self {
        if actual > high {
            Self::High
        } else if actual < low {
            Self::Low
        } else {
            Self::Within
        }
    }
}

/// A value that the forest holds, with the distance of its circumstances from those of the reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Precedent {
    pub(crate) distance: f64,
    pub(crate) value: f64,
    /// Number of points with this value and these circumstances.
    pub(crate) count: u32,
}

/// An expectation uses this many nearest precedents, and all others at the same distance.
const PRECEDENTS: u32 = 48;

/// Returns low, median and high of the nearest precedents, or `None` if there are none. Reorders
/// the precedents.
pub(crate) fn expected_band(precedents: &mut [Precedent]) -> Option<[f64; 3]> {
    let reach = reach_of_nearest(precedents);
    let mut near: Vec<Precedent> =
        precedents.iter().copied().filter(|precedent| precedent.distance <= reach).collect();
    near.sort_unstable_by(|a, b| a.value.total_cmp(&b.value));
    let total: u64 = near.iter().map(|precedent| u64::from(precedent.count)).sum();
    let quantile = |share: f64| {
        let rank = (share * total.checked_sub(1)? as f64).round() as u64;
        let mut below = 0;
        near.iter().find_map(|precedent| {
            below += u64::from(precedent.count);
            (below > rank).then_some(precedent.value)
        })
    };
    Some([quantile(0.05)?, quantile(0.5)?, quantile(0.95)?])
}

/// Returns the distance of the farthest of the nearest [`PRECEDENTS`], or infinity if there are
/// fewer.
fn reach_of_nearest(precedents: &mut [Precedent]) -> f64 {
    let by_distance = |a: &Precedent, b: &Precedent| a.distance.total_cmp(&b.distance);
    // Each precedent counts at least once, so the nearest `PRECEDENTS` elements are enough.
    let most = PRECEDENTS as usize;
    let nearest = if precedents.len() > most {
        precedents.select_nth_unstable_by(most - 1, by_distance);
        &mut precedents[..most]
    } else {
        precedents
    };
    nearest.sort_unstable_by(by_distance);
    let mut taken = 0;
    let last = nearest.iter().find(|precedent| {
        taken += precedent.count;
        taken >= PRECEDENTS
    });
    last.map_or(f64::INFINITY, |precedent| precedent.distance)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_nearest_precedents_make_the_expectation() {
        let near = (0..100).map(|i| Precedent { distance: 0.0, value: f64::from(i), count: 1 });
        let far = (0..100).map(|_| Precedent { distance: 1.0, value: 1e6, count: 5 });
        let mut precedents: Vec<Precedent> = near.chain(far).collect();
        assert_eq!(expected_band(&mut precedents), Some([5.0, 50.0, 94.0]));
        assert_eq!(expected_band(&mut []), None);
    }

    #[test]
    fn equal_points_count_several_times() {
        let precedent = |value, count| Precedent { distance: 0.0, value, count };
        let [_, median, _] = expected_band(&mut [precedent(1.0, 1), precedent(2.0, 9)]).unwrap();
        assert_eq!(median, 2.0);
    }

    proptest! {
        #[test]
        fn all_precedents_at_the_last_needed_distance_count(
            precedents in prop::collection::vec((0_u8..40, -50_i8..50, 1_u32..4), 0..300),
        ) {
            let mut precedents: Vec<Precedent> = precedents
                .into_iter()
                .map(|(distance, value, count)| {
                    Precedent { distance: f64::from(distance) / 8.0, value: f64::from(value), count }
                })
                .collect();
            // Counts the points up to a distance.
            let up_to = |distance: f64| -> u32 {
                precedents.iter().filter(|other| other.distance <= distance).map(|other| other.count).sum()
            };
            let needed = |distance: &f64| up_to(*distance) >= PRECEDENTS;
            let distances = precedents.iter().map(|precedent| precedent.distance);
            let farthest = distances.filter(needed).fold(f64::INFINITY, f64::min);
            let mut values: Vec<f64> = precedents
                .iter()
                .filter(|precedent| precedent.distance <= farthest)
                .flat_map(|precedent| std::iter::repeat_n(precedent.value, precedent.count as usize))
                .collect();
            values.sort_by(f64::total_cmp);
            let expected = (!values.is_empty()).then(|| {
                [0.05, 0.5, 0.95].map(|share| values[(share * (values.len() - 1) as f64).round() as usize])
            });
            prop_assert_eq!(expected_band(&mut precedents), expected);
        }
    }
}

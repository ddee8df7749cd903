//! Why a reading is unusual: which field, in which direction, and what was expected instead.

use serde::{Deserialize, Serialize};

/// One field's part in an anomaly.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Cause {
    /// The field's name.
    pub field: String,
    /// Its share of the score, 0 to 1; the shares of all fields sum to 1.
    pub share: f64,
    /// What came; of a counter, its growth per second. NaN where the reading lacked the field.
    pub actual: f64,
    /// The median of what the forest holds of the field under like circumstances: at this time, with the other fields near these.
    pub expected: f64,
    /// The 5th percentile of the same.
    pub low: f64,
    /// The 95th percentile of the same.
    pub high: f64,
    /// Where `actual` lies.
    pub direction: Direction,
}

/// Where a value lies, seen from what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Above the band.
    High,
    /// Below the band.
    Low,
    /// Within the band: what is unusual is the company it keeps, or what it does over time.
    Within,
}

impl Direction {
    pub(crate) fn of(actual: f64, low: f64, high: f64) -> Self {
        if actual > high {
            Self::High
        } else if actual < low {
            Self::Low
        } else {
            Self::Within
        }
    }
}

/// A value that the forest holds, and how far its circumstances are from those asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Precedent {
    pub(crate) distance: f64,
    pub(crate) value: f64,
    /// How many points have this value and these circumstances.
    pub(crate) count: u32,
}

/// Precedents that make an expectation: the nearest, and what is as near.
const PRECEDENTS: u32 = 48;

/// Low, median and high of the nearest precedents; nothing if there are none. Puts them into another order.
pub(crate) fn expectation(precedents: &mut [Precedent]) -> Option<[f64; 3]> {
    let farthest = farthest(precedents);
    let mut near: Vec<Precedent> =
        precedents.iter().copied().filter(|precedent| precedent.distance <= farthest).collect();
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

/// How far the farthest of the nearest [`PRECEDENTS`] is; infinitely far if there are fewer.
fn farthest(precedents: &mut [Precedent]) -> f64 {
    let by_distance = |a: &Precedent, b: &Precedent| a.distance.total_cmp(&b.distance);
    // Every one counts at least once, so the nearest as many are enough.
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
        assert_eq!(expectation(&mut precedents), Some([5.0, 50.0, 94.0]));
        assert_eq!(expectation(&mut []), None);
    }

    #[test]
    fn equal_points_count_as_many() {
        let precedent = |value, count| Precedent { distance: 0.0, value, count };
        let [_, median, _] = expectation(&mut [precedent(1.0, 1), precedent(2.0, 9)]).unwrap();
        assert_eq!(median, 2.0);
    }

    proptest! {
        #[test]
        fn what_is_as_near_as_the_last_that_is_needed_counts_too(
            precedents in prop::collection::vec((0_u8..40, -50_i8..50, 1_u32..4), 0..300),
        ) {
            let mut precedents: Vec<Precedent> = precedents
                .into_iter()
                .map(|(distance, value, count)| {
                    Precedent { distance: f64::from(distance) / 8.0, value: f64::from(value), count }
                })
                .collect();
            // Of every distance, how many there are up to it.
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
            prop_assert_eq!(expectation(&mut precedents), expected);
        }
    }
}

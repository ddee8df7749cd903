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

/// Low, median and high of the nearest precedents; nothing if there are none.
pub(crate) fn expectation(mut precedents: Vec<Precedent>) -> Option<[f64; 3]> {
    precedents.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.value.total_cmp(&b.value)));
    let mut taken = 0;
    let mut farthest = f64::INFINITY;
    for precedent in &precedents {
        taken += precedent.count;
        if taken >= PRECEDENTS {
            farthest = precedent.distance;
            break;
        }
    }
    precedents.retain(|precedent| precedent.distance <= farthest);
    precedents.sort_by(|a, b| a.value.total_cmp(&b.value));
    let total: u64 = precedents.iter().map(|precedent| u64::from(precedent.count)).sum();
    let quantile = |share: f64| {
        let rank = (share * total.checked_sub(1)? as f64).round() as u64;
        let mut below = 0;
        precedents.iter().find_map(|precedent| {
            below += u64::from(precedent.count);
            (below > rank).then_some(precedent.value)
        })
    };
    Some([quantile(0.05)?, quantile(0.5)?, quantile(0.95)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_precedents_make_the_expectation() {
        let near = (0..100).map(|i| Precedent { distance: 0.0, value: f64::from(i), count: 1 });
        let far = (0..100).map(|_| Precedent { distance: 1.0, value: 1e6, count: 5 });
        assert_eq!(expectation(near.chain(far).collect()), Some([5.0, 50.0, 94.0]));
        assert_eq!(expectation(Vec::new()), None);
    }

    #[test]
    fn equal_points_count_as_many() {
        let precedent = |value, count| Precedent { distance: 0.0, value, count };
        let [_, median, _] = expectation(vec![precedent(1.0, 1), precedent(2.0, 9)]).unwrap();
        assert_eq!(median, 2.0);
    }
}

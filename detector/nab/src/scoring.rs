//! The benchmark's score: Lavin & Ahmad, *Evaluating Real-time Anomaly Detection Algorithms: the
//! Numenta Anomaly Benchmark*, ICMLA 2015.
//!
//! A row is a detection if its score reaches a threshold. The threshold is the same for all files.
//! Of all detections within a window, only the best counts: 1 at the window's beginning, less
//! towards its end. A window without a detection costs. A detection outside all windows costs too,
//! but less shortly after a window. The threshold is the best one for the whole set. The sum is
//! scaled so that a detector without any detection gets 0, and a perfect one 100.

use crate::dataset::Series;

/// The costs of false alarms and misses, relative to the gain of a hit.
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    false_positive: f64,
    false_negative: f64,
}

/// The benchmark's three profiles.
pub(crate) const PROFILES: [Profile; 3] = [
    Profile { name: "standard", false_positive: 0.11, false_negative: 1.0 },
    Profile { name: "reward_low_FP", false_positive: 0.22, false_negative: 1.0 },
    Profile { name: "reward_low_FN", false_positive: 0.11, false_negative: 2.0 },
];

/// Number of the window for a row outside all windows.
const NONE: usize = usize::MAX;

/// The gain of a detection at each row: up to 1 in a window, down to −1 outside; and the number of
/// the row's window.
struct Truth {
    gain: Vec<f64>,
    window: Vec<usize>,
}

/// Returns 1 at −∞, 0 at 0, −1 at ∞.
fn sigmoid(y: f64) -> f64 {
    2.0 / (1.0 + libm::exp(5.0 * y)) - 1.0
}

impl Truth {
    /// Creates the gains of one series. Its windows are numbered from `first` on.
    fn new(series: &Series, first: usize) -> Self {
        let rows = series.values.len();
        let mut truth = Self { gain: vec![-1.0; rows], window: vec![NONE; rows] };
        for (number, &(left, right)) in series.windows.iter().enumerate() {
            let width = (right - left + 1) as f64;
            for row in left..=right {
                truth.window[row] = first + number;
                truth.gain[row] = sigmoid(-((right - row + 1) as f64) / width) / sigmoid(-1.0);
            }
            let next = series.windows.get(number + 1).map_or(rows, |&(left, _)| left);
            for row in right + 1..next {
                let y = (row - right) as f64 / (width - 1.0);
                truth.gain[row] = if y > 3.0 { -1.0 } else { sigmoid(y) };
            }
        }
        truth
    }
}

/// The best score of a profile, with the threshold at which it is reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Best {
    pub(crate) score: f64,
    pub(crate) threshold: f64,
    pub(crate) found: usize,
    pub(crate) windows: usize,
    pub(crate) false_rows: usize,
}

/// Returns the best score of each profile. `scores` has one score per row of each series.
pub(crate) fn best_scores(all: &[Series], scores: &[Vec<f64>]) -> [Best; 3] {
    let mut rows = Vec::new();
    let mut windows = 0;
    for (series, scores) in all.iter().zip(scores) {
        let truth = Truth::new(series, windows);
        windows += series.windows.len();
        let counted = series.probation()..series.values.len();
        rows.extend(counted.map(|row| (scores[row], truth.gain[row], truth.window[row])));
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let perfect = |profile: &Profile| (1.0 + profile.false_negative) * windows as f64;
    PROFILES.each_ref().map(|profile| {
        let mut best = Best { score: 0.0, threshold: f64::INFINITY, found: 0, windows, false_rows: 0 };
        let mut gains = vec![None::<f64>; windows];
        let (mut hits, mut cost, mut found, mut false_rows) = (0.0, 0.0, 0, 0);
        for tied in rows.chunk_by(|a, b| a.0.to_bits() == b.0.to_bits()) {
            for &(_, gain, window) in tied {
                if window == NONE {
                    cost += gain;
                    false_rows += 1;
                    continue;
                }
                let before = gains[window];
                found += usize::from(before.is_none());
                let after = before.map_or(gain, |before| before.max(gain));
                hits += after - before.unwrap_or(0.0);
                gains[window] = Some(after);
            }
            let sum = hits + profile.false_positive * cost + profile.false_negative * found as f64;
            let score = 100.0 * sum / perfect(profile);
            if score > best.score {
                best = Best { score, threshold: tied[0].0, found, windows, false_rows };
            }
        }
        best
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(windows: Vec<(usize, usize)>) -> Series {
        let rows = 1_000;
        Series {
            name: "a/b.csv".to_owned(),
            stamps: vec![String::new(); rows],
            micros: (0..rows as i64).collect(),
            values: vec![0.0; rows],
            windows,
        }
    }

    #[test]
    fn an_early_detection_scores_100_and_no_detection_scores_0() {
        let all = [series(vec![(500, 599)])];
        let mut scores = vec![vec![0.0; 1_000]];
        for best in best_scores(&all, &scores) {
            assert!(best.score.abs() < 1e-9, "{best:?}");
        }
        scores[0][500] = 1.0;
        for best in best_scores(&all, &scores) {
            assert!((best.score - 100.0).abs() < 1e-9, "{best:?}");
        }
    }

    #[test]
    fn a_false_alarm_costs_as_the_profile_says_and_the_first_rows_do_not_count() {
        let all = [series(vec![(500, 599)])];
        let mut scores = vec![vec![0.0; 1_000]];
        scores[0][100] = 1.0;
        scores[0][300] = 1.0;
        scores[0][500] = 1.0;
        let found = best_scores(&all, &scores).map(|best| best.score);
        let expected = [100.0 * 1.89 / 2.0, 100.0 * 1.78 / 2.0, 100.0 * 2.89 / 3.0];
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }
}

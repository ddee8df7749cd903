//! Compares the alarms of two configurations with each other and with labels. Pure.

use serde::Serialize;

/// A span of time, both ends included, in µs since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Span {
    pub(super) fn overlaps(self, other: Self) -> bool {
        self.from <= other.to && other.from <= self.to
    }
}

/// The difference between two lists of alarms, as indices into the lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Old alarms that a new one overlaps.
    pub(super) kept: Vec<usize>,
    /// Old alarms that no new one overlaps.
    pub(super) lost: Vec<usize>,
    /// New alarms that no old one overlaps.
    pub(super) gained: Vec<usize>,
}

/// Compares the alarms of one sensor. Each list is ordered by the start of its alarms.
pub(super) fn compare(old: &[Span], new: &[Span]) -> Difference {
    let (kept, lost) = (0..old.len()).partition(|&index| overlaps_any(old[index], new));
    let gained = (0..new.len()).filter(|&index| !overlaps_any(new[index], old)).collect();
    Difference { kept, lost, gained }
}

/// Whether a span overlaps any of the others, which are ordered by their start.
///
/// The spans of one sensor do not overlap each other. So it suffices to test the last span that
/// starts before the end of this one.
fn overlaps_any(span: Span, others: &[Span]) -> bool {
    let started = others.partition_point(|other| other.from <= span.to);
    started > 0 && others[started - 1].overlaps(span)
}

/// The number of alarms and of labelled anomalies, by whether they overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct LabelCounts {
    /// Alarms that overlap an anomaly with the label `true`.
    pub(super) true_positives: usize,
    /// Alarms that overlap only anomalies with the label `false` or `maintenance`.
    pub(super) false_positives: usize,
    /// Alarms that overlap no labelled anomaly.
    pub(super) unlabelled: usize,
    /// Real anomalies that an alarm overlaps.
    pub(super) detected: usize,
    /// Real anomalies that no alarm overlaps.
    pub(super) undetected: usize,
}

/// Compares alarms with labelled anomalies: the span of each, and whether it is real. Both are
/// ordered by their start.
pub(super) fn compare_with_labels(alarms: &[Span], labelled: &[(Span, bool)]) -> LabelCounts {
    let spans = |wanted: bool| -> Vec<Span> {
        labelled.iter().filter(|(_, real)| *real == wanted).map(|(span, _)| *span).collect()
    };
    let (real, unreal) = (spans(true), spans(false));
    let mut counts = LabelCounts::default();
    for &alarm in alarms {
        if overlaps_any(alarm, &real) {
            counts.true_positives += 1;
        } else if overlaps_any(alarm, &unreal) {
            counts.false_positives += 1;
        } else {
            counts.unlabelled += 1;
        }
    }
    counts.detected = real.iter().filter(|&&span| overlaps_any(span, alarms)).count();
    counts.undetected = real.len() - counts.detected;
    counts
}

impl LabelCounts {
    /// Adds the counts of another sensor.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            true_positives: self.true_positives + other.true_positives,
            false_positives: self.false_positives + other.false_positives,
            unlabelled: self.unlabelled + other.unlabelled,
            detected: self.detected + other.detected,
            undetected: self.undetected + other.undetected,
        }
    }

    /// The share of true positives among the alarms that overlap a labelled anomaly.
    pub(super) fn precision(self) -> Option<f64> {
        share(self.true_positives, self.false_positives)
    }

    /// The share of detected anomalies among the real ones.
    pub(super) fn recall(self) -> Option<f64> {
        share(self.detected, self.undetected)
    }
}

fn share(part: usize, rest: usize) -> Option<f64> {
    (part + rest > 0).then(|| part as f64 / (part + rest) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(spans: &[(i64, i64)]) -> Vec<Span> {
        spans.iter().map(|&(from, to)| Span { from, to }).collect()
    }

    #[test]
    fn alarms_match_if_they_overlap_be_it_by_one_reading() {
        let old = spans(&[(0, 10), (20, 30), (50, 50)]);
        let new = spans(&[(10, 12), (31, 40), (49, 51), (60, 61)]);
        let expected = Difference { kept: vec![0, 2], lost: vec![1], gained: vec![1, 3] };
        assert_eq!(compare(&old, &new), expected);
    }

    #[test]
    fn one_long_alarm_matches_several_short_ones() {
        let old = spans(&[(0, 1), (5, 6), (9, 9)]);
        let new = spans(&[(0, 9)]);
        assert_eq!(compare(&old, &new), Difference { kept: vec![0, 1, 2], ..Difference::default() });
        assert_eq!(compare(&new, &old), Difference { kept: vec![0], ..Difference::default() });
    }

    #[test]
    fn an_alarm_that_goes_on_overlaps_all_that_comes_later() {
        let goes_on = spans(&[(10, i64::MAX)]);
        assert_eq!(compare(&goes_on, &spans(&[(5, 9), (100, 200)])).gained, [0]);
        assert_eq!(compare(&[], &goes_on).gained, [0]);
        assert_eq!(compare(&goes_on, &[]).lost, [0]);
    }

    #[test]
    fn alarms_are_right_if_they_overlap_a_real_anomaly_and_judged_only_if_labelled() {
        let labelled = [(0, 10, true), (20, 30, false), (40, 50, true)]
            .map(|(from, to, real)| (Span { from, to }, real));
        let alarms = spans(&[(1, 2), (3, 4), (8, 22), (25, 25), (60, 70)]);
        let counts = compare_with_labels(&alarms, &labelled);
        assert_eq!(
            counts,
            LabelCounts { true_positives: 3, false_positives: 1, unlabelled: 1, detected: 1, undetected: 1 }
        );
        assert_eq!((counts.precision(), counts.recall()), (Some(0.75), Some(0.5)));
        let nothing = compare_with_labels(&alarms, &[]);
        assert_eq!((nothing.precision(), nothing.recall(), nothing.unlabelled), (None, None, 5));
        assert_eq!(nothing.plus(counts).unlabelled, 6);
    }
}

//! Which alarms of two configurations are the same, and how many of them are right. Pure.

use serde::Serialize;

/// A stretch of time, both ends included, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Span {
    fn overlaps(self, other: Self) -> bool {
        self.from <= other.to && other.from <= self.to
    }
}

/// What became of the alarms. Indices into the lists that were compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Old alarms that a new one overlaps.
    pub(super) kept: Vec<usize>,
    /// Old alarms that no new one overlaps.
    pub(super) lost: Vec<usize>,
    /// New alarms that no old one overlaps.
    pub(super) gained: Vec<usize>,
}

/// Compares the alarms of one sensor, each list in order of its beginnings.
pub(super) fn compare(old: &[Span], new: &[Span]) -> Difference {
    let (kept, lost) = (0..old.len()).partition(|&index| touched(old[index], new));
    let gained = (0..new.len()).filter(|&index| !touched(new[index], old)).collect();
    Difference { kept, lost, gained }
}

/// Whether any of the spans, in order of their beginnings, overlaps this one. The spans of one sensor do not overlap each other, so
/// the last that begins before this one's end is the one to look at.
fn touched(span: Span, others: &[Span]) -> bool {
    let begun = others.partition_point(|other| other.from <= span.to);
    begun > 0 && others[begun - 1].overlaps(span)
}

/// Alarms set against what people said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Judgement {
    /// Alarms that overlap an anomaly that was called real.
    pub(super) right: usize,
    /// Alarms that overlap only what was called a false alarm, or maintenance.
    pub(super) wrong: usize,
    /// Alarms of which nobody has said anything.
    pub(super) unlabelled: usize,
    /// Real anomalies that some alarm overlaps.
    pub(super) found: usize,
    /// Real anomalies that no alarm overlaps.
    pub(super) missed: usize,
}

/// Sets alarms against labelled anomalies: their span, and whether they are real. Both in order of their beginnings.
pub(super) fn judge(alarms: &[Span], labelled: &[(Span, bool)]) -> Judgement {
    let spans = |wanted: bool| -> Vec<Span> {
        labelled.iter().filter(|(_, real)| *real == wanted).map(|(span, _)| *span).collect()
    };
    let (real, unreal) = (spans(true), spans(false));
    let mut judgement = Judgement::default();
    for &alarm in alarms {
        if touched(alarm, &real) {
            judgement.right += 1;
        } else if touched(alarm, &unreal) {
            judgement.wrong += 1;
        } else {
            judgement.unlabelled += 1;
        }
    }
    judgement.found = real.iter().filter(|&&span| touched(span, alarms)).count();
    judgement.missed = real.len() - judgement.found;
    judgement
}

impl Judgement {
    /// Both together.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            right: self.right + other.right,
            wrong: self.wrong + other.wrong,
            unlabelled: self.unlabelled + other.unlabelled,
            found: self.found + other.found,
            missed: self.missed + other.missed,
        }
    }

    /// The share of the judged alarms that are right.
    pub(super) fn precision(self) -> Option<f64> {
        share(self.right, self.wrong)
    }

    /// The share of the real anomalies that were found.
    pub(super) fn recall(self) -> Option<f64> {
        share(self.found, self.missed)
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
        let judgement = judge(&alarms, &labelled);
        assert_eq!(judgement, Judgement { right: 3, wrong: 1, unlabelled: 1, found: 1, missed: 1 });
        assert_eq!((judgement.precision(), judgement.recall()), (Some(0.75), Some(0.5)));
        let nothing = judge(&alarms, &[]);
        assert_eq!((nothing.precision(), nothing.recall(), nothing.unlabelled), (None, None, 5));
        assert_eq!(nothing.plus(judgement).unlabelled, 6);
    }
}

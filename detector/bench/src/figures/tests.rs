use std::time::Duration;

use super::*;
use crate::stream::EventRows;

/// Rows of each series, and of its history.
const ROWS: usize = 200;
const START: usize = 50;
/// One reading per minute.
const MINUTE: i64 = 60_000_000;

fn series(labelled: std::ops::Range<usize>) -> Series {
    Series {
        set: "set".to_owned(),
        name: "series".to_owned(),
        start: START,
        names: vec!["f000".to_owned()],
        micros: (0..ROWS as i64).map(|row| row * MINUTE).collect(),
        labels: (0..ROWS).map(|row| labelled.contains(&row)).collect(),
        values: vec![0.0; ROWS],
    }
}

/// Returns a result in which the given rows have the given grades, and the others 0.1.
fn scored(peaks: &[(usize, f64)], events: &[(usize, Option<usize>)]) -> Scored {
    let mut grades = vec![Some(0.1); ROWS];
    grades[..START / 2].fill(None);
    for &(row, grade) in peaks {
        grades[row] = Some(grade);
    }
    let events = events.iter().map(|&(first, last)| EventRows { announced: first, first, last });
    Scored { grades, onsets: Vec::new(), events: events.collect(), memory: 0, spent: Duration::ZERO }
}

#[test]
fn curves_are_means_over_the_series_with_labels_and_counts_are_sums() {
    let all = [series(100..101), series(100..102), series(0..0)];
    let results = [
        scored(&[(100, 0.9)], &[(100, Some(110)), (150, Some(151))]),
        scored(&[(100, 0.8), (40, 0.99)], &[(20, Some(30)), (180, None)]),
        scored(&[], &[]),
    ];
    let (each, figures) = of_set(&all.each_ref(), &results.each_ref());
    // The second series: half the recall at precision 1, the rest at 2/150.
    let second = 0.5 + 0.5 * 2.0 / 150.0;
    assert_eq!(each.iter().filter_map(|one| one.curves).count(), 2);
    assert!((figures.auc_pr - f64::midpoint(1.0, second)).abs() < 1e-12);
    assert!((figures.best_f1 - f64::midpoint(1.0, 2.0 / 3.0)).abs() < 1e-12);
    assert_eq!((figures.found, figures.spans, figures.false_alarms), (1.0, 2.0, 2.0));
    let weeks = 3.0 * 149.0 / (7.0 * 1_440.0);
    assert!((figures.a_week - 2.0 / weeks).abs() < 1e-9);
}

#[test]
fn one_threshold_for_all_series_finds_what_the_budget_of_false_alarms_allows() {
    // By falling grade: a false alarm of the first series, the span of the second, two more false
    // alarms, the span of the first.
    let all = [series(100..101), series(100..101)];
    let results = [scored(&[(60, 0.9), (100, 0.6)], &[]), scored(&[(100, 0.8), (150, 0.7), (180, 0.7)], &[])];
    let (_, figures) = of_set(&all.each_ref(), &results.each_ref());
    assert_eq!((figures.at_1, figures.at_3), (1.0, 2.0));
}

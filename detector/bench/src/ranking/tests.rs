use super::*;
use crate::spans::labelled;

fn labels(ones: &str) -> Vec<bool> {
    ones.chars().map(|one| one == '1').collect()
}

fn assert_near(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < 1e-12, "{actual} instead of {expected}");
}

#[test]
fn average_precision_and_f1_follow_from_the_order_of_the_rows() {
    let (labels, ranking) = (labels("1010"), Ranking::new(&[0.9, 0.8, 0.7, 0.6]));
    // Half the recall at a precision of 1, the other half at 2/3.
    assert_near(ranking.average_precision(&labels), 0.5 + 0.5 * 2.0 / 3.0);
    // After three rows: precision 2/3, recall 1.
    assert_near(ranking.best_f1(&labels), 0.8);
}

#[test]
fn rows_of_equal_score_count_together() {
    let (labels, ranking) = (labels("1000"), Ranking::new(&[0.5, 0.5, 0.5, 0.1]));
    assert_near(ranking.average_precision(&labels), 1.0 / 3.0);
    assert_near(ranking.best_f1(&labels), 0.5);
    let flat = Ranking::new(&[0.0; 4]);
    assert_near(flat.average_precision(&labels), 0.25);
}

#[test]
fn labels_fade_out_beside_a_span() {
    let hard = weights(&labels("0001000"));
    let soft = softened(&hard, &labelled(&labels("0001000")), 4);
    let (near, far) = (0.75_f64.sqrt(), 0.5_f64.sqrt());
    assert_eq!(soft, [0.0, far, near, 1.0, near, far, 0.0]);
    let soft = softened(&hard, &labelled(&labels("0001000")), 0);
    assert_eq!(soft, hard);
}

#[test]
fn the_area_with_a_buffer_counts_soft_labels_and_found_spans() {
    let labels = labels("00100");
    let ranking = Ranking::new(&[0.0, 0.0, 1.0, 0.0, 0.0]);
    let spans = labelled(&labels);
    assert_near(ranking.buffered_area(&labels, &spans, 0), 1.0);
    let soft = 1.0 + 2.0 * 0.75_f64.sqrt() + 2.0 * 0.5_f64.sqrt();
    let recall = 1.0 / f64::midpoint(1.0, soft);
    assert_near(ranking.buffered_area(&labels, &spans, 4), recall + (1.0 - recall) * soft / 5.0);
}

#[test]
fn a_span_that_no_row_has_found_lowers_the_recall() {
    let labels = labels("10000001");
    let ranking = Ranking::new(&[0.9, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.1]);
    // Recall 1/2 and one of two spans at a precision of 1; both after the last row, at 1/4.
    let at_seven_rows = 0.0;
    assert_near(ranking.buffered_area(&labels, &labelled(&labels), 0), 0.25 + at_seven_rows + 0.75 * 0.25);
}

#[test]
fn figures_of_a_longer_series_equal_those_of_scikit_learn_and_numpy() {
    let mut scores: Vec<f64> = (0..300_u32).map(|row| f64::from(row * row * 37 % 101) / 100.0).collect();
    scores[95..120].iter_mut().for_each(|score| *score += 0.5);
    let labels: Vec<bool> =
        (0..300).map(|row| (90..110).contains(&row) || (200..205).contains(&row)).collect();
    let ranking = Ranking::new(&scores);
    assert_near(ranking.average_precision(&labels), 0.207_521_833_975_772_26);
    assert_near(ranking.best_f1(&labels), 0.227_848_101_265_822_78);
    assert_near(ranking.volume(&labels, &labelled(&labels)), 0.507_915_151_442_737_2);
    assert_near(ranking.buffered_area(&labels, &labelled(&labels), 0), 0.161_412_693_565_314_6);
}

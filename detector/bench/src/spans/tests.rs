use super::*;

fn rows(pairs: &[(usize, usize)]) -> Vec<Rows> {
    pairs.iter().map(|&(first, last)| Rows { first, last }).collect()
}

fn tally(events: &[(usize, usize)], start: usize, finds: Finds) -> (usize, usize, usize) {
    let Tally { found, spans, false_alarms } =
        Tally::of(&rows(&[(100, 149), (300, 309)]), &rows(events), start, finds);
    (found, spans, false_alarms)
}

#[test]
fn spans_are_runs_of_labelled_rows() {
    let labels = [true, false, false, true, true, false, true];
    assert_eq!(labelled(&labels), rows(&[(0, 0), (3, 4), (6, 6)]));
    assert_eq!(labelled(&[false; 3]), []);
}

#[test]
fn runs_above_a_threshold_are_joined_over_twenty_rows() {
    let mut scores = vec![0.0; 100];
    for row in [10, 11, 31, 52] {
        scores[row] = 0.5;
    }
    assert_eq!(runs(&scores, 0.5), rows(&[(10, 31), (52, 52)]));
    assert_eq!(runs(&scores, 0.6), []);
}

#[test]
fn an_event_finds_a_span_that_it_overlaps_or_follows_closely() {
    assert_eq!(tally(&[(120, 125)], 0, Finds::Meeting), (1, 2, 0));
    assert_eq!(tally(&[(169, 180)], 0, Finds::Meeting), (1, 2, 0));
    assert_eq!(tally(&[(170, 180)], 0, Finds::Meeting), (0, 2, 1));
    assert_eq!(tally(&[(90, 99)], 0, Finds::Meeting), (0, 2, 1));
    assert_eq!(tally(&[(90, usize::MAX)], 0, Finds::Meeting), (2, 2, 0));
    assert_eq!(tally(&[(100, 100), (110, 110), (200, 200)], 0, Finds::Meeting), (1, 2, 1));
}

#[test]
fn an_event_that_began_long_before_finds_no_span_but_is_no_false_alarm() {
    assert_eq!(tally(&[(79, 120)], 0, Finds::Beginning), (0, 2, 0));
    assert_eq!(tally(&[(80, 120)], 0, Finds::Beginning), (1, 2, 0));
    assert_eq!(tally(&[(79, 120)], 0, Finds::Meeting), (1, 2, 0));
}

#[test]
fn what_ends_before_the_first_row_that_counts_is_ignored() {
    assert_eq!(tally(&[(50, 60)], 150, Finds::Meeting), (0, 1, 0));
    // The span goes on at row 149.
    assert_eq!(tally(&[(120, 160)], 149, Finds::Meeting), (1, 2, 0));
    // An event that goes on is no false alarm, because it began in the history.
    assert_eq!(tally(&[(200, 260)], 250, Finds::Meeting), (0, 1, 0));
    assert_eq!(tally(&[(250, 260)], 250, Finds::Meeting), (0, 1, 1));
}

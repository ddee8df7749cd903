//! The figures of a detector on one series and on one set.

use crate::dataset::Series;
use crate::numbers::{geometric, quantile};
use crate::ranking::Ranking;
use crate::spans::{Finds, Rows, Tally, labelled, runs};
use crate::stream::Scored;

/// The figures of one set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Area under the precision-recall curve, mean over the series that have a labelled row.
    pub auc_pr: f64,
    /// Volume under the surface of precision and recall, likewise.
    pub vus_pr: f64,
    /// Best F1 over all thresholds, without point adjustment, likewise.
    pub best_f1: f64,
    /// Spans found by one threshold for all series that gives at most one false alarm a series.
    pub at_1: f64,
    /// The same with at most three false alarms a series.
    pub at_3: f64,
    /// Spans that an announced event meets.
    pub found: f64,
    /// All spans.
    pub spans: f64,
    /// Announced events that meet no span.
    pub false_alarms: f64,
    /// The same per series and week.
    pub a_week: f64,
}

/// The figures of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeriesFigures {
    /// Area under the precision-recall curve, volume under the surface, and best F1. `None` if no
    /// row that counts is labelled.
    pub curves: Option<[f64; 3]>,
    /// Spans and announced events.
    pub shipped: Tally,
}

/// Numbers of false alarms a series, for `at_1` and `at_3`.
const BUDGETS: [usize; 2] = [1, 3];
/// The thresholds are the values that these shares of all grades reach, at least and at most.
const SHARES: (f64, f64) = (1e-5, 0.2);
/// Number of these thresholds.
const THRESHOLDS: usize = 60;

/// The rows of a series that count. A row without a grade has the grade 0.
struct Counted<'a> {
    labels: &'a [bool],
    grades: Vec<f64>,
    spans: Vec<Rows>,
}

impl<'a> Counted<'a> {
    fn new(series: &'a Series, scored: &Scored) -> Self {
        let labels = &series.labels[series.start..];
        let grades = scored.grades[series.start..].iter().map(|grade| grade.unwrap_or(0.0)).collect();
        Self { labels, grades, spans: labelled(labels) }
    }

    fn curves(&self) -> Option<[f64; 3]> {
        if self.spans.is_empty() {
            return None;
        }
        let ranking = Ranking::new(&self.grades);
        Some([
            ranking.average_precision(self.labels),
            ranking.volume(self.labels, &self.spans),
            ranking.best_f1(self.labels),
        ])
    }
}

/// Returns the figures of each series and of the whole set. `scored` has one result per series.
pub fn of_set(set: &[&Series], scored: &[&Scored]) -> (Vec<SeriesFigures>, Figures) {
    let counted: Vec<Counted> =
        set.iter().zip(scored).map(|(series, scored)| Counted::new(series, scored)).collect();
    let each: Vec<SeriesFigures> = set
        .iter()
        .zip(scored)
        .zip(&counted)
        .map(|((series, scored), counted)| {
            let events: Vec<Rows> = scored.events.iter().map(Rows::from).collect();
            let shipped = Tally::of(&labelled(&series.labels), &events, series.start, Finds::Meeting);
            SeriesFigures { curves: counted.curves(), shipped }
        })
        .collect();
    let curves: Vec<[f64; 3]> = each.iter().filter_map(|figures| figures.curves).collect();
    let mean = |curve: usize| curves.iter().map(|curves| curves[curve]).sum::<f64>() / curves.len() as f64;
    let mut shipped = Tally::default();
    for figures in &each {
        shipped += figures.shipped;
    }
    let [at_1, at_3] = found_within_budgets(&counted);
    let figures = Figures {
        auc_pr: mean(0),
        vus_pr: mean(1),
        best_f1: mean(2),
        at_1: at_1 as f64,
        at_3: at_3 as f64,
        found: shipped.found as f64,
        spans: shipped.spans as f64,
        false_alarms: shipped.false_alarms as f64,
        a_week: shipped.false_alarms as f64 / set.iter().map(|series| series.weeks()).sum::<f64>(),
    };
    (each, figures)
}

/// Returns the greatest number of spans that one threshold for all series finds, for each budget of
/// false alarms.
fn found_within_budgets(set: &[Counted]) -> [usize; BUDGETS.len()] {
    let mut pooled: Vec<f64> = set.iter().flat_map(|series| series.grades.iter().copied()).collect();
    pooled.sort_by(f64::total_cmp);
    let mut found = [0; BUDGETS.len()];
    for share in geometric(SHARES.0, SHARES.1, THRESHOLDS) {
        let threshold = quantile(&pooled, 1.0 - share);
        let mut tally = Tally::default();
        for series in set {
            tally += Tally::of(&series.spans, &runs(&series.grades, threshold), 0, Finds::Beginning);
        }
        for (found, budget) in found.iter_mut().zip(BUDGETS) {
            if tally.false_alarms <= budget * set.len() {
                *found = tally.found.max(*found);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;

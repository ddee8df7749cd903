//! Figures that need no threshold: areas under the precision-recall curve, and its best F1.

use crate::spans::Rows;

/// The rows of a series by falling score. Rows of equal score are one step of the curve.
pub struct Ranking {
    /// Rows by falling score, rows of equal score in their order.
    order: Vec<usize>,
    /// Number of rows up to the end of each step.
    ends: Vec<usize>,
}

/// Greatest width of the buffer around a span, in rows, in the volume under the surface.
const MAX_BUFFER: usize = 100;
/// Number of buffer widths after width 0.
const BUFFERS: usize = 5;

impl Ranking {
    /// Ranks the rows of a series.
    pub fn new(scores: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let differs = |&end: &usize| {
            order.get(end).is_none_or(|&next| scores[next].to_bits() != scores[order[end - 1]].to_bits())
        };
        let ends = (1..=order.len()).filter(differs).collect();
        Self { order, ends }
    }

    /// Returns, for each step, the number of rows up to its end and the sum of their weights.
    fn steps(&self, weights: &[f64]) -> Vec<(usize, f64)> {
        let mut sum = 0.0;
        let mut begin = 0;
        let step = |&end: &usize| {
            for &row in &self.order[std::mem::replace(&mut begin, end)..end] {
                sum += weights[row];
            }
            (end, sum)
        };
        self.ends.iter().map(step).collect()
    }

    /// Returns the average precision: Σ (recall gained by a step) × (precision at its end). At least
    /// one row must be labelled.
    pub fn average_precision(&self, labels: &[bool]) -> f64 {
        let weights = weights(labels);
        let total: f64 = weights.iter().sum();
        area(self.steps(&weights).into_iter().map(|(rows, hits)| (hits / total, hits / rows as f64)))
    }

    /// Returns the best F1 over all thresholds.
    pub fn best_f1(&self, labels: &[bool]) -> f64 {
        let weights = weights(labels);
        let total: f64 = weights.iter().sum();
        let f1 = self.steps(&weights).into_iter().map(|(rows, hits)| 2.0 * hits / (rows as f64 + total));
        f1.fold(0.0, f64::max)
    }

    /// Returns the volume under the surface of precision and recall (Paparrizos et al., PVLDB
    /// 2022): the mean of areas under the curve, over widths of a buffer around each span in which
    /// the labels fade out. `spans` are the labelled spans, at least one.
    pub fn volume(&self, labels: &[bool], spans: &[Rows]) -> f64 {
        let widths = (0..=BUFFERS).map(|step| MAX_BUFFER * step / BUFFERS);
        let areas = widths.map(|width| self.buffered_area(labels, spans, width));
        areas.sum::<f64>() / (BUFFERS + 1) as f64
    }

    fn buffered_area(&self, labels: &[bool], spans: &[Rows], width: usize) -> f64 {
        let hard = weights(labels);
        let soft = softened(&hard, spans, width);
        let total = f64::midpoint(hard.iter().sum(), soft.iter().sum());
        let mut ranks = vec![0; self.order.len()];
        for (rank, &row) in self.order.iter().enumerate() {
            ranks[row] = rank;
        }
        let best_rank = |span: &Rows| {
            let last = (span.last + width / 2).min(ranks.len() - 1);
            ranks[span.first.saturating_sub(width / 2)..=last].iter().copied().min()
        };
        let mut best_ranks: Vec<usize> = spans.iter().filter_map(best_rank).collect();
        best_ranks.sort_unstable();
        area(self.steps(&soft).into_iter().map(|(rows, hits)| {
            // The share of the spans of which at least one row is among the first `rows`.
            let exist = best_ranks.partition_point(|&rank| rank < rows) as f64 / spans.len() as f64;
            ((hits / total).min(1.0) * exist, hits / rows as f64)
        }))
    }
}

/// Returns the area under steps of recall and precision, by rising recall.
fn area(steps: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (area, _) = steps.fold((0.0, 0.0), |(area, before), (recall, precision)| {
        (area + (recall - before) * precision, recall)
    });
    area
}

fn weights(labels: &[bool]) -> Vec<f64> {
    labels.iter().map(|&label| f64::from(u8::from(label))).collect()
}

/// Returns the labels with buffers: at the distance d from a span, up to half the width, a row has
/// at least the label √(1 − d / width).
fn softened(hard: &[f64], spans: &[Rows], width: usize) -> Vec<f64> {
    let mut soft = hard.to_vec();
    for span in spans {
        for distance in 1..=width / 2 {
            let label = (1.0 - distance as f64 / width as f64).sqrt();
            let before = span.first.checked_sub(distance);
            let after = Some(span.last + distance).filter(|&row| row < soft.len());
            for row in [before, after].into_iter().flatten() {
                soft[row] = soft[row].max(label);
            }
        }
    }
    soft
}

#[cfg(test)]
mod tests;

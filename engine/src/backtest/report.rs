//! The result of a backtest: totals, examples and costs.

use serde::Serialize;

use super::alarm::Alarm;
use super::compare::{Difference, LabelCounts, Span, compare, compare_with_labels};
use super::runner::SensorOutcome;

/// The result, as JSON has it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Every sensor, ordered by name.
    pub(super) sensors: Vec<SensorReport>,
    pub(super) totals: Totals,
    /// Examples of new alarms that no stored alarm overlaps, the highest grade first. For files:
    /// all alarms.
    pub(super) gained: Vec<Example>,
    /// Examples of stored alarms that no new one overlaps, the highest grade first.
    pub(super) lost: Vec<Example>,
    pub(super) cost: Cost,
    /// The comparison with labels; `None` if there are no labels.
    pub(super) labels: Option<Labels>,
}

/// The result for one sensor.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SensorReport {
    pub(super) sensor: String,
    #[serde(flatten)]
    pub(super) totals: Totals,
    pub(super) cost: Cost,
}

/// Numbers of readings and alarms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Totals {
    /// Scored readings in the range.
    pub(super) readings: u64,
    /// Readings before the range, scored to warm the detector up.
    pub(super) warm_up_readings: u64,
    /// Readings without a scored field.
    pub(super) unscored: u64,
    /// Readings that the detector rejected.
    pub(super) rejected: u64,
    /// Readings that were not newer than the one before, and were skipped.
    pub(super) late: u64,
    /// Stored alarms; `None` for files.
    pub(super) old: Option<usize>,
    pub(super) new: usize,
    pub(super) kept: usize,
    pub(super) gained: usize,
    pub(super) lost: usize,
}

/// The cost of the new detectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Cost {
    pub(super) cpu_micros_per_reading: f64,
    /// Memory of the sensor's detector at the end; of several sensors, the mean.
    pub(super) memory_bytes_per_sensor: f64,
    pub(super) memory_bytes: u64,
}

/// An alarm, and its sensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Example {
    pub(super) sensor: String,
    #[serde(flatten)]
    pub(super) alarm: Alarm,
}

/// Both configurations, compared with the labels.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Labels {
    pub(super) old: Quality,
    pub(super) new: Quality,
}

/// The quality of the alarms of a configuration.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Quality {
    #[serde(flatten)]
    pub(super) counts: LabelCounts,
    pub(super) precision: Option<f64>,
    pub(super) recall: Option<f64>,
}

impl From<LabelCounts> for Quality {
    fn from(counts: LabelCounts) -> Self {
        Self { counts, precision: counts.precision(), recall: counts.recall() }
    }
}

impl Report {
    /// Summarises the sensors. `examples` bounds the examples of each kind if there are stored
    /// alarms.
    pub(super) fn new(outcomes: &[SensorOutcome], examples: usize) -> Self {
        let mut sensors = Vec::with_capacity(outcomes.len());
        let (mut gained, mut lost) = (Vec::new(), Vec::new());
        let (mut old_counts, mut new_counts, mut labels) =
            (LabelCounts::default(), LabelCounts::default(), 0);
        for outcome in outcomes {
            let compared = Compared::of(outcome);
            old_counts = old_counts.plus(compare_with_labels(&compared.old, &compared.labelled));
            new_counts = new_counts.plus(compare_with_labels(&compared.new, &compared.labelled));
            labels += compared.labelled.len();
            sensors.push(SensorReport {
                sensor: outcome.sensor.clone(),
                totals: compared.totals(outcome),
                cost: cost_of(&[outcome]),
            });
            let example = |alarm: &Alarm| Example { sensor: outcome.sensor.clone(), alarm: alarm.clone() };
            gained.extend(
                compared.difference.gained.iter().map(|&index| example(&outcome.scored.alarms[index])),
            );
            let stored = outcome.stored.as_deref().unwrap_or_default();
            lost.extend(compared.difference.lost.iter().map(|&index| example(&stored[index])));
        }
        let totals = sensors.iter().fold(Totals::default(), |sum, sensor| sum.plus(&sensor.totals));
        if totals.old.is_some() {
            gained = most_severe(gained, examples);
            lost = most_severe(lost, examples);
        }
        let labels =
            (labels > 0).then(|| Labels { old: Quality::from(old_counts), new: Quality::from(new_counts) });
        let cost = cost_of(&outcomes.iter().collect::<Vec<_>>());
        Self { sensors, totals, gained, lost, cost, labels }
    }
}

/// A sensor's alarms as spans, and the difference between them.
struct Compared {
    old: Vec<Span>,
    new: Vec<Span>,
    labelled: Vec<(Span, bool)>,
    difference: Difference,
}

impl Compared {
    fn of(outcome: &SensorOutcome) -> Self {
        let stored = outcome.stored.as_deref().unwrap_or_default();
        let old = without_overlaps(stored.iter().map(Alarm::span).collect());
        let new: Vec<Span> = outcome.scored.alarms.iter().map(Alarm::span).collect();
        let labelled = stored.iter().zip(&old).filter_map(|(alarm, span)| Some((*span, alarm.is_real()?)));
        let labelled = labelled.collect();
        let difference = compare(&old, &new);
        Self { old, new, labelled, difference }
    }

    fn totals(&self, outcome: &SensorOutcome) -> Totals {
        let counts = outcome.scored.counts;
        Totals {
            readings: counts.scored,
            warm_up_readings: counts.warming,
            unscored: counts.unscored,
            rejected: counts.rejected,
            late: counts.late,
            old: outcome.stored.as_ref().map(Vec::len),
            new: self.new.len(),
            kept: self.difference.kept.len(),
            gained: self.difference.gained.len(),
            lost: self.difference.lost.len(),
        }
    }
}

impl Totals {
    fn plus(self, other: &Self) -> Self {
        Self {
            readings: self.readings + other.readings,
            warm_up_readings: self.warm_up_readings + other.warm_up_readings,
            unscored: self.unscored + other.unscored,
            rejected: self.rejected + other.rejected,
            late: self.late + other.late,
            old: other.old.map(|old| old + self.old.unwrap_or(0)).or(self.old),
            new: self.new + other.new,
            kept: self.kept + other.kept,
            gained: self.gained + other.gained,
            lost: self.lost + other.lost,
        }
    }
}

/// A change of the configuration can leave a stored alarm open. It ends where the next alarm
/// starts, at the latest.
fn without_overlaps(mut spans: Vec<Span>) -> Vec<Span> {
    for index in 1..spans.len() {
        let next = spans[index].from;
        spans[index - 1].to = spans[index - 1].to.min(next - 1);
    }
    spans
}

fn most_severe(mut examples: Vec<Example>, most: usize) -> Vec<Example> {
    examples.sort_by(|a, b| {
        let by_grade = b.alarm.peak_grade.total_cmp(&a.alarm.peak_grade);
        by_grade.then_with(|| a.alarm.started.cmp(&b.alarm.started)).then_with(|| a.sensor.cmp(&b.sensor))
    });
    examples.truncate(most);
    examples
}

fn cost_of(outcomes: &[&SensorOutcome]) -> Cost {
    let cpu: f64 = outcomes.iter().map(|outcome| outcome.scored.cpu.as_secs_f64()).sum();
    let memory: u64 = outcomes.iter().map(|outcome| outcome.scored.memory as u64).sum();
    let counts = outcomes.iter().map(|outcome| outcome.scored.counts);
    let readings: u64 = counts.map(|counts| counts.scored + counts.warming).sum();
    Cost {
        cpu_micros_per_reading: cpu * 1e6 / readings.max(1) as f64,
        memory_bytes_per_sensor: memory as f64 / outcomes.len().max(1) as f64,
        memory_bytes: memory,
    }
}

#[cfg(test)]
mod tests;

//! What a backtest found: the sums, the examples, the costs.

use serde::Serialize;

use super::alarm::Alarm;
use super::compare::{Difference, Judgement, Span, compare, judge};
use super::work::Outcome;

/// Everything, as JSON has it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Every sensor, by name.
    pub(super) sensors: Vec<SensorReport>,
    pub(super) totals: Totals,
    /// Examples of new alarms that none of the stored overlaps, the highest grade first; of files, all alarms.
    pub(super) gained: Vec<Example>,
    /// Examples of stored alarms that no new one overlaps, the highest grade first.
    pub(super) lost: Vec<Example>,
    pub(super) cost: Cost,
    /// What people said of the alarms; nothing where nobody has said anything.
    pub(super) labels: Option<Labels>,
}

/// One sensor.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SensorReport {
    pub(super) sensor: String,
    #[serde(flatten)]
    pub(super) totals: Totals,
    pub(super) cost: Cost,
}

/// Readings and alarms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Totals {
    /// Scored and reported.
    pub(super) readings: u64,
    /// Scored before the beginning, to warm up.
    pub(super) warm_up_readings: u64,
    /// Not taken by the detector.
    pub(super) rejected: u64,
    /// Not newer than the one before, and passed over.
    pub(super) late: u64,
    /// Stored alarms; nothing of files.
    pub(super) old: Option<usize>,
    pub(super) new: usize,
    pub(super) kept: usize,
    pub(super) gained: usize,
    pub(super) lost: usize,
}

/// What the new detectors cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Cost {
    pub(super) cpu_micros_per_reading: f64,
    /// Of one sensor, at the end; of several, the mean.
    pub(super) memory_bytes_per_sensor: f64,
    pub(super) memory_bytes: u64,
}

/// An alarm of a sensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Example {
    pub(super) sensor: String,
    #[serde(flatten)]
    pub(super) alarm: Alarm,
}

/// Both configurations against what people said.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Labels {
    pub(super) old: Quality,
    pub(super) new: Quality,
}

/// How good alarms are.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Quality {
    #[serde(flatten)]
    pub(super) judgement: Judgement,
    pub(super) precision: Option<f64>,
    pub(super) recall: Option<f64>,
}

impl From<Judgement> for Quality {
    fn from(judgement: Judgement) -> Self {
        Self { judgement, precision: judgement.precision(), recall: judgement.recall() }
    }
}

impl Report {
    /// Sums up the sensors, with at most so many examples of each kind where there are stored alarms to compare with.
    pub(super) fn new(outcomes: &[Outcome], examples: usize) -> Self {
        let mut sensors = Vec::with_capacity(outcomes.len());
        let (mut gained, mut lost) = (Vec::new(), Vec::new());
        let (mut old_judged, mut new_judged, mut labels) = (Judgement::default(), Judgement::default(), 0);
        for outcome in outcomes {
            let compared = Compared::of(outcome);
            old_judged = old_judged.plus(judge(&compared.old, &compared.labelled));
            new_judged = new_judged.plus(judge(&compared.new, &compared.labelled));
            labels += compared.labelled.len();
            sensors.push(SensorReport {
                sensor: outcome.sensor.clone(),
                totals: compared.totals(outcome),
                cost: cost(&[outcome]),
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
            (labels > 0).then(|| Labels { old: Quality::from(old_judged), new: Quality::from(new_judged) });
        let cost = cost(&outcomes.iter().collect::<Vec<_>>());
        Self { sensors, totals, gained, lost, cost, labels }
    }
}

/// A sensor's alarms as spans, and how they differ.
struct Compared {
    old: Vec<Span>,
    new: Vec<Span>,
    labelled: Vec<(Span, bool)>,
    difference: Difference,
}

impl Compared {
    fn of(outcome: &Outcome) -> Self {
        let stored = outcome.stored.as_deref().unwrap_or_default();
        let old = apart(stored.iter().map(Alarm::span).collect());
        let new: Vec<Span> = outcome.scored.alarms.iter().map(Alarm::span).collect();
        let labelled = stored.iter().zip(&old).filter_map(|(alarm, span)| Some((*span, alarm.is_real()?)));
        let labelled = labelled.collect();
        let difference = compare(&old, &new);
        Self { old, new, labelled, difference }
    }

    fn totals(&self, outcome: &Outcome) -> Totals {
        let counts = outcome.scored.counts;
        Totals {
            readings: counts.scored,
            warm_up_readings: counts.warming,
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

/// A stored alarm may have been left open by a change of configuration: it ends, at the latest, where the next begins.
fn apart(mut spans: Vec<Span>) -> Vec<Span> {
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

fn cost(outcomes: &[&Outcome]) -> Cost {
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

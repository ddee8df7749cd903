//! Scores the stored readings of a sensor with another configuration, and applies the labels that
//! the engine applied. Pure, except for the measurement of CPU time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use cpu_time::ThreadTime;
use thicket_detector::{Detection, Detector, DetectorConfig, Event};
use thicket_schema::Timestamp;
use thicket_store::postgres::{AppliedLabel, StoredReading};

use super::alarm::Alarm;
use super::compare::Span;

/// A detector, and what it has found so far.
pub(super) struct Scorer {
    detector: Detector,
    /// Readings before this time only warm the detector up.
    from: Timestamp,
    events: BTreeMap<i64, Event>,
    /// The labels that are not applied yet, in the order of their seq, each with the span of the
    /// stored anomaly.
    labels: VecDeque<(AppliedLabel, Span)>,
    /// The spans of all events, in the order of their start.
    spans: Vec<Span>,
    /// Anomalous late readings of each event.
    late: BTreeMap<i64, i64>,
    counts: Counts,
    cpu: Duration,
}

/// Numbers of readings by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Scored readings that are reported.
    pub(super) scored: u64,
    /// Readings that were scored to warm the detector up.
    pub(super) warming: u64,
    /// Readings without a scored field.
    pub(super) unscored: u64,
    /// Readings that the detector rejected: with an infinite value, or poison.
    pub(super) rejected: u64,
    /// Readings that were not newer than the one before.
    pub(super) late: u64,
    /// Readings among `scored` that the engine stored late, without a score.
    pub(super) backlog: u64,
}

impl Counts {
    /// Returns the number of readings that were read.
    pub(super) const fn all(&self) -> u64 {
        self.scored + self.warming + self.unscored + self.rejected + self.late
    }
}

/// The result of scoring a sensor's readings.
#[derive(Clone, Debug)]
pub(super) struct Scored {
    pub(super) alarms: Vec<Alarm>,
    pub(super) counts: Counts,
    pub(super) memory: usize,
    pub(super) cpu: Duration,
}

impl Scorer {
    /// `labels`: in the order of their seq, each with the span of the stored anomaly.
    pub(super) fn new(
        sensor: &str,
        config: &DetectorConfig,
        from: Timestamp,
        labels: Vec<(AppliedLabel, Span)>,
    ) -> Self {
        Self {
            detector: Detector::new(sensor, config),
            from,
            events: BTreeMap::new(),
            labels: labels.into(),
            spans: Vec::new(),
            late: BTreeMap::new(),
            counts: Counts::default(),
            cpu: Duration::ZERO,
        }
    }

    /// Scores the next readings, oldest first. Calls `report` for each reading that is reported.
    pub(super) fn feed(
        &mut self,
        readings: &[StoredReading],
        mut report: impl FnMut(&StoredReading, &Detection),
    ) {
        let clock = ThreadTime::now();
        for reading in readings {
            self.take(reading, &mut report);
        }
        self.cpu += clock.elapsed();
    }

    fn take(&mut self, reading: &StoredReading, report: &mut impl FnMut(&StoredReading, &Detection)) {
        if self.detector.newest().is_some_and(|newest| reading.ts.0 <= newest) {
            self.counts.late += 1;
            return;
        }
        if let Some(seq) = reading.seq {
            self.apply_labels_before(seq);
        }
        if reading.seq.is_none() && !reading.late {
            // A poison reading: the engine has skipped it as well.
            self.detector.skip(reading.ts.0);
            self.counts.rejected += 1;
            return;
        }
        let Ok(detection) = self.detector.apply(reading.ts.0, reading.fields.names(), &reading.values) else {
            self.counts.rejected += 1;
            return;
        };
        if detection.marks.unscored {
            self.counts.unscored += 1;
            return;
        }
        let is_reported = reading.ts >= self.from;
        if let Some(event) = &detection.event {
            // An event that ended before the range is not reported; one that reaches into it is.
            if reading.late && detection.anomaly {
                *self.late.entry(event.started).or_default() += 1;
            }
            let last = event.ended.unwrap_or(reading.ts.0);
            self.add_span(Span { from: event.started, to: last });
            if last >= self.from.0 {
                self.events.insert(event.started, event.clone());
            }
        }
        if is_reported {
            self.counts.scored += 1;
            self.counts.backlog += u64::from(reading.late);
            report(reading, &detection);
        } else {
            self.counts.warming += 1;
        }
    }

    /// Applies the labels that the engine applied before the reading with this seq. The anomaly is
    /// the one that overlaps the stored one: another configuration finds it a little earlier or
    /// later.
    fn apply_labels_before(&mut self, seq: u64) {
        while let Some(&(applied, stored)) = self.labels.front()
            && applied.seq < seq
        {
            self.labels.pop_front();
            if let Some(event) = self.spans.iter().rev().find(|span| span.overlaps(stored)) {
                self.detector.label(event.from, applied.label);
            }
        }
    }

    /// Adds the span of an event, or makes it longer.
    fn add_span(&mut self, span: Span) {
        match self.spans.last_mut().filter(|last| last.from == span.from) {
            Some(last) => *last = span,
            None => self.spans.push(span),
        }
    }

    pub(super) fn finish(self) -> Scored {
        let late = |event: &Event| self.late.get(&event.started).copied().unwrap_or_default();
        let alarm = |event| Alarm::of_event(event, late(event));
        Scored {
            alarms: self.events.values().map(alarm).collect(),
            counts: self.counts,
            memory: self.detector.memory_usage(),
            cpu: self.cpu,
        }
    }
}

#[cfg(test)]
mod tests {
    use thicket_detector::{Label, Profile};
    use thicket_schema::{FieldSet, SensorId};

    use super::*;

    fn reading(i: i64, level: f64) -> StoredReading {
        let fields = FieldSet::new(vec!["level".to_owned()]).unwrap();
        StoredReading {
            ts: Timestamp(i * 1_000_000),
            seq: Some(i.cast_unsigned() + 1),
            config: None,
            era: 0,
            late: false,
            score: None,
            fields,
            values: vec![level],
        }
    }

    fn series() -> Vec<StoredReading> {
        let level = |i: i64| if i == 150 || i == 700 { 95.0 } else { 50.0 + (i * 7_919 % 101) as f64 / 50.0 };
        (0..800).map(|i| reading(i, level(i))).collect()
    }

    fn scored(from: i64, readings: &[StoredReading]) -> (Scored, Vec<i64>) {
        scored_with(from, readings, Vec::new())
    }

    fn scored_with(
        from: i64,
        readings: &[StoredReading],
        labels: Vec<(AppliedLabel, Span)>,
    ) -> (Scored, Vec<i64>) {
        let config = DetectorConfig { profile: Profile::Small, warm_up: 64, ..DetectorConfig::default() };
        let mut scorer = Scorer::new("a", &config, Timestamp(from * 1_000_000), labels);
        let mut reported = Vec::new();
        for page in readings.chunks(100) {
            scorer.feed(page, |reading, _| reported.push(reading.ts.0 / 1_000_000));
        }
        (scorer.finish(), reported)
    }

    #[test]
    fn what_comes_before_the_beginning_warms_up_and_is_not_reported() {
        let (all, _) = scored(0, &series());
        let begun =
            |scored: &Scored| scored.alarms.iter().map(|a| a.started.0 / 1_000_000).collect::<Vec<_>>();
        // A young detector may also raise a false alarm.
        assert!(begun(&all).ends_with(&[150, 700]), "{:?}", begun(&all));
        let (some, reported) = scored(400, &series());
        assert_eq!(begun(&some), [700]);
        assert_eq!((some.counts.warming, some.counts.scored, reported.len()), (400, 400, 400));
        assert_eq!(some.alarms.last(), all.alarms.last());
        assert!(some.memory > 0);
    }

    #[test]
    fn an_anomaly_like_one_labelled_false_is_no_alarm_from_the_label_on() {
        let label = |seq: u64, started: i64| {
            let started = Timestamp(started * 1_000_000);
            let (sensor, label) = (SensorId(1), Label::False);
            let span = Span { from: started.0, to: started.0 + 2_000_000 };
            (AppliedLabel { sensor, seq, number: 1, started, label }, span)
        };
        let begun = |labels| {
            let (scored, _) = scored_with(0, &series(), labels);
            scored.alarms.iter().map(|alarm| alarm.started.0 / 1_000_000).collect::<Vec<_>>()
        };
        assert!(begun(vec![]).contains(&700));
        assert!(!begun(vec![label(300, 150)]).contains(&700));
        assert!(!begun(vec![label(300, 149)]).contains(&700), "it was stored with another beginning");
        assert!(begun(vec![label(300, 400)]).contains(&700), "there is no such anomaly");
        assert!(begun(vec![label(800, 150)]).contains(&700), "the label came later");
    }

    #[test]
    fn readings_that_are_not_newer_or_not_taken_are_counted() {
        let mut readings = series();
        readings.insert(10, reading(5, 1.0));
        readings.insert(20, StoredReading { values: vec![f64::NAN], ..reading(19, 1.0) });
        readings.remove(21);
        readings[30].seq = None;
        let (scored, _) = scored(0, &readings);
        let Counts { late, rejected, unscored, scored, .. } = scored.counts;
        assert_eq!((late, rejected, unscored, scored), (1, 1, 1, 798));
    }
}

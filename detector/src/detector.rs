//! The detector of one sensor.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::config::DetectorConfig;
use crate::detection::{Detection, Marks, Rejected};
use crate::event::{Event, Flagged, OpenEvent};
use crate::fields;
use crate::grade::{confidence, grade_of, lasting_threshold};
use crate::guard::{FRESH, Limits, Ongoing, ReadingRarity, Regime, Transition, USUAL};
use crate::label::Label;
use crate::model::Model;
use crate::onset::Onset;
use crate::scale::CALIBRATION_ROWS;
use crate::standing::FieldReport;
use crate::state::{RarityParts, ScoredRow, State};
use crate::suppress::Candidate;
use crate::verdicts::{AlarmChange, AlarmKind, Pattern};

/// The detector of one sensor: its configuration and everything that it has learnt.
///
/// Its state depends only on its configuration, its name and the readings applied to it, in their
/// order. [`snapshot`](Self::snapshot) returns the state as bytes.
#[derive(Clone)]
pub struct Detector {
    pub(crate) config: DetectorConfig,
    pub(crate) seed: u64,
    pub(crate) state: State,
    /// Values of the last reading, in the order of the fields. A counter's value is its growth.
    pub(crate) row: Vec<f64>,
    /// Whether no reading has been scored since the state began. Settings that are fixed at the
    /// beginning can still change.
    pub(crate) is_fresh: bool,
    /// The report about the fields as of the last reading that changed it; `None` once taken.
    pub(crate) fields_report: Option<FieldReport>,
}

/// How much of a reading makes a point.
#[derive(Clone, Copy)]
struct Presence {
    /// Fields of the point that the reading has.
    known: usize,
    /// Whether the reading is scored.
    is_scored: bool,
    /// Whether the report about the fields has changed.
    reports: bool,
}

/// An anomaly is accepted at the earliest after this many times the reach of the long moving means.
const ACCEPTED_REACHES: u32 = 2;
/// The aftermath of an anomaly lasts this many times the reach of the long moving means.
pub(crate) const AFTERMATH: u32 = 3;

impl std::fmt::Debug for Detector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Detector")
            .field("seq", &self.state.seq)
            .field("newest", &self.state.newest)
            .field("fields", &self.state.fields)
            .finish_non_exhaustive()
    }
}

impl Detector {
    /// Creates a detector that has learnt no reading. The configuration must be
    /// [valid](DetectorConfig::validate).
    pub fn new(sensor: &str, config: &DetectorConfig) -> Self {
        Self::resume(sensor, config, 0, None)
    }

    /// Creates a detector for a sensor whose configuration has changed, without its history. It has
    /// learnt no reading, but it continues the numbering after `seq` and the time after `newest`
    /// (microseconds since 1970).
    pub fn resume(sensor: &str, config: &DetectorConfig, seq: u64, newest: Option<i64>) -> Self {
        let state = State::new(config, seq, newest);
        Self { is_fresh: true, ..Self::with_state(sensor, config, state) }
    }

    pub(crate) fn with_state(sensor: &str, config: &DetectorConfig, state: State) -> Self {
        let seed = xxh3_64_with_seed(sensor.as_bytes(), config.forest_hash());
        Self { config: config.clone(), seed, state, row: Vec::new(), is_fresh: false, fields_report: None }
    }

    /// Scores a reading and learns it.
    ///
    /// `ts_micros` is the reading's timestamp in microseconds since 1970. If it is not newer than
    /// that of the reading before, the sensor's clock has gone back: its time begins again. `names`
    /// are sorted and distinct, and `values` has one value per name, in the same order. A field of
    /// the point that is absent or NaN is imputed. A reading without any field of the point is
    /// [unscored](Marks::unscored).
    ///
    /// Fields that are not part of the point may join it: see [`fields`](Self::fields).
    ///
    /// # Errors
    /// [`Rejected`] if a value is infinite. The detector is then unchanged.
    pub fn apply(&mut self, ts_micros: i64, names: &[String], values: &[f64]) -> Result<Detection, Rejected> {
        let detection = self.score_reading(ts_micros, names, values)?;
        self.decide_fields().map_err(|e| Rejected::Forest(e.to_string()))?;
        Ok(detection)
    }

    /// Scores a reading and learns it. The fields stay as they are.
    pub(crate) fn score_reading(
        &mut self,
        ts_micros: i64,
        names: &[String],
        values: &[f64],
    ) -> Result<Detection, Rejected> {
        let presence = self.take_values(ts_micros, names, values)?;
        let reports = presence.reports || self.is_fresh && !self.state.fields.is_empty();
        let detection =
            self.score_values(ts_micros, presence).map_err(|e| Rejected::Forest(e.to_string()))?;
        self.is_fresh = false;
        if reports {
            self.report_fields();
        }
        Ok(detection)
    }

    fn score_values(&mut self, ts_micros: i64, presence: Presence) -> Result<Detection, rrcf_rs::Error> {
        self.state.seq += 1;
        let ended = self.begin_again(ts_micros);
        let learning = self.state.regime.learns();
        let mut detection = Detection {
            seq: self.state.seq,
            score: 0.0,
            grade: None,
            confidence: 0.0,
            onset: 0.0,
            anomaly: false,
            marks: Marks { unscored: !presence.is_scored, ..Marks::default() },
            causes: Vec::new(),
            event: None,
        };
        if !presence.is_scored {
            self.state.newest = Some(ts_micros);
            detection.event = ended;
            return Ok(detection);
        }
        let after_silence = self.take_time(ts_micros) || std::mem::take(&mut self.state.has_gone_back);
        // Before the calibration, the fields are not decided, so that none is missing.
        let was_calibrated = self.state.model.is_some();
        let scored = self.score_or_keep(ts_micros, after_silence, learning)?;

        let state = &mut self.state;
        let is_warm = state.learnt > u64::from(state.warm_up);
        let with_means = self.config.smoothing > 0;
        let parts = scored.parts;
        let rarity = parts.rarity();
        if is_warm && learning {
            state.calibration.learn(scored.surprise.value(), with_means);
        }
        let is_onset = state.onset.begins(state.seq, parts.onset);
        let fields = state.fields.len().max(1);
        let known = if was_calibrated { presence.known } else { fields };
        detection.score = scored.codisp;
        detection.grade = is_warm.then(|| grade_of(rarity));
        detection.confidence = confidence(state.histories.past_readings(), state.warm_up, known, fields);
        detection.onset = if is_warm && is_onset { grade_of(parts.onset) } else { 0.0 };
        detection.marks = Marks {
            imputed: known < fields,
            stuck: scored.stuck,
            after_silence,
            learning_slowed: !learning,
            suppressed: false,
            unscored: false,
        };
        if let Some(event) = ended {
            // One detection reports one event: the end of the anomaly before the change.
            detection.event = Some(event);
        } else if is_warm {
            let instantaneous = parts.instantaneous;
            let reading = ReadingRarity { at: ts_micros, rarity, instantaneous };
            self.apply_guard(reading, parts, &mut detection);
        }
        Ok(detection)
    }

    /// Creates a detector for a sensor whose configuration has changed, and learns the sensor's
    /// history, as if this configuration had always been in use. `history` holds timestamps, names
    /// and values of the sensor's readings, oldest first; `seq` is the number of the last one.
    /// Anomalies in the history are over.
    pub fn rebuild<'a>(
        sensor: &str,
        config: &DetectorConfig,
        seq: u64,
        history: impl IntoIterator<Item = (i64, &'a [String], &'a [f64])>,
    ) -> Self {
        let mut detector = Self::new(sensor, config);
        for (ts, names, values) in history {
            // The new configuration may reject a reading. The detector then only takes over its
            // timestamp.
            if detector.apply(ts, names, values).is_err() {
                detector.skip(ts);
            }
        }
        detector.state.seq = seq;
        drop(detector.state.end_open(Regime::default()));
        detector.state.onset = Onset::default();
        detector.is_fresh = true;
        detector.report_fields();
        detector
    }

    /// Skips a reading that must not be applied. Only the newest timestamp changes.
    pub fn skip(&mut self, ts_micros: i64) {
        self.state.newest = self.state.newest.max(Some(ts_micros));
        self.state.newest_scored = self.state.newest_scored.max(Some(ts_micros));
    }

    /// Returns the report about the fields if it has changed since the last call. It is the report
    /// as of the reading that changed it, so that it does not depend on when this is called.
    pub fn take_fields_report(&mut self) -> Option<FieldReport> {
        self.fields_report.take()
    }

    /// Applies a person's label to the anomaly that began at `started` (microseconds since 1970).
    /// The label decides whether the detector accepts the open anomaly as normal, and what it does
    /// with later anomalies of the same pattern. Returns the new number of [labels](Self::labels), or
    /// `None` if that anomaly is neither open nor one of the last that have ended: the label then
    /// changes nothing.
    pub fn label(&mut self, started: i64, label: Label) -> Option<u64> {
        let State { regime, verdicts, calibration, labels, .. } = &mut self.state;
        let change = match regime.label(started, label) {
            Some((change, ended)) => {
                if let Some(pattern) = ended {
                    verdicts.remember(pattern);
                }
                Some(change)
            }
            None => verdicts.label(started, label),
        };
        match change? {
            AlarmChange::TakeBack(kind) => calibration.take_back_alarm(kind),
            AlarmChange::CountAgain(kind) => calibration.count_alarm(kind),
            AlarmChange::None => {}
        }
        *labels += 1;
        Some(*labels)
    }

    /// Applies a label in a replay, as the one with this number: numbers of earlier labels may be
    /// missing.
    pub fn label_again(&mut self, started: i64, label: Label, number: u64) {
        self.label(started, label);
        self.state.labels = number;
    }

    /// Returns the number of labels that were applied since the detector has begun. Labels with a
    /// smaller number or this one must not be applied again.
    pub fn labels(&self) -> u64 {
        self.state.labels
    }

    /// Replaces the configuration if the new one has the same
    /// [fingerprint](DetectorConfig::fingerprint). Returns whether it has.
    pub fn reconfigure(&mut self, config: &DetectorConfig) -> bool {
        // Most are equal. A fingerprint takes longer than the first reading of a sensor.
        let alike = *config == self.config || config.fingerprint() == self.config.fingerprint();
        if alike {
            self.config = config.clone();
            if self.is_fresh {
                self.state.warm_up = config.warm_up;
                self.state.tracker.set_length(config.warm_up);
            }
        }
        alike
    }

    /// Returns the number of the sensor's readings that were applied so far.
    pub fn seq(&self) -> u64 {
        self.state.seq
    }

    /// Returns the timestamp of the newest reading, in microseconds since 1970.
    pub fn newest(&self) -> Option<i64> {
        self.state.newest
    }

    /// Returns the names of the point's fields, sorted. Unless they are configured, the first 16
    /// readings decide them, then the readings of the warm-up, and later those after a field that
    /// is not part of the point. Empty until the first decision.
    pub fn fields(&self) -> &[String] {
        &self.state.fields
    }

    /// Returns the memory of the detector with its forest, in bytes.
    pub fn memory_usage(&self) -> usize {
        let state = &self.state;
        size_of::<Self>()
            + state.model.as_ref().map_or(0, Model::memory_usage)
            + state.histories.memory_usage()
            + state.steps.memory_usage()
            + state.watch.memory_usage()
            + state.calibration.memory_usage()
            + state.onset.memory_usage()
            + state.verdicts.memory_usage()
            + state.fields.iter().map(|field| field.capacity() + size_of::<String>()).sum::<usize>()
            + state.tracker.memory_usage()
            + self.row.capacity() * size_of::<f64>()
    }

    /// Copies the point's values into the row, and observes the reading's other fields.
    fn take_values(&mut self, ts: i64, names: &[String], values: &[f64]) -> Result<Presence, Rejected> {
        let Self { config, state, row, .. } = self;
        let are_decided = !state.fields.is_empty();
        let known = if are_decided {
            fields::select(&state.fields, names, values, row)?
        } else if let Some((name, _)) = names.iter().zip(values).find(|(_, value)| value.is_infinite()) {
            return Err(Rejected::NotFinite(name.clone()));
        } else {
            0
        };
        state.watch.take(names, values);
        let is_whole = known == names.len() && !state.tracker.is_watching();
        if is_whole && known > 0 {
            return Ok(Presence { known, is_scored: true, reports: false });
        }
        let observed = state.tracker.observe(ts, (names, values), &state.fields, config, state.warm_up);
        let is_scored = if are_decided { known > 0 } else { observed.kept };
        Ok(Presence { known, is_scored, reports: observed.reports })
    }

    /// Counts the reading as learnt. Returns whether it comes after a silence.
    fn take_time(&mut self, ts: i64) -> bool {
        let state = &mut self.state;
        let after_silence =
            state.newest_scored.is_some_and(|newest| state.rhythm.observe(ts.saturating_sub(newest)));
        state.newest = Some(ts);
        state.newest_scored = Some(ts);
        state.learnt += 1;
        if after_silence {
            state.tracker.mark_silence(ts);
        }
        after_silence
    }

    /// Scores the row. The first rows are kept until there are enough of them to calibrate the
    /// scales, and are then scored together.
    fn score_or_keep(
        &mut self,
        ts: i64,
        after_silence: bool,
        learning: bool,
    ) -> Result<ScoredRow, rrcf_rs::Error> {
        let Self { config, state, row, .. } = self;
        if state.model.is_some() {
            for (value, counter) in row.iter_mut().zip(&mut state.counters) {
                if let Some(counter) = counter {
                    *value = counter.growth(ts, *value);
                }
            }
            state.watch.observe(ts, after_silence, learning);
            return state.score(config, ts, row, after_silence, learning);
        }
        if state.tracker.kept() < CALIBRATION_ROWS {
            return Ok(ScoredRow::default());
        }
        let scored = self.calibrate()?;
        self.report_fields();
        Ok(scored)
    }

    /// Lets the learning guard decide about the reading: updates the open anomaly, and fills in the
    /// detection's anomaly, event and causes.
    fn apply_guard(&mut self, reading: ReadingRarity, parts: RarityParts, detection: &mut Detection) {
        let Self { config, state, row, .. } = self;
        let readings_per_week = state.rhythm.readings_per_week();
        let past = state.histories.past_readings();
        let threshold = state.calibration.threshold(config.alarms_per_week, readings_per_week, past);
        state.calibration.count_reading(config.alarms_per_week, readings_per_week);
        let least = f64::from(ACCEPTED_REACHES * config.smoothing) * state.rhythm.interval();
        let limits = Limits {
            threshold,
            lasting_threshold: lasting_threshold(threshold),
            accept_after: config.accept_after.as_micros().max(least as u128),
        };
        if let Some(closed) = state.regime.take_closed() {
            // One detection reports one event: the end of the old anomaly comes before the begin of
            // a new one.
            detection.event = closed.report(true, true);
            return;
        }
        // What began an anomaly continues it: noise beside a contact does not prolong a blip.
        let is_by_fields = parts.of_fields >= parts.views.min(threshold);
        let by_fields = ReadingRarity { rarity: parts.of_fields, instantaneous: parts.of_fields, ..reading };
        let judged = match &mut state.regime {
            // What the sensor has said a thousand times is not unusual because of the readings before.
            _ if parts.is_usual => by_fields,
            Regime::Anomalous(ongoing)
                if ongoing.is_by_fields && (parts.views < threshold || parts.instantaneous < FRESH) =>
            {
                by_fields
            }
            Regime::Anomalous(ongoing) => {
                ongoing.is_by_fields = false;
                reading
            }
            _ => reading,
        };
        // What people said was true stays findable, however often it has come.
        let may_recur =
            judged.rarity < threshold && judged.instantaneous >= USUAL && state.verdicts.has_true();
        let recurs = may_recur && state.verdicts.recurs(&state.causes(row, parts));
        let judged = if recurs { judged.at_least(threshold) } else { judged };
        let transition = state.regime.decide(judged, limits);
        state.regime.count(judged, limits);
        match transition {
            Transition::None | Transition::Pause => return,
            Transition::End => {
                detection.event = state.end_open(Regime::Calm { aftermath: AFTERMATH * config.smoothing });
                return;
            }
            Transition::Begin | Transition::Continue | Transition::Accept => {}
        }
        let ReadingRarity { at, rarity, instantaneous } = reading;
        let causes = state.causes(row, parts);
        let flagged =
            Flagged { at, score: detection.score, grade: grade_of(rarity), instantaneous, causes: &causes };
        let mut ongoing = match std::mem::take(&mut state.regime) {
            Regime::Anomalous(mut ongoing) => {
                ongoing.event.extend(flagged);
                ongoing
            }
            Regime::Calm { .. } | Regime::Accepted { .. } => {
                let event = OpenEvent::begin(flagged);
                Ongoing {
                    event,
                    pattern: Pattern::begin(at),
                    pause: 0,
                    quiet: 0,
                    announced: false,
                    is_known: true,
                    is_by_fields,
                }
            }
        };
        let before = ongoing.pattern.readings();
        if ongoing.is_known && !state.verdicts.is_normal(&causes, rarity, before) {
            ongoing.is_known = false;
            if !recurs {
                ongoing.pattern.count_alarm(threshold);
                state.calibration.count_alarm(AlarmKind::Near);
            }
        }
        ongoing.pattern.extend(&causes, rarity, instantaneous);
        if ongoing.pattern.becomes_clear() {
            state.calibration.recount_as_clear();
        }
        let candidate = Candidate { at, started: ongoing.event.started, causes: &causes };
        detection.marks.suppressed =
            ongoing.is_known || config.suppress.suppresses(&candidate, config.time_zone);
        detection.anomaly = !detection.marks.suppressed;
        let is_new = detection.anomaly && !ongoing.announced;
        ongoing.announced |= detection.anomaly;
        let accepted = transition == Transition::Accept;
        detection.event = ongoing.report(accepted, accepted).map(|event| Event { is_new, ..event });
        detection.causes = causes;
        state.regime = if accepted {
            let rarest = ongoing.pattern.rarest;
            state.verdicts.remember(ongoing.pattern);
            Regime::Accepted { rarest, pause: 0, closed: None }
        } else {
            Regime::Anomalous(ongoing)
        };
    }
}

impl Ongoing {
    /// Returns the event, or `None` if no detection has announced it.
    pub(crate) fn report(&self, closed: bool, accepted: bool) -> Option<Event> {
        self.announced.then(|| self.event.report(closed, accepted))
    }
}

#[cfg(test)]
mod tests;

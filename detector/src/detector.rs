//! The detector of one sensor.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::config::DetectorConfig;
use crate::detection::{Detection, Marks, Rejected};
use crate::event::{Event, Flagged, Open};
use crate::fields::{self, Counter};
use crate::grade::{confidence, grade, lasting, rarity, threshold};
use crate::guard::{Label, Limits, Ongoing, Rare, Regime, Step};
use crate::model::{Model, Row};
use crate::onset::Onset;
use crate::rhythm::Rhythm;
use crate::scale::OPENING;
use crate::suppress::Candidate;
use crate::surprise::{Judgement, Surprise};
use crate::view::{REACH_PER_POINT, View};

/// Everything that is known of one sensor.
///
/// Its state is a function of the readings applied to it, in their order, and of its configuration and name: see
/// [`snapshot`](Self::snapshot).
#[derive(Clone)]
pub struct Detector {
    pub(crate) config: DetectorConfig,
    pub(crate) seed: u64,
    pub(crate) state: State,
    /// The values of the reading at hand, in the order of the fields.
    pub(crate) row: Vec<f64>,
    /// Nothing has been scored since the state began: what is settled at the beginning can still change.
    pub(crate) is_fresh: bool,
}

/// What a snapshot holds.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct State {
    /// Scored readings of the sensor, ever.
    pub(crate) seq: u64,
    /// Readings learnt by this state; fewer than `seq` where the configuration changed.
    pub(crate) learnt: u64,
    pub(crate) newest: Option<i64>,
    /// As configured when the state began.
    pub(crate) warm_up: u32,
    /// Empty until the first reading decides, unless configured.
    pub(crate) fields: Vec<String>,
    /// By field, as far as it is a counter.
    pub(crate) counters: Vec<Option<Counter>>,
    pub(crate) rhythm: Rhythm,
    /// The first readings, held back until the fields' scales are known.
    pub(crate) opening: Vec<(i64, Vec<f64>)>,
    pub(crate) model: Option<Model>,
    pub(crate) surprise: Surprise,
    pub(crate) onset: Onset,

    pub(crate) regime: Regime,
}

/// An anomaly is felt for so many times the reach of the moving means after its end.
const AFTERMATH: u32 = 3;
/// While an anomaly lasts, the forests learn one reading in this many.
const SLOWNESS: u64 = 4;

/// What is known of the reading at hand before anything is decided.
#[derive(Clone, Copy, Default)]
struct Judged {
    codisp: f64,
    judgement: Judgement,
    stuck: bool,
}

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
    /// A detector that knows nothing yet. The configuration must be [valid](DetectorConfig::validate).
    pub fn new(sensor: &str, config: &DetectorConfig) -> Self {
        Self::resume(sensor, config, 0, None)
    }

    /// A detector that knows nothing but how many readings were scored before and when the newest was: for a sensor whose
    /// configuration has changed. It learns anew, and its numbering goes on.
    pub fn resume(sensor: &str, config: &DetectorConfig, seq: u64, newest: Option<i64>) -> Self {
        let state = State {
            seq,
            learnt: 0,
            newest,
            warm_up: config.warm_up,
            fields: config.sorted_fields(),
            counters: Vec::new(),
            rhythm: Rhythm::default(),
            opening: Vec::new(),
            model: None,
            surprise: Surprise::new(View::chosen(config).len()),
            onset: Onset::default(),

            regime: Regime::default(),
        };
        Self { is_fresh: true, ..Self::with_state(sensor, config, state) }
    }

    pub(crate) fn with_state(sensor: &str, config: &DetectorConfig, state: State) -> Self {
        let seed = xxh3_64_with_seed(sensor.as_bytes(), config.fingerprint());
        Self { config: config.clone(), seed, state, row: Vec::new(), is_fresh: false }
    }

    /// Scores a reading and learns it.
    ///
    /// `ts_micros` is newer than that of every reading before (the caller sees to that); `names` are sorted and distinct, and
    /// `values` belong to them in order. Fields that make no part of the point are ignored; a field of the point that is absent or NaN is filled
    /// in by what is usual.
    ///
    /// # Errors
    /// [`Rejected`] where the reading has no field of the point or a value is infinite. Nothing has changed then.
    pub fn apply(&mut self, ts_micros: i64, names: &[String], values: &[f64]) -> Result<Detection, Rejected> {
        let known = self.take_fields(names, values)?;
        let after_silence = self.take_time(ts_micros);
        let learning = self.state.regime.learns();
        let judged =
            self.judge(ts_micros, after_silence, learning).map_err(|e| Rejected::Forest(e.to_string()))?;

        self.is_fresh = false;
        let state = &mut self.state;
        let is_over = state.learnt > u64::from(state.warm_up);
        let rarity = rarity(judged.judgement.surprise(), self.config.smoothing > 0);
        let begins = state.onset.begins(state.seq, judged.judgement.mean);
        let fields = state.fields.len();
        let mut detection = Detection {
            seq: state.seq,
            score: judged.codisp,
            grade: is_over.then(|| grade(rarity)),
            confidence: confidence(state.surprise.past(), state.warm_up, known, fields),
            onset: if is_over && begins { grade(judged.judgement.mean) } else { 0.0 },
            anomaly: false,
            marks: Marks {
                imputed: known < fields,
                stuck: judged.stuck,
                after_silence,
                learning_slowed: !learning,
                suppressed: false,
            },
            causes: Vec::new(),
            event: None,
        };
        if is_over {
            let now = self::rarity(judged.judgement.now, false);
            self.follow(Rare { at: ts_micros, rarity, now }, &mut detection);
        }
        Ok(detection)
    }

    /// A detector that is ready at once: it learns what the sensor did before, as if it had been configured so all along. For a sensor whose
    /// configuration has changed; `history` are its readings, oldest first, of which the last had this seq. Anomalies of the past
    /// are over.
    pub fn rebuild<'a>(
        sensor: &str,
        config: &DetectorConfig,
        seq: u64,
        history: impl IntoIterator<Item = (i64, &'a [String], &'a [f64])>,
    ) -> Self {
        let mut detector = Self::new(sensor, config);
        for (ts, names, values) in history {
            // What the new configuration does not take is not learnt; its time has passed all the same.
            if detector.apply(ts, names, values).is_err() {
                detector.skip(ts);
            }
        }
        detector.state.seq = seq;
        detector.state.regime = Regime::default();
        detector.state.onset = Onset::default();
        detector.is_fresh = true;
        detector
    }

    /// Passes over a reading that must not be applied: only the newest timestamp moves.
    pub fn skip(&mut self, ts_micros: i64) {
        self.state.newest = self.state.newest.max(Some(ts_micros));
    }

    /// Hears what a person says of the anomaly that began then: it decides what a detector learns while that anomaly lasts. Returns
    /// whether it lasts; of others a detector has nothing to unlearn.
    pub fn label(&mut self, started: i64, label: Label) -> bool {
        self.state.regime.label(started, label)
    }

    /// Takes another configuration that shapes the state alike; whether it does.
    pub fn reconfigure(&mut self, config: &DetectorConfig) -> bool {
        let alike = config.fingerprint() == self.config.fingerprint();
        if alike {
            self.config = config.clone();
            if self.is_fresh {
                self.state.warm_up = config.warm_up;
            }
        }
        alike
    }

    /// Scored readings so far.
    pub fn seq(&self) -> u64 {
        self.state.seq
    }

    /// Timestamp of the newest reading, in microseconds since 1970.
    pub fn newest(&self) -> Option<i64> {
        self.state.newest
    }

    /// The fields that make the point, sorted; empty until the first reading decides.
    pub fn fields(&self) -> &[String] {
        &self.state.fields
    }

    /// Bytes of memory, those of the forests included.
    pub fn memory_usage(&self) -> usize {
        let state = &self.state;
        size_of::<Self>()
            + state.model.as_ref().map_or(0, Model::memory_usage)
            + state.surprise.memory_usage()
            + state.onset.memory_usage()
            + state.fields.iter().map(|field| field.capacity() + size_of::<String>()).sum::<usize>()
            + state.opening.iter().map(|(_, row)| row.capacity() * size_of::<f64>()).sum::<usize>()
            + self.row.capacity() * size_of::<f64>()
    }

    /// Reads the fields of the point into the row; the first reading decides which they are. Returns how many the reading has.
    fn take_fields(&mut self, names: &[String], values: &[f64]) -> Result<usize, Rejected> {
        let state = &mut self.state;
        if state.learnt > 0 {
            return fields::select(&state.fields, names, values, &mut self.row);
        }
        let chosen = fields::choose(self.config.sorted_fields(), names)?;
        let known = fields::select(&chosen, names, values, &mut self.row)?;
        let counts = |name: &String| self.config.counters.contains(name).then(Counter::default);
        state.counters = chosen.iter().map(counts).collect();
        state.fields = chosen;
        Ok(known)
    }

    /// Counts the reading and turns counters into growth. Whether the reading comes after a silence.
    fn take_time(&mut self, ts: i64) -> bool {
        let state = &mut self.state;
        let after_silence = state.newest.is_some_and(|newest| state.rhythm.hear(ts - newest));
        state.newest = Some(ts);
        state.seq += 1;
        state.learnt += 1;
        for (value, counter) in self.row.iter_mut().zip(&mut state.counters) {
            if let Some(counter) = counter {
                *value = counter.growth(ts, *value);
            }
        }
        after_silence
    }

    /// Feeds the row to the forests, or keeps it until there are enough to know the fields' scales by.
    fn judge(&mut self, ts: i64, after_silence: bool, learning: bool) -> Result<Judged, rrcf_rs::Error> {
        let Self { config, seed, state, row, .. } = self;
        if state.model.is_some() {
            return state.judge(config, ts, row, after_silence, learning);
        }
        state.opening.push((ts, row.clone()));
        if state.opening.len() < OPENING {
            return Ok(Judged::default());
        }
        let opening = std::mem::take(&mut state.opening);
        state.model = Some(Model::open(&opening, config, *seed)?);
        let mut judged = Judged::default();
        for (ts, row) in &opening {
            judged = state.judge(config, *ts, row, false, true)?;
        }
        Ok(judged)
    }

    /// Decides what the reading does to the anomaly that goes on, if any, and who shall hear of it.
    fn follow(&mut self, reading: Rare, detection: &mut Detection) {
        let Self { config, state, row, .. } = self;
        let threshold = threshold(config.alarms_per_week, state.rhythm.readings_per_week());
        let limits =
            Limits { threshold, lasting: lasting(threshold), accept_after: config.accept_after.as_micros() };
        if let Some(closed) = state.regime.take_closed() {
            // The end of one anomaly is told before another may begin.
            detection.event = closed.report(true, true);
            return;
        }
        let step = state.regime.step(reading, limits);
        state.regime.count(limits.is_usual(reading));
        match step {
            Step::None | Step::Pause => return,
            Step::End => {
                let calm = Regime::Calm { aftermath: AFTERMATH * config.smoothing };
                if let Regime::Anomalous(ongoing) = std::mem::replace(&mut state.regime, calm) {
                    detection.event = ongoing.report(true, false);
                }
                return;
            }
            Step::Begin | Step::GoOn | Step::Accept => {}
        }
        let Rare { at, rarity, now } = reading;
        let model = state.model.as_ref();
        let causes = model.map_or_else(Vec::new, |model| model.causes(&state.fields, row));
        let flagged = Flagged { at, score: detection.score, grade: grade(rarity), now, causes: &causes };
        let mut ongoing = match std::mem::take(&mut state.regime) {
            Regime::Anomalous(mut ongoing) => {
                ongoing.event.extend(flagged);
                ongoing
            }
            Regime::Calm { .. } | Regime::Accepted { .. } => {
                let event = Open::begin(flagged);
                Ongoing { event, rarest: 0.0, pause: 0, announced: false, confirmed: false }
            }
        };
        ongoing.rarest = ongoing.rarest.max(rarity);
        let candidate = Candidate { at, started: ongoing.event.started, causes: &causes };
        detection.marks.suppressed = config.suppress.holds_back(&candidate, config.time_zone);
        detection.anomaly = !detection.marks.suppressed;
        let is_new = detection.anomaly && !ongoing.announced;
        ongoing.announced |= detection.anomaly;
        let accepted = step == Step::Accept;
        detection.event = ongoing.report(accepted, accepted).map(|event| Event { is_new, ..event });
        detection.causes = causes;
        state.regime = if accepted {
            Regime::Accepted { rarest: ongoing.rarest, pause: 0, closed: None }
        } else {
            Regime::Anomalous(ongoing)
        };
    }
}

impl Ongoing {
    /// The event for those who have heard of it.
    fn report(&self, closed: bool, accepted: bool) -> Option<Event> {
        self.announced.then(|| self.event.report(closed, accepted))
    }
}

impl State {
    /// How surprising a row is.
    fn judge(
        &mut self,
        config: &DetectorConfig,
        ts: i64,
        values: &[f64],
        after_silence: bool,
        learning: bool,
    ) -> Result<Judged, rrcf_rs::Error> {
        let Some(model) = &mut self.model else { return Ok(Judged::default()) };
        let memory = REACH_PER_POINT * config.shape().points as f64;
        let rate = 1.0 / (self.learnt as f64).clamp(OPENING as f64, memory);
        let row = Row { ts, values, after_silence };
        // While an anomaly lasts, learning slows down: the forests get to see some of it, the pasts of the measures nothing.
        let seen = model.see(row, config, learning || self.learnt.is_multiple_of(SLOWNESS), rate)?;
        // The first half of the warm-up fills the forests; measures are worth remembering from then on.
        if self.learnt <= u64::from(self.warm_up) / 2 {
            return Ok(Judged { codisp: seen.codisp, judgement: Judgement::default(), stuck: seen.stuck });
        }
        let judgement = self.surprise.judge(model.measures(), f64::from(config.smoothing));
        if learning {
            self.surprise.learn();
        }
        Ok(Judged { codisp: seen.codisp, judgement, stuck: seen.stuck })
    }
}

#[cfg(test)]
mod tests;

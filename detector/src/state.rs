//! The state of a detector, as a snapshot holds it, and the scoring of a row.

use serde::{Deserialize, Serialize};

use crate::calibration::Calibration;
use crate::cause::Cause;
use crate::caution::{Caution, LearningPace};
use crate::config::DetectorConfig;
use crate::counter::Counter;
use crate::event::Event;
use crate::grade::{rarity_of, surprise_of};
use crate::guard::Regime;
use crate::level::REACH_PER_POINT;
use crate::model::{Learning, LongRun, Model, Row, RowScore, RunKind};
use crate::onset::Onset;
use crate::rhythm::Rhythm;
use crate::scale::CALIBRATION_ROWS;
use crate::steps::{StepRow, Steps};
use crate::surprise::{MeasureHistories, Surprise, View, views};
use crate::tracker::Tracker;
use crate::verdicts::Verdicts;
use crate::watch::Watch;

/// The part of the fields' rarity that is added to the views', so that a greater step is rarer also
/// where the views distinguish no more.
const FIELDS_PART: f64 = 1.0 / 64.0;

/// While an anomaly is open, the model learns one reading in this many. It has no divisor in common
/// with the readings of a [block](crate::course), so that all parts learn at this pace.
const SLOWNESS: u64 = 3;
/// During [caution](crate::caution), the forecasts learn one reading in this many. It has no divisor in
/// common with the readings of a block either.
const CAUTIOUS_SLOWNESS: u64 = 5;

/// The part of a detector that a snapshot holds.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct State {
    /// Number of the sensor's applied readings, over all configurations.
    pub(crate) seq: u64,
    /// Readings that the model has learnt. Fewer than `seq` if there were unscored readings, or
    /// if the configuration or the fields have changed.
    pub(crate) learnt: u64,
    /// Timestamp of the newest reading, in microseconds since 1970.
    pub(crate) newest: Option<i64>,
    /// Timestamp of the newest reading that was scored or skipped, in microseconds since 1970.
    pub(crate) newest_scored: Option<i64>,
    /// Whether the clock has gone back since the last scored reading.
    pub(crate) has_gone_back: bool,
    /// The setting at the time when the state began.
    pub(crate) warm_up: u32,
    /// Names of the point's fields, sorted. Empty until the first readings decide them, unless they
    /// are configured.
    pub(crate) fields: Vec<String>,
    /// One element per field; `None` if the field is not a counter.
    pub(crate) counters: Vec<Option<Counter>>,
    pub(crate) rhythm: Rhythm,
    /// Keeps the first readings until there are enough of them to calibrate the fields' scales, and
    /// to decide the fields.
    pub(crate) tracker: Tracker,
    /// What is known of the fields that take few values, in the order of the fields.
    pub(crate) steps: Steps,
    /// The fields that never changed. They are not part of the point.
    pub(crate) watch: Watch,
    pub(crate) model: Option<Model>,
    pub(crate) histories: MeasureHistories,
    pub(crate) calibration: Calibration,
    pub(crate) onset: Onset,
    pub(crate) caution: Caution,
    pub(crate) regime: Regime,
    pub(crate) verdicts: Verdicts,
    /// Labels that were applied since the state began.
    pub(crate) labels: u64,
}

/// Scores of a reading, before the guard decides whether it is anomalous.
#[derive(Clone, Copy, Default)]
pub(crate) struct ScoredRow {
    pub(crate) codisp: f64,
    pub(crate) surprise: Surprise,
    /// Its rarities.
    pub(crate) parts: RarityParts,
    pub(crate) stuck: bool,
}

/// Rarities of a reading by what they come from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RarityParts {
    /// Of the steps of stepwise fields, or of what another field does for far longer than before.
    pub(crate) of_fields: f64,
    /// Of the views.
    pub(crate) views: f64,
    /// Of the reading by itself, without the readings before it.
    pub(crate) instantaneous: f64,
    /// The surprise that ranks the beginnings of anomalies.
    pub(crate) onset: f64,
    /// Whether each value is one of the most usual ones of its field.
    pub(crate) is_usual: bool,
}

impl RarityParts {
    /// Returns the rarity of the reading.
    pub(crate) fn rarity(self) -> f64 {
        self.of_fields.max(self.views) + FIELDS_PART * self.of_fields
    }
}

impl State {
    /// Ends the open anomaly: the regime is `regime` now, and the anomaly's pattern is remembered.
    /// Returns its event, if it was announced.
    pub(crate) fn end_open(&mut self, regime: Regime) -> Option<Event> {
        let Regime::Anomalous(ongoing) = std::mem::replace(&mut self.regime, regime) else { return None };
        let event = ongoing.report(true, false);
        self.verdicts.remember(ongoing.pattern);
        event
    }

    /// Returns the views of the sensor, the level first.
    pub(crate) fn views(&self, config: &DetectorConfig) -> &'static [View] {
        views(self.fields.len(), config.smoothing > 0)
    }

    /// Creates the state of a detector that has learnt no reading.
    pub(crate) fn new(config: &DetectorConfig, seq: u64, newest: Option<i64>) -> Self {
        Self {
            seq,
            learnt: 0,
            newest,
            newest_scored: newest,
            has_gone_back: false,
            warm_up: config.warm_up,
            fields: config.sorted_fields(),
            counters: Vec::new(),
            rhythm: Rhythm::default(),
            tracker: Tracker::new(config.warm_up),
            steps: Steps::default(),
            watch: Watch::default(),
            model: None,
            histories: MeasureHistories::default(),
            calibration: Calibration::default(),
            onset: Onset::default(),
            caution: Caution::default(),
            regime: Regime::default(),
            verdicts: Verdicts::default(),
            labels: 0,
        }
    }

    /// Returns the rarities of the row that was scored last. `surprise` is that of the views.
    pub(crate) fn rarity_parts(
        &self,
        surprise: Surprise,
        calibration: &Calibration,
        with_means: bool,
    ) -> RarityParts {
        let are_steps = self.steps.are_all_stepwise();
        let stepwise = self.steps.rarity().max(self.watch.steps().rarity());
        let of_fields = stepwise.max(self.rarity_of_long_runs());
        RarityParts {
            of_fields,
            views: calibration.rarity(surprise.value(), with_means),
            instantaneous: rarity_of(surprise.instantaneous, false).max(of_fields),
            onset: surprise.onset.max(surprise_of(stepwise, with_means)),
            is_usual: are_steps && self.steps.is_usual(),
        }
    }

    /// Returns the causes of the row that was scored last. `values` are its values.
    pub(crate) fn causes(&self, values: &[f64], parts: RarityParts) -> Vec<Cause> {
        let Some(model) = &self.model else { return Vec::new() };
        let mut causes = model.causes(&self.fields, values);
        self.steps.set_expectations(&mut causes);
        for (cause, counter) in causes.iter_mut().zip(&self.counters) {
            cause.is_counter = counter.is_some();
        }
        let (own, watched) = (self.steps.rarity(), self.watch.steps().rarity());
        if parts.of_fields >= parts.views {
            if self.rarity_of_long_runs() > own.max(watched) {
                self.set_long_runs(&mut causes);
            } else if watched > own {
                for cause in &mut causes {
                    cause.share = 0.0;
                }
                causes.extend(self.watch.causes());
            } else if own > 0.0 {
                self.steps.set_shares(&mut causes);
            }
        }
        causes
    }

    /// Returns what each field of the last row does for far longer than before. A stepwise field is judged
    /// by its stays instead.
    pub(crate) fn long_runs(&self) -> impl Iterator<Item = Option<LongRun>> {
        let past = self.histories.past_readings();
        let of_fields = self.model.iter().flat_map(move |model| model.long_runs(past));
        of_fields.zip(self.steps.rarities()).map(|(run, steps)| run.filter(|_| steps.is_none()))
    }

    /// Returns how rare the last row is by what its fields do for too long; 0 if there is none. One of
    /// many fields does so more often.
    fn rarity_of_long_runs(&self) -> f64 {
        let greatest = self.long_runs().flatten().map(|run| run.rarity).fold(0.0, f64::max);
        if greatest == 0.0 {
            return 0.0;
        }
        let fields = self.steps.rarities().filter(Option::is_none).count();
        (greatest - libm::log10(fields.max(1) as f64)).max(0.0)
    }

    /// Makes the fields that do something for too long the causes, with equal shares.
    fn set_long_runs(&self, causes: &mut [Cause]) {
        let count = self.long_runs().flatten().count() as f64;
        for (cause, run) in causes.iter_mut().zip(self.long_runs()) {
            cause.share = if run.is_some() { 1.0 / count } else { 0.0 };
            match run {
                Some(LongRun { kind: RunKind::Stuck, readings, .. }) => cause.repeated = readings,
                Some(LongRun { kind: RunKind::Away { rest }, readings, .. }) => cause.be_away(rest, readings),
                None => {}
            }
        }
    }

    /// Returns the weight of a reading in the running means.
    pub(crate) fn rate(&self, config: &DetectorConfig) -> f64 {
        let memory = REACH_PER_POINT * config.shape().points as f64;
        1.0 / (self.learnt as f64).clamp(CALIBRATION_ROWS as f64, memory)
    }

    /// Scores a row, and learns it: at full or cautious pace if `learning` is true, else at the slow
    /// pace of an open anomaly.
    pub(crate) fn score(
        &mut self,
        config: &DetectorConfig,
        ts: i64,
        values: &[f64],
        after_silence: bool,
        learning: bool,
    ) -> Result<ScoredRow, rrcf_rs::Error> {
        let rate = self.rate(config);
        let is_cautious = self.caution.holds(self.regime.allows_caution());
        let Some(model) = &mut self.model else { return Ok(ScoredRow::default()) };
        self.steps.observe(StepRow { ts, values, after_silence }, learning);
        let row = Row { ts, values, after_silence };
        // While an anomaly is open, the model learns some of its readings, and the histories of
        // the measures learn none. During caution, the forecasts learn some, and the histories learn
        // what the adapted forecasts measure.
        let (pace, slowness) = match (learning, is_cautious) {
            (false, _) => (LearningPace::Slow, SLOWNESS),
            (true, true) => (LearningPace::Cautious, CAUTIOUS_SLOWNESS),
            (true, false) => (LearningPace::Full, 1),
        };
        let turn = self.learnt.is_multiple_of(slowness);
        let RowScore { codisp, stuck } = model.score(row, config, Learning { pace, turn, rate })?;
        // The first half of the warm-up only fills the forest. The measures are representative
        // from then on.
        if self.learnt <= u64::from(self.warm_up) / 2 {
            return Ok(ScoredRow { codisp, stuck, ..ScoredRow::default() });
        }
        let views = views(values.len(), config.smoothing > 0);
        let (measures, to_learn) = (model.measures(), model.measures_to_learn());
        let surprise = self.histories.observe(views, measures, to_learn, pace, f64::from(config.smoothing));
        if learning {
            self.histories.learn(to_learn);
            model.learn_pasts();
        }
        let parts = self.rarity_parts(surprise, &self.calibration, config.smoothing > 0);
        self.caution.observe(parts.rarity());
        Ok(ScoredRow { codisp, surprise, parts, stuck })
    }
}

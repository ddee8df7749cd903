//! The actor of one sensor's detector. It does no I/O: a message brings its history, and its
//! answers carry the outcomes.

use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, Context, Handler, MessageResult, Supervised};
use thicket_detector::{Detector, FieldReport};
use thicket_schema::{Checkpoint, SensorName, Timestamp};

use super::apply::{Applied, SensorTime};
use super::restore::{Restoration, RestoreFacts};
use crate::messages::{
    ApplyLabel, BeginAgain, LabelPlace, NeedsNear, NotRestored, Reconfigure, Replay, Restore, Restored,
    Score, Scores, TakeCheckpoint,
};
use crate::supervision::about_to_score;
use crate::time_order::TimeOrder;
use thicket_detector::NamedConfig;
use thicket_store::faults;
use thicket_store::postgres::{DetectorReset, TimeFacts};

/// The detector of one sensor. It has no state until it is restored; a panic drops the state.
#[derive(Debug)]
pub struct DetectorActor {
    sensor: SensorName,
    checkpoint_every: u64,
    /// The restore in progress. Then there is no state.
    restoring: Option<Restoring>,
    state: Option<State>,
}

/// A restore whose last rows have not come yet.
#[derive(Debug)]
struct Restoring {
    restoration: Restoration,
    config: Arc<NamedConfig>,
    time: TimeFacts,
    last_request: Option<i64>,
}

#[derive(Debug)]
struct State {
    detector: Detector,
    config: Arc<NamedConfig>,
    /// The scored fields, as they were logged last.
    scored: Vec<String>,
    time: SensorTime,
    /// The seq at which the memory was reported last; `None` since the restore.
    measured: Option<u64>,
    /// The id of the last request to begin again that was done.
    last_request: Option<i64>,
}

/// Readings after which the memory of a detector is measured again.
const MEASURE_EVERY: u64 = 32;

impl DetectorActor {
    /// Creates a detector without state. It takes a checkpoint every `checkpoint_every` readings.
    pub const fn new(sensor: SensorName, checkpoint_every: u64) -> Self {
        Self { sensor, checkpoint_every, restoring: None, state: None }
    }

    /// Whether a checkpoint is due after the seq advanced from `before` to `after`. Each sensor has
    /// another phase, so that the writes of checkpoints spread over time.
    fn checkpoint_due(&self, before: u64, after: u64) -> bool {
        let phase = self.sensor.id().0.cast_unsigned() % self.checkpoint_every;
        (before + phase) / self.checkpoint_every != (after + phase) / self.checkpoint_every
    }
}

impl Actor for DetectorActor {
    type Context = Context<Self>;
}

impl Supervised for DetectorActor {
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.restoring = None;
        self.state = None;
    }
}

impl Handler<Restore> for DetectorActor {
    type Result = MessageResult<Restore>;

    fn handle(&mut self, message: Restore, _: &mut Context<Self>) -> Self::Result {
        let Restore { config, history } = message;
        (self.state, self.restoring) = (None, None);
        let facts = RestoreFacts { sensor: &self.sensor, config: &config, history: &history };
        let mut restoration = Restoration::begin(&facts);
        restoration.replay(&history.replay, &history.configs);
        let last_request = history.reset.map(|reset| reset.request);
        let restoring = Restoring { restoration, config, time: history.time, last_request };
        MessageResult(self.go_on(restoring, history.more_after.is_some()))
    }
}

impl Handler<Replay> for DetectorActor {
    type Result = Result<Restored, NotRestored>;

    fn handle(&mut self, Replay { page }: Replay, _: &mut Context<Self>) -> Self::Result {
        let mut restoring = self.restoring.take().ok_or(NotRestored)?;
        restoring.restoration.replay(&page.rows, &page.configs);
        Ok(self.go_on(restoring, page.more_after.is_some()))
    }
}

impl Handler<Score> for DetectorActor {
    type Result = Result<Scores, NotRestored>;

    fn handle(&mut self, message: Score, _: &mut Context<Self>) -> Self::Result {
        let started = Instant::now();
        let State { detector, config, time, measured, .. } = self.state.as_mut().ok_or(NotRestored)?;
        let seq_before = detector.seq();
        let readings = &message.readings[message.from..message.to];
        if let Some(first) = readings.first().filter(|_| !message.skip) {
            about_to_score(&self.sensor, first.ts);
            faults::pass("score.before");
        }
        let mut near = message.near;
        let mut scores = Scores::default();
        for (index, reading) in readings.iter().enumerate() {
            let applied = if message.skip {
                time.skip(&self.sensor, detector, reading, &mut near)
            } else {
                time.apply(&self.sensor, detector, config, reading, &mut near)
            };
            let Some(Applied { outcome, place, change, begins_late }) = applied else {
                scores.unknown = time.order.unknown_times(&readings[index..]);
                break;
            };
            scores.outcomes.push(outcome);
            scores.places.push(place);
            scores.clock.changes.extend(change);
            if begins_late {
                scores.clock.late_from = Some(message.from + index);
            }
        }
        scores.clock.state = time.take_changed();
        if !message.skip {
            faults::pass("score.after");
        }
        let seq_after = detector.seq();
        if measured.is_none_or(|measured| seq_after >= measured + MEASURE_EVERY) {
            *measured = Some(seq_after);
            scores.memory = Some(detector.memory_usage() as u64);
        }
        scores.checkpoint =
            self.checkpoint_due(seq_before, seq_after).then(|| self.take_checkpoint()).flatten();
        scores.fields = self.take_fields_report();
        scores.elapsed = started.elapsed();
        Ok(scores)
    }
}

impl Handler<NeedsNear> for DetectorActor {
    type Result = Result<bool, NotRestored>;

    fn handle(&mut self, message: NeedsNear, _: &mut Context<Self>) -> Self::Result {
        let State { time, .. } = self.state.as_ref().ok_or(NotRestored)?;
        Ok(time.order.needs_near(&message.readings[message.index]))
    }
}

impl Handler<Reconfigure> for DetectorActor {
    type Result = ();

    fn handle(&mut self, message: Reconfigure, _: &mut Context<Self>) {
        if let Some(State { detector, config, .. }) = &mut self.state {
            // The shard sends only settings of the same shape.
            detector.reconfigure(&message.config.config);
            *config = message.config;
        }
    }
}

impl Handler<ApplyLabel> for DetectorActor {
    type Result = Option<LabelPlace>;

    fn handle(
        &mut self,
        ApplyLabel { started, label }: ApplyLabel,
        _: &mut Context<Self>,
    ) -> Option<LabelPlace> {
        let State { detector, .. } = self.state.as_mut()?;
        let number = detector.label(started.0, label)?;
        Some(LabelPlace { seq: detector.seq(), number })
    }
}

impl Handler<BeginAgain> for DetectorActor {
    type Result = Option<DetectorReset>;

    fn handle(&mut self, BeginAgain { request }: BeginAgain, _: &mut Context<Self>) -> Self::Result {
        let State { detector, config, scored, time, measured, last_request } = self.state.as_mut()?;
        let (seq, newest) = (detector.seq(), Timestamp(detector.newest()?));
        if last_request.is_some_and(|last| last >= request) {
            return None;
        }
        *detector = Detector::resume(self.sensor.as_str(), &config.config, seq, Some(newest.0));
        scored.clear();
        *measured = None;
        *last_request = Some(request);
        Some(DetectorReset { request, seq, era: time.order.era(), newest })
    }
}

impl Handler<TakeCheckpoint> for DetectorActor {
    type Result = Option<Checkpoint>;

    fn handle(&mut self, _: TakeCheckpoint, _: &mut Context<Self>) -> Self::Result {
        self.take_checkpoint()
    }
}

impl DetectorActor {
    /// Waits for the next rows of a restore, or ends it if no row follows.
    fn go_on(&mut self, restoring: Restoring, has_more: bool) -> Restored {
        if has_more {
            let restored = restoring.restoration.so_far();
            self.restoring = Some(restoring);
            return restored;
        }
        let Restoring { restoration, config, time, last_request } = restoring;
        let (detector, restored) = restoration.finish(&config);
        let scored = detector.fields().to_vec();
        let time = SensorTime::new(TimeOrder::restore(&time, detector.newest()));
        self.state = Some(State { detector, config, scored, time, measured: None, last_request });
        restored
    }

    /// Returns the report about the fields if it has changed, and logs a change of the scored ones.
    fn take_fields_report(&mut self) -> Option<FieldReport> {
        let State { detector, scored, .. } = self.state.as_mut()?;
        let report = detector.take_fields_report()?;
        if detector.fields() != scored {
            let (now, before) = (detector.fields().join(", "), scored.join(", "));
            let (sensor, seq) = (&self.sensor, detector.seq());
            if before.is_empty() {
                tracing::debug!(%sensor, seq, fields = now, "the fields to score are decided");
            } else {
                tracing::info!(%sensor, seq, fields = now, before, "the readings of the last window have changed the fields to score");
            }
            *scored = detector.fields().to_vec();
        }
        Some(report)
    }

    fn take_checkpoint(&self) -> Option<Checkpoint> {
        let State { detector, config, time, .. } = self.state.as_ref()?;
        Some(Checkpoint {
            sensor: self.sensor.as_str().to_owned(),
            seq: detector.seq(),
            newest: detector.newest().map(Timestamp),
            era: time.order.era(),
            config: config.fingerprint,
            state: detector.snapshot(),
        })
    }
}

#[cfg(test)]
mod tests;

//! The actor of one sensor's detector. It does no I/O: a message brings its history, and its
//! answers carry the outcomes.

use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, Context, Handler, MessageResult, Supervised};
use thicket_detector::{Detector, FieldReport};
use thicket_schema::{Checkpoint, Reading, Reason, SensorName, Timestamp};

use super::restore::{RestoreFacts, restore};
use crate::messages::{
    ApplyLabel, NotRestored, Reconfigure, Restore, Restored, Score, ScoreOutcome, Scores, Skip,
    TakeCheckpoint,
};
use crate::supervision::about_to_score;
use thicket_detector::NamedConfig;
use thicket_store::faults;

/// The detector of one sensor. It has no state until it is restored; a panic drops the state.
#[derive(Debug)]
pub struct DetectorActor {
    sensor: SensorName,
    checkpoint_every: u64,
    state: Option<State>,
}

#[derive(Debug)]
struct State {
    detector: Detector,
    config: Arc<NamedConfig>,
    /// The scored fields, as they were logged last.
    scored: Vec<String>,
}

impl DetectorActor {
    /// Creates a detector without state. It takes a checkpoint every `checkpoint_every` readings.
    pub const fn new(sensor: SensorName, checkpoint_every: u64) -> Self {
        Self { sensor, checkpoint_every, state: None }
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
        self.state = None;
    }
}

impl Handler<Restore> for DetectorActor {
    type Result = MessageResult<Restore>;

    fn handle(&mut self, message: Restore, _: &mut Context<Self>) -> Self::Result {
        let Restore { config, history } = message;
        let (detector, restored): (Detector, Restored) =
            restore(&RestoreFacts { sensor: &self.sensor, config: &config, history: &history });
        if restored.mismatches > 0 {
            let rows = restored.mismatches;
            tracing::error!(sensor = %self.sensor, rows, "replayed scores differ from the stored scores");
        }
        let scored = detector.fields().to_vec();
        self.state = Some(State { detector, config, scored });
        MessageResult(restored)
    }
}

impl Handler<Score> for DetectorActor {
    type Result = Result<Scores, NotRestored>;

    fn handle(&mut self, message: Score, _: &mut Context<Self>) -> Self::Result {
        let started = Instant::now();
        let State { detector, .. } = self.state.as_mut().ok_or(NotRestored)?;
        let seq_before = detector.seq();
        let readings = &message.readings[message.from..message.to];
        if let Some(first) = readings.first() {
            about_to_score(&self.sensor, first.ts);
        }
        faults::pass("score.before");
        let outcomes = readings.iter().map(|reading| outcome(detector, reading)).collect();
        faults::pass("score.after");
        let seq_after = detector.seq();
        let checkpoint = self.checkpoint_due(seq_before, seq_after).then(|| self.take_checkpoint()).flatten();
        let fields = self.take_fields_report();
        Ok(Scores { outcomes, checkpoint, fields, elapsed: started.elapsed() })
    }
}

impl Handler<Skip> for DetectorActor {
    type Result = Result<bool, NotRestored>;

    fn handle(&mut self, Skip { ts }: Skip, _: &mut Context<Self>) -> Self::Result {
        let State { detector, .. } = self.state.as_mut().ok_or(NotRestored)?;
        let is_newer = detector.newest().is_none_or(|newest| newest < ts.0);
        detector.skip(ts.0);
        Ok(is_newer)
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
    type Result = Option<u64>;

    fn handle(&mut self, ApplyLabel { started, label }: ApplyLabel, _: &mut Context<Self>) -> Option<u64> {
        let State { detector, .. } = self.state.as_mut()?;
        detector.label(started.0, label).then(|| detector.seq())
    }
}

impl Handler<TakeCheckpoint> for DetectorActor {
    type Result = Option<Checkpoint>;

    fn handle(&mut self, _: TakeCheckpoint, _: &mut Context<Self>) -> Self::Result {
        self.take_checkpoint()
    }
}

impl DetectorActor {
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
        let State { detector, config, .. } = self.state.as_ref()?;
        Some(Checkpoint {
            sensor: self.sensor.as_str().to_owned(),
            seq: detector.seq(),
            newest: detector.newest().map(Timestamp),
            config: config.fingerprint,
            state: detector.snapshot(),
        })
    }
}

fn outcome(detector: &mut Detector, reading: &Reading) -> ScoreOutcome {
    if detector.newest().is_some_and(|newest| reading.ts.0 <= newest) {
        return ScoreOutcome::NotNewer;
    }
    faults::poison(reading.values.first().copied());
    match detector.apply(reading.ts.0, reading.fields.names(), &reading.values) {
        Ok(detection) => ScoreOutcome::Scored(Box::new(detection)),
        Err(rejected) => ScoreOutcome::Rejected { reason: Reason::NotFinite, detail: rejected.to_string() },
    }
}

#[cfg(test)]
mod tests;

//! Applies one reading to a detector: first its place in time, then its score.

use thicket_detector::{Detector, NamedConfig};
use thicket_schema::{Reading, Reason, SensorName, Timestamp};
use thicket_store::faults;
use thicket_store::postgres::{ClockChange, ClockState};

use crate::messages::ScoreOutcome;
use crate::time_order::{Occupied, Place, Step, TimeOrder};

/// Late readings in a row after which a sensor is named in the log if its time never begins again.
const NAMED_AFTER: u32 = 20;

/// The time of a sensor, and the part of it that is reported already.
#[derive(Debug)]
pub(super) struct SensorTime {
    pub(super) order: TimeOrder,
    reported: ClockState,
}

/// The outcome of a reading, and where it is stored if it is.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) outcome: ScoreOutcome,
    pub(super) place: Place,
    /// Whether the sensor's time begins again with the reading.
    pub(super) change: Option<ClockChange>,
    /// Whether a row of late readings begins with it.
    pub(super) begins_late: bool,
}

impl SensorTime {
    pub(super) fn new(order: TimeOrder) -> Self {
        let reported = order.state();
        Self { order, reported }
    }

    /// Returns the clock state if it has changed since the last call, or is not the usual one.
    pub(super) fn take_changed(&mut self) -> Option<ClockState> {
        let state = self.order.state();
        (state != self.reported || !state.is_usual()).then(|| {
            self.reported = state;
            state
        })
    }

    /// Applies a reading. Returns `None` if the stored rows near it must be known first.
    pub(super) fn apply(
        &mut self,
        sensor: &SensorName,
        detector: &mut Detector,
        config: &NamedConfig,
        reading: &Reading,
        near: &mut Option<Occupied>,
    ) -> Option<Applied> {
        let scored = |detector: &mut Detector, place: Place| score(detector, reading, place.ts);
        self.place(sensor, detector, config.config.begin_again_after, reading, near, scored)
    }

    /// Gives a quarantined reading its place without its score. The sensor's time never begins again
    /// with it: the detector would not go back. Returns `None` if the stored rows near it must be
    /// known first.
    pub(super) fn skip(
        &mut self,
        sensor: &SensorName,
        detector: &mut Detector,
        reading: &Reading,
        near: &mut Option<Occupied>,
    ) -> Option<Applied> {
        let skipped = |detector: &mut Detector, place: Place| {
            detector.skip(place.ts.0);
            ScoreOutcome::Poison
        };
        self.place(sensor, detector, 0, reading, near, skipped)
    }

    /// Gives a reading its place. `next` is called if it is the next one in time, and returns the
    /// outcome.
    fn place(
        &mut self,
        sensor: &SensorName,
        detector: &mut Detector,
        begin_again_after: u32,
        reading: &Reading,
        near: &mut Option<Occupied>,
        next: impl FnOnce(&mut Detector, Place) -> ScoreOutcome,
    ) -> Option<Applied> {
        let (newest, seq) = (self.order.newest(), detector.seq());
        let step = self.order.decide(reading, begin_again_after, near.as_ref());
        let written = Place { ts: reading.ts, shifted: false, era: self.order.era() };
        let unstored = |outcome| Applied { outcome, place: written, change: None, begins_late: false };
        let (outcome, place, begins) = match step {
            Step::Unknown => return None,
            Step::Duplicate => return Some(unstored(ScoreOutcome::Duplicate)),
            Step::Conflict => return Some(unstored(ScoreOutcome::Conflict)),
            Step::Late(place) => (ScoreOutcome::NotNewer, place, false),
            Step::Next { place, begins } => (next(detector, place), place, begins),
        };
        if matches!(outcome, ScoreOutcome::Rejected { .. }) {
            return Some(unstored(outcome));
        }
        self.order.store(step, reading);
        if let Some(near) = near {
            near.insert(place, &reading.fields, &reading.values);
        }
        let late = self.order.state().late;
        let limit = if begin_again_after == 0 { NAMED_AFTER } else { begin_again_after };
        if late == limit {
            tracing::warn!(%sensor, late, ts = %reading.ts, newest = ?newest.map(|ts| ts.to_string()), "reading after reading of the sensor is late: its clock has gone back, or was ahead; see `thicket status`");
        }
        let change = newest.filter(|_| begins).map(|newest| ClockChange {
            sensor: sensor.id(),
            era: place.era,
            seq,
            newest,
            begins: place.ts,
        });
        Some(Applied { outcome, place, change, begins_late: late == 1 })
    }
}

fn score(detector: &mut Detector, reading: &Reading, ts: Timestamp) -> ScoreOutcome {
    faults::poison(reading.values.first().copied());
    match detector.apply(ts.0, reading.fields.names(), &reading.values) {
        Ok(detection) => ScoreOutcome::Scored(Box::new(detection)),
        Err(rejected) => ScoreOutcome::Rejected { reason: Reason::NotFinite, detail: rejected.to_string() },
    }
}

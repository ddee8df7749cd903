//! The learning guard: what lasts is not at once normal. While an anomaly lasts, little is learnt from it (the forests learn one reading in
//! four, the pasts of the measures none); when it has lasted longer than it may, or a person says that it is none, it is accepted as the new normal.

use serde::{Deserialize, Serialize};

use crate::event::Open;

/// Usual readings in a row after which an anomaly is over.
const PAUSE: u32 = 5;
/// A reading that is by itself as common as one in ten is usual, whatever was before it.
const USUAL: f64 = 1.0;
/// In the aftermath of an anomaly, a reading that is by itself as rare as one in a hundred begins another.
const FRESH: f64 = 2.0;
/// An accepted disturbance is an anomaly again when a reading is rarer than all of it by this much.
const WORSE: f64 = 0.5;

/// What goes on.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) enum Regime {
    /// Nothing.
    Calm {
        /// Readings that still stand under the impression of an anomaly that is over.
        aftermath: u32,
    },
    /// An anomaly.
    Anomalous(Ongoing),
    /// What was an anomaly, but has lasted so long that it is learnt.
    Accepted {
        /// The rarest of its readings.
        rarest: f64,
        /// Usual readings since the last unusual one.
        pause: u32,
        /// The anomaly, if a label has ended it and nobody has heard of its end.
        closed: Option<Box<Ongoing>>,
    },
}

/// An anomaly that lasts.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Ongoing {
    pub(crate) event: Open,
    pub(crate) rarest: f64,
    /// Usual readings since the last unusual one.
    pub(crate) pause: u32,
    /// Whether somebody has heard of it.
    pub(crate) announced: bool,
    /// Whether a person has said that it is an anomaly: then it is not accepted, however long it lasts.
    pub(crate) confirmed: bool,
}

/// What a person says of an anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// It is one: it is not taken for the new normal, however long it lasts.
    True,
    /// It is none: from now on it is normal.
    False,
    /// It is planned work: from now on it is normal.
    Maintenance,
}

impl Label {
    /// Its name: `true`, `false` or `maintenance`.
    pub fn name(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Maintenance => "maintenance",
        }
    }

    /// The label of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::True, Self::False, Self::Maintenance].into_iter().find(|label| label.name() == name)
    }
}

/// What a reading does to what goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing unusual goes on.
    None,
    /// An anomaly begins.
    Begin,
    /// It goes on.
    GoOn,
    /// It pauses: this reading is not part of it, but it is not over.
    Pause,
    /// It is over: there have been usual readings for long enough.
    End,
    /// It is accepted as the new normal with this reading, which is part of it.
    Accept,
}

/// How unusual a reading is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rare {
    /// Its timestamp, in microseconds since 1970.
    pub(crate) at: i64,
    /// −log10 of the share of readings as rare, by all that is known.
    pub(crate) rarity: f64,
    /// The same by the reading alone, without what was shortly before.
    pub(crate) now: f64,
}

/// What makes an anomaly begin and last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Rarity at which one begins.
    pub(crate) threshold: f64,
    /// Rarity at which it goes on.
    pub(crate) lasting: f64,
    /// Microseconds after which it is accepted.
    pub(crate) accept_after: u128,
}

impl Limits {
    /// Whether a reading is no part of an anomaly that lasts.
    pub(crate) fn is_usual(self, reading: Rare) -> bool {
        reading.rarity < self.lasting || reading.now < USUAL
    }
}

impl Default for Regime {
    fn default() -> Self {
        Self::Calm { aftermath: 0 }
    }
}

impl Regime {
    /// Whether readings are learnt.
    pub(crate) fn learns(&self) -> bool {
        !matches!(self, Self::Anomalous(_))
    }

    /// Decides what a reading does.
    pub(crate) fn step(&self, reading: Rare, limits: Limits) -> Step {
        let Rare { at, rarity, now } = reading;
        match self {
            // The moving figures remember the last anomaly for a while: until then, a reading must be rare by itself.
            Self::Calm { aftermath } if rarity >= limits.threshold && (*aftermath == 0 || now >= FRESH) => {
                Step::Begin
            }
            Self::Accepted { rarest, .. } if rarity >= limits.threshold.max(rarest + WORSE) => Step::Begin,
            Self::Calm { .. } => Step::None,
            Self::Accepted { pause, .. } => {
                if limits.is_usual(reading) && pause + 1 >= PAUSE {
                    Step::End
                } else {
                    Step::None
                }
            }
            Self::Anomalous(ongoing) => {
                let lasted = u128::from((at - ongoing.event.started).max(0).cast_unsigned());
                if !limits.is_usual(Rare { at, rarity, now }) {
                    let is_long = lasted >= limits.accept_after && !ongoing.confirmed;
                    return if is_long { Step::Accept } else { Step::GoOn };
                }
                if ongoing.pause + 1 >= PAUSE { Step::End } else { Step::Pause }
            }
        }
    }

    /// Counts usual readings in a row, and what is left of an aftermath.
    pub(crate) fn count(&mut self, is_usual: bool) {
        if let Self::Calm { aftermath } = self {
            *aftermath = aftermath.saturating_sub(1);
        }
        if let Self::Anomalous(Ongoing { pause, .. }) | Self::Accepted { pause, .. } = self {
            *pause = if is_usual { *pause + 1 } else { 0 };
        }
    }

    /// The anomaly that a label has ended, once.
    pub(crate) fn take_closed(&mut self) -> Option<Box<Ongoing>> {
        if let Self::Accepted { closed, .. } = self { closed.take() } else { None }
    }

    /// Hears what a person says of the anomaly that began then. Whether that is the one that lasts.
    pub(crate) fn label(&mut self, started: i64, label: Label) -> bool {
        let Self::Anomalous(ongoing) = self else { return false };
        if ongoing.event.started != started {
            return false;
        }
        match label {
            Label::True => ongoing.confirmed = true,
            Label::False | Label::Maintenance => {
                let closed = Some(Box::new(ongoing.clone()));
                *self = Self::Accepted { rarest: ongoing.rarest, pause: 0, closed };
            }
        }
        true
    }
}

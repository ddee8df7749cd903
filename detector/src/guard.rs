//! The learning guard: what lasts is not at once normal. While an anomaly lasts, nothing is learnt from it; when it has lasted longer
//! than it may, or a person says that it is none, it is accepted as the new normal.

use serde::{Deserialize, Serialize};

use crate::event::Open;

/// An accepted disturbance is an anomaly again when a reading is rarer than all of it by this much.
const WORSE: f64 = 0.5;

/// What goes on.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) enum Regime {
    /// Nothing.
    #[default]
    Calm,
    /// An anomaly.
    Anomalous(Ongoing),
    /// What was an anomaly, but has lasted so long that it is learnt.
    Accepted {
        /// The rarest of its readings.
        rarest: f64,
    },
}

/// An anomaly that lasts.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Ongoing {
    pub(crate) event: Open,
    pub(crate) rarest: f64,
    /// Whether somebody has heard of it.
    pub(crate) announced: bool,
    /// Whether a person has said that it is an anomaly: then it is not accepted, however long it lasts.
    pub(crate) confirmed: bool,
}

/// What a person says of an anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// It is one: nothing is learnt from it, however long it lasts.
    True,
    /// It is none: from now on it is normal.
    False,
    /// It is planned work: from now on it is normal.
    Maintenance,
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
    /// It is over with this reading, which is not part of it.
    End,
    /// It is accepted as the new normal with this reading, which is part of it.
    Accept,
}

impl Regime {
    /// Whether readings are learnt.
    pub(crate) fn learns(&self) -> bool {
        !matches!(self, Self::Anomalous(_))
    }

    /// Decides what a reading does. `lasted` is the time since the anomaly began, in microseconds.
    pub(crate) fn step(&self, rarity: f64, threshold: f64, lasting: f64, accept_after: u128, at: i64) -> Step {
        match self {
            Self::Calm if rarity >= threshold => Step::Begin,
            Self::Calm => Step::None,
            Self::Accepted { rarest } if rarity >= threshold.max(rarest + WORSE) => Step::Begin,
            Self::Accepted { .. } => Step::None,
            Self::Anomalous(_) if rarity < lasting => Step::End,
            Self::Anomalous(ongoing) => {
                let lasted = (at - ongoing.event.started).max(0).cast_unsigned();
                if !ongoing.confirmed && u128::from(lasted) >= accept_after { Step::Accept } else { Step::GoOn }
            }
        }
    }

    /// Hears what a person says of the anomaly that began then. Whether that is the one that lasts.
    pub(crate) fn label(&mut self, started: i64, label: Label) -> bool {
        let Self::Anomalous(ongoing) = self else { return false };
        if ongoing.event.started != started {
            return false;
        }
        match label {
            Label::True => ongoing.confirmed = true,
            Label::False | Label::Maintenance => *self = Self::Accepted { rarest: ongoing.rarest },
        }
        true
    }
}

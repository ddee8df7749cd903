//! The learning guard: an anomaly that lasts does not become normal at once. While it lasts, the
//! forest and the forecasts learn only one reading in five, and the histories of the measures learn
//! none. The guard accepts the anomaly as the new normal when it has lasted for `accept_after`, or
//! when a person labels it as no anomaly.

use serde::{Deserialize, Serialize};

use crate::event::OpenEvent;

/// Usual readings in a row after which an anomaly is over.
const PAUSE: u32 = 5;
/// A reading that by itself is at least as common as one in twenty is usual, whatever the readings
/// before it were.
const USUAL: f64 = 1.3;
/// In the aftermath of an anomaly, only a reading that by itself is as rare as one in a hundred
/// begins another anomaly.
pub(crate) const FRESH: f64 = 2.0;
/// After acceptance, a reading begins a new anomaly only if it is rarer than the accepted ones by
/// this much.
const WORSE: f64 = 0.5;

/// The state of the guard.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) enum Regime {
    /// No anomaly is open.
    Calm {
        /// Coming readings whose moving means still remember the last anomaly.
        aftermath: u32,
    },
    /// An anomaly is open.
    Anomalous(Ongoing),
    /// The last anomaly was accepted as the new normal: its readings are learnt.
    Accepted {
        /// Rarity of its rarest reading.
        rarest: f64,
        /// Usual readings since the last unusual one.
        pause: u32,
        /// The anomaly, if a label ended it and no detection has reported its end yet.
        closed: Option<Box<Ongoing>>,
    },
}

/// An open anomaly.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Ongoing {
    pub(crate) event: OpenEvent,
    /// Rarity of its rarest reading.
    pub(crate) rarest: f64,
    /// Usual readings since the last unusual one.
    pub(crate) pause: u32,
    /// Whether a detection has announced it.
    pub(crate) announced: bool,
    /// Whether a person has labelled it as a true anomaly. It is then never accepted, however long
    /// it lasts.
    pub(crate) confirmed: bool,
    /// Whether only steps of stepwise fields have made it one. Then only steps continue it, or points
    /// that would begin one.
    pub(crate) is_by_steps: bool,
}

/// A person's label for an anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// A true anomaly. It is not accepted as the new normal, however long it lasts.
    True,
    /// No anomaly. From now on it is normal.
    False,
    /// Planned work. From now on it is normal.
    Maintenance,
}

impl Label {
    /// Returns the label's name: `true`, `false` or `maintenance`.
    pub fn name(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Maintenance => "maintenance",
        }
    }

    /// Returns the label with this name, or `None` if there is none.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::True, Self::False, Self::Maintenance].into_iter().find(|label| label.name() == name)
    }
}

/// The change that a reading causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transition {
    /// No anomaly is open, and the reading begins none.
    None,
    /// The reading begins an anomaly.
    Begin,
    /// The reading continues the open anomaly.
    Continue,
    /// The reading is not part of the open anomaly, but the anomaly is not over.
    Pause,
    /// The anomaly is over: enough usual readings in a row have come.
    End,
    /// The reading is part of the open anomaly, which is now accepted as the new normal.
    Accept,
}

/// How unusual a reading is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadingRarity {
    /// Timestamp of the reading, in microseconds since 1970.
    pub(crate) at: i64,
    /// −log10 of the share of readings that are as rare. Recent readings count too, through the
    /// moving means.
    pub(crate) rarity: f64,
    /// The same for the reading by itself, without the readings before it.
    pub(crate) instantaneous: f64,
}

/// Limits at which an anomaly begins, continues and is accepted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Rarity from which an anomaly begins.
    pub(crate) threshold: f64,
    /// Rarity from which an open anomaly continues.
    pub(crate) lasting_threshold: f64,
    /// Microseconds after which an anomaly is accepted.
    pub(crate) accept_after: u128,
}

impl Limits {
    /// Returns whether a reading is too common to be part of an open anomaly.
    pub(crate) fn is_usual(self, reading: ReadingRarity) -> bool {
        reading.rarity < self.lasting_threshold || reading.instantaneous < USUAL
    }
}

impl Default for Regime {
    fn default() -> Self {
        Self::Calm { aftermath: 0 }
    }
}

impl Regime {
    /// Returns whether readings are learnt at full speed.
    pub(crate) fn learns(&self) -> bool {
        !matches!(self, Self::Anomalous(_))
    }

    /// Returns whether no anomaly is open, and the end of none is still to be reported.
    pub(crate) fn is_calm(&self) -> bool {
        !matches!(self, Self::Anomalous(_) | Self::Accepted { closed: Some(_), .. })
    }

    /// Returns whether an anomaly is open that a person has labelled as a true one.
    pub(crate) fn is_confirmed(&self) -> bool {
        matches!(self, Self::Anomalous(ongoing) if ongoing.confirmed)
    }

    /// Decides what a reading changes. The state itself stays as it is.
    pub(crate) fn decide(&self, reading: ReadingRarity, limits: Limits) -> Transition {
        let ReadingRarity { at, rarity, instantaneous } = reading;
        match self {
            // The moving means remember the last anomaly for a while. Until then, a reading must be
            // rare by itself.
            Self::Calm { aftermath }
                if rarity >= limits.threshold && (*aftermath == 0 || instantaneous >= FRESH) =>
            {
                Transition::Begin
            }
            Self::Accepted { rarest, .. } if rarity >= limits.threshold.max(rarest + WORSE) => {
                Transition::Begin
            }
            Self::Calm { .. } => Transition::None,
            Self::Accepted { pause, .. } => {
                if limits.is_usual(reading) && pause + 1 >= PAUSE {
                    Transition::End
                } else {
                    Transition::None
                }
            }
            Self::Anomalous(ongoing) => {
                let lasted = u128::from((at - ongoing.event.started).max(0).cast_unsigned());
                if !limits.is_usual(reading) {
                    let is_long = lasted >= limits.accept_after && !ongoing.confirmed;
                    return if is_long { Transition::Accept } else { Transition::Continue };
                }
                if ongoing.pause + 1 >= PAUSE { Transition::End } else { Transition::Pause }
            }
        }
    }

    /// Counts a reading: usual readings in a row, and the rest of an aftermath.
    pub(crate) fn count(&mut self, is_usual: bool) {
        if let Self::Calm { aftermath } = self {
            *aftermath = aftermath.saturating_sub(1);
        }
        if let Self::Anomalous(Ongoing { pause, .. }) | Self::Accepted { pause, .. } = self {
            *pause = if is_usual { *pause + 1 } else { 0 };
        }
    }

    /// Takes the anomaly that a label has ended. Returns it once.
    pub(crate) fn take_closed(&mut self) -> Option<Box<Ongoing>> {
        if let Self::Accepted { closed, .. } = self { closed.take() } else { None }
    }

    /// Applies a label to the anomaly that began at `started`. Returns whether that anomaly is the
    /// open one; else nothing changes.
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

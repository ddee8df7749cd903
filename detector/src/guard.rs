//! The learning guard: an anomaly that lasts does not become normal at once. While it lasts, the
//! forest and the forecasts learn only one reading in three, and the histories of the measures learn
//! none. The guard accepts the anomaly as the new normal when it has lasted for `accept_after`, or
//! when a person labels it as no anomaly.

use serde::{Deserialize, Serialize};

use crate::event::OpenEvent;
use crate::label::Label;
use crate::verdicts::{AlarmChange, Pattern};

/// Usual readings in a row after which an anomaly is over.
const PAUSE: u32 = 5;
/// A reading that by itself is at least as common as one in twenty is usual, whatever the readings
/// before it were.
pub(crate) const USUAL: f64 = 1.3;
/// A reading that by itself is at least as common as one in three is quiet, also if its moving means are
/// rare. In a long anomaly there are many usual readings, but seldom [`PAUSE`] quiet ones in a row.
const QUIET: f64 = 0.5;
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
    /// How its readings are off, how rare they are, and what people say about it.
    pub(crate) pattern: Pattern,
    /// Usual readings since the last unusual one.
    pub(crate) pause: u32,
    /// Quiet readings since the last one that was not quiet.
    pub(crate) quiet: u32,
    /// Whether a detection has announced it.
    pub(crate) announced: bool,
    /// Whether all its readings have the pattern of an anomaly that people said was none. It is not
    /// announced.
    pub(crate) is_known: bool,
    /// Whether only steps of stepwise fields, or fields that are stuck, have made it one. Then only these
    /// continue it, or points that would begin one.
    pub(crate) is_by_fields: bool,
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
    /// The anomaly is over: enough usual readings in a row have come. In a long anomaly, they must be
    /// quiet, or as many as its unusual readings.
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

impl ReadingRarity {
    /// Returns the reading as one that begins an anomaly with this threshold.
    pub(crate) fn at_least(self, threshold: f64) -> Self {
        Self { rarity: self.rarity.max(threshold), instantaneous: self.instantaneous.max(FRESH), ..self }
    }
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
        self.is_below(reading, USUAL)
    }

    /// Returns whether a reading is as common as most readings without an anomaly.
    fn is_quiet(self, reading: ReadingRarity) -> bool {
        self.is_below(reading, QUIET)
    }

    fn is_below(self, reading: ReadingRarity, instantaneous: f64) -> bool {
        reading.rarity < self.lasting_threshold || reading.instantaneous < instantaneous
    }
}

impl Default for Regime {
    fn default() -> Self {
        Self::Calm { aftermath: 0 }
    }
}

impl Regime {
    /// Returns whether the histories of the measures learn: no anomaly is open.
    pub(crate) fn learns(&self) -> bool {
        !matches!(self, Self::Anomalous(_))
    }

    /// Returns whether [caution](crate::caution) may hold: no anomaly is open, and the last one was not
    /// accepted as the new normal, or enough usual readings have come since.
    pub(crate) fn allows_caution(&self) -> bool {
        matches!(self, Self::Calm { .. })
    }

    /// Returns whether no anomaly is open, and the end of none is still to be reported.
    pub(crate) fn is_calm(&self) -> bool {
        !matches!(self, Self::Anomalous(_) | Self::Accepted { closed: Some(_), .. })
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
                let lasted = u128::from(at.saturating_sub(ongoing.event.started).max(0).cast_unsigned());
                if !limits.is_usual(reading) {
                    let is_long = lasted >= limits.accept_after && !ongoing.pattern.is_true();
                    return if is_long { Transition::Accept } else { Transition::Continue };
                }
                let pause = ongoing.pause + 1;
                let is_quiet = limits.is_quiet(reading) && ongoing.quiet + 1 >= PAUSE;
                let is_over = pause >= PAUSE && (is_quiet || pause >= ongoing.event.readings());
                if is_over { Transition::End } else { Transition::Pause }
            }
        }
    }

    /// Counts a reading: usual and quiet readings in a row, and the rest of an aftermath.
    pub(crate) fn count(&mut self, reading: ReadingRarity, limits: Limits) {
        let following = |count: u32, counts: bool| if counts { count + 1 } else { 0 };
        if let Self::Calm { aftermath } = self {
            *aftermath = aftermath.saturating_sub(1);
        }
        if let Self::Anomalous(Ongoing { quiet, .. }) = self {
            *quiet = following(*quiet, limits.is_quiet(reading));
        }
        if let Self::Anomalous(Ongoing { pause, .. }) | Self::Accepted { pause, .. } = self {
            *pause = following(*pause, limits.is_usual(reading));
        }
    }

    /// Takes the anomaly that a label has ended. Returns it once.
    pub(crate) fn take_closed(&mut self) -> Option<Box<Ongoing>> {
        if let Self::Accepted { closed, .. } = self { closed.take() } else { None }
    }

    /// Applies a label to the anomaly that began at `started`, if it is open. Returns the change of
    /// the number of raised alarms, and the pattern of the anomaly if the label has ended it. Returns
    /// `None` if the anomaly is not open; nothing changes then.
    pub(crate) fn label(&mut self, started: i64, label: Label) -> Option<(AlarmChange, Option<Pattern>)> {
        let Self::Anomalous(ongoing) = self else { return None };
        if ongoing.event.started != started {
            return None;
        }
        let change = ongoing.pattern.set_label(label);
        if label == Label::True {
            return Some((change, None));
        }
        let mut pattern = ongoing.pattern.clone();
        pattern.end_by_label();
        let closed = Some(Box::new(ongoing.clone()));
        *self = Self::Accepted { rarest: pattern.rarest, pause: 0, closed };
        Some((change, Some(pattern)))
    }
}

#[cfg(test)]
mod tests {
    use std::iter::{repeat, repeat_n};

    use super::*;
    use crate::event::Flagged;

    const LIMITS: Limits = Limits { threshold: 4.0, lasting_threshold: 2.0, accept_after: u128::MAX };

    const ENOUGH: usize = PAUSE as usize;

    fn quiet() -> ReadingRarity {
        ReadingRarity { at: 0, rarity: 3.0, instantaneous: QUIET - 0.1 }
    }

    fn usual() -> ReadingRarity {
        ReadingRarity { instantaneous: USUAL - 0.1, ..quiet() }
    }

    /// Returns after how many of these readings an anomaly of `readings` unusual ones ends.
    fn ends_after(readings: u32, next: impl Iterator<Item = ReadingRarity>) -> usize {
        let flagged = Flagged { at: 0, score: 9.0, grade: 0.8, instantaneous: 4.0, causes: &[] };
        let mut event = OpenEvent::begin(flagged);
        (1..readings).for_each(|_| event.extend(flagged));
        let mut regime = Regime::Anomalous(Ongoing {
            event,
            pattern: Pattern::begin(0),
            pause: 0,
            quiet: 0,
            announced: true,
            is_known: false,
            is_by_fields: false,
        });
        let ends = |next: ReadingRarity| {
            let transition = regime.decide(next, LIMITS);
            regime.count(next, LIMITS);
            transition == Transition::End
        };
        next.take(100).map(ends).position(|is_end| is_end).unwrap() + 1
    }

    #[test]
    fn an_anomaly_ends_with_quiet_readings_or_with_as_many_usual_ones_as_it_had_unusual_ones() {
        let after = |next: ReadingRarity| [1, 5, 40].map(|readings| ends_after(readings, repeat(next)));
        assert_eq!(after(quiet()), [ENOUGH; 3]);
        assert_eq!(after(usual()), [ENOUGH, ENOUGH, 40]);
        assert_eq!(after(ReadingRarity { rarity: 1.9, instantaneous: 4.0, ..quiet() }), [ENOUGH; 3]);
    }

    #[test]
    fn the_quiet_readings_that_end_a_long_anomaly_are_in_a_row() {
        let parts = [repeat_n(quiet(), ENOUGH - 1), repeat_n(usual(), 1), repeat_n(quiet(), ENOUGH)];
        assert_eq!(ends_after(40, parts.into_iter().flatten()), 2 * ENOUGH);
    }
}

//! Keeps the promise of `alarms_per_week` on every kind of series, in two steps.
//!
//! 1. *Rarity.* A general conversion turns the surprise into a rarity. How often a sensor reaches
//!    great surprises depends on its kind: skewed values reach them more often than normal ones.
//!    Therefore the conversion gives way to the sensor's own past, as that grows. Where rare
//!    readings come in bursts, there are fewer bursts than rare readings, and a burst raises one
//!    alarm. Therefore the own past also counts the greatest rarity of each block of readings.
//! 2. *Threshold.* Alarms are few, and the last step from the rarity to their number differs
//!    between sensors. Therefore the threshold rises on a sensor that raises more alarms than it
//!    may, and falls a little on one that raises fewer.

use serde::{Deserialize, Serialize};

use crate::grade::{rarity_of, rarity_threshold};
use crate::tail::Tail;
use crate::verdicts::AlarmKind;

/// Readings after which a sensor's own past counts as much as the general conversion: two weeks at
/// one reading a minute.
const TRUST: f64 = 20_000.0;
/// The weight of the general conversion in the slope of the own tail, in past values.
const PRIOR: f64 = 50.0;
/// Readings of a block. A burst of rare readings is seldom longer, because the long moving means of
/// the measures reach back 16 readings.
const BLOCK: u32 = 32;
/// Bursts do not count for a reading that is as common as this among the readings, and count fully
/// for one as rare as this: only bursts of rare readings raise alarms.
const COMMON: f64 = 1.0;
const RARE: f64 = 3.0;
/// A past of N readings can show that a reading is as rare as one in this many times N, not more.
/// With this number, a young sensor raises a bounded number of alarms beyond the configured ones.
const YOUTH: f64 = 3.0;
/// The control of the threshold that the setting asks for. A new sensor has a credit of two alarms:
/// its threshold is the lowest one at first, and reaches that of the setting with the second alarm.
const ASKED: Control = Control { raised: 6.0, due: 8.0, gain: 6.0 };
/// The control of the lower threshold of a young sensor, without a credit.
const SHOWN: Control = Control { raised: 2.0, due: 2.0, gain: 4.0 };
/// A clear alarm counts as this much of one near the threshold when the threshold rises.
const CLEAR_PART: f64 = 0.25;
/// The threshold falls by at most this much, however few alarms are raised.
const LOWEST: f64 = -0.5;
/// The numbers of alarms are halved when this many are due, so that they follow a sensor that
/// changes.
const MEMORY: f64 = 20.0;

/// How a threshold follows the alarms.
#[derive(Clone, Copy)]
struct Control {
    /// Alarms that count as raised, and as due, before the first reading.
    raised: f64,
    due: f64,
    /// Change of the threshold if ten times as many alarms are raised as are due.
    gain: f64,
}

/// A sensor's past rarities and alarms.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Calibration {
    past: Tail,
    /// The greatest rarities of the past blocks.
    past_blocks: Tail,
    /// The greatest rarity of the block that has begun, and the number of its readings.
    greatest: f64,
    count: u32,
    /// Alarms raised so far, with the credit as it fades, and alarms that the readings so far allow. Both
    /// fade.
    raised: f64,
    due: f64,
    /// The clear ones of the raised alarms. They fade too.
    clear: f64,
}

impl Calibration {
    /// Returns the rarity of a surprise.
    pub(crate) fn rarity(&self, surprise: f64, with_means: bool) -> f64 {
        let general = rarity_of(surprise, with_means);
        let of_reading = self.past.rarity_with_prior(general, PRIOR);
        let excess = (self.rarity_among_blocks(general) - of_reading).max(0.0);
        let part = ((of_reading - COMMON) / (RARE - COMMON)).clamp(0.0, 1.0);
        let own = of_reading + part * excess;
        let past = self.past.total() as f64;
        (past * own + TRUST * general) / (past + TRUST)
    }

    /// Returns the rarity of a reading of a series that has as many blocks as the past with so
    /// great a rarity, but whose readings do not depend on each other. It is 0 before the first
    /// block.
    fn rarity_among_blocks(&self, general: f64) -> f64 {
        if self.past_blocks.total() == 0 {
            return 0.0;
        }
        let of_block = self.past_blocks.rarity_with_prior(general, PRIOR);
        let share_of_blocks = libm::exp10(-of_block).clamp(f64::MIN_POSITIVE, 1.0);
        // A share of 1 − (1 − p)^BLOCK of the blocks has a reading with a share of p.
        let share = -libm::expm1(libm::log1p(-share_of_blocks) / f64::from(BLOCK));
        -libm::log10(share)
    }

    /// Adds a surprise to the past.
    pub(crate) fn learn(&mut self, surprise: f64, with_means: bool) {
        let general = rarity_of(surprise, with_means);
        self.past.learn(general);
        self.greatest = self.greatest.max(general);
        self.count += 1;
        if self.count == BLOCK {
            self.past_blocks.learn(self.greatest);
            (self.greatest, self.count) = (0.0, 0);
        }
    }

    /// Returns the rarity from which a reading begins an alarm. `past` is the number of readings
    /// that the measures have learnt.
    ///
    /// A young past cannot show the rarity that the setting asks for. What it can show suffices,
    /// but not at once: while few of its readings are graded, the threshold is higher by past /
    /// graded, so that a fleet of new sensors does not raise its alarms at the same time.
    pub(crate) fn threshold(&self, alarms_per_week: f64, readings_per_week: f64, past: u64) -> f64 {
        let past = past as f64;
        let graded = self.past.total().max(1) as f64;
        // With fewer than one alarm a week, a young sensor raises fewer too.
        let shown = YOUTH * past * (past / graded).max(1.0) / alarms_per_week.min(1.0);
        let asked = rarity_threshold(readings_per_week / alarms_per_week) + self.correction_of_asked();
        asked.min(rarity_threshold(shown) + self.correction(SHOWN, self.raised))
    }

    /// Returns by how much the alarms so far change the threshold that the setting asks for. A clear
    /// alarm uses up the credit like any other. Beyond that it counts in part: a slightly higher
    /// threshold would not have prevented it, and it says little about the alarms near the threshold.
    fn correction_of_asked(&self) -> f64 {
        let counted = (self.raised - (1.0 - CLEAR_PART) * self.clear).max(0.0);
        let with_all_alarms = self.correction(ASKED, self.raised);
        with_all_alarms.min(self.correction(ASKED, counted).max(0.0))
    }

    /// Returns by how much this number of raised alarms changes a threshold.
    fn correction(&self, control: Control, raised: f64) -> f64 {
        let excess = (raised + control.raised) / (self.due + control.due);
        (control.gain * libm::log10(excess)).max(LOWEST)
    }

    /// Counts the alarms that one reading allows.
    pub(crate) fn count_reading(&mut self, alarms_per_week: f64, readings_per_week: f64) {
        self.due += alarms_per_week / readings_per_week.max(1.0);
        if self.due > MEMORY {
            // The credit fades with the counts: without this, half of it would come back with each halving.
            self.raised += ASKED.due - ASKED.raised;
            self.due /= 2.0;
            self.raised /= 2.0;
            self.clear /= 2.0;
        }
    }

    /// Counts an alarm.
    pub(crate) fn count_alarm(&mut self, kind: AlarmKind) {
        self.raised += 1.0;
        if kind == AlarmKind::Clear {
            self.clear += 1.0;
        }
    }

    /// Takes an alarm back: a person says that it was a true anomaly.
    pub(crate) fn take_back_alarm(&mut self, kind: AlarmKind) {
        self.raised = (self.raised - 1.0).max(0.0);
        if kind == AlarmKind::Clear {
            self.clear = (self.clear - 1.0).max(0.0);
        }
    }

    /// Counts an alarm that was counted as one near the threshold as a clear one from now on.
    pub(crate) fn recount_as_clear(&mut self) {
        self.clear += 1.0;
    }

    /// Returns whether this calibration is consistent. A restored snapshot is checked with it.
    pub(crate) fn is_sound(&self) -> bool {
        self.past.is_sound()
            && self.past_blocks.is_sound()
            && self.greatest >= 0.0
            && self.count < BLOCK
            && self.raised >= 0.0
            && self.clear >= 0.0
            && self.due >= 0.0
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.past.memory_usage() + self.past_blocks.memory_usage()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a calibration that has learnt `count` surprises. Each rarity of the general
    /// conversion is `stretch` times as great as it should be.
    fn learnt(count: u32, stretch: f64) -> Calibration {
        let mut calibration = Calibration::default();
        for i in 0..count {
            let share = (f64::from(i * 7_919 % count) + 0.5) / f64::from(count);
            // Without moving means, the conversion is a factor of 1.2.
            calibration.learn(-libm::log10(share) * stretch / 1.2, false);
        }
        calibration
    }

    #[test]
    fn the_own_past_corrects_the_general_conversion() {
        let rarity = |count, stretch| learnt(count, stretch).rarity(3.0 / 1.2, false);
        assert!((rarity(99_991, 1.0) - 3.0).abs() < 0.1, "{}", rarity(99_991, 1.0));
        let corrected = rarity(99_991, 1.5);
        assert!((2.0..2.2).contains(&corrected), "{corrected}");
        let young = rarity(997, 1.5);
        assert!(young > 2.8, "a short past hardly counts: {young}");
    }

    #[test]
    fn a_burst_of_rare_readings_counts_about_as_one() {
        let (mut scattered, mut in_bursts) = (Calibration::default(), Calibration::default());
        for i in 0..96_000_u32 {
            let of = |is_rare: bool| if is_rare { 2.5 } else { f64::from(i % 10) / 10.0 };
            scattered.learn(of(i % 1_000 == 0), false);
            in_bursts.learn(of(i % 16_000 < 16), false);
        }
        let [each, burst] = [&scattered, &in_bursts].map(|calibration| calibration.rarity(2.4, false));
        assert!((2.5..3.4).contains(&each) && burst > each + 0.5, "{each} {burst}");
    }

    #[test]
    fn a_young_past_can_reach_the_threshold() {
        let threshold = |graded, alarms, past| learnt(graded, 1.0).threshold(alarms, 604_800.0, past);
        let is = |threshold: f64, one_in: f64| (threshold - libm::log10(one_in)).abs() < 1e-9;
        assert!(is(threshold(900, 1.0, 1_000), 3_000.0 / 0.9));
        assert!(is(threshold(100, 1.0, 200), 1_200.0), "few readings are graded");
        assert!(is(threshold(0, 1.0, 128), 3.0 * 128.0 * 128.0));
        let asked = threshold(900, 1.0, 10_000_000) - LOWEST;
        assert!(is(asked, 604_800.0), "{asked}");
    }

    #[test]
    fn a_young_past_asks_for_no_less_than_the_setting_and_for_no_less_than_it_can_show() {
        let threshold = |alarms| learnt(900, 1.0).threshold(alarms, 604_800.0, 900);
        let is = |threshold: f64, one_in: f64| (threshold - libm::log10(one_in)).abs() < 1e-9;
        assert!(is(threshold(50.0), 2_700.0), "what the past can show, although more alarms are allowed");
        assert!(is(threshold(1_000.0) - LOWEST, 604.8), "what the setting asks for");
        assert!(is(threshold(0.1), 27_000.0));
    }

    #[test]
    fn alarms_beyond_the_due_ones_raise_the_threshold() {
        let mut calibration = Calibration::default();
        let usual = libm::log10(10_080.0);
        for _ in 0..40_320 {
            calibration.count_reading(1.0, 10_080.0);
        }
        let quiet = calibration.threshold(1.0, 10_080.0, 1_000_000);
        assert!((LOWEST - 1e-9..0.0).contains(&(quiet - usual)));
        (0..20).for_each(|_| calibration.count_alarm(AlarmKind::Near));
        let loud = calibration.threshold(1.0, 10_080.0, 1_000_000);
        assert!(loud > usual + 1.0, "{usual} {loud}");
        (0..20).for_each(|_| calibration.take_back_alarm(AlarmKind::Near));
        assert!((calibration.threshold(1.0, 10_080.0, 1_000_000) - quiet).abs() < 1e-9);
    }

    #[test]
    fn the_credit_does_not_come_back_when_the_counts_are_halved() {
        let mut calibration = Calibration { due: MEMORY, raised: MEMORY + 2.0, ..Calibration::default() };
        for _ in 0..10 {
            assert!(calibration.correction_of_asked().abs() < 0.02, "{calibration:?}");
            // Until the next halving, every due alarm is raised.
            calibration.count_alarm(AlarmKind::Near);
            calibration.count_reading(1.0, 1.0);
            let rest = (MEMORY - calibration.due).floor();
            calibration.due += rest;
            calibration.raised += rest;
        }
    }

    #[test]
    fn a_new_sensor_has_a_credit_of_two_alarms() {
        let mut calibration = Calibration::default();
        let mut raise = || {
            let change = calibration.threshold(1.0, 10_080.0, 1_000_000) - libm::log10(10_080.0);
            calibration.count_alarm(AlarmKind::Near);
            change
        };
        let changes: Vec<f64> = (0..4).map(|_| raise()).collect();
        assert!((changes[0] - LOWEST).abs() < 1e-9 && changes[1] < -0.3, "{changes:?}");
        assert!(changes[2].abs() < 1e-9 && changes[3] > 0.3, "{changes:?}");
    }

    #[test]
    fn a_clear_alarm_uses_up_the_credit_and_hardly_raises_the_threshold() {
        let changes = |kind: AlarmKind| -> Vec<f64> {
            let mut calibration = Calibration::default();
            let mut next = || {
                calibration.count_alarm(kind);
                calibration.correction_of_asked()
            };
            (0..40).map(|_| next()).collect()
        };
        let (near, clear) = (changes(AlarmKind::Near), changes(AlarmKind::Clear));
        assert_eq!(near[..2], clear[..2], "the credit");
        assert!(clear[..7].iter().all(|&change| change <= 1e-9) && near[6] > 1.2, "{near:?} {clear:?}");
        assert!(clear.is_sorted() && (1.5..2.5).contains(&clear[39]), "a flood raises it: {clear:?}");
    }

    #[test]
    fn an_alarm_that_becomes_clear_is_taken_back_as_a_clear_one() {
        let mut calibration = Calibration::default();
        calibration.count_alarm(AlarmKind::Near);
        calibration.recount_as_clear();
        calibration.take_back_alarm(AlarmKind::Clear);
        assert_eq!(calibration, Calibration::default());
    }

    #[test]
    fn clear_alarms_fade_with_all_others() {
        let mut calibration =
            Calibration { due: MEMORY, raised: MEMORY, clear: MEMORY, ..Calibration::default() };
        calibration.count_reading(1.0, 1.0);
        assert_eq!((calibration.clear, calibration.raised), (MEMORY / 2.0, MEMORY / 2.0 + 1.0));
    }
}

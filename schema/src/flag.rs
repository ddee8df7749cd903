//! The bits of the column `flags` of the table `readings`.

/// A property of a stored reading besides its score. The bits are stable: they are stored, and the
/// views of the database read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Flag {
    /// The detector knew too little of the sensor to grade the reading.
    WarmingUp,
    /// The reading is part of an anomaly.
    Anomaly,
    /// The reading was not newer than an earlier one of its sensor: stored without a score.
    Late,
    /// The reading panicked its detector or crashed the process repeatedly: stored without a score.
    Poison,
    /// The message had no timestamp, or one too far ahead of its arrival: the time is the engine's.
    Stamped,
    /// The reading is part of an anomaly that a rule of the sensor's configuration suppresses.
    Suppressed,
    /// A field was missing, and the detector filled in the usual value.
    Imputed,
    /// A field repeats its value for far longer than before.
    Stuck,
    /// The reading is the first after a gap of many times the usual interval.
    AfterSilence,
    /// The anomaly continues, and the detector learns slowly from its readings.
    LearningSlowed,
    /// The reading has no field that its detector scores: stored without a score.
    Unscored,
    /// Another reading of the sensor has the written time: the reading is stored up to a
    /// millisecond later, at the next free microsecond.
    Shifted = 11,
}

impl Flag {
    /// Returns its bit in the column `flags`.
    pub const fn bit(self) -> i32 {
        1 << self as i32
    }

    /// Returns whether the flag is set in a value of the column `flags`.
    pub const fn is_in(self, flags: i32) -> bool {
        flags & self.bit() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Flag; 12] = [
        Flag::WarmingUp,
        Flag::Anomaly,
        Flag::Late,
        Flag::Poison,
        Flag::Stamped,
        Flag::Suppressed,
        Flag::Imputed,
        Flag::Stuck,
        Flag::AfterSilence,
        Flag::LearningSlowed,
        Flag::Unscored,
        Flag::Shifted,
    ];

    /// The bits are stored, so they must never change.
    #[test]
    fn each_flag_has_the_bit_that_is_stored() {
        let bits = ALL.map(Flag::bit);
        assert_eq!(bits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048]);
        assert!(Flag::Late.is_in(4 | 16));
        assert!(!Flag::Late.is_in(16));
    }
}

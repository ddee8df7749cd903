//! The bits of the column `flags` of the table `readings`.

/// What is known of a stored reading beside its score. The bits are stable: they are stored, and
/// the views of the database read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Flag {
    /// The detector knew too little of the sensor to grade the reading.
    WarmingUp,
    /// The reading is part of an anomaly.
    Anomaly,
    /// The reading was not newer than an earlier one of its sensor: stored without a score.
    Late,
    /// The reading panicked its detector repeatedly: stored without a score.
    Poison,
    /// The message had no timestamp; the engine stamped the time of arrival.
    Stamped,
    /// The reading is part of an anomaly that a rule of the sensor's configuration suppresses.
    Suppressed,
    /// A field was missing; the detector filled in what is usual.
    Imputed,
    /// A field repeats its value for far longer than it ever did.
    Stuck,
    /// The reading is the first after a gap of many times the usual interval.
    AfterSilence,
    /// An anomaly lasts, and the detector learns slowly from its readings.
    LearningSlowed,
}

impl Flag {
    /// Every flag, in the order of the bits.
    pub const ALL: [Self; 10] = [
        Self::WarmingUp,
        Self::Anomaly,
        Self::Late,
        Self::Poison,
        Self::Stamped,
        Self::Suppressed,
        Self::Imputed,
        Self::Stuck,
        Self::AfterSilence,
        Self::LearningSlowed,
    ];

    /// Its bit in the column `flags`.
    pub const fn bit(self) -> i32 {
        1 << self as i32
    }

    /// Its name, as the views of the database have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WarmingUp => "warming_up",
            Self::Anomaly => "anomaly",
            Self::Late => "late",
            Self::Poison => "poison",
            Self::Stamped => "stamped",
            Self::Suppressed => "suppressed",
            Self::Imputed => "imputed",
            Self::Stuck => "stuck",
            Self::AfterSilence => "after_silence",
            Self::LearningSlowed => "learning_slowed",
        }
    }

    /// Whether the flag is set in the column's value.
    pub const fn is_in(self, flags: i32) -> bool {
        flags & self.bit() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bits are stored: these are the ones that the database has.
    #[test]
    fn each_flag_has_the_bit_that_is_stored() {
        let bits = Flag::ALL.map(Flag::bit);
        assert_eq!(bits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
        assert!(Flag::Late.is_in(4 | 16));
        assert!(!Flag::Late.is_in(16));
    }
}

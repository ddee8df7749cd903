//! The *rest rule*: distinguishes the beginning of something unusual from its continuation. A
//! reading is an onset only if it is more unusual than each of the last hundred readings.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Number of earlier readings that an onset must exceed.
const REST: u64 = 100;

/// The record holders among the last readings, oldest first. Each record is greater than all later
/// values. The number beside it is its reading's `seq`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Onset {
    records: VecDeque<(u64, f64)>,
}

impl Onset {
    /// Adds a value. Returns whether it is greater than each of the last [`REST`] values. `seq` is
    /// the number of the reading.
    pub(crate) fn begins(&mut self, seq: u64, value: f64) -> bool {
        while self.records.front().is_some_and(|&(record_seq, _)| record_seq + REST < seq) {
            self.records.pop_front();
        }
        let begins = self.records.front().is_none_or(|&(_, record)| value > record);
        while self.records.back().is_some_and(|&(_, record)| record <= value) {
            self.records.pop_back();
        }
        self.records.push_back((seq, value));
        begins
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.records.capacity() * size_of::<(u64, f64)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_onset_exceeds_every_one_of_the_last_readings(values in proptest::collection::vec(0_u8..20, 1..400)) {
            let mut onset = Onset::default();
            for (seq, &value) in values.iter().enumerate() {
                let before = &values[seq.saturating_sub(REST as usize)..seq];
                let expected = before.iter().all(|&other| value > other);
                prop_assert_eq!(onset.begins(seq as u64, f64::from(value)), expected);
            }
        }
    }
}

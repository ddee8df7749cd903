//! Deliberate faults, as devices and networks cause them. The seed determines all of them.

use crate::{random::Key, time};

/// The share of messages or readings with each kind of fault, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Messages that are published twice in a row.
    pub duplicates: f64,
    /// Readings before which a malformed message is published on the sensor's topic. The reading
    /// itself is published as usual.
    pub malformed: f64,
    /// Readings that are published after up to 30 newer readings of their sensor.
    pub late: f64,
}

impl Faults {
    pub(super) fn validate(self) -> Result<(), String> {
        for (name, share) in
            [("duplicates", self.duplicates), ("malformed", self.malformed), ("late", self.late)]
        {
            if !(0.0..=1.0).contains(&share) {
                return Err(format!("the share of {name} must lie between 0 and 1, not {share}"));
            }
        }
        Ok(())
    }
}

/// Decides which reading has which fault: a pure function of seed, sensor and frame.
pub(super) struct FaultPlan {
    key: Key,
    faults: Faults,
}

impl FaultPlan {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        Self { key: Key::root(seed, "faults"), faults }
    }

    /// Returns whether the message that begins with this reading is published twice.
    pub(super) fn duplicated(&self, sensor: usize, frame: u64) -> bool {
        self.faults.duplicates > 0.0 && self.key(sensor, frame, 1).unit() < self.faults.duplicates
    }

    /// Returns by how many frames a reading is held back (2 to 30), or `None`. A reading is never
    /// held back together with its successor, so a newer reading is always published before it.
    pub(super) fn held_back(&self, sensor: usize, frame: u64) -> Option<u64> {
        let held = |frame| self.key(sensor, frame, 2).unit() < self.faults.late;
        let late = self.faults.late > 0.0 && held(frame) && !held(frame + 1);
        late.then(|| 2 + self.key(sensor, frame, 3).choice(29) as u64)
    }

    /// Returns a malformed payload to publish before the reading, or `None`. No two are equal.
    pub(super) fn malformed(&self, sensor: usize, frame: u64, ts: i64) -> Option<Vec<u8>> {
        if self.faults.malformed == 0.0 || self.key(sensor, frame, 4).unit() >= self.faults.malformed {
            return None;
        }
        let at = time::format(ts);
        let text = match self.key(sensor, frame, 5).choice(7) {
            0 => format!(r#"{{"ts":"{at}","laeq_db":"#),
            1 => format!(r#"{{"ts":"{at}","laeq_db":NaN}}"#),
            2 => format!(r#"{{"ts":"{at}","status":"ok"}}"#),
            3 => format!(r#"{{"ts":"2099-01-01T00:00:00Z","laeq_db":52.5,"frame":{frame}}}"#),
            4 => format!(r#"{{"ts":"half past nine","laeq_db":52.5,"frame":{frame}}}"#),
            5 => format!(r#"{{"ts":"{at}","laeq_db":1e999}}"#),
            _ => return Some([b"\xff\xfe\x00", at.as_bytes()].concat()),
        };
        Some(text.into_bytes())
    }

    fn key(&self, sensor: usize, frame: u64, purpose: u64) -> Key {
        self.key.at(sensor as u64).at(frame).at(purpose)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_kept() {
        let plan = FaultPlan::new(1, Faults { duplicates: 0.1, malformed: 0.05, late: 0.02 });
        let frames = 0..50_000;
        let duplicates = frames.clone().filter(|&frame| plan.duplicated(3, frame)).count();
        let malformed = frames.clone().filter(|&frame| plan.malformed(3, frame, 0).is_some()).count();
        let late = frames.filter(|&frame| plan.held_back(3, frame).is_some()).count();
        assert!((4_700..5_300).contains(&duplicates), "{duplicates}");
        assert!((2_300..2_700).contains(&malformed), "{malformed}");
        assert!((850..1_100).contains(&late), "{late}");
    }

    #[test]
    fn no_two_successive_readings_are_held_back() {
        let plan = FaultPlan::new(2, Faults { late: 0.7, ..Faults::default() });
        let held: Vec<bool> = (0..5_000).map(|frame| plan.held_back(0, frame).is_some()).collect();
        assert!(held.iter().any(|&held| held));
        assert!(held.windows(2).all(|pair| !(pair[0] && pair[1])));
    }

    #[test]
    fn malformed_payloads_differ_and_are_malformed() {
        let plan = FaultPlan::new(3, Faults { malformed: 1.0, ..Faults::default() });
        let decoder = thicket_codecs::PayloadDecoder::default();
        let in_a_year = 1_798_761_600_000_000;
        let mut seen = std::collections::HashSet::new();
        for frame in 0..200 {
            let payload = plan.malformed(0, frame, 1_767_225_600_000_000 + frame as i64).unwrap();
            // Either it cannot be decoded, or its time is too far in the future to be accepted.
            let usable = decoder.decode(&payload).is_ok_and(|measurements| {
                measurements.iter().flatten().any(|one| one.ts.is_none_or(|ts| ts.as_micros() < in_a_year))
            });
            assert!(!usable, "{}", String::from_utf8_lossy(&payload));
            assert!(seen.insert(payload));
        }
    }
}

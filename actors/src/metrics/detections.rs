//! Counts what detectors say of readings.

use thicket_detector::{Detection, Marks};

use super::Metrics;

impl Metrics {
    /// Counts a detection's marks, and its anomaly if that begins.
    pub(crate) fn count_detection(&self, detection: &Detection) {
        self.anomalies.inc_by(u64::from(detection.event.as_ref().is_some_and(|event| event.is_new)));
        for (mark, is_set) in marks(detection.marks) {
            if is_set {
                self.readings_marked.with_label_values(&[mark]).inc();
            }
        }
    }
}

/// Returns the marks of a reading that are counted, with their names.
pub(super) fn marks(marks: Marks) -> [(&'static str, bool); 5] {
    let Marks { suppressed, imputed, stuck, after_silence, learning_slowed, .. } = marks;
    [
        ("suppressed", suppressed),
        ("imputed", imputed),
        ("stuck", stuck),
        ("after_silence", after_silence),
        ("learning_slowed", learning_slowed),
    ]
}

//! The metrics of what detectors say of readings.

use prometheus::{IntCounter, IntCounterVec};
use thicket_detector::{Detection, Marks};

use super::registrar::{MetricsError, Registrar};

/// The metrics of detections. A field has the name of its metric, without `thicket_` and `_total`.
#[derive(Clone, Debug)]
pub struct DetectionMetrics {
    /// Anomalies that began. An anomaly is an event of consecutive anomalous readings.
    pub anomalies: IntCounter,
    /// Scored readings by mark: `suppressed`, `imputed`, `stuck`, `after_silence`,
    /// `learning_slowed`.
    pub readings_marked: IntCounterVec,
}

impl DetectionMetrics {
    pub(super) fn new(r: &Registrar<'_>) -> Result<Self, MetricsError> {
        let metrics = Self {
            anomalies: r.counter(
                "anomalies_total",
                "Anomalies that began. An anomaly is an event of consecutive anomalous readings.",
            )?,
            readings_marked: r.counters("readings_marked_total", "Scored readings by mark.", &["mark"])?,
        };
        for (mark, _) in marks(Marks::default()) {
            metrics.readings_marked.with_label_values(&[mark]).inc_by(0);
        }
        Ok(metrics)
    }

    /// Counts a detection's marks, and its anomaly if that begins.
    pub(crate) fn count(&self, detection: &Detection) {
        self.anomalies.inc_by(u64::from(detection.event.as_ref().is_some_and(|event| event.is_new)));
        for (mark, is_set) in marks(detection.marks) {
            if is_set {
                self.readings_marked.with_label_values(&[mark]).inc();
            }
        }
    }
}

/// Returns the marks of a reading that are counted, with their names.
fn marks(marks: Marks) -> [(&'static str, bool); 5] {
    let Marks { suppressed, imputed, stuck, after_silence, learning_slowed, .. } = marks;
    [
        ("suppressed", suppressed),
        ("imputed", imputed),
        ("stuck", stuck),
        ("after_silence", after_silence),
        ("learning_slowed", learning_slowed),
    ]
}

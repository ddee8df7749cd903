//! The last line of the output: the most important figures, for programs to read.

use serde::{Serialize, Serializer};

/// The measured figures; figures that were not measured are left out. A speedup is the time of
/// krcflib divided by the time of rrcf-rs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Results {
    /// Sliding window against FIFO-like, 100 trees × 256 points, shingle 8.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rounded")]
    pub speedup_fifo: Option<f64>,
    /// Time-decayed reservoir against default decay, at the same size.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rounded")]
    pub speedup_decay: Option<f64>,
    /// Resident memory of a warm rrcf-rs forest of that size, with a sliding window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Size of that forest's snapshot, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_bytes: Option<u64>,
    /// Time to restore that snapshot, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rounded")]
    pub restore_us: Option<f64>,
    /// Sliding window against FIFO-like with cold caches, 50 trees × 256 points, shingle 8.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rounded")]
    pub speedup_cold: Option<f64>,
    /// Minimum speedup of the sliding window against FIFO-like over all data, shapes and numbers of
    /// trees.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rounded")]
    pub worst_case_speedup: Option<f64>,
}

#[expect(clippy::ref_option, reason = "serde requires this signature")]
fn rounded<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(|value| (value * 100.0).round() / 100.0).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_left_out() {
        let results = Results { speedup_fifo: Some(12.345), memory_bytes: Some(1_000), ..Results::default() };
        let line = serde_json::to_string(&results).unwrap();
        assert_eq!(line, r#"{"speedup_fifo":12.35,"memory_bytes":1000}"#);
        assert_eq!(serde_json::to_string(&Results::default()).unwrap(), "{}");
    }
}

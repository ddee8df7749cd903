//! What a reading costs beside its detector, as it was measured (docs/costs.md): one reading per
//! message, on an AMD EPYC with 2 virtual cores. Tests keep the sizes true within a fifth.

use thicket_detector::Profile;

/// Bytes of a row of `readings` with its index, without values.
const ROW_BYTES: u64 = 172;
/// Bytes of a reading in the log, without values.
const LOG_BYTES: u64 = 20;
/// Bytes of a value in a row and in the log.
const VALUE_BYTES: u64 = 8;
/// Memory of Redis without log and checkpoints.
pub(super) const REDIS_BYTES: u64 = 20_000_000;
/// CPU of the engine for a reading, beside its detector, in microseconds.
const ENGINE_MICROS: f64 = 12.0;
/// CPU of the broker, PostgreSQL and Redis for a reading, in microseconds.
pub(super) const BROKER_MICROS: f64 = 24.0;
pub(super) const POSTGRES_MICROS: f64 = 19.0;
pub(super) const REDIS_MICROS: f64 = 9.0;

/// Returns the bytes that a reading takes in PostgreSQL.
pub(super) fn row_bytes(fields: u16) -> u64 {
    ROW_BYTES + VALUE_BYTES * u64::from(fields)
}

/// Returns the bytes that a reading takes in the log.
pub(super) fn log_bytes(fields: u16) -> u64 {
    LOG_BYTES + VALUE_BYTES * u64::from(fields)
}

/// Returns the CPU of the engine for a reading, in microseconds. `trees` are those of its detector.
pub(super) fn engine_micros(profile: Profile, trees: usize, fields: u16) -> f64 {
    // Microseconds of the first field and of each further one, if the readings of many sensors
    // alternate; and the trees with which they were measured.
    let (first, further, measured) = match profile {
        Profile::Small => (6.9, 1.2, 5),
        Profile::Medium => (10.5, 1.5, 8),
        Profile::Large => (26.0, 2.6, 24),
    };
    let scoring = first + further * f64::from(fields.saturating_sub(1));
    scoring * trees as f64 / f64::from(measured) + ENGINE_MICROS
}

//! The errors of this crate. No error changes a forest.

/// The reason why a forest was not built, a point not accepted, or a snapshot not read.
///
/// After any error the forest is exactly as it was before the call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A size of the configuration is zero or beyond its limit.
    #[error("{what} is {got}, but must be between 1 and {most}")]
    OutOfRange {
        /// The size: `dimensions`, `trees`, `window`, `shingle`, `trees * window` or `dimensions *
        /// shingle`.
        what: &'static str,
        /// The value that the caller asked for.
        got: usize,
        /// The largest value allowed.
        most: usize,
    },
    /// A slice has the wrong number of values.
    #[error("{what} has {got} values, but the forest needs {expected}")]
    WrongLength {
        /// The slice: `point`, `contributions` or `weights`.
        what: &'static str,
        /// Number of values given.
        got: usize,
        /// Number of values that the forest needs.
        expected: usize,
    },
    /// A value of a point is NaN or infinite.
    #[error("value {dimension} of the point is not finite")]
    NotFinite {
        /// Index of the first such value.
        dimension: usize,
    },
    /// A weight is not a finite number above zero.
    #[error("weight {dimension} is not a finite number above zero")]
    BadWeight {
        /// Index of the first such weight.
        dimension: usize,
    },
    /// The rate of decay of a time-decayed sample is not a number between 0 and 1,000,000.
    #[error("the rate of decay is not a number between 0 and 1,000,000")]
    BadRate,
    /// The bytes are not a snapshot, or have been changed.
    #[error("the snapshot is damaged: {0}")]
    DamagedSnapshot(&'static str),
    /// A newer version of this crate wrote the snapshot in a newer format.
    #[error("the snapshot has format {found}, but this version reads only formats up to {newest}")]
    NewerSnapshot {
        /// The format of the snapshot.
        found: u16,
        /// The newest format that this version reads.
        newest: u16,
    },
    /// The forest in the snapshot needs more memory than the caller allows.
    #[error("the forest in the snapshot needs {needed} bytes, but only {limit} are allowed")]
    TooMuchMemory {
        /// Bytes that the restored forest would take.
        needed: u64,
        /// Bytes that the caller allows.
        limit: u64,
    },
}

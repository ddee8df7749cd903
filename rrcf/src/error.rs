//! What can go wrong. An error never changes a forest.

/// Why a forest was not built, a point not taken, or a snapshot not read.
///
/// Whatever the error, the forest is exactly as it was before the call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A size of the configuration is zero or beyond its limit.
    #[error("{what} is {got}, but must be between 1 and {most}")]
    OutOfRange {
        /// The size in question: `dimensions`, `trees`, `window`, `shingle`, `trees * window` or `dimensions * shingle`.
        what: &'static str,
        /// What was asked for.
        got: usize,
        /// The largest value allowed.
        most: usize,
    },
    /// A slice has the wrong number of values.
    #[error("{what} has {got} values, but the forest needs {expected}")]
    WrongLength {
        /// The slice in question: `point`, `contributions` or `weights`.
        what: &'static str,
        /// How many values came.
        got: usize,
        /// How many the forest needs.
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
    /// The rate of a time-decayed sample is not a number between zero and a million.
    #[error("the rate of decay is not a number between 0 and 1,000,000")]
    BadRate,
    /// The bytes are no snapshot, or were changed on their way.
    #[error("the snapshot is damaged: {0}")]
    DamagedSnapshot(&'static str),
    /// The snapshot was written by a version of this crate that knows a newer format.
    #[error("the snapshot has format {found}, this version reads formats up to {newest}")]
    NewerSnapshot {
        /// The format of the snapshot.
        found: u16,
        /// The newest format this version reads.
        newest: u16,
    },
    /// The forest in the snapshot would take more memory than the caller allows.
    #[error("the forest of the snapshot needs {needed} bytes, more than the {limit} allowed")]
    TooMuchMemory {
        /// Bytes the restored forest would take.
        needed: u64,
        /// Bytes allowed.
        limit: u64,
    },
}

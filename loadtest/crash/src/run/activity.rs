//! How far the engines of a case are.

use thicket_schema::Position;

/// What changes while engines work. It has no line of a log: an engine that hangs may still warn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Activity {
    /// The end of each log.
    pub(super) newest: Vec<Position>,
    /// The committed position of each partition.
    pub(super) committed: Vec<Position>,
}

//! A point that enters the trees.

use crate::lanes::Probe;

/// A point that enters the trees, or is only scored.
pub(crate) struct Arrival<'a> {
    pub(crate) probe: &'a Probe,
    /// The slot of the point, if it stays.
    pub(crate) slot: u32,
    /// The slot that represents its value now, or `None` if no equal point is held.
    pub(crate) duplicate: Option<u32>,
    /// Weights of the dimensions, with zeros after the last.
    pub(crate) weights: &'a [f32],
    /// Whether to find out which dimension the collusive displacement comes from.
    pub(crate) attribute: bool,
}

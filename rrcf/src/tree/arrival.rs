//! A point that comes into the trees.

use crate::lanes::Probe;

/// A point on its way into the trees.
pub(crate) struct Arrival<'a> {
    pub(crate) probe: &'a Probe,
    /// The slot where it stands, if it is to stay.
    pub(crate) slot: u32,
    /// The slot that stands for its value now, if there is one.
    pub(crate) duplicate: Option<u32>,
    /// Weights of the dimensions, with zeros behind the last.
    pub(crate) weights: &'a [f32],
    /// Whether it is to be said which dimension the collusive displacement comes from.
    pub(crate) attribute: bool,
}

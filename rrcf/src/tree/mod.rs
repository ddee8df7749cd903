//! One random cut tree over the points of a forest.
//!
//! The upper part is a binary tree of nodes ([`nodes`]), each with a cut, a mass and a bounding
//! box. Below it, every subtree of at most sixteen points is a [`bucket`] without nodes and boxes,
//! because computing a box from the points is faster there than reading it from memory. A leaf
//! represents all points of equal value. There are no links upwards: the cuts lead to any point.
//!
//! # Safety
//!
//! A tree reads boxes and points without checks. Its unsafe functions therefore ask for *parts of
//! one forest*:
//!
//! - The trees, the pool and the store are those of one [`Forest`](crate::Forest). So every box of
//!   a node is in the pool, and every leaf has the slot of a point in the store.
//! - Every point has the width of the store: as many values as the points of the forest. The
//!   buffers and the pool were made for this width, and the weights have whole eights of it.
//! - The slot of a point that is inserted has its values in the store.
//! - A way is that of the point through this tree, which has not changed since, and a nest is that
//!   of the point through the bucket at the end of the way.
//! - `EIGHTS` is the number of eights in a point, or 0.
//!
//! A record is different: its bytes are found with a check of bounds and read without one, so
//! reading a record that is not one of the tree gives wrong values, but stays within the pool.

mod arrival;
mod ask;
mod bucket;
mod bytes;
mod descend;
mod edit;
mod forget;
mod insert;
mod layout;
mod levels;
mod link;
mod locate;
mod nest;
mod nodes;
mod placement;
mod pool;
mod prefetch;
mod restore;
mod scratch;
mod shape;
mod view;
mod work;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use arrival::Arrival;
pub(crate) use descend::{TOGETHER, Ways, descend};
pub(crate) use forget::Departure;
pub(crate) use layout::{Layout, Malformed};
pub(crate) use nest::Nest;
pub(crate) use nodes::Tree;
pub(crate) use placement::Placement;
pub(crate) use pool::Pool;
pub(crate) use scratch::Scratch;
pub(crate) use work::{Aside, Work};

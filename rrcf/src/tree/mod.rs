//! One random cut tree over the points of a forest.
//!
//! The upper part is a binary tree of nodes ([`nodes`]), each with a cut, a mass and a bounding
//! box. Below it, every subtree of at most sixteen points is a [`bucket`] without nodes and boxes,
//! because computing a box from the points is faster there than reading it from memory. A leaf
//! represents all points of equal value. There are no links upwards: the cuts lead to any point.

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

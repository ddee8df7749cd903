//! A forest to bytes.

use super::{CHECKSUM, FORMAT, HEADER, MAGIC, checksum, index_bytes, tree_bytes};
use crate::Forest;
use crate::tree::{Layout, Tree};

pub(super) fn encode(forest: &Forest) -> Vec<u8> {
    let points = &forest.points;
    let distinct = forest.trees.first().map_or(0, Tree::distinct);
    let values = forest.weights.len() + points.raw_len() * points.dimensions();
    let trees = forest.trees.len() * tree_bytes(distinct, points.len(), points.width());
    let size = HEADER + 4 * values + trees + CHECKSUM;

    let mut out = Vec::with_capacity(size);
    out.extend(MAGIC);
    out.extend(FORMAT.to_le_bytes());
    for size in [points.dimensions(), points.shingle(), points.window(), forest.trees.len()] {
        out.extend((size as u32).to_le_bytes());
    }
    out.extend(points.pushed().to_le_bytes());
    out.extend((distinct as u32).to_le_bytes());
    for value in forest.weights.iter().chain(points.raw().flatten()) {
        out.extend(value.to_le_bytes());
    }
    let mut layout = Layout::default();
    for tree in &forest.trees {
        tree.lay_out(points, &mut layout);
        write_tree(&mut out, tree.rng_state(), &layout, points.len(), points.width());
    }
    out.extend(checksum(&out).to_le_bytes());
    debug_assert_eq!(out.len(), size);
    out
}

fn write_tree(out: &mut Vec<u8>, rng: u64, layout: &Layout, held: usize, width: usize) {
    out.extend(rng.to_le_bytes());
    for eight in layout.inner.chunks(8) {
        out.push(eight.iter().rev().fold(0, |byte, &inner| byte << 1 | u8::from(inner)));
    }
    let dimension_bytes = index_bytes(width);
    for (dimension, _) in &layout.cuts {
        out.extend(&dimension.to_le_bytes()[..dimension_bytes]);
    }
    for (_, value) in &layout.cuts {
        out.extend(value.to_le_bytes());
    }
    let age_bytes = index_bytes(held);
    for age in &layout.leaves {
        out.extend(&age.to_le_bytes()[..age_bytes]);
    }
}

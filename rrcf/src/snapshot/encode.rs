//! Encodes a forest as bytes.

use alloc::vec;
use alloc::vec::Vec;

use super::bits::{BitWriter, bits_for, rank};
use super::format::{DECAYED, FORMAT, MAGIC, RESERVOIR, SLIDING, checksum};
use crate::builder::Sampling;
use crate::forest::Forest;
use crate::reservoir::Reservoir;
use crate::store::Store;
use crate::tree::Layout;
use crate::window::Window;

pub(super) fn encode(forest: &Forest) -> Vec<u8> {
    let store = &forest.store;
    let mut out = Vec::new();
    out.extend(MAGIC);
    out.extend(FORMAT.to_le_bytes());
    for size in [forest.dimensions(), forest.shingle(), forest.window(), forest.trees()] {
        out.extend((size as u32).to_le_bytes());
    }
    out.extend(forest.updates().to_le_bytes());
    out.extend((store.distinct() as u32).to_le_bytes());
    match forest.sampling() {
        Sampling::SlidingWindow => out.push(SLIDING),
        Sampling::Reservoir => out.push(RESERVOIR),
        Sampling::TimeDecayed { rate } => {
            out.push(DECAYED);
            out.extend(rate.to_le_bytes());
        }
    }
    write_floats(&mut out, &forest.weights);
    let (names, numbers) = match &forest.window {
        Window::Sliding(ring) => {
            out.extend((ring.raw_len() as u32).to_le_bytes());
            for point in ring.raw(store) {
                write_floats(&mut out, point);
            }
            let gone: Vec<u32> =
                (0..ring.len() as u32).filter(|&age| ring.is_gone(ring.slot(age as usize))).collect();
            out.extend((gone.len() as u32).to_le_bytes());
            for age in gone {
                out.extend(age.to_le_bytes());
            }
            let mut numbers = vec![0; store.places()];
            for age in 0..ring.len() {
                numbers[ring.slot(age) as usize] = age as u32;
            }
            (ring.len(), numbers)
        }
        Window::Sampled(reservoir) => (store.distinct(), write_sample(&mut out, reservoir, store)),
    };
    let mut layout = Layout::default();
    for tree in &forest.trees {
        tree.lay_out(&forest.pool, store, &mut layout);
        out.extend(tree.rng().state().to_le_bytes());
        write_tree(&mut out, &layout, store.width(), names, &numbers);
    }
    out.extend(checksum(&out).to_le_bytes());
    out
}

fn write_floats(out: &mut Vec<u8>, values: &[f32]) {
    for value in values {
        out.extend(value.to_le_bytes());
    }
}

/// Writes a sample. Returns for every slot the number of its point. Points are numbered in the
/// order in which the heap first refers to them.
fn write_sample(out: &mut Vec<u8>, reservoir: &Reservoir, store: &Store) -> Vec<u32> {
    out.extend(reservoir.rng().state().to_le_bytes());
    write_floats(out, reservoir.recent());
    out.extend((reservoir.held().len() as u32).to_le_bytes());
    let mut numbers = vec![u32::MAX; store.places()];
    let mut slots = Vec::with_capacity(store.distinct());
    for held in reservoir.held() {
        out.extend(held.key.to_le_bytes());
        let number = &mut numbers[held.slot as usize];
        if *number == u32::MAX {
            *number = slots.len() as u32;
            slots.push(held.slot);
        }
        out.extend(number.to_le_bytes());
    }
    for slot in slots {
        write_floats(out, store.point(slot));
    }
    numbers
}

/// Writes a tree. `names` is the number of possible leaves, and `numbers` has the name of each
/// slot.
fn write_tree(out: &mut Vec<u8>, layout: &Layout, width: usize, names: usize, numbers: &[u32]) {
    let mut bits = BitWriter::new(out);
    for &inner in &layout.inner {
        bits.put(u32::from(inner), 1);
    }
    let dimension_bits = bits_for(width);
    for &dimension in &layout.dimensions {
        bits.put(u32::from(dimension), dimension_bits);
    }
    let name_bits = bits_for(names);
    for &slot in &layout.slots {
        bits.put(numbers[slot as usize], name_bits);
    }
    for (&cut, &(left, right)) in layout.cuts.iter().zip(&layout.gaps).rev() {
        bits.put(rank(cut) - rank(left), bits_for((rank(right) - rank(left)) as usize));
    }
    bits.finish();
}

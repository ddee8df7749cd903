//! Decodes a forest from bytes, and trusts none of them.

use alloc::vec;
use alloc::vec::Vec;

use super::bits::{BitReader, bits_for, of_rank, rank};
use super::format::{CHECKSUM, DECAYED, FORMAT, MAGIC, RESERVOIR, SLIDING, checksum, index_bytes};
use super::reader::{CUT_SHORT, Reader, damaged};
use crate::builder::{ForestBuilder, Sampling};
use crate::error::Error;
use crate::forest::{Forest, check_weights};
use crate::reservoir::{Held, Reservoir};
use crate::ring::Ring;
use crate::rng::Rng;
use crate::store::Store;
use crate::tree::{Layout, Malformed, Pool, Scratch, Tree, Work};
use crate::window::Window;

pub(super) fn decode(snapshot: &[u8], limit: u64) -> Result<Forest, Error> {
    let (format, body) = open(snapshot)?;
    let mut reader = Reader { left: body };
    let header = Header::read(&mut reader, format)?;
    let weights = reader.floats(header.config.dimensions)?;
    check_weights(&weights).map_err(|_| Error::DamagedSnapshot("a weight is not a number above zero"))?;

    let mut window = Window::new(&header.config);
    let mut store = window.store();
    let slots = match &mut window {
        Window::Sliding(ring) => read_ring(&mut reader, &header, ring, &mut store, format, limit)?,
        Window::Sampled(reservoir) => read_sample(&mut reader, &header, reservoir, &mut store, limit)?,
    };
    if store.distinct() != header.distinct {
        return damaged("the number of distinct points is wrong");
    }

    let mut pool = Pool::new(store.width(), window.slots());
    let (mut layout, mut scratch) = (Layout::default(), Scratch::default());
    let mut seen = vec![u32::MAX; store.places()];
    let count = header.config.trees;
    let branches = (2 * store.distinct()).saturating_sub(1);
    if (reader.left.len() as u64) < count as u64 * (8 + branches.div_ceil(8) as u64) {
        return damaged(CUT_SHORT);
    }
    let mut trees = Vec::with_capacity(count);
    let mut memory = Memory { taken: header.memory(&window, &store), limit };
    for number in 0..count {
        let rng = Rng::from_state(reader.u64()?);
        let mut bits = BitReader::new(reader.left);
        layout.clear();
        if format == 1 {
            read_bytes(&mut reader, &slots, &store, &mut layout)?;
        } else {
            read_bits(&mut bits, &slots, &store, &mut layout);
            if !bits.is_sound() {
                return damaged(CUT_SHORT);
            }
        }
        check_leaves(&layout, &store, number as u32, &mut seen)?;
        layout.measure(store.width())?;
        memory.take(Tree::bytes_for(&layout, store.width()), pool.bucket_bytes() as u64)?;
        // SAFETY: `check_leaves` has found a point at every slot of the layout, and `measure` has
        // checked its dimensions. The pool was made for the width of the store.
        #[allow(unsafe_code, reason = "a tree reads its points without checks")]
        let tree = unsafe {
            if format == 1 {
                let cuts = &layout.cuts;
                Tree::restore(rng, &layout, &mut scratch, &mut pool, &store, |number, _| {
                    cuts.get(number).copied()
                })?
            } else {
                Tree::restore(rng, &layout, &mut scratch, &mut pool, &store, |_, gap| {
                    read_cut(&mut bits, gap)
                })?
            }
        };
        if format != 1 {
            reader.left = bits.finish().ok_or(Error::DamagedSnapshot(CUT_SHORT))?;
        }
        trees.push(tree);
        if number == 0 {
            // The other trees will need about as much.
            pool.reserve(count - 1);
        }
    }
    if !reader.left.is_empty() {
        return damaged("it has bytes after the last tree");
    }
    Ok(Forest::from_parts(window, store, pool, trees, weights))
}

/// Checks the header and the checksum around the state and removes them. Returns the format and the
/// state.
fn open(snapshot: &[u8]) -> Result<(u16, &[u8]), Error> {
    let Some(rest) = snapshot.strip_prefix(&MAGIC) else {
        return damaged("it does not begin with RRCF");
    };
    let Some((format, rest)) = rest.split_first_chunk() else { return damaged(CUT_SHORT) };
    let found = u16::from_le_bytes(*format);
    if found > FORMAT {
        return Err(Error::NewerSnapshot { found, newest: FORMAT });
    }
    if found == 0 {
        return damaged("format 0 does not exist");
    }
    let Some((body, sum)) = rest.split_last_chunk::<CHECKSUM>() else { return damaged(CUT_SHORT) };
    if checksum(&snapshot[..snapshot.len() - CHECKSUM]) != u64::from_le_bytes(*sum) {
        return damaged("the checksum does not match");
    }
    Ok((found, body))
}

/// Largest count of points: a million a second for a quarter of a million years. A count at this
/// limit can still grow.
const MOST_POINTS: u64 = 1 << 63;

struct Header {
    config: ForestBuilder,
    pushed: u64,
    distinct: usize,
}

impl Header {
    fn read(reader: &mut Reader, format: u16) -> Result<Self, Error> {
        let mut size = || reader.u32().map(|size| size as usize);
        let (dimensions, shingle, window, trees) = (size()?, size()?, size()?, size()?);
        let (pushed, distinct) = (reader.u64()?, reader.u32()? as usize);
        let kind = if format == 1 { SLIDING } else { reader.u8()? };
        let sampling = match kind {
            SLIDING => Sampling::SlidingWindow,
            RESERVOIR => Sampling::Reservoir,
            DECAYED => Sampling::TimeDecayed { rate: reader.f64()? },
            _ => return damaged("the sampling is unknown"),
        };
        let config = ForestBuilder { dimensions, shingle, window, trees, seed: 0, sampling };
        let canonical = !matches!(sampling, Sampling::TimeDecayed { rate } if rate <= 0.0);
        if config.validate().is_err() || !canonical {
            return damaged("a size is zero or beyond its limit");
        }
        if pushed > MOST_POINTS {
            return damaged("the number of points received is too large");
        }
        Ok(Self { config, pushed, distinct })
    }

    /// Returns the memory of the forest without its trees, their boxes and their buckets.
    fn memory(&self, window: &Window, store: &Store) -> u64 {
        let trees = self.config.trees * size_of::<Tree>();
        // Probes and weights take ten numbers of four bytes per value.
        let aside = 40 * store.width() as u64 + Work::bytes_for(store.width() as u64);
        (size_of::<Forest>() + trees + window.heap_bytes() + store.heap_bytes()) as u64 + aside
    }
}

/// The memory that the forest takes, and its limit.
struct Memory {
    taken: u64,
    limit: u64,
}

impl Memory {
    /// Adds `bytes` of permanent memory. Fails if the total and `besides`, which is temporary,
    /// exceed the limit.
    fn take(&mut self, bytes: u64, besides: u64) -> Result<(), Error> {
        self.taken += bytes;
        let needed = self.taken + besides;
        if needed > self.limit { Err(Error::TooMuchMemory { needed, limit: self.limit }) } else { Ok(()) }
    }
}

/// Reads the points of a sliding window, and returns the slot of each age rank.
fn read_ring(
    reader: &mut Reader,
    header: &Header,
    ring: &mut Ring,
    store: &mut Store,
    format: u16,
    limit: u64,
) -> Result<Vec<u32>, Error> {
    let most = usize::try_from(header.pushed).map_or(ring.capacity(), |pushed| pushed.min(ring.capacity()));
    let raw_len = if format == 1 { most } else { reader.u32()? as usize };
    if raw_len > most {
        return damaged("it has more points than the window has room for");
    }
    // Every window has room for the shingle that comes next.
    if raw_len < most.min(ring.shingle()) {
        return damaged("the newest points are missing");
    }
    let values = (raw_len + ring.shingle()) as u64 * ring.dimensions() as u64;
    Memory { taken: 0, limit }.take(4 * values + Work::bytes_for(store.width() as u64), 0)?;
    let raw = reader.floats(raw_len * ring.dimensions())?;
    check_values(&raw)?;
    ring.refill(store, header.pushed, &raw);
    if format != 1 {
        let gone = reader.u32()?;
        if gone > 0 {
            // The marks of removed points take one bit per point that the window has room for.
            Memory { taken: 0, limit }.take(ring.capacity() as u64 / 8, 0)?;
        }
        let mut next = 0;
        for _ in 0..gone {
            let age = reader.u32()?;
            if age < next || age as usize >= ring.len() {
                return damaged("a removed point has an impossible age rank");
            }
            next = age + 1;
            ring.set_gone(ring.slot(age as usize), true);
        }
    }
    count_points(ring, store);
    Ok((0..ring.len()).map(|age| ring.slot(age)).collect())
}

/// Reads the points of a sample, and returns the slot of each number.
fn read_sample(
    reader: &mut Reader,
    header: &Header,
    reservoir: &mut Reservoir,
    store: &mut Store,
    limit: u64,
) -> Result<Vec<u32>, Error> {
    let width = store.width();
    let rng = Rng::from_state(reader.u64()?);
    Memory { taken: 0, limit }.take(Work::bytes_for(width as u64), 0)?;
    let recent = reader.floats(width)?;
    check_values(&recent)?;
    let held = reader.u32()? as usize;
    let shingles = (header.pushed + 1).saturating_sub(header.config.shingle as u64);
    if held as u64 > shingles || held > header.config.window || header.distinct > held {
        return damaged("the number of points is wrong");
    }
    // An entry has twelve bytes. This checks that all of them exist before anything is allocated.
    let mut entries = Reader { left: reader.bytes(12 * held)? };
    let (mut sample, mut counts) = (Vec::with_capacity(held), vec![0_u32; header.distinct]);
    let mut next = 0;
    for _ in 0..held {
        let (key, slot) = (entries.f64()?, entries.u32()?);
        if key.is_nan() || slot > next || slot as usize >= header.distinct {
            return damaged("a point of the sample is impossible");
        }
        next = next.max(slot + 1);
        counts[slot as usize] += 1;
        sample.push(Held { key, slot });
    }
    if next as usize != header.distinct || !Reservoir::is_heap(&sample) {
        return damaged("the sample is not a heap of all distinct points");
    }
    let values = reader.floats(header.distinct * width)?;
    check_values(&values)?;
    if header.distinct > 0 {
        store.extend(header.distinct, header.distinct);
    }
    for (place, point) in values.chunks_exact(width).enumerate() {
        store.write(place, point);
    }
    let slots: Vec<u32> = (0..header.distinct as u32).collect();
    check_distinct(store, &slots)?;
    let counts: Vec<(u32, u32)> = slots.iter().copied().zip(counts).collect();
    store.recount(store.places(), &counts);
    reservoir.resume(rng, header.pushed, &recent, sample);
    Ok(slots)
}

fn check_values(values: &[f32]) -> Result<(), Error> {
    let impossible = |&value: &f32| !value.is_finite() || is_negative_zero(value);
    if values.iter().any(impossible) {
        damaged("a point has a value that is not finite or is -0.0")
    } else {
        Ok(())
    }
}

fn is_negative_zero(value: f32) -> bool {
    value.to_bits() == (-0.0_f32).to_bits()
}

/// Compares points value by value.
fn order(store: &Store, a: u32, b: u32) -> core::cmp::Ordering {
    let pairs = store.point(a).iter().zip(store.point(b));
    pairs.map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne()).unwrap_or(core::cmp::Ordering::Equal)
}

fn check_distinct(store: &Store, slots: &[u32]) -> Result<(), Error> {
    let mut sorted = slots.to_vec();
    sorted.sort_unstable_by(|&a, &b| order(store, a, b));
    let duplicates = sorted.windows(2).any(|pair| order(store, pair[0], pair[1]).is_eq());
    if duplicates { damaged("the number of distinct points is wrong") } else { Ok(()) }
}

/// Counts the points of a ring. The newest of equal points represents all of them.
fn count_points(ring: &Ring, store: &mut Store) {
    // The slots come in the order of age and the sort is stable, so equal points stay in that
    // order.
    let mut slots: Vec<u32> = ring.slots().collect();
    slots.sort_by(|&a, &b| order(store, a, b));
    let groups: Vec<(u32, u32)> = slots
        .chunk_by(|&a, &b| order(store, a, b).is_eq())
        .map(|equal| (equal[equal.len() - 1], equal.len() as u32))
        .collect();
    store.recount(ring.capacity().min(store.places()), &groups);
}

/// Reads a tree without its cuts.
fn read_bits(bits: &mut BitReader, slots: &[u32], store: &Store, layout: &mut Layout) {
    let leaves = store.distinct();
    let inner = leaves.saturating_sub(1);
    let branches = leaves + inner;
    for first in (0..branches).step_by(32) {
        let count = (branches - first).min(32);
        let word = bits.take(count as u32);
        layout.inner.extend((0..count).map(|i| word >> i & 1 == 1));
    }
    let dimension_bits = bits_for(store.width());
    layout.dimensions.extend((0..inner).map(|_| bits.take(dimension_bits) as u16));
    let name_bits = bits_for(slots.len());
    layout.slots.extend((0..leaves).map(|_| named(slots, bits.take(name_bits))));
}

/// Reads a cut between the values `left` and `right`.
fn read_cut(bits: &mut BitReader, (left, right): (f32, f32)) -> Option<f32> {
    let room = rank(right).checked_sub(rank(left))?;
    let cut = of_rank(rank(left).wrapping_add(bits.take(bits_for(room as usize))));
    // A point at 0.0 would be left of a cut at -0.0 by value, and right of it by rank.
    (!is_negative_zero(cut)).then_some(cut)
}

/// Reads a tree of format 1.
fn read_bytes(reader: &mut Reader, slots: &[u32], store: &Store, layout: &mut Layout) -> Result<(), Error> {
    let leaves = store.distinct();
    let inner = leaves.saturating_sub(1);
    let branches = leaves + inner;
    let bytes = reader.bytes(branches.div_ceil(8))?;
    let bit = |n: usize| bytes[n / 8] >> (n % 8) & 1 == 1;
    if (branches..bytes.len() * 8).any(bit) {
        return damaged("the branches do not form a tree");
    }
    layout.inner.extend((0..branches).map(bit));
    let dimensions = reader.indices(inner, index_bytes(store.width()))?;
    layout.dimensions.extend(dimensions.map(|dimension| u16::try_from(dimension).unwrap_or(u16::MAX)));
    layout.cuts.extend(reader.floats(inner)?.iter().map(|cut| cut + 0.0));
    layout.slots.extend(reader.indices(leaves, index_bytes(slots.len()))?.map(|name| named(slots, name)));
    Ok(())
}

/// Returns the slot of a name, or an impossible slot if the name is unknown.
fn named(slots: &[u32], name: u32) -> u32 {
    slots.get(name as usize).copied().unwrap_or(u32::MAX)
}

/// Checks that every leaf has a distinct slot that represents a value. `seen` holds for every slot
/// the last tree that had it.
///
/// There are as many leaves as distinct values, so no value is without a leaf.
fn check_leaves(layout: &Layout, store: &Store, tree: u32, seen: &mut [u32]) -> Result<(), Error> {
    for &slot in &layout.slots {
        if store.count(slot) == 0 {
            return damaged("a leaf has no point");
        }
        if core::mem::replace(&mut seen[slot as usize], tree) == tree {
            return damaged("a point has two leaves");
        }
    }
    Ok(())
}

impl From<Malformed> for Error {
    fn from(Malformed(reason): Malformed) -> Self {
        Self::DamagedSnapshot(reason)
    }
}

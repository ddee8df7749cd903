//! Bytes to a forest, trusting none of them.

use super::{CHECKSUM, FORMAT, MAGIC, checksum, index_bytes, tree_bytes};
use crate::builder::ForestBuilder;
use crate::forest::check_weights;
use crate::points::Points;
use crate::rng::Rng;
use crate::tree::{Layout, Malformed, Tree};
use crate::{Error, Forest};

pub(super) fn decode(snapshot: &[u8], limit: u64) -> Result<Forest, Error> {
    let body = open(snapshot)?;
    let mut reader = Reader { left: body };
    let header = Header::read(&mut reader)?;
    header.check_sizes(reader.left.len(), limit)?;

    let weights = reader.floats(header.config.dimensions)?;
    check_weights(&weights).map_err(|_| Error::DamagedSnapshot("a weight is not a number above zero"))?;
    let raw = reader.floats(header.raw_len() * header.config.dimensions)?;
    if raw.iter().any(|value| !value.is_finite() || value.to_bits() == (-0.0_f32).to_bits()) {
        return Err(Error::DamagedSnapshot("a point holds what no point can"));
    }
    let ForestBuilder { dimensions, shingle, window, .. } = header.config;
    let points = Points::restore(dimensions, shingle, window, header.pushed, &raw);

    let newest_equal = newest_equal(&points);
    let distinct = newest_equal.iter().enumerate().filter(|&(age, &newest)| age == newest as usize).count();
    if distinct != header.distinct {
        return Err(Error::DamagedSnapshot("the number of distinct points is wrong"));
    }
    let mut layout = Layout::default();
    let mut trees = Vec::with_capacity(header.config.trees);
    for _ in 0..header.config.trees {
        let rng = Rng::from_state(reader.u64()?);
        read_layout(&mut reader, distinct, &points, &mut layout)?;
        let tree = Tree::restore(rng, &layout, &newest_equal, &points)
            .map_err(|Malformed(reason)| Error::DamagedSnapshot(reason))?;
        trees.push(tree);
    }
    Ok(Forest::from_parts(points, trees, weights))
}

/// Checks what frames the state, and takes it off.
fn open(snapshot: &[u8]) -> Result<&[u8], Error> {
    let Some(rest) = snapshot.strip_prefix(&MAGIC) else {
        return Err(Error::DamagedSnapshot("it does not begin like a snapshot"));
    };
    let Some((format, rest)) = rest.split_first_chunk() else {
        return Err(Error::DamagedSnapshot(CUT_SHORT));
    };
    let found = u16::from_le_bytes(*format);
    if found > FORMAT {
        return Err(Error::NewerSnapshot { found, newest: FORMAT });
    }
    if found != FORMAT {
        return Err(Error::DamagedSnapshot("it has a format that never was"));
    }
    let Some((body, sum)) = rest.split_last_chunk::<CHECKSUM>() else {
        return Err(Error::DamagedSnapshot(CUT_SHORT));
    };
    if checksum(&snapshot[..snapshot.len() - CHECKSUM]) != u64::from_le_bytes(*sum) {
        return Err(Error::DamagedSnapshot("the checksum does not match"));
    }
    Ok(body)
}

/// Points taken in, at most: a million a second for a quarter of a million years. Leaves the count room to go on.
const MOST_POINTS: u64 = 1 << 63;

const CUT_SHORT: &str = "it is cut short";

struct Header {
    config: ForestBuilder,
    pushed: u64,
    distinct: usize,
}

impl Header {
    fn read(reader: &mut Reader) -> Result<Self, Error> {
        let mut size = || reader.u32().map(|size| size as usize);
        let config =
            ForestBuilder { dimensions: size()?, shingle: size()?, window: size()?, trees: size()?, seed: 0 };
        let header = Self { config, pushed: reader.u64()?, distinct: reader.u32()? as usize };
        header.config.validate().map_err(|_| Error::DamagedSnapshot("a size is zero or beyond its limit"))?;
        Ok(header)
    }

    /// Raw points held.
    fn raw_len(&self) -> usize {
        let capacity = self.config.window + self.config.shingle - 1;
        usize::try_from(self.pushed).map_or(capacity, |pushed| pushed.min(capacity))
    }

    /// Points of the trees held.
    fn held(&self) -> usize {
        (self.raw_len() + 1).saturating_sub(self.config.shingle)
    }

    /// Checks the bytes behind the header and the memory of the forest against the sizes the header claims.
    fn check_sizes(&self, rest: usize, limit: u64) -> Result<(), Error> {
        if self.pushed > MOST_POINTS {
            return Err(Error::DamagedSnapshot("it claims more points than can ever come"));
        }
        let (held, distinct) = (self.held(), self.distinct);
        if distinct > held || (distinct == 0) != (held == 0) {
            return Err(Error::DamagedSnapshot("the number of distinct points is wrong"));
        }
        let ForestBuilder { dimensions, shingle, trees, .. } = self.config;
        let width = dimensions * shingle;
        let values = dimensions as u64 + self.raw_len() as u64 * dimensions as u64;
        let expected = 4 * values + trees as u64 * tree_bytes(distinct, held, width) as u64;
        if rest as u64 != expected {
            return Err(Error::DamagedSnapshot("its length does not fit its sizes"));
        }
        // No product overflows: the sizes have limits, and there are no more leaves in all than bytes at hand.
        let slots = self.raw_len() as u64;
        let in_trees = trees as u64 * Tree::bytes_for(distinct as u64, slots, width as u64);
        let in_points = 4 * (slots + shingle as u64) * dimensions as u64;
        let needed = in_trees + in_points + 12 * width as u64 + size_of::<Forest>() as u64;
        if needed > limit {
            return Err(Error::TooMuchMemory { needed, limit });
        }
        Ok(())
    }
}

/// For the age rank of every point, the age rank of the newest point of equal value.
fn newest_equal(points: &Points) -> Vec<u32> {
    let point = |age: u32| points.point(points.slot(age as usize));
    let in_order = |a: u32, b: u32| {
        let pairs = point(a).iter().zip(point(b));
        pairs.map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne()).unwrap_or(a.cmp(&b))
    };
    let mut ages: Vec<u32> = (0..points.len() as u32).collect();
    ages.sort_unstable_by(|&a, &b| in_order(a, b));
    let mut newest = vec![0; ages.len()];
    for equal in ages.chunk_by(|&a, &b| point(a) == point(b)) {
        for &age in equal {
            newest[age as usize] = equal[equal.len() - 1];
        }
    }
    newest
}

/// Reads the layout of one tree of `distinct` leaves.
fn read_layout(
    reader: &mut Reader,
    distinct: usize,
    points: &Points,
    layout: &mut Layout,
) -> Result<(), Error> {
    let inner = distinct.saturating_sub(1);
    let branches = distinct + inner;
    let bits = reader.bytes(branches.div_ceil(8))?;
    let bit = |n: usize| bits[n / 8] >> (n % 8) & 1 == 1;
    if (branches..bits.len() * 8).any(bit) {
        return Err(Error::DamagedSnapshot("the branches of a tree do not add up"));
    }
    layout.inner.clear();
    layout.inner.extend((0..branches).map(bit));

    let dimensions = reader.indices(inner, index_bytes(points.width()))?;
    let values = reader.bytes(inner * 4)?.as_chunks().0;
    layout.cuts.clear();
    layout
        .cuts
        .extend(dimensions.zip(values).map(|(dimension, &value)| (dimension, f32::from_le_bytes(value))));

    layout.leaves.clear();
    layout.leaves.extend(reader.indices(distinct, index_bytes(points.len()))?);
    Ok(())
}

/// Takes numbers off the front of the bytes.
struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (bytes, left) = self.left.split_at_checked(count).ok_or(Error::DamagedSnapshot(CUT_SHORT))?;
        self.left = left;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (array, left) = self.left.split_first_chunk().ok_or(Error::DamagedSnapshot(CUT_SHORT))?;
        self.left = left;
        Ok(*array)
    }

    fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_le_bytes)
    }

    fn floats(&mut self, count: usize) -> Result<Vec<f32>, Error> {
        let bytes = self.bytes(count * 4)?;
        Ok(bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
    }

    /// Numbers of `size` bytes each, at most four.
    fn indices(&mut self, count: usize, size: usize) -> Result<impl Iterator<Item = u32> + use<'a>, Error> {
        let bytes = self.bytes(count * size)?;
        Ok(bytes.chunks_exact(size).map(|index| {
            let mut wide = [0; 4];
            wide[..index.len()].copy_from_slice(index);
            u32::from_le_bytes(wide)
        }))
    }
}

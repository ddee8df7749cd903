//! A bucket: a small subtree as a few flat arrays, without links and without boxes.
//!
//! The leaves are stored from left to right. Between two neighbouring leaves lies one *gap*, which
//! is one inner node of the subtree. Its cut separates the leaves left of the gap from the leaves
//! right of it. The *levels* of the gaps tell which node is above which: the gap of level 0 is the
//! root, and the root of any range of leaves is the single gap within it with the least level (a
//! Cartesian tree). Levels are four bits wide and share one word, so finding, opening and closing a
//! gap takes a few word operations.

use super::levels::Levels;

/// Largest number of leaves of a bucket. There may be one more during an insertion.
pub(crate) const CAPACITY: usize = 16;
/// Largest number of leaves of a small record.
pub(crate) const SMALL: usize = CAPACITY / 2;
const LEAVES: usize = CAPACITY + 1;
const GAPS: usize = CAPACITY;

/// The place of a new leaf: beside a stretch of leaves. A new gap above the root of the stretch
/// separates them.
pub(crate) struct Opening {
    /// The first and the last leaf of the stretch.
    pub(crate) stretch: (usize, usize),
    /// The level of the root of the stretch.
    pub(crate) level: usize,
    /// Whether the new leaf is on the right.
    pub(crate) right: bool,
    /// The dimension and the value of the cut.
    pub(crate) cut: (usize, f32),
    pub(crate) slot: u32,
}

/// An unpacked bucket, to be rebuilt, split, joined or walked. The array elements after the last
/// leaf and the last gap are arbitrary.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    /// The number of leaves, which is one more than the number of gaps.
    pub(crate) len: usize,
    /// The level of every gap, four bits each.
    pub(crate) levels: Levels,
    /// The dimension of every gap's cut.
    pub(crate) dimensions: [u16; GAPS],
    /// The value of every gap's cut: points with `value <= cut` are on the left.
    pub(crate) cuts: [f32; GAPS],
    /// The slot of every leaf's point.
    pub(crate) slots: [u32; LEAVES],
}

impl Bucket {
    pub(crate) const EMPTY: Self =
        Self { len: 0, levels: Levels::NONE, dimensions: [0; GAPS], cuts: [0.0; GAPS], slots: [0; LEAVES] };

    /// Inserts a new leaf.
    pub(crate) fn insert(&mut self, opening: &Opening) {
        check!(self.len <= CAPACITY);
        let (gap, leaf) = self.levels.open(opening.stretch, opening.level, opening.right);
        open(&mut self.dimensions, gap, opening.cut.0 as u16);
        open(&mut self.cuts, gap, opening.cut.1);
        open(&mut self.slots, leaf, opening.slot);
        self.len += 1;
    }

    /// Removes a leaf and the gap that is its parent. The bucket must have at least two leaves.
    pub(crate) fn remove(&mut self, leaf: usize) {
        let gap = self.levels.close(leaf, self.len);
        close(&mut self.dimensions, gap);
        close(&mut self.cuts, gap);
        close(&mut self.slots, leaf);
        self.len -= 1;
    }

    /// Splits the bucket at its root. Returns the left half, the dimension and value of the cut,
    /// and the right half.
    pub(crate) fn split(&self) -> (Self, (u16, f32), Self) {
        let root = self.levels.root_of(0, 0, self.len - 1);
        let (gaps, beyond) = (self.len - 1, root + 1);
        let left = Self { len: root + 1, levels: self.levels.part(0, root), ..self.clone() };
        let right = Self {
            len: self.len - left.len,
            levels: self.levels.part(beyond, gaps),
            dimensions: from(&self.dimensions, beyond),
            cuts: from(&self.cuts, beyond),
            slots: from(&self.slots, left.len),
        };
        (left, (self.dimensions[root], self.cuts[root]), right)
    }

    /// Joins two buckets under a new root. Together they have at most [`CAPACITY`] leaves.
    pub(crate) fn join(left: &Self, (dimension, cut): (u16, f32), right: &Self) -> Self {
        let (root, len) = (left.len - 1, left.len + right.len);
        check!(len <= CAPACITY);
        let mut joined = Self {
            len,
            levels: Levels::join(left.levels, root, right.levels, right.len - 1),
            dimensions: append(&left.dimensions, left.len, &right.dimensions),
            cuts: append(&left.cuts, left.len, &right.cuts),
            slots: append(&left.slots, left.len, &right.slots),
        };
        joined.dimensions[root] = dimension;
        joined.cuts[root] = cut;
        joined
    }
}

/// Returns the elements from `at` on, followed by arbitrary ones. It moves whole arrays, because
/// the number of elements that matter is different every time.
fn from<T: Copy + Default, const N: usize>(array: &[T; N], at: usize) -> [T; N] {
    let mut room = [[T::default(); N]; 2];
    room[0] = *array;
    let mut moved = *array;
    moved.copy_from_slice(&room.as_flattened()[at..at + N]);
    moved
}

/// Returns the first `len` elements of an array, followed by those of another.
fn append<T: Copy + Default, const N: usize>(array: &[T; N], len: usize, more: &[T; N]) -> [T; N] {
    let mut room = [*array; 2];
    room.as_flattened_mut()[len..len + N].copy_from_slice(more);
    room[0]
}

/// Moves all elements from `at` on up by one place and puts `value` at `at`. Drops the last
/// element.
fn open<T: Copy, const N: usize>(array: &mut [T; N], at: usize, value: T) {
    let old = *array;
    for i in 1..N {
        array[i] = if i > at { old[i - 1] } else { old[i] };
    }
    array[at] = value;
}

/// Moves all elements after `at` down by one place, over the element at `at`.
fn close<T: Copy, const N: usize>(array: &mut [T; N], at: usize) {
    let old = *array;
    for i in 0..N - 1 {
        array[i] = if i >= at { old[i + 1] } else { old[i] };
    }
}

/// One step of a walk through a bucket in pre-order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// A gap, and the stretch of leaves that it divides.
    Gap {
        gap: usize,
        first: usize,
        last: usize,
    },
    Leaf(usize),
}

impl Bucket {
    /// Returns the gaps and leaves in pre-order.
    pub(crate) fn walk(&self) -> impl Iterator<Item = Step> {
        let mut ahead = [(0, self.len.wrapping_sub(1), 0); CAPACITY + 1];
        let mut waiting = usize::from(self.len > 0);
        core::iter::from_fn(move || {
            waiting = waiting.checked_sub(1)?;
            let (first, last, level) = ahead[waiting];
            if first == last {
                return Some(Step::Leaf(first));
            }
            let gap = self.levels.root_of(level, first, last);
            ahead[waiting] = (gap + 1, last, level + 1);
            ahead[waiting + 1] = (first, gap, level + 1);
            waiting += 2;
            Some(Step::Gap { gap, first, last })
        })
    }
}

#[cfg(test)]
mod tests;

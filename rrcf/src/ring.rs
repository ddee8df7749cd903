//! A sliding window over a series: which points the trees hold, and in which slots.
//!
//! A point of the trees is a *shingle*: the last `shingle` raw points, oldest first, in one slice.
//! Neighbouring shingles overlap, so the store keeps only the raw points, in a ring. A shingle is a
//! slice of the ring. The first `shingle - 1` raw points of the ring are repeated after its end, so
//! a shingle that runs over the end is a slice too. The slot of a shingle is the ring position of
//! its first raw point.

use alloc::vec;
use alloc::vec::Vec;

use crate::store::Store;

/// The positions of a ring of raw points.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    dimensions: usize,
    shingle: usize,
    window: usize,
    pushed: u64,
    /// Raw points held.
    raw_len: usize,
    /// The number of a raw point that stands at position 0.
    base: u64,
    /// One bit per slot: whether its point was removed before it would have left the window. Empty
    /// until the first such removal.
    gone: Vec<u64>,
}

impl Ring {
    pub(crate) fn new(dimensions: usize, shingle: usize, window: usize) -> Self {
        Self { dimensions, shingle, window, pushed: 0, raw_len: 0, base: 0, gone: Vec::new() }
    }

    /// Returns whether the point at a slot was removed before it would have left the window.
    pub(crate) fn is_gone(&self, slot: u32) -> bool {
        self.gone.get(slot as usize / 64).is_some_and(|bits| bits >> (slot % 64) & 1 == 1)
    }

    /// Marks the point at a slot as removed early, or clears the mark when the point would have
    /// left.
    pub(crate) fn set_gone(&mut self, slot: u32, gone: bool) {
        if self.gone.is_empty() {
            if !gone {
                return;
            }
            self.gone = vec![0; self.capacity().div_ceil(64)];
        }
        let bits = &mut self.gone[slot as usize / 64];
        *bits = *bits & !(1 << (slot % 64)) | u64::from(gone) << (slot % 64);
    }

    /// Returns the slots of the points held, oldest first.
    pub(crate) fn slots(&self) -> impl DoubleEndedIterator<Item = u32> {
        (0..self.len()).map(|age| self.slot(age)).filter(|&slot| !self.is_gone(slot))
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        crate::growth::heap_bytes(&self.gone)
    }

    /// Creates a store for the points of the ring.
    pub(crate) fn store(&self) -> Store {
        Store::new(self.dimensions, self.dimensions * self.shingle)
    }

    /// Fills an empty ring and its store from the raw points that a ring held, oldest first.
    /// `pushed` is the number of points that it had received.
    ///
    /// `raw` must hold at most as many points as the ring has room for, and at most `pushed`.
    pub(crate) fn refill(&mut self, store: &mut Store, pushed: u64, raw: &[f32]) {
        let held = raw.len() / self.dimensions;
        let places = if held == self.capacity() { held + self.shingle - 1 } else { held };
        if places > 0 {
            store.extend(places, places);
        }
        self.base = pushed - held as u64;
        self.pushed = self.base;
        for point in raw.chunks_exact(self.dimensions) {
            self.write(store, point);
        }
    }

    /// Returns the number of raw points that the ring has room for.
    pub(crate) fn capacity(&self) -> usize {
        self.window + self.shingle - 1
    }

    pub(crate) fn dimensions(&self) -> usize {
        self.dimensions
    }

    pub(crate) fn shingle(&self) -> usize {
        self.shingle
    }

    pub(crate) fn window(&self) -> usize {
        self.window
    }

    /// Returns the number of raw points received so far.
    pub(crate) fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Returns the number of raw points held.
    pub(crate) fn raw_len(&self) -> usize {
        self.raw_len
    }

    /// Returns the number of shingles in the ring, including those whose points were removed early.
    pub(crate) fn len(&self) -> usize {
        (self.raw_len() + 1).saturating_sub(self.shingle)
    }

    /// Returns the slot of the shingle with the age rank `age`; 0 is the oldest.
    pub(crate) fn slot(&self, age: usize) -> u32 {
        self.position(self.pushed - self.raw_len() as u64 + age as u64) as u32
    }

    /// Returns the age rank of a slot; the inverse of [`Ring::slot`].
    pub(crate) fn age(&self, slot: u32) -> usize {
        let (oldest, slot) = (self.slot(0) as usize, slot as usize);
        if slot >= oldest { slot - oldest } else { slot + self.capacity() - oldest }
    }

    /// Returns the raw points held, oldest first.
    pub(crate) fn raw<'a>(&'a self, store: &'a Store) -> impl Iterator<Item = &'a [f32]> {
        (0..self.raw_len()).map(|age| store.read(self.slot(age) as usize))
    }

    /// Adds a raw point. It replaces the oldest one if the ring is full.
    pub(crate) fn push(&mut self, store: &mut Store, point: &[f32]) {
        let limit = self.capacity() + self.shingle - 1;
        let places = store.places();
        if places < self.capacity() {
            store.extend(places + 1, limit);
        } else if places < limit {
            store.extend(limit, limit);
            for place in 0..self.shingle - 1 {
                let repeated = store.read(place).to_vec();
                store.write(self.capacity() + place, &repeated);
            }
        }
        self.write(store, point);
    }

    fn write(&mut self, store: &mut Store, point: &[f32]) {
        let position = self.position(self.pushed);
        store.write(position, point);
        let repeat = position + self.capacity();
        if repeat < store.places() {
            store.write(repeat, point);
        }
        self.pushed += 1;
        self.raw_len = (self.raw_len + 1).min(self.capacity());
    }

    fn position(&self, number: u64) -> usize {
        ((number - self.base) % self.capacity() as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::Ring;

    /// Pushes point `n` as `n + d / 16` in dimension `d` and compares every shingle with the
    /// expected one.
    fn check(dimensions: usize, shingle: usize, window: usize) {
        let raw = |n: u64| (0..dimensions).map(move |d| n as f32 + d as f32 / 16.0);
        let mut ring = Ring::new(dimensions, shingle, window);
        let mut store = ring.store();
        for n in 0..100_u64 {
            ring.push(&mut store, &raw(n).collect::<Vec<_>>());
            let expected = (n as usize + 2).saturating_sub(shingle).min(window);
            assert_eq!(ring.len(), expected);
            for age in 0..ring.len() {
                let first = n + 1 - (ring.len() - age + shingle - 1) as u64;
                let shingle: Vec<f32> = (first..first + shingle as u64).flat_map(raw).collect();
                assert_eq!(store.point(ring.slot(age)), shingle);
                assert_eq!(ring.age(ring.slot(age)), age);
            }
            let held: Vec<f32> = ring.raw(&store).flatten().copied().collect();
            let mut restored = Ring::new(dimensions, shingle, window);
            let mut copy = restored.store();
            restored.refill(&mut copy, ring.pushed(), &held);
            assert_eq!((restored.pushed, restored.len()), (ring.pushed, ring.len()));
            for age in 0..ring.len() {
                assert_eq!(copy.point(restored.slot(age)), store.point(ring.slot(age)));
            }
            restored.push(&mut copy, &raw(n + 1).collect::<Vec<_>>());
            if let Some(newest) = restored.len().checked_sub(1) {
                assert!(copy.point(restored.slot(newest)).ends_with(&raw(n + 1).collect::<Vec<_>>()));
            }
        }
    }

    #[test]
    fn shingles_are_slices_of_the_ring() {
        for dimensions in [1, 2, 3] {
            for shingle in [1, 2, 5, 9] {
                for window in [1, 2, 3, 7, 40] {
                    check(dimensions, shingle, window);
                }
            }
        }
    }

    #[test]
    fn negative_zero_is_stored_as_zero() {
        let mut ring = Ring::new(1, 1, 4);
        let mut store = ring.store();
        ring.push(&mut store, &[-0.0]);
        assert_eq!(store.point(0)[0].to_bits(), 0);
    }

    #[test]
    fn memory_follows_the_points_held() {
        let mut ring = Ring::new(4, 3, 1_000_000);
        let mut store = ring.store();
        ring.push(&mut store, &[1.0; 4]);
        assert!(store.heap_bytes() < 1_000);
    }
}

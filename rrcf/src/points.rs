//! The points that all trees of a forest share: one ring of raw points.
//!
//! A point of the trees is a *shingle*: the last `shingle` raw points, oldest first, one after the other. Neighbouring
//! shingles overlap, so only the raw points are stored, and a shingle is a slice of the ring. The first `shingle - 1` raw
//! points of the ring are repeated behind its end, so that a shingle that runs over the end is a slice too.

use crate::growth::{heap_bytes, make_room};

/// A ring of raw points, seen as shingles. A *slot* is the ring position of a shingle's first raw point.
#[derive(Clone)]
pub(crate) struct Points {
    values: Vec<f32>,
    dimensions: usize,
    shingle: usize,
    window: usize,
    pushed: u64,
}

impl Points {
    pub(crate) fn new(dimensions: usize, shingle: usize, window: usize) -> Self {
        Self { values: Vec::new(), dimensions, shingle, window, pushed: 0 }
    }

    /// Rebuilds the ring from the raw points it held, oldest first, after `pushed` points in all.
    ///
    /// `raw` must hold exactly `min(pushed, window + shingle - 1)` points.
    pub(crate) fn restore(
        dimensions: usize,
        shingle: usize,
        window: usize,
        pushed: u64,
        raw: &[f32],
    ) -> Self {
        let mut points = Self::new(dimensions, shingle, window);
        let held = raw.len() / dimensions;
        let wrapped = pushed > held as u64;
        let stored = if wrapped { held + shingle - 1 } else { held };
        points.values.reserve_exact(stored * dimensions);
        points.values.resize(stored * dimensions, 0.0);
        points.pushed = pushed - held as u64;
        for point in raw.chunks_exact(dimensions) {
            points.write(point);
        }
        points
    }

    /// Raw points the ring can hold.
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

    /// Values of one shingle.
    pub(crate) fn width(&self) -> usize {
        self.dimensions * self.shingle
    }

    /// Raw points pushed so far.
    pub(crate) fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Raw points held.
    pub(crate) fn raw_len(&self) -> usize {
        usize::try_from(self.pushed).map_or(self.capacity(), |pushed| pushed.min(self.capacity()))
    }

    /// Shingles held.
    pub(crate) fn len(&self) -> usize {
        (self.raw_len() + 1).saturating_sub(self.shingle)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The slot of the shingle of age rank `age`: 0 is the oldest.
    pub(crate) fn slot(&self, age: usize) -> usize {
        self.position(self.pushed - self.raw_len() as u64 + age as u64)
    }

    /// The inverse of [`Points::slot`].
    pub(crate) fn age(&self, slot: usize) -> usize {
        let oldest = self.slot(0);
        if slot >= oldest { slot - oldest } else { slot + self.capacity() - oldest }
    }

    /// The shingle at a slot.
    pub(crate) fn point(&self, slot: usize) -> &[f32] {
        let start = slot * self.dimensions;
        &self.values[start..start + self.width()]
    }

    /// Raw points held, oldest first.
    pub(crate) fn raw(&self) -> impl Iterator<Item = &[f32]> {
        (0..self.raw_len()).map(|age| {
            let start = self.slot(age) * self.dimensions;
            &self.values[start..start + self.dimensions]
        })
    }

    /// Adds a raw point, in place of the oldest once the ring is full. `-0.0` becomes `0.0`, so that equal means same bits.
    pub(crate) fn push(&mut self, point: &[f32]) {
        let stored = self.values.len() / self.dimensions;
        if stored < self.capacity() {
            let limit = (self.capacity() + self.shingle - 1) * self.dimensions;
            make_room(&mut self.values, self.dimensions, limit);
            self.values.resize(self.values.len() + self.dimensions, 0.0);
        } else if stored < self.capacity() + self.shingle - 1 {
            let repeated = (self.shingle - 1) * self.dimensions;
            self.values.reserve_exact(repeated);
            self.values.extend_from_within(..repeated);
        }
        self.write(point);
    }

    fn write(&mut self, point: &[f32]) {
        let position = self.position(self.pushed);
        self.write_at(position, point);
        let repeat = position + self.capacity();
        if self.values.len() > repeat * self.dimensions {
            self.write_at(repeat, point);
        }
        self.pushed += 1;
    }

    fn write_at(&mut self, position: usize, point: &[f32]) {
        let start = position * self.dimensions;
        for (stored, &value) in self.values[start..start + self.dimensions].iter_mut().zip(point) {
            *stored = value + 0.0;
        }
    }

    fn position(&self, number: u64) -> usize {
        (number % self.capacity() as u64) as usize
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        heap_bytes(&self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::Points;

    /// Pushes 0, 1, 2, … as points `(n, n + 0.5)` and compares every shingle with what it must be.
    fn check(dimensions: usize, shingle: usize, window: usize) {
        let raw = |n: u64| (0..dimensions).map(move |d| n as f32 + d as f32 / 16.0);
        let mut points = Points::new(dimensions, shingle, window);
        for n in 0..100_u64 {
            points.push(&raw(n).collect::<Vec<_>>());
            let expected = (n as usize + 2).saturating_sub(shingle).min(window);
            assert_eq!(points.len(), expected);
            for age in 0..points.len() {
                let first = n + 1 - (points.len() - age + shingle - 1) as u64;
                let shingle: Vec<f32> = (first..first + shingle as u64).flat_map(raw).collect();
                assert_eq!(points.point(points.slot(age)), shingle);
                assert_eq!(points.age(points.slot(age)), age);
            }
            let held: Vec<f32> = points.raw().flatten().copied().collect();
            let restored = Points::restore(dimensions, shingle, window, points.pushed(), &held);
            assert_eq!(restored.values, points.values);
            assert_eq!(restored.pushed, points.pushed);
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
        let mut points = Points::new(1, 1, 4);
        points.push(&[-0.0]);
        assert_eq!(points.point(0)[0].to_bits(), 0);
    }

    #[test]
    fn memory_follows_the_points_held() {
        let mut points = Points::new(4, 3, 1_000_000);
        points.push(&[1.0; 4]);
        assert!(points.heap_bytes() < 1_000);
    }
}

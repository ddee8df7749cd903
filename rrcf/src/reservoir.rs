//! A sample of a series: the points that the trees hold if the window does not slide.
//!
//! Every point draws a *key*, `ln(−ln u) − rate × n`, where `u` is uniform and `n` is the number of
//! the point. The sample holds the points with the smallest keys: Efraimidis and Spirakis,
//! *Weighted random sampling with a reservoir*, IPL 2006, with weights that grow as e^(rate × n).
//! At rate 0, every point of the past is held with the same probability. Otherwise the probability
//! fades with the age of the point. A point that the sample does not take costs each tree only the
//! descent.

use alloc::vec;
use alloc::vec::Vec;

use crate::growth::{heap_bytes, make_room};
use crate::rng::Rng;
use crate::store::Store;

/// A weighted reservoir of points, as large as the window.
#[derive(Clone, Debug)]
pub(crate) struct Reservoir {
    dimensions: usize,
    window: usize,
    rate: f64,
    rng: Rng,
    pushed: u64,
    /// The last raw points, one shingle of them, oldest first.
    recent: Vec<f32>,
    /// The points held, as a heap with the largest key first.
    held: Vec<Held>,
    /// Free slots below the largest slot ever used.
    free: Vec<u32>,
}

/// One point of the sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Held {
    pub(crate) key: f64,
    pub(crate) slot: u32,
}

/// Whether the sample takes a new point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Admission {
    /// The sample takes the point and has room for it.
    Room,
    /// The sample takes the point in place of the point at this slot.
    Instead(u32),
    /// The sample does not take the point.
    Refused,
}

impl Reservoir {
    pub(crate) fn new(dimensions: usize, shingle: usize, window: usize, rate: f64, rng: Rng) -> Self {
        let recent = vec![0.0; dimensions * shingle];
        Self { dimensions, window, rate, rng, pushed: 0, recent, held: Vec::new(), free: Vec::new() }
    }

    /// Continues from the state of a snapshot: the random numbers, the number of points received,
    /// the recent points, and the heap.
    pub(crate) fn resume(&mut self, rng: Rng, pushed: u64, recent: &[f32], held: Vec<Held>) {
        self.rng = rng;
        self.pushed = pushed;
        self.recent.copy_from_slice(recent);
        self.held = held;
    }

    /// Returns whether the entries are a heap, as [`Reservoir::resume`] requires.
    pub(crate) fn is_heap(held: &[Held]) -> bool {
        (1..held.len()).all(|i| held[i].key <= held[(i - 1) / 2].key)
    }

    /// Creates a store for the points of the sample.
    pub(crate) fn store(&self) -> Store {
        Store::new(self.recent.len(), self.recent.len())
    }

    pub(crate) fn dimensions(&self) -> usize {
        self.dimensions
    }

    pub(crate) fn shingle(&self) -> usize {
        self.recent.len() / self.dimensions
    }

    pub(crate) fn window(&self) -> usize {
        self.window
    }

    pub(crate) fn rate(&self) -> f64 {
        self.rate
    }

    pub(crate) fn rng(&self) -> Rng {
        self.rng
    }

    pub(crate) fn pushed(&self) -> u64 {
        self.pushed
    }

    pub(crate) fn recent(&self) -> &[f32] {
        &self.recent
    }

    pub(crate) fn held(&self) -> &[Held] {
        &self.held
    }

    /// Receives a raw point. Returns whether enough points have come for a shingle.
    pub(crate) fn push(&mut self, point: &[f32]) -> bool {
        self.recent.copy_within(self.dimensions.., 0);
        let newest = self.recent.len() - self.dimensions;
        for (to, &value) in self.recent[newest..].iter_mut().zip(point) {
            *to = value + 0.0;
        }
        self.pushed += 1;
        self.pushed >= self.shingle() as u64
    }

    /// Draws the key of the newest point.
    pub(crate) fn draw(&mut self) -> f64 {
        let uniform = self.rng.uniform();
        libm::log(-libm::log(uniform)) - self.rate * self.pushed as f64
    }

    /// Decides whether the sample takes a point with this key. Removes the point that it replaces
    /// from the heap.
    pub(crate) fn offer(&mut self, key: f64) -> Admission {
        if self.held.len() < self.window {
            return Admission::Room;
        }
        match self.held.first() {
            Some(&Held { key: largest, slot }) if key < largest => {
                self.take(0);
                Admission::Instead(slot)
            }
            _ => Admission::Refused,
        }
    }

    /// Returns a slot that no point uses.
    pub(crate) fn free_slot(&mut self, used: usize) -> u32 {
        self.free.pop().unwrap_or(used as u32)
    }

    /// Marks a slot as free.
    pub(crate) fn release(&mut self, slot: u32) {
        self.free.push(slot);
    }

    /// Adds the newest point, which stands at `slot`, to the sample.
    pub(crate) fn add(&mut self, key: f64, slot: u32) {
        make_room(&mut self.held, 1, self.window);
        self.held.push(Held { key, slot });
        let mut at = self.held.len() - 1;
        while at > 0 && self.held[(at - 1) / 2].key < self.held[at].key {
            self.held.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    /// Removes the point with the largest key and returns its slot.
    pub(crate) fn evict(&mut self) -> Option<u32> {
        (!self.held.is_empty()).then(|| self.take(0))
    }

    /// Removes one point with this slot.
    pub(crate) fn take_slot(&mut self, slot: u32) {
        if let Some(at) = self.held.iter().position(|held| held.slot == slot) {
            self.take(at);
        }
    }

    /// Gives all points new slots, and the sample a new size.
    pub(crate) fn renumber(&mut self, window: usize, number: impl Fn(u32) -> u32) {
        self.window = window;
        self.free.clear();
        for held in &mut self.held {
            held.slot = number(held.slot);
        }
    }

    fn take(&mut self, mut at: usize) -> u32 {
        let taken = self.held.swap_remove(at);
        while at > 0 && at < self.held.len() && self.held[(at - 1) / 2].key < self.held[at].key {
            self.held.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
        loop {
            let mut largest = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if child < self.held.len() && self.held[child].key > self.held[largest].key {
                    largest = child;
                }
            }
            if largest == at {
                return taken.slot;
            }
            self.held.swap(at, largest);
            at = largest;
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        heap_bytes(&self.recent) + heap_bytes(&self.held) + heap_bytes(&self.free)
    }
}

#[cfg(test)]
mod tests {
    use super::{Admission, Reservoir};
    use crate::rng::Rng;

    /// Feeds `points` numbers to a sample and returns the numbers that it holds at the end.
    fn sample(window: usize, rate: f64, points: u64, seed: u64) -> Vec<u64> {
        let mut reservoir = Reservoir::new(1, 1, window, rate, Rng::for_sampling(seed));
        let mut numbers = vec![0; window];
        for n in 0..points {
            assert!(reservoir.push(&[n as f32]));
            let key = reservoir.draw();
            let slot = match reservoir.offer(key) {
                Admission::Room => reservoir.held().len() as u32,
                Admission::Instead(slot) => slot,
                Admission::Refused => continue,
            };
            numbers[slot as usize] = n;
            reservoir.add(key, slot);
            assert!(Reservoir::is_heap(reservoir.held()));
        }
        numbers
    }

    #[test]
    fn a_uniform_sample_has_points_of_all_ages_alike() {
        let mut early = 0;
        for seed in 0..40 {
            early += sample(100, 0.0, 2_000, seed).iter().filter(|&&n| n < 1_000).count();
        }
        assert!((1_900..2_100).contains(&early), "{early} of 4000 from the first half");
    }

    #[test]
    fn a_decaying_sample_forgets_at_its_rate() {
        let rate = 0.1 / 256.0;
        let (mut ages, mut count) = (0.0, 0.0);
        for seed in 0..20 {
            for n in sample(256, rate, 40_000, seed) {
                ages += (39_999 - n) as f64;
                count += 1.0;
            }
        }
        // The window is a tenth of 1 / rate, so the ages are almost exponential.
        let mean = ages / count * rate;
        assert!((0.9..1.1).contains(&mean), "mean age times rate is {mean}");
    }

    #[test]
    fn a_fast_decay_is_a_sliding_window() {
        let mut held = sample(50, 1.0, 5_000, 1);
        held.sort_unstable();
        assert!(held[0] > 4_900, "{held:?}");
    }
}

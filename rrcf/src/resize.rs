//! Removing single points from a forest, and changing the size of its window.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::builder::{MAX_POINTS, MAX_WINDOW};
use crate::error::Error;
use crate::forest::{Forest, check_length};
use crate::pass::Leaving;
use crate::ring::Ring;
use crate::tree::{Layout, Pool, Scratch};
use crate::window::Window;

impl Forest {
    /// Removes a point that is equal to `point`: the newest of a sliding window, any of a time-decayed
    /// sample. Returns whether the forest held one.
    ///
    /// `point` is a point of the trees with `dimensions * shingle` values, the oldest of the
    /// shingle first. With a shingle of one it is the point that was given to
    /// [`update`](Forest::update). Later points keep their places: a sliding window holds one point
    /// less until the removed point would have left it. Use this to unlearn a reading that turned
    /// out to be false.
    ///
    /// # Errors
    ///
    /// Returns [`Error::WrongLength`], and leaves the forest unchanged.
    pub fn remove(&mut self, point: &[f32]) -> Result<bool, Error> {
        check_length("point", point.len(), self.store.width())?;
        // Adding zero turns -0.0 into 0.0, as the store does.
        let point: Vec<f32> = point.iter().map(|value| value + 0.0).collect();
        if self.is_empty() || point.iter().any(|value| !value.is_finite()) {
            return Ok(false);
        }
        let Some(stands) = self.trees[0].duplicate(&point, &self.pool, &self.store) else { return Ok(false) };
        match &mut self.window {
            Window::Sampled(reservoir) => {
                reservoir.take_slot(stands);
                let last = self.store.count(stands) == 1;
                if last {
                    reservoir.release(stands);
                }
            }
            Window::Sliding(ring) => {
                // The newest point represents all equal ones, so the one before it takes over.
                let before =
                    ring.slots().rev().find(|&slot| slot != stands && self.store.point(slot) == point);
                if let Some(before) = before {
                    self.store.hand_over(stands, before);
                    for tree in &mut self.trees {
                        tree.rename(&point, before, &mut self.pool);
                    }
                }
                ring.set_gone(stands, true);
                self.forget(&point, before.unwrap_or(stands));
                return Ok(true);
            }
        }
        self.forget(&point, stands);
        Ok(true)
    }

    /// Changes the number of points that the forest holds at most. A smaller window immediately
    /// forgets the points that a full window would have forgotten first.
    ///
    /// # Errors
    ///
    /// Returns [`Error::OutOfRange`], and leaves the forest unchanged.
    pub fn resize(&mut self, window: usize) -> Result<(), Error> {
        let most = MAX_WINDOW.min(MAX_POINTS / self.trees.len());
        if window == 0 || window > most {
            return Err(Error::OutOfRange { what: "window", got: window, most });
        }
        while let Some(slot) = self.superfluous(window) {
            let point = self.store.point(slot).to_vec();
            let stands = self.trees[0].duplicate(&point, &self.pool, &self.store).unwrap_or(slot);
            self.forget(&point, stands);
        }
        self.rebuild(window);
        Ok(())
    }

    /// Takes one point out of the window that exceeds the new size, and returns its slot. Returns
    /// `None` if the points fit.
    fn superfluous(&mut self, window: usize) -> Option<u32> {
        match &mut self.window {
            Window::Sliding(ring) => {
                let excess = ring.len().saturating_sub(window);
                let slot = (0..excess).map(|age| ring.slot(age)).find(|&slot| !ring.is_gone(slot))?;
                ring.set_gone(slot, true);
                Some(slot)
            }
            Window::Sampled(reservoir) if reservoir.held().len() > window => reservoir.evict(),
            Window::Sampled(_) => None,
        }
    }

    /// Removes one point from all trees. `stands` is the slot that represents its value.
    fn forget(&mut self, point: &[f32], stands: u32) {
        self.leaving.set(point);
        let leaving = Leaving::new(self.store.leave(stands), stands);
        self.let_go(leaving);
    }

    /// Gives every point the slot that it would have in a window of another size, and moves every
    /// tree to a pool for these slots.
    fn rebuild(&mut self, size: usize) {
        let old = self.store.clone();
        let number: Box<dyn Fn(u32) -> u32> = match &mut self.window {
            Window::Sampled(reservoir) => {
                let mut slots: Vec<u32> = reservoir.held().iter().map(|held| held.slot).collect();
                slots.sort_unstable();
                slots.dedup();
                let new = slots.clone();
                let number = move |slot: u32| new.binary_search(&slot).map_or(0, |at| at as u32);
                self.store = reservoir.store();
                self.store.extend(slots.len(), size + 1);
                for (place, &slot) in slots.iter().enumerate() {
                    self.store.write(place, old.point(slot));
                }
                reservoir.renumber(size, &number);
                Box::new(number)
            }
            Window::Sliding(ring) => {
                let mut wider = Ring::new(ring.dimensions(), ring.shingle(), size);
                let keep = ring.raw_len().min(wider.capacity());
                let skipped = ring.raw_len() - keep;
                let raw: Vec<f32> = ring.raw(&old).skip(skipped).flatten().copied().collect();
                self.store = wider.store();
                wider.refill(&mut self.store, ring.pushed(), &raw);
                let before = ring.clone();
                for age in skipped..before.len() {
                    let slot = wider.slot(age - skipped);
                    wider.set_gone(slot, before.is_gone(before.slot(age)));
                }
                *ring = wider.clone();
                Box::new(move |slot| wider.slot(before.age(slot) - skipped))
            }
        };
        let counts: Vec<(u32, u32)> = old.standing().map(|slot| (number(slot), old.count(slot))).collect();
        self.store.recount(self.store.places().min(self.window.slots()), &counts);
        let mut pool = Pool::new(self.store.width(), self.window.slots());
        let (mut layout, mut scratch) = (Layout::default(), Scratch::default());
        for tree in &mut self.trees {
            let (from, to) = ((&self.pool, &old), (&mut pool, &self.store));
            // SAFETY: the tree, the old pool and the old store are those of this forest. The new ones
            // have its width, and every point that the trees hold was written to its new slot.
            #[allow(unsafe_code, reason = "a tree reads its points without checks")]
            let moved = unsafe { tree.move_to(&number, from, to, &mut layout, &mut scratch) };
            *tree = moved;
        }
        self.pool = pool;
    }
}

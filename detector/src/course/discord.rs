//! The dictionary of a field's usual shapes.

use serde::{Deserialize, Serialize};

/// Readings of a window.
const WINDOW: usize = 16;
/// Maximum number of leaders.
const LEADERS: usize = 32;
/// A window farther from its nearest leader than this many usual distances becomes a leader.
const NOVEL: f64 = 2.0;
/// A window moves its nearest leader by this part of their difference.
const PULL: f32 = 1.0 / 16.0;
/// After this many learnt windows, leaders lose an eighth of their hits.
const AGEING: u32 = 256;
/// A distance beyond this many usual ones counts as this many in the usual distance.
const MOST_UNUSUAL: f64 = 6.0;
/// Upper bound of a distance.
const FARTHEST: f64 = 1e3;

/// A usual shape, and how often it was the nearest one.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(super) struct Leader {
    shape: [f32; WINDOW],
    hits: u32,
}

/// The dictionary of usual shapes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(super) struct Discord {
    /// The last coordinates, the newest first.
    window: [f64; WINDOW],
    /// Number of valid coordinates.
    known: u8,
    /// At most [`LEADERS`].
    pub(super) leaders: Vec<Leader>,
    /// Number of learnt windows since the leaders last aged.
    age: u32,
    /// Running mean of the distances.
    usual: f64,
    /// Distance of the last window from the nearest leader, in units of the field's spread.
    distance: f64,
    #[serde(skip)]
    shape: [f32; WINDOW],
    #[serde(skip)]
    nearest: usize,
}

impl Discord {
    /// Forgets the last readings, because a silence separates them from the next one.
    pub(super) fn restart(&mut self) {
        self.known = 0;
    }

    /// Adds a reading to the window, and looks for the nearest leader.
    pub(super) fn observe(&mut self, coordinate: f64, spread: f64) {
        self.window.copy_within(..WINDOW - 1, 1);
        self.window[0] = coordinate;
        self.known = (self.known + 1).min(WINDOW as u8);
        self.distance = 0.0;
        if usize::from(self.known) < WINDOW {
            return;
        }
        let mean = self.window.iter().sum::<f64>() / WINDOW as f64;
        for (element, coordinate) in self.shape.iter_mut().zip(&self.window) {
            *element = (coordinate - mean).clamp(-1e15, 1e15) as f32;
        }
        let mut least = f32::INFINITY;
        for (index, leader) in self.leaders.iter().enumerate() {
            let square = square_of_distance(&self.shape, &leader.shape);
            if square < least {
                (least, self.nearest) = (square, index);
            }
        }
        if !self.leaders.is_empty() && spread > 0.0 {
            self.distance = ((f64::from(least) / WINDOW as f64).sqrt() / spread).min(FARTHEST);
        }
    }

    /// Returns the measure of the last window.
    pub(super) fn measure(&self) -> f64 {
        4.0 * libm::log1p(self.distance)
    }

    /// Learns the last window. `rate` is its weight in the running mean of the distances.
    pub(super) fn learn(&mut self, rate: f64) {
        if usize::from(self.known) < WINDOW {
            return;
        }
        if self.leaders.len() < LEADERS {
            self.leaders.reserve_exact(LEADERS - self.leaders.len());
            self.leaders.push(Leader { shape: self.shape, hits: 1 });
        } else if self.distance > NOVEL * self.usual {
            let dispensable = self.dispensable();
            self.leaders[dispensable] = Leader { shape: self.shape, hits: 1 };
        } else {
            let leader = &mut self.leaders[self.nearest];
            leader.hits = leader.hits.saturating_add(1);
            for (element, new) in leader.shape.iter_mut().zip(&self.shape) {
                *element += PULL * (new - *element);
            }
        }
        let counted =
            if self.usual > 0.0 { self.distance.min(MOST_UNUSUAL * self.usual) } else { self.distance };
        self.usual += rate * (counted - self.usual);
        self.age += 1;
        if self.age >= AGEING {
            self.age = 0;
            self.leaders.iter_mut().for_each(|leader| leader.hits -= leader.hits / 8);
        }
    }

    /// Returns the leader whose loss costs least: its windows would fall to the leader nearest to
    /// it. So leaders that are alike give way first, and a rare shape unlike all others stays.
    fn dispensable(&self) -> usize {
        let mut nearest = [f32::INFINITY; LEADERS];
        for (i, a) in self.leaders.iter().enumerate() {
            for (j, b) in self.leaders[..i].iter().enumerate() {
                let square = square_of_distance(&a.shape, &b.shape);
                nearest[i] = nearest[i].min(square);
                nearest[j] = nearest[j].min(square);
            }
        }
        let (mut least, mut dispensable) = (f64::INFINITY, 0);
        for (index, (leader, &square)) in self.leaders.iter().zip(&nearest).enumerate() {
            let cost = f64::from(leader.hits) * f64::from(square);
            if cost < least {
                (least, dispensable) = (cost, index);
            }
        }
        dispensable
    }

    /// Returns the memory on the heap, in bytes.
    pub(super) fn memory_usage(&self) -> usize {
        self.leaders.capacity() * size_of::<Leader>()
    }

    /// Returns whether all numbers are finite and in range.
    pub(super) fn is_sound(&self) -> bool {
        let is_finite = |leader: &Leader| leader.shape.iter().all(|element| element.is_finite());
        self.leaders.len() <= LEADERS
            && usize::from(self.known) <= WINDOW
            && self.age < AGEING
            && self.leaders.iter().all(is_finite)
            && self.window.iter().chain([&self.usual, &self.distance]).copied().all(f64::is_finite)
    }
}

/// Returns the square of the distance between two windows, summed in eight lanes so that one
/// instruction adds eight elements. The order of the additions is fixed.
fn square_of_distance(a: &[f32; WINDOW], b: &[f32; WINDOW]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += (a - b) * (a - b);
        }
    }
    let sums: [f32; 4] = core::array::from_fn(|lane| lanes[lane] + lanes[lane + 4]);
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}

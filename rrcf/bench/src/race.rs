//! Timing in CPU time of the thread, with the contestants taking turns.
//!
//! Turns keep the ratios right on a busy or throttled machine: a disturbance of one side's chunk
//! probably also disturbs the other side's next chunk. The contestant that starts changes from
//! chunk to chunk.

use std::hint::black_box;
use std::time::Duration;

use cpu_time::ThreadTime;
use serde::{Deserialize, Serialize};

use crate::contest::Contestant;
use crate::series::Series;

/// The length of a race.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    /// Chunks per contestant.
    pub chunks: usize,
    /// Points per chunk.
    pub points: usize,
}

/// Microseconds per step of each chunk of a contestant. A step is usually one point.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Laps(Vec<f64>);

impl Laps {
    /// Adds a chunk of `steps` steps.
    pub fn push(&mut self, time: Duration, steps: usize) {
        self.0.push(time.as_secs_f64() * 1e6 / steps as f64);
    }

    /// Returns the median chunk, in microseconds per step.
    pub fn median(&self) -> f64 {
        median(self.0.clone())
    }

    /// Returns the fastest chunk, which was disturbed least, in microseconds per step.
    pub fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// Returns how many times as long as `other` this takes: the median of the ratios between
    /// chunks of the same turn.
    pub fn ratio_to(&self, other: &Self) -> f64 {
        median(self.0.iter().zip(&other.0).map(|(this, that)| this / that).collect())
    }
}

/// Returns the median. For an even number of values, this is the mean of the two middle ones.
///
/// # Panics
///
/// Panics if there are no values.
fn median(mut values: Vec<f64>) -> f64 {
    assert!(!values.is_empty(), "a median needs a value");
    values.sort_by(f64::total_cmp);
    let upper = values.len() / 2;
    if values.len() % 2 == 1 { values[upper] } else { f64::midpoint(values[upper - 1], values[upper]) }
}

/// Returns the CPU time that this thread spends on `work`.
pub fn cpu_time<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = ThreadTime::now();
    let outcome = black_box(work());
    (outcome, start.elapsed())
}

/// Feeds the same points to all contestants, in turns. The contestants must be warm.
pub fn race<const N: usize>(
    mut contestants: [&mut dyn Contestant; N],
    series: &mut Series,
    length: Length,
) -> [Laps; N] {
    let mut laps = [const { Laps(Vec::new()) }; N];
    for chunk in 0..length.chunks {
        let points: Vec<Vec<f32>> = series.take(length.points).collect();
        for turn in 0..N {
            let who = (chunk + turn) % N;
            let ((), time) = cpu_time(|| run(contestants[who], &points));
            laps[who].push(time, points.len());
        }
    }
    laps
}

fn run(contestant: &mut dyn Contestant, points: &[Vec<f32>]) {
    for point in points {
        black_box(contestant.step(black_box(point)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Kind;

    fn laps(microseconds: &[f64]) -> Laps {
        Laps(microseconds.to_vec())
    }

    fn same(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn the_median_is_the_middle_of_the_sorted_values() {
        assert!(same(laps(&[9.0, 1.0, 5.0]).median(), 5.0));
        assert!(same(laps(&[9.0, 1.0, 5.0, 6.0]).median(), 5.5));
        assert!(same(laps(&[9.0, 1.0, 5.0]).least(), 1.0));
    }

    #[test]
    fn a_ratio_pairs_the_chunks_of_a_turn() {
        let (ours, theirs) = (laps(&[1.0, 10.0, 2.0]), laps(&[4.0, 40.0, 20.0]));
        assert!(same(theirs.ratio_to(&ours), 4.0));
        assert!(same(ours.ratio_to(&theirs), 0.25));
    }

    #[test]
    fn a_chunk_is_divided_by_its_steps() {
        let mut laps = Laps::default();
        laps.push(Duration::from_millis(2), 100);
        assert!(same(laps.median(), 20.0));
    }

    #[test]
    fn contestants_see_the_same_points() {
        struct Sum(f64);
        impl Contestant for Sum {
            fn step(&mut self, point: &[f32]) -> f64 {
                self.0 += f64::from(point[0]);
                self.0
            }
        }
        let (mut one, mut other) = (Sum(0.0), Sum(0.0));
        let length = Length { chunks: 3, points: 10 };
        let laps = race([&mut one, &mut other], &mut Series::new(Kind::Cont, 1, 7), length);
        assert_eq!(laps.map(|laps| laps.0.len()), [3, 3]);
        assert!(same(one.0, other.0) && one.0 > 0.0);
    }
}

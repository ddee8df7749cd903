//! CPU time of one update of a full forest, its memory and its snapshot. `cargo bench -p rrcf-rs`
//!
//! CPU time of the thread, not wall time: the figures hold on a machine that does other things too.

use rrcf_rs::Forest;

const ROUNDS: usize = 15;
const UPDATES: usize = 200;

fn main() {
    println!(
        "{:>5} {:>6} {:>6} {:>7}  {:>14} {:>9} {:>9}",
        "trees", "window", "fields", "shingle", "µs per update", "KB", "snapshot"
    );
    for (trees, window, fields, shingle) in [
        (16, 2_048, 1, 1),
        (16, 2_048, 3, 1),
        (16, 2_048, 8, 1),
        (16, 2_048, 13, 1),
        (50, 256, 1, 8),
        (100, 256, 1, 8),
    ] {
        let mut forest = Forest::builder(fields)
            .trees(trees)
            .window(window)
            .shingle(shingle)
            .seed(1)
            .build()
            .expect("valid settings");
        let mut series = Series { state: 1, fields, step: 0 };
        for _ in 0..window + shingle + UPDATES {
            forest.update(&series.point()).expect("a finite point");
        }
        let mut rounds: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let points: Vec<Vec<f32>> = (0..UPDATES).map(|_| series.point()).collect();
                let before = cpu_nanoseconds();
                for point in &points {
                    std::hint::black_box(forest.update(point).expect("a finite point"));
                }
                (cpu_nanoseconds() - before) as f64 / 1e3 / UPDATES as f64
            })
            .collect();
        rounds.sort_by(f64::total_cmp);
        println!(
            "{trees:>5} {window:>6} {fields:>6} {shingle:>7}  {:>5.1} ({:>5.1}) {:>9} {:>9}",
            rounds[ROUNDS / 2],
            rounds[0],
            forest.memory_usage() / 1_024,
            forest.snapshot().len() / 1_024
        );
    }
    println!("median and (minimum) of {ROUNDS} rounds");
}

/// CPU time of this thread, as Linux accounts it.
fn cpu_nanoseconds() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split_whitespace().next().and_then(|field| field.parse().ok()).expect("nanoseconds")
}

/// A slow wave in every field, with noise of its own.
struct Series {
    state: u64,
    fields: usize,
    step: u32,
}

impl Series {
    fn point(&mut self) -> Vec<f32> {
        self.step += 1;
        let wave = libm::sin(f64::from(self.step) / 46.0);
        (0..self.fields)
            .map(|_| {
                self.state = self
                    .state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let noise = (self.state >> 40) as f64 / f64::from(1 << 24);
                (20.0 + 5.0 * wave + noise) as f32
            })
            .collect()
    }
}

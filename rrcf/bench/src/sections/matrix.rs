//! All kinds of data, shapes and numbers of trees, to find the smallest advantage.

use crate::contest::{Mode, Size, warm};
use crate::race::race;
use crate::results::Results;
use crate::sections::{Effort, progress};
use crate::series::{Kind, Series, Shape};
use crate::table::{Table, micros, times};
use crate::{ours, peer};

/// A quick run takes only the first number.
const TREES: [usize; 3] = [100, 40, 50];

/// Races the sliding window against FIFO-like in every combination.
pub fn run(effort: &Effort, results: &mut Results) {
    let mut table = Table::new(2, &["data", "shape", "trees", "rrcf-rs µs", "krcflib µs", "ratio"]);
    let mut least = f64::INFINITY;
    for kind in Kind::ALL {
        for shape in Shape::ALL {
            for &trees in effort.sizes(&TREES, 1) {
                least = least.min(measure(kind, shape, trees, effort, &mut table));
            }
        }
    }
    table.print("Worst case, windows of 256 points, FIFO: median time per point");
    println!("  least ratio: {}", times(least));
    results.worst_case_speedup = Some(least);
}

fn measure(kind: Kind, shape: Shape, trees: usize, effort: &Effort, table: &mut Table) -> f64 {
    progress(&format!("matrix: {} {} × {trees} trees", kind.name(), shape.name));
    let size = Size { fields: shape.fields, shingle: shape.shingle, trees, window: 256 };
    let mut series = Series::new(kind, size.fields, 1);
    let (mut ours, mut theirs) = (ours::build(size, Mode::Fifo, 1), peer::build(size, Mode::Fifo, 1));
    warm(&mut [&mut ours, &mut theirs], &mut series, size.warm_after(Mode::Fifo));
    let [our_laps, peer_laps] = race([&mut ours, &mut theirs], &mut series, effort.other);
    let ratio = peer_laps.ratio_to(&our_laps);
    table.row([
        kind.name().to_owned(),
        shape.name.to_owned(),
        trees.to_string(),
        micros(our_laps.median()),
        micros(peer_laps.median()),
        times(ratio),
    ]);
    ratio
}

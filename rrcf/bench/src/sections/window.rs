//! Growth with the window, for rrcf-rs alone. Depth and time should grow with the logarithm of the
//! window.

use crate::contest::{Mode, Size, warm};
use crate::ours;
use crate::race::race;
use crate::sections::{Effort, progress, spread};
use crate::series::{Kind, Series};
use crate::table::{Table, count};

const WINDOWS: [usize; 5] = [256, 1_024, 4_096, 16_384, 65_536];
const TREES: usize = 10;

/// Measures each window with one field and with three fields.
pub fn run(effort: &Effort) {
    let titles = ["fields", "window", "mean depth", "depth/log2(window)", "µs per point", "ns/tree/level"];
    let mut table = Table::new(0, &titles);
    for fields in [1, 3] {
        for window in WINDOWS {
            progress(&format!("window: {window} points × {fields} fields"));
            measure(Size { fields, shingle: 1, trees: TREES, window }, effort, &mut table);
        }
    }
    table.print("Growth with the window, rrcf-rs, 10 trees, shingle 1: time per point, median (least)");
}

fn measure(size: Size, effort: &Effort, table: &mut Table) {
    let mut series = Series::new(Kind::Cont, size.fields, 1);
    let mut forest = ours::build(size, Mode::Fifo, 1);
    warm(&mut [&mut forest], &mut series, size.window + size.window / 4);
    let [laps] = race([&mut forest], &mut series, effort.main);
    let points = effort.main.points;
    let depths = series.take(points).map(|point| forest.update(&point).expect("a finite point").depth);
    let depth = depths.sum::<f64>() / points as f64;
    table.row([
        size.fields.to_string(),
        count(size.window as u64),
        format!("{depth:.1}"),
        format!("{:.2}", depth / libm::log2(size.window as f64)),
        spread(&laps),
        format!("{:.0}", laps.median() * 1e3 / size.trees as f64 / depth),
    ]);
}

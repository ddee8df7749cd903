//! Few trees over many points of several fields, as a detector with many readings per second uses
//! them.

use crate::contest::{Mode, Size, warm};
use crate::race::race;
use crate::sections::{Effort, progress, spread};
use crate::series::{Kind, Series};
use crate::table::{Table, count, times};
use crate::{ours, peer};

/// The smallest window comes first. A quick run takes only that one.
const WINDOWS: [usize; 3] = [1_024, 2_048, 4_096];
const TREES: [usize; 2] = [10, 16];
const FIELDS: [usize; 2] = [3, 8];

/// Races both modes at every size.
pub fn run(effort: &Effort) {
    let titles =
        ["mode", "trees", "window", "fields", "rrcf-rs µs", "krcflib µs", "ratio", "bytes/tree/point"];
    let mut table = Table::new(1, &titles);
    for mode in [Mode::Fifo, Mode::Decay] {
        for &trees in &TREES {
            for &window in effort.sizes(&WINDOWS, 1) {
                for fields in FIELDS {
                    measure(Size { fields, shingle: 1, trees, window }, mode, effort, &mut table);
                }
            }
        }
    }
    table.print("Few trees, many points, shingle 1: time per point, median (least); memory of rrcf-rs");
}

fn measure(size: Size, mode: Mode, effort: &Effort, table: &mut Table) {
    let Size { fields, trees, window, .. } = size;
    progress(&format!("few: {} {trees} trees × {window} points × {fields} fields", mode.name()));
    let mut series = Series::new(Kind::Cont, fields, 1);
    let (mut ours, mut theirs) = (ours::build(size, mode, 1), peer::build(size, mode, 1));
    warm(&mut [&mut ours, &mut theirs], &mut series, size.warm_after(mode));
    let [our_laps, peer_laps] = race([&mut ours, &mut theirs], &mut series, effort.other);
    let bytes = ours.memory_usage() as f64 / (trees * window) as f64;
    table.row([
        mode.name().to_owned(),
        trees.to_string(),
        count(window as u64),
        fields.to_string(),
        spread(&our_laps),
        spread(&peer_laps),
        times(peer_laps.ratio_to(&our_laps)),
        format!("{bytes:.1}"),
    ]);
}

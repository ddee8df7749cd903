//! Time per point at the main size.

use crate::contest::{Mode, Size, warm};
use crate::race::race;
use crate::results::Results;
use crate::sections::{Effort, progress, spread};
use crate::series::{Kind, Series};
use crate::table::{Table, times};
use crate::{ours, peer};

/// Races all four forests together, so that every ratio is between neighbouring chunks.
pub fn run(effort: &Effort, results: &mut Results) {
    progress("main: warming");
    let size = Size::MAIN;
    let mut series = Series::new(Kind::Cont, size.fields, 1);
    let [mut our_window, mut our_decayed] = [Mode::Fifo, Mode::Decay].map(|mode| ours::build(size, mode, 1));
    let [mut peer_fifo, mut peer_decay] = [Mode::Fifo, Mode::Decay].map(|mode| peer::build(size, mode, 1));
    let points = size.warm_after(Mode::Decay);
    warm(&mut [&mut our_window, &mut our_decayed, &mut peer_fifo, &mut peer_decay], &mut series, points);

    progress("main: racing");
    let [our_window, our_decayed, peer_fifo, peer_decay] =
        race([&mut our_window, &mut our_decayed, &mut peer_fifo, &mut peer_decay], &mut series, effort.main);
    let pairs = [
        ("sliding window", &our_window, "FIFO-like", &peer_fifo),
        ("time-decayed reservoir", &our_decayed, "default decay", &peer_decay),
        ("sliding window", &our_window, "default decay", &peer_decay),
    ];
    let mut table = Table::new(2, &["rrcf-rs", "krcflib", "rrcf-rs µs", "krcflib µs", "ratio"]);
    for (our_mode, our_laps, peer_mode, peer_laps) in pairs {
        table.row([
            our_mode.to_owned(),
            peer_mode.to_owned(),
            spread(our_laps),
            spread(peer_laps),
            times(peer_laps.ratio_to(our_laps)),
        ]);
    }
    table.print("Time per point, 100 trees × 256 points, shingle 8: median (least)");
    results.speedup_fifo = Some(peer_fifo.ratio_to(&our_window));
    results.speedup_decay = Some(peer_decay.ratio_to(&our_decayed));
}

//! Thousands of forests in turn. When a forest gets its next point, its memory has left the caches
//! long ago.

use std::time::Duration;

use crate::contest::{Contestant, Mode, Size, warm};
use crate::race::{Laps, cpu_time, race};
use crate::results::Results;
use crate::sections::{Effort, progress, spread};
use crate::series::{Kind, Series};
use crate::table::{Table, count, times};
use crate::{ours, peer};

const SIZE: Size = Size { trees: 50, ..Size::MAIN };
/// Number of forests with different seeds that are warmed. All others are deep copies of one of
/// them, and get their own noise from then on.
const ORIGINALS: u64 = 8;
/// Number of forests in a turn: small enough to compare neighbours in time, large enough to fill
/// any cache.
const TURN: usize = 100;

/// A sensor with one forest of each library.
struct Sensor<A, B> {
    ours: A,
    theirs: B,
    series: Series,
}

/// Feeds one point to every forest, round-robin. The libraries take turns.
pub fn run(effort: &Effort, results: &mut Results) {
    let mut originals: Vec<_> = (0..ORIGINALS).map(original).collect();
    progress(&format!("cold: copying them to {} forests of each side", count(effort.cold_forests as u64)));
    let mut sensors: Vec<_> = (0..effort.cold_forests)
        .map(|number| {
            let Sensor { ours, theirs, series } = &originals[number % originals.len()];
            Sensor { ours: ours.clone(), theirs: theirs.clone(), series: series.fork(1_000 + number as u64) }
        })
        .collect();

    progress("cold: one uncounted round");
    let mut uncounted = (Laps::default(), Laps::default());
    round(&mut sensors, &mut uncounted);
    let mut cold = (Laps::default(), Laps::default());
    for number in 1..=effort.cold_rounds {
        progress(&format!("cold: round {number} of {}", effort.cold_rounds));
        round(&mut sensors, &mut cold);
    }
    drop(sensors);

    let Sensor { ours, theirs, series } = &mut originals[0];
    let [our_hot, peer_hot] = race([ours, theirs], series, effort.other);
    let (our_cold, peer_cold) = cold;
    let mut table = Table::new(1, &["forests of each side", "rrcf-rs µs", "krcflib µs", "ratio"]);
    for (forests, our_laps, peer_laps) in
        [(effort.cold_forests, &our_cold, &peer_cold), (1, &our_hot, &peer_hot)]
    {
        let ratio = times(peer_laps.ratio_to(our_laps));
        table.row([count(forests as u64), spread(our_laps), spread(peer_laps), ratio]);
    }
    table.print("Time per point with cold caches, 50 trees × 256 points, shingle 8, FIFO: median (least)");
    results.speedup_cold = Some(peer_cold.ratio_to(&our_cold));
}

fn original(seed: u64) -> Sensor<rrcf_rs::Forest, peer::PeerForest> {
    progress(&format!("cold: warming forest {} of {ORIGINALS}", seed + 1));
    let mut sensor = Sensor {
        ours: ours::build(SIZE, Mode::Fifo, seed),
        theirs: peer::build(SIZE, Mode::Fifo, seed),
        series: Series::new(Kind::Cont, SIZE.fields, seed),
    };
    let points = SIZE.warm_after(Mode::Fifo);
    warm(&mut [&mut sensor.ours, &mut sensor.theirs], &mut sensor.series, points);
    sensor
}

/// Feeds one point to every forest. A lap is a turn.
fn round<A: Contestant, B: Contestant>(sensors: &mut [Sensor<A, B>], laps: &mut (Laps, Laps)) {
    for turn in sensors.chunks_mut(TURN) {
        let points: Vec<Vec<f32>> = turn.iter_mut().filter_map(|sensor| sensor.series.next()).collect();
        let time = feed(turn.iter_mut().map(|sensor| &mut sensor.ours), &points);
        laps.0.push(time, points.len());
        let time = feed(turn.iter_mut().map(|sensor| &mut sensor.theirs), &points);
        laps.1.push(time, points.len());
    }
}

fn feed<'a, C: Contestant + 'a>(forests: impl Iterator<Item = &'a mut C>, points: &[Vec<f32>]) -> Duration {
    let work = || forests.zip(points).map(|(forest, point)| forest.step(point)).sum::<f64>();
    cpu_time(work).1
}

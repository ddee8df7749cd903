//! Benchmarks of update, score, snapshot and restore of rrcf-rs at its main sizes, in CPU time of
//! the thread.
//!
//! `update` inserts and scores a point; `score` also tells which dimensions the score comes from.
//!
//! Run `cargo bench -p rrcf-bench`, or `cargo bench -p rrcf-bench -- snapshot` for a part.
//! Criterion keeps the figures of the last run and reports the changes. The comparison with krcflib
//! is `cargo run --release -p rrcf-bench`.

use std::time::Duration;

use cpu_time::ThreadTime;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use rrcf_bench::contest::{Mode, Size, warm};
use rrcf_bench::ours;
use rrcf_bench::series::{Kind, Series};
use rrcf_rs::Forest;

const SIZES: [Size; 4] = [
    Size::MAIN,
    Size { trees: 50, ..Size::MAIN },
    Size { fields: 3, shingle: 1, trees: 16, window: 2_048 },
    Size { fields: 8, shingle: 1, trees: 16, window: 2_048 },
];

/// Measures CPU time of the thread, so that other load on the machine does not count.
struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = ThreadTime;
    type Value = Duration;

    fn start(&self) -> ThreadTime {
        ThreadTime::now()
    }

    fn end(&self, start: ThreadTime) -> Duration {
        start.elapsed()
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

fn warmed(size: Size, mode: Mode) -> (Forest, Series) {
    let mut series = Series::new(Kind::Cont, size.fields, 1);
    let mut forest = ours::build(size, mode, 1);
    warm(&mut [&mut forest], &mut series, size.warm_after(mode));
    (forest, series)
}

fn name(group: &str, size: Size, mode: Mode) -> String {
    let Size { fields, shingle, trees, window } = size;
    format!("{group}/{} {trees}x{window} fields={fields} shingle={shingle}", mode.name())
}

fn forests(criterion: &mut Criterion<CpuTime>) {
    for size in SIZES {
        for mode in [Mode::Fifo, Mode::Decay] {
            let (mut forest, mut series) = warmed(size, mode);
            let mut point = || series.next().expect("an endless series");
            criterion.bench_function(&name("update", size, mode), |bencher| {
                bencher.iter_batched(&mut point, |point| forest.update(&point), BatchSize::SmallInput);
            });
            let mut contributions = vec![0.0; size.fields * size.shingle];
            criterion.bench_function(&name("score", size, mode), |bencher| {
                let score = |point: Vec<f32>| forest.update_attributed(&point, &mut contributions);
                bencher.iter_batched(&mut point, score, BatchSize::SmallInput);
            });
            criterion.bench_function(&name("snapshot", size, mode), |bencher| {
                bencher.iter_batched(|| (), |()| forest.snapshot(), BatchSize::PerIteration);
            });
            let snapshot = forest.snapshot();
            criterion.bench_function(&name("restore", size, mode), |bencher| {
                bencher.iter_batched(|| (), |()| Forest::restore(&snapshot), BatchSize::PerIteration);
            });
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime).measurement_time(Duration::from_secs(2));
    targets = forests
}
criterion_main!(benches);

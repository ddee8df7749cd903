//! Measures how well a detector detects. `make bench-nab` streams labelled series through the
//! detector's core, scores the detections as the Numenta Anomaly Benchmark does, and measures the
//! cost of each profile.

mod dataset;
mod endurance;
#[path = "../../tests/series/noise.rs"]
mod noise;
mod run;
mod scoring;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use dataset::Series;
use scoring::{Best, PROFILES};
use thicket_detector::DetectorConfig;
use thicket_detector_bench::numbers::median;
use thicket_detector_bench::profiles;
use thicket_detector_bench::report::allow_broken_pipe;
use thicket_detector_bench::stream::Scored;

/// Scores the profiles of the detector on labelled series, as the Numenta Anomaly Benchmark does.
#[derive(Parser)]
struct Args {
    /// Folder with <corpus>/<file>.csv (columns timestamp and value) and `combined_windows.json`.
    #[arg(long, env = "NAB", value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/data"), hide_default_value = true)]
    data: PathBuf,
    /// Folder for the scores: <OUT>/<profile>/<seed>/<corpus>/<file>.csv.
    #[arg(long, value_name = "OUT", default_value = "target/nab")]
    out: PathBuf,
    /// Runs only this profile: small, medium or large.
    #[arg(long)]
    profile: Option<String>,
    /// Number of seeds of each profile. The result is the median over the seeds.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Also prints the result of each series.
    #[arg(long)]
    per_file: bool,
    /// Readings of the synthetic series that shows whether detection fades over time. 0 skips it.
    #[arg(long, default_value_t = 1_000_000)]
    endurance: u64,
    /// Settings of the detector instead of the defaults, as JSON, such as {"smoothing": 40}.
    #[arg(long, default_value = "{}")]
    settings: String,
}

fn main() -> anyhow::Result<()> {
    allow_broken_pipe(report(&Args::parse(), &mut io::stdout().lock()))
}

fn report(args: &Args, out: &mut impl Write) -> anyhow::Result<()> {
    let configs = profiles::configs(args.profile.as_deref(), &args.settings)?;
    let all = dataset::read(&args.data)?;
    let windows: usize = all.iter().map(|series| series.windows.len()).sum();
    let rows: usize = all.iter().map(|series| series.values.len()).sum();
    writeln!(out, "{} series, {rows} rows, {windows} labelled windows, {} seeds\n", all.len(), args.seeds)?;
    let mut figures = serde_json::Map::new();
    for (name, config) in configs {
        let figure = bench(name, &config, &all, args, out)?;
        figures.insert(name.to_owned(), figure);
    }
    if args.endurance > 0 {
        figures.insert("endurance".to_owned(), endurance::report(args.endurance, out)?);
    }
    writeln!(out, "{}", serde_json::Value::Object(figures))?;
    Ok(())
}

/// Scores one profile with every seed, prints the results, and returns the figures as JSON.
fn bench(
    name: &str,
    config: &DetectorConfig,
    all: &[Series],
    args: &Args,
    out: &mut impl Write,
) -> anyhow::Result<serde_json::Value> {
    let mut per_seed: Vec<[Best; 3]> = Vec::new();
    let (mut memory, mut spent, mut applied) = (0, Duration::ZERO, 0);
    let mut at_shipped = Vec::new();
    writeln!(
        out,
        "{name:8} seed   standard   low_FP   low_FN    found  false rows   shipped threshold: found  false alarms a week"
    )?;
    for seed in 0..args.seeds {
        let scored = run::run_all(all, config, seed)?;
        for (series, scored) in all.iter().zip(&scored) {
            run::write(&args.out.join(name).join(seed.to_string()), series, scored)?;
            memory = memory.max(scored.memory);
            spent += scored.spent;
            applied += scored.onsets.len();
        }
        let onsets: Vec<Vec<f64>> = scored.iter().map(|scored| scored.onsets.clone()).collect();
        let best = scoring::best_scores(all, &onsets);
        let shipped = Shipped::of(all, &scored);
        let Best { found, windows, false_rows, .. } = best[0];
        writeln!(
            out,
            "         {seed:4}   {:8.1} {:8.1} {:8.1}   {found:3}/{windows:<3} {false_rows:10} {:29}/{windows:<3} {:12.2}",
            best[0].score, best[1].score, best[2].score, shipped.found, shipped.false_alarms_per_week
        )?;
        if args.per_file {
            print_files(all, &scored, best[0].threshold, out)?;
        }
        per_seed.push(best);
        at_shipped.push(shipped);
    }
    let median =
        |profile: usize| median(&per_seed.iter().map(|best| best[profile].score).collect::<Vec<f64>>());
    let micros = spent.as_secs_f64() * 1e6 / applied as f64;
    let medians = [median(0), median(1), median(2)];
    writeln!(
        out,
        "       median   {:8.1} {:8.1} {:8.1}   {} KB a sensor at most, {micros:.1} µs a reading\n",
        medians[0],
        medians[1],
        medians[2],
        memory / 1_000
    )?;
    let mean =
        |figure: fn(&Shipped) -> f64| at_shipped.iter().map(figure).sum::<f64>() / at_shipped.len() as f64;
    let mut figure = serde_json::Map::new();
    for (profile, median) in PROFILES.iter().zip(medians) {
        figure.insert(profile.name.to_owned(), round(median).into());
    }
    figure.insert("memory_bytes".to_owned(), memory.into());
    figure.insert("micros_per_reading".to_owned(), round(micros).into());
    figure.insert("found_at_shipped_threshold".to_owned(), round(mean(|s| s.found as f64)).into());
    figure.insert("false_alarms_per_week".to_owned(), round(mean(|s| s.false_alarms_per_week)).into());
    Ok(figure.into())
}

/// The alarms at the default threshold, as a user would have received them.
struct Shipped {
    found: usize,
    false_alarms_per_week: f64,
}

impl Shipped {
    fn of(all: &[Series], scored: &[Scored]) -> Self {
        let (mut found, mut false_alarms, mut weeks) = (0, 0, 0.0);
        for (series, scored) in all.iter().zip(scored) {
            let in_window =
                |row: usize| series.windows.iter().any(|&(left, right)| (left..=right).contains(&row));
            let announced = scored.events.iter().map(|event| event.announced);
            let alarms = || announced.clone().filter(|&row| row >= series.probation());
            found += series
                .windows
                .iter()
                .filter(|&&(left, right)| alarms().any(|row| (left..=right).contains(&row)))
                .count();
            false_alarms += alarms().filter(|&row| !in_window(row)).count();
            weeks += series.weeks();
        }
        Self { found, false_alarms_per_week: false_alarms as f64 / weeks }
    }
}

fn print_files(all: &[Series], scored: &[Scored], threshold: f64, out: &mut impl Write) -> io::Result<()> {
    for (series, scored) in all.iter().zip(scored) {
        let counted = series.probation()..series.values.len();
        let hits: Vec<usize> = counted.filter(|&row| scored.onsets[row] >= threshold).collect();
        let inside = |row: usize| series.windows.iter().any(|&(left, right)| (left..=right).contains(&row));
        let found =
            series.windows.iter().filter(|w| hits.iter().any(|row| (w.0..=w.1).contains(row))).count();
        let false_rows = hits.iter().filter(|&&row| !inside(row)).count();
        writeln!(
            out,
            "           {:58} found {found}/{}  false rows {false_rows}",
            series.name,
            series.windows.len()
        )?;
    }
    Ok(())
}

/// Rounds to two decimals.
fn round(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

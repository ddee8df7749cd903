//! Measures how well a detector detects. `make bench-nab` streams labelled series through the
//! detector's core, scores the detections as the Numenta Anomaly Benchmark does, and measures the
//! cost of each profile.

mod dataset;
mod endurance;
#[path = "../../tests/series/noise.rs"]
mod noise;
mod run;
mod scoring;

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::Parser;
use dataset::Series;
use run::Scored;
use scoring::{Best, PROFILES};
use thicket_detector::{DetectorConfig, Profile};

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
    let broken = |error: &io::Error| error.kind() == ErrorKind::BrokenPipe;
    match report(&Args::parse(), &mut io::stdout().lock()) {
        // The reader of the output, such as `head`, has closed it.
        Err(error) if error.downcast_ref().is_some_and(broken) => Ok(()),
        result => result,
    }
}

fn report(args: &Args, out: &mut impl Write) -> anyhow::Result<()> {
    let all = dataset::read(&args.data)?;
    let windows: usize = all.iter().map(|series| series.windows.len()).sum();
    let rows: usize = all.iter().map(|series| series.values.len()).sum();
    writeln!(out, "{} series, {rows} rows, {windows} labelled windows, {} seeds\n", all.len(), args.seeds)?;
    let mut figures = serde_json::Map::new();
    for (name, profile) in [("small", Profile::Small), ("medium", Profile::Medium), ("large", Profile::Large)]
    {
        if args.profile.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        let mut config: DetectorConfig = serde_json::from_str(&args.settings)?;
        config.profile = profile;
        config.validate()?;
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
        let scored = run_all(all, config, seed)?;
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
    let median = |profile: usize| {
        let mut scores: Vec<f64> = per_seed.iter().map(|best| best[profile].score).collect();
        scores.sort_by(f64::total_cmp);
        scores[scores.len() / 2]
    };
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
            let alarms = || scored.alarms.iter().filter(|&&row| row >= series.probation());
            found += series
                .windows
                .iter()
                .filter(|&&(left, right)| alarms().any(|row| (left..=right).contains(row)))
                .count();
            false_alarms += alarms().filter(|&&row| !in_window(row)).count();
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

/// Scores all series, on as many threads as there are processors. The result does not depend on
/// which thread takes which series.
fn run_all(all: &[Series], config: &DetectorConfig, seed: u64) -> anyhow::Result<Vec<Scored>> {
    let next = AtomicUsize::new(0);
    let scored = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(series) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = run::run(series, config, seed);
                    let mut scored = scored.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    scored.push((series.name.clone(), result));
                }
            });
        }
    });
    let mut scored = scored.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    scored.sort_by(|a, b| a.0.cmp(&b.0));
    scored.into_iter().map(|(_, result)| result).collect()
}

/// Rounds to two decimals.
fn round(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

//! Scores the profiles with every seed and prints the tables.

use std::cmp::Reverse;
use std::io::Write;
use std::time::Duration;

use serde_json::{Map, Value, json};
use thicket_detector::DetectorConfig;

use crate::cli::Args;
use crate::dataset::Series;
use crate::figures::{self, Figures};
use crate::numbers::{median, rounded};
use crate::output;
use crate::parallel::parallel;
use crate::stream::{Scored, stream};

/// A column of the table: its name in JSON, its number of decimals, and its figure.
type Column = (&'static str, usize, fn(&Figures) -> f64);

/// The columns that vary from seed to seed.
const COLUMNS: [Column; 9] = [
    ("auc_pr", 3, |figures| figures.auc_pr),
    ("vus_pr", 3, |figures| figures.vus_pr),
    ("best_f1", 3, |figures| figures.best_f1),
    ("at_1", 0, |figures| figures.at_1),
    ("at_3", 0, |figures| figures.at_3),
    ("found", 0, |figures| figures.found),
    ("spans", 0, |figures| figures.spans),
    ("false", 0, |figures| figures.false_alarms),
    ("a_week", 2, |figures| figures.a_week),
];

/// The results of one profile on one set.
struct SetResults<'a> {
    set: &'a str,
    /// One per seed.
    figures: Vec<Figures>,
    /// Processor time of one seed per reading, in microseconds.
    micros: f64,
}

/// Scores one profile with every seed, prints its table, and returns the figures as JSON.
///
/// # Errors
/// A series cannot be scored, or the output cannot be written.
pub fn report(
    name: &str,
    config: &DetectorConfig,
    all: &[Series],
    args: &Args,
    out: &mut impl Write,
) -> anyhow::Result<Value> {
    let scored = score(name, config, all, args)?;
    let mut results = Vec::new();
    for set in sets(all) {
        let members: Vec<usize> = (0..all.len()).filter(|&number| all[number].set == set).collect();
        let series: Vec<&Series> = members.iter().map(|&number| &all[number]).collect();
        let mut result = SetResults { set, figures: Vec::new(), micros: 0.0 };
        let (mut spent, mut readings) = (Duration::ZERO, 0);
        for (seed, scored) in scored.iter().enumerate() {
            let scored: Vec<&Scored> = members.iter().map(|&number| &scored[number]).collect();
            let (each, figures) = figures::of_set(&series, &scored);
            if args.per_series {
                print_series(name, seed, &series, &each, out)?;
            }
            result.figures.push(figures);
            spent += scored.iter().map(|scored| scored.spent).sum::<Duration>();
            readings += scored.iter().map(|scored| scored.grades.len()).sum::<usize>();
        }
        result.micros = spent.as_secs_f64() * 1e6 / readings as f64;
        results.push(result);
    }
    print_table(name, &results, out)?;
    let sets = results.iter().map(|result| (result.set.to_owned(), result.json()));
    Ok(Value::Object(sets.collect()))
}

/// Returns the results of every series, for every seed. Writes them to files too.
fn score(
    name: &str,
    config: &DetectorConfig,
    all: &[Series],
    args: &Args,
) -> anyhow::Result<Vec<Vec<Scored>>> {
    let mut jobs: Vec<(u64, usize)> =
        (0..args.seeds).flat_map(|seed| (0..all.len()).map(move |number| (seed, number))).collect();
    // The longest first, so that all threads end at about the same time.
    jobs.sort_by_key(|&(_, number)| Reverse(all[number].values.len()));
    let results = parallel(&jobs, |&(seed, number)| {
        let series = &all[number];
        // The seed is part of the sensor's name, so each seed gives other random cuts.
        let sensor = format!("{}/{}/{seed}", series.set, series.name);
        let scored = stream(&sensor, config, series.readings())?;
        let folder = args.out.join(name).join(seed.to_string());
        output::write(&folder, &series.set, &series.name, &scored)?;
        anyhow::Ok(scored)
    });
    let mut results: Vec<_> = jobs.into_iter().zip(results).collect();
    results.sort_by_key(|&(job, _)| job);
    let mut scored: Vec<Vec<Scored>> = (0..args.seeds).map(|_| Vec::new()).collect();
    for ((seed, _), result) in results {
        scored[seed as usize].push(result?);
    }
    Ok(scored)
}

/// Returns the names of the sets, in the order of the index.
fn sets(all: &[Series]) -> Vec<&str> {
    let mut sets: Vec<&str> = Vec::new();
    for series in all {
        if !sets.contains(&series.set.as_str()) {
            sets.push(&series.set);
        }
    }
    sets
}

impl SetResults<'_> {
    /// Returns the median, the least and the greatest of a column over the seeds.
    fn spread(&self, (_, _, figure): Column) -> [f64; 3] {
        let figures: Vec<f64> = self.figures.iter().map(figure).collect();
        let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        [median(&figures), least, greatest]
    }

    /// Returns the cell of a column.
    fn cell(&self, column: Column) -> String {
        let [median, least, greatest] = self.spread(column);
        let decimals = column.1;
        if least.to_bits() == greatest.to_bits() {
            format!("{median:.decimals$}")
        } else {
            format!("{median:.decimals$} ({least:.decimals$} to {greatest:.decimals$})")
        }
    }

    fn json(&self) -> Value {
        let columns = COLUMNS.into_iter().map(|column| {
            let [median, least, greatest] = self.spread(column).map(|figure| rounded(figure, 3));
            (column.0.to_owned(), json!({ "median": median, "least": least, "greatest": greatest }))
        });
        let mut json: Map<String, Value> = columns.collect();
        json.insert("micros_per_reading".to_owned(), rounded(self.micros, 1).into());
        Value::Object(json)
    }
}

fn print_table(name: &str, results: &[SetResults], out: &mut impl Write) -> std::io::Result<()> {
    writeln!(
        out,
        "| {name} | AUC-PR | VUS-PR | best F1 | at 1 | at 3 | found | spans | false | a week | µs |"
    )?;
    writeln!(out, "|---|{}", "---:|".repeat(COLUMNS.len() + 1))?;
    for result in results {
        let cells = COLUMNS.map(|column| result.cell(column)).join(" | ");
        writeln!(out, "| {} | {cells} | {:.0} |", result.set, result.micros)?;
    }
    writeln!(out)
}

fn print_series(
    name: &str,
    seed: usize,
    series: &[&Series],
    each: &[figures::SeriesFigures],
    out: &mut impl Write,
) -> std::io::Result<()> {
    for (series, figures) in series.iter().zip(each) {
        let curves = figures.curves.map_or("no labelled row".to_owned(), |[auc, vus, f1]| {
            format!("AUC-PR {auc:.3}  VUS-PR {vus:.3}  best F1 {f1:.3}")
        });
        let figures::SeriesFigures { shipped, .. } = figures;
        writeln!(
            out,
            "{name} seed {seed}  {:24} {curves}  found {} of {}  false {}",
            format!("{}/{}", series.set, series.name),
            shipped.found,
            shipped.spans,
            shipped.false_alarms
        )?;
    }
    Ok(())
}

//! The command line.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use serde_json::{Map, Value, json};

use crate::{dataset, profiles, report};

/// Measures how well the profiles of the detector detect on labelled series, and what they cost.
#[derive(Parser)]
pub struct Args {
    /// Folder with `index.csv` and <set>/<series>.csv.gz. detector/bench/README.md says where to
    /// get the sets and how to lay them out.
    #[arg(long, env = "DETECT", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Folder for the grades and events: <DIR>/<profile>/<seed>/<set>/<series>.csv and
    /// <series>.events.csv.
    #[arg(long, value_name = "DIR", default_value = "target/detect")]
    pub out: PathBuf,
    /// Measures only this profile: small, medium or large.
    #[arg(long)]
    pub profile: Option<String>,
    /// Measures only this set. Can be repeated.
    #[arg(long = "set", value_name = "NAME")]
    pub sets: Vec<String>,
    /// Number of seeds of each profile. The result is the median over the seeds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub seeds: u64,
    /// Settings of the detector instead of the defaults, as JSON, such as {"smoothing": 40}.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub settings: String,
    /// Also prints the result of each series.
    #[arg(long)]
    pub per_series: bool,
}

/// Measures what the arguments ask for and prints it. The last line is one JSON object with all
/// figures.
///
/// # Errors
/// The series cannot be read, a setting is not valid, or the output cannot be written.
pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<()> {
    let configs = profiles::configs(args.profile.as_deref(), &args.settings)?;
    let data = args.data.as_deref().context(
        "--data DIR is missing: the folder with the labelled series. \
         detector/bench/README.md says where to get them and how to lay them out",
    )?;
    let all = dataset::read(data, &args.sets)?;
    let rows: usize = all.iter().map(|series| series.micros.len()).sum();
    writeln!(out, "{} series, {rows} rows, {} seeds\n", all.len(), args.seeds)?;
    let mut figures = Map::new();
    for (name, config) in &configs {
        let sets = report::detection(name, config, &all, args, out)?;
        figures.insert((*name).to_owned(), json!({ "sets": sets }));
        out.flush()?;
    }
    writeln!(out, "{}", Value::Object(figures))?;
    Ok(())
}

//! The command line.

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use serde_json::{Map, Value};

use crate::dataset::Series;
use crate::{calm, dataset, profiles, report};

/// A part of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// How well the profiles detect on the labelled series.
    Detection,
    /// What a sensor costs: memory, checkpoint and processor time.
    Cost,
    /// How many alarms calm series raise, and which outliers are found. Needs no labelled series.
    Calm,
}

/// Measures how well the profiles of the detector detect on labelled series, and what they cost.
#[derive(Parser)]
pub struct Args {
    /// Folder with `index.csv` and <set>/<series>.csv.gz. detector/bench/README.md says where to
    /// get the sets and how to lay them out.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Measures only this part. Can be repeated.
    #[arg(long = "part", value_name = "PART")]
    pub parts: Vec<Part>,
    /// Numbers of fields of the sensors whose cost is measured, separated by commas.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,13", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub fields: Vec<u16>,
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

impl Args {
    fn measures(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }

    /// Returns the labelled series that are to be measured.
    fn series(&self, out: &mut impl Write) -> anyhow::Result<Vec<Series>> {
        if !self.measures(Part::Detection) {
            return Ok(Vec::new());
        }
        let data = self.data.as_deref().context(
            "--data DIR is missing: the folder with the labelled series. \
             detector/bench/README.md says where to get them and how to lay them out",
        )?;
        let all = dataset::read(data, &self.sets)?;
        let rows: usize = all.iter().map(|series| series.micros.len()).sum();
        writeln!(out, "{} series, {rows} rows, {} seeds\n", all.len(), self.seeds)?;
        Ok(all)
    }
}

/// Turns the error of a broken pipe into success: the reader of the output, such as `head`, has
/// closed it.
///
/// # Errors
/// Every other error.
pub fn allow_broken_pipe(result: anyhow::Result<()>) -> anyhow::Result<()> {
    let is_broken = |error: &io::Error| error.kind() == ErrorKind::BrokenPipe;
    match result {
        Err(error) if error.downcast_ref().is_some_and(is_broken) => Ok(()),
        result => result,
    }
}

/// Measures what the arguments ask for and prints it. The last line is one JSON object with all
/// figures.
///
/// # Errors
/// The series cannot be read, a setting is not valid, or the output cannot be written.
pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<()> {
    let configs = profiles::configs(args.profile.as_deref(), &args.settings)?;
    let all = args.series(out)?;
    let mut figures = Map::new();
    for (name, config) in &configs {
        let mut parts = Map::new();
        if args.measures(Part::Detection) {
            parts.insert("sets".to_owned(), report::detection(name, config, &all, args, out)?);
        }
        if args.measures(Part::Cost) {
            parts.insert("cost".to_owned(), report::cost(name, config, &args.fields, out)?);
        }
        if args.measures(Part::Calm) {
            parts.insert("calm".to_owned(), calm::report(name, config, args.seeds, out)?);
        }
        figures.insert((*name).to_owned(), parts.into());
        out.flush()?;
    }
    writeln!(out, "{}", Value::Object(figures))?;
    Ok(())
}

#[cfg(test)]
mod tests;

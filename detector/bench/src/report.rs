//! Measures what the command line asks for, and prints it.

use std::io::{self, ErrorKind, Write};

use anyhow::Context as _;
use serde_json::{Map, Value};

use crate::cli::{Args, Part};
use crate::dataset::{self, Series};
use crate::{calm, cost, detection, faults, profiles};

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
    let all = series(args, out)?;
    let mut figures = Map::new();
    for (name, config) in &configs {
        let mut parts = Map::new();
        if args.measures(Part::Detection) {
            parts.insert("sets".to_owned(), detection::report(name, config, &all, args, out)?);
        }
        if args.measures(Part::Cost) {
            parts.insert("cost".to_owned(), cost::report(name, config, &args.fields, out)?);
        }
        if args.measures(Part::Calm) {
            parts.insert("calm".to_owned(), calm::report(name, config, args.seeds, out)?);
        }
        if args.measures(Part::Faults) {
            parts.insert("faults".to_owned(), faults::report(name, config, args.seeds, out)?);
        }
        figures.insert((*name).to_owned(), parts.into());
        out.flush()?;
    }
    writeln!(out, "{}", Value::Object(figures))?;
    Ok(())
}

/// Returns the labelled series that are to be measured.
fn series(args: &Args, out: &mut impl Write) -> anyhow::Result<Vec<Series>> {
    if !args.measures(Part::Detection) {
        return Ok(Vec::new());
    }
    let data = args.data.as_deref().context(
        "--data DIR is missing: the folder with the labelled series. \
         detector/bench/README.md says where to get them and how to lay them out",
    )?;
    let all = dataset::read(data, &args.sets)?;
    let rows: usize = all.iter().map(|series| series.micros.len()).sum();
    writeln!(out, "{} series, {rows} rows, {} seeds\n", all.len(), args.seeds)?;
    Ok(all)
}

#[cfg(test)]
mod tests;

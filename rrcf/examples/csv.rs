//! Scores a series in a CSV file:
//!
//! ```text
//! cargo run --release -p rrcf-rs --example csv -- --time time --value load \
//!     --window 336 --shingle 12 --marks 3 --svg load.svg rrcf/examples/data/load.csv > scores.csv
//! ```
//!
//! Writes every row of the table as its time, its values and its score. `--help` lists all options.
//! Exits with 2 if the arguments are wrong, and with 1 if the table cannot be scored.

#[path = "csv/args.rs"]
mod args;
#[path = "csv/plot.rs"]
mod plot;
#[path = "csv/table.rs"]
mod table;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use args::Options;
use clap::Parser;
use plot::{Panel, Plot};
use rrcf_rs::Forest;
use table::Table;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(1)
        }
    }
}

/// A table, the columns to write, and the score of every row.
struct Scored {
    table: Table,
    time: Option<usize>,
    columns: Vec<usize>,
    /// For each column, one value per row; `None` if it is missing.
    values: Vec<Vec<Option<f64>>>,
    scores: Vec<f64>,
}

fn run(options: &Options) -> Result<(), String> {
    let table = Table::read(open(options.file.as_deref())?, !options.no_header)?;
    let time = options.time.as_deref().map(|name| table.column(name)).transpose()?;
    let columns = match options.values.as_slice() {
        [] => vec![table.first_of_numbers(time)?],
        names => names.iter().map(|name| table.column(name)).collect::<Result<_, _>>()?,
    };
    let values: Vec<Vec<Option<f64>>> =
        columns.iter().map(|&column| table.numbers(column)).collect::<Result<_, _>>()?;
    let scores = score_rows(options, &values)?;
    let scored = Scored { table, time, columns, values, scores };
    if let Some(file) = &options.svg {
        let svg = scored.plot(options);
        fs::write(file, svg).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    }
    match scored.write(io::stdout().lock()) {
        Err(error) if !is_broken_pipe(&error) => Err(format!("cannot write: {error}")),
        _ => Ok(()),
    }
}

fn open(file: Option<&Path>) -> Result<Box<dyn Read>, String> {
    match file.filter(|file| *file != Path::new("-")) {
        Some(file) => match File::open(file) {
            Ok(opened) => Ok(Box::new(opened)),
            Err(error) => Err(format!("cannot read {}: {error}", file.display())),
        },
        None => Ok(Box::new(io::stdin())),
    }
}

/// Returns whether the reader of the output has closed it, as `head` does. That is not an error.
fn is_broken_pipe(error: &csv::Error) -> bool {
    matches!(error.kind(), csv::ErrorKind::Io(error) if error.kind() == ErrorKind::BrokenPipe)
}

/// Returns the score of every row. The forest fills in missing values before it scores a row.
fn score_rows(options: &Options, values: &[Vec<Option<f64>>]) -> Result<Vec<f64>, String> {
    let mut forest = Forest::builder(values.len())
        .trees(options.trees)
        .window(options.window)
        .shingle(options.shingle)
        .seed(options.seed)
        .sampling(options.sampling)
        .build()
        .map_err(|error| error.to_string())?;
    // Scores depend on distances only. Subtracting the first value keeps the digits that an `f32`
    // would lose to a large offset.
    let origins: Vec<f64> =
        values.iter().map(|column| column.iter().flatten().next().copied().unwrap_or(0.0)).collect();
    let rows = values.first().map_or(0, Vec::len);
    (0..rows)
        .map(|row| {
            let mut point: Vec<f32> = values
                .iter()
                .zip(&origins)
                .map(|(column, origin)| column[row].map_or(f32::NAN, |value| (value - origin) as f32))
                .collect();
            forest.impute(&mut point).and_then(|_| forest.update(&point)).map(|score| score.codisp)
        })
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

impl Scored {
    fn write(&self, out: impl Write) -> Result<(), csv::Error> {
        let mut writer = csv::Writer::from_writer(out);
        let kept = || self.time.iter().chain(&self.columns);
        let names = kept().map(|&column| self.table.name(column));
        writer.write_record(names.chain(["codisp".to_owned()]))?;
        for (row, score) in self.table.rows.iter().zip(&self.scores) {
            let cells = kept().map(|&column| row[column].to_owned());
            writer.write_record(cells.chain([format!("{score:.3}")]))?;
        }
        Ok(writer.flush()?)
    }

    fn plot(&self, options: &Options) -> String {
        let names: Vec<String> = self.columns.iter().map(|&column| self.table.name(column)).collect();
        let labels = match self.time {
            Some(column) => self.table.rows.iter().map(|row| row[column].to_owned()).collect(),
            None => (1..=self.table.rows.len()).map(|row| row.to_string()).collect(),
        };
        let panels = names.iter().zip(&self.values).map(|(name, values)| Panel { name, values });
        let plot = Plot { panels: panels.collect(), scores: &self.scores, labels, marks: options.marks };
        plot.svg(&format!(
            "{} · {} trees, window {}, shingle {}",
            names.join(", "),
            options.trees,
            options.window,
            options.shingle
        ))
    }
}

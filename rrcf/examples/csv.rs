//! Scores a series in a CSV file:
//!
//! ```text
//! cargo run --release -p rrcf-rs --example csv -- --time time --value load --window 336 --shingle 12 --marks 3 \
//!     --svg load.svg rrcf/examples/data/load.csv > scores.csv
//! ```
//!
//! Every row of the table comes out again as its time, its values and its score. `--help` names all options. Exit code 2 if the
//! arguments are wrong, 1 if the table is.

#[path = "csv/args.rs"]
mod args;
#[path = "csv/plot.rs"]
mod plot;
#[path = "csv/table.rs"]
mod table;

use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use args::{Command, Options};
use plot::{Panel, Plot};
use rrcf_rs::Forest;
use table::Table;

fn main() -> ExitCode {
    let options = match args::parse(std::env::args_os().skip(1)) {
        Ok(Command::Run(options)) => options,
        Ok(Command::Help) => {
            print!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("{message}; --help says what there is");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(1)
        }
    }
}

/// A table with its columns of interest, and the score of every row.
struct Scored {
    table: Table,
    time: Option<usize>,
    columns: Vec<usize>,
    /// By column, a value per row; nothing where it is missing.
    values: Vec<Vec<Option<f64>>>,
    scores: Vec<f64>,
}

fn run(options: &Options) -> Result<(), String> {
    let text = read(options.file.as_deref())?;
    let table = Table::parse(&text, options.header)?;
    let time = options.time.as_deref().map(|name| table.column(name)).transpose()?;
    let columns = match options.values.as_slice() {
        [] => vec![table.first_of_numbers(time)?],
        names => names.iter().map(|name| table.column(name)).collect::<Result<_, _>>()?,
    };
    let values: Vec<Vec<Option<f64>>> =
        columns.iter().map(|&column| table.numbers(column)).collect::<Result<_, _>>()?;
    let scores = score(options, &values)?;
    let scored = Scored { table, time, columns, values, scores };
    if let Some(file) = &options.svg {
        let svg = scored.plot(options);
        std::fs::write(file, svg).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    }
    match scored.write(&mut BufWriter::new(io::stdout().lock())) {
        // Whoever reads may stop when he has seen enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("cannot write: {error}")),
        _ => Ok(()),
    }
}

fn read(file: Option<&Path>) -> Result<String, String> {
    let mut text = String::new();
    if let Some(file) = file {
        text = std::fs::read_to_string(file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    } else {
        let read = io::stdin().read_to_string(&mut text);
        read.map_err(|error| format!("cannot read the standard input: {error}"))?;
    }
    Ok(text)
}

/// The score of every row. What is missing is filled in as the forest would expect it.
fn score(options: &Options, values: &[Vec<Option<f64>>]) -> Result<Vec<f64>, String> {
    let mut forest = Forest::builder(values.len())
        .trees(options.trees)
        .window(options.window)
        .shingle(options.shingle)
        .seed(options.seed)
        .sampling(options.sampling)
        .build()
        .map_err(|error| error.to_string())?;
    // Distances are all that counts. Measured from the first value, they lose no digits to a large offset.
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
    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let kept = || self.time.iter().chain(&self.columns);
        let names = kept().map(|&column| table::quoted(&self.table.name(column)));
        writeln!(out, "{},codisp", names.collect::<Vec<_>>().join(","))?;
        for (row, score) in self.table.rows.iter().zip(&self.scores) {
            let cells = kept().map(|&column| table::quoted(&row.cells[column]));
            writeln!(out, "{},{score:.3}", cells.collect::<Vec<_>>().join(","))?;
        }
        out.flush()
    }

    fn plot(&self, options: &Options) -> String {
        let names: Vec<String> = self.columns.iter().map(|&column| self.table.name(column)).collect();
        let labels = match self.time {
            Some(column) => self.table.rows.iter().map(|row| row.cells[column].clone()).collect(),
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

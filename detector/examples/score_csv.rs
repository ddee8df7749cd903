//! Scores CSV files as the engine would, to show what a configuration detects before it is
//! deployed. Each file is one sensor.
//!
//! ```text
//! cargo run --release -p thicket-detector --example score_csv -- --help
//! ```
//!
//! The first row names the columns. The first column is the time in RFC 3339. For each row, the
//! output has `time,score,grade,onset,anomaly,causes`.

use std::error::Error;
use std::io;
use std::ops::RangeInclusive;

use chrono::DateTime;
use clap::Parser;
use csv::StringRecord;
use thicket_detector::{Detection, Detector, DetectorConfig, Event};

/// Scores CSV files as the engine would. Each file is one sensor.
#[derive(Parser)]
struct Args {
    /// Columns to score, separated by commas. Default: all columns that hold a number in the first
    /// row.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    fields: Vec<String>,
    /// Settings of the detector, such as `{"profile": "small", "alarms_per_week": 10}`.
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = DetectorConfig::from_json)]
    settings: DetectorConfig,
    /// The rows in which this column is not empty are the anomalies to detect. Prints a summary.
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// Maximum distance of an event from a labelled span, in readings, at which it still belongs to
    /// the span.
    #[arg(long, value_name = "N", default_value_t = 5)]
    slack: i64,
    /// Print only the summary, no scores.
    #[arg(long)]
    quiet: bool,
    /// CSV files to score.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let mut config = args.settings.clone();
    if !args.fields.is_empty() {
        config.fields.clone_from(&args.fields);
    }
    config.validate()?;
    let mut total = Tally::default();
    for path in &args.files {
        let table = Table::read(path, args.label.as_deref()).map_err(|error| format!("{path}: {error}"))?;
        let events = score(path, &table, &config, args.quiet)?;
        if args.label.is_some() {
            let tally = Tally::new(&table.labelled, &events, args.slack);
            println!("{path}: {tally}");
            total.add(&tally);
        }
    }
    if args.label.is_some() {
        println!("{} files: {total}", args.files.len());
    }
    Ok(())
}

/// Applies the rows of a table to a detector. Returns the events; their times are row numbers.
fn score(
    sensor: &str,
    table: &Table,
    config: &DetectorConfig,
    quiet: bool,
) -> Result<Vec<Event>, Box<dyn Error>> {
    let mut detector = Detector::new(sensor, config);
    let mut output = csv::Writer::from_writer(io::stdout().lock());
    let mut events: Vec<Event> = Vec::new();
    for (row, values) in table.rows.iter().enumerate() {
        let detection = detector.apply(table.micros[row], &table.names, values)?;
        if !quiet {
            output.write_record(output_row(&table.times[row], &detection))?;
        }
        if let Some(mut event) = detection.event {
            let row_of = |micros| table.micros.binary_search(&micros).map_or(0, |row| row as i64);
            (event.started, event.ended) = (row_of(event.started), event.ended.map(row_of));
            match events.last_mut() {
                Some(last) if last.started == event.started => *last = event,
                _ => events.push(event),
            }
        }
    }
    output.flush()?;
    Ok(events)
}

/// Returns the cells of the output for one reading. The causes are the fields with a share of at
/// least 0.1.
fn output_row(time: &str, detection: &Detection) -> [String; 6] {
    let Detection { score, grade, onset, anomaly, causes, .. } = detection;
    let causes: Vec<String> = causes
        .iter()
        .filter(|cause| cause.share >= 0.1)
        .map(|c| format!("{} {:.2} was {} expected {} to {}", c.field, c.share, c.actual, c.low, c.high))
        .collect();
    [
        time.to_owned(),
        score.to_string(),
        grade.map_or(String::new(), |grade| grade.to_string()),
        onset.to_string(),
        u8::from(*anomaly).to_string(),
        causes.join("; "),
    ]
}

/// Detected and missed anomalies.
#[derive(Default)]
struct Tally {
    /// Number of labelled spans.
    labelled: usize,
    /// Labelled spans that an event meets.
    found: usize,
    /// Events that meet no labelled span.
    false_alarms: usize,
    /// Greatest number of false alarms in one file.
    worst: usize,
}

impl Tally {
    fn new(labelled: &[RangeInclusive<i64>], events: &[Event], slack: i64) -> Self {
        let meets = |span: &RangeInclusive<i64>, event: &Event| {
            event.started <= span.end() + slack && event.ended.unwrap_or(i64::MAX) >= span.start() - slack
        };
        let found = labelled.iter().filter(|span| events.iter().any(|event| meets(span, event))).count();
        let false_alarms =
            events.iter().filter(|event| !labelled.iter().any(|span| meets(span, event))).count();
        Self { labelled: labelled.len(), found, false_alarms, worst: false_alarms }
    }

    fn add(&mut self, other: &Self) {
        self.labelled += other.labelled;
        self.found += other.found;
        self.false_alarms += other.false_alarms;
        self.worst = self.worst.max(other.worst);
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { labelled, found, false_alarms, worst } = self;
        write!(f, "found {found} of {labelled}, false alarms {false_alarms} (at most {worst} per file)")
    }
}

/// The scored columns of a CSV file.
struct Table {
    /// Names of the scored columns, sorted.
    names: Vec<String>,
    /// Times as the file holds them.
    times: Vec<String>,
    /// Times in microseconds since 1970.
    micros: Vec<i64>,
    rows: Vec<Vec<f64>>,
    /// First and last row of each labelled span.
    labelled: Vec<RangeInclusive<i64>>,
}

impl Table {
    fn read(path: &str, label: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let mut reader = csv::Reader::from_path(path)?;
        let header = reader.headers()?.clone();
        let records = reader.records().collect::<Result<Vec<StringRecord>, _>>()?;
        let first = records.first().ok_or("the file has no rows")?;
        let label_column = header.iter().position(|name| label == Some(name));
        let mut columns: Vec<usize> = (1..header.len())
            .filter(|&column| Some(column) != label_column && first[column].parse::<f64>().is_ok())
            .collect();
        columns.sort_by_key(|&column| &header[column]);
        let mut table = Self {
            names: columns.iter().map(|&column| header[column].to_owned()).collect(),
            times: Vec::new(),
            micros: Vec::new(),
            rows: Vec::new(),
            labelled: Vec::new(),
        };
        for (row, cells) in records.iter().enumerate() {
            table.times.push(cells[0].to_owned());
            table.micros.push(DateTime::parse_from_rfc3339(&cells[0])?.timestamp_micros());
            let values: Result<Vec<f64>, _> = columns.iter().map(|&column| cells[column].parse()).collect();
            table.rows.push(values.map_err(|error| format!("row {}: {error}", row + 1))?);
            if label_column.is_some_and(|column| !cells[column].is_empty()) {
                table.mark(row as i64);
            }
        }
        Ok(table)
    }

    /// Adds a row to the labelled spans.
    fn mark(&mut self, row: i64) {
        match self.labelled.last_mut() {
            Some(span) if *span.end() == row - 1 => *span = *span.start()..=row,
            _ => self.labelled.push(row..=row),
        }
    }
}

//! Scores CSV files, one sensor each, as the engine would, to see what a configuration finds before it is deployed.
//!
//! ```text
//! cargo run --release -p thicket-detector --example score_csv -- [OPTIONS] FILE…
//!   --fields A,B,…             columns to score (default: every column that holds a number in the first row)
//!   --settings JSON            settings of the detector, such as '{"profile": "small", "alarms_per_week": 10}'
//!   --label COLUMN             the rows where COLUMN is not empty are the anomalies to find: prints a summary
//!   --slack N                  an event up to N readings off a labelled span still belongs to it (default 5)
//!   --quiet                    no scores, only the summary
//! ```
//!
//! The first row names the columns, the first column is the time in RFC 3339. Output: `time,score,grade,onset,anomaly,causes` per row.

use std::error::Error;
use std::fs;
use std::ops::RangeInclusive;

use chrono::DateTime;
use thicket_detector::{Detection, Detector, DetectorConfig, Event};

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1))?;
    options.config.validate()?;
    let mut total = Tally::default();
    for path in &options.files {
        let table = Table::read(&fs::read_to_string(path)?, &options)?;
        let events = score(path, &table, &options)?;
        if options.label.is_some() {
            let tally = Tally::new(&table.labelled, &events, options.slack);
            println!("{path}: {tally}");
            total.add(&tally);
        }
    }
    if options.label.is_some() {
        println!("{} files: {total}", options.files.len());
    }
    Ok(())
}

/// Feeds a table to a detector, row by row. Returns the events; their times are numbers of rows.
fn score(sensor: &str, table: &Table, options: &Options) -> Result<Vec<Event>, Box<dyn Error>> {
    let mut detector = Detector::new(sensor, &options.config);
    let mut events: Vec<Event> = Vec::new();
    for (row, values) in table.rows.iter().enumerate() {
        let detection = detector.apply(table.micros[row], &table.names, values)?;
        if !options.quiet {
            let Detection { score, onset, anomaly, causes, .. } = &detection;
            let grade = detection.grade.map_or(String::new(), |grade| grade.to_string());
            let causes: Vec<String> = causes
                .iter()
                .filter(|cause| cause.share >= 0.1)
                .map(|c| {
                    format!("{} {:.2} was {} expected {} to {}", c.field, c.share, c.actual, c.low, c.high)
                })
                .collect();
            println!(
                "{},{score},{grade},{onset},{},{}",
                table.times[row],
                u8::from(*anomaly),
                causes.join("; ")
            );
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
    Ok(events)
}

/// What was to be found, and what was found.
#[derive(Default)]
struct Tally {
    labelled: usize,
    found: usize,
    false_alarms: usize,
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

/// The numbers of a CSV file.
struct Table {
    names: Vec<String>,
    times: Vec<String>,
    micros: Vec<i64>,
    rows: Vec<Vec<f64>>,
    labelled: Vec<RangeInclusive<i64>>,
}

impl Table {
    fn read(text: &str, options: &Options) -> Result<Self, Box<dyn Error>> {
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().ok_or("an empty file")?.split(',').collect();
        let first: Vec<&str> = lines.clone().next().ok_or("a file without rows")?.split(',').collect();
        let label = options.label.as_deref();
        let label_column = header.iter().position(|name| label == Some(name));
        let mut columns: Vec<usize> = (1..header.len())
            .filter(|&column| Some(column) != label_column && first[column].parse::<f64>().is_ok())
            .collect();
        columns.sort_by_key(|&column| header[column]);
        let mut table = Self {
            names: columns.iter().map(|&column| header[column].to_owned()).collect(),
            times: Vec::new(),
            micros: Vec::new(),
            rows: Vec::new(),
            labelled: Vec::new(),
        };
        for (row, line) in lines.enumerate() {
            let cells: Vec<&str> = line.split(',').collect();
            table.times.push(cells[0].to_owned());
            table.micros.push(DateTime::parse_from_rfc3339(cells[0])?.timestamp_micros());
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

#[derive(Default)]
struct Options {
    config: DetectorConfig,
    label: Option<String>,
    slack: i64,
    quiet: bool,
    files: Vec<String>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = Self { slack: 5, ..Self::default() };
        let (mut settings, mut fields) = ("{}".to_owned(), Vec::new());
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--fields" => fields = value()?.split(',').map(str::to_owned).collect(),
                "--settings" => settings = value()?,
                "--label" => options.label = Some(value()?),
                "--slack" => options.slack = value()?.parse()?,
                "--quiet" => options.quiet = true,
                file => options.files.push(file.to_owned()),
            }
        }
        options.config = serde_json::from_str(&settings)?;
        if !fields.is_empty() {
            options.config.fields = fields;
        }
        Ok(options)
    }
}

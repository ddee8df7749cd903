//! Draws docs/detection.svg: days and nights with noise, three anomalies, and the detections of a
//! detector with the default settings.
//!
//! ```text
//! cargo run --release -p thicket-detector --example figure -- docs/detection.svg
//! ```

use std::error::Error;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;

use clap::Parser;
use thicket_detector::{Detection, DetectorConfig};

#[path = "../tests/series/mod.rs"]
mod series;

use series::{DAY, HOUR, Noise, SECOND, Sensor};

/// Draws days and nights with three anomalies, and the detections of a detector with the default
/// settings.
#[derive(Parser)]
struct Args {
    /// SVG file to write.
    output: PathBuf,
}

/// One reading in five minutes.
const EVERY: i64 = 300 * SECOND;
const READINGS_OF_DAY: usize = (DAY / EVERY) as usize;
/// Days that the detector learns before the drawing begins.
const DAYS_BEFORE: usize = 14;
const DAYS_SHOWN: usize = 3;

/// An injected anomaly.
struct Injected {
    name: &'static str,
    /// Its time, in microseconds since the drawing begins.
    span: Range<i64>,
    /// Returns what it adds to a value.
    add: fn(&mut Noise) -> f64,
}

const INJECTED: [Injected; 3] = [
    Injected { name: "spike", span: 16 * HOUR..16 * HOUR + EVERY, add: |_| 14.0 },
    Injected { name: "the level of noon", span: 25 * HOUR..28 * HOUR, add: |_| 14.0 },
    Injected { name: "unrest", span: 60 * HOUR..63 * HOUR, add: |noise| 5.0 * noise.normal() },
];

/// A reading and its detection.
struct Shown {
    value: f64,
    detection: Detection,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Args { output } = Args::parse();
    let mut sensor = Sensor::new(&DetectorConfig::default(), "value");
    sensor.every = EVERY;
    sensor.run(DAYS_BEFORE * READINGS_OF_DAY, |at, noise| vec![ordinary(at, noise)]);
    let begin = sensor.now;
    let mut shown = Vec::new();
    while shown.len() < DAYS_SHOWN * READINGS_OF_DAY {
        let at = sensor.now + EVERY - begin;
        let mut value = ordinary(at, &mut sensor.noise);
        for injected in INJECTED.iter().filter(|injected| injected.span.contains(&at)) {
            value += (injected.add)(&mut sensor.noise);
        }
        shown.push(Shown { value, detection: sensor.read(&[value]) });
    }
    // The explanation of a reading holds the threshold that alarms_per_week demands.
    let (_, explanation) = sensor.detector.explain(sensor.now + EVERY, &["value".to_owned()], &[40.0])?;
    let threshold = explanation.ok_or("the detector has no explanation: it is warming up")?.threshold;
    std::fs::write(output, draw(&shown, threshold / (1.0 + threshold))?)?;
    Ok(())
}

/// Returns a usual value: a daily wave with its maximum at 15:00, and noise of standard deviation
/// 1.
fn ordinary(at: i64, noise: &mut Noise) -> f64 {
    let angle = core::f64::consts::TAU * (at - 9 * HOUR) as f64 / DAY as f64;
    50.0 + 10.0 * libm::sin(angle) + noise.normal()
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 520.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 14.0;

const INK: &str = "#2d3748";
const LINE: &str = "#2b6cb0";
const FLAG: &str = "#c53030";
const BAND: &str = "#2f855a";
const PALE: &str = "#e2e8f0";
const AXIS: &str = "#a0aec0";

/// An area of the drawing, with the range of values that it shows.
#[derive(Clone, Copy)]
struct Panel {
    top: f64,
    bottom: f64,
    least: f64,
    greatest: f64,
}

const VALUES: Panel = Panel { top: 62.0, bottom: 290.0, least: 30.0, greatest: 80.0 };
const GRADES: Panel = Panel { top: 340.0, bottom: 484.0, least: 0.0, greatest: 1.0 };

impl Panel {
    fn y(self, value: f64) -> f64 {
        let part = (value - self.least) / (self.greatest - self.least);
        self.bottom - part.clamp(0.0, 1.0) * (self.bottom - self.top)
    }

    /// Draws the frame, the name and the lines of an axis.
    fn frame(self, svg: &mut String, name: &str, ticks: &[f64], decimals: usize) -> std::fmt::Result {
        let Self { top, bottom, .. } = self;
        let end = WIDTH - RIGHT;
        for &tick in ticks {
            let y = self.y(tick);
            writeln!(svg, r#"<path d="M{LEFT} {y:.1}H{end}" stroke="{PALE}"/>"#)?;
            let (x, y) = (LEFT - 8.0, y + 4.0);
            writeln!(svg, r#"<text x="{x}" y="{y:.1}" text-anchor="end">{tick:.decimals$}</text>"#)?;
        }
        writeln!(svg, r#"<path d="M{LEFT} {top}V{bottom}H{end}" fill="none" stroke="{AXIS}"/>"#)?;
        let y = top - 9.0;
        writeln!(svg, r#"<text x="{LEFT}" y="{y}" font-weight="bold">{name}</text>"#)
    }
}

fn draw(shown: &[Shown], threshold: f64) -> Result<String, std::fmt::Error> {
    let mut svg = String::new();
    let font = r#"font-family="DejaVu Sans, Verdana, sans-serif" font-size="12""#;
    writeln!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" {font} fill="{INK}">"#
    )?;
    writeln!(svg, r#"<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>"#)?;
    let spans = flagged_spans(shown);
    for span in &spans {
        let (x, wide) = (x_of(span.start), x_of(span.end) - x_of(span.start));
        for Panel { top, bottom, .. } in [VALUES, GRADES] {
            let high = bottom - top;
            writeln!(
                svg,
                r#"<rect x="{x:.1}" y="{top}" width="{wide:.1}" height="{high}" fill="{FLAG}" fill-opacity="0.13"/>"#
            )?;
        }
    }
    VALUES.frame(&mut svg, "value", &[30.0, 40.0, 50.0, 60.0, 70.0, 80.0], 0)?;
    GRADES.frame(&mut svg, "grade", &[0.0, 0.25, 0.5, 0.75, 1.0], 2)?;
    for injected in &INJECTED {
        label(&mut svg, injected)?;
    }
    for span in &spans {
        band(&mut svg, shown, span)?;
    }
    let values = shown.iter().enumerate().map(|(row, shown)| (row, VALUES.y(shown.value)));
    line(&mut svg, values, LINE)?;
    let grades = shown.iter().enumerate();
    let grades = grades.filter_map(|(row, shown)| shown.detection.grade.map(|grade| (row, GRADES.y(grade))));
    line(&mut svg, grades, INK)?;
    let (y, end) = (GRADES.y(threshold), WIDTH - RIGHT);
    writeln!(svg, r#"<path d="M{LEFT} {y:.1}H{end}" stroke="{FLAG}" stroke-dasharray="5 4"/>"#)?;
    for (row, Shown { detection, .. }) in shown.iter().enumerate() {
        // The onset has a scale of its own, so its mark stands at the grade.
        if let Some(grade) = detection.grade.filter(|_| detection.onset > 0.0) {
            let (x, y) = (x_of(row), GRADES.y(grade));
            writeln!(
                svg,
                r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="white" stroke="{FLAG}" stroke-width="1.5"/>"#
            )?;
        }
    }
    legend(&mut svg, threshold)?;
    hours(&mut svg)?;
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// Returns the spans of readings that are part of an announced anomaly, each from the first to the
/// last reading of its event.
fn flagged_spans(shown: &[Shown]) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    for (row, _) in shown.iter().enumerate().filter(|(_, shown)| shown.detection.anomaly) {
        match spans.last_mut() {
            // A span also covers the usual readings within an event.
            Some(span) if shown[span.end..row].iter().all(|shown| shown.detection.marks.learning_slowed) => {
                span.end = row + 1;
            }
            _ => spans.push(row..row + 1),
        }
    }
    spans
}

/// Draws the band that the detector expected in a flagged span: 5th to 95th percentile.
fn band(svg: &mut String, shown: &[Shown], span: &Range<usize>) -> std::fmt::Result {
    let causes = span.clone().filter_map(|row| Some((row, shown[row].detection.causes.first()?)));
    let causes: Vec<_> = causes.collect();
    let mut path = String::new();
    let lows = causes.iter().map(|(row, cause)| (*row, cause.low));
    let highs = causes.iter().rev().map(|(row, cause)| (*row, cause.high));
    for (row, value) in lows.chain(highs) {
        let command = if path.is_empty() { 'M' } else { 'L' };
        write!(path, "{command}{:.1} {:.1}", x_of(row), VALUES.y(value))?;
    }
    // The band of a single reading needs a width.
    if let [(row, cause)] = causes[..] {
        let (low, high) = (VALUES.y(cause.low), VALUES.y(cause.high));
        path = format!(
            "M{:.1} {low:.1}H{:.1}V{high:.1}H{:.1}",
            x_of(row) - 2.0,
            x_of(row) + 2.0,
            x_of(row) - 2.0
        );
    }
    writeln!(svg, r#"<path d="{path}Z" fill="{BAND}" fill-opacity="0.3" stroke="{BAND}"/>"#)
}

fn line(svg: &mut String, points: impl Iterator<Item = (usize, f64)>, color: &str) -> std::fmt::Result {
    let mut path = String::new();
    for (row, y) in points {
        let command = if path.is_empty() { 'M' } else { 'L' };
        write!(path, "{command}{:.1} {y:.1}", x_of(row))?;
    }
    writeln!(svg, r#"<path d="{path}" fill="none" stroke="{color}" stroke-linejoin="round"/>"#)
}

/// Draws the name and the time of an injected anomaly, above the values.
fn label(svg: &mut String, injected: &Injected) -> std::fmt::Result {
    let row = |at: i64| (at / EVERY - 1) as usize;
    let (from, to) = (x_of(row(injected.span.start)), x_of(row(injected.span.end)) + 2.0);
    let (y, middle) = (VALUES.top + 4.0, f64::midpoint(from, to));
    writeln!(svg, r#"<path d="M{from:.1} {y}H{to:.1}" stroke="{FLAG}" stroke-width="4"/>"#)?;
    let y = VALUES.top - 5.0;
    writeln!(
        svg,
        r#"<text x="{middle:.1}" y="{y}" text-anchor="middle" fill="{FLAG}">{}</text>"#,
        injected.name
    )
}

fn legend(svg: &mut String, threshold: f64) -> std::fmt::Result {
    let items = [
        (
            LEFT,
            format!(r#"<rect x="0" y="-9" width="18" height="10" fill="{FLAG}" fill-opacity="0.13"/>"#),
            "flagged".to_owned(),
        ),
        (
            LEFT + 110.0,
            format!(
                r#"<rect x="0" y="-9" width="18" height="10" fill="{BAND}" fill-opacity="0.3" stroke="{BAND}"/>"#
            ),
            "expected".to_owned(),
        ),
        (
            LEFT + 230.0,
            format!(r#"<path d="M0 -4h18" stroke="{FLAG}" stroke-dasharray="5 4"/>"#),
            format!("threshold: one alarm a week, {threshold:.2}"),
        ),
        (
            LEFT + 500.0,
            format!(r#"<circle cx="9" cy="-4" r="3" fill="white" stroke="{FLAG}" stroke-width="1.5"/>"#),
            "onset".to_owned(),
        ),
    ];
    for (x, sign, text) in items {
        writeln!(svg, r#"<g transform="translate({x} 24)">{sign}<text x="25" y="0">{text}</text></g>"#)?;
    }
    Ok(())
}

/// Draws the hours of the day below the grades.
fn hours(svg: &mut String) -> std::fmt::Result {
    let quarter = READINGS_OF_DAY / 4;
    for number in 0..=4 * DAYS_SHOWN {
        let (x, y) = (x_of(number * quarter), GRADES.bottom);
        writeln!(svg, r#"<path d="M{x:.1} {y}v5" stroke="{AXIS}"/>"#)?;
        let (x, y, hour) = (x.min(WIDTH - RIGHT - 8.0), y + 20.0, number % 4 * 6);
        writeln!(svg, r#"<text x="{x:.1}" y="{y}" text-anchor="middle">{hour:02}:00</text>"#)?;
    }
    Ok(())
}

/// Returns the horizontal position of a reading.
fn x_of(row: usize) -> f64 {
    LEFT + row as f64 / (DAYS_SHOWN * READINGS_OF_DAY) as f64 * (WIDTH - LEFT - RIGHT)
}

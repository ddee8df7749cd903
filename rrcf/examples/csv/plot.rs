//! An SVG drawing of series and scores, one above the other.

use std::fmt::Write;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 44.0;
const PANEL: f64 = 190.0;
const GAP: f64 = 34.0;
const BOTTOM: f64 = 44.0;
const SERIES: &str = "#2b6cb0";
const SCORE: &str = "#4a5568";
const MARK: &str = "#c53030";

/// A series to draw.
pub(crate) struct Panel<'a> {
    pub(crate) name: &'a str,
    /// One value per row. The line has a gap where the value is `None`.
    pub(crate) values: &'a [Option<f64>],
}

/// Series and the scores of their rows.
pub(crate) struct Plot<'a> {
    pub(crate) panels: Vec<Panel<'a>>,
    pub(crate) scores: &'a [f64],
    /// The labels of the rows, below the last panel.
    pub(crate) labels: Vec<String>,
    /// Number of highest scores to mark.
    pub(crate) marks: usize,
}

/// The position and the range of a panel's axis.
struct Scale {
    top: f64,
    lo: f64,
    hi: f64,
    step: f64,
}

impl Plot<'_> {
    pub(crate) fn svg(&self, title: &str) -> String {
        let mut svg = String::new();
        let scores: Vec<Option<f64>> = self.scores.iter().copied().map(Some).collect();
        let below = TOP + self.panels.len() as f64 * (PANEL + GAP);
        let height = below + PANEL + BOTTOM;
        put(
            &mut svg,
            format_args!(
                r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" font-family="DejaVu Sans, Verdana, sans-serif" font-size="11">"#
            ),
        );
        put(&mut svg, format_args!(r#"<rect width="{WIDTH}" height="{height}" fill="white"/>"#));
        let title = escaped(title);
        put(
            &mut svg,
            format_args!(r#"<text x="{LEFT}" y="20" font-size="14" fill="{SCORE}">{title}</text>"#),
        );
        let marks = self.highest();
        for &row in &marks {
            let x = self.x(row);
            let end = below + PANEL;
            put(
                &mut svg,
                format_args!(
                    r#"<line class="mark" x1="{x:.1}" y1="{TOP}" x2="{x:.1}" y2="{end}" stroke="{MARK}" stroke-opacity="0.35" stroke-dasharray="3 3"/>"#
                ),
            );
        }
        for (n, panel) in self.panels.iter().enumerate() {
            let scale = Scale::around(TOP + n as f64 * (PANEL + GAP), panel.values, false);
            self.panel(&mut svg, panel.name, panel.values, &scale, SERIES);
            for &row in &marks {
                if let Some(value) = panel.values[row] {
                    self.dot(&mut svg, row, scale.y(value));
                }
            }
        }
        let scale = Scale::around(below, &scores, true);
        self.panel(&mut svg, "score (CoDisp)", &scores, &scale, SCORE);
        for &row in &marks {
            let (x, y) = (self.x(row), scale.y(self.scores[row]));
            self.dot(&mut svg, row, y);
            // The text stands beside the line and inside the drawing.
            let (x, anchor) = if x > WIDTH - RIGHT - 40.0 { (x - 6.0, "end") } else { (x + 6.0, "start") };
            let score = self.scores[row];
            put(
                &mut svg,
                format_args!(
                    r#"<text x="{x:.1}" y="{:.1}" fill="{MARK}" text-anchor="{anchor}">{score:.1}</text>"#,
                    y - 3.0
                ),
            );
        }
        self.rows(&mut svg, below + PANEL);
        svg.push_str("</svg>\n");
        svg
    }

    /// Draws a frame, its axis, and a line through the values.
    fn panel(&self, svg: &mut String, name: &str, values: &[Option<f64>], scale: &Scale, color: &str) {
        let (top, end) = (scale.top, WIDTH - RIGHT);
        for (value, text) in scale.ticks() {
            let y = scale.y(value);
            put(svg, format_args!(r##"<path d="M{LEFT} {y:.1}H{end}" stroke="#e2e8f0"/>"##));
            put(
                svg,
                format_args!(
                    r#"<text x="{}" y="{:.1}" text-anchor="end" fill="{SCORE}">{text}</text>"#,
                    LEFT - 8.0,
                    y + 4.0
                ),
            );
        }
        put(
            svg,
            format_args!(r##"<path d="M{LEFT} {top}V{}H{end}" fill="none" stroke="#a0aec0"/>"##, top + PANEL),
        );
        put(
            svg,
            format_args!(
                r#"<text x="{LEFT}" y="{}" fill="{color}" font-weight="bold">{}</text>"#,
                top - 7.0,
                escaped(name)
            ),
        );
        let mut path = String::new();
        for (row, value) in values.iter().enumerate() {
            let Some(value) = value else { continue };
            let before = row.checked_sub(1).and_then(|before| values[before]);
            let command = if before.is_some() { 'L' } else { 'M' };
            let _ = write!(path, "{command}{:.1} {:.1}", self.x(row), scale.y(*value));
            let after = values.get(row + 1).copied().flatten();
            if before.is_none() && after.is_none() {
                // A value between two gaps is drawn as a dot, as wide as the line.
                path.push_str("h0.01");
            }
        }
        put(
            svg,
            format_args!(
                r#"<path d="{path}" fill="none" stroke="{color}" stroke-width="1.3" stroke-linejoin="round" stroke-linecap="round"/>"#
            ),
        );
    }

    fn dot(&self, svg: &mut String, row: usize, y: f64) {
        let x = self.x(row);
        put(svg, format_args!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="3.5" fill="{MARK}"/>"#));
    }

    /// Draws the labels of some rows below the last panel.
    fn rows(&self, svg: &mut String, bottom: f64) {
        let longest = self.labels.iter().map(|label| label.chars().count()).max().unwrap_or(1);
        let room = (longest as f64 * 7.0 + 24.0).max(60.0);
        let most = ((WIDTH - LEFT - RIGHT) / room).max(1.0);
        let step = round_step(self.labels.len() as f64 / most).max(1.0) as usize;
        for (row, label) in self.labels.iter().enumerate().step_by(step) {
            let x = self.x(row);
            put(svg, format_args!(r##"<path d="M{x:.1} {bottom}v5" stroke="#a0aec0"/>"##));
            // The text may extend beyond the axis, but not beyond the drawing.
            let half = label.chars().count() as f64 * 3.5;
            let x = x.clamp(half + 4.0, (WIDTH - half - 4.0).max(half + 4.0));
            put(
                svg,
                format_args!(
                    r#"<text x="{x:.1}" y="{}" text-anchor="middle" fill="{SCORE}">{}</text>"#,
                    bottom + 20.0,
                    escaped(label)
                ),
            );
        }
    }

    fn x(&self, row: usize) -> f64 {
        let last = self.scores.len().saturating_sub(1).max(1) as f64;
        LEFT + row as f64 / last * (WIDTH - LEFT - RIGHT)
    }

    /// Returns the rows of the highest scores. Each is the highest in its neighbourhood, so that
    /// one event has one mark.
    pub(crate) fn highest(&self) -> Vec<usize> {
        let near = (self.scores.len() / 50).max(1);
        let mut rows: Vec<usize> = (0..self.scores.len()).filter(|&row| self.scores[row] > 0.0).collect();
        rows.sort_by(|&a, &b| self.scores[b].total_cmp(&self.scores[a]).then(a.cmp(&b)));
        let mut marks: Vec<usize> = Vec::new();
        for row in rows {
            if marks.len() == self.marks {
                break;
            }
            if marks.iter().all(|mark| mark.abs_diff(row) > near) {
                marks.push(row);
            }
        }
        marks
    }
}

impl Scale {
    /// Creates a scale with round ends, which starts at zero if `from_zero` is set.
    fn around(top: f64, values: &[Option<f64>], from_zero: bool) -> Self {
        let known = || values.iter().flatten().copied();
        let start = if from_zero { 0.0 } else { f64::INFINITY };
        let (lo, hi) = (known().fold(start, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
        let (lo, hi) = if lo < hi {
            (lo, hi)
        } else if lo.is_finite() {
            (lo - 1.0, lo + 1.0)
        } else {
            (0.0, 1.0)
        };
        let step = round_step((hi - lo) / 4.0);
        // The space above the highest score is for its label.
        let hi = if from_zero { hi + (hi - lo) * 0.08 } else { hi };
        Self { top, lo: (lo / step).floor() * step, hi: (hi / step).ceil() * step, step }
    }

    fn y(&self, value: f64) -> f64 {
        self.top + (self.hi - value) / (self.hi - self.lo) * PANEL
    }

    /// Returns the values on the axis with their labels.
    fn ticks(&self) -> Vec<(f64, String)> {
        let decimals = (-self.step.log10().floor()).clamp(0.0, 9.0) as usize;
        let count = ((self.hi - self.lo) / self.step).round().clamp(0.0, 20.0) as u32;
        let value = |n: u32| self.lo + f64::from(n) * self.step;
        (0..=count).map(|n| (value(n), format!("{:.decimals$}", value(n) + 0.0))).collect()
    }
}

/// Returns the least of 1, 2, 5, 10, 20, … (also 0.1, 0.2, …) that is not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(f64::MIN_POSITIVE).log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= least * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Writes a line. Writing into a string cannot fail.
fn put(svg: &mut String, line: std::fmt::Arguments<'_>) {
    let _ = writeln!(svg, "{line}");
}

//! What the demo shows while it runs, on standard error: standard output is for the reckoning.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use thicket_compose::Servers;
use thicket_loadtest::replay::Progress;

use super::engine::Engine;
use crate::scrape::Samples;

/// Between two lines of progress.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);
/// Where there is no terminal, a line now and then is enough.
const INTERVAL_IN_LOGS: Duration = Duration::from_secs(5);

/// The terminal.
pub(super) struct Screen {
    is_terminal: bool,
    last_shown: Option<Instant>,
    last_count: Option<(Instant, f64)>,
    line_open: bool,
}

impl Screen {
    pub(super) fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self { is_terminal, last_shown: None, last_count: None, line_open: false }
    }

    /// Says what happens now.
    pub(super) fn step(&mut self, what: &str) {
        if std::mem::take(&mut self.line_open) {
            eprintln!();
        }
        eprintln!("demo: {what}");
    }

    /// Says where to look.
    pub(super) fn where_to_look(servers: &Servers, engine: &Engine, directory: &Path) {
        let url = engine.url();
        let postgres = servers.postgres.url();
        eprintln!();
        eprintln!("  metrics    {url}/metrics");
        eprintln!("  health     {url}/healthz   {url}/readyz");
        eprintln!("  rows       psql {postgres}");
        eprintln!("             SELECT * FROM anomaly_events ORDER BY started DESC LIMIT 10;");
        eprintln!("  readings   mosquitto_sub -p {} -t 'sensors/#' -v", servers.mosquitto.port());
        eprintln!("  logs       {}", directory.display());
        eprintln!();
        eprintln!("demo: replaying the last hour, then live; Ctrl-C ends it");
    }

    /// Shows how far it is.
    pub(super) fn progress(&mut self, sensors: u32, progress: &Progress, samples: &Samples) {
        let now = Instant::now();
        let interval = if self.is_terminal { INTERVAL } else { INTERVAL_IN_LOGS };
        if self.last_shown.is_some_and(|shown| now.duration_since(shown) < interval) {
            return;
        }
        self.last_shown = Some(now);
        let scored = samples.sum("thicket_readings_scored_total");
        let rate = self
            .last_count
            .map_or(0.0, |(then, count)| (scored - count) / now.duration_since(then).as_secs_f64());
        self.last_count = Some((now, scored));
        let line = format!(
            "{:<7} {sensors} sensors · {} readings · {rate:.0}/s · lag {} · anomalies {} · dead letters {}",
            if progress.live() { "live" } else { "history" },
            progress.published(),
            progress.published().saturating_sub(super::outcome::dealt_with(samples)),
            samples.sum("thicket_anomalies_total"),
            samples.sum("thicket_dead_letters_total"),
        );
        if self.is_terminal {
            eprint!("\r\x1b[2K{line}");
            self.line_open = true;
        } else {
            eprintln!("{line}");
        }
        // Nothing can be done about a terminal that does not take its line.
        let _ = std::io::stderr().flush();
    }
}

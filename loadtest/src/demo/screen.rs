//! What the demo prints while it runs. It prints to standard error: standard output is for the
//! report.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use thicket_compose::Servers;

use super::{
    engine::{self, Engine},
    outcome,
};
use crate::{
    metrics_page::MetricsPage,
    progress_line::{Intervals, ProgressLine},
    replay::progress::Progress,
};

/// The time between two updates of the progress line on a terminal.
const INTERVAL: Duration = Duration::from_secs(1);
/// The time between two progress lines in a log.
const INTERVAL_IN_LOG: Duration = Duration::from_secs(5);

/// The steps and the progress of the demo on standard error.
pub(super) struct Screen {
    line: ProgressLine,
    /// When the last progress was shown, and the readings scored until then.
    last_count: Option<(Instant, f64)>,
}

impl Screen {
    pub(super) fn new() -> Self {
        let intervals = Intervals { on_terminal: INTERVAL, in_log: INTERVAL_IN_LOG, first_in_log: true };
        Self { line: ProgressLine::new(intervals), last_count: None }
    }

    /// Prints what the demo does next.
    pub(super) fn step(&mut self, text: &str) {
        self.line.print_below(&format!("demo: {text}"));
    }

    /// Prints the addresses of the engine and the servers.
    pub(super) fn addresses(servers: &Servers, engine: &Engine, directory: &Path, history: Duration) {
        let url = engine.url();
        let (postgres, mosquitto) =
            (servers.postgres.url_as(engine::LOGIN), servers.mosquitto.url_with_login());
        eprintln!();
        eprintln!("  metrics    {url}/metrics");
        eprintln!("  health     {url}/healthz   {url}/readyz");
        eprintln!("  rows       psql {postgres}");
        eprintln!("             SELECT * FROM anomaly_events ORDER BY started DESC LIMIT 10;");
        eprintln!("  readings   mosquitto_sub -L {mosquitto}/sensors/# -v");
        eprintln!("  logs       {}", directory.display());
        eprintln!();
        eprintln!(
            "demo: replaying the last {}, then live; Ctrl-C ends it",
            humantime::format_duration(history)
        );
    }

    /// Shows the counts of the replay and of the engine.
    pub(super) fn progress(&mut self, sensors: u32, progress: &Progress, metrics: &MetricsPage) {
        let last_count = &mut self.last_count;
        self.line.show(|| {
            let (now, scored) = (Instant::now(), metrics.sum("thicket_readings_scored_total"));
            let rate = last_count
                .map_or(0.0, |(then, count)| (scored - count) / now.duration_since(then).as_secs_f64());
            *last_count = Some((now, scored));
            format!(
                "{:<7} {sensors} sensors · {} readings · {rate:.0}/s · lag {} · anomalies {} · dead letters {}",
                if progress.live() { "live" } else { "history" },
                progress.published(),
                progress.published().saturating_sub(outcome::readings_done(metrics)),
                metrics.sum("thicket_anomalies_total"),
                metrics.sum("thicket_dead_letters_total"),
            )
        });
    }
}

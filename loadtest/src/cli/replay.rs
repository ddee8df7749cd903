//! `thicket-loadtest replay`

use std::{
    ops::Range,
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{signal, sync::watch};

use super::{
    progress::progress_line,
    source::{END_AT_NOW, SourceArguments},
};
use crate::{
    replay::{Broker, Faults, Progress, Rate, Replay, ReplayOptions, Resume},
    scenario::Scenario,
    time,
};

/// Publishes a scenario's readings over MQTT (3.1.1, quality of service 1).
///
/// Without --frames: publishes half an hour of history that ends now, as fast as the broker accepts
/// it, then live readings in real time until Ctrl-C. With --frames K: publishes K readings per
/// sensor, and live readings afterwards only with --live.
///
/// Each reading is a JSON object on sensors/<name>, for example
/// {"ts":"2026-11-22T10:00:00.000000Z","laeq_db":52.31,...}. A reading counts as published when the
/// broker has confirmed it. After a lost connection the replay reconnects and sends the unconfirmed
/// messages again, in order. Prints one JSON object at the end: `readings` and `malformed` messages
/// that the broker confirmed, which `verify` adds up as `published`.
///
/// A broker queues messages for a slow subscriber. When its queue is full, it drops messages. With
/// --rate max, configure a large queue, or choose a lower rate.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The broker, as mqtt://[user[:password]@]host[:port].
    #[arg(
        long,
        env = "THICKET__MQTT__URL",
        default_value = "mqtt://localhost:1883",
        value_name = "URL",
        hide_env_values = true
    )]
    mqtt: Broker,
    /// Readings of history per sensor [default: 1800, and then --live].
    #[arg(long, value_name = "K")]
    frames: Option<u64>,
    /// After the history, publish live readings: each when the wall clock reaches its time.
    #[arg(long)]
    live: bool,
    /// Speed of the history: max, realtime (one second per second), or readings per second.
    #[arg(long, default_value = "max", value_name = "RATE")]
    rate: Rate,
    /// Readings per message in the history. More than one form a JSON array.
    #[arg(long, default_value_t = 1, value_name = "N")]
    batch: usize,
    /// Maximum number of unconfirmed messages.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    in_flight: usize,
    /// The part of a topic before the sensor's name.
    #[arg(long, default_value = "sensors/", value_name = "TEXT")]
    topic_prefix: String,
    /// Record what was published, for `verify`. The file must not exist. The injected events go to
    /// FILE.events.jsonl.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Remember in FILE what was published. The next run with the same file publishes no frame
    /// again: it goes on live at the present, or with the history since the last run.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["manifest", "start"])]
    resume: Option<PathBuf>,
    /// Share of messages that are published twice, 0 to 1.
    #[arg(
        long,
        default_value_t = 0.0,
        value_name = "SHARE",
        help_heading = "Deliberate faults, from the seed"
    )]
    duplicates: f64,
    /// Share of readings that are preceded by a malformed message, 0 to 1.
    #[arg(
        long,
        default_value_t = 0.0,
        value_name = "SHARE",
        help_heading = "Deliberate faults, from the seed"
    )]
    malformed: f64,
    /// Share of readings that are published after up to 30 newer readings of their sensor, 0 to 1.
    #[arg(
        long,
        default_value_t = 0.0,
        value_name = "SHARE",
        help_heading = "Deliberate faults, from the seed"
    )]
    late: f64,
    #[command(flatten, next_help_heading = "Scenario")]
    source: SourceArguments,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let frames = arguments.frames.unwrap_or(1_800);
    let live = arguments.live || arguments.frames.is_none();
    let earlier = arguments.resume.as_deref().map(Resume::load).transpose()?.flatten();
    let start = earlier.as_ref().map_or(END_AT_NOW.to_owned(), |earlier| time::format(earlier.start_micros));
    let scenario = Arc::new(arguments.source.scenario(&start, frames)?);
    let range = frames_to_publish(&scenario, earlier.as_ref(), live, frames);
    if let Some(path) = &arguments.resume {
        resume_after(&scenario, live, range.end).save(path)?;
    }
    let options = ReplayOptions {
        first_frame: range.start,
        frames: range.end,
        live,
        rate: arguments.rate,
        batch: arguments.batch,
        in_flight: arguments.in_flight,
        topic_prefix: arguments.topic_prefix,
        manifest: arguments.manifest,
        faults: Faults {
            duplicates: arguments.duplicates,
            malformed: arguments.malformed,
            late: arguments.late,
        },
        ..ReplayOptions::new(arguments.mqtt)
    };
    let sensors = scenario.sensors().len();
    let replay = Replay::new(scenario, options)?;
    let progress = replay.progress();
    let (stop, stopped) = watch::channel(false);
    let display = tokio::spawn(show_progress(Arc::clone(&progress), sensors));
    tokio::spawn(async move {
        terminated().await;
        let _ = stop.send(true);
        // The second signal ends the process. Waiting for it also keeps the channel open.
        terminated().await;
        std::process::exit(130);
    });

    let began = Instant::now();
    let summary = tokio::spawn(replay.run(stopped)).await??;
    display.abort();
    // The display clears its line when it is dropped. Wait for that.
    let _ = display.await;
    let seconds = began.elapsed().as_secs_f64();
    let report = json!({
        "readings": summary.published,
        "malformed": summary.malformed,
        "events": summary.events,
        "unconfirmed": summary.unconfirmed,
        "seconds": (seconds * 1e3).round() / 1e3,
        "readings_per_second": (summary.published as f64 / seconds).round(),
    });
    println!("{report}");
    Ok(ExitCode::SUCCESS)
}

/// Returns the frames of the history. The first run publishes all of them.
fn frames_to_publish(scenario: &Scenario, earlier: Option<&Resume>, live: bool, frames: u64) -> Range<u64> {
    earlier.map_or(0..frames, |earlier| earlier.frames(scenario.period_micros(), live, frames, time::now()))
}

/// Returns what the next run must know. It is saved before the first message, so that also a run
/// that is killed publishes nothing twice.
fn resume_after(scenario: &Scenario, live: bool, end: u64) -> Resume {
    let start_micros = scenario.options().start_micros;
    let until = start_micros + end as i64 * scenario.period_micros();
    Resume { start_micros, until_micros: (!live).then_some(until) }
}

/// Shows the progress every second. Never returns.
async fn show_progress(progress: Arc<Progress>, sensors: usize) {
    let mut line = progress_line();
    let (mut last_published, mut last_shown) = (0, Instant::now());
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let published = progress.published();
        let rate = (published - last_published) as f64 / last_shown.elapsed().as_secs_f64();
        (last_published, last_shown) = (published, Instant::now());
        line.show(|| {
            format!(
                "replay: {sensors} sensors, {published} readings, {rate:.0}/s, {} events, {}",
                progress.events(),
                place(&progress)
            )
        });
    }
}

/// Returns where the replay is, in event time, once something is confirmed.
fn place(progress: &Progress) -> String {
    let phase = if progress.live() { "live" } else { "history" };
    let waits = if progress.connected() { "" } else { ", waiting for the broker" };
    match progress.event_time() {
        0 => format!("{phase}{waits}"),
        confirmed => format!("{} {phase}{waits}", time::format(confirmed)),
    }
}

/// Resolves at Ctrl-C or SIGTERM.
async fn terminated() {
    let terminate = async {
        match signal::unix::signal(signal::unix::SignalKind::terminate()) {
            Ok(mut signals) => {
                signals.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = signal::ctrl_c() => {}
        () = terminate => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_without_a_confirmation_is_at_no_time() {
        assert_eq!(place(&Progress::default()), "history, waiting for the broker");
    }
}

//! `thicket-loadtest replay`

use std::{
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
    replay::{Broker, Faults, Progress, Rate, Replay, ReplayOptions},
    time,
};

/// Publishes a scenario's readings over MQTT (3.1.1, quality of service 1).
///
/// Without --frames: half an hour of history that ends now, as fast as the broker takes it, then live, in real time, until
/// Ctrl-C. With --frames K: K readings per sensor, and live afterwards only with --live.
///
/// Each reading is a JSON object on sensors/<name>, for instance {"ts":"2026-11-22T10:00:00.000000Z","laeq_db":52.31,...}. A
/// reading counts as published when the broker has confirmed it. When the broker is lost, the replay reconnects and sends
/// again, in order, what was not confirmed. Prints one JSON object at the end.
///
/// The broker queues for a slow reader, then drops: at --rate max give it room, or choose a rate.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The broker: mqtt://[user[:password]@]host[:port].
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
    /// After the history, publish each reading when the wall clock reaches its time.
    #[arg(long)]
    live: bool,
    /// Speed of the history: max, realtime (as it happened), or readings per second.
    #[arg(long, default_value = "max", value_name = "RATE")]
    rate: Rate,
    /// Readings per message in the history, as a JSON array if more than one.
    #[arg(long, default_value_t = 1, value_name = "N")]
    batch: usize,
    /// Messages on their way, unconfirmed, at most.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    in_flight: usize,
    /// What stands before a sensor's name in its topic.
    #[arg(long, default_value = "sensors/", value_name = "TEXT")]
    topic_prefix: String,
    /// Write down what was published, for `verify`. The file must not exist; the events go to FILE.labels.jsonl.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Share of messages that are published twice, 0 to 1.
    #[arg(
        long,
        default_value_t = 0.0,
        value_name = "SHARE",
        help_heading = "Trouble on purpose, from the seed"
    )]
    duplicates: f64,
    /// Share of readings that are preceded by a message without meaning, 0 to 1.
    #[arg(
        long,
        default_value_t = 0.0,
        value_name = "SHARE",
        help_heading = "Trouble on purpose, from the seed"
    )]
    malformed: f64,
    /// Share of readings that come after up to 30 newer ones of their sensor, 0 to 1.
    #[arg(
        long,
        default_value_t = 0.0,
        value_name = "SHARE",
        help_heading = "Trouble on purpose, from the seed"
    )]
    late: f64,
    #[command(flatten, next_help_heading = "What is played")]
    source: SourceArguments,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let frames = arguments.frames.unwrap_or(1_800);
    let scenario = Arc::new(arguments.source.scenario(END_AT_NOW, frames)?);
    let options = ReplayOptions {
        frames,
        live: arguments.live || arguments.frames.is_none(),
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
    let watching = tokio::spawn(show(Arc::clone(&progress), sensors));
    tokio::spawn(async move {
        terminated().await;
        let _ = stop.send(true);
        // Keeps the channel open: a second signal ends the process.
        terminated().await;
        std::process::exit(130);
    });

    let began = Instant::now();
    let summary = tokio::spawn(replay.run(stopped)).await??;
    watching.abort();
    let seconds = began.elapsed().as_secs_f64();
    let report = json!({
        "published": summary.published,
        "malformed": summary.malformed,
        "events": summary.events,
        "unconfirmed": summary.unconfirmed,
        "seconds": (seconds * 1e3).round() / 1e3,
        "readings_per_second": (summary.published as f64 / seconds).round(),
    });
    progress_line().finish("");
    println!("{report}");
    Ok(ExitCode::SUCCESS)
}

async fn show(progress: Arc<Progress>, sensors: usize) {
    let mut line = progress_line();
    let (mut before, mut at) = (0, Instant::now());
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let published = progress.published();
        let rate = (published - before) as f64 / at.elapsed().as_secs_f64();
        (before, at) = (published, Instant::now());
        line.show(|| {
            format!(
                "replay: {sensors} sensors, {published} readings, {rate:.0}/s, {} events, {} {}{}",
                progress.events(),
                time::format(progress.event_time()),
                if progress.live() { "live" } else { "history" },
                if progress.connected() { "" } else { ", waiting for the broker" },
            )
        });
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

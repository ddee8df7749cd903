//! `thicket-loadtest verify`

use std::{path::PathBuf, process::ExitCode, time::Duration};

use super::database::DatabaseArgument;
use crate::verify::{self, Performance, VerifyOptions, metrics};

/// Compares what was published with what is stored, value by value, and prints one JSON object.
///
///   published            publications that the broker confirmed, by the manifests: readings,
///                        their deliberate copies, and malformed messages
///   stored               rows of the manifests' sensors within the event times of the manifests
///   lost                 publications with neither an equal row (same time, same fields, same
///                        bits) nor a dead letter
///   only_dead_letters    well-formed readings with a dead letter and no equal row: the engine
///                        refused them
///   unexpected           rows that equal no publication, of the manifests' sensors between their
///                        first and their last publication
///   anomalies            injected: events that were published completely
///                        found: injected events that a row of the table anomalies overlaps
///                        false_alarms: rows of the table anomalies that overlap no event
///                        (each with a tolerance of two frames)
///   duplicates, late,
///   dead_letters         the engine's own counts since its tables were created
///   readings_per_second  the mean rate at which the broker confirmed
///   latency_ms           quantiles from the engine's histogram (with --metrics)
///
/// Exit code 0 if nothing is lost, no reading is only a dead letter and no row is unexpected, 1 if not
/// or on failure. Prints the first of them to standard error.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// A file that `replay --manifest` wrote. May be given several times.
    #[arg(long = "manifest", required = true, value_name = "FILE")]
    manifests: Vec<PathBuf>,
    #[command(flatten)]
    database: DatabaseArgument,
    /// Wait up to this long until all published readings are stored.
    #[arg(long, default_value_t = 0.0, value_name = "SECONDS")]
    wait: f64,
    /// The engine's metrics page, for latency_ms, such as http://127.0.0.1:9464/metrics.
    #[arg(long, value_name = "URL")]
    metrics: Option<String>,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let wait = Duration::try_from_secs_f64(arguments.wait)?;
    let options = VerifyOptions { manifests: arguments.manifests, database: arguments.database.url, wait };
    let mut outcome = verify::verify(&options, None::<Performance>).await?;
    if let Some(url) = &arguments.metrics {
        outcome.report.latency_ms = metrics::latency(url).await?;
    }
    for path in &outcome.torn {
        eprintln!(
            "note: {} ends within a record, because the replay was killed; the records before it were compared, and rows without a publication are not counted",
            path.display()
        );
    }
    for loss in &outcome.losses {
        eprintln!("lost: {loss}");
    }
    if outcome.report.lost > outcome.losses.len() as u64 {
        eprintln!("lost: and {} more", outcome.report.lost - outcome.losses.len() as u64);
    }
    for row in &outcome.unexpected {
        eprintln!("unexpected: {row} has a row that was not published");
    }
    if outcome.report.unexpected > 0 {
        eprintln!(
            "unexpected: rows that equal no publication: {}; if several replays published these sensors, name all their manifests; a replay that gave up on messages which the broker had taken has such rows too",
            outcome.report.unexpected
        );
    }
    if outcome.report.only_dead_letters > 0 {
        eprintln!(
            "refused: readings that are only dead letters: {}; see why with: thicket deadletter list",
            outcome.report.only_dead_letters
        );
    }
    println!("{}", serde_json::to_string(&outcome.report)?);
    Ok(if outcome.report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

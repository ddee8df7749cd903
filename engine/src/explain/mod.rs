//! `thicket explain`: a detection, computed once more and shown step by step.

mod print;
mod replay;
mod stored;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;
use thicket_actors::checkpoint::postgres_pool;
use thicket_detector::{Detection, Explanation};
use thicket_schema::Timestamp;

use crate::config::Config;
use crate::output::Format;
use crate::{sensors, time_arg};
use replay::Replayed;
use stored::StoredDetection;

/// What to explain.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// The sensor's name.
    sensor: String,
    /// When: the newest scored reading at or before then is explained. RFC 3339, or how long ago, such as 2h [default: now].
    #[arg(long, value_name = "TIME", value_parser = time_arg::parse)]
    at: Option<Timestamp>,
    #[command(flatten)]
    format: Format,
}

const EXAMPLES: &str = "The detector is brought back to where it stood before the reading: from its checkpoint, if that is older, and from the stored
rows, which are scored once more, each with the configuration that it was made with. What it then says of the reading must be what is stored, bit for bit; if it is not, the command
says so and exits 1.

Examples:
  thicket explain site-1/mic-7 --at 2026-11-22T10:00:00Z
  thicket explain site-1/mic-7 --at 10m --json";

/// An explanation, as it is printed and as JSON.
#[derive(Debug, Serialize)]
struct Explained {
    sensor: String,
    ts: DateTime<Utc>,
    seq: u64,
    values: BTreeMap<String, f64>,
    stored: ScoreValues,
    computed: ScoreValues,
    flags: Vec<&'static str>,
    /// Whether the stored score and grade are the computed ones, bit for bit.
    reproduced: bool,
    replayed: Replayed,
    alarms_per_week: f64,
    explanation: Explanation,
}

/// What a detector said of the reading.
#[derive(Debug, Serialize)]
struct ScoreValues {
    score: f64,
    grade: Option<f64>,
    confidence: f64,
    onset: f64,
}

/// Runs `thicket explain`.
pub(crate) async fn explain(config: &Config, args: ExplainArgs) -> anyhow::Result<ExitCode> {
    let pool = postgres_pool(&config.postgres.url, 1)?;
    let mut postgres =
        pool.get().await.context("postgresql does not answer: start it or set postgres.url")?;
    let sensor = sensors::find(&mut postgres, &args.sensor).await?;
    let at = args.at.unwrap_or_else(|| Timestamp::from(Utc::now()));
    let stored = stored::newest(&mut postgres, &sensor, at).await?;
    drop(postgres);
    let (mut detector, detector_config, replayed) = replay::before(config, &pool, &sensor, &stored).await?;
    let detector_config = &detector_config.config;
    let (detection, explanation) =
        detector.explain(stored.ts.timestamp_micros(), &stored.names, &stored.values)?;
    let Some(explanation) = explanation else {
        bail!(
            "{} was still warming up at {}, with reading {}: there is nothing to explain before half of detector.warm_up ({} readings); ask for a later time with --at",
            sensor.name,
            time_arg::show(stored.ts),
            stored.seq,
            detector_config.warm_up
        );
    };
    let explained = Explained {
        sensor: sensor.name,
        ts: stored.ts,
        seq: stored.seq,
        values: stored.names.iter().cloned().zip(stored.values.iter().copied()).collect(),
        reproduced: same(&stored, &detection),
        flags: stored.flag_names(),
        stored: ScoreValues {
            score: stored.score,
            grade: stored.grade,
            confidence: stored.confidence,
            onset: stored.onset,
        },
        computed: ScoreValues {
            score: detection.score,
            grade: detection.grade,
            confidence: detection.confidence,
            onset: detection.onset,
        },
        replayed,
        alarms_per_week: detector_config.alarms_per_week,
        explanation,
    };
    if args.format.json {
        println!("{}", serde_json::to_string(&explained)?);
    } else {
        print::print(&explained);
    }
    Ok(if explained.reproduced { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn same(stored: &StoredDetection, detection: &Detection) -> bool {
    stored.seq == detection.seq
        && stored.score.to_bits() == detection.score.to_bits()
        && stored.grade.map(f64::to_bits) == detection.grade.map(f64::to_bits)
}

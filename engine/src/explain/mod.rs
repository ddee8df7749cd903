//! `thicket explain`: computes a detection again and shows it step by step.
//!
//! `stored` reads the reading, `replay` restores the detector to its state before the reading,
//! `explained` puts the two together, and `print` shows them to people.

pub(crate) mod args;
mod explained;
mod print;
mod replay;
mod stored;

use std::process::ExitCode;

use anyhow::bail;
use chrono::Utc;
use thicket_schema::Timestamp;
use thicket_store::postgres::postgres_pool;

use crate::config::Config;
use crate::{sensors, stores, time_arg};
use args::ExplainArgs;
use explained::Explained;
use stored::StoredDetection;

/// Runs `thicket explain`.
pub(crate) async fn explain(config: &Config, args: ExplainArgs) -> anyhow::Result<ExitCode> {
    let mut postgres = stores::postgres(config).await?;
    let sensor = sensors::find(&mut postgres, &args.sensor).await?;
    let at = args.at.unwrap_or_else(|| Timestamp::from(Utc::now()));
    let stored = StoredDetection::read(&mut postgres, &sensor, at).await?;
    drop(postgres);
    let pool = postgres_pool(config.postgres.server(), 1)?;
    let (mut detector, detector_config, replayed) =
        replay::state_before(config, &pool, &sensor, &stored).await?;
    let detector_config = &detector_config.config;
    let (detection, explanation) = detector.explain(stored.ts.as_micros(), &stored.names, &stored.values)?;
    let Some(explanation) = explanation else {
        bail!(
            "{} was still warming up at {}, with reading {}: a reading can be explained after half of detector.warm_up ({} readings); ask for a later time with --at",
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
        reproduced: stored.is_equal_to(&detection),
        flags: stored.flag_names(),
        stored: stored.scores,
        computed: (&detection).into(),
        replayed,
        alarms_per_week: detector_config.alarms_per_week,
        explanation,
    };
    args.format.print(&explained, print::print)?;
    Ok(if explained.reproduced { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

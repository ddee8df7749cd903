//! `thicket-loadtest digest`

use std::process::ExitCode;

use thicket_store::digest;

use super::database::DatabaseArgument;

/// Prints a SHA-256 over all readings, anomalies, dead letters and sensors.
///
/// Two databases have the same digest if they hold the same rows, whatever the number of shards,
/// the crashes and the order of commits. One flipped bit changes the digest. It covers:
///
///   readings      name of the sensor, time, field names, bits of the values, seq, bits of score
///                 and grade, flags; sorted by name and time
///   anomalies     all columns; sorted by sensor name and beginning
///   dead letters  topic, reason, payload, its length; sorted by these. Not the position and the
///                 time of arrival, which do not depend on what was published
///   sensors       name and fields; sorted by name
///
/// Reads one snapshot of the tables, row by row.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    database: DatabaseArgument,
    /// Print a JSON object with the digest and the number of rows of each table.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let result = digest::digest(&arguments.database.url).await?;
    if arguments.json {
        println!("{}", serde_json::to_string(&result)?);
    } else {
        println!("{}", result.sha256);
        for (name, table) in [
            ("readings", &result.readings),
            ("anomalies", &result.anomalies),
            ("dead_letters", &result.dead_letters),
            ("sensors", &result.sensors),
        ] {
            println!("{} {name} {}", table.sha256, table.rows);
        }
    }
    Ok(ExitCode::SUCCESS)
}
